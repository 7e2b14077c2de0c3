"""A board over SSH, played by a real sshd on this computer: the suite, and each way in which a connection fails."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from hwbench.devices.linux import LinuxMachine, remote_linux_record
from hwbench.devices.ssh import SshTransport
from hwbench.devices.transport import PushFile, Transport
from hwbench.errors import (
    ConnectionRefused,
    DeviceError,
    DeviceLost,
    DeviceNotFound,
    DeviceOffline,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnauthorized,
    SshUnavailable,
    TransferBroken,
)
from tests.integration.sshd import Sshd, free_port
from tests.integration.transport_suite import TransportSuite, small_disk


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A server for tests that leave it as it is."""
    with Sshd(tmp_path_factory.mktemp("shared") / "sshd") as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    with Sshd(tmp_path / "sshd") as found:
        yield found


def connect(server: Sshd) -> SshTransport:
    return SshTransport("ssh://board", config=server.config, connect_timeout_s=5.0)


@pytest.fixture
def board(server: Sshd) -> Iterator[SshTransport]:
    transport = connect(server)
    yield transport
    transport.close()


class TestSsh(TransportSuite):
    @pytest.fixture
    def transport(self, shared: Sshd) -> Iterator[Transport]:
        transport = connect(shared)
        yield transport
        transport.close()

    @pytest.fixture
    def full(self, tmp_path: Path) -> Iterator[str]:
        with small_disk(tmp_path / "small") as folder:
            yield folder

    def test_its_folder_is_the_users_own(self, transport: Transport, shared: Sshd) -> None:
        assert transport.folder == f"{shared.folder}/home/.cache/hwbench"

    def test_a_running_program_is_replaced(self, transport: Transport, tmp_path: Path) -> None:
        sleep = Path("/bin/sleep").read_bytes()
        program = self.put(transport, tmp_path, "program", sleep, 0o755)
        with transport.open(["sh", "-c", '"$1" 600 & echo $!; cat; kill $!', "sh", program]) as stream:
            assert stream.read_line(30.0)
            self.put(transport, tmp_path, "program", sleep, 0o755)


def test_its_record_is_that_of_the_machine(shared: Sshd) -> None:
    transport = connect(shared)
    there, here = remote_linux_record(transport), LinuxMachine().record("ssh")
    same = {"recorded_at": here.recorded_at, "load_average": here.load_average}
    assert msgspec.structs.replace(there, **same) == here
    transport.close()


def test_an_address_with_port_and_user(shared: Sshd) -> None:
    import getpass

    user = getpass.getuser()
    transport = SshTransport(f"ssh://{user}@127.0.0.1:{shared.port}", config=shared.config)
    assert transport.name == f"ssh://{user}@127.0.0.1:{shared.port}"
    assert transport.run(["id", "-un"]).stdout.decode().strip() == user
    transport.close()


