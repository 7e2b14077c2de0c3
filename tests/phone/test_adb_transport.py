"""The phone's transport passes the suite of all transports, through the real adb."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwbench.devices.adb import AdbTransport
from hwbench.devices.transport import Transport
from hwbench.errors import DeviceTimeout
from tests.integration.transport_suite import TransportSuite
from tests.phone.adb_server import BOTH_ADBS
from tests.phone.phone import VirtualPhone


@pytest.mark.parametrize("adb_server", BOTH_ADBS, indirect=True)
class TestAdbTransport(TransportSuite):
    read_only = "/system"
    examples = 15

    @pytest.fixture
    def transport(self, phone: VirtualPhone) -> Transport:
        return AdbTransport(phone.serial)

    def test_what_ran_too_long_does_not_stay(self, transport: Transport, tmp_path: Path) -> None:
        # A phone's daemon tells the program that the connection ended, and not what that has started.
        self.put(transport, tmp_path, "here", b"")
        number = f"{transport.folder}/number"
        with pytest.raises(DeviceTimeout):
            transport.run(["sh", "-c", 'echo $$ > "$1"; exec sleep 600', "sh", number], timeout_s=2.0)
        transport.pull(number, tmp_path / "number", 1000)
        assert self.ends(transport, (tmp_path / "number").read_bytes().strip())
