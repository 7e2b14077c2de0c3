"""The salt that serial numbers are hashed with: random, of this user, kept so that a phone is known again."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress

from hwbench.files import cache_folder, write_atomically

_SALT = re.compile(r"[0-9a-f]{32}")


def salt() -> str:
    """The user's salt, made at its first use."""
    path = cache_folder() / "serial-salt"
    with suppress(OSError, UnicodeDecodeError):
        if _SALT.fullmatch(known := path.read_text()):
            return known
    made = secrets.token_hex(16)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, made.encode())
    return made
