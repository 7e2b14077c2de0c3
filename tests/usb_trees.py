"""Trees like /sys/bus/usb/devices and /dev/bus/usb, written for a test."""

from __future__ import annotations

from pathlib import Path

ADB, FASTBOOT, STILL_IMAGE, MASS_STORAGE = (
    ("ff", "42", "01"),
    ("ff", "42", "03"),
    ("06", "01", "01"),
    ("08", "06", "50"),
)
KEYBOARD = ("03", "01", "01")


def plug_in(
    root: Path, path: str, vendor: str, *interfaces: tuple[str, str, str], label: str = "", nodes: Path | None = None
) -> None:
    """Writes a device at a path such as `1-2`; with `nodes` also its device file, which this user may open."""
    device = root / path
    device.mkdir(parents=True)
    for name, text in (("idVendor", vendor), ("idProduct", "4ee7"), ("bDeviceClass", "00"), ("serial", "SECRET1")):
        (device / name).write_text(f"{text}\n")
    (device / "busnum").write_text("1\n")
    (device / "devnum").write_text("7\n")
    for number, interface in enumerate(interfaces):
        folder = root / f"{path}:1.{number}"
        folder.mkdir()
        for part, value in zip(("Class", "SubClass", "Protocol"), interface, strict=True):
            (folder / f"bInterface{part}").write_text(f"{value}\n")
        if label:
            (folder / "interface").write_text(f"{label}\n")
    if nodes is not None:
        (nodes / "001").mkdir(parents=True, exist_ok=True)
        (nodes / "001" / "007").touch()
