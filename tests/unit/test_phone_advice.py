"""What a user is told to do next, for each way a phone can fail and from what is known of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench import errors
from hwbench.devices.phone import advice
from hwbench.devices.phone.adb_listing import STATES, AdbDevice, adb_devices
from hwbench.devices.usb import MAKERS, maker_at, usb_devices
from hwbench.errors import DeviceError, HwbenchError, RunnerError, SeveralDevices
from tests import usb_trees
from tests.usb_trees import plug_in

MAKER_NAMES = [None, "", "samsung", "Xiaomi", "Redmi", "HUAWEI", "HONOR", "OnePlus", "realme", "Google", "unheard of"]


def listed(row: str) -> AdbDevice:
    (device,) = adb_devices(f"List of devices attached\n{row}\n")
    return device


def is_advice(text: str) -> bool:
    """A whole sentence that fits a terminal or two."""
    return 10 < len(text) < 400 and text.endswith(".") and text[0].isupper() | (text[0] in "`") and "\n" not in text


def every(kind: type[HwbenchError]) -> list[type[HwbenchError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in every(child))]


@pytest.mark.parametrize("maker", MAKER_NAMES)
@pytest.mark.parametrize("state", [state for state in STATES if state != "device"])
def test_every_state_has_a_next_step(state: str, maker: str | None) -> None:
    assert is_advice(advice.state_advice(listed(f"R58M\t{state}"), maker)), state


@pytest.mark.parametrize("maker", MAKER_NAMES)
@pytest.mark.parametrize("kind", [*every(DeviceError), *every(RunnerError), SeveralDevices], ids=lambda k: k.__name__)
def test_every_error_has_a_next_step(kind: type[HwbenchError], maker: str | None) -> None:
    assert is_advice(advice.error_advice(kind, maker)), kind
    if kind is not errors.RunnerCrashed and kind is not errors.RunnerError:
        assert kind in advice._ERRORS, f"{kind.__name__} has no advice of its own"


@pytest.mark.parametrize(
    ("row", "maker", "words"),
    [
        ("R58M\tunauthorized", None, ["accept its dialog", "Revoke USB debugging"]),
        ("R58M\tunauthorized", "Samsung", ["accept its dialog", "Auto Blocker"]),
        ("R58M\toffline", "Huawei", ["charge only"]),
        ("R58M\toffline", None, ["adb kill-server"]),
        ("10.0.0.5:5555\toffline", None, ["network", "adb disconnect 10.0.0.5:5555"]),
        ("R58M\tno permissions; see [http://developer.android.com/tools/device.html]", None, ["udev rule"]),
        ("R58M\tno permissions (user in plugdev group; are your udev rules wrong?); see [x]", None, ["udev rule"]),
        ("R58M\tno permissions (user x is not in the plugdev group); see [x]", None, ["usermod -aG plugdev"]),
        ("R58M\tno permissions (udev requires plugdev group membership); see [x]", None, ["usermod -aG plugdev"]),
        ("R58M\trecovery", None, ["Reboot system now"]),
        ("R58M\tbootloader", None, ["fastboot reboot"]),
    ],
)
def test_the_step_fits_the_evidence(row: str, maker: str | None, words: list[str]) -> None:
    text = advice.state_advice(listed(row), maker)
    for word in words:
        assert word in text


@pytest.mark.parametrize(
    ("said", "maker", "word"),
    [
        ("Failure [INSTALL_FAILED_USER_RESTRICTED: Install canceled by user]", "Xiaomi", "Install via USB"),
        ("SecurityException: Injecting input events requires INJECT_EVENTS", "POCO", "Security settings"),
        ("uid 2000 does not have android.permission.WRITE_SECURE_SETTINGS", "OnePlus", "permission monitoring"),
        ("uid 2000 does not have android.permission.WRITE_SECURE_SETTINGS", "Google", "own menu"),
        ("Shell does not have permission to access user 10", None, "first user"),
        ("couldn't create file: Permission denied", None, "/data/local/tmp"),
        ("write failed: No space left on device", None, "Free some space"),
    ],
)
def test_refusals(said: str, maker: str | None, word: str) -> None:
    assert word in advice.refusal_advice(said, maker)
    assert is_advice(advice.refusal_advice(said, maker))


@given(st.text(max_size=300), st.sampled_from(MAKER_NAMES))
def test_any_refusal_has_a_next_step(said: str, maker: str | None) -> None:
    assert is_advice(advice.refusal_advice(said, maker))


@pytest.mark.parametrize(
    ("build", "old"),
    [("29.0.6-debian", True), ("28.0.2", True), ("30.0.0", False), ("36.0.0-13206524", False), (None, False)],
)
def test_pairing_needs_platform_tools_30(build: str | None, old: bool) -> None:
    text = advice.pairing_advice(build)
    assert ("too old to pair" in text) == old
    assert is_advice(text)


@pytest.mark.parametrize("maker", MAKER_NAMES)
def test_settings_are_sentences(maker: str | None) -> None:
    for text in advice.settings_advice(maker):
        assert is_advice(text)
    assert advice.settings_advice("Redmi") == advice.settings_advice("Xiaomi") != ()
    assert advice.settings_advice("Google") == ()


def test_the_udev_rule_is_one_line_for_one_maker_or_for_all() -> None:
    assert 'ATTR{idVendor}=="18d1"' in advice.udev_rule("18d1")
    assert "ff4201" in advice.udev_rule()
    for steps in (advice.udev_steps(), advice.udev_steps("18d1")):
        assert steps.count("\n") == 2
        assert 'TAG+="uaccess"' in steps
    for hostile in ("18D1", "18d1'; rm -rf /", "", "18d1\n"):
        with pytest.raises(ValueError, match="vendor id"):
            advice.udev_rule(hostile)


def test_nothing_on_the_usb(tmp_path: Path) -> None:
    assert usb_devices(tmp_path / "missing") is None
    assert "build number seven times" in advice.unlisted_advice(None)
    plug_in(tmp_path, "1-3", "046d", usb_trees.KEYBOARD)
    plug_in(tmp_path, "1-4", "04e8", usb_trees.MASS_STORAGE)
    assert "another cable" in advice.unlisted_advice(usb_devices(tmp_path))


@pytest.mark.parametrize(
    ("vendor", "interfaces", "open_to_us", "words"),
    [
        ("04e8", [usb_trees.STILL_IMAGE], True, ["Samsung", "without USB debugging", "seven times"]),
        ("12d1", [usb_trees.STILL_IMAGE], True, ["Huawei", "charge only"]),
        ("18d1", [], True, ["Google", "without USB debugging"]),
        ("ffff", [usb_trees.STILL_IMAGE], True, ["phone or camera"]),
        ("18d1", [usb_trees.ADB], False, ["Google device at USB 1-2", "udev rule"]),
        ("abcd", [usb_trees.ADB], False, ["What is at USB 1-2", "udev rule"]),
        ("18d1", [usb_trees.ADB], True, ["adb kill-server"]),
        ("18d1", [usb_trees.FASTBOOT], True, ["boot loader", "fastboot reboot"]),
    ],
)
def test_what_is_on_the_usb_decides(
    tmp_path: Path, vendor: str, interfaces: list[tuple[str, str, str]], open_to_us: bool, words: list[str]
) -> None:
    root, nodes = tmp_path / "sys", tmp_path / "dev"
    plug_in(root, "1-2", vendor, *interfaces, nodes=nodes if open_to_us else None)
    found = usb_devices(root, nodes)
    assert found is not None
    text = advice.unlisted_advice(found)
    for word in words:
        assert word in text
    assert is_advice(text)
    assert "SECRET1" not in repr(found)
    assert maker_at("1-2", root) == MAKERS.get(vendor)


def test_file_transfer_is_told_by_its_name_too(tmp_path: Path) -> None:
    plug_in(tmp_path, "3-1.4", "2717", ("ff", "ff", "00"), label="MTP")
    ((device,),) = (usb_devices(tmp_path),)
    assert device.files
    assert not device.adb
    assert device.path == "3-1.4"


def test_hostile_trees(tmp_path: Path) -> None:
    plug_in(tmp_path, "1-2", "18d1", usb_trees.ADB)
    (tmp_path / "1-2" / "idVendor").write_bytes(b"\xff" * 5000)
    (tmp_path / "1-2:1.0" / "bInterfaceClass").unlink()
    (tmp_path / "1-9").write_text("a file")
    (tmp_path / "usb1").mkdir()
    found = usb_devices(tmp_path)
    assert found is not None
    assert [device.path for device in found] == ["1-2", "1-9"]
    for path in ("../../etc", "1-2/../..", "/", "", None, "1-9"):
        assert maker_at(path, tmp_path) is None


def test_makers_are_vendor_ids() -> None:
    assert all(re.fullmatch(r"[0-9a-f]{4}", vendor) for vendor in MAKERS)
