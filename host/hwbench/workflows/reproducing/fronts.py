"""Exact fronts of NAS-Bench-201 on published targets, and what another target's front costs."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from hwbench.errors import DataError
from hwbench.measure.statistics import spearman
from hwbench.tables import formats
from hwbench.tables.formats.published import published
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer.fronts import front, front_regret
from hwbench.transfer.ranks import Floats
from hwbench.workflows.reproducing.reproduce import Check, Reproduction, data_folder

_TARGETS = ("pixel3", "raspi4", "fpga", "eyeriss", "1080ti_1", "pixel2")
_LATENCIES = {target: published(f"nasbench201/latency/{target}.pt") for target in _TARGETS}
_ACCURACY = published("nb201/accuracy.csv")
_SIZES = {
    "cifar10": {"pixel3": 43, "raspi4": 43, "fpga": 13, "eyeriss": 19, "1080ti_1": 32, "pixel2": 13},
    "cifar100": {"pixel3": 35, "raspi4": 40, "fpga": 15, "eyeriss": 14, "1080ti_1": 37, "pixel2": 16},
}
# (proxy, target): mean regret over nine budgets in points of CIFAR-100 accuracy, and Spearman.
_REGRETS = {
    ("pixel3", "raspi4"): (0.11, 0.97),
    ("pixel3", "fpga"): (0.29, 0.87),
    ("pixel3", "eyeriss"): (0.07, 0.72),
    ("pixel3", "pixel2"): (0.47, 0.76),
    ("pixel3", "1080ti_1"): (1.43, 0.59),
    ("1080ti_1", "pixel3"): (2.83, 0.59),
    ("fpga", "1080ti_1"): (0.35, 0.83),
    ("fpga", "pixel2"): (1.37, 0.90),
    ("raspi4", "pixel2"): (1.33, 0.79),
}


def fronts(data: Path | None = None) -> Reproduction:
    """Sizes of the exact fronts, and accuracy lost on a target by choosing from a proxy's front.

    Raises UsageError without a data folder, DataError naming repository, path and sha256 of each file that is missing.
    """
    needed = (*_LATENCIES.values(), _ACCURACY)
    folder = data_folder(data, needed)
    latency = {target: _latencies(folder / file.local, target) for target, file in _LATENCIES.items()}
    accuracy = {name: _accuracies(folder / _ACCURACY.local, name) for name in _SIZES}
    checks = [
        Check(f"{target}, exact front of {name}", "networks", size, 0, len(front(latency[target], accuracy[name])))
        for name, sizes in _SIZES.items()
        for target, size in sizes.items()
    ]
    for (proxy, target), (regret, agreement) in _REGRETS.items():
        lost = front_regret(latency[target], latency[proxy], accuracy["cifar100"]).mean
        computed = spearman(latency[proxy], latency[target])
        checks += [
            Check(
                f"{proxy}'s front on {target}, accuracy lost",
                "points",
                regret,
                0.0051,
                np.nan if lost is None else lost,
            ),
            Check(f"{proxy} and {target}", "Spearman", agreement, 0.0051, computed),
        ]
    return Reproduction("fronts", tuple(checks), needed)


def _latencies(path: Path, target: str) -> Floats:
    matrix = formats.read(path)
    if not isinstance(matrix, LatencyMatrix):
        raise DataError(f"{path} is no matrix of architectures.")
    return matrix.column(target)


def _accuracies(path: Path, name: str) -> Floats:
    with path.open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: int(row["index"]))
    return np.array([float(row[f"e200_{name}_test"]) for row in rows])
