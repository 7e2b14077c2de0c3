"""The tables of this machine in lookup_tables/: every target it can be, each corrected by ten networks if that helps.

Each correction is judged on ten other networks, measured in launches of their own. A table that is already there is
not measured again; its figures are read from its file.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np

import hwbench
from benchmarks.common import load_table, parser, report, summary
from hwbench import MeasureOptions
from hwbench.devices import LocalDevice
from hwbench.models.formats import Delegate, Engine, Precision
from hwbench.tables import lookup
from hwbench.tables.lookup import LookupTable
from hwbench.workflows.settings import target_of

FOLDER = Path(__file__).parent.parent / "lookup_tables"
KINDS: tuple[tuple[Engine, Delegate], ...] = (("litert", "xnnpack"), ("executorch", "xnnpack"), ("litert", "builtin"))
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
THREADS = (1, 2)
RESOLUTIONS = (224, 160)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--folder", type=Path, default=FOLDER)
    arguments.add_argument("--preset", default="standard", help="of the tables")
    arguments.add_argument("--networks", type=int, default=10)
    arguments.add_argument("--network-preset", default="quick")
    options = arguments.parse_args()
    device = LocalDevice()
    record = device.record()
    found: dict[str, Any] = {}
    for threads, resolution, precision, (engine, delegate) in itertools.product(
        THREADS, RESOLUTIONS, PRECISIONS, KINDS
    ):
        measure = MeasureOptions(options.preset, precision, delegate, threads, engine=engine)
        space = f"proxylessnas-w1.0-r{resolution}-c1000"
        path = options.folder / record.id / lookup.default_name(space, target_of(device, record.id, measure))
        if not path.exists():
            hwbench.profile(space, device=device, options=measure, output=path)
        if load_table(path).calibration is None:
            hwbench.calibrate(
                path, path, networks=options.networks, preset=options.network_preset, device=device, overwrite=True
            )
        found[path.stem] = row(load_table(path))
        print(path.stem, found[path.stem], file=sys.stderr, flush=True)
    report("lookup_tables", {"preset": options.preset, "tables": found, "promise": promise(found)}, options.keep)


def row(table: LookupTable) -> dict[str, Any]:
    calibration = table.calibration
    assert calibration is not None
    return {
        "corrected": bool(calibration.rows),
        "mape_before": calibration.before.mape,
        "mape_after": calibration.after.mape,
        "bias_before": calibration.before.bias,
        "bias_after": calibration.after.bias,
        "spearman": calibration.after.spearman,
        "table": summary(table),
    }


def promise(found: dict[str, Any]) -> dict[str, Any]:
    """Errors of sums, in percent: at least halved where they were above 3, never raised by more than .3."""
    before, after = (np.array([one[key] for one in found.values()]) for key in ("mape_before", "mape_after"))
    wrong = before > 0.03
    return {
        "above_3_percent": int(wrong.sum()),
        "of_those_halved": int((after[wrong] <= before[wrong] / 2).sum()),
        "largest_rise": float((after - before).max()),
        "mape_median": float(np.median(after)),
    }


if __name__ == "__main__":
    main()
