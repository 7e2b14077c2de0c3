"""Adaptation to a target of this computer: networks exported and measured, a predictor that other commands take."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Hwbench


def test_ten_networks_on_this_computer_make_a_predictor(hwbench: Hwbench, tiny_table: Path, tmp_path: Path) -> None:
    words = ("adapt", "--pool", tiny_table, "--device", "local", "--precision", "int8", "-o", "p.json")
    done = hwbench(*words, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["measurements"] == {"references": 0, "picked": 10, "held_out": 3, "repeated": 2, "total": 15}
    assert "int8" in found["target"]
    assert [column["kind"] for column in found["pool"]] == ["sums"]
    assert all(0.1 < one["predicted_us"] / one["network"]["latency_us"] < 10 for one in found["held_out"])
    assert 0 < found["ceiling"] <= 1
    assert not (tmp_path / "p.json.session").exists()
    predicted = json.loads(hwbench("table", "predict", "p.json", "--random", "1", "--json").stdout)
    assert predicted["prediction"]["lower_us"] <= predicted["prediction"]["value_us"]
    again = hwbench(*words, "--overwrite", "--pool", "p.json")
    assert again.returncode == 2
    assert "is a predictor" in again.stderr


def test_the_target_itself_is_no_pool(hwbench: Hwbench, tiny_table: Path) -> None:
    done = hwbench("adapt", "--pool", tiny_table, "--device", "local", "-o", "p.json")
    assert done.returncode == 2
    assert "is the target itself" in done.stderr
