"""What every transport must do, as one class of tests; a subclass says which transport."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwbench.devices.transport import OUTPUT_LIMIT_BYTES, PushFile, Transport
from hwbench.errors import DataError, DeviceError, DeviceFull, DeviceRefused, DeviceTimeout, RemoteFileMissing

EVERY_BYTE = bytes(range(256)) * 3
NAMES = [
    "plain.bin", "with a space", "quotes'\"`", "a\nnew line", "ends in a line\n", "-rf", "--help", "$(id)", "${HOME}",
    "back\\slash\\n", "*?[a]", "~root", "a;b|c&d>e", "größe-模型", " ", "#", "long-" * 40, ".hidden", "a=b", "%s\t!",
    "deep/" * 60 + "file",
]  # fmt: skip
_WORD = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
_SHELLY = st.text("ab'\"\\$`()!*?~#;&|<>{}[]= \n\t-%", max_size=20)
_GENEROUS_S = 30.0


@contextmanager
def small_disk(folder: Path) -> Iterator[str]:
    """A file system of 64 KiB in a new folder, where this user may mount one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "hwbench-test", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a small file system")
    try:
        yield str(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class TransportSuite:
    """`read_only` is a folder of the device that takes no files, `full` one that takes less than a megabyte."""

    read_only = "/sys"
    examples = 60

    @pytest.fixture
    def transport(self, tmp_path: Path) -> Transport:
        raise NotImplementedError

    @pytest.fixture
    def full(self) -> str:
        pytest.skip("no full file system can be made here")

    def mode(self, transport: Transport, path: str) -> int:
        """The permissions of a file on the device."""
        return int(transport.run(["stat", "-c", "%a", path]).stdout, 8)

    def alive(self, transport: Transport, process: bytes) -> bool:
        """Whether a process is there, of the number that a command printed."""
        return transport.run(["sh", "-c", 'kill -0 "$1"', "sh", process.decode()]).code == 0

    def ends(self, transport: Transport, process: bytes) -> bool:
        """Whether a process goes within a generous time."""
        deadline = time.monotonic() + _GENEROUS_S
        while self.alive(transport, process):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def test_it_has_a_name_and_a_folder(self, transport: Transport) -> None:
        assert transport.name
        assert transport.folder.startswith("/")

    def test_words_arrive_as_they_are(self, transport: Transport) -> None:
        @settings(max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.lists(_WORD | _SHELLY, min_size=1, max_size=6))
        def arrive(words: list[str]) -> None:
            done = transport.run(["printf", "%s\\0", *words])
            assert (done.code, done.stdout, done.stderr) == (0, b"".join(w.encode() + b"\0" for w in words), b"")

        arrive()

    def test_a_zero_byte_in_a_word_is_refused(self, transport: Transport) -> None:
        with pytest.raises(ValueError, match="zero byte"):
            transport.run(["printf", "a\0b"])
        with pytest.raises(ValueError, match="zero byte"):
            transport.open(["printf", "a\0b"])

    @pytest.mark.parametrize("code", [0, 1, 3, 125, 126, 127, 128, 200, 254, 255])
    def test_exit_codes(self, transport: Transport, code: int) -> None:
        assert transport.run(["sh", "-c", f"exit {code}"]).code == code

    @pytest.mark.parametrize(("name", "code"), [("TERM", 143), ("KILL", 137), ("SEGV", 139), ("ABRT", 134)])
    def test_signals_are_128_and_their_number(self, transport: Transport, name: str, code: int) -> None:
        assert transport.run(["sh", "-c", f"kill -{name} $$"]).code == code

    def test_a_program_that_is_missing_or_not_executable(self, transport: Transport, tmp_path: Path) -> None:
        assert transport.run(["hwbench-no-such-program"]).code == 127
        plain = self.put(transport, tmp_path, "plain", b"text")
        done = transport.run([plain])
        assert done.code == 126
        assert done.stderr

    def test_outputs_are_apart_and_binary(self, transport: Transport) -> None:
        done = transport.run(["sh", "-c", "cat; cat >&2 /dev/null; printf 'a\\200\\r\\nb\\000' >&2"], stdin=EVERY_BYTE)
        assert (done.code, done.stdout, done.stderr) == (0, EVERY_BYTE, b"a\x80\r\nb\x00")

    def test_much_goes_in_and_comes_back(self, transport: Transport) -> None:
        data = EVERY_BYTE * 4000
        assert transport.run(["cat"], stdin=data).stdout == data

    def test_input_that_nobody_reads(self, transport: Transport) -> None:
        assert transport.run(["sh", "-c", "exit 5"], stdin=bytes(3 << 20)).code == 5

    def test_input_ends(self, transport: Transport) -> None:
        assert transport.run(["cat"]).stdout == b""

    def test_a_command_ends_with_its_time(self, transport: Transport) -> None:
        with pytest.raises(DeviceTimeout):
            transport.run(["sleep", "600"], timeout_s=0.3)
        assert transport.run(["printf", "on"]).stdout == b"on"

    def test_what_ran_too_long_does_not_stay(self, transport: Transport, tmp_path: Path) -> None:
        self.put(transport, tmp_path, "here", b"")
        numbers = f"{transport.folder}/numbers"
        script = 'sleep 600 & echo $$ $! > "$1.new"; mv "$1.new" "$1"; wait'
        with pytest.raises(DeviceTimeout):
            transport.run(["sh", "-c", script, "sh", numbers], timeout_s=2.0)
        transport.pull(numbers, tmp_path / "numbers", 1000)
        for process in (tmp_path / "numbers").read_bytes().split():
            assert self.ends(transport, process)

    def test_output_is_limited(self, transport: Transport) -> None:
        whole = transport.run(["head", "-c", str(OUTPUT_LIMIT_BYTES), "/dev/zero"])
        assert (whole.code, len(whole.stdout)) == (0, OUTPUT_LIMIT_BYTES)
        for command in (["cat", "/dev/zero"], ["sh", "-c", "exec cat /dev/zero >&2"]):
            with pytest.raises(DeviceError, match="more than 8 MiB"):
                transport.run(command)
        assert transport.run(["printf", "on"]).stdout == b"on"

    def test_lines_come_while_the_command_runs(self, transport: Transport) -> None:
        with transport.open(["sh", "-c", "echo one; echo; exec cat"]) as stream:
            assert stream.read_line(_GENEROUS_S) == b"one"
            assert stream.read_line(_GENEROUS_S) == b""
            for _ in range(2):
                with pytest.raises(DeviceTimeout):
                    stream.read_line(0.1)
            assert stream.code is None

    def test_lines_then_the_code(self, transport: Transport) -> None:
        with transport.open(["sh", "-c", "printf 'a\\200\\r\\n\\nlast'; echo error >&2; exit 255"]) as stream:
            lines = [stream.read_line(_GENEROUS_S) for _ in range(5)]
            assert lines == [b"a\x80\r", b"", b"last", None, None]
            assert stream.code == 255

    def test_a_long_line_is_whole(self, transport: Transport) -> None:
        with transport.open(["sh", "-c", "head -c 1000000 /dev/zero; echo; echo next"]) as stream:
            assert stream.read_line(_GENEROUS_S) == bytes(1_000_000)
            assert stream.read_line(_GENEROUS_S) == b"next"

    def test_words_of_a_stream_arrive_as_they_are(self, transport: Transport) -> None:
        with transport.open(["printf", "%s\\n", "$(id)", "a  b", "'", "-n", ""]) as stream:
            assert [stream.read_line(_GENEROUS_S) for _ in range(6)] == [b"$(id)", b"a  b", b"'", b"-n", b"", None]

    def test_a_stream_of_a_missing_program(self, transport: Transport) -> None:
        with transport.open(["hwbench-no-such-program"]) as stream:
            assert stream.read_line(_GENEROUS_S) is None
            assert stream.code == 127

    def test_closing_a_stream_ends_its_input(self, transport: Transport) -> None:
        with transport.open(["sh", "-c", "echo $$; exec cat"]) as stream:
            process = stream.read_line(_GENEROUS_S)
            assert process is not None
            assert self.alive(transport, process)
        assert self.ends(transport, process)
        stream.close()

    def test_two_streams_and_a_command_at_once(self, transport: Transport) -> None:
        hold = ["sh", "-c", "echo up; exec cat"]
        with transport.open(hold) as first, transport.open(hold) as second:
            assert transport.run(["printf", "on"]).stdout == b"on"
            assert first.read_line(_GENEROUS_S) == second.read_line(_GENEROUS_S) == b"up"

    def test_files_go_and_come_back(self, transport: Transport, tmp_path: Path) -> None:
        sent = {name: EVERY_BYTE + name.encode() for name in NAMES} | {"empty": b"", "large": EVERY_BYTE * 6500}
        files = []
        for number, (name, data) in enumerate(sent.items()):
            local = tmp_path / f"{number}"
            local.write_bytes(data)
            files.append(PushFile(local, f"{transport.folder}/new/{name}"))
        transport.push(files)
        for file, data in zip(files, sent.values(), strict=True):
            transport.pull(file.remote, tmp_path / "back", limit_bytes=len(data))
            assert (tmp_path / "back").read_bytes() == data
            assert self.mode(transport, file.remote) == 0o644

    def test_modes(self, transport: Transport, tmp_path: Path) -> None:
        for mode in (0o755, 0o644, 0o700, 0o600):
            assert self.mode(transport, self.put(transport, tmp_path, "same name", b"x", mode)) == mode

    def test_a_file_is_replaced(self, transport: Transport, tmp_path: Path) -> None:
        remote = self.put(transport, tmp_path, "file", b"longer than its successor")
        assert remote == self.put(transport, tmp_path, "file", b"short")
        transport.pull(remote, tmp_path / "back", 100)
        assert (tmp_path / "back").read_bytes() == b"short"

    def test_no_files_are_no_trouble(self, transport: Transport) -> None:
        transport.push([])

    def test_a_local_file_that_is_not_there(self, transport: Transport, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="none"):
            transport.push([PushFile(tmp_path / "none", f"{transport.folder}/none")])

    def test_a_push_that_is_refused(self, transport: Transport, tmp_path: Path) -> None:
        self.put(transport, tmp_path, "folder/file", b"x")
        for remote, reason in {
            f"{self.read_only}/hwbench-file": "Permission denied|Read-only file system|Operation not permitted",
            f"{transport.folder}/folder/file/below": "Not a directory|File exists",
            f"{transport.folder}/folder": "[Ii]s a directory|File exists|Directory not empty",
        }.items():
            with pytest.raises(DeviceRefused, match=reason):
                transport.push([PushFile(tmp_path / "source", remote)])

    def test_a_push_that_does_not_fit(self, transport: Transport, tmp_path: Path, full: str) -> None:
        (tmp_path / "large").write_bytes(bytes(1 << 20))
        with pytest.raises(DeviceFull, match="not fit"):
            transport.push([PushFile(tmp_path / "large", f"{full}/large")])

    def test_what_cannot_be_pulled(self, transport: Transport, tmp_path: Path) -> None:
        remote = self.put(transport, tmp_path, "folder/file", b"12345")
        local = tmp_path / "out" / "file"
        for missing in (f"{transport.folder}/none", f"{remote}/below", f"{transport.folder}/folder/$(echo file)"):
            with pytest.raises(RemoteFileMissing):
                transport.pull(missing, local, 100)
        with pytest.raises(DeviceError, match="not a file"):
            transport.pull(f"{transport.folder}/folder", local, 100)
        with pytest.raises(DeviceError, match="larger"):
            transport.pull(remote, local, 4)
        assert not local.parent.exists() or list(local.parent.iterdir()) == []

    def test_a_failed_pull_leaves_the_old_file(self, transport: Transport, tmp_path: Path) -> None:
        remote = self.put(transport, tmp_path, "file", bytes(3 << 20))
        (tmp_path / "old").write_bytes(b"old")
        before = sorted(tmp_path.iterdir())
        with pytest.raises(DeviceError, match="larger"):
            transport.pull(remote, tmp_path / "old", 2 << 20)
        assert (tmp_path / "old").read_bytes() == b"old"
        assert sorted(tmp_path.iterdir()) == before

    def test_a_pull_writes_where_it_was_told(self, transport: Transport, tmp_path: Path) -> None:
        self.put(transport, tmp_path, "a/b/file", b"x")
        transport.pull(self.put(transport, tmp_path, "a/file", b"y"), tmp_path / "out" / "here", 100)
        assert [path.name for path in (tmp_path / "out").rglob("*")] == ["here"]

    def test_it_connects_again_and_closes(self, transport: Transport) -> None:
        transport.reconnect(_GENEROUS_S)
        assert transport.run(["printf", "on"]).stdout == b"on"
        transport.close()
        transport.close()

    def put(self, transport: Transport, tmp_path: Path, name: str, data: bytes, mode: int = 0o644) -> str:
        """Writes a file into the device's folder and returns its path there."""
        (tmp_path / "source").write_bytes(data)
        remote = f"{transport.folder}/{name}"
        transport.push([PushFile(tmp_path / "source", remote, mode)])
        return remote
