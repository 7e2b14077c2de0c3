"""The command line with the shortest preset there is, for tests: `python -m tests.phone.command_line ...`."""

from __future__ import annotations

from hwbench.cli.main import main
from hwbench.measure.plan import Burst
from hwbench.measure.presets import PRESETS, Preset

# Each model runs twice in one round; nothing that is measured under an emulator means anything.
ONCE = Preset("quick", target=1.0, rounds=1, launches=1, max_launches=1, patience_s=0.0,
              burst=Burst(warmup_invokes=1, warmup_us=0, invokes=1, duration_us=0, max_invokes=1))  # fmt: skip

if __name__ == "__main__":
    PRESETS["quick"] = ONCE
    main()
