"""hwbench reproduce"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hwbench.cli.output import Json, print_json, print_view


class StudyName(StrEnum):
    tables = "tables"


def reproduce(
    study: Annotated[StudyName, typer.Argument(help="Whose figures: `tables`, those of published tables.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of published data; by default the variable HWBENCH_DATA.")
    ] = None,
    json: Json = False,
) -> None:
    """Published figures beside computed ones; exit code 1 when one differs."""
    from hwbench.workflows import reproduce as workflow

    found = {StudyName.tables: workflow.tables}[study](data)
    if json:
        checks = [
            {"name": check.name, "unit": check.unit, "expected": check.expected, "tolerance": check.tolerance,
             "computed": check.computed, "agrees": check.agrees}
            for check in found.checks
        ]  # fmt: skip
        print_json({"name": found.name, "agrees": found.agrees, "checks": checks, "files": found.files})
    else:
        from hwbench.reports.imports import reproduction_view

        print_view(reproduction_view(found))
    if not found.agrees:
        raise typer.Exit(1)
