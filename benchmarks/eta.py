"""The time estimate after the first round against the time it took."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import hwbench
from benchmarks.common import parser, report
from hwbench.measure.campaign import Progress


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--preset", default="quick")
    arguments.add_argument("--runs", type=int, default=3)
    options = arguments.parse_args()
    runs = []
    for _ in range(options.runs):
        said: list[tuple[float, float]] = []

        def note(state: Progress, said: list[tuple[float, float]] = said) -> None:
            if state.seconds_left is not None:
                said.append((time.monotonic(), state.seconds_left))

        with tempfile.TemporaryDirectory() as folder:
            result = hwbench.profile(
                output=Path(folder) / "t.json", options=hwbench.MeasureOptions(preset=options.preset), on_progress=note
            )
            end = time.monotonic()
        at, left = said[0]
        runs.append(
            {
                "said_seconds_left": left,
                "took_seconds": end - at,
                "ratio": left / (end - at),
                "launches": len(result.table.launches),
                "slowdown": result.table.slowdown,
            }
        )
    report("eta", {"preset": options.preset, "runs": runs}, options.keep)


if __name__ == "__main__":
    main()
