"""hwbench table diff"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwbench.cli.output import Json, print_json, print_view


def diff(
    a: Annotated[Path, typer.Argument(help="A table that `hwbench profile` wrote.")],
    b: Annotated[Path, typer.Argument(help="A later table of the same target.")],
    effect: Annotated[float, typer.Option(help="The smallest relative change that counts.")] = 0.02,
    allow: Annotated[
        list[str] | None, typer.Option(help="A field in which the two may differ, e.g. engine; can be repeated.")
    ] = None,
    json: Json = False,
) -> None:
    """What changed between two runs on one device. Exit code 0: nothing, 1: something, 2: too few launches to tell."""
    from hwbench.workflows.diff import diff as run

    found = run(a, b, effect=effect, allow=allow or ())
    if json:
        print_json({"differing": [row.key for row in found.named], "difference": found})
    else:
        from hwbench.reports.differences import difference_view

        print_view(difference_view(found))
    if found.exit_code:
        raise typer.Exit(found.exit_code)
