"""hwbench table pool"""

from __future__ import annotations

from typing import Annotated

import typer

from hwbench.cli.output import Json, print_json, print_view


def pool(
    space: Annotated[str | None, typer.Option(help="Tables of this space alone.")] = None,
    device: Annotated[str | None, typer.Option(help="Tables of the device with this id alone.")] = None,
    engine: Annotated[str | None, typer.Option(help="Tables of this engine alone.")] = None,
    json: Json = False,
) -> None:
    """The tables that came with hwbench, by the names that `hwbench compare` takes."""
    from hwbench.tables import pool as pooled

    where = pooled.folder()
    found = pooled.tables(space=space, device=device, engine=engine)
    if json:
        print_json({"folder": where, "tables": found})
    else:
        from hwbench.reports.pools import pool_view

        print_view(pool_view(found, where))
