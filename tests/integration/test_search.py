"""Candidates of a search measured on this computer; an architecture file profiled as a network."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np

from hwbench import spaces
from hwbench.spaces import architecture_file
from hwbench.tables import lookup
from hwbench.tables.lookup import Row
from hwbench.tables.source import TableSource
from tests.conftest import TINY, Hwbench

SPACE = spaces.get(TINY)


def test_the_first_candidate_that_holds_is_the_answer(hwbench: Hwbench, tiny_table: Path, tmp_path: Path) -> None:
    limit = _far_above(tiny_table)
    words = ("search", "--table", tiny_table, "--limit", f"{limit:.3f}us", "--verify", "2", "-o", "found.json")
    done = hwbench(*words, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["candidate"] for one in found["measured"]] == [0, 1]
    assert all(one["holds"] == (one["value_us"] <= limit) for one in found["measured"])
    assert found["measured"][0]["lower_us"] <= found["measured"][0]["latency_us"] <= found["measured"][0]["upper_us"]
    assert found["answer"] == found["candidates"][0]
    assert architecture_file.load(tmp_path / "found.json").choices == tuple(found["answer"]["architecture"])
    assert not tiny_table.with_name(f"{tiny_table.name}.search.session").exists()
    profiled = json.loads(hwbench("profile", "found.json", "--json").stdout)
    (model,) = profiled["models"]
    assert model["model"] == "found.json"
    assert 0.1 < model["latency"]["value_us"] / found["measured"][0]["latency_us"] < 10


def _far_above(table: Path) -> float:
    """A limit in us that every network keeps, also on a computer that does other work beside."""
    return 10 * float(TableSource(lookup.load(table), SPACE).predict(SPACE.sample(200, 0)).mean_us.max())


def _faster(row: Row, factor: float) -> Row:
    """The row as if the device were so many times faster."""
    assert row.measurement is not None
    lower, value, upper = (getattr(row.measurement, name) / factor for name in ("lower_us", "value_us", "upper_us"))
    shrunk = msgspec.structs.replace(row.measurement, lower_us=lower, value_us=value, upper_us=upper)
    return msgspec.structs.replace(row, measurement=shrunk)


def test_when_none_holds_the_exit_code_is_1_and_nothing_is_written(
    hwbench: Hwbench, tiny_table: Path, tmp_path: Path
) -> None:
    # A table that says a tenth of what the device needs.
    table = lookup.load(tiny_table)
    wrong = msgspec.structs.replace(table, rows=tuple(_faster(row, 10) for row in table.rows))
    lookup.save(wrong, tmp_path / "wrong.json")
    limit = float(TableSource(wrong, SPACE).predict(SPACE.sample(200, 0)).mean_us.max())
    words = ("search", "--table", "wrong.json", "--limit", f"{limit:.3f}us", "--confidence", "90", "--verify", "1")
    done = hwbench(*words, "-o", "found.json", "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["answer"] is found["architecture"] is None
    assert found["measured"][0]["holds"] is False
    assert not (tmp_path / "found.json").exists()
    assert "None of the 1 measured candidates holds" in hwbench(*words, "-o", "found.json").stdout


def test_candidates_of_a_supernet_are_measured_before_one_is_trained(
    hwbench: Hwbench, tiny_table: Path, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (64, 16, 16, 3), np.uint8), np.arange(64) % 4
    np.savez(tmp_path / "noise.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels)
    few = {"weights": {"epochs": 1, "batch": 16}}
    settings = {"search": {**few, "warm_up": {"epochs": 0}, "architecture": {"batch": 8}}, "training": few}
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    words = ["search", "--method", "supernet", "--table", tiny_table, "--data", "noise.npz", "--settings",
             "settings.json", "--verify", "2", "--limit"]  # fmt: skip
    done = hwbench(*words, f"{_far_above(tiny_table):.3f}us", "-o", "found", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["candidate"] for one in found["measured"]] == [0, 1]
    first = next(one for one in found["measured"] if one["holds"])
    assert found["answer"] == found["candidates"][first["candidate"]]
    assert (tmp_path / found["weights"]).exists()
    # The same search, the networks measured again, when the limit is far below what they take.
    wrong = tmp_path / "wrong.json"
    table = lookup.load(tiny_table)
    lookup.save(msgspec.structs.replace(table, rows=tuple(_faster(row, 100) for row in table.rows)), wrong)
    limit = float(TableSource(lookup.load(wrong), SPACE).predict(SPACE.sample(200, 0)).mean_us.max())
    words[4] = wrong
    done = hwbench(*words, f"{limit:.3f}us", "-o", "found", "--overwrite", "--json")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert found["answer"] is found["weights"] is None
    assert not (tmp_path / "found" / "weights.safetensors").exists()
