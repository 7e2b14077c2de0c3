"""The transports that need no device go through the suite: this computer, and a device in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hwbench.devices.local_transport import LocalTransport
from hwbench.devices.memory_transport import Answer, InMemoryTransport, Request, Running
from hwbench.devices.transport import Transport
from tests.integration.transport_suite import TransportSuite, small_disk


class TestLocal(TransportSuite):
    @pytest.fixture
    def transport(self, tmp_path: Path) -> Transport:
        return LocalTransport(tmp_path / "device")

    @pytest.fixture
    def full(self, tmp_path: Path) -> Iterator[str]:
        with small_disk(tmp_path / "small") as folder:
            yield folder


class TestInMemory(TransportSuite):
    """Its programs are this computer's, run to their end; what would wait for its input is answered as running."""

    read_only = "/system"
    test_what_ran_too_long_does_not_stay = None  # There are no processes.

    @pytest.fixture
    def transport(self, tmp_path: Path) -> Transport:
        memory = InMemoryTransport(folder="/data/hwbench")
        memory.read_only = (self.read_only,)
        here = LocalTransport(tmp_path / "programs")

        def program(request: Request) -> Answer:
            script = request.words[-1]
            if request.stdin is None and script.endswith("exec cat"):
                return Running(here.run([*request.words[:-1], script.removesuffix("exec cat")]).stdout)
            return here.run(request.words, stdin=request.stdin or b"")

        for name in ("printf", "sh", "cat", "head"):
            memory.answer(name, program)
        memory.answer("sleep", lambda request: Running())
        return memory

    @pytest.fixture
    def full(self, transport: InMemoryTransport) -> str:
        transport.capacity_bytes = 1 << 16
        return "/data"

    def mode(self, transport: Transport, path: str) -> int:
        assert isinstance(transport, InMemoryTransport)
        return transport.modes[path]

    def test_closing_a_stream_ends_its_input(self, transport: Transport) -> None:
        with transport.open(["sh", "-c", "echo up; exec cat"]) as stream:
            assert stream.code is None
        assert stream.code == 0
