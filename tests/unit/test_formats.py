"""Foreign tables: every published one is read as it should, round trips keep keys and values, bad rows are named."""

from __future__ import annotations

import io
import json
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench import spaces
from hwbench.errors import CorruptFile, DataError, MissingRows, UsageError
from hwbench.spaces import MBConv, NamedBlock, block_from_key, proxylessnas
from hwbench.spaces.blocks import macs
from hwbench.tables import formats, imported, lookup, matrix, opening
from hwbench.tables.formats import legacy_keys, net_config, ofa_tables, pickles, plain_csv, proxylessnas_yaml
from hwbench.tables.formats.document import Document, Options, moved, number
from hwbench.tables.formats.published import PUBLISHED
from hwbench.tables.imported import ImportedSource, ImportedTable
from hwbench.tables.matrix import ColumnSource, LatencyMatrix
from hwbench.tables.packed import PackedTable
from hwbench.tables.source import TableSource
from tests.table_files import block_table, small_matrix, torch_archive, write_own, write_samples
from tests.unit.test_tables import make_table


def read_table(path: Path, **options: str) -> ImportedTable:
    found = formats.read(path, Options(**options))  # type: ignore[arg-type]
    assert isinstance(found, ImportedTable)
    return found


def read_matrix(path: Path, **options: str) -> LatencyMatrix:
    found = formats.read(path, Options(**options))  # type: ignore[arg-type]
    assert isinstance(found, LatencyMatrix)
    return found


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


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


@pytest.mark.parametrize("name", ["proxylessnas", "proxylessnas-w0.5-r28-c10-i1-t1", "proxylessnas-mobile-r160-c10"])
@pytest.mark.parametrize("seed", range(3))
def test_proxylessnas_yaml_round_trip(tmp_path: Path, name: str, seed: int) -> None:
    table = opening.as_rows(make_table(seed, space=spaces.get(name)))
    (tmp_path / "t.yaml").write_bytes(proxylessnas_yaml.write(table))
    back = read_table(tmp_path / "t.yaml")
    assert [(row.key, row.value) for row in back.rows] == [(row.key, row.value) for row in table.rows]
    assert back.record.refused_count == 0


@pytest.mark.parametrize("ending", ["yaml", "json"])
@pytest.mark.parametrize("name", ["ofa", "ofa-w1.0-r160-c10", "ofa-w0.5-r37-c3"])
def test_once_for_all_round_trip(tmp_path: Path, name: str, ending: str) -> None:
    table = opening.as_rows(make_table(1, space=spaces.get(name)))
    path = tmp_path / f"t.{ending}"
    path.write_bytes({"yaml": ofa_tables.write_yaml, "json": ofa_tables.write_json}[ending](table))
    back = read_table(path)
    assert [(row.key, row.value, row.spread) for row in back.rows] == [(r.key, r.value, r.spread) for r in table.rows]
    if "w0.5" not in name:
        assert back.space == spaces.get(name).name


@pytest.mark.parametrize("name", ["proxylessnas", "ofa", "fbnet", "nasbench201"])
def test_csv_round_trip(tmp_path: Path, name: str) -> None:
    table = block_table(spaces.get(name).name)
    (tmp_path / "t.csv").write_bytes(plain_csv.write_table(table))
    back = read_table(tmp_path / "t.csv")
    assert back.rows == table.rows
    assert (back.space, back.target) == (table.space, table.target)


def test_matrix_csv_round_trip(tmp_path: Path) -> None:
    table = small_matrix()
    (tmp_path / "m.csv").write_bytes(plain_csv.write_matrix(table))
    back = read_matrix(tmp_path / "m.csv")
    assert (back.architectures, back.targets) == (table.architectures, table.targets)
    assert np.array_equal(back.values, table.values, equal_nan=True)


@given(st.floats(1e-6, 1e11), st.sampled_from([-3, 0, 3, 6]))
def test_numbers_survive_a_change_of_unit(value: float, shift: int) -> None:
    assert number(moved(value, -shift), shift) == value


@pytest.mark.parametrize("dialect", ["proxylessnas", "ofa"])
def test_a_block_that_a_format_cannot_express_is_named(dialect: legacy_keys.Dialect) -> None:
    odd_width, odd_squeeze = MBConv((8, 8, 8), 8, 20, 3), MBConv((8, 8, 8), 8, 20, 3, activation="relu", squeeze=5)
    other_padding = MBConv((8, 8, 8), 8, 24, 3, padding="same", activation="relu")
    for block in (odd_squeeze if dialect == "ofa" else odd_width, other_padding):
        with pytest.raises(DataError, match="cannot express the block mbconv-in:8x8x8"):
            legacy_keys.key_of(block, dialect)


