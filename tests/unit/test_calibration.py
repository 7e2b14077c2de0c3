"""Tables corrected by few networks: known errors go, noise is left alone, measured rows stay beside corrected ones."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from typer.testing import CliRunner

from hwbench import files, spaces
from hwbench.cli.main import app
from hwbench.errors import CorruptFile, DataError, MissingRows, UsageError
from hwbench.measure.statistics import Floats
from hwbench.spaces.encodings import block_counts, block_features, block_stages
from hwbench.tables import imported, lookup, matrix, opening
from hwbench.tables.lookup import CorrectedRow, LookupTable
from hwbench.tables.matrix import Column, LatencyMatrix
from hwbench.tables.source import TableSource
from hwbench.transfer.calibration import corrections
from hwbench.workflows import verify as verifying
from hwbench.workflows.calibrate import calibrate
from hwbench.workflows.verify import Verification, Verified
from tests.simulated import biased, block_latencies
from tests.table_files import block_table
from tests.unit.test_tables import make_table

SPACE = spaces.get("proxylessnas")
FEATURES = np.stack([block_features(block) for block in SPACE.distinct_blocks])
NAMES, STAGES = block_stages(SPACE)
ROW = 0.01


def trial(seed: int, common: float, stage: float, noise: float, networks: int = 10) -> tuple[float, float, Floats]:
    """Mean absolute errors of 200 other networks before and after, and the rows' errors in their deviations."""
    rng = np.random.default_rng(seed)
    table = block_latencies(rng, FEATURES)
    true = biased(rng, table, STAGES, common, stage, ROW)
    counts = block_counts(SPACE, SPACE.sample(networks + 200, seed))
    measured = counts @ true * np.exp(noise * rng.standard_normal(len(counts)))
    predicted = counts @ table
    own = slice(0, networks)
    found = corrections(
        counts[own] * table / predicted[own, None], STAGES, np.full(len(table), ROW), predicted[own], measured[own]
    )
    others = slice(networks, None)
    after = counts[others] @ (table * found.factors) / measured[others] - 1
    before = predicted[others] / measured[others] - 1
    scaled = (table * found.factors / true - 1) / found.deviations
    return float(np.abs(before).mean()), float(np.abs(after).mean()), scaled


def trials(common: float, stage: float, noise: float) -> tuple[Floats, Floats, Floats]:
    found = [trial(seed, common, stage, noise) for seed in range(40)]
    return np.array([one[0] for one in found]), np.array([one[1] for one in found]), np.array([one[2] for one in found])


@pytest.mark.parametrize("common", [-0.15, -0.05, 0.04, 0.1])
def test_an_error_of_all_rows_goes(common: float) -> None:
    before, after, scaled = trials(common, 0.0, 0.01)
    assert (after[before > 0.03] <= before[before > 0.03] / 2).all()
    assert after.mean() < 0.011
    assert np.mean(np.abs(scaled) <= 1.96) > 0.9


@pytest.mark.parametrize("stage", [0.05, 0.15])
def test_errors_of_stages_are_halved(stage: float) -> None:
    before, after, _ = trials(0.0, stage, 0.01)
    wrong = before > 0.03
    assert np.mean(after[wrong] <= before[wrong] / 2) >= 0.95
    assert np.quantile(after - before, 0.97) <= 0.003


def test_noise_alone_corrects_nothing() -> None:
    before, after, _ = trials(0.0, 0.0, 0.01)
    assert (after - before).max() <= 0.003
    assert np.mean(np.abs(after - before) < 1e-9) >= 0.9


def test_too_few_and_unusable_networks_are_refused() -> None:
    shares = np.full((4, 2), 0.5)
    with pytest.raises(DataError, match="4 networks are too few"):
        corrections(shares, np.array([0, 1]), np.ones(2), np.ones(4), np.ones(4))
    with pytest.raises(DataError, match="not positive"):
        corrections(np.full((6, 2), 0.5), np.array([0, 1]), np.ones(2), np.ones(6), np.zeros(6))


def test_blocks_know_their_stages() -> None:
    assert NAMES == ("stem", "first", "stage1", "stage2", "stage3", "stage4", "stage5", "stage6", "mix", "classifier")
    for name in ("ofa-w1.0-r64.96-c10", "fbnet", "nasbench201"):
        space = spaces.get(name)
        names, stages = block_stages(space)
        assert len(stages) == len(space.distinct_blocks)
        assert len(names) < 14


def verification(table: LookupTable, factor: float, seed: int, count: int = 12) -> Verification:
    """Networks that take `factor` times what the table says, with 1 % noise."""
    archs = SPACE.sample(count, seed)
    predicted = TableSource(table, SPACE).predict(archs).mean_us
    measured = predicted * factor * np.exp(0.01 * np.random.default_rng(seed).standard_normal(count))
    networks = tuple(
        Verified(tuple(arch), float(p), float(m), float(m), float(m), ())
        for arch, p, m in zip(archs.tolist(), predicted, measured, strict=True)
    )
    return Verification("t.json", verifying.additivity_of(predicted, measured, 0), networks, (), 1.0)


