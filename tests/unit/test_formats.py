"""Foreign tables of every format: each is recognised, the published ones are read as they should."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench import spaces
from hwbench.errors import DataError, UsageError
from hwbench.tables import formats, lookup, matrix
from hwbench.tables.formats.document import Document, moved, number
from hwbench.tables.formats.published import PUBLISHED
from hwbench.tables.matrix import LatencyMatrix
from tests.table_files import (
    read_matrix,
    read_table,
    write,
    write_own,
    write_samples,
)


@pytest.mark.parametrize(
    ("path", "name", "space", "rows", "refused"),
    [
        ("luts/han-cai_files/proxylessnas/mobile_trim.yaml", "proxylessnas-yaml", spaces.DEFAULT, 72, 0),
        ("luts/han-cai_files/ofa/note10/160_lookup_table.yaml", "ofa-yaml", "ofa-w1.2-r160-c1000", 96, 0),
        ("luts/han-cai_files/ofa/note10/224_lookup_table.yaml", "ofa-yaml", "ofa-w1.2-r224-c1000", 96, 0),
        ("luts/UoS-EEC_DynamicOFA/jetson_cpu/192_lookup_table.json", "ofa-json", "ofa-w1.2-r192-c1000", 96, 0),
        ("luts/google-research_tunas/proxylessnas_search_kernel.json", "tunas-linear", spaces.DEFAULT, 144, 0),
        ("luts/google-research_tunas/proxylessnas_search_decoded.json", "tunas-linear", spaces.DEFAULT, 144, 0),
        ("luts/dstamoulis_single-path-nas/nas-search/pixel1_runtime_model.json", "single-path-json", spaces.DEFAULT,
         85, 3),
        ("luts/PaddlePaddle_PaddleDetection/slim/nas/latency_855.txt", "paddle-text", None, 595, 0),
        ("luts/AberHu_TF-NAS/latency_pkl/latency_cpu.pkl", "tfnas-pickle", None, 36397, 84),
        ("luts/AberHu_TF-NAS/latency_pkl/latency_gpu.pkl", "tfnas-pickle", None, 36393, 88),
    ],
)  # fmt: skip
def test_published_tables(published: Path, path: str, name: str, space: str | None, rows: int, refused: int) -> None:
    table = read_table(published / path)
    record = table.record
    assert (record.format, table.space, len(table.rows)) == (name, space, rows)
    assert (record.rows_read, record.refused_count, len(record.refused)) == (rows + refused, refused, refused)
    assert record.unit == ("us" if name == "paddle-text" else "ms")


@pytest.mark.parametrize(
    ("path", "space", "shape", "missing"),
    [
        ("oneproxy/latency.csv", "nasbench201-w16-n5-r32-c10", (1999, 12), 259),
        ("help/data/nasbench201", "nasbench201-w16-n5-r32-c10", (15625, 19), 0),
        ("help/data/fbnet", "fbnet-cifar-r32-c100", (5000, 19), 0),
        ("help/data/ofa/latency/v100_32.pt", "ofa-w1.2-r128.132", (5000, 1), 0),
        ("luts/mit-han-lab_HAT/latency_dataset/wmt14ende_cpu_xeon_all.csv", "hat", (2000, 1), 0),
    ],
)
def test_published_matrices(published: Path, path: str, space: str, shape: tuple[int, int], missing: int) -> None:
    found = read_matrix(published / path)
    assert found.space.startswith(space)
    assert found.values.shape == shape
    assert int(np.isnan(found.values).sum()) == missing == sum(record.refused_count for record in found.records)
    if space != "hat":
        spaces.get(found.space).check(found.encoded.astype(int))


def test_one_device_that_stands_twice_is_noticed(published: Path) -> None:
    (record,) = read_matrix(published / "oneproxy" / "latency.csv").records
    assert record.notes == ("columns eagle_gtx and eagle_i7 are almost the same: probably one column twice",)
    assert {refused.reason for refused in record.refused} == {"-1: a sentinel for a measurement that failed"}


def test_two_sources_agree_about_one_device(published: Path) -> None:
    """One Proxy and HELP publish the same FPGA measurements, joined by different people."""
    proxy = read_matrix(published / "oneproxy" / "latency.csv")
    whole = read_matrix(published / "help" / "data" / "nasbench201" / "latency" / "fpga.pt")
    both = matrix.merge({"one": proxy, "other": whole})
    assert both.values.shape == (1999, 13)
    assert both.column("rice_fpga") == pytest.approx(both.column("fpga"))


def test_values_of_whole_milliseconds_are_noted(published: Path) -> None:
    found = read_matrix(published / "help" / "data" / "nasbench201")
    coarse = {record.file for record in found.records if "values are whole milliseconds" in record.notes}
    assert coarse == {"pixel2.pt", "essential_ph_1.pt", "samsung_a50.pt", "samsung_s7.pt"}


def test_known_files_bring_their_licence(published: Path) -> None:
    for found in PUBLISHED.values():
        assert lookup.files.sha256((published / found.local).read_bytes()) == found.sha256
    table = read_table(published / PUBLISHED["59e0d2d1aea3a09b3e6d6fa9f3a0adb567b416e92cb093c769f557bea23b98f5"].local)
    assert table.record.licence == "Apache-2.0"
    assert "dstamoulis/single-path-nas" in (table.record.source or "")
    hat_file = "luts/mit-han-lab_HAT/latency_dataset/wmt14ende_cpu_xeon_all.csv"
    for path in ("oneproxy/latency.csv", "help/data/fbnet", hat_file):
        assert {record.licence for record in read_matrix(published / path).records} == {"MIT"}


def test_every_format_is_detected(tmp_path: Path) -> None:
    paths = write_samples(tmp_path)
    assert {name.split()[0] for name in paths} == {known.name for known in formats.FORMATS}
    for name, path in paths.items():
        assert formats.detect(Document.open(path)).name == name.split()[0]
        found = formats.read(path)
        record = found.records[0] if isinstance(found, LatencyMatrix) else found.record
        assert record.format == name.split()[0]
        assert record.rows_read > 0
    with pytest.raises(DataError, match="no table format"):
        formats.read(write(tmp_path / "t.json", "{}"))
    with pytest.raises(UsageError, match="no table format 'tsv'"):
        formats.read(tmp_path / "t.json", format_name="tsv")
    with pytest.raises(DataError, match="cannot be read"):
        formats.read(tmp_path / "absent.csv")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        formats.read(Path("/dev/zero"))
    with pytest.raises(DataError, match="a file of hwbench already"):
        formats.read(write_own(tmp_path)["import"])


@given(st.floats(1e-6, 1e11), st.sampled_from([-3, 0, 3, 6]))
def test_numbers_survive_a_change_of_unit(value: float, shift: int) -> None:
    assert number(moved(value, -shift), shift) == value
