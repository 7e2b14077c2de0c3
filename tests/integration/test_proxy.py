"""The telling networks of a new target measured on this computer, and the proxy chosen by them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from hwbench import spaces
from hwbench.tables import imported
from hwbench.workflows.target_networks import load, read_networks
from tests.conftest import TINY, Hwbench
from tests.table_files import block_table


def test_telling_networks_are_measured_and_chosen_by(hwbench: Hwbench, tiny_table: Path, tmp_path: Path) -> None:
    imported.save(msgspec.structs.replace(block_table(TINY), target="made-up"), tmp_path / "other.json")
    words = (
        "proxy",
        tiny_table,
        "other.json",
        "--count",
        "6",
        "--device",
        "local",
        "--networks",
        "100",
        "-o",
        "new.json",
    )
    done = hwbench(*words, "--json")
    assert done.returncode in (0, 1, 2), done.stderr
    document = json.loads(done.stdout)
    assert "Measured 6 networks, written to new.json." in done.stderr
    assert (document["target"], document["measured"], document["unknown"]) == ("new.json", 6, 0)
    assert len(document["candidates"]) == 2
    found = load(tmp_path / "new.json")
    assert found.failed == {}
    assert all(one.lower_us <= one.measured_us <= one.upper_us for one in found.networks)
    assert read_networks(tmp_path / "new.json", spaces.get(TINY)).measured_us.min() > 0
    assert not (tmp_path / "new.json.session").exists()
    again = hwbench("proxy", tiny_table, "other.json", "--target", "new.json", "--networks", "100", "--json")
    assert json.loads(again.stdout)["candidates"] == document["candidates"]
    refused = hwbench(*words)
    assert refused.returncode == 2
    assert "new.json exists already" in refused.stderr
