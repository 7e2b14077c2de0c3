"""The A/B of one device: what changed is named and nothing else; unlike records and too few launches are refused."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from hwbench.cli.main import app
from hwbench.errors import DataError, Incomparable, UsageError
from hwbench.measure.differences import (
    FALSE_SHARE,
    differences,
    false_discoveries,
    moderated,
    without_launch_parts,
)
from hwbench.measure.statistics import Floats
from hwbench.records import EMULATED, Rounds
from hwbench.tables import imported, lookup
from hwbench.tables.diff import difference
from hwbench.tables.lookup import LaunchRecord, LookupTable, Row
from hwbench.workflows.diff import diff
from tests.simulated import launch_levels, slowed
from tests.table_files import block_table
from tests.unit.test_tables import make_table

ROWS_US = np.exp(np.random.default_rng(1).uniform(3, 8, 70))
VISITS = 12
# Loadings of rows of which none vary together.
NOTHING = np.zeros(len(ROWS_US))


def run_table(seed: int, launches: int = 6, noise: float = 0.003) -> LookupTable:
    """A table of one simulated run; visits of a launch scatter around its level."""
    rng = np.random.default_rng([7, seed])
    levels = np.exp(launch_levels(rng, ROWS_US, launches, noise))
    plain = make_table()
    rows = []
    for row, own in zip(plain.rows, levels, strict=True):
        assert row.measurement is not None
        values = tuple((own[:, None] * (1 + 0.004 * rng.exponential(size=(launches, VISITS)))).ravel().tolist())
        numbers = tuple(np.repeat(np.arange(launches), VISITS).tolist())
        rounds = Rounds(numbers, numbers, numbers, *([values] * 6), factor=(1.0,) * len(values))
        value = float(np.sort(values)[1])
        found = msgspec.structs.replace(
            row.measurement, value_us=value, lower_us=value * 0.97, upper_us=value * 1.03, drift_corrected_us=value,
            launches=launches, rounds_json=rounds.as_json(),
        )  # fmt: skip
        rows.append(Row(row.key, found))
    records = tuple(LaunchRecord(number, 1000 * seed + number, (0,), True, 0.0) for number in range(launches))
    return msgspec.structs.replace(plain, rows=tuple(rows), launches=records, spread=0.005)


def levels(rng: np.random.Generator, launches: int = 6, noise: float = 0.003) -> Floats:
    return without_launch_parts(launch_levels(rng, ROWS_US, launches, noise))


@pytest.mark.parametrize("noise", [0.001, 0.003])
def test_runs_of_the_same_code_are_the_same(noise: float) -> None:
    rng = np.random.default_rng(3)
    pairs = ((levels(rng, noise=noise), levels(rng, noise=noise)) for _ in range(200))
    differing = [differences(a, b, 0.02, NOTHING).differs.any() for a, b in pairs]
    assert np.mean(differing) <= FALSE_SHARE + 2 * np.sqrt(FALSE_SHARE / 200)


def test_slower_rows_are_named_and_no_others() -> None:
    rng = np.random.default_rng(4)
    named, wrong = [], []
    for _ in range(200):
        a, b = (levels(rng, launches=10) for _ in range(2))
        chosen = rng.choice(len(ROWS_US), 5, replace=False)
        b[chosen] += np.log(1.03)
        found = differences(a, b, 0.02, NOTHING).differs
        named.append(found[chosen].sum())
        wrong.append(found.sum() - named[-1])
    assert np.mean(np.array(named) >= 4) >= 0.95
    assert np.mean(wrong) / 65 <= 0.01


def test_a_resolution_is_what_is_found_four_times_of_five() -> None:
    rng = np.random.default_rng(5)
    hits = []
    for trial in range(200):
        a, b = levels(rng), levels(rng)
        row = trial % len(ROWS_US)
        b[row] += differences(a, b, 0.001, NOTHING).resolution[row]
        hits.append(differences(a, b, 0.001, NOTHING).differs[row])
    assert 0.7 <= np.mean(hits) <= 0.97


@given(st.integers(0, 1000), st.floats(-0.3, 0.3), st.floats(-0.3, 0.3))
def test_factors_of_launches_and_runs_change_nothing(seed: int, launch: float, run: float) -> None:
    rng = np.random.default_rng(seed)
    a, b = (launch_levels(rng, ROWS_US) for _ in range(2))
    plain = differences(without_launch_parts(a), without_launch_parts(b), 0.02, NOTHING)
    moved = a + launch * np.arange(6), b + run
    other = differences(*map(without_launch_parts, moved), 0.02, NOTHING)
    assert other.change == pytest.approx(plain.change, abs=1e-3)
    assert np.array_equal(other.differs, plain.differs) or np.abs(plain.p - FALSE_SHARE).min() < 0.1


def test_launches_of_few_rows_stay_as_they_are() -> None:
    partial = launch_levels(np.random.default_rng(0), ROWS_US)
    partial[40:, 4:] = np.nan
    partial[2:, 5] = np.nan
    kept = without_launch_parts(partial)
    assert (np.isfinite(kept) == np.isfinite(partial)).all()
    assert (kept[:2, 5] == partial[:2, 5]).all()
    assert (kept[:40, 4] != partial[:40, 4]).all()


def test_what_all_rows_share_is_told_apart_from_what_some_do() -> None:
    a, b = run_table(0), run_table(1)
    keys = [row.key for row in a.rows]
    every = difference(a, slowed(b, keys, 1.10))
    assert (every.answer, every.shifted, every.named) == ("differs", True, ())
    assert every.shift_lower < every.shift == pytest.approx(0.1, abs=0.04)
    some = difference(a, slowed(b, keys[3:6], 0.9))
    assert (some.answer, some.exit_code, some.shifted) == ("differs", 1, False)
    assert {row.key for row in some.named} == set(keys[3:6])
    for row in some.named:
        assert row.lower < row.change < row.upper < 0
        assert row.change == pytest.approx(-0.1, abs=0.02)
    same = difference(a, b)
    assert (same.answer, same.exit_code, same.named) == ("same", 0, ())
    assert same.resolution < 0.05


def test_the_effect_is_the_least_that_counts() -> None:
    a, b = run_table(0), run_table(1)
    key = a.rows[9].key
    changed = slowed(b, [key], 1.08)
    assert [row.key for row in difference(a, changed, 0.02).named] == [key]
    assert difference(a, changed, 0.2).named == ()


def test_rows_that_swing_together_are_said(tmp_path: Path) -> None:
    a, b = (swung(run_table(seed), seed) for seed in (0, 1))
    found = difference(a, b)
    assert {row.key for row in a.rows[:8]} <= set(found.swinging)
    assert len(found.swinging) < 20
    assert found.swing != 0
    for name, table in (("a", a), ("b", b)):
        lookup.save(table, tmp_path / f"{name}.json")
    result = CliRunner().invoke(app, ["table", "diff", str(tmp_path / "a.json"), str(tmp_path / "b.json")])
    assert f"in {len(found.swinging)} rows that vary together, taken out" in result.output
    assert difference(run_table(0), run_table(1)).swinging == ()


def swung(table: LookupTable, seed: int) -> LookupTable:
    """The first eight rows slower and faster together from round to round."""
    rng = np.random.default_rng(seed)
    moved = dict(zip(range(VISITS * 6), np.exp(0.02 * rng.standard_normal(VISITS * 6)).tolist(), strict=True))
    rows = []
    for place, row in enumerate(table.rows):
        assert row.measurement is not None
        rounds = row.measurement.rounds
        own = tuple(value * (moved[n] if place < 8 else 1.0) for n, value in enumerate(rounds.value_us))
        numbers = tuple(n % VISITS for n in range(len(own)))
        changed = msgspec.structs.replace(rounds, value_us=own, round=numbers)
        rows.append(Row(row.key, msgspec.structs.replace(row.measurement, rounds_json=changed.as_json())))
    return msgspec.structs.replace(table, rows=tuple(rows))


def test_too_few_launches_to_tell() -> None:
    found = difference(run_table(0, launches=1), run_table(1))
    assert (found.answer, found.exit_code, found.rows) == ("too few", 2, ())
    assert len(found.untested) == 70
    noisy = [run_table(seed, launches=3, noise=0.05) for seed in (0, 1)]
    assert difference(*noisy).answer == "too few"


def test_rows_that_one_table_lacks_are_named() -> None:
    a, b = run_table(0), run_table(1)
    broken = (Row(b.rows[0].key, failure="load: no"), *b.rows[1:-1])
    found = difference(a, msgspec.structs.replace(b, rows=broken))
    assert (found.answer, found.failed, found.only_a) == ("differs", (a.rows[0].key,), (a.rows[-1].key,))
    with pytest.raises(DataError, match="4 measured blocks in common"):
        difference(a, msgspec.structs.replace(b, rows=b.rows[:4]))


def test_unlike_records_are_refused_by_field(tmp_path: Path) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    table, other = run_table(0), run_table(1)
    lookup.save(table, a)
    engine = msgspec.structs.replace(other.target.engine, version="9")
    lookup.save(msgspec.structs.replace(other, target=msgspec.structs.replace(other.target, engine=engine)), b)
    with pytest.raises(Incomparable, match=r"a\.json and .*b\.json.*engine .*version='9'"):
        diff(a, b)
    assert diff(a, b, allow=["engine"]).answer == "same"
    moved = msgspec.structs.replace(other.target, device_id="another", threads=4)
    lookup.save(msgspec.structs.replace(other, target=moved), b)
    with pytest.raises(Incomparable, match="device_id d, another"):
        diff(a, b, allow=["threads"])
    lookup.save(msgspec.structs.replace(other, flush_bytes=7, preset="publish"), b)
    with pytest.raises(Incomparable, match="flush_bytes 0, 7; preset quick, publish"):
        diff(a, b)
    with pytest.raises(UsageError, match="device_id is not a field that may differ"):
        diff(a, b, allow=["device_id"])
    with pytest.raises(UsageError, match="no share between 0 and 1"):
        diff(a, b, effect=2)
    with pytest.raises(UsageError, match="the same launches"):
        diff(a, a)


def test_what_has_no_launches_and_what_is_emulated_is_refused(tmp_path: Path) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    table = run_table(0)
    lookup.save(table, a)
    imported.save(block_table(table.space), b)
    with pytest.raises(DataError, match="values without launches"):
        diff(a, b)
    first = table.rows[0].measurement
    assert first is not None
    flagged = Row(table.rows[0].key, msgspec.structs.replace(first, flags=(EMULATED,)))
    lookup.save(msgspec.structs.replace(table, rows=(flagged, *table.rows[1:])), b)
    with pytest.raises(Incomparable, match="emulated device"):
        diff(a, b)


def test_the_command(tmp_path: Path) -> None:
    a, b = tmp_path / "a.json", tmp_path / "b.json"
    table, later = run_table(0), run_table(1)
    lookup.save(table, a)
    lookup.save(later, b)
    words = ["table", "diff", str(a), str(b)]
    same = CliRunner().invoke(app, words)
    assert same.exit_code == 0, same.output
    assert "no difference" in same.output
    key = table.rows[7].key
    lookup.save(slowed(later, [key], 1.2), b)
    found = CliRunner().invoke(app, [*words, "--json"])
    assert found.exit_code == 1
    assert json.loads(found.stdout)["differing"] == [key]
    assert "+20" in CliRunner().invoke(app, words).output


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_false_discoveries_by_definition(p: list[float]) -> None:
    found = false_discoveries(np.array(p), 0.1)
    ordered = sorted(p)
    largest = max((n for n, value in enumerate(ordered, 1) if value <= 0.1 * n / len(p)), default=0)
    assert found.sum() == largest
    assert sorted(np.array(p)[found]) == ordered[:largest]


def test_moderated_variances_recover_their_prior() -> None:
    rng = np.random.default_rng(2)
    prior_freedom, prior = 6.0, 2e-5
    true = prior * prior_freedom / rng.chisquare(prior_freedom, 4000)
    observed = true * rng.chisquare(4, 4000) / 4
    shrunk, freedom = moderated(observed, np.full(4000, 4.0))
    assert freedom == pytest.approx(prior_freedom, rel=0.25)

    def error(found: Floats) -> float:
        return float(np.mean(np.log(found / true) ** 2))

    assert error(shrunk) < 0.6 * error(observed)
    alike, infinite = moderated(np.full(50, 1e-5), np.full(50, 4.0))
    assert infinite == 1000.0
    assert np.ptp(alike) < 1e-8
