"""The device of a command, let go of when the command ends."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from hwbench.devices import Device
    from hwbench.tables.lookup import LookupTable
    from hwbench.transfer.predictor_file import Origin


def device_of(
    known: LookupTable | Origin, name: str | None, python: Path | None, allow: list[str] | None = None
) -> AbstractContextManager[Device]:
    """The device that something was measured on, in its regime.

    Without a name, what was measured on this computer belongs to it, whatever is plugged in.
    """
    from hwbench.devices import find

    where = "local" if name is None and known.device.kind == "local" else name
    return closing(find(where, python, allow=allow or (), regime=known.target.regime))


def device_of_table(
    table: Path, name: str | None, python: Path | None, allow: list[str] | None = None
) -> AbstractContextManager[Device]:
    """As `device_of`, for a table that `hwbench profile` wrote."""
    from hwbench.tables.lookup import load

    return device_of(load(table), name, python, allow)
