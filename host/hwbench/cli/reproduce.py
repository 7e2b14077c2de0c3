"""hwbench reproduce"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwbench.cli.output import Json, print_json, print_view

if TYPE_CHECKING:
    from hwbench.workflows.reproduce import Reproduction


class StudyName(StrEnum):
    tables = "tables"
    oneproxy = "oneproxy"
    fronts = "fronts"


def reproduce(
    study: Annotated[
        StudyName,
        typer.Argument(
            help="Whose figures: published `tables`, `oneproxy`'s agreements and adaptations, exact `fronts`."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of published data (the variable HWBENCH_DATA); for `oneproxy` also one CSV."),
    ] = None,
    pairs: Annotated[str, typer.Option(help="For `oneproxy`: adapt proxy:target,proxy:target.")] = "",
    json: Json = False,
) -> None:
    """Published figures beside computed ones; exit code 1 when one differs."""
    found = _run(study, data, pairs)
    if json:
        print_json(_document(found))
    else:
        print_view(_view(found))
    if not found.agrees:
        raise typer.Exit(1)


def _run(study: StudyName, data: Path | None, pairs: str) -> Reproduction:
    from hwbench.errors import UsageError

    if pairs and study is not StudyName.oneproxy:
        raise UsageError("--pairs is for `oneproxy` alone.")
    match study:
        case StudyName.tables:
            from hwbench.workflows.reproduce import tables

            return tables(data)
        case StudyName.fronts:
            from hwbench.workflows.reproduce_fronts import fronts

            return fronts(data)
        case StudyName.oneproxy:
            from hwbench.workflows.reproduce_oneproxy import oneproxy, parse_pairs

            return oneproxy(data, parse_pairs(pairs))


def _view(found: Reproduction) -> object:
    from hwbench.reports.agreements import oneproxy_view
    from hwbench.reports.imports import reproduction_view
    from hwbench.workflows.reproduce_oneproxy import OneProxy

    return oneproxy_view(found) if isinstance(found, OneProxy) else reproduction_view(found)


def _document(found: Reproduction) -> dict[str, object]:
    from hwbench.workflows.reproduce_oneproxy import OneProxy

    checks = [
        {"name": check.name, "unit": check.unit, "expected": check.expected, "tolerance": check.tolerance,
         "computed": check.computed, "agrees": check.agrees}
        for check in found.checks
    ]  # fmt: skip
    more = (
        {"agreements": found.agreements, "adaptations": found.adaptations, "flaws": found.flaws}
        if isinstance(found, OneProxy)
        else {}
    )
    return {"name": found.name, "agrees": found.agrees, "checks": checks, "files": found.files} | more
