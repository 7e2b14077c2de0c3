"""`kill -9` at random moments of a profile, each followed by `--resume`: no row lost, none measured twice."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.common import load_table, parser, report
from hwbench import spaces
from hwbench.measure.presets import PRESETS


def journalled(session: Path) -> Counter[tuple[int, str, int]]:
    """(launch, job, round) of every whole visit line in the session."""
    found: Counter[tuple[int, str, int]] = Counter()
    for path in session.glob("launch-*.results.jsonl"):
        launch = int(path.name.split("-")[1].split(".")[0])
        for line in path.read_bytes().split(b"\n")[:-1]:
            entry = json.loads(line)
            if entry["kind"] == "visit":
                found[launch, entry["job"], entry["round"]] += 1
    return found


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--kills", type=int, default=10)
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    moments, lost, twice = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.json"
        command = [sys.executable, "-m", "hwbench", "profile", "--preset", "quick", "--output", str(path)]
        kept: Counter[tuple[int, str, int]] = Counter()
        for number in range(options.kills):
            process = subprocess.Popen(
                [*command, *(["--resume"] if number else [])], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            moments.append(round(rng.uniform(0.4, 5.0), 2))
            time.sleep(moments[-1])
            process.kill()
            process.wait()
            time.sleep(1.5)
            found = journalled(path.with_name(f"{path.name}.session"))
            lost += sum((kept - found).values())
            kept = found
        subprocess.run([*command, "--resume"], check=True, capture_output=True)
        table = load_table(path)
    rows = table.measurements()
    for key, row in rows.items():
        places = list(zip(row.rounds.launch, row.rounds.round, strict=True))
        twice += len(places) - len(set(places))
        lost += len({(launch, number) for launch, job, number in kept if job == key} - set(places))
    result = {
        "seed": options.seed,
        "killed_after_seconds": moments,
        "visits_kept_from_killed_runs": sum(kept.values()),
        "visits_lost": lost,
        "visits_measured_twice": twice,
        "rows": len(rows),
        "rows_expected": len(spaces.get(spaces.DEFAULT).distinct_blocks),
        "fewest_rounds": min(len(row.rounds.round) for row in rows.values()),
        "rounds_planned": PRESETS["quick"].base_rounds,
        "launches": len(table.launches),
    }
    report("kill_resume", result, options.keep)


if __name__ == "__main__":
    main()
