"""hwbench reproduce memory | search | specialization"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from hwbench.cli.options import DeviceOption, PresetName
from hwbench.cli.output import Json, say
from hwbench.cli.progress import Interrupted
from hwbench.cli.reproduce_output import Data, say_reproduction

Images = Annotated[Path | None, typer.Option(help="An npz file or a folder of images; by default Fashion-MNIST.")]


def memory(
    space: Annotated[str | None, typer.Option(help="The space whose choices are taken away.")] = None,
    batch: Annotated[int, typer.Option(min=2, help="Images of a step.")] = 32,
    json: Json = False,
) -> None:
    """Bytes that a supernet's step holds with 1 to 7 choices a position; exit code 1 when they are not as claimed."""
    from hwbench.reports.reproductions import memory_view
    from hwbench.workflows.reproducing import memory as workflow

    found = workflow.memory(space or workflow.SPACE, batch)
    more = {"space": found.space, "batch": found.batch, "held": found.held}
    say_reproduction(found, more, memory_view(found), json)


def search(
    table: Annotated[
        Path | None, typer.Option(help="A table; by default a synthetic one with the published Pixel 1's ratios.")
    ] = None,
    space: Annotated[str | None, typer.Option(help="The space of the synthetic table.")] = None,
    images: Images = None,
    settings: Annotated[str | None, typer.Option(help="`small`, `published` or a JSON file; by default brief.")] = None,
    sizes: Annotated[
        tuple[int, int, int] | None, typer.Option(help="Images to train on, to choose by, and to test with.")
    ] = None,
    quantile: Annotated[float, typer.Option(help="The limit, as a quantile of random architectures.")] = 0.25,
    seeds: Annotated[int, typer.Option(min=1, help="Searches, each with rivals of its own.")] = 1,
    folder: Annotated[Path | None, typer.Option(help="Finished pieces; a run goes on from them.")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """A supernet's network beside random ones of its latency and compute; exit code 1 when the limit is not held."""
    from hwbench.reports.reproductions import study_view
    from hwbench.search.supernet import recipes
    from hwbench.workflows.reproducing import search as workflow

    defaults = workflow.Question()
    question = workflow.Question(
        table=table,
        space=space or defaults.space,
        images=images,
        recipe=recipes.read(settings) if settings else defaults.recipe,
        sizes=sizes or defaults.sizes,
        quantile=quantile,
        seeds=seeds,
        folder=folder or defaults.folder,
    )
    found = workflow.reproduce_search(question, data)
    say_reproduction(found, {"cases": found.cases}, study_view(found), json)


def specialization(
    tables: Annotated[list[str], typer.Argument(help="Tables of one space, one per target; or MATRIX:TARGET.")],
    limit: Annotated[list[str] | None, typer.Option(help="NAME=0.3ms for one of the tables; can be repeated.")] = None,
    quantile: Annotated[
        float, typer.Option(help="The limit of tables without one, as a quantile of random architectures.")
    ] = 0.25,
    images: Images = None,
    settings: Annotated[str, typer.Option(help="`small`, `published` or a JSON file.")] = "small",
    measure: Annotated[bool, typer.Option("--measure", help="Measure the networks on the tables' device.")] = False,
    device: DeviceOption = None,
    preset: Annotated[PresetName | None, typer.Option(help="How much to measure; the table's own by default.")] = None,
    folder: Annotated[Path | None, typer.Option(help="The searches; a run goes on from them.")] = None,
    json: Json = False,
) -> None:
    """Networks searched for several targets, each seen on all; exit code 1 when one is surely faster than the own."""
    from hwbench.devices import find
    from hwbench.reports.reproductions import specialization_view
    from hwbench.reports.supernets import search_epoch_text
    from hwbench.search.supernet import recipes
    from hwbench.workflows.reproducing import specialization as workflow
    from hwbench.workflows.searching.verify import OnDevice

    recipe = recipes.read(settings)
    question = workflow.Question(
        tables=tuple(tables), limits=tuple(limit or ()), quantile=quantile, images=images, recipe=recipe,
        folder=folder or workflow.DEFAULT_FOLDER,
    )  # fmt: skip
    with ExitStack() as opened:
        on_device = None
        if measure:
            measuring = find(device)
            opened.callback(measuring.close)
            on_device = OnDevice(measuring, preset.value if preset else None)
        try:
            found = workflow.specialization(
                question, on_device, lambda target, epoch: say(f"{target}: {search_epoch_text(epoch, recipe.search)}")
            )
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted.") from error
    more = {"space": found.space, "networks": found.networks, "published": found.published}
    say_reproduction(found, more, specialization_view(found), json)
