"""What adb says when it fails, told by the words that every version has in common."""

from __future__ import annotations

import re

import msgspec

from hwbench.devices.phone.text import Printed, decode, shown
from hwbench.errors import DataError

# In order: a text with several of them is named by the first, which is nearest to the cause.
_KINDS = (
    ("unauthorized", r"device unauthorized|device still authorizing"),
    ("no_permissions", r"insufficient permissions for device|usb permission failure|no permissions"),
    ("more_than_one", r"more than one (?:device|emulator)"),
    ("offline", r"device offline|device '[^'\n]{0,200}' is offline"),
    ("not_found", r"device '[^'\n]{0,200}' not found|device not found"),
    ("no_devices", r"no devices/emulators found|no devices found"),
    ("protocol_fault", r"protocol fault"),
    (
        "server_unreachable",
        r"cannot connect to daemon|failed to check server version|cannot bind|failed to start daemon",
    ),
    ("no_space", r"no space left on device|not enough space"),
    ("read_only", r"read-only file system"),
    ("refused", r"permission denied|operation not permitted"),
    ("connection_lost", r"\bclosed\b|connection reset|broken pipe|device disconnected"),
)
_NOISE = re.compile(r"\s*(?:\* daemon|adb server version|Performing |$)")
_SERVER_REPLACED = re.compile(r"adb server (?:version|is out of date).{0,80}killing", re.DOTALL)


class AdbFailure(msgspec.Struct, frozen=True):
    """`kind` is one word for code; `message` is adb's own line; `server_replaced`: another adb was killed for this."""

    kind: str
    message: str
    server_replaced: bool


def adb_failure(printed: Printed) -> AdbFailure:
    """Why adb failed. Raises DataError for text that holds no failure that is known."""
    text = decode(printed)
    lines = [line.strip() for line in text.split("\n") if not _NOISE.match(line)]
    for kind, words in _KINDS:
        for line in lines:
            if re.search(words, line[:2000], re.IGNORECASE) and not re.search(r"[ \t]fastboot$", line):
                return AdbFailure(kind, line, _SERVER_REPLACED.search(text) is not None)
    if any(re.search(r"[ \t]fastboot$", line) for line in lines):
        raise DataError("a listing of fastboot, not of adb: the phone is in its boot loader.")
    raise DataError(f"adb names no failure that is known: {shown(text)}.")