def write(tmp_path: Path, factor: float) -> tuple[LookupTable, Path, Path, Path]:
    table = make_table()
    lookup.save(table, tmp_path / "t.json")
    for seed, name in ((1, "v"), (2, "w")):
        files.save(tmp_path / f"{name}.json", verifying.KIND, verifying.VERSION, verification(table, factor, seed))
    return table, tmp_path / "t.json", tmp_path / "v.json", tmp_path / "w.json"


def test_a_calibrated_table_predicts_from_corrected_rows_and_keeps_the_measured_ones(tmp_path: Path) -> None:
    table, path, measured, others = write(tmp_path, 1.1)
    found = calibrate(path, measured=measured, held_out=others)
    assert found.path == tmp_path / "t.calibrated.json"
    loaded = lookup.load(found.path)
    assert loaded.measurements() == table.measurements()
    assert found.calibration.held_out
    assert found.calibration.before.mape > 0.08
    assert found.calibration.after.mape < 0.02
    assert loaded.additivity == found.calibration.after
    archs = SPACE.sample(5, 7)
    plain, corrected = (TableSource(one, SPACE).predict(archs).mean_us for one in (table, loaded))
    assert corrected / plain == pytest.approx(1.1, abs=0.015)
    exported = {row.key: row.value for row in opening.as_rows(loaded).rows}
    key = table.rows[4].key
    assert exported[key] == loaded.calibrated()[key].value_us != table.measurements()[key].value_us
    again = calibrate(found.path, tmp_path / "again.json", measured=measured, held_out=others)
    assert again.calibration.rows == found.calibration.rows
    assert again.calibration.before.mape == found.calibration.before.mape
    with pytest.raises(UsageError, match=r"t\.calibrated\.json exists already"):
        calibrate(path, measured=measured)


def test_what_is_not_sure_to_help_changes_nothing(tmp_path: Path) -> None:
    table, path, measured, _ = write(tmp_path, 1.0)
    found = calibrate(path, measured=measured)
    assert found.calibration.rows == ()
    assert not found.calibration.held_out
    assert "stay as they are" in found.calibration.reason
    assert found.calibration.before.mape == found.calibration.after.mape
    assert found.table.calibrated() == table.measurements()


def test_a_matrix_of_networks_calibrates_as_well(tmp_path: Path) -> None:
    table, path, _, _ = write(tmp_path, 1.0)
    archs = SPACE.sample(10, 3)
    values = TableSource(table, SPACE).predict(archs).mean_us * 0.8
    columns = (Column("d", tuple(values.tolist())),)
    own = LatencyMatrix(SPACE.name, "latency_us", tuple(map(tuple, archs.tolist())), columns)
    matrix.save(own, tmp_path / "m.json")
    found = calibrate(path, measured=tmp_path / "m.json")
    assert found.calibration.common == pytest.approx(-0.2, abs=0.02)
    matrix.save(msgspec.structs.replace(own, columns=(*columns, Column("e", columns[0].values))), tmp_path / "m.json")
    with pytest.raises(DataError, match="one target"):
        calibrate(path, tmp_path / "x.json", measured=tmp_path / "m.json")


def test_what_cannot_be_calibrated_is_refused(tmp_path: Path) -> None:
    table, path, measured, _ = write(tmp_path, 1.1)
    with pytest.raises(DataError, match="holds no whole networks"):
        calibrate(path, measured=path)
    imported.save(block_table(SPACE.name), tmp_path / "i.json")
    with pytest.raises(DataError, match="not measured by hwbench"):
        calibrate(tmp_path / "i.json", measured=measured)
    lookup.save(msgspec.structs.replace(table, rows=table.rows[1:]), path)
    with pytest.raises(MissingRows, match="conv-in:224"):
        calibrate(path, measured=measured)
    found = calibrate(_saved(table, path), tmp_path / "c.json", measured=measured).calibration
    wrong = (CorrectedRow(table.rows[0].key, -1.0, 1.0, 1.0), *found.rows[1:])
    with pytest.raises(ValueError, match="impossible correction"):
        msgspec.structs.replace(table, calibration=msgspec.structs.replace(found, rows=wrong))
    content = msgspec.json.decode((tmp_path / "c.json").read_bytes())["content"]
    content["calibration"]["rows"][0]["value_us"] = 0.0
    files.save(tmp_path / "c.json", lookup.KIND, lookup.VERSION, content)
    with pytest.raises(CorruptFile, match="impossible correction"):
        lookup.load(tmp_path / "c.json")


def _saved(table: LookupTable, path: Path) -> Path:
    lookup.save(table, path)
    return path


def test_the_command(tmp_path: Path) -> None:
    _, path, measured, others = write(tmp_path, 0.9)
    words = ["table", "calibrate", str(path), "--measured", str(measured), "--held-out", str(others)]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["accepted"]
    assert found["after"]["mape"] < found["before"]["mape"] / 2
    assert set(found["stages"]) == set(NAMES)
    shown = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "o.json")])
    assert "corrected rows" in shown.output
    assert "calibrated by 12 networks" in CliRunner().invoke(app, ["table", "show", str(tmp_path / "o.json")]).output
