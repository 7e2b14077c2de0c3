"""Chooses AdaProxy's settings on targets that have no part in the published pairs, and tests them on those.

Each of HELP's NAS-Bench-201 targets is adapted to from PROXIES random others, by random measurements. A device that
one of the published pairs names takes no part, nor do proxies of the target's own family. Settings are compared by the
mean Spearman; `left_out` chooses them again without each family and reports that family's figures, so that choosing is
tested too. `pairs` are the published ones, of which nothing was chosen.

    python -m benchmarks.adaproxy_settings --data DIR [--seeds N] [--keep]
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.common import parser, report
from hwbench import spaces
from hwbench.measure.statistics import spearman
from hwbench.spaces.encodings import choice_labels, one_hot
from hwbench.tables import flaws, formats
from hwbench.tables.matrix import LatencyMatrix
from hwbench.transfer import adaproxy
from hwbench.transfer.adaproxy import DEFAULT, Settings
from hwbench.workflows.reproducing.oneproxy import PAIRS

ROWS = 2000
MEASURED = (10, 20, 40, 70)
# Devices of the published pairs: a GeForce GTX 1080 Ti, a Pixel 3, a Raspberry Pi 4.
NAMED = ("1080ti", "pixel3", "raspi4")
PAIR_SEEDS = 20
TYPICAL = (0.0, 0.5, 1.0)
SHARED = (0.0, 0.3, 0.6, 0.9)
SURE = (0.0, 0.5, 1.0)
PROXIES = 4

Floats = NDArray[np.float64]


class Columns(msgspec.Struct, frozen=True):
    """Encoded architectures (n, p), latencies (n, targets), and each target's weights as a proxy."""

    names: tuple[str, ...]
    encoded: Floats
    values: Floats
    weights: tuple[Floats, ...]
    labels: adaproxy.Labels


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--data", type=Path, required=True, help="folder of published data")
    arguments.add_argument("--seeds", type=int, default=3)
    options = arguments.parse_args()
    columns = columns_of(options.data / "help" / "data" / "nasbench201", NAMED)
    variants = [Settings(*values) for values in itertools.product(TYPICAL, SHARED, SURE)]
    pairs = pairs_of(columns.names)
    figures = np.array([[agreement(columns, pair, variant, options.seeds) for pair in pairs] for variant in variants])
    means = figures.mean(axis=(1, 2))
    families = np.array([family(columns.names[target]) for _, target in pairs])
    published = columns_of(options.data / "oneproxy" / "latency.csv", ())
    best = variants[int(np.argmax(means))]
    result: dict[str, Any] = {
        "seeds": options.seeds, "targets": columns.names, "pairs_compared": len(pairs), "measured": MEASURED,
        "chosen": msgspec.to_builtins(best),
        "variants": [
            msgspec.to_builtins(variant) | {"mean": float(mean), "by_measured": own.mean(axis=0).tolist()}
            for variant, mean, own in sorted(zip(variants, means, figures, strict=True), key=lambda one: -one[1])
        ],
        "left_out": {
            name: left_out(variants, figures[:, families != name], figures[:, families == name])
            for name in dict.fromkeys(families.tolist())
        },
        "pairs": {
            f"{proxy} for {target}": {
                name: agreement(
                    published, (published.names.index(proxy), published.names.index(target)), one, PAIR_SEEDS
                ).tolist()
                for name, one in (("chosen", best), ("default", DEFAULT))
            }
            for proxy, target in PAIRS
        },
    }  # fmt: skip
    report("adaproxy_settings", result, options.keep)


def columns_of(path: Path, without: tuple[str, ...]) -> Columns:
    """Unflawed targets, or all where none is to be left out, whose names do not begin so."""
    matrix = formats.read(path)
    if not isinstance(matrix, LatencyMatrix):
        raise SystemExit(f"{path} is no matrix")
    names = flaws.unflawed(matrix) if without else matrix.targets
    names = tuple(name for name in names if not name.startswith(without or ("-",)))
    values = np.stack([matrix.column(name) for name in names], axis=1)
    rows = np.sort(np.random.default_rng(0).permutation(len(values))[:ROWS])
    space = spaces.get(matrix.space)
    encoded = one_hot(space, matrix.encoded[rows].astype(np.int64))
    weights = tuple(adaproxy.proxy_weights(encoded, space.choice_counts, column) for column in values[rows].T)
    return Columns(names, encoded, values[rows], weights, choice_labels(space))


def pairs_of(names: tuple[str, ...]) -> list[tuple[int, int]]:
    """A proxy and a target each."""
    rng, found = np.random.default_rng(0), []
    for target, name in enumerate(names):
        others = [number for number, other in enumerate(names) if family(other) != family(name)]
        found += [(int(proxy), target) for proxy in rng.choice(others, min(PROXIES, len(others)), replace=False)]
    return found


def family(name: str) -> str:
    return "titan" if name.startswith("titan") else name.split("_", maxsplit=1)[0]


def agreement(columns: Columns, pair: tuple[int, int], settings: Settings, seeds: int) -> Floats:
    """Mean Spearman of an adapted proxy with its target, per number of measurements."""
    proxy, target = pair
    latencies = columns.values[:, target]
    found = np.zeros((seeds, len(MEASURED)))
    for seed, (place, count) in itertools.product(range(seeds), enumerate(MEASURED)):
        rows = np.random.default_rng(seed).choice(len(latencies), count, replace=False)
        adapted = adaproxy.adapt(
            columns.weights[proxy], columns.encoded[rows], latencies[rows], labels=columns.labels, settings=settings
        )
        rest = np.setdiff1d(np.arange(len(latencies)), rows)
        found[seed, place] = spearman(adapted.predict(columns.encoded[rest]), latencies[rest])
    mean: Floats = found.mean(axis=0)
    return mean


def left_out(variants: list[Settings], training: Floats, tested: Floats) -> dict[str, Any]:
    """The settings that are best without a family, and that family's figures with them and with the best for it."""
    best = int(np.argmax(training.mean(axis=(1, 2))))
    own = tested.mean(axis=(1, 2))
    return {"settings": msgspec.to_builtins(variants[best]), "mean": float(own[best]), "best": float(own.max())}


if __name__ == "__main__":
    main()
