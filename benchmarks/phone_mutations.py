"""Damaged outputs of phones, for every parser: a clean error or a value, within a second, in bounded memory."""

from __future__ import annotations

import os
import random
import resource
import time
from pathlib import Path
from typing import Any

import msgspec
from tests.phone_recordings import Subject, subjects
from tests.table_files import mutate

from benchmarks.common import parser, report
from hwbench.errors import DataError

SLOWEST_ALLOWED = 1.0


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--outputs", type=int, default=10_000, help="damaged outputs per parser")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    data = os.environ.get("HWBENCH_DATA")
    if not data:
        raise SystemExit("recorded outputs are not here: set HWBENCH_DATA to the folder of published data")
    before = _peak_bytes()
    results = {
        name: _try(subject, options.outputs, random.Random(f"{options.seed} {name}"))
        for name, subject in subjects(Path(data)).items()
    }
    totals = {key: sum(r[key] for r in results.values()) for key in ("outputs", "refused", "read", "unclean", "slow")}
    slowest = max(result["slowest_s"] for result in results.values())
    report(
        "phone_mutations",
        {
            **totals,
            "seed": options.seed,
            "parsers": len(results),
            "slowest_s": slowest,
            "peak_memory_growth_bytes": _peak_bytes() - before,
            "by_parser": results,
        },
        options.keep,
    )
    if totals["unclean"] or slowest > SLOWEST_ALLOWED:
        raise SystemExit("a damaged output was not handled cleanly")


def _try(subject: Subject, count: int, rng: random.Random) -> dict[str, Any]:
    """How damaged copies of a parser's outputs end; `originals` is how many undamaged ones they are made from."""
    found: dict[str, Any] = {"originals": len(subject.outputs), "outputs": 0, "refused": 0, "read": 0, "unclean": 0}
    found |= {"slow": 0, "slowest_s": 0.0, "unclean_examples": []}
    while found["outputs"] < count:
        original = rng.choice(subject.outputs)
        damaged = mutate(original, rng)
        if damaged == original:
            continue
        found["outputs"] += 1
        begin = time.process_time()
        try:
            msgspec.json.encode(subject.parse(damaged))
            found["read"] += 1
        except DataError:
            found["refused"] += 1
        except Exception as error:
            found["unclean"] += 1
            found["unclean_examples"].append(f"{type(error).__name__}: {error}"[:200])
        seconds = time.process_time() - begin
        found["slow"] += seconds > SLOWEST_ALLOWED
        found["slowest_s"] = max(found["slowest_s"], round(seconds, 4))
    found["unclean_examples"] = found["unclean_examples"][:5]
    return found


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
