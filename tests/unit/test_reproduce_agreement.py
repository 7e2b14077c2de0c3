"""`reproduce oneproxy` and `reproduce fronts`: golden figures, own CSV files, wrong pairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from hwbench.errors import DataError, UsageError
from hwbench.workflows.reproducing import oneproxy as reproduce_oneproxy
from hwbench.workflows.reproducing.fronts import fronts
from hwbench.workflows.reproducing.oneproxy import oneproxy, parse_pairs
from hwbench.workflows.reproducing.reproduce import AtLeast, Check
from tests.table_files import write_samples


def test_fronts_and_regrets_are_the_published_ones(published: Path) -> None:
    found = fronts(published)
    assert len(found.checks) == 30
    assert [check.name for check in found.checks if not check.agrees] == []


def test_adaptation_rows(published: Path) -> None:
    found = oneproxy(published, [("true_vpu", "eagle_gtx"), ("rice_pixel3", "rice_raspi4")])
    assert len(found.agreements) == 66
    assert [check.name for check in found.checks if not check.agrees] == []
    assert {flaw.target for flaw in found.flaws} == {"rice_edgetpu", "eagle_gtx", "eagle_i7"}


def test_any_csv_of_that_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reproduce_oneproxy, "SEEDS", 2)
    path = write_samples(tmp_path)["oneproxy-csv"]
    found = oneproxy(path)
    assert found.checks == ()
    assert [(row.proxy, row.target, row.measured) for row in found.adaptations] == [
        ("two", "one", (10,)),
        ("one", "two", (10,)),
    ]
    assert found.agreements[0].spearman == pytest.approx(-1.0)
    with pytest.raises(DataError, match="no target 'three'"):
        oneproxy(path, [("one", "three")])


def test_pairs_are_read_or_refused() -> None:
    assert parse_pairs("a:b, c:d") == (("a", "b"), ("c", "d"))
    assert parse_pairs("") == ()
    for wrong in ("a", "a:", "a:a"):
        with pytest.raises(UsageError, match="--pairs"):
            parse_pairs(wrong)


def test_more_than_published_is_as_good() -> None:
    assert AtLeast("x", "", 0.6, 0.015, 0.7).agrees
    assert not Check("x", "", 0.6, 0.015, 0.7).agrees
    assert not AtLeast("x", "", 0.6, 0.015, 0.5).agrees
