"""hwbench search"""

from __future__ import annotations

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from hwbench.cli import search_supernet
from hwbench.cli.exchange import OverwriteOption
from hwbench.cli.options import DeviceOption, PresetName, PythonOption
from hwbench.cli.output import Json, print_json, print_view
from hwbench.cli.progress import progress_bar

if TYPE_CHECKING:
    from hwbench.search.evolution import Settings
    from hwbench.workflows.searching.search import Method
    from hwbench.workflows.searching.tables import TableSearch


class MethodName(StrEnum):
    exact = "exact"
    evolution = "evolution"
    nsga2 = "nsga2"
    supernet = "supernet"


class DeriveName(StrEnum):
    probabilities = "probabilities"
    filled = "filled"
    fitted = "fitted"
    accuracy = "accuracy"


class TrainName(StrEnum):
    scratch = "scratch"
    finetune = "finetune"
    none = "none"


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
    score: Annotated[
        str | None, typer.Option(help="What to maximise: macs (the default), parameters, or a file of scores.")
    ] = None,
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
    children: Annotated[int | None, typer.Option(min=0, help="Children that an evolution makes.")] = None,
    population: Annotated[int | None, typer.Option(min=1, help="Size of an evolution's population.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of an evolution or a supernet, and of the order of visits.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A supernet's images: an npz file or a folder; by default Fashion-MNIST.")
    ] = None,
    settings: Annotated[
        str | None, typer.Option(help="A supernet's: `small` (the default), `published`, or a JSON file.")
    ] = None,
    derive: Annotated[
        DeriveName | None, typer.Option(help="Take a supernet's likeliest network (the default), or the most accurate.")
    ] = None,
    train: Annotated[
        TrainName | None, typer.Option(help="Where the network's weights come from; `scratch` by default.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Processes that evaluate accuracies; by default this one.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The architecture's file; of a supernet a folder.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue what was interrupted.")] = False,
    overwrite: OverwriteOption = False,
    json: Json = False,
) -> None:
    """The best architectures under limits; exit code 1 when a limit cannot be kept."""
    from hwbench.devices import find
    from hwbench.errors import UsageError
    from hwbench.search.evolution import Settings
    from hwbench.workflows.searching.tables import Question, search_tables
    from hwbench.workflows.searching.verify import OnDevice

    tables = (*(table or ()), *(predictor or ()))
    if not tables:
        raise UsageError("There is nothing to limit.", hint="Give a --table or a --predictor.")
    own = {"--data": data, "--settings": settings, "--derive": derive, "--train": train, "--workers": workers}
    _check_method(method, score, [name for name, value in own.items() if value is not None])
    with ExitStack() as opened:
        measuring = find(device, python) if verify else None
        if measuring is not None:
            opened.callback(measuring.close)
        preset_name = preset.value if preset else None
        if method is MethodName.supernet:
            from hwbench.search.supernet import recipes
            from hwbench.workflows.searching.supernet import EVOLUTION, SupernetQuestion

            recipe = recipes.read(settings or "small")
            supernet = SupernetQuestion(
                tables=tables,
                limits=tuple(limit or ()),
                data=data,
                recipe=recipe if seed is None else recipe.seeded(seed),
                confidence=confidence,
                space=space,
                count=count,
                derive=(derive or DeriveName.probabilities).value,
                evolution=_evolution(EVOLUTION, children, population, seed),
                train=(train or TrainName.scratch).value,
            )
            on_device = OnDevice(measuring, preset_name, seed or 0, resume)
            search_supernet.run(
                supernet, on_device, verify=verify, workers=workers, folder=output, overwrite=overwrite,
                resume=resume, json=json,
            )  # fmt: skip
            return
        question = Question(
            tables=tables,
            limits=tuple(limit or ()),
            score=score or "macs",
            method=cast("Method", method.value),
            confidence=confidence,
            space=space,
            count=count,
            settings=_evolution(Settings(), children, population, seed),
        )
        report = opened.enter_context(progress_bar())
        found = search_tables(
            question, verify=verify, device=measuring, preset=preset_name, output=output, overwrite=overwrite,
            resume=resume, on_progress=report,
        )  # fmt: skip
    _say(found, json)


def _check_method(method: MethodName, score: str | None, of_a_supernet: list[str]) -> None:
    """Raises UsageError for options that do not go together."""
    from hwbench.errors import UsageError

    if of_a_supernet and method is not MethodName.supernet:
        raise UsageError(f"{of_a_supernet[0]} belongs to a supernet.", hint="Add --method supernet.")
    if score is not None and method is MethodName.supernet:
        raise UsageError("A supernet finds its scores itself.", hint="Leave out --score, or --method supernet.")


def _evolution(defaults: Settings, children: int | None, population: int | None, seed: int | None) -> Settings:
    """The defaults with what was asked for."""
    from hwbench.search.evolution import Settings

    size = defaults.population if population is None else population
    return Settings(
        population=size,
        children=defaults.children if children is None else children,
        seed=seed or 0,
        tournament=min(10, size),
        batch=min(20, size),
    )


def _say(found: TableSearch, json: bool) -> None:
    """Prints the answer; raises Exit with 1 when no measured candidate holds."""
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
