"""The space on two virtual phones, an engine each: keys, outputs, round trips. No times, since it is emulated."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tests.phone.profiling import ENGINES, digests, profiled_on_phones, unequal

from benchmarks.common import parser, report
from hwbench import spaces


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--space", default=spaces.DEFAULT)
    chosen = options.parse_args()
    space = spaces.get(chosen.space)
    result: dict[str, object] = {"space": space.name, "keys": len(space.distinct_blocks)}
    with tempfile.TemporaryDirectory() as folder, profiled_on_phones(space.name, Path(folder)) as found:
        for engine in ENGINES:
            table = found.results[engine].table
            result[engine] = {
                "measured": len(table.measurements()),
                "failures": {row.key: row.failure for row in table.rows if row.failure},
                "emulated": sum("emulated" in row.flags for row in table.rows),
                "digests": len(digests(found.results[engine])),
                "unequal_to_host": unequal(found, engine),
                "launches": len(table.launches),
                "round_trips": found.phones[engine].round_trips(),
                "round_trips_allowed": 20 + 4 * len(table.launches),
                "left_on_the_phone": len(list((found.phones[engine].root / "data/local/tmp").iterdir())),
                "seconds": found.results[engine].seconds,
            }
    report("phone_space", result, chosen.keep)


if __name__ == "__main__":
    main()
