"""Tables and predictions: sums are sums, missing keys are named, intervals add as they should."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from hwbench import spaces
from hwbench.devices.linux import LinuxMachine
from hwbench.errors import CorruptFile, MissingRows, SchemaTooNew
from hwbench.records import EngineRecord, Estimator, Measurement, Rounds, Target
from hwbench.reports.html import table_section
from hwbench.reports.terminal import prediction_view, table_view
from hwbench.reports.units import duration, latency, percent, size
from hwbench.spaces import Space
from hwbench.tables import lookup
from hwbench.tables.lookup import Additivity, LookupTable, Row
from hwbench.tables.source import TableSource

SPACE = spaces.get("proxylessnas")
# Once: what it says of the load differs from call to call, and so would the bytes of a table.
DEVICE = LinuxMachine().record("local")
ROUNDS = Rounds((0,), (0,), (5,), (1.0,), (1.0,), (1.0,), (1.0,), (1.0,), (1.0,), (1.0,))
TARGET = Target(
    "d",
    EngineRecord("litert", "ai-edge-litert", "2.3.0", None),
    "xnnpack",
    "fp32",
    1,
    1,
    "0",
    "as_shipped",
    "cold",
    "r",
)


def measurement(value: float, half_width: float = 0.01) -> Measurement:
    return Measurement(value, value * (1 - half_width), value * (1 + half_width), value, (), 2, ROUNDS.as_json())


def make_table(
    seed: int = 0, spread: float = 0.0, additivity: Additivity | None = None, space: Space = SPACE
) -> LookupTable:
    rng = np.random.default_rng(seed)
    rows = tuple(Row(block.key, measurement(float(rng.uniform(10, 5000)))) for block in space.distinct_blocks)
    return LookupTable(
        space=space.name, metric="latency_us", target=TARGET, device=DEVICE,
        estimator=Estimator(),
        preset="quick", flush_bytes=0, hwbench_version="0", created_at="now", rows=rows, anchors={}, launches=(),
        spread=spread, slowdown=0.0, seconds=1.0, inference_share=0.9, additivity=additivity,
    )  # fmt: skip


def loose(table: LookupTable) -> dict[str, Any]:
    """The content of a table's file as plain data."""
    content: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(table))
    return content


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_a_prediction_is_the_sum_of_its_blocks(seed: int) -> None:
    table = make_table(seed % 7)
    rows = table.measurements()
    architectures = SPACE.sample(5, seed)
    predicted = TableSource(table, SPACE).predict(architectures)
    for number, architecture in enumerate(architectures):
        network = SPACE.network(architecture)
        assert predicted.mean_us[number] == pytest.approx(sum(rows[named.block.key].value_us for named in network))
        explained = TableSource(table, SPACE).explain(architecture)
        assert explained.value_us == pytest.approx(sum(term.value_us for term in explained.terms))
        assert explained.lower_us < explained.value_us < explained.upper_us


def test_independent_errors_add_in_squares_and_shared_ones_linearly(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = SPACE.sample(1, 3)
    shared = TableSource(make_table(spread=1.0), SPACE).explain(architecture)
    assert shared.measurement_us == pytest.approx(sum(t.upper_us - t.value_us for t in shared.terms), rel=1e-6)
    monkeypatch.setattr("hwbench.tables.source.RUN_TO_RUN", 0.0)
    independent = TableSource(make_table(), SPACE).explain(architecture)
    squares = np.sqrt(sum((term.upper_us - term.value_us) ** 2 for term in independent.terms))
    assert independent.measurement_us == pytest.approx(squares, rel=1e-6)


def test_the_additivity_error_is_a_term_of_its_own() -> None:
    found = Additivity(20, 1, bias=-0.03, mape=0.03, spread=0.02, spearman=1.0, spearman_ci=(1.0, 1.0), measured_at="")
    architecture = SPACE.sample(1, 3)
    without, with_it = (TableSource(make_table(additivity=a), SPACE).explain(architecture) for a in (None, found))
    assert without.additivity_us is None
    assert with_it.additivity_us == pytest.approx(1.96 * np.hypot(0.03, 0.02) * with_it.value_us, rel=1e-3)
    assert with_it.upper_us > without.upper_us


def test_missing_keys_are_named_and_never_guessed() -> None:
    table = make_table()
    lacking = msgspec.structs.replace(table, rows=(*table.rows[1:], Row(table.rows[0].key, failure="load: no")))
    source = TableSource(lacking, SPACE)
    architecture = SPACE.sample(1, 0)
    assert source.missing(architecture) == (table.rows[0].key,)
    for ask in (source.predict, source.explain):
        with pytest.raises(MissingRows, match="conv-in:224x224x3") as caught:
            ask(architecture)
        assert caught.value.keys == (table.rows[0].key,)


def test_a_table_file_round_trips(tmp_path: Path) -> None:
    table = make_table()
    lookup.save(table, tmp_path / "t.json")
    assert lookup.load(tmp_path / "t.json") == table


def test_rounds_are_read_when_they_are_asked_for(tmp_path: Path) -> None:
    table = make_table()
    lookup.save(table, tmp_path / "t.json")
    found = lookup.load(tmp_path / "t.json").rows[3].measurement
    assert found is not None
    assert found.rounds == ROUNDS
    content = loose(table)
    for rounds in ({"launch": [1]}, [], {**content["rows"][0]["measurement"]["rounds"], "value_us": "much"}):
        content["rows"][0]["measurement"]["rounds"] = rounds
        lookup.files.save(tmp_path / "t.json", lookup.KIND, lookup.VERSION, content)
        damaged = lookup.load(tmp_path / "t.json").rows[0].measurement
        assert damaged is not None
        with pytest.raises(CorruptFile, match="rounds of a measurement cannot be read"):
            _ = damaged.rounds


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
@given(st.data())
def test_any_flipped_bit_of_a_table_is_found(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "t.json"
    lookup.save(make_table(), path)
    damaged = bytearray(path.read_bytes())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(damaged)
    with pytest.raises((CorruptFile, SchemaTooNew), match=r"t\.json"):
        lookup.load(path)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 1e13])
