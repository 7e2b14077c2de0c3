"""What `hwbench reproduce` prints, and an option that its commands share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwbench.cli.output import print_json, print_view

if TYPE_CHECKING:
    from hwbench.workflows.reproducing.reproduce import Reproduction

Data = Annotated[Path | None, typer.Option(help="Folder of published data; by default the variable HWBENCH_DATA.")]


def say_reproduction(found: Reproduction, more: Mapping[str, object], view: object, json: bool) -> None:
    """Prints a reproduction; raises Exit with 1 when a figure differs."""
    if json:
        checks = [
            {"name": check.name, "unit": check.unit, "expected": check.expected, "tolerance": check.tolerance,
             "computed": check.computed, "agrees": check.agrees}
            for check in found.checks
        ]  # fmt: skip
        print_json({"name": found.name, "agrees": found.agrees, "checks": checks, "files": found.files, **more})
    else:
        print_view(view)
    if not found.agrees:
        raise typer.Exit(1)
