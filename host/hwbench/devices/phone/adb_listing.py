"""`adb devices` and `adb devices -l`: which phones adb sees, and in what state."""

from __future__ import annotations

import re
from itertools import zip_longest

import msgspec

from hwbench.devices.phone.text import Printed, decode, shown
from hwbench.errors import DataError

STATES = ("device", "offline", "unauthorized", "authorizing", "connecting", "no permissions", "host", "recovery",
          "sideload", "rescue", "bootloader", "detached", "no device", "unknown")  # fmt: skip
_LONGEST_ROW = 2000
_STATE = re.compile(rf"(?<=[ \t])\**({'|'.join(STATES)})\**(?=[ \t;(]|$)")
_HEADING = re.compile(r"([ \t]*)List of devices attached(.*)")
_KEY = re.compile(r"(?:^|[ \t])(product|model|device|features|transport_id|usb):")
_NOISE = re.compile(
    r"\s*(?:\* |adb server |adb(?:\.exe)?: |adb [A-Z] |error ?:|WARNING|\$ |> |.{0,80}\badb(?:\.exe)? devices)"
)


class AdbDevice(msgspec.Struct, frozen=True):
    """A row. `serial` is as adb wants it back, blanks included; `detail` is the reason adb gives with a state."""

    serial: str
    state: str
    detail: str | None
    usb: str | None
    product: str | None
    model: str | None
    device: str | None
    features: tuple[str, ...]
    transport_id: int | None


def adb_devices(printed: Printed) -> tuple[AdbDevice, ...]:
    """The rows of a listing; none for an empty one.

    Raises DataError for text that is no listing, and for a row whose state cannot be told from its serial.
    """
    text = decode(printed)
    indent, headed = "", False
    found = []
    for line in text.split("\n"):
        row = line
        if heading := _HEADING.match(line):
            indent, row, headed = heading[1], heading[2], True
        row = row[:_LONGEST_ROW].removeprefix(indent).rstrip()
        if not row.strip() or _NOISE.match(row):
            continue
        found.append(_device(row))
    if not found and not headed:
        raise DataError(f"not a listing of adb devices: {shown(text)}.")
    return tuple(found)


def _device(row: str) -> AdbDevice:
    # The state is what is followed by keys or by nothing: a serial may hold the same word.
    states = list(_STATE.finditer(row))
    state = next((s for s in states if not row[s.end() :].strip() or _KEY.match(row[s.end() :])), None)
    state = next((s for s in states if s[1] == "no permissions"), None) or state or (states[0] if states else None)
    if state is None or not row[: state.start()].strip():
        raise DataError(f"no state in the row of adb devices: {shown(row)}.")
    before, after = row[: state.start()].rstrip(), row[state.end() :]
    # The first adb with -l printed the path between serial and state.
    serial, _, path = before.partition("\tusb:")
    keys = list(_KEY.finditer(after))
    values = {
        key[1]: after[key.end() : following.start() if following else len(after)].strip()
        for key, following in zip_longest(keys, keys[1:])
    }
    detail = after[: keys[0].start()] if keys else after
    transport = values.get("transport_id", "")
    return AdbDevice(
        serial=serial.rstrip(),
        state=state[1],
        detail=detail.strip(" ;") or None,
        usb=values.get("usb") or path.strip() or None,
        product=values.get("product") or None,
        model=values.get("model") or None,
        device=values.get("device") or None,
        features=tuple(filter(None, values.get("features", "").split(","))),
        transport_id=int(transport) if re.fullmatch(r"[0-9]{1,9}", transport) else None,
    )