def test_expand_is_a_ratio_in_one_and_a_width_in_the_other() -> None:
    stem = "expanded_conv-input:14x14x80-output:14x14x80-expand:6-kernel:5-stride:1-idskip:1"
    ratio, width = legacy_keys.block_of(stem, "proxylessnas"), legacy_keys.block_of(f"{stem}-se:0-hs:1", "ofa")
    assert isinstance(ratio, MBConv)
    assert isinstance(width, MBConv)
    assert (ratio.mid_channels, ratio.activation) == (480, "relu6")
    assert (width.mid_channels, width.activation) == (6, "h-swish")


BLOCK = spaces.get(spaces.DEFAULT).distinct_blocks[1].key


@pytest.mark.parametrize(
    ("value", "reason"),
    [("-3.5", "negative: -3.5"), ("-1", "-1: a sentinel"), ("nan", "NaN"), ("0", "zero"), ("", "not a number"),
     ("1e300", "impossibly large"), ("inf", "impossibly large"), ("fast", "not a number"), ("1e99999", "not a number")],
)  # fmt: skip
def test_rows_are_refused_with_their_reason(tmp_path: Path, value: str, reason: str) -> None:
    other = spaces.get(spaces.DEFAULT).distinct_blocks[2].key
    path = write(tmp_path / "t.csv", f"key,latency_ms\n{BLOCK},{value}\n{other},2.5\n")
    table = read_table(path)
    assert [(row.key, row.value) for row in table.rows] == [(other, 2500.0)]
    (refused,) = table.record.refused
    assert refused.row == BLOCK
    assert reason in refused.reason


