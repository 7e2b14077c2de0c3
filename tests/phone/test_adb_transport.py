"""The phone's transport passes the suite of all transports, through the real adb."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hwbench.devices.adb import AdbTransport
from hwbench.devices.adb_server import AdbServer
from hwbench.devices.transport import Transport
from hwbench.errors import DeviceTimeout
from tests.integration.transport_suite import TransportSuite
from tests.phone import binfmt
from tests.phone.adb_server import BOTH_ADBS
from tests.phone.adb_server import AdbServer as PrivateServer
from tests.phone.phone import VirtualPhone


@pytest.fixture(scope="module", params=BOTH_ADBS)
def connected(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbTransport]:
    """One phone and one server for all tests of the module."""
    binfmt.enable()
    server = PrivateServer(request.param, tmp_path_factory.mktemp("adb"))
    phone = VirtualPhone(tmp_path_factory.mktemp("phone") / "files")
    try:
        phone.start()
        server.connect(phone)
        yield AdbTransport(phone.serial, AdbServer(server.port))
    finally:
        phone.stop()
        server.stop()


class TestAdbTransport(TransportSuite):
    read_only = "/system"
    examples = 15

    @pytest.fixture
    def transport(self, connected: AdbTransport) -> Transport:
        return connected

    def test_what_ran_too_long_does_not_stay(self, transport: Transport, tmp_path: Path) -> None:
        # A phone's daemon tells the program that the connection ended, and not what that has started.
        self.put(transport, tmp_path, "here", b"")
        number = f"{transport.folder}/number"
        with pytest.raises(DeviceTimeout):
            transport.run(["sh", "-c", 'echo $$ > "$1"; exec sleep 600', "sh", number], timeout_s=2.0)
        transport.pull(number, tmp_path / "number", 1000)
        assert self.ends(transport, (tmp_path / "number").read_bytes().strip())
