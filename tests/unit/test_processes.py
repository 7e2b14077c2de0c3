"""Commands on this computer: their limits, and files that arrive whole or not at all."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwbench.devices.arrival import Arrival
from hwbench.devices.processes import Collected, ProcessStream, converse
from hwbench.errors import DeviceError, DeviceTimeout


def drop(piece: bytes) -> None:
    pass


def test_a_command_that_reads_no_further_is_fed_no_further() -> None:
    taken = 0

    def feed() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(1 << 16)

    command = ["sh", "-c", "head -c 1 >/dev/null; exec 0<&-; echo enough; sleep 0.2; exit 3"]
    assert converse(command, feed=feed(), take=drop, what="head", timeout_s=60.0) == (3, b"")
    assert taken < 100


def test_pieces_arrive_in_order_and_empty_ones_do_not_end_them() -> None:
    out = Collected("cat")
    pieces = [b"", b"one ", b"", bytes(1 << 20), b"", b" two"]
    converse(["cat"], feed=pieces, take=out.take, what="cat")
    assert out.data == b"".join(pieces)


def test_output_without_end_does_not_hide_the_time() -> None:
    begin = time.monotonic()
    with pytest.raises(DeviceTimeout, match=r"Zeros did not end within 0\.3 s, and was ended"):
        converse(["cat", "/dev/zero"], feed=[], take=drop, what="Zeros", timeout_s=0.3)
    assert time.monotonic() - begin < 30


def test_silence_is_told_from_slowness() -> None:
    trickle = "for _ in 1 2 3 4 5 6 7 8; do echo .; sleep 0.1; done"
    assert converse(["sh", "-c", trickle], feed=[], take=drop, what="dots", silence_s=20.0)[0] == 0
    with pytest.raises(DeviceTimeout, match=r"Sleep did not move on for 0\.2 s"):
        converse(["sleep", "60"], feed=[], take=drop, what="Sleep", silence_s=0.2)


def test_a_program_that_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="none cannot be started: No such file"):
        converse([str(tmp_path / "none")], feed=[], take=drop, what="none")
    with pytest.raises(DeviceError, match="cannot be started"):
        converse(["true", "x" * (1 << 18)], feed=[], take=drop, what="true")


def test_a_line_without_end_is_limited() -> None:
    stream = ProcessStream(["cat", "/dev/zero"])
    with pytest.raises(DeviceError, match="longer than 8 MiB"):
        stream.read_line(60.0)
    stream.kill()
    assert stream.code == 137


def test_errors_of_a_stream_are_kept() -> None:
    with ProcessStream(["sh", "-c", "echo why >&2; exit 4"]) as stream:
        assert stream.read_line(60.0) is None
        assert (stream.code, stream.errors) == (4, b"why\n")


def test_what_arrives_appears_at_the_end(tmp_path: Path) -> None:
    local = tmp_path / "new" / "file"
    with Arrival(local, "/remote", 10) as arrival:
        arrival.take(b"12345")
        assert not local.exists()
        arrival.take(b"67890")
    assert local.read_bytes() == b"1234567890"
    with pytest.raises(DeviceError, match="/remote on the device is larger than the 10 bytes"):
        arrive(local, b"other", b"and more")
    assert local.read_bytes() == b"1234567890"
    assert list(local.parent.iterdir()) == [local]


def arrive(local: Path, *pieces: bytes) -> None:
    with Arrival(local, "/remote", 10) as arrival:
        for piece in pieces:
            arrival.take(piece)


def test_a_place_that_takes_no_files(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DeviceError, match=r"cannot be written: (Not a directory|File exists)"):
        arrive(tmp_path / "file" / "below")
    with pytest.raises(DeviceError, match="cannot be written: Is a directory"):
        arrive(tmp_path / "folder", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
