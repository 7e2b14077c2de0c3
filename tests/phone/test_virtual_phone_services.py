"""A virtual phone's services look to the real adb as a phone's do."""

from __future__ import annotations

import hashlib
import random
import socket
import subprocess
import threading
from pathlib import Path

import adbutils  # type: ignore[import-untyped]
import pytest

from tests.phone.adb_server import BOTH_ADBS, AdbServer, eventually
from tests.phone.conftest import Phones
from tests.phone.phone import VirtualPhone

TMP = "/data/local/tmp"
both_adbs = pytest.mark.parametrize("adb_server", BOTH_ADBS, indirect=True)


@pytest.fixture
def adb(adb_server: AdbServer) -> AdbServer:
    return adb_server


def noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@both_adbs
def test_a_command_ends_as_it_does_on_a_phone(adb: AdbServer, phone: VirtualPhone) -> None:
    finished = adb.shell(phone, "cat; echo error >&2; exit 7", stdin=b"put in")
    assert (finished.returncode, finished.stdout, finished.stderr) == (7, b"put in", b"error\n")
    killed, broken, folder, missing = (
        adb.shell(phone, command) for command in ("kill -9 $$", "sh -c 'kill -SEGV $$'", "/data", "no-such-thing")
    )
    assert [killed.returncode, broken.returncode, folder.returncode, missing.returncode] == [137, 139, 126, 127]
    assert b"Segmentation fault" in broken.stderr
    assert b"can't execute" in folder.stderr
    assert b"inaccessible or not found" in missing.stderr
    assert adb.run("exec-out", r"printf 'a\r\n\0b'", phone=phone).stdout == b"a\r\n\0b"


def test_the_old_shell_protocol_mixes_its_outputs(adb: AdbServer, phone: VirtualPhone) -> None:
    finished = adb.run("shell", "-x", "echo out; echo error >&2; exit 7", phone=phone)
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, b"out\nerror\n", b"")