def test_impossible_latencies_are_refused(tmp_path: Path, value: float) -> None:
    table = make_table()
    content = loose(table)
    content["rows"][0]["measurement"]["value_us"] = value
    lookup.files.save(tmp_path / "t.json", lookup.KIND, lookup.VERSION, content)
    with pytest.raises(CorruptFile, match=r"t\.json"):
        lookup.load(tmp_path / "t.json")


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    content = loose(make_table())
    content["rows"] = [content["rows"][0]] * 2
    lookup.files.save(tmp_path / "t.json", lookup.KIND, lookup.VERSION, content)
    with pytest.raises(CorruptFile, match="stands twice"):
        lookup.load(tmp_path / "t.json")


def test_a_newer_table_is_refused(tmp_path: Path) -> None:
    lookup.files.save(tmp_path / "t.json", lookup.KIND, lookup.VERSION + 1, {})
    with pytest.raises(SchemaTooNew, match="Upgrade hwbench"):
        lookup.load(tmp_path / "t.json")


def test_units_for_people() -> None:
    assert [latency(v) for v in (0.4567, 12.345, 123.45, 1234.5, 45678.9)] == [
        "0.457 µs", "12.35 µs", "123.5 µs", "1.234 ms", "45.68 ms",
    ]  # fmt: skip
    assert latency(float("inf")) == "∞"
    assert percent(0.0123) == "1.2 %"
    assert [size(v) for v in (12, 2048, 3 << 20)] == ["12 B", "2.0 KiB", "3.0 MiB"]
    assert duration(125) == "2 min 5 s"


def test_a_report_escapes_what_a_table_says() -> None:
    table = make_table()
    hostile = msgspec.structs.replace(
        table, device=msgspec.structs.replace(table.device, cpu_model="<script>alert(1)</script>")
    )
    assert "<script>" not in table_section(hostile, None)


@pytest.mark.parametrize("name", ["ofa-w0.5-r32-c4", "ofa-w1.0-r64.96-c10", "fbnet", "nasbench201"])
def test_tables_of_every_space_predict_and_are_shown(name: str) -> None:
    space = spaces.get(name)
    table = make_table(space=space)
    source = TableSource(table, space)
    archs = space.sample(5, 0)
    predicted = source.predict(archs)
    for number, arch in enumerate(archs):
        assert source.explain(arch).value_us == pytest.approx(predicted.mean_us[number])
    console = Console(file=io.StringIO(), width=200)
    console.print(table_view(table, space), prediction_view(source.explain(archs[0])))
    assert len(table_section(table, None)) > 1000


def test_a_cell_needs_only_the_parts_that_are_alive() -> None:
    space = spaces.get("nasbench201")
    table = make_table(space=space)
    without = tuple(row for row in table.rows if not row.key.startswith("nb201pool"))
    source = TableSource(msgspec.structs.replace(table, rows=without), space)
    dead_pool, living_pool = [0, 4, 0, 3, 3, 0], [4, 0, 0, 3, 3, 0]
    assert source.missing(dead_pool) == ()
    assert source.predict(dead_pool).mean_us > 0
    assert len(source.missing(living_pool)) == 3
    with pytest.raises(MissingRows, match="3 blocks of nasbench201"):
        source.predict(living_pool)
