"""A small version of the search's benchmark: is the limit held, and how does the network do beside random ones?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from hwbench import spaces
from hwbench.errors import UsageError
from hwbench.search.supernet.recipes import SMALL, Recipe
from hwbench.spaces.space import ChainSpace
from hwbench.tables import opening
from hwbench.tables.formats.published import Published
from hwbench.workflows.extras import need_torch
from hwbench.workflows.reproducing.phone_like import NAME, PIXEL1, phone_like
from hwbench.workflows.reproducing.reproduce import AtLeast, Check, Reproduction

if TYPE_CHECKING:
    from hwbench.workflows.reproducing.search_study import CaseResult

SPACE = "proxylessnas-w0.25-r28-c10-i1-d2.2.2.2.2.1"
DEFAULT_FOLDER = Path("hwbench-results") / "reproduce-search"
# Few images and epochs: one case takes minutes of one core.
BRIEF = msgspec.structs.replace(
    SMALL,
    search=msgspec.structs.replace(
        SMALL.search,
        warm_up=msgspec.structs.replace(SMALL.search.warm_up, epochs=4),
        weights=msgspec.structs.replace(SMALL.search.weights, epochs=8),
        validation_images=1000,
    ),
    training=msgspec.structs.replace(
        SMALL.training, weights=msgspec.structs.replace(SMALL.training.weights, epochs=12)
    ),
)
_TRAIN, _VALIDATION, _TEST = 3000, 1000, 2000
# Networks of one latency differ by some points after so short a training.
_SOFT_POINTS = 2.0


class Question(msgspec.Struct, frozen=True):
    """`table` None: a synthetic one with the ratios of the published Pixel 1 table, of `space`."""

    table: Path | None = None
    space: str = SPACE
    images: Path | None = None
    recipe: Recipe = BRIEF
    sizes: tuple[int, int, int] = (_TRAIN, _VALIDATION, _TEST)
    quantile: float = 0.25
    seeds: int = 1
    folder: Path = DEFAULT_FOLDER

    def __post_init__(self) -> None:
        if not 0 < self.quantile < 1 or self.seeds < 1:
            raise UsageError("A quantile between 0 and 1 and at least one seed are needed.")


class SearchReproduction(Reproduction, frozen=True):
    cases: tuple[CaseResult, ...]


def reproduce_search(question: Question, published_data: Path | None = None) -> SearchReproduction:
    """The cases of one table and limit, whose finished pieces stay in the folder.

    Raises UsageError without PyTorch, DataError for images or tables that cannot be used.
    """
    need_torch()
    from hwbench.search import data
    from hwbench.workflows.reproducing.search_study import Case, Study, run_case, study_images

    table = opening.load_table(question.table) if question.table else None
    name = question.space if table is None or table.space is None else table.space
    space = spaces.get(name)
    if not isinstance(space, ChainSpace):
        raise UsageError(f"{space.name} is not a chain of independent positions, which a supernet needs.")
    found = data.find_fashion_mnist() if question.images is None else data.load(question.images)
    found.check_fits(space)
    source = opening.source_of(table or phone_like(space, published_data), space)
    study = Study(space, study_images(found, *question.sizes), question.recipe, 0.0, question.folder)
    study.begin()
    of = NAME if question.table is None else question.table.stem
    cases = [run_case(study, Case(of, source, question.quantile, seed)) for seed in range(question.seeds)]
    results = tuple(case for case in cases if case is not None)
    files: tuple[Published, ...] = () if question.table else (PIXEL1,)
    return SearchReproduction("search", checks_of(results), files, results)


def checks_of(cases: tuple[CaseResult, ...]) -> tuple[Check, ...]:
    """Limits held, and test accuracy in points beside the mean rival and the one that validation chooses."""
    room = min(1 - case.found.latency_us / case.limit_us for case in cases)
    over_mean = np.mean([case.found.test - np.mean([rival.test for rival in case.rivals]) for case in cases])
    over_chosen = np.mean([case.found.test - case.chosen.test for case in cases])
    return (
        AtLeast("predicted latency below the limit, the closest", "share", 0.0, 1e-12, float(room)),
        AtLeast("found network over the mean random one", "points", 0.0, _SOFT_POINTS, 100 * float(over_mean)),
        AtLeast("found network over the chosen random one", "points", 0.0, _SOFT_POINTS, 100 * float(over_chosen)),
    )
