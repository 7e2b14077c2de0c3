"""A phone that dies at random moments of a measurement, each run resumed: nothing lost, twice or invented."""

from __future__ import annotations

import random
import re
import tempfile
from collections import Counter
from pathlib import Path

import msgspec
from tests.phone.fault_runs import run_all

from benchmarks.common import parser, report


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--runs", type=int, default=100)
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 30), help="of the first run")
    arguments.add_argument("--workers", type=int, default=2, help="processes, each with a phone of its own")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        done = run_all(Path(folder), range(options.seed, options.seed + options.runs), options.workers)
    failed = [run for run in done if run.broken]
    report(
        "phone_faults",
        {
            "runs": len(done),
            "seeds": [done[0].seed, done[-1].seed],
            "failures": len(failed),
            "faults_drawn": sum(name != "none" for run in done for name in run.misfortunes),
            "faults": Counter(
                re.sub(r"[\d.]+", "N", name) for run in done for name in run.misfortunes if name != "none"
            ),
            "attempts": sum(run.attempts for run in done),
            "runs_by_attempts": dict(sorted(Counter(run.attempts for run in done).items())),
            "attempts_ended_by": Counter(ending.partition(":")[0] for run in done for ending in run.endings),
            "restored_by_the_next_session": sum(run.restored_later for run in done),
            "failed_runs": msgspec.to_builtins(failed),
        },
        options.keep,
    )
    if failed:
        raise SystemExit("a run was not as promised")


if __name__ == "__main__":
    main()
