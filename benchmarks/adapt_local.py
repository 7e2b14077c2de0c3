"""`adapt` to a target of this machine that is left out of the pool: Spearman over further networks, by method.

The networks of the fit, fifty others, and these once more are measured in launches of their own. All methods get the
same: gp and adaproxy ten picks, HELP these as its references and the next ten; gp and adaproxy also all twenty.
The second measurement of the fifty says how well any predictor could agree. With `--folder` an interrupted run goes on.
"""

from __future__ import annotations

import tempfile
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, get_args

import msgspec
import numpy as np

from benchmarks.common import parser, report
from hwbench import files, spaces
from hwbench.devices import LocalDevice
from hwbench.measure.statistics import Floats, spearman
from hwbench.spaces.space import Architectures
from hwbench.tables import lookup
from hwbench.workflows.adapting.checks import fit
from hwbench.workflows.adapting.few_shot import Places
from hwbench.workflows.adapting.methods import METHODS, ByMetaLearning, Method
from hwbench.workflows.adapting.pool import Pool, open_pool
from hwbench.workflows.adapting.targets import DeviceTarget, Stage
from hwbench.workflows.networks import Bench
from hwbench.workflows.settings import MeasureOptions, target_of
from hwbench.workflows.sources import source_of

PICKED = 10
TEST_SEED = 77


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--pool", type=Path, default=Path("lookup_tables"), help="folder of folders of tables")
    arguments.add_argument("--space", default=spaces.DEFAULT)
    arguments.add_argument("--leave-out", default="*--litert-*-int8-*", help="files of the pool that are not used")
    arguments.add_argument("--engine", default="litert")
    arguments.add_argument("--delegate", default="xnnpack")
    arguments.add_argument("--precision", default="int8")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--preset", default="quick")
    arguments.add_argument("--networks", type=int, default=50)
    arguments.add_argument("--methods", default=",".join(get_args(Method)))
    arguments.add_argument("--folder", type=Path, help="where an interrupted run lies")
    arguments.add_argument("--name", default="adapt_local", help="name of the result")
    options = arguments.parse_args()
    measuring = MeasureOptions(
        preset=options.preset, precision=options.precision, delegate=options.delegate, threads=options.threads,
        engine=options.engine,
    )  # fmt: skip
    paths = [
        path
        for path in sorted(options.pool.glob(f"*/{options.space}--*.json"))
        if files.kind_of(path) == lookup.KIND and not fnmatch(path.name, options.leave_out)
    ]
    pool = open_pool(paths, None, lambda _, __: False)
    device = LocalDevice()
    record = device.record()
    bench = Bench(device, record, target_of(device, record.id, measuring), measuring)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        session = folder / "session"
        target = DeviceTarget(
            bench,
            pool.space,
            folder / "adapt.json",
            session,
            {"pool": str(len(paths))},
            session.exists(),
            lambda _: None,
        )
        result = study(pool, target, options.networks, options.methods.split(","))
        target.close()
    result |= {"target": target.name, "preset": options.preset, "left_out": options.leave_out, "space": pool.space.name}
    report(options.name, result, options.keep)


def study(pool: Pool, target: DeviceTarget, networks: int, methods: list[Method]) -> dict[str, Any]:
    candidates = np.flatnonzero(pool.complete)
    # Picks are greedy, so the first ten of twenty are those of ten.
    places = METHODS["gp"](pool, candidates).pick(2 * PICKED)
    known = pool.architectures
    begin = time.monotonic()
    fitted = target.measure("fitted", known[places])
    others = target.others(known[places], networks, TEST_SEED)
    test, again = (target.measure(name, others) for name in ("test", "retest"))
    seconds = time.monotonic() - begin
    latency, repeated = _common(test, again)
    found: dict[str, Any] = {
        "pool": [column.name for column in pool.columns],
        "networks": len(latency),
        "failures": [*fitted.failures, *test.failures, *again.failures],
        "test_retest_spearman": spearman(latency, repeated),
        "test_retest_difference_median": float(np.median(np.abs(repeated / latency - 1))),
        "flagged": sum(bool(network.flags) for stage in (fitted, test, again) for network in stage.networks),
        "seconds_measuring": seconds,
    }
    rows = {network.architecture for network in again.networks}
    tested = np.array([network.architecture for network in test.networks if network.architecture in rows], np.uint8)
    for method in methods:
        for count in (PICKED,) if method == "help" else (PICKED, 2 * PICKED):
            name = f"{method} {2 * PICKED if method == 'help' else count}"
            found[name] = judged(pool, target, method, candidates, places, fitted, count, tested, latency)
            print(name, found[name], flush=True)
    return found


def judged(
    pool: Pool, target: DeviceTarget, method: Method, candidates: Places, places: Places, fitted: Stage, count: int,
    tested: Architectures, latency: Floats,
) -> dict[str, float]:  # fmt: skip
    """One method on the first `count` of the measured networks; HELP on all, of which the first are its references."""
    begin = time.monotonic()
    adaptation = METHODS[method](pool, candidates)
    learned = time.monotonic()
    if isinstance(adaptation, ByMetaLearning):
        assert adaptation.references.tolist() == places[:PICKED].tolist()
        count = len(places)
    own = {tuple(row) for row in pool.architectures[places[:count]].tolist()}
    stage = msgspec.structs.replace(
        fitted, networks=tuple(network for network in fitted.networks if network.architecture in own)
    )
    predictor = fit(pool, target, adaptation, places[:count], stage).predictor
    spans = source_of(predictor, pool.space).predict(tested)
    inside = (spans.lower_us <= latency) & (latency <= spans.upper_us)
    return {
        "spearman": spearman(spans.mean_us, latency),
        "median_ape": float(np.median(np.abs(spans.mean_us / latency - 1))),
        "in_95_percent_interval": float(inside.mean()),
        "seconds_learning": learned - begin,
        "seconds_fitting": time.monotonic() - learned,
    }


def _common(test: Stage, again: Stage) -> tuple[Floats, Floats]:
    """Latencies of the networks that both measured."""
    second = {network.architecture: network.latency_us for network in again.networks}
    both = [(one.latency_us, second[one.architecture]) for one in test.networks if one.architecture in second]
    first, repeated = np.array(both).T
    return first, repeated


if __name__ == "__main__":
    main()
