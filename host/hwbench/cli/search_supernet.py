"""hwbench search --method supernet"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hwbench.cli.output import print_json, print_view, say
from hwbench.cli.progress import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from hwbench.search.supernet.outcome import Progress
    from hwbench.search.supernet.recipes import Recipe
    from hwbench.search.training.network import TrainingEpoch
    from hwbench.workflows.searching.supernet import SupernetQuestion, SupernetResult
    from hwbench.workflows.searching.verify import OnDevice


def run(
    question: SupernetQuestion,
    on_device: OnDevice,
    *,
    verify: int,
    workers: int | None,
    folder: Path | None,
    overwrite: bool,
    resume: bool,
    json: bool,
) -> None:
    """Searches with a line per epoch on stderr, and prints the answer; raises Exit with 1 when there is none."""
    from hwbench.workflows.searching.supernet import search_supernet

    on_search, on_training = epoch_lines(question.recipe)
    with _workers(workers) as executor:
        try:
            found = search_supernet(
                question, folder=folder, verify=verify, on_device=on_device, executor=executor, overwrite=overwrite,
                resume=resume, on_search=on_search, on_training=on_training,
            )  # fmt: skip
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted.") from error
    if json:
        print_json(_document(question, found))
    else:
        from hwbench.reports.supernets import supernet_view

        print_view(supernet_view(found))
    if found.derived is None:
        raise typer.Exit(1)


def epoch_lines(recipe: Recipe) -> tuple[Callable[[Progress], None], Callable[[TrainingEpoch], None]]:
    """What says each epoch of a search and of a training on stderr."""
    from hwbench.reports.supernets import search_epoch_text, training_epoch_text

    return (
        lambda epoch: say(search_epoch_text(epoch, recipe.search)),
        lambda epoch: say(training_epoch_text(epoch.loss, epoch.epoch, epoch.seconds, recipe.training)),
    )


@contextmanager
def _workers(count: int | None) -> Iterator[Executor | None]:
    """Processes with one thread each, or none."""
    if count is None:
        yield None
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from hwbench.workflows.extras import need_torch, one_thread

    need_torch()
    with ProcessPoolExecutor(count, get_context("spawn"), one_thread) as executor:
        yield executor


def _document(question: SupernetQuestion, found: SupernetResult) -> dict[str, object]:
    from hwbench.workflows.searching.supernet import SupernetFolder

    place, derived = SupernetFolder(found.folder), found.derived
    return {
        "space": found.outcome.space,
        "method": "supernet",
        "derive": question.derive,
        "train": question.train,
        "outcome": place.outcome,
        "architecture": derived and place.architecture,
        "weights": derived and place.weights,
        "answer": derived and derived.candidate,
        "candidates": found.candidates,
        "measured": found.measured,
        "shared_accuracy": derived and derived.shared_accuracy,
        "test_accuracy": derived and derived.test_accuracy,
        "losses": derived and derived.losses,
        "progress": found.outcome.progress,
        "seconds": found.seconds,
        "notes": found.notes,
    }
