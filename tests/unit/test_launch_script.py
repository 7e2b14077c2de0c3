"""A runner that has ended is gone, whether or not its parent has asked about it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

SCRIPT = ROOT / "device_runtime" / "launch.sh"


def started(process: int) -> str:
    """The time it was started, as launch.sh keeps it."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]


@pytest.mark.parametrize("verb", ["follow", "stop"])
def test_a_process_that_nobody_has_waited_for_is_gone(tmp_path: Path, verb: str) -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    (tmp_path / "launch-0.pid").write_text(f"{child.pid} {started(child.pid)}\n")
    said = subprocess.run(
        ["sh", SCRIPT, verb, tmp_path, "launch-0"], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout == "gone\n"
    child.wait()


def test_a_process_that_runs_is_followed_until_it_is_stopped(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        (tmp_path / "launch-0.pid").write_text(f"{child.pid} {started(child.pid)}\n")
        said = subprocess.run(
            ["sh", SCRIPT, "stop", tmp_path, "launch-0"], capture_output=True, text=True, timeout=60, check=True
        )
        assert said.stdout == "gone\n"
        assert child.wait() < 0
