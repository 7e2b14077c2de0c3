"""Blocks fitted to whole networks: known blocks come back within their intervals, held-out networks are predicted."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hwbench import spaces
from hwbench.cli.main import app
from hwbench.errors import DataError, UsageError
from hwbench.spaces.encodings import block_counts, block_features
from hwbench.tables import formats, imported, matrix
from hwbench.tables.imported import ImportedSource
from hwbench.tables.matrix import Column, LatencyMatrix
from hwbench.transfer.block_fit import fit_blocks
from hwbench.workflows.fit import fit
from tests.simulated import block_latencies
from tests.table_files import small_matrix

SPACE = spaces.get("proxylessnas")
FEATURES = np.stack([block_features(block) for block in SPACE.distinct_blocks])


def network_matrix(seed: int = 0, count: int = 300, noise: float = 0.01) -> LatencyMatrix:
    rng = np.random.default_rng(seed)
    archs = SPACE.sample(count, seed)
    values = block_counts(SPACE, archs) @ block_latencies(rng, FEATURES) * np.exp(noise * rng.standard_normal(count))
    return LatencyMatrix(
        SPACE.name, "latency_us", tuple(map(tuple, archs.tolist())), (Column("d", tuple(values.tolist())),)
    )


@pytest.mark.parametrize(("noise", "count"), [(0.005, 200), (0.03, 200), (0.01, 60)])
def test_intervals_of_blocks_hold_the_truth(noise: float, count: int) -> None:
    held, better = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        truth, counts = block_latencies(rng, FEATURES), block_counts(SPACE, SPACE.sample(count + 300, seed))
        measured = counts @ truth * np.exp(noise * rng.standard_normal(len(counts)))
        found = fit_blocks(counts[:count], FEATURES, measured[:count])
        assert (found.latency_us > 0).all()
        held.append(np.mean(np.abs(found.latency_us - truth) <= 1.96 * found.spread_us))
        errors = [
            float(np.abs(counts[count:] @ blocks / measured[count:] - 1).mean())
            for blocks in (found.latency_us, found.prior_us)
        ]
        better.append(errors[0] / errors[1])
    assert 0.88 <= np.mean(held) <= 1.0
    assert np.mean(better) < 0.8


def test_left_out_errors_are_those_of_new_networks() -> None:
    ratios = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        truth, counts = block_latencies(rng, FEATURES), block_counts(SPACE, SPACE.sample(600, seed))
        measured = counts @ truth * np.exp(0.02 * rng.standard_normal(600))
        found = fit_blocks(counts[:150], FEATURES, measured[:150])
        new = counts[150:] @ found.latency_us / measured[150:] - 1
        ratios.append(np.std(found.left_out) / np.std(new))
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.1)


def test_what_sums_alone_determine_is_taken_from_the_features() -> None:
    """A block that every network has, or none, cannot be seen; its value stays at what it should take."""
    counts = block_counts(SPACE, SPACE.sample(100, 0))
    counts[:, 5] = 0
    truth = block_latencies(np.random.default_rng(0), FEATURES, spread=0.0)
    found = fit_blocks(counts, FEATURES, counts @ truth)
    assert found.latency_us[5] == pytest.approx(found.prior_us[5], rel=1e-3)
    assert counts @ found.latency_us == pytest.approx(counts @ truth, rel=0.01)


def test_a_fitted_table_predicts_with_its_known_error(tmp_path: Path) -> None:
    matrix.save(network_matrix(), tmp_path / "m.json")
    found = fit(tmp_path / "m.json", tmp_path / "t.json", networks=150)
    assert (found.networks, found.held_out.networks) == (150, 150)
    assert found.held_out.mape < 0.02 < found.prior.mape
    table = imported.load(tmp_path / "t.json")
    assert table == found.table
    assert "fitted to 150 networks; 150 held-out ones" in table.record.notes[0]
    archs = SPACE.sample(4, 9)
    predicted = ImportedSource(table, SPACE).predict(archs)
    half = 1.96 * found.held_out.rms * predicted.mean_us
    assert predicted.upper_us - predicted.mean_us == pytest.approx(half, rel=1e-3)
    whole = fit(tmp_path / "m.json", tmp_path / "t.json", overwrite=True)
    assert (whole.networks, whole.held_out.networks) == (300, 300)
    assert whole.held_out.mape < 0.02


def test_what_cannot_be_fitted_is_refused(tmp_path: Path) -> None:
    matrix.save(small_matrix(), tmp_path / "m.json")
    with pytest.raises(UsageError, match=r"has 2 targets.*--target"):
        fit(tmp_path / "m.json", tmp_path / "t.json")
    with pytest.raises(DataError, match=r"b has 20 latencies in .* too few to fit 15"):
        fit(tmp_path / "m.json", tmp_path / "t.json", target="b", networks=15)
    with pytest.raises(DataError, match="no target 'z'"):
        fit(tmp_path / "m.json", tmp_path / "t.json", target="z")
    (tmp_path / "t.json").write_text("kept")
    with pytest.raises(UsageError, match="exists already"):
        fit(tmp_path / "m.json", tmp_path / "t.json")
    counts = block_counts(SPACE, SPACE.sample(12, 0))
    with pytest.raises(DataError, match="9 networks are too few"):
        fit_blocks(counts[:9], FEATURES, np.ones(9))
    with pytest.raises(DataError, match="not positive"):
        fit_blocks(counts, FEATURES, np.zeros(12))


def test_the_command(tmp_path: Path) -> None:
    matrix.save(network_matrix(count=60), tmp_path / "m.json")
    words = ["table", "fit", str(tmp_path / "m.json"), "-o", str(tmp_path / "t.json")]
    done = CliRunner().invoke(app, [*words, "--networks", "40", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["rows"], found["networks"], found["held_out"]["networks"]) == (70, 40, 20)
    shown = CliRunner().invoke(app, [*words, "--overwrite"])
    assert "features alone" in shown.output


@pytest.mark.parametrize(
    ("space", "target", "spearman", "mape"),
    [("fbnet", "titan_rtx_64", 0.99, 0.01), ("fbnet", "gold_6226", 0.96, 0.06), ("ofa", "v100_1", 0.85, 0.06)],
)
def test_published_networks(
    published: Path, tmp_path: Path, space: str, target: str, spearman: float, mape: float
) -> None:
    whole = formats.read(published / "help" / "data" / space)
    assert isinstance(whole, LatencyMatrix)
    rows = slice(0, 700)
    columns = (Column(target, tuple(whole.column(target)[rows].tolist())),)
    matrix.save(LatencyMatrix(whole.space, "latency_us", whole.architectures[rows], columns), tmp_path / "m.json")
    found = fit(tmp_path / "m.json", tmp_path / "t.json", networks=200)
    assert found.held_out.spearman > spearman
    assert found.held_out.mape < mape
