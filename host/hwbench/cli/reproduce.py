"""hwbench reproduce"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hwbench.cli.output import Json, print_json, print_view
from hwbench.cli.reproduce_output import Data, say_reproduction
from hwbench.cli.reproduce_search import memory, search, specialization

app = typer.Typer(no_args_is_help=True, help="Published figures beside computed ones.")
app.command()(memory)
app.command()(search)
app.command()(specialization)


class SpaceName(StrEnum):
    nasbench201 = "nasbench201"
    fbnet = "fbnet"
    ofa = "ofa"


class MethodName(StrEnum):
    gp = "gp"
    help = "help"
    metasgd = "metasgd"
    maml = "maml"
    brpnas = "brpnas"
    adaproxy = "adaproxy"
    table = "table"
    flops = "flops"


class PicksName(StrEnum):
    active = "active"
    random = "random"
    reference = "reference"


class TestName(StrEnum):
    trimmed = "trimmed"
    next1000 = "next1000"
    all = "all"


@app.command()
def tables(data: Data = None, json: Json = False) -> None:
    """Figures of published tables beside computed ones; exit code 1 when one differs."""
    from hwbench.reports.imports import reproduction_view
    from hwbench.workflows.reproducing import reproduce as workflow

    found = workflow.tables(data)
    say_reproduction(found, {}, reproduction_view(found), json)


@app.command()
def oneproxy(
    data: Annotated[
        Path | None, typer.Option(help="Folder of published data (the variable HWBENCH_DATA), or one CSV.")
    ] = None,
    pairs: Annotated[str, typer.Option(help="Adapt proxy:target,proxy:target; by default the published ones.")] = "",
    json: Json = False,
) -> None:
    """One Proxy's agreements and adaptations, the published rows beside; exit code 1 when one differs."""
    from hwbench.reports.agreements import oneproxy_view
    from hwbench.workflows.reproducing import oneproxy as workflow

    found = workflow.oneproxy(data, workflow.parse_pairs(pairs))
    more = {"agreements": found.agreements, "adaptations": found.adaptations, "flaws": found.flaws}
    say_reproduction(found, more, oneproxy_view(found), json)


@app.command()
def fronts(data: Data = None, json: Json = False) -> None:
    """Exact fronts of NAS-Bench-201 and what other targets' fronts lose; exit code 1 when a figure differs."""
    from hwbench.reports.imports import reproduction_view
    from hwbench.workflows.reproducing import fronts as workflow

    found = workflow.fronts(data)
    say_reproduction(found, {}, reproduction_view(found), json)


@app.command("help")
def help_(
    space: Annotated[SpaceName, typer.Option(help="Whose architectures.")] = SpaceName.nasbench201,
    method: Annotated[
        MethodName, typer.Option(help="`gp` is hwbench's predictor; help, metasgd, maml and brpnas need torch.")
    ] = MethodName.gp,
    samples: Annotated[int, typer.Option(min=3, help="Measurements of a target, HELP's references aside.")] = 10,
    picks: Annotated[
        PicksName | None, typer.Option(help="Who chooses what is measured; by default active for gp, else random.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions.")] = 10,
    sources: Annotated[str, typer.Option(help="Targets of the pool, with commas; by default HELP's.")] = "",
    targets: Annotated[str, typer.Option(help="Targets to predict, with commas; by default HELP's.")] = "",
    test: Annotated[TestName, typer.Option(help="Architectures that agreement is measured on.")] = TestName.trimmed,
    training_seed: Annotated[int, typer.Option(min=0, help="Of a method that is trained.")] = 0,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File of a trained method (.safetensors): used if it is there, else written.")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """HELP's evaluation of predictors from few measurements, its published figures beside."""
    from hwbench.workflows.reproducing import help as workflow

    options = workflow.Options(
        space.value, method.value, samples, picks.value if picks else None, seeds, test.value,
        _names(sources), _names(targets), training_seed, checkpoint,
    )  # fmt: skip
    found = workflow.reproduce_help(options, data)
    if json:
        print_json(found)
    else:
        from hwbench.reports.few_shot import help_view

        print_view(help_view(found))


@app.command("help-nas")
def help_nas(
    samples: Annotated[int, typer.Option(min=3, help="Measurements that a predictor is adapted with.")] = 10,
    picks: Annotated[PicksName, typer.Option(help="Who chooses these.")] = PicksName.active,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions.")] = 5,
    verify: Annotated[int, typer.Option(min=1, max=200, help="Candidates measured at a limit, at most.")] = 3,
    data: Data = None,
    json: Json = False,
) -> None:
    """HELP's search under latency limits, with and without measuring a few; exit code 1 when it falls short of HELP."""
    from hwbench.reports.few_shot import help_nas_view
    from hwbench.workflows.reproducing.help_nas import help_nas as workflow
    from hwbench.workflows.reproducing.limited import Protocol

    found = workflow(Protocol(samples, picks.value, seeds, verify), data)
    more = {
        "protocol": found.protocol,
        "summaries": found.summaries,
        "found": found.found,
        "published": found.published,
    }
    say_reproduction(found, more, help_nas_view(found), json)


def _names(text: str) -> tuple[str, ...] | None:
    return tuple(name.strip() for name in text.split(",") if name.strip()) or None
