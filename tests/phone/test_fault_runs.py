"""Whatever befalls a phone while it measures: after resume every line is there once, and the phone is as it was."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.phone.fault_runs import run_all

RUNS = 20
WORKERS = 2


def test_no_run_is_lost_doubled_or_invented(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = int(os.environ.get("HWBENCH_FAULT_SEED") or random.randrange(1 << 30))
    with capsys.disabled():
        print(f"\n{RUNS} runs, seeds {base} to {base + RUNS - 1}; HWBENCH_FAULT_SEED={base} repeats them")
    done = run_all(tmp_path, range(base, base + RUNS), WORKERS)
    assert [run for run in done if run.broken] == []
