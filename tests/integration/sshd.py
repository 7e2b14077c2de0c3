"""An SSH server of the tests' own on this computer, with its keys and configuration in a folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from tests.integration.bundles import absent

_PRIVILEGE_SEPARATION = Path("/run/sshd")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Sshd:
    """Started in a `with` block. `config` is what a client needs, with the host name `board`.

    `login` is shell commands that run before each command, as a shell's startup files do.
    """

    def __init__(self, folder: Path, *, login: str = "") -> None:
        self._program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if self._program is None or shutil.which("ssh") is None:
            absent("OpenSSH's server or client")
        self.folder = folder
        folder.mkdir(mode=0o700)
        self.port = free_port()
        for name in ("host_key", "user_key", "other_key"):
            self.make_key(name)
        key = (folder / "user_key.pub").read_text()
        command = f'command="{login}eval \\"$SSH_ORIGINAL_COMMAND\\"" ' if login else ""
        (folder / "authorized_keys").write_text(command + key)
        (folder / "sshd_config").write_text(
            f"ListenAddress 127.0.0.1\nPort {self.port}\nHostKey {folder}/host_key\nPidFile none\n"
            f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nMaxStartups 100\nMaxSessions 20\n"
            f"SetEnv HOME={folder}/home\n"
        )
        (folder / "home").mkdir()
        self.know((folder / "host_key.pub").read_text())
        self.config = folder / "ssh_config"
        self.configure("user_key")

    def configure(self, key: str, more: str = "") -> None:
        """Writes the client's configuration, with one of the keys."""
        self.config.write_text(
            f"Host board\n  HostName 127.0.0.1\n  Port {self.port}\n{more}\n"
            f"Host *\n  IdentityFile {self.folder}/{key}\n  IdentitiesOnly yes\n  IdentityAgent none\n"
            f"  UserKnownHostsFile {self.folder}/known_hosts\n  GlobalKnownHostsFile none\n"
        )

    def know(self, public_key: str) -> None:
        """That key becomes the only one that the client knows for this server."""
        kind, key = public_key.split()[:2]
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {kind} {key}\n")

    def make_key(self, name: str) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    def __enter__(self) -> Sshd:
        self.start()
        return self

    def start(self) -> None:
        if os.geteuid() == 0:
            _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        command = [str(self._program), "-D", "-f", str(self.folder / "sshd_config"), "-E", str(self.folder / "log")]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
                return
            log = (self.folder / "log").read_text() if (self.folder / "log").exists() else ""
            assert self._process.poll() is None, log
            assert time.monotonic() < deadline, log
            time.sleep(0.02)

    def stop(self) -> None:
        """Ends the server and its connections, at once."""
        self.signal(signal.SIGKILL)
        self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the server's processes; what runs in the sessions gets none."""
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def processes(self) -> list[int]:
        found, left = [], [self._process.pid]
        while left:
            process = left.pop()
            with contextlib.suppress(OSError):
                if Path(f"/proc/{process}/comm").read_text().startswith("sshd"):
                    found.append(process)
                    left += map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
        return found

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
