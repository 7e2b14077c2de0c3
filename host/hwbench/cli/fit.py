"""hwbench table fit"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwbench.cli.output import Json, print_json, print_view, say


def fit(
    matrix: Annotated[Path, typer.Argument(help="A matrix of whole-network latencies of a space.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The table to write.")],
    target: Annotated[str | None, typer.Option(help="Which target, where the matrix has several.")] = None,
    networks: Annotated[
        int | None, typer.Option(min=1, help="Fit so many networks and hold the rest out; all by default.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of which networks are fitted.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    json: Json = False,
) -> None:
    """A block table from latencies of whole networks, and its error on networks that had no part in it."""
    from hwbench.workflows.fit import fit as run

    found = run(matrix, output, target=target, networks=networks, seed=seed, overwrite=overwrite)
    if json:
        print_json(
            {
                "table": found.path,
                "space": found.table.space,
                "target": found.table.target,
                "rows": len(found.table.rows),
                "networks": found.networks,
                "penalty_weight": found.penalty_weight,
                "freedom": found.freedom,
                "held_out": found.held_out,
                "prior": found.prior,
            }
        )
        return
    from hwbench.reports.imports import fit_view

    print_view(fit_view(found))
    say(f"Written to {found.path}. Next: hwbench table show {found.path}")
