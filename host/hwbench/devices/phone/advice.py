"""The next step for each way a phone can fail to be ready, chosen from what is known of it."""

from __future__ import annotations

from hwbench.devices.phone.adb_listing import AdbDevice

_BY_STATE = {
    "unauthorized": "Unlock the phone and accept its dialog that asks to allow USB debugging; "
    "if none comes, revoke the authorisations in its developer options and plug it in again.",
    "authorizing": "Unlock the phone and accept its dialog, then try again.",
    "no permissions": "Add a udev rule for the phone's USB vendor (`hwbench doctor` prints it), then plug it in again.",
    "offline": "Unplug the phone and plug it in again; if that does not help, `adb kill-server`.",
    "connecting": "Wait a moment, then try again; if it stays so, `adb kill-server`.",
    "bootloader": "Start Android: hold the power key, or `fastboot reboot`.",
    "recovery": "Start Android: choose `Reboot system now` on the phone, or `adb reboot`.",
    "sideload": "Start Android: choose `Reboot system now` on the phone, or `adb reboot`.",
    "rescue": "Start Android: choose `Reboot system now` on the phone, or `adb reboot`.",
}


def state_advice(device: AdbDevice) -> str:
    """One sentence with the next step for a phone that adb lists and that is not ready."""
    return _BY_STATE.get(device.state, "Unplug the phone and plug it in again, then `adb kill-server`.")
