"""The next step for each way a phone can fail, chosen from what is known of it. One sentence each.

The names of makers' settings are those that users of their phones report; none was tried on a phone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from hwbench import errors
from hwbench.devices.phone.adb_listing import AdbDevice
from hwbench.devices.phone.text import printable
from hwbench.devices.usb import UsbDevice
from hwbench.errors import HwbenchError

_OLDEST_PAIRING_TOOLS = 30
_FAMILIES = {
    "xiaomi": ("xiaomi", "redmi", "poco"),
    "samsung": ("samsung",),
    "huawei": ("huawei", "honor"),
    "oppo": ("oppo", "oneplus", "realme"),
}
_RESTART = "Start Android: choose `Reboot system now` on the phone, or `adb reboot`."
_REPLUG = "Unplug it and plug it in again, and if that does not help, `adb kill-server` and try again."
_ACCEPT = "Unlock the phone and accept its dialog that asks to allow USB debugging, with `Always allow`"
_STATES = {
    "unauthorized": f"{_ACCEPT}; if none comes, choose `Revoke USB debugging authorisations` in its developer options "
    "and plug it in again.",
    "authorizing": f"{_ACCEPT}, then try again.",
    "connecting": "Wait a moment, then try again; if it stays so, `adb kill-server` and plug it in again.",
    "offline": f"Unlock the phone; {_REPLUG[0].lower()}{_REPLUG[1:]}",
    "host": "Use a cable that makes the phone the device and this computer the host, and plug it in again.",
    "bootloader": "Start Android: choose `Start` on the phone, or `fastboot reboot`.",
    "recovery": _RESTART,
    "sideload": _RESTART,
    "rescue": _RESTART,
}
_ERRORS: dict[type[HwbenchError], str] = {
    errors.SeveralDevices: "Name one with --device adb:SERIAL; `hwbench devices` lists them.",
    errors.DeviceError: "`hwbench doctor --report` prints what an issue about it needs.",
    errors.DeviceBusy: "Wait until the other hwbench ends, or end it.",
    errors.NoDevice: "Plug a phone in with USB debugging on; `hwbench doctor` says what to check.",
    errors.DeviceNotFound: "`hwbench devices` lists what is attached.",
    errors.DeviceUnauthorized: _STATES["unauthorized"],
    errors.DeviceNoPermissions: "Add a udev rule for the phone (`hwbench doctor` prints it), then plug it in again.",
    errors.DeviceOffline: _STATES["offline"],
    errors.DeviceNotBooted: _RESTART,
    errors.ConnectionRefused: "Switch on `Wireless debugging` on the phone and use the address and port it shows now, "
    "or `adb tcpip 5555` while it is on a cable.",
    errors.AdbUnavailable: "`adb kill-server`, then try again; `hwbench doctor` says which adb is used.",
    errors.SshUnavailable: "Install an OpenSSH client, e.g. `apt install openssh-client`.",
    errors.DeviceLost: "Check the cable (or the network), keep the screen unlocked, then continue with --resume.",
    errors.TransferBroken: "Check the cable, use another port or no hub, then continue with --resume.",
    errors.DeviceTimeout: "Unlock the phone and close what runs on it; if it does not answer then, restart it.",
    errors.DeviceFull: "Free some space on the phone, or clear what earlier runs left in /data/local/tmp.",
    errors.DeviceRefused: "Only /data/local/tmp can be written and run from without root; use the phone's first user.",
    errors.RemoteFileMissing: "Run the command again; if it is missing again, send what `hwbench doctor --report` "
    "prints.",
    errors.RunnerError: "Continue with --resume; if it fails again, send what `hwbench doctor --report` prints.",
    errors.RunnerCrashed: "Continue with --resume; if it ends again, send what `hwbench doctor --report` prints.",
    errors.RunnerNotExecutable: "Free /data/local/tmp of files of another user, or use the phone's first user.",
    errors.RunnerIncomplete: "`hwbench runner fetch --target android-arm64`, then try again.",
    errors.RunnerIllegal: "Use a phone with a 64-bit Arm processor, or build the runner for this one.",
    errors.RunnerAborted: "Continue with --resume; if it gives up again, try `--preset quick` or the other engine.",
    errors.RunnerBusError: "Check that the phone has free space, then continue with --resume.",
    errors.RunnerKilled: "Close other apps and keep the screen on, then continue with --resume.",
    errors.RunnerSegfault: "Continue with --resume; if it crashes again, try the other engine and send the report.",
    errors.RunnerForbidden: "Use another phone: its system forbids a call that the runner needs.",
    errors.RunnerTimeout: "Switch battery saver off and keep the screen unlocked, then continue with --resume.",
    errors.TimeLimitReached: "Continue with --resume, or give a longer --time-limit.",
}
_SETTINGS = {
    "xiaomi": (
        "Switch on `USB debugging (Security settings)` in the developer options; it asks for a Xiaomi account.",
        "Switch on `Install via USB` in the developer options before an app is installed.",
    ),
    "samsung": (
        "Switch off `Auto Blocker` in Settings, Security and privacy: it blocks commands over USB, and may switch "
        "itself on again.",
    ),
    "huawei": (
        "Switch on `Allow ADB debugging in charge only mode` in the developer options: without it debugging ends "
        "when the phone falls back to charging.",
    ),
    "oppo": (
        "Switch on `Disable permission monitoring` in the developer options, then switch USB debugging off and on.",
    ),
}


def state_advice(device: AdbDevice, maker: str | None = None) -> str:
    """The next step for a phone that adb lists and that is not ready. `maker` may be read from its USB vendor id."""
    kind = family(maker)
    if device.state == "no permissions":
        return _permissions_advice(device.detail or "")
    if device.state in ("unauthorized", "offline") and kind == "samsung":
        return f"{_STATES[device.state]} If Auto Blocker is on, switch it off first."
    if device.state in ("unauthorized", "offline") and kind == "huawei":
        return f"{_STATES[device.state]} If it is set to charge only, allow ADB debugging in that mode."
    if device.state == "offline" and ":" in device.serial:
        return f"Check that the phone is awake and in this network, then `adb disconnect {printable(device.serial)}`."
    return _STATES.get(device.state, _REPLUG)


def error_advice(kind: type[HwbenchError], maker: str | None = None) -> str:
    """The next step after an error of a device or its runner, by its class."""
    advice = next((_ERRORS[base] for base in kind.__mro__ if base in _ERRORS), _ERRORS[errors.DeviceError])
    if kind is errors.RunnerKilled and family(maker) is not None:
        return advice.removesuffix(".") + "; some makers end what runs long in the background."
    return advice


def refusal_advice(said: str, maker: str | None = None) -> str:
    """The next step after the phone refused something, told from its words."""
    kind = family(maker)
    if re.search(r"INSTALL_FAILED_USER_RESTRICTED", said):
        where = " (Xiaomi: with an account signed in)" if kind == "xiaomi" else ""
        return f"Switch on `Install via USB` in the developer options{where}, and accept the dialog on the phone."
    if re.search(r"permission to access user|no_debugging_features|cross-user", said, re.IGNORECASE):
        return "Switch to the phone's first user: a second user or a work profile is closed to USB debugging."
    if re.search(r"SecurityException|does not have android\.permission|INJECT_EVENTS", said):
        return _SETTINGS[kind][0] if kind in ("xiaomi", "oppo") else "Leave that setting to the phone's own menu."
    if re.search(r"no space left|not enough space", said, re.IGNORECASE):
        return _ERRORS[errors.DeviceFull]
    return _ERRORS[errors.DeviceRefused]


def unlisted_advice(devices: Sequence[UsbDevice] | None) -> str:
    """The next step when adb lists no phone, from what is on the USB; None: that is not known."""
    phones = [device for device in devices or () if device.phone]
    if devices is None:
        return f"Plug the phone in with a cable that carries data, and {_debugging()}."
    if not phones:
        return (
            "This computer sees no phone on its USB: use another cable (some only charge) or port, and no hub, "
            "or unlock the phone and choose file transfer."
        )
    for device in phones:
        name = f"The {device.maker} device at USB {device.path}" if device.maker else f"What is at USB {device.path}"
        if device.fastboot:
            return f"{name} is in its boot loader: {_STATES['bootloader'][0].lower()}{_STATES['bootloader'][1:]}"
        if device.adb and not device.accessible:
            return f"{name} may not be opened by you: add a udev rule for it, then plug it in again."
        if device.adb:
            return (
                f"{name} has USB debugging on and adb does not list it: `adb kill-server`, then plug it in again; "
                "end other programs that use it, such as a browser's or a virtual machine's."
            )
    maker = phones[0].maker
    name = f"a {maker} device" if maker else "a phone or camera"
    extra = f" {_SETTINGS['huawei'][0]}" if family(maker) == "huawei" else ""
    return f"{name[0].upper()}{name[1:]} is on the USB, without USB debugging: {_debugging()}.{extra}"


def pairing_advice(build: str | None) -> str:
    """How to attach a phone over Wi-Fi with that build of adb, e.g. `29.0.6-debian`; None: not known."""
    if too_old_to_pair(build):
        return (
            f"This adb ({build}) is too old to pair over Wi-Fi (version {_OLDEST_PAIRING_TOOLS} can): use newer "
            "platform tools, or `adb tcpip 5555` on a cable and then `adb connect ADDRESS:5555`."
        )
    return (
        "Over Wi-Fi (Android 11 and later): `Wireless debugging`, `Pair device with pairing code`, then `adb pair "
        "ADDRESS:PORT` with that code, then `adb connect` with the other port that the phone shows."
    )


def too_old_to_pair(build: str | None) -> bool:
    major = re.match(r"[0-9]{1,4}", build or "")
    return major is not None and int(major[0]) < _OLDEST_PAIRING_TOOLS


def settings_advice(maker: str | None) -> tuple[str, ...]:
    """What to set on a phone of that maker before it is measured, besides USB debugging; often nothing."""
    kind = family(maker)
    return _SETTINGS[kind] if kind else ()


def udev_rule(vendor: str | None = None) -> str:
    """A rule that lets the person at this computer, and the group plugdev, use the phones of a USB vendor id.

    None: whatever offers ADB. It belongs into a file whose number is below 73, where access is granted.
    """
    if vendor is not None and not re.fullmatch(r"[0-9a-f]{4}", vendor):
        raise ValueError("a USB vendor id has four lower-case hexadecimal digits")
    match = f'ATTR{{idVendor}}=="{vendor}"' if vendor else 'ENV{ID_USB_INTERFACES}=="*:ff4201:*"'
    return f'SUBSYSTEM=="usb", {match}, MODE="0660", GROUP="plugdev", TAG+="uaccess"'


def udev_steps(vendor: str | None = None) -> str:
    """The shell commands that install the rule, one a line."""
    return (
        f"echo '{udev_rule(vendor)}' | sudo tee /etc/udev/rules.d/51-android.rules\n"
        "sudo udevadm control --reload && sudo udevadm trigger\n"
        "adb kill-server"
    )


def family(maker: str | None) -> str | None:
    """The family of makers whose phones have the same settings; None: one without settings of its own."""
    words = (maker or "").lower().split()
    return next((name for name, brands in _FAMILIES.items() if any(word in brands for word in words)), None)


def _permissions_advice(detail: str) -> str:
    if "plugdev" in detail and ("not in" in detail or "requires" in detail):
        return "`sudo usermod -aG plugdev $LOGNAME`, sign in anew, then `adb kill-server` and try again."
    return "Add a udev rule for the phone (`hwbench doctor` prints it), `adb kill-server`, then plug it in again."


def _debugging() -> str:
    return (
        "in Settings, About phone, tap the build number seven times, then switch on `USB debugging` in the developer "
        "options"
    )
