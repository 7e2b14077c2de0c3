"""What is on the USB of this computer, as far as it tells why adb lists no phone. Serial numbers are not read."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

# By USB vendor id: makers of phones, and of the chips in phones that keep the chip's id.
MAKERS = {
    "04e8": "Samsung", "05c6": "Qualcomm", "0955": "Nvidia", "0bb4": "HTC", "0e8d": "MediaTek", "0fce": "Sony",
    "1004": "LG", "109b": "Hisense", "12d1": "Huawei", "17ef": "Lenovo", "1949": "Amazon", "18d1": "Google",
    "19d2": "ZTE", "2207": "Rockchip", "22b8": "Motorola", "22d9": "OPPO", "2717": "Xiaomi", "2a45": "Meizu",
    "2a70": "OnePlus", "2ae5": "Fairphone", "2d95": "vivo", "2e04": "Nokia", "339b": "Honor", "0b05": "Asus",
}  # fmt: skip
_ADB, _FASTBOOT = ("ff", "42", "01"), ("ff", "42", "03")
_IMAGES = "06"
# Keyboards, printers, disks, hubs, cameras of laptops and radios are made by makers of phones, too.
_OTHER_CLASSES = {"03", "07", "08", "09", "0e", "e0"}
_PATH = re.compile(r"[0-9]+-[0-9.]+")
_INTERFACE = re.compile(r"[0-9]+-[0-9.]+:[0-9]+\.[0-9]+")


class UsbDevice(msgspec.Struct, frozen=True):
    """`path` is as adb prints it after `usb:`; `files`: it offers file transfer; `accessible`: we may open it."""

    path: str
    vendor: str
    product: str
    maker: str | None
    adb: bool
    fastboot: bool
    files: bool
    phone: bool
    accessible: bool


def usb_devices(
    root: Path = Path("/sys/bus/usb/devices"), nodes: Path = Path("/dev/bus/usb")
) -> tuple[UsbDevice, ...] | None:
    """What is plugged in, root hubs left out; None where the system does not say (it is Linux that does)."""
    try:
        names = sorted(entry.name for entry in root.iterdir())
    except OSError:
        return None
    return tuple(_device(root, name, names, nodes) for name in names if _PATH.fullmatch(name))


def maker_at(path: str | None, root: Path = Path("/sys/bus/usb/devices")) -> str | None:
    """Who made what is at that path, e.g. `1-2`; None: not known."""
    if path is None or not _PATH.fullmatch(path):
        return None
    return MAKERS.get(_line(root / path / "idVendor"))


def _device(root: Path, name: str, names: list[str], nodes: Path) -> UsbDevice:
    folder = root / name
    interfaces = [root / other for other in names if _INTERFACE.fullmatch(other) and other.split(":")[0] == name]
    kinds = {
        tuple(_line(i / f"bInterface{part}") for part in ("Class", "SubClass", "Protocol")): _line(i / "interface")
        for i in interfaces
    }
    vendor, product = _line(folder / "idVendor"), _line(folder / "idProduct")
    adb, fastboot = _ADB in kinds, _FASTBOOT in kinds
    files = any(kind[0] == _IMAGES for kind in kinds) or "MTP" in kinds.values()
    other = {kind[0] for kind in kinds} | {_line(folder / "bDeviceClass")}
    bus, number = _line(folder / "busnum"), _line(folder / "devnum")
    node = nodes / bus.zfill(3) / number.zfill(3)
    return UsbDevice(
        path=name,
        vendor=vendor,
        product=product,
        maker=MAKERS.get(vendor),
        adb=adb,
        fastboot=fastboot,
        files=files,
        phone=adb or fastboot or files or (vendor in MAKERS and not other & _OTHER_CLASSES),
        accessible=os.access(node, os.R_OK | os.W_OK),
    )


def _line(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()[:80]
    except OSError:
        return ""
