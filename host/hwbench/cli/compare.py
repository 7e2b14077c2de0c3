"""hwbench compare"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwbench.cli.output import Json, print_json, print_view


def compare(
    tables: Annotated[list[Path], typer.Argument(help="Tables of one space, matrices, or both.")],
    networks: Annotated[int, typer.Option(min=5, max=5000, help="How many architectures to compare over.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the architectures and of the resampling.")] = 0,
    space_name: Annotated[str | None, typer.Option("--space", help="The space, if the files do not name it.")] = None,
    json: Json = False,
) -> None:
    """Do targets put architectures in the same order? Exit code 1 when some do not, 2 when it cannot be told."""
    from hwbench.workflows.compare import compare as run

    found = run(tables, networks=networks, seed=seed, space_name=space_name)
    if json:
        print_json(found)
    else:
        from hwbench.reports.agreements import comparison_view

        print_view(comparison_view(found))
    if found.exit_code:
        raise typer.Exit(found.exit_code)
