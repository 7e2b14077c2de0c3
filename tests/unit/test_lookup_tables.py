"""The tables that come with hwbench: whole, verified, beside the record of their device, and usable elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hwbench import files, spaces
from hwbench.records import DeviceRecord
from hwbench.tables import formats, imported, lookup, opening
from hwbench.tables.imported import ImportedTable
from hwbench.workflows import calibrate, exchange

FOLDER = Path(__file__).parents[2] / "lookup_tables"
TABLES = sorted(path for path in FOLDER.glob("*/*--*.json") if files.kind_of(path) == lookup.KIND)
FORMATS = {"proxylessnas-yaml": "yaml", "csv": "csv"}

every_table = pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)


def test_one_device_has_a_table_of_every_engine_precision_and_number_of_threads() -> None:
    kinds = [("litert", "xnnpack"), ("litert", "builtin"), ("executorch", "xnnpack")]
    wanted = {
        f"proxylessnas-w1.0-r{resolution}-c1000--{engine}-{delegate}-{precision}-b1-t{threads}.json"
        for resolution in (160, 224)
        for engine, delegate in kinds
        for precision in ("fp32", "int8")
        for threads in (1, 2)
    }
    assert any(wanted <= {path.name for path in device.iterdir()} for device in {path.parent for path in TABLES})


@every_table
def test_a_table_is_whole_and_says_where_it_is_from(path: Path) -> None:
    table = lookup.load(path)
    device = files.load(path.parent / "device.json", "device", 1, DeviceRecord)
    assert path.name == lookup.default_name(table.space, table.target)
    assert path.parent.name == table.target.device_id == table.device.id == device.id
    assert not table.emulated
    space = spaces.get(table.space)
    assert opening.coverage_of_space(table, space).missing == ()
    assert [row.key for row in table.rows if row.measurement is None] == []


@every_table
def test_a_table_is_judged_by_networks_of_other_launches(path: Path) -> None:
    table = lookup.load(path)
    calibration = table.calibration
    assert calibration is not None
    assert calibration.held_out
    assert table.additivity == calibration.after
    space = spaces.get(table.space)
    training, others = (
        calibrate.read_networks(path.with_name(f"{path.stem}.{name}.json"), space) for name in ("networks", "held-out")
    )
    assert not {row.tobytes() for row in training.architectures} & {row.tobytes() for row in others.architectures}
    predicted = opening.source_of(table, space).predict(others.architectures).mean_us
    assert np.abs(predicted / others.measured_us - 1).mean() == pytest.approx(calibration.after.mape, rel=1e-6)


@every_table
@pytest.mark.parametrize("name", FORMATS)
def test_a_table_comes_back_from_the_formats_of_others(tmp_path: Path, path: Path, name: str) -> None:
    out = tmp_path / f"table.{FORMATS[name]}"
    exchange.export_table(path, out, name)
    back = formats.read(out)
    assert isinstance(back, ImportedTable)
    own = {key: row.value_us for key, row in lookup.load(path).calibrated().items()}
    assert {row.key: row.value for row in back.rows} == own
    imported.save(back, tmp_path / "again.json")
    assert imported.load(tmp_path / "again.json") == back
