"""hwbench compare"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwbench.cli.exchange import OverwriteOption
from hwbench.cli.output import Json, print_json, print_view, say


def compare(
    tables: Annotated[
        list[str] | None, typer.Argument(help="Tables of one space, matrices, or both; files or names of the pool.")
    ] = None,
    pool: Annotated[bool, typer.Option("--pool", help="Also all tables of the pool that are of the space.")] = False,
    networks: Annotated[int, typer.Option(min=5, max=5000, help="How many architectures to compare over.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the architectures and of the resampling.")] = 0,
    space_name: Annotated[str | None, typer.Option("--space", help="The space, if the files do not name it.")] = None,
    score: Annotated[
        str | None, typer.Option(help="Count regret in macs, parameters, or a file of scores per choice.")
    ] = None,
    accuracy: Annotated[
        str | None, typer.Option(help="Count regret in accuracies of a CSV (architecture,accuracy), or FILE:COLUMN.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Keep the comparison, for a report.")] = None,
    overwrite: OverwriteOption = False,
    json: Json = False,
) -> None:
    """Do targets put architectures in the same order? Exit code 1 when some do not, 2 when it cannot be told."""
    from hwbench.workflows.comparing.compare import compare as run

    found = run(
        tables or (),
        pool=pool,
        networks=networks,
        seed=seed,
        space_name=space_name,
        score=score,
        accuracy=accuracy,
        output=output,
        overwrite=overwrite,
    )
    if output is not None:
        say(f"Written to {output}.")
    if json:
        print_json(found)
    else:
        from hwbench.reports.comparisons import comparison_view

        print_view(comparison_view(found))
    if found.exit_code:
        raise typer.Exit(found.exit_code)
