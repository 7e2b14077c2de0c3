"""One thing that the doctor looked at."""

from __future__ import annotations

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """`needed`: without it this computer cannot be profiled. `advice` may have commands below its sentence."""

    what: str
    ok: bool
    needed: bool
    state: str
    advice: str = ""
