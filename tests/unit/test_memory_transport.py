"""The device in memory: what it records, and the faults that a test can set."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwbench.devices.memory_transport import InMemoryTransport, Request, Running
from hwbench.devices.transport import OUTPUT_LIMIT_BYTES, Finished, PushFile, Transport
from hwbench.errors import (
    DeviceError,
    DeviceFull,
    DeviceLost,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnauthorized,
    TransferBroken,
)


@pytest.fixture
def memory() -> InMemoryTransport:
    found = InMemoryTransport({"/etc/text": b"plain"})
    found.answer("echo", lambda request: Finished(0, " ".join(request.words[1:]).encode() + b"\n", b""))
    found.answer("watch", lambda request: Running(b"ready\n"))
    return found


@pytest.fixture
def three(tmp_path: Path) -> list[PushFile]:
    (tmp_path / "ten").write_bytes(bytes(10))
    return [PushFile(tmp_path / "ten", f"/data/{name}") for name in "abc"]


def test_commands_are_recorded_in_order(memory: InMemoryTransport) -> None:
    transport: Transport = memory
    assert transport.run(["echo", "a b"], stdin=b"x").stdout == b"a b\n"
    assert transport.run(["none"]) == Finished(127, b"", b"none: not found\n")
    assert transport.run(["/etc/text"]).code == 126
    transport.open(["watch"]).close()
    assert memory.requests == [
        Request(("echo", "a b"), b"x"), Request(("none",), b""), Request(("/etc/text",), b""),
        Request(("watch",), None),
    ]  # fmt: skip


def test_a_function_sees_the_files_and_may_refuse(memory: InMemoryTransport) -> None:
    memory.answer("cat", lambda request: Finished(0, memory.files[request.words[1]], b""))
    assert memory.run(["cat", "/etc/text"]).stdout == b"plain"

    def locked(request: Request) -> Finished:
        raise DeviceUnauthorized("locked")

    memory.answer("cat", locked)
    with pytest.raises(DeviceUnauthorized):
        memory.run(["cat", "/etc/text"])


def test_what_does_not_end_runs_out_of_time(memory: InMemoryTransport) -> None:
    with pytest.raises(DeviceTimeout, match="watch did not end within 2 s"):
        memory.run(["watch"], timeout_s=2.0)


def test_an_answer_is_limited_like_any_output(memory: InMemoryTransport) -> None:
    memory.answer("much", lambda request: Finished(0, bytes(OUTPUT_LIMIT_BYTES + 1), b""))
    with pytest.raises(DeviceError, match="more than 8 MiB"):
        memory.run(["much"])


@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_lost_device_stays_lost_until_it_is_connected_again(memory: InMemoryTransport, after: int) -> None:
    memory.lose(after)
    for _ in range(after):
        assert memory.run(["echo"]).code == 0
    for _ in range(2):
        with pytest.raises(DeviceLost):
            memory.run(["echo"])
    memory.reconnect(1.0)
    assert memory.run(["echo"]).code == 0


def test_a_device_that_does_not_come_back(memory: InMemoryTransport) -> None:
    memory.lose(comes_back=False)
    with pytest.raises(DeviceLost):
        memory.run(["echo"])
    with pytest.raises(DeviceLost, match="did not come back within 5 s"):
        memory.reconnect(5.0)


def test_any_other_fault_happens_once(memory: InMemoryTransport, tmp_path: Path) -> None:
    memory.fail(DeviceTimeout("slow"), after=1)
    assert memory.run(["echo"]).code == 0
    with pytest.raises(DeviceTimeout, match="slow"):
        memory.pull("/etc/text", tmp_path / "text", 100)
    memory.pull("/etc/text", tmp_path / "text", 100)
    assert (tmp_path / "text").read_bytes() == b"plain"


def test_a_push_breaks_in_the_middle(memory: InMemoryTransport, three: list[PushFile]) -> None:
    memory.lose(after=2)
    with pytest.raises(TransferBroken, match="/data/c"):
        memory.push(three)
    assert sorted(memory.files) == ["/data/a", "/data/b", "/etc/text"]


def test_a_stream_does_not_outlive_its_connection(memory: InMemoryTransport) -> None:
    with memory.open(["watch"]) as stream:
        assert stream.read_line(1.0) == b"ready"
        memory.lose()
        with pytest.raises(DeviceLost):
            stream.read_line(1.0)
        memory.reconnect(1.0)
        with pytest.raises(DeviceLost):
            stream.read_line(1.0)


def test_capacity_counts_all_files(memory: InMemoryTransport, three: list[PushFile]) -> None:
    memory.capacity_bytes = len(b"plain") + 20
    memory.push(three[:2])
    memory.push(three[:2])
    with pytest.raises(DeviceFull, match="/data/c"):
        memory.push(three)
    memory.read_only = ("/data",)
    with pytest.raises(DeviceRefused, match="Read-only"):
        memory.push(three)
