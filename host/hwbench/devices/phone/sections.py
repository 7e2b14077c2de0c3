"""What state.sh printed, by section. Its boundaries carry a token that nothing on the phone knows beforehand."""

from __future__ import annotations

import re
import secrets

import msgspec

from hwbench.devices.phone.sysfs import refusals
from hwbench.devices.phone.text import decode, shown

_TOKEN = re.compile(r"[0-9a-f]{8,64}")


class Sections(msgspec.Struct, frozen=True):
    """What each section holds, and by name the reason for each that cannot be used.

    `complete`: the last line was there, and as many sections before it as it counts.
    """

    bodies: dict[str, bytes]
    refused: dict[str, str]
    complete: bool

    def reason(self, name: str) -> str:
        """Why there is no section of that name."""
        return self.refused.get(name, "not asked" if self.complete else "the output ends before it")


def new_token() -> str:
    """A token for one session."""
    return secrets.token_hex(16)


def is_last(line: bytes, token: str) -> bool:
    """Whether a line ends the sections of one reading."""
    return line.startswith(f"{token} complete ".encode())


def split(printed: bytes, token: str) -> Sections:
    """The sections of one reading; never fails.

    A section without its end, printed twice, or whose command failed is refused: a boundary that is not where it
    belongs means that what lies around it is not what the command printed. Raises ValueError for an unusable token.
    """
    if not _TOKEN.fullmatch(token):
        raise ValueError(f"not a token: {token!r}")
    boundary = re.compile(
        rb"^%s (?:end (?P<code>[0-9]{1,3})|complete (?P<count>[0-9]{1,3})|(?P<name>[a-z_]{1,40}))\r*\n"
        % token.encode(),
        re.MULTILINE,
    )
    bodies: dict[str, bytes] = {}
    refused: dict[str, str] = {}
    found: list[str] = []
    name, begun, counted = None, 0, None
    for mark in boundary.finditer(printed):
        if mark["name"] is not None:
            if name is not None:
                refused[name] = "its end is missing"
            name, begun = mark["name"].decode(), mark.end()
            found.append(name)
        elif mark["code"] is not None and name is not None:
            body, code = _body(printed[begun : mark.start()]), int(mark["code"])
            if code:
                said = next(iter(refusals(body).values()), None) or shown(decode(body))
                refused[name] = f"exit status {code}: {said}"
            bodies[name] = body
            name = None
        elif mark["count"] is not None:
            counted = int(mark["count"])
            break
    if name is not None:
        refused[name] = "its end is missing"
    refused |= {name: "printed twice" for name in found if found.count(name) > 1}
    usable = {name: body for name, body in bodies.items() if name not in refused}
    return Sections(usable, refused, counted == len(found))


def _body(raw: bytes) -> bytes:
    """A section without the line end that state.sh puts after it."""
    return re.sub(rb"\r*\n\Z", b"", raw)
