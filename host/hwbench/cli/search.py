"""hwbench search"""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hwbench.cli.exchange import OverwriteOption
from hwbench.cli.options import DeviceOption, PresetName, PythonOption
from hwbench.cli.output import Json, print_json, print_view
from hwbench.cli.progress import progress_bar


class MethodName(StrEnum):
    exact = "exact"
    evolution = "evolution"
    nsga2 = "nsga2"


def search(
    table: Annotated[
        list[str] | None, typer.Option(help="A table, or MATRIX:TARGET; several for limits on several targets.")
    ] = None,
    predictor: Annotated[
        list[str] | None, typer.Option(help="A predictor that `hwbench adapt` wrote; it takes the place of a table.")
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="60ms; NAME=60ms for one of several tables; macs=300M; parameters=4M.")
    ] = None,
    score: Annotated[str, typer.Option(help="What to maximise: macs, parameters, or a file of scores.")] = "macs",
    method: Annotated[MethodName, typer.Option(help="How to search.")] = MethodName.exact,
    confidence: Annotated[
        float | None, typer.Option(help="How sure limits on latency must hold, in percent; by default as predicted.")
    ] = None,
    space: Annotated[str | None, typer.Option(help="The space, if not the tables' own.")] = None,
    count: Annotated[int, typer.Option(min=1, max=10_000, help="How many architectures to list.")] = 1,
    verify: Annotated[
        int, typer.Option(min=0, max=200, help="Measure this many of the best, and take the first that holds.")
    ] = 0,
    preset: Annotated[PresetName | None, typer.Option(help="How much to measure; the table's own by default.")] = None,
    device: DeviceOption = None,
    python: PythonOption = None,
    children: Annotated[int, typer.Option(min=0, help="Children that an evolution makes.")] = 2000,
    population: Annotated[int, typer.Option(min=1, help="Size of an evolution's population.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Seed of an evolution, and of the order of visits.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The architecture's file.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted measurement.")] = False,
    overwrite: OverwriteOption = False,
    json: Json = False,
) -> None:
    """The best architectures under limits; exit code 1 when a limit cannot be kept."""
    from hwbench.devices import find
    from hwbench.errors import UsageError
    from hwbench.search.evolution import Settings
    from hwbench.workflows.search_tables import Question, search_tables

    if not table and not predictor:
        raise UsageError("There is nothing to limit.", hint="Give a --table or a --predictor.")
    settings = Settings(
        population=population, children=children, seed=seed, tournament=min(10, population), batch=min(20, population)
    )
    question = Question(
        tables=(*(table or ()), *(predictor or ())),
        limits=tuple(limit or ()),
        score=score,
        method=method.value,
        confidence=confidence,
        space=space,
        count=count,
        settings=settings,
    )
    with ExitStack() as opened, progress_bar() as report:
        measuring = find(device, python) if verify else None
        if measuring is not None:
            opened.callback(measuring.close)
        found = search_tables(
            question,
            verify=verify,
            device=measuring,
            preset=preset.value if preset else None,
            output=output,
            overwrite=overwrite,
            resume=resume,
            on_progress=report,
        )
    result = found.result
    if json:
        print_json(
            {
                "space": result.space,
                "score": result.score,
                "method": result.method,
                "architecture": found.path,
                "answer": found.chosen,
                "candidates": result.candidates,
                "measured": found.measured,
                "front": found.front,
                "evaluated": result.evaluated,
                "seconds": result.seconds,
                "notes": found.notes,
            }
        )
    else:
        from hwbench.reports.searches import search_view

        print_view(search_view(found))
    if result.candidates and found.chosen is None:
        raise typer.Exit(1)