@both_adbs
def test_64_mib_and_a_folder_go_there_and_back(adb: AdbServer, phone: VirtualPhone, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(noise(1 << 20) * 64)
    adb.run("push", tmp_path / "big", TMP, phone=phone).check_returncode()
    assert b"1 shell shell 67108864 " in adb.shell(phone, f"ls -l {TMP}/big").stdout
    adb.run("pull", f"{TMP}/big", tmp_path / "back", phone=phone).check_returncode()
    assert (tmp_path / "back").read_bytes() == (tmp_path / "big").read_bytes()

    folder = tmp_path / "folder"
    for name in ("a b", "empty/.keep", "sub/run 'it'.sh", "sub/ümläut $(x)"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(noise(len(name)))
    (folder / "sub/run 'it'.sh").chmod(0o755)
    adb.run("push", folder, TMP, phone=phone).check_returncode()
    assert adb.shell(phone, f"[ -x {TMP}/folder/sub/run* ] && [ ! -x {TMP}/folder/a* ]").returncode == 0
    summed = adb.shell(phone, f"sha256sum '{TMP}/folder/a b'").stdout.decode()
    assert summed == f"{hashlib.sha256((folder / 'a b').read_bytes()).hexdigest()}  {TMP}/folder/a b\n"
    again = adb.run("push", "--sync", folder, TMP, phone=phone)
    assert b"4 skipped" in again.stdout + again.stderr
    adb.run("pull", f"{TMP}/folder", tmp_path / "pulled", phone=phone).check_returncode()
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert all((tmp_path / "pulled" / file).read_bytes() == (folder / file).read_bytes() for file in files)


@both_adbs
def test_what_cannot_be_written_or_read_is_said(adb: AdbServer, phone: VirtualPhone, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(noise(100_000))
    refused = adb.run("push", tmp_path / "file", "/system/file", phone=phone)
    assert refused.returncode == 1
    assert b"remote couldn't create file: Permission denied" in refused.stdout + refused.stderr
    climbing = adb.run("push", tmp_path / "file", f"{TMP}/../../../../../system/file", phone=phone)
    assert b"Permission denied" in climbing.stdout + climbing.stderr
    missing = adb.run("pull", "/nope", tmp_path, phone=phone)
    assert missing.returncode == 1
    assert b"failed to stat remote object '/nope': No such file or directory" in missing.stdout + missing.stderr


def test_the_listing_names_the_phone(adb: AdbServer, phone: VirtualPhone) -> None:
    listed = adb.run("devices", "-l").stdout.decode().splitlines()
    assert listed[1].split()[:5] == [phone.serial, "device", "product:oriole", "model:Pixel_6", "device:oriole"]
    assert b"cannot run as root" in adb.run("root", phone=phone).stdout


@both_adbs
def test_an_app_is_installed_byte_by_byte(adb: AdbServer, phone: VirtualPhone, tmp_path: Path) -> None:
    (tmp_path / "app.apk").write_bytes(noise(300_000))
    installed = adb.run("install", tmp_path / "app.apk", phone=phone)
    assert b"Success" in installed.stdout
    assert [app.read_bytes() for app in (phone.root / "data/app").iterdir()] == [(tmp_path / "app.apk").read_bytes()]


@both_adbs
def test_two_phones_work_at_once(adb: AdbServer, phones: Phones) -> None:
    first, second = phones(), phones()
    # Each waits for a file that only its own phone gets, while the other waits too.
    waiting = [
        subprocess.Popen(
            [adb.path, "-s", phone.serial, "shell", f"while [ ! -e {TMP}/go ]; do sleep 0.05; done; cat {TMP}/go"],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=adb.environment,
        ) for phone in (first, second)
    ]  # fmt: skip
    for phone, word in ((second, "second"), (first, "first")):
        adb.shell(phone, f"echo {word} > {TMP}/g && mv {TMP}/g {TMP}/go").check_returncode()
    assert [process.communicate(timeout=30)[0] for process in waiting] == [b"first\n", b"second\n"]
    unnamed = adb.run("shell", "true")
    assert b"more than one device/emulator" in unnamed.stderr


def test_a_command_ends_with_its_host_unless_it_has_let_go(adb: AdbServer, phone: VirtualPhone) -> None:
    command = "(nohup sleep 7001 >/dev/null 2>&1 &); exec sleep 7002"
    host = subprocess.Popen([adb.path, "-s", phone.serial, "shell", command], env=adb.environment)

    def running() -> set[bytes]:
        lines = adb.shell(phone, "ps -A -o ARGS").stdout.splitlines()
        return {number for number in (b"7001", b"7002") for line in lines if line.endswith(b"sleep sleep " + number)}

    eventually(lambda: running() == {b"7001", b"7002"}, "the commands did not start")
    host.kill()
    host.wait()
    eventually(lambda: running() == {b"7001"}, "the command outlived its host")


def test_a_port_of_the_phone_is_forwarded(adb: AdbServer, phone: VirtualPhone) -> None:
    taken: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            end, _ = server.accept()
            with end:
                taken.append(end.recv(100))
                end.sendall(b"answer")

        thread = threading.Thread(target=answer)
        thread.start()
        port = server.getsockname()[1]
        here = adb.run("forward", "tcp:0", f"tcp:{port}", phone=phone).stdout.decode().strip()
        with socket.create_connection(("127.0.0.1", int(here)), timeout=20) as end:
            end.sendall(b"question")
            assert end.recv(100) == b"answer"
        thread.join(20)
    assert taken == [b"question"]
    with socket.create_connection(("127.0.0.1", int(here)), timeout=20) as end:
        assert end.recv(100) == b""


def test_every_service_that_a_host_opens_is_counted(adb: AdbServer, phone: VirtualPhone, tmp_path: Path) -> None:
    before = phone.round_trips()
    (tmp_path / "file").write_bytes(b"1")
    adb.shell(phone, "echo 'one two'")
    adb.run("push", tmp_path / "file", TMP, phone=phone)
    adb.run("exec-out", "true", phone=phone)
    assert phone.round_trips() - before == 3
    assert [service.kind for service in phone.services()[before:]] == ["shell", "sync", "exec"]
    assert phone.commands()[-2:] == ["echo 'one two'", "true"]


@both_adbs
def test_adbutils_talks_to_it(adb: AdbServer, phone: VirtualPhone) -> None:
    device = adbutils.AdbClient(port=adb.port).device(phone.serial)
    answer = device.shell2("echo out; echo err >&2; exit 3", v2=True)
    assert (answer.returncode, answer.stdout, answer.stderr) == (3, "out\n", "err\n")
    assert device.prop.model == "Pixel 6"
    data = noise(200_000)
    assert device.sync.push(data, f"{TMP}/data") == len(data)
    assert device.sync.read_bytes(f"{TMP}/data") == data
    assert device.sync.stat(f"{TMP}/data").size == len(data)
    assert [entry.path for entry in device.sync.list(TMP)] == ["data"]