def test_duplicates_and_unknown_keys_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", f"key,latency_us\n{BLOCK},1\n{BLOCK},2\nmbconv-what,3\n")
    record = read_table(path).record
    assert [refused.reason.split(":")[0] for refused in record.refused] == ["duplicate", "unknown key"]
    key = "Conv-input:224x224x3-output:112x112x32"
    text = "".join(f"{key}:\n  mean: {n}\n" for n in (1, 2))
    table = read_table(write(tmp_path / "t.yaml", text + "expanded_conv-input:1\n: {mean: 2}\n".replace("\n:", ":")))
    assert [row.value for row in table.rows] == [1000.0]
    assert table.record.refused_count == 2
    twice = f'{{"{key}": {{"mean": 1}}, "{key}": {{"mean": 2}}, "expanded_conv-input:x-se:": 3}}'
    assert read_table(write(tmp_path / "t.json", twice)).record.refused_count == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"key,latency\n{BLOCK},1\n", "does not say the unit"),
        (f"key,latency,unit\n{BLOCK},1,fortnight\n", "'fortnight' is not a unit of time"),
        (f"key,latency_ms,latency_us\n{BLOCK},1,1\n", "exactly one column of values"),
        (f"key,target,latency_ms\n{BLOCK},a,1\n{BLOCK},b,2\n", "several targets: a, b"),
        ("key,latency_ms\n", "no row that can be imported"),
        (f"key,latency_ms\n{BLOCK},1,2\n", "line 2 has 3 fields"),
        ("architecture,latency_ms\n0 1 2,3\n", "of which space"),
        ("architecture,space,latency_ms\n0 1 2,hat,3\n", "none can be built"),
        ("key,key,latency_ms\n", "a column twice"),
    ],
)
def test_unusable_csv(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        formats.read(write(tmp_path / "t.csv", text))


def test_the_unit_and_the_target_can_be_given(tmp_path: Path) -> None:
    text = f"key,target,latency\n{BLOCK},a,1\n{BLOCK},b,2\n"
    table = read_table(write(tmp_path / "t.csv", text), unit="s", target="b", space=spaces.DEFAULT)
    assert [(row.key, row.value) for row in table.rows] == [(BLOCK, 2e6)]
    assert (table.target, table.space, table.record.unit) == ("b", spaces.DEFAULT, "s")


def test_other_metrics_are_kept_apart(tmp_path: Path) -> None:
    table = read_table(write(tmp_path / "t.csv", f"key,energy_mj\n{BLOCK},1.5\n"))
    assert (table.metric, table.rows[0].value) == ("energy_mj", 1.5)
    with pytest.raises(DataError, match="energy_mj, not latencies"):
        ImportedSource(table, spaces.get(spaces.DEFAULT))


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


def test_yaml_with_anchors_or_tags_is_no_bomb(tmp_path: Path) -> None:
    bomb = "a: &a {mean: 1}\nexpanded_conv-input:x: {mean: *a}\n"
    for text in (bomb, "expanded_conv-input:1: [1, 2]\n", "- expanded_conv-input:1\n", "expanded_conv-input:1: 2\n"):
        with pytest.raises(DataError, match="not a YAML table"):
            formats.read(write(tmp_path / "t.yaml", text))


class Evil:
    """Pickles to a call of a function that writes a file."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def test_hostile_pickles_are_refused_before_anything_runs(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for value in (
            Evil(open, str(marker), "w"),
            [Evil(exec, f"open({str(marker)!r}, 'w')")],
            {"base": Evil(getattr, 1, "real")},
        ):
            data = pickle.dumps(value, protocol=protocol)
            for wrapped in (data, _archive(data)):
                with pytest.raises(DataError, match=r"Nothing of it was run|not a readable pickle"):
                    pickles.load(wrapped, "evil.pkl")
    assert not marker.exists()


def _archive(data: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_archive(b"\x80\x02" + b"]" * 10_000_000, zipfile.ZIP_DEFLATED), "compressed"),
        (torch_archive([1])[:-30], "damaged"),
        (b"PK\x03\x04", "damaged"),
        (b"\x80\x02]r\xff\xff\xff\xff.", "out of proportion"),
        (b"\x80\x02\x8a\xff" + b"\x01" * 255 + b".", "integer of 255 bytes"),
        (b"\x80\x02}K\x01K\x02\x86K\x03s.", "a key of a dict is a tuple"),
        (b"\x80\x02cos\nsystem\n.", "asks for os.system"),
        (b"\x80\x02cnumpy\ndtype\n.", "holds no data"),
        (b"\x80\x02c_codecs\nencode\nK\x01\x85R.", "arguments that are not data"),
        (b"\x80\x02]}b.", "sets the state"),
        (b"\x80\x02B\xff\xff\xff\x7f.", "not a readable pickle"),
        (b"\x80\x02", "not a readable pickle"),
        (b"\x80\x09.", "protocol"),
        (b"\x80\x02i", "instruction"),
    ],
)  # fmt: skip
def test_broken_pickles(data: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        pickles.load(data, "p.pkl")


scalars = st.none() | st.booleans() | st.integers(-(2**100), 2**100) | st.floats(allow_nan=False)
keys = st.text() | st.integers(-(2**60), 2**60)
plain = st.recursive(
    scalars | st.text(max_size=300) | st.binary(max_size=9),
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(plain, st.integers(3, 4))
def test_plain_data_is_read_as_pickle_reads_it(value: object, protocol: int) -> None:
    assert pickles.load(pickle.dumps(value, protocol=protocol), "p") == value


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int32, np.int64, np.float32, np.float64, np.bool_])
def test_numpy_scalars_become_numbers(kind: type[np.generic]) -> None:
    (found,) = pickles.load(pickle.dumps([kind(1)], protocol=2), "p")
    assert found == 1
    assert not isinstance(found, np.generic)


def test_own_files_are_told_apart(tmp_path: Path) -> None:
    paths = write_own(tmp_path)
    assert opening.load(paths["import"]) == imported.load(paths["import"])
    assert opening.load(paths["matrix"]) == matrix.load(paths["matrix"])
    lookup.save(make_table(), tmp_path / "t.json")
    assert opening.load_table(tmp_path / "t.json") == lookup.load(tmp_path / "t.json")
    with pytest.raises(CorruptFile, match="not a hwbench table but a hwbench import"):
        lookup.load(paths["import"])
    with pytest.raises(DataError, match="matrix of whole architectures"):
        opening.load_table(paths["matrix"])
    with pytest.raises(DataError, match="not a file of hwbench"):
        opening.load(write(tmp_path / "x.json", "{}"))


def test_impossible_content_of_own_files_is_refused(tmp_path: Path) -> None:
    table = msgspec.to_builtins(block_table("nasbench201-w8-n1-r8-c2"))
    table["rows"][0]["value"] = -1.0
    lookup.files.save(tmp_path / "i.json", imported.KIND, imported.VERSION, table)
    with pytest.raises(CorruptFile, match=r"i\.json.*impossible value"):
        imported.load(tmp_path / "i.json")
    content = msgspec.to_builtins(small_matrix())
    content["columns"][1]["values"] = content["columns"][1]["values"][1:]
    lookup.files.save(tmp_path / "m.json", matrix.KIND, matrix.VERSION, content)
    with pytest.raises(CorruptFile, match=r"m\.json.*target b has 19 values"):
        matrix.load(tmp_path / "m.json")


def test_an_imported_table_predicts_sums_and_refuses_what_it_lacks() -> None:
    space = spaces.get("proxylessnas")
    table = block_table(space.name)
    source = ImportedSource(table, space)
    archs = space.sample(20, 0)
    predicted = source.predict(archs)
    for number_, arch in enumerate(archs):
        rows = [table.values()[key] for key in source.keys_of(arch)]
        assert predicted.mean_us[number_] == pytest.approx(sum(row.value for row in rows))
        half = 1.96 * math.sqrt(sum((row.spread or 0) ** 2 for row in rows))
        assert predicted.upper_us[number_] - predicted.mean_us[number_] == pytest.approx(half, rel=1e-3)
        assert source.explain(arch).value_us == pytest.approx(predicted.mean_us[number_])
    lacking = msgspec.structs.replace(table, rows=table.rows[1:])
    with pytest.raises(MissingRows, match="conv-in:224"):
        ImportedSource(lacking, space).predict(archs)
    bare = msgspec.structs.replace(table, rows=tuple(msgspec.structs.replace(r, spread=None) for r in table.rows))
    unknown = ImportedSource(bare, space).predict(archs)
    assert (unknown.lower_us == 0).all()
    assert np.isinf(unknown.upper_us).all()


def test_coverage_names_every_missing_key() -> None:
    space = spaces.get("proxylessnas")
    table = block_table(space.name)
    assert opening.coverage_of_space(table, space) == opening.Coverage(70, 70, ())
    lacking = msgspec.structs.replace(table, rows=table.rows[2:])
    gone = tuple(row.key for row in table.rows[:2])
    assert opening.coverage_of_space(lacking, space) == opening.Coverage(70, 68, gone)
    arch = space.sample(1, 0)
    assert opening.coverage_of_architecture(lacking, space, arch).missing == gone
    chain = [NamedBlock("a", block_from_key(gone[0]))]
    assert opening.coverage_of_network(lacking, chain) == opening.Coverage(1, 0, gone[:1])


def test_rows_per_position_are_summed_with_their_offset(tmp_path: Path) -> None:
    space = spaces.get(spaces.DEFAULT)
    paths = write_samples(tmp_path)
    table = read_table(paths["tunas-linear"])
    source = ImportedSource(table, space)
    archs = space.sample(5, 1)
    for arch, mean in zip(archs, source.predict(archs).mean_us, strict=True):
        keys = source.keys_of(arch)
        assert keys[0] == "first"
        assert len(keys) == 22
        assert mean == pytest.approx(table.offset + sum(table.values()[key].value for key in keys))
        assert source.explain(arch).terms[-1].key == "stem, mix, classifier"
    partial = ImportedSource(read_table(paths["single-path-json"]), space)
    assert {"stem", "mix", "classifier", "stage1.1/zero", "stage1.0/k7e3"} <= set(
        opening.coverage_of_space(partial.table, space).missing
    )
    with pytest.raises(MissingRows):
        partial.predict(archs)


def test_operators_are_no_blocks(tmp_path: Path) -> None:
    table = read_table(write_samples(tmp_path)["paddle-text"])
    with pytest.raises(DataError, match="single operators"):
        ImportedSource(table, spaces.get("proxylessnas"))
    with pytest.raises(DataError, match="Only tables of blocks"):
        plain_csv.write_table(table)


def test_a_column_knows_its_architectures_alone() -> None:
    found = small_matrix()
    source = ColumnSource(found, "a")
    assert source.predict([found.architectures[3]]).mean_us[0] == found.columns[0].values[3]
    with pytest.raises(MissingRows, match="lacks 1 architectures"):
        source.predict([found.architectures[0]])
    with pytest.raises(DataError, match="no target 'c'"):
        ColumnSource(found, "c")


def test_a_matrix_of_many_tables() -> None:
    space = spaces.get("proxylessnas")
    sources = {name: ImportedSource(block_table(space.name, seed), space) for seed, name in enumerate("abc")}
    archs = space.sample(7, 0)
    found = matrix.from_sources(space, archs, sources)
    assert found.values.shape == (7, 3)
    assert found.column("b") == pytest.approx(sources["b"].predict(archs).mean_us)
    with pytest.raises(DataError, match="Target a stands in"):
        matrix.merge({"x": found, "y": found})
    with pytest.raises(DataError, match="different spaces"):
        matrix.merge({"x": found, "y": small_matrix()})


def test_json_numbers_are_read_exactly(tmp_path: Path) -> None:
    key = "Conv-input:224x224x3-output:112x112x24"
    text = json.dumps({key: {"mean": 0.1, "std": 0.2, "count": 7}, "expanded_conv-input:-se:": {}})
    (row,) = read_table(write(tmp_path / "t.json", text)).rows
    assert (row.value, row.spread, row.count) == (100.0, 200.0, 7)


@pytest.mark.parametrize("name", ["proxylessnas", "ofa", "fbnet", "proxylessnas-v8.8.8.16.32-r16-c4-d1.2-s2.2"])
def test_packed_sums_equal_predictions(name: str) -> None:
    space = spaces.get(name)
    archs = space.sample(300_000 if name == "proxylessnas" else 1000, 3)
    columns = np.ascontiguousarray(archs.T)
    for source in (ImportedSource(block_table(space.name), space), TableSource(make_table(space=space), space)):
        assert PackedTable(source).mean_us(columns) == pytest.approx(source.predict(archs).mean_us, rel=1e-12)


def test_packed_sums_refuse_what_they_cannot_know(tmp_path: Path) -> None:
    space = spaces.get("proxylessnas")
    table = block_table(space.name)
    lacking = ImportedSource(msgspec.structs.replace(table, rows=table.rows[:-5]), space)
    columns = np.ascontiguousarray(space.sample(50, 0).T)
    with pytest.raises(MissingRows):
        PackedTable(lacking).mean_us(columns)
    with pytest.raises(DataError, match="uint8 of shape"):
        PackedTable(ImportedSource(table, space)).mean_us(columns.T)
    cells = spaces.get("nasbench201")
    with pytest.raises(DataError, match=r"nasbench201.*is not"):
        PackedTable(ImportedSource(block_table(cells.name), cells))
    linear = ImportedSource(read_table(write_samples(tmp_path)["tunas-linear"]), space)
    assert PackedTable(linear).mean_us(columns) == pytest.approx(linear.predict(columns.T).mean_us)


def test_published_networks_are_in_the_space_with_their_macs(published: Path) -> None:
    """34 Once-for-all networks; three of them carry their multiply-accumulates, in millions, in their names."""
    found = 0
    for folder in sorted((published / "luts/han-cai_files/ofa/ofa_specialized").iterdir()):
        if json.loads((folder / "net.config").read_text())["name"] != "MobileNetV3":
            continue
        found += 1
        resolution = json.loads((folder / "run.config").read_text())["image_size"]
        network = net_config.read(Document.open(folder / "net.config"), resolution)
        keys = {named.block.key for named in network}
        known = [spaces.get(f"ofa-w{width}-r{resolution}-c1000").rows_by_key.keys() for width in (1.0, 1.2)]
        assert any(keys <= rows for rows in known), folder.name
        if folder.name.startswith("flops-"):
            assert int(sum(macs(named.block) for named in network) / 1e6) == int(folder.name[6:9])
    assert found == 34


def test_the_released_network_is_the_one_in_the_space(published: Path) -> None:
    config = published / "luts/mit-han-lab_proxylessnas/proxylessnas/proxyless_mobile.config"
    space = proxylessnas.released_mobile()
    ours = space.network(space.parse(proxylessnas.released_mobile_operators()))
    theirs = net_config.read(Document.open(config))
    assert [named.block.key for named in theirs] == [named.block.key for named in ours]
    with pytest.raises(DataError, match="not a network configuration"):
        net_config.read(
            Document.open(published / "luts/dstamoulis_single-path-nas/nas-search/pixel1_runtime_model.json")
        )
