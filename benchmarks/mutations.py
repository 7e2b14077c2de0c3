"""Damaged table and matrix files of every kind: a clean error or a valid table, within a second, in bounded memory."""

from __future__ import annotations

import random
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from tests.table_files import mutate, write_own, write_samples

from benchmarks.common import parser, report
from hwbench.errors import HwbenchError
from hwbench.tables import formats, opening

SLOWEST_ALLOWED = 1.0


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--files", type=int, default=20_000, help="damaged files in total")
    arguments.add_argument("--seed", type=int, default=0)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        foreign, own = write_samples(Path(folder) / "foreign"), write_own(Path(folder))
        count = -(-options.files // (len(foreign) + len(own)))
        before = _peak_bytes()
        results = {
            name: _try(
                path, count, options.seed, lambda p, name=name: formats.read(p, format_name=name.partition(" ")[0])
            )
            for name, path in foreign.items()
        }
        for name, path in own.items():
            results[f"own {name}"] = _try(path, count, options.seed, opening.load)
        grown = _peak_bytes() - before
    totals = {
        key: sum(result[key] for result in results.values())
        for key in ("files", "refused", "valid", "unclean", "not_kept")
    }
    slowest = max(result["slowest_s"] for result in results.values())
    accepted = sum(result["valid"] for name, result in results.items() if name.startswith("own"))
    report(
        "mutations",
        {
            **totals,
            "slow": sum(result["slow"] for result in results.values()),
            "slowest_s": slowest,
            "peak_memory_growth_bytes": grown,
            "damaged_own_files_accepted": accepted,
            "by_kind": results,
        },
        options.keep,
    )
    if totals["unclean"] or totals["not_kept"] or accepted or slowest > SLOWEST_ALLOWED:
        raise SystemExit("a damaged file was not handled cleanly")


def _try(path: Path, count: int, seed: int, read: Callable[[Path], object]) -> dict[str, Any]:
    """How `count` damaged copies of a file end; `not_kept`: read as valid, but other after writing and reading."""
    data = path.read_bytes()
    rng = random.Random(f"{seed} {path.name}")
    found: dict[str, Any] = {
        "files": 0,
        "refused": 0,
        "valid": 0,
        "unclean": 0,
        "not_kept": 0,
        "slow": 0,
        "slowest_s": 0.0,
    }
    found["unclean_examples"] = []
    while found["files"] < count:
        damaged = mutate(data, rng)
        if damaged == data:
            continue
        found["files"] += 1
        path.write_bytes(damaged)
        begin = time.process_time()
        try:
            content = read(path)
            found["valid"] += 1
            found["not_kept"] += msgspec.json.decode(msgspec.json.encode(content), type=type(content)) != content
        except HwbenchError:
            found["refused"] += 1
        except Exception as error:
            found["unclean"] += 1
            found["unclean_examples"].append(f"{type(error).__name__}: {error}"[:200])
        seconds = time.process_time() - begin
        found["slow"] += seconds > SLOWEST_ALLOWED
        found["slowest_s"] = max(found["slowest_s"], round(seconds, 4))
    found["unclean_examples"] = found["unclean_examples"][:5]
    path.write_bytes(data)
    return found


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
