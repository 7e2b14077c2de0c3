"""The supernet's network against random networks of the same latency and the same compute, on Fashion-MNIST.

Two tables: one of this computer, given as a file, and a phone-like one that is synthetic: each (position, operator)
has the latency of that place in the published Pixel 1 table, so that their ratios are a real phone's, while the
networks are smaller. For each table, limit and seed the supernet is searched once, the exact search takes the
likeliest architecture under the limit, and it is trained from scratch. Its rivals are drawn uniformly from the
architectures at 90 to 100 % of the limit, as many as the CPU time of the search, its tuning and that training buys;
the best of them on the validation images is compared with the supernet's, both on test images that nothing else saw.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from benchmarks.common import parser, report
from hwbench import spaces
from hwbench.search import data
from hwbench.search.data import Images
from hwbench.search.supernet.network import chain_of
from hwbench.search.supernet.search import Splits, SupernetSearch
from hwbench.search.supernet.settings import ArchitectureSettings, Gradient, MulLog, SearchSettings, WarmUp
from hwbench.search.training.batches import Normalisation
from hwbench.search.training.network import accuracy, train
from hwbench.search.training.settings import TrainingSettings, WeightSettings
from hwbench.spaces.space import ChainSpace
from hwbench.tables import formats, opening
from hwbench.tables.formats.published import published
from hwbench.tables.imported import ImportedRow, ImportedSource, ImportedTable, ImportRecord
from hwbench.tables.opening import Source

SPACE = "proxylessnas-w0.35-r28-c10-i1"
QUANTILES = (0.10, 0.25)
CLOSE = 0.9
_DRAWN = 20_000
_MOST_DRAWS = 200


class Candidate(msgspec.Struct, frozen=True):
    """A network trained from scratch; accuracies of one run."""

    labels: tuple[str, ...]
    latency_us: float
    validation: float
    test: float
    cpu_seconds: float


class Cell(msgspec.Struct, frozen=True):
    """One table, limit and seed."""

    table: str
    quantile: float
    limit_us: float
    seed: int
    search_cpu_seconds: float
    tuning_cpu_seconds: float
    entropy: float
    found: Candidate
    rivals: tuple[Candidate, ...]

    @property
    def chosen(self) -> Candidate:
        """The rival that validation prefers."""
        return max(self.rivals, key=lambda rival: rival.validation)


class Study(msgspec.Struct, frozen=True):
    """What all cells share. The validation images are those of the architecture steps; no training sees them."""

    space: ChainSpace
    train: Images
    validation: Images
    test: Images
    search: SearchSettings
    training: TrainingSettings
    tuning_cpu_seconds: float
    folder: Path


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--table", type=Path, help="a lookup table of the space, measured on this computer")
    arguments.add_argument("--space", default=SPACE)
    arguments.add_argument("--data", type=Path, help="a data set; Fashion-MNIST as installed by default")
    arguments.add_argument("--folder", type=Path, required=True, help="finished cells and checkpoints; a run goes on")
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--images", type=int, default=6000, help="to train on")
    arguments.add_argument("--validation-images", type=int, default=2000)
    arguments.add_argument("--test-images", type=int, default=10_000)
    arguments.add_argument("--warm-up-epochs", type=int, default=8)
    arguments.add_argument("--search-epochs", type=int, default=16)
    arguments.add_argument("--training-epochs", type=int, default=24)
    arguments.add_argument("--learning-rate", type=float, default=0.05, help="of the weights in the search")
    arguments.add_argument("--architecture-learning-rate", type=float, default=0.03)
    arguments.add_argument("--quantiles", type=float, nargs="+", default=QUANTILES)
    arguments.add_argument("--method", default="all_paths", choices=["all_paths", "two_paths", "two_paths_recomputed"])
    arguments.add_argument("--tuning-cpu-seconds", type=float, default=0.0, help="spent on choosing these settings")
    options = arguments.parse_args()
    torch.set_num_threads(1)
    space = chain_of(spaces.get(options.space))
    study = _study(space, options)
    sources: dict[str, Source] = {"phone-like (synthetic)": ImportedSource(phone_like(space), space)}
    if options.table is not None:
        sources["this computer"] = opening.source_of(opening.load_table(options.table), space)
    cells = [
        _cell(study, name, source, quantile, seed)
        for seed in range(options.seeds)
        for name, source in sources.items()
        for quantile in options.quantiles
    ]
    result: dict[str, Any] = {
        "space": space.name,
        "images": {"train": len(study.train), "validation": len(study.validation), "test": len(study.test)},
        "search": msgspec.to_builtins(study.search),
        "training": msgspec.to_builtins(study.training),
        "summary": [_summary(cells, name, quantile) for name in sources for quantile in options.quantiles],
        "cells": msgspec.to_builtins(cells),
    }
    report("supernet_search", result, options.keep)


def phone_like(space: ChainSpace) -> ImportedTable:
    """A table of choices with the latencies of the same places of the published Pixel 1 table.

    A position takes those of the published position of its name, or of the second one of its stage where the published
    stage is shorter; Zero adds nothing, and the fixed blocks cost what the published ones do.
    """
    path = Path(os.environ["HWBENCH_DATA"]) / published("proxylessnas/mobile_trim.yaml").local
    table = formats.read(path)
    assert isinstance(table, ImportedTable)
    paper = chain_of(spaces.get(spaces.DEFAULT))
    fixed_us, offers = ImportedSource(table, paper).offered_us()
    known = {
        position.name: dict(zip(position.labels, offer.tolist(), strict=True))
        for position, offer in zip(paper.positions, offers, strict=True)
    }
    rows = []
    for position in space.positions:
        stage, _, place = position.name.partition(".")
        latencies = known.get(position.name) or known[f"{stage}.{min(int(place), 1)}"]
        rows += [ImportedRow(f"{position.name}/{label}", latencies.get(label, 0.0)) for label in position.labels]
    record = ImportRecord(
        format="synthetic", file="", sha256="", unit="us", metric="latency_us", licence=None,
        source="ratios of the published Pixel 1 table", rows_read=len(rows), refused_count=0, refused=(),
        notes=("synthetic: latencies of larger blocks in the same places",),
    )  # fmt: skip
    covers = tuple(named.name for named in space.fixed_blocks)
    return ImportedTable(
        space.name, "latency_us", "phone-like (synthetic)", "choice", tuple(rows), record, fixed_us, covers
    )


def _study(space: ChainSpace, options: Any) -> Study:
    found = data.find_fashion_mnist() if options.data is None else data.load(options.data)
    found.check_fits(space)
    _, chosen = data.split(found.train, options.images + options.validation_images, seed=0)
    weights, validation = data.split(chosen, options.validation_images, seed=1)
    architecture = ArchitectureSettings(
        Gradient(MulLog(1.0), options.method),
        learning_rate=options.architecture_learning_rate,
        batch=64,
        every=1,
        first_epoch=0,
    )
    return Study(
        space,
        weights,
        validation,
        found.test.take(slice(0, options.test_images)),
        SearchSettings(
            architecture,
            WarmUp(options.warm_up_epochs),
            WeightSettings(epochs=options.search_epochs, batch=64, learning_rate=options.learning_rate),
            validation_images=options.validation_images,
        ),
        TrainingSettings(WeightSettings(epochs=options.training_epochs, batch=64, learning_rate=0.05)),
        options.tuning_cpu_seconds,
        options.folder,
    )


def _cell(study: Study, name: str, source: Source, quantile: float, seed: int) -> Cell:
    """The finished cell of the folder, or a new one."""
    folder = study.folder / f"{name.replace(' ', '-')}-q{100 * quantile:.0f}-s{seed}"
    kept = folder / "cell.json"
    if kept.exists():
        return msgspec.json.decode(kept.read_bytes(), type=Cell)
    limit_us = float(np.quantile(source.predict(study.space.sample(_DRAWN, seed=0)).mean_us, quantile))
    begin = time.process_time()
    architecture = msgspec.structs.replace(
        study.search.architecture,
        by=msgspec.structs.replace(study.search.architecture.by, loss=MulLog(limit_us)),
    )
    settings = msgspec.structs.replace(study.search, architecture=architecture, seed=seed)
    search = SupernetSearch(study.space, source, Splits(study.train, study.validation), settings)
    # No checkpoints: a search in two parts would not know the CPU time of the first.
    outcome = search.run()
    architecture_found = _likeliest(study.space, outcome.offered(), source, limit_us)
    spent = time.process_time() - begin
    found = _trained(study, source, architecture_found, seed)
    rivals: list[Candidate] = []
    drawn = _near(study.space, source, limit_us, seed)
    budget = spent + study.tuning_cpu_seconds + found.cpu_seconds
    while not rivals or budget - sum(rival.cpu_seconds for rival in rivals) >= rivals[-1].cpu_seconds:
        rivals.append(_trained(study, source, drawn[len(rivals)], seed))
    cell = Cell(
        name, quantile, limit_us, seed, spent, study.tuning_cpu_seconds, outcome.progress[-1].entropy, found,
        tuple(rivals),
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(msgspec.json.encode(cell))
    return cell


def _likeliest(space: ChainSpace, log_probabilities: Any, source: Source, limit_us: float) -> Any:
    """The architecture of the highest probability that keeps the limit."""
    from hwbench.search.exact import best
    from hwbench.search.quantities import ChoiceScores, Latency, Limit

    (found,) = best(space, ChoiceScores(space, log_probabilities), [Limit(Latency(source), limit_us)])
    return found


def _near(space: ChainSpace, source: Source, limit_us: float, seed: int) -> Any:
    """Random architectures at 90 to 100 % of the limit."""
    found: list[Any] = []
    for part in range(_MOST_DRAWS):
        drawn = space.sample(_DRAWN, seed=1_000_000 * (seed + 1) + part)
        latency_us = source.predict(drawn).mean_us
        found += list(drawn[(latency_us >= CLOSE * limit_us) & (latency_us <= limit_us)])
        if len(found) >= _MOST_DRAWS:
            break
    return found


def _trained(study: Study, source: Source, architecture: Any, seed: int) -> Candidate:
    begin = time.process_time()
    network = study.space.network(architecture)
    trained = train(network, study.train, msgspec.structs.replace(study.training, seed=seed))
    normalisation = Normalisation(study.train)
    validation, test = (
        accuracy(network, trained.weights, images, normalisation) for images in (study.validation, study.test)
    )
    return Candidate(
        study.space.describe(architecture), float(source.predict(architecture).mean_us[0]), validation, test,
        time.process_time() - begin,
    )  # fmt: skip


def _summary(cells: list[Cell], name: str, quantile: float) -> dict[str, Any]:
    own = [cell for cell in cells if cell.table == name and cell.quantile == quantile]
    gains = np.array([cell.found.test - cell.chosen.test for cell in own])
    rivals = np.array([rival.test for cell in own for rival in cell.rivals])
    return {
        "table": name,
        "quantile": quantile,
        "limit_us": own[0].limit_us,
        "seeds": len(own),
        "found_test": [cell.found.test for cell in own],
        "chosen_rival_test": [cell.chosen.test for cell in own],
        "rivals": [len(cell.rivals) for cell in own],
        "gain_mean": float(gains.mean()),
        "gain_smallest": float(gains.min()),
        "won": int((gains > 0).sum()),
        "rivals_test_mean": float(rivals.mean()),
        "rivals_test_deviation": float(rivals.std(ddof=1)) if len(rivals) > 1 else None,
        "latency_over_limit": [cell.found.latency_us / cell.limit_us for cell in own],
    }


if __name__ == "__main__":
    main()
