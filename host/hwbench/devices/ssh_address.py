"""Addresses of boards: `ssh://user@host:port`."""

from __future__ import annotations

import re

import msgspec

from hwbench.errors import UsageError

# Nothing that ssh would take for an option, and nothing that a shell or ssh's configuration would expand.
_ADDRESS = re.compile(
    r"ssh://(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9._-]{0,63})@)?"
    r"(?:(?P<host>[A-Za-z0-9][A-Za-z0-9._-]{0,252})|\[(?P<v6>[0-9A-Fa-f:.]{2,45}(?:%[A-Za-z0-9._-]{1,32})?)\])"
    r"(?::(?P<port>[0-9]{1,5}))?/?"
)


class SshAddress(msgspec.Struct, frozen=True):
    """Where a board is. None: as ssh's configuration says; `host` may be a name from there."""

    host: str
    user: str | None = None
    port: int | None = None

    @property
    def login(self) -> str:
        """The words after `ssh` with which a user would log in."""
        port = f"-p {self.port} " if self.port else ""
        return f"{port}{self.user}@{self.host}" if self.user else f"{port}{self.host}"

    @property
    def known_host(self) -> str:
        """The board's name in known_hosts."""
        return self.host if self.port in (None, 22) else f"[{self.host}]:{self.port}"

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"ssh://{user}{host}" + (f":{self.port}" if self.port else "")


def parse_address(text: str) -> SshAddress:
    """The parts of `ssh://user@host:port`, of which only the host must be there. Raises UsageError."""
    match = _ADDRESS.fullmatch(text)
    port = int(match["port"]) if match and match["port"] else None
    if match is None or (port is not None and not 0 < port < 65536):
        raise UsageError(
            f"{text[:100]!r} is not the address of a board.",
            hint="Expected ssh://user@host or ssh://user@host:port; user and port may be left out.",
        )
    return SshAddress(match["host"] or match["v6"], match["user"], port)
