"""A table made under emulation is complete, says so beside every number, and serves for nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

import hwbench
from hwbench import spaces
from hwbench.devices import LocalDevice
from hwbench.devices.local_runner import LocalRunner
from hwbench.errors import Incomparable
from hwbench.measure.anchors import ANCHORS
from hwbench.reports.terminal import prediction_view, table_view
from hwbench.spaces import ConvBlock
from hwbench.tables.lookup import LookupTable
from hwbench.tables.source import TableSource
from hwbench.workflows.comparing.compare import compare
from hwbench.workflows.exchange import export_table, merge
from tests.conftest import TINY
from tests.integration.bundles import built, emulator


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of the tiny space by the aarch64 runner under qemu."""
    folder = tmp_path_factory.mktemp("emulated")
    command = (*emulator(folder / "machine"), *built("android-arm64").command)
    device = LocalDevice(LocalRunner(command, "the emulated runner", ""))
    with pytest.MonkeyPatch.context() as patch:
        # The real ones take half a second each under qemu.
        for name in ANCHORS:
            patch.setitem(ANCHORS, name, ConvBlock((4, 4, 8), 8, 1))
        hwbench.profile(TINY, device=device, output=folder / "table.json")
    return folder / "table.json"


def text(view: object) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_every_number_carries_the_word(emulated: Path) -> None:
    table = hwbench.load_table(emulated)
    assert isinstance(table, LookupTable)
    space = spaces.get(TINY)
    assert len(table.measurements()) == len(space.distinct_blocks)
    assert all("emulated" in row.flags for row in table.rows)
    assert text(table_view(table, space)).count(" emulated") >= len(table.rows)
    prediction = TableSource(table, space).explain(space.sample(1, 0)[0])
    assert text(prediction_view(prediction)).count(" emulated") > len(prediction.terms)


def test_nothing_is_concluded_from_it(emulated: Path, tiny_table: Path, tmp_path: Path) -> None:
    with pytest.raises(Incomparable, match="emulated device"):
        compare([tiny_table, emulated])
    with pytest.raises(Incomparable, match="emulated device"):
        merge([tiny_table, emulated], tmp_path / "merged.json")
    with pytest.raises(Incomparable, match="emulated device"):
        export_table(emulated, tmp_path / "out.csv", "csv")