def test_only_this_user_reaches_the_connection(shared: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:
        monkeypatch.setattr(tempfile, "tempdir", temporary)
        transport = connect(shared)
        (folder,) = Path(temporary).iterdir()
        assert [path.is_socket() for path in folder.iterdir()] == [True]
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        transport.close()
        assert list(Path(temporary).iterdir()) == []


def test_a_long_path_of_temporary_files(shared: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = tmp_path / "%h ${HOME}" / ("x" * 80)
    long.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    transport = connect(shared)
    assert transport.run(["printf", "on"]).stdout == b"on"
    transport.close()


def test_nothing_is_left_of_a_connection(server: Sshd) -> None:
    before = threading.active_count()
    transport = connect(server)
    with transport.open(["sh", "-c", "echo up; exec cat"]) as stream:
        assert stream.read_line(30.0) == b"up"
    transport.close()
    until(lambda: len(server.processes()) == 1 and threading.active_count() <= before)


def test_the_connection_ends_with_this_process(server: Sshd) -> None:
    program = (
        "import os, sys; from pathlib import Path; from hwbench.devices.ssh import SshTransport\n"
        "SshTransport('ssh://board', config=Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(server.config)], check=False)
    assert done.returncode == -signal.SIGKILL
    until(lambda: len(server.processes()) == 1)


def test_what_a_login_login_is_no_output(tmp_path: Path) -> None:
    with Sshd(tmp_path / "sshd", login="echo welcome; printf hello; ") as server:
        transport = connect(server)
        assert transport.run(["printf", "x"]).stdout == b"x"
        with transport.open(["echo", "y"]) as stream:
            assert stream.read_line(30.0) == b"y"
        transport.close()


def test_a_login_shell_with_other_quotes_is_refused(tmp_path: Path) -> None:
    # Two backslashes in single quotes are one to fish.
    halves = r"""SSH_ORIGINAL_COMMAND=$(printf %s \"$SSH_ORIGINAL_COMMAND\" | sed 's/\([\]\)[\]/\1/g'); """
    with Sshd(tmp_path / "sshd", login=halves) as server:
        with pytest.raises(DeviceError, match=r"does not quote as POSIX shells do\. Give that user sh"):
            connect(server)


@pytest.mark.parametrize("strict", ["", "  StrictHostKeyChecking ask\n", "  StrictHostKeyChecking yes\n"])
def test_an_unknown_host_key_is_refused(server: Sshd, strict: str) -> None:
    server.configure("user_key", strict)
    (server.folder / "known_hosts").write_text("")
    with pytest.raises(DeviceUnauthorized, match=r"does not know the host key.*Log in once with ssh board"):
        connect(server)
    assert (server.folder / "known_hosts").read_text() == ""


def test_the_users_rule_for_host_keys_holds(server: Sshd) -> None:
    server.configure("user_key", "  StrictHostKeyChecking accept-new\n")
    (server.folder / "known_hosts").write_text("")
    connect(server).close()
    assert str(server.port) in (server.folder / "known_hosts").read_text()


def test_a_changed_host_key_is_refused(server: Sshd) -> None:
    server.know((server.folder / "other_key.pub").read_text())
    with pytest.raises(DeviceUnauthorized, match=r"is not the one.*ssh-keygen -R"):
        connect(server)


def test_a_wrong_key_is_refused(server: Sshd) -> None:
    server.configure("other_key")
    with pytest.raises(
        DeviceUnauthorized, match=r"ssh://board accepts none of this computer's keys.*ssh-copy-id board"
    ):
        connect(server)


def test_nothing_listens(shared: Sshd) -> None:
    with pytest.raises(ConnectionRefused, match="Nothing listens"):
        SshTransport(f"ssh://127.0.0.1:{free_port()}", config=shared.config)


def test_a_host_that_is_not_there(shared: Sshd) -> None:
    with pytest.raises(DeviceNotFound, match=r"There is no host no-such-board\.invalid"):
        SshTransport("ssh://no-such-board.invalid", config=shared.config)


def test_a_server_that_hangs(shared: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(DeviceTimeout, match="did not answer in time"):
            SshTransport(f"ssh://127.0.0.1:{silent.getsockname()[1]}", config=shared.config, connect_timeout_s=1.0)


def test_a_server_that_speaks_something_else(shared: Sshd) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:

        def close_at_once() -> None:
            accepted, _ = other.accept()
            accepted.close()

        thread = threading.Thread(target=close_at_once)
        thread.start()
        with pytest.raises(DeviceOffline, match="closed the connection before the login"):
            SshTransport(f"ssh://127.0.0.1:{other.getsockname()[1]}", config=shared.config)
        thread.join()


def test_a_wrong_configuration_is_quoted(shared: Sshd, tmp_path: Path) -> None:
    (tmp_path / "config").write_text("NoSuchOption yes\n")
    with pytest.raises(DeviceError, match="nosuchoption"):
        SshTransport("ssh://board", config=tmp_path / "config")


def test_a_user_without_a_shell(tmp_path: Path) -> None:
    with Sshd(tmp_path / "sshd", login="echo This account is not available; exit 1; ") as server:
        with pytest.raises(DeviceRefused, match="runs no command: This account is not available"):
            connect(server)


def test_no_ssh_client(shared: Sshd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SshUnavailable, match="no ssh client"):
        connect(shared)


def test_the_configuration_of_the_user_cannot_run_something_else(server: Sshd) -> None:
    server.configure("user_key", "  RemoteCommand echo other\n  RequestTTY force\n  ControlPath /tmp/%C\n")
    transport = connect(server)
    assert transport.run(["printf", "own"]).stdout == b"own"
    transport.close()


def test_a_command_is_lost_with_its_connection(server: Sshd, board: SshTransport) -> None:
    timer = threading.Timer(0.5, server.stop)
    timer.start()
    with pytest.raises(DeviceLost, match="ssh://board broke"):
        board.run(["sleep", "60"])
    timer.join()
    for _ in range(2):
        with pytest.raises(DeviceLost):
            board.run(["true"])
    with pytest.raises(DeviceLost):
        board.open(["cat"])


def test_a_stream_is_lost_with_its_connection(server: Sshd, board: SshTransport) -> None:
    with board.open(["sh", "-c", "echo up; exec cat"]) as stream:
        assert stream.read_line(30.0) == b"up"
        server.stop()
        with pytest.raises(DeviceLost):
            stream.read_line(30.0)


def test_a_push_breaks_with_its_connection(server: Sshd, board: SshTransport, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(64 << 20))
    files = [PushFile(tmp_path / "large", f"{board.folder}/{number}") for number in range(20)]
    first = Path(board.folder) / "0"

    def stop_in_the_middle() -> None:
        until(first.exists)
        server.stop()

    thread = threading.Thread(target=stop_in_the_middle)
    thread.start()
    with pytest.raises(TransferBroken, match="while files were copied"):
        board.push(files)
    thread.join()
    assert not (Path(board.folder) / "19").exists()


def test_a_pull_breaks_with_its_connection(server: Sshd, board: SshTransport, tmp_path: Path) -> None:
    large = Path(board.folder) / "large"
    large.parent.mkdir(parents=True)
    with large.open("wb") as file:
        file.truncate(8 << 30)
    (tmp_path / "out").mkdir()

    def stop_in_the_middle() -> None:
        until(lambda: any(path.stat().st_size for path in (tmp_path / "out").iterdir()))
        server.stop()

    thread = threading.Thread(target=stop_in_the_middle)
    thread.start()
    with pytest.raises(TransferBroken, match="large"):
        board.pull(str(large), tmp_path / "out" / "large", 8 << 30)
    thread.join()
    assert list((tmp_path / "out").iterdir()) == []


def test_a_board_that_hangs_runs_out_of_time(server: Sshd, board: SshTransport) -> None:
    server.signal(signal.SIGSTOP)
    with pytest.raises(DeviceTimeout, match=r"true on ssh://board did not end within 0\.5 s"):
        board.run(["true"], timeout_s=0.5)
    server.signal(signal.SIGCONT)
    assert board.run(["printf", "on"]).stdout == b"on"


def test_it_connects_again_when_the_board_is_back(server: Sshd, board: SshTransport) -> None:
    server.stop()
    with pytest.raises(DeviceLost, match="did not come back within 1 s: Nothing listens"):
        board.reconnect(1.0)
    with pytest.raises(DeviceLost, match="is not connected"):
        board.run(["true"])
    timer = threading.Timer(1.0, server.start)
    timer.start()
    board.reconnect(60.0)
    timer.join()
    assert board.run(["printf", "on"]).stdout == b"on"


def test_another_board_at_the_address_is_not_connected_to(server: Sshd, board: SshTransport) -> None:
    server.stop()
    server.make_key("host_key")
    server.start()
    with pytest.raises(DeviceUnauthorized, match="host key"):
        board.reconnect(60.0)


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
