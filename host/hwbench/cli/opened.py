"""The device of a command, let go of when the command ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwbench.devices import Device


@contextmanager
def device_of_table(
    table: Path, name: str | None, python: Path | None, allow: list[str] | None = None
) -> Iterator[Device]:
    """The device that a table was measured on, in its regime.

    Without a name, a table of this computer belongs to it, whatever is plugged in.
    """
    from hwbench.devices import find
    from hwbench.tables.lookup import load

    known = load(table)
    where = "local" if name is None and known.device.kind == "local" else name
    with closing(find(where, python, allow=allow or (), regime=known.target.regime)) as found:
        yield found
