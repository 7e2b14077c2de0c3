"""The synthetic table of the supernet's study has the ratios of the published one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.supernet_search import SPACE

from hwbench import spaces
from hwbench.search.supernet.network import chain_of
from hwbench.tables import formats
from hwbench.tables.imported import ImportedSource, ImportedTable
from hwbench.workflows.reproducing.phone_like import phone_like


@pytest.mark.parametrize("name", [SPACE, "proxylessnas-w0.25-r28-c10-i1-d2.2.2.2.2.1"])
def test_a_phone_like_table(published: Path, name: str) -> None:
    table = formats.read(published / "luts/han-cai_files/proxylessnas/mobile_trim.yaml")
    assert isinstance(table, ImportedTable)
    paper, space = (chain_of(spaces.get(one)) for one in (spaces.DEFAULT, name))
    phone_fixed, phone = ImportedSource(table, paper).offered_us()
    made = phone_like(space, published)
    assert "synthetic" in made.target
    fixed, offers = ImportedSource(made, space).offered_us()
    assert fixed == pytest.approx(phone_fixed)
    places = [position.name for position in paper.positions]
    for position, offer in zip(space.positions, offers, strict=True):
        place = places.index(position.name)
        wanted = dict(zip(paper.positions[place].labels, phone[place], strict=True))
        # Where widths agree that differ in the paper, a small space offers Zero as well.
        np.testing.assert_allclose(offer, [wanted.get(label, 0.0) for label in position.labels])
        assert set(position.labels) - set(wanted) <= {"zero"}
    assert ImportedSource(made, space).predict(space.sample(50, 0)).mean_us.min() > fixed
