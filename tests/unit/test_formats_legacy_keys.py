"""Tables keyed as ProxylessNAS and Once-for-all do, YAML and JSON: round trips, and what their keys cannot say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hwbench import spaces
from hwbench.errors import DataError
from hwbench.spaces import MBConv, proxylessnas
from hwbench.spaces.blocks import macs
from hwbench.tables import formats, opening
from hwbench.tables.formats import legacy_keys, net_config, ofa_tables, proxylessnas_yaml
from hwbench.tables.formats.document import Document
from tests.table_files import (
    read_table,
    write,
)
from tests.unit.test_tables import make_table


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


def test_yaml_with_anchors_or_tags_is_no_bomb(tmp_path: Path) -> None:
    bomb = "a: &a {mean: 1}\nexpanded_conv-input:x: {mean: *a}\n"
    for text in (bomb, "expanded_conv-input:1: [1, 2]\n", "- expanded_conv-input:1\n", "expanded_conv-input:1: 2\n"):
        with pytest.raises(DataError, match="not a YAML table"):
            formats.read(write(tmp_path / "t.yaml", text))


def test_json_numbers_are_read_exactly(tmp_path: Path) -> None:
    key = "Conv-input:224x224x3-output:112x112x24"
    text = json.dumps({key: {"mean": 0.1, "std": 0.2, "count": 7}, "expanded_conv-input:-se:": {}})
    (row,) = read_table(write(tmp_path / "t.json", text)).rows
    assert (row.value, row.spread, row.count) == (100.0, 200.0, 7)


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


def test_duplicates_and_unknown_legacy_keys_are_refused(tmp_path: Path) -> None:
    key = "Conv-input:224x224x3-output:112x112x32"
    text = "".join(f"{key}:\n  mean: {n}\n" for n in (1, 2))
    table = read_table(write(tmp_path / "t.yaml", text + "expanded_conv-input:1\n: {mean: 2}\n".replace("\n:", ":")))
    assert [row.value for row in table.rows] == [1000.0]
    assert table.record.refused_count == 2
    twice = f'{{"{key}": {{"mean": 1}}, "{key}": {{"mean": 2}}, "expanded_conv-input:x-se:": 3}}'
    assert read_table(write(tmp_path / "t.json", twice)).record.refused_count == 2
