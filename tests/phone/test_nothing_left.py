"""Nothing of hwbench's stays on a phone: not what a dead run left, and not a bundle that did not fit."""

from __future__ import annotations

import pytest

from hwbench.devices.finding import find
from hwbench.errors import DeviceFull
from tests.integration.bundles import built, own_cache
from tests.phone.adb_server import AdbServer
from tests.phone.faults import Faults, Moment
from tests.phone.phone import VirtualPhone

FOLDER = "/data/local/tmp/hwbench"


def test_what_a_dead_run_left_goes_when_the_next_one_has_ended(adb_server: AdbServer, phone: VirtualPhone) -> None:
    work = f"{FOLDER}/work-0123456789abcdef"
    left = phone.root / work.lstrip("/")
    adb_server.shell(phone, f"mkdir -p {work} && touch {work}/launch-0.results.jsonl").check_returncode()
    built("android-arm64")
    with own_cache():
        device = find(f"adb:{phone.serial}")
        with pytest.raises(KeyError), device.lock():
            # What another session has not brought back yet stays until this one has come to its end.
            raise KeyError
        assert left.exists()
        with device.lock():
            pass
    assert not left.parent.exists()


def test_a_full_phone_keeps_no_part_of_the_bundle(phone: VirtualPhone) -> None:
    phone.set_faults(Faults(free_bytes=1 << 20))
    built("android-arm64")
    with own_cache():
        device = find(f"adb:{phone.serial}")
        with pytest.raises(DeviceFull), device.lock():
            pass
    assert not (phone.root / FOLDER.lstrip("/")).exists()


def test_a_phone_that_reboots_while_it_is_put_back_is_put_back(phone: VirtualPhone) -> None:
    built("android-arm64")
    with own_cache():
        device = find(f"adb:{phone.serial}")
        with device.lock():
            assert phone.settings("system")
            phone.set_faults(Faults(moment=Moment(command="controls.sh"), effect="reboot"))
    assert phone.settings("system") == {}
    assert not (phone.root / FOLDER.lstrip("/")).exists()
