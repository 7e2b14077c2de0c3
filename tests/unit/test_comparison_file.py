"""A comparison as a file and in a report: nothing is lost, damage is found, hostile names stay text."""

from __future__ import annotations

import io
import json
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from hwbench import files
from hwbench.errors import CorruptFile, DataError, SchemaTooNew, UsageError
from hwbench.reports.comparison_html import comparison_section
from hwbench.reports.comparisons import comparison_view
from hwbench.reports.html import write_report
from hwbench.tables import lookup
from hwbench.workflows.comparing import comparison
from hwbench.workflows.comparing.compare import compare
from hwbench.workflows.comparing.comparison import Comparison
from tests.conftest import Hwbench
from tests.table_files import block_table, mutate
from tests.unit.test_compare import SMALL, cells, measured, scaled, write
from tests.unit.test_tables import make_table

HOSTILE = "<script>alert(1)</script>\x1b[31m&\"'"


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    """Three targets, one with a hostile name, whose order the 7x7 kernels break; regret in MACs."""
    first = block_table(SMALL)
    others = [scaled(first, "second"), scaled(first, HOSTILE, "kernel:7", 12.0)]
    paths = [write(tmp_path / f"{n}.json", one) for n, one in enumerate([first, *others])]
    return compare(paths, networks=200, score="macs", output=tmp_path / "comparison.json")


def test_nothing_is_lost_in_the_file(tmp_path: Path, found: Comparison) -> None:
    path = tmp_path / "comparison.json"
    assert comparison.load(path) == found
    assert files.kind_of(path) == "comparison"
    with pytest.raises(UsageError, match="exists already"):
        compare([], output=path)


def test_noise_that_ties_everything_is_kept_too(tmp_path: Path) -> None:
    paths = [measured(tmp_path / f"{n}.json", 0.99, seed=n) for n in range(2)]
    tied = compare(paths, networks=5, output=tmp_path / "tied.json")
    assert comparison.load(tmp_path / "tied.json") == tied
    matrix = compare([cells(tmp_path / "m.json", {"a": 1.0, "b": 0.5, "flat": 0.0})], output=tmp_path / "n.json")
    assert comparison.load(tmp_path / "n.json") == matrix


def test_damage_is_found(tmp_path: Path, found: Comparison) -> None:
    path = tmp_path / "comparison.json"
    data = path.read_bytes()
    rng = random.Random(0)
    for _ in range(100):
        damaged = mutate(data, rng)
        path.write_bytes(damaged)
        if damaged != data:
            with pytest.raises((CorruptFile, SchemaTooNew), match=r"comparison\.json"):
                comparison.load(path)


def test_impossible_values_are_refused(tmp_path: Path, found: Comparison) -> None:
    content = json.loads(msgspec.json.encode(found))
    content["pairs"][1]["breakers"][0]["factor"] = 0
    files.save(tmp_path / "zero.json", comparison.KIND, comparison.VERSION, content)
    with pytest.raises(CorruptFile, match="impossible latency"):
        comparison.load(tmp_path / "zero.json")


def test_a_report_has_everything_and_hostile_names_stay_text(found: Comparison) -> None:
    assert HOSTILE in found.targets
    section = comparison_section(found)
    assert "<script>" not in section
    assert "&lt;script&gt;" in section
    for text in ("phone, second", "MBConv 7x7", "front regret: macs", "not monotone", "2.json", "seed 0"):
        assert text in section
    figure = section[section.index("<svg") : section.index("</svg>") + len("</svg>")].replace("\x1b", "")
    drawn = ET.fromstring(figure)
    texts = [one.text for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
    for pair in found.pairs:
        assert f"{pair.agreement.spearman:.2f} {'+' if pair.verdict.answer == 'yes' else '-'}" in texts


def test_a_report_of_tables_and_comparisons(tmp_path: Path, found: Comparison) -> None:
    lookup.save(make_table(), tmp_path / "table.json")
    write_report([tmp_path / "comparison.json", tmp_path / "table.json"], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert page.index("Agreement of 3 targets") < page.index("Latency of each choice")
    assert "<script>" not in page
    with pytest.raises(DataError, match="table, comparison or search"):
        write_report([], tmp_path / "none.html")
    with pytest.raises(CorruptFile, match=r"0\.json"):
        write_report([tmp_path / "0.json"], tmp_path / "none.html")


def test_the_terminal_reads_without_colour(found: Comparison) -> None:
    console = Console(file=io.StringIO(), width=250, color_system=None)
    console.print(comparison_view(found))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "1.00+" in text
    broken = next(pair for pair in found.pairs if pair.verdict.answer == "no")
    assert f"{broken.agreement.spearman:.2f}-" in text
    assert "+ monotone, - not monotone" in text


def test_ceilings_are_in_report_and_terminal(tmp_path: Path) -> None:
    runs = [measured(tmp_path / f"run{n}.json", 0.03, seed=0, launches=(n,)) for n in range(2)]
    other = measured(tmp_path / "other.json", 0.03, launches=(2,), threads=2)
    found = compare([*runs, other], networks=100)
    console = Console(file=io.StringIO(), width=250, color_system=None)
    console.print(comparison_view(found))
    for text in (console.file.getvalue(), comparison_section(found)):  # type: ignore[attr-defined]
        assert "noise ceiling of litert xnnpack fp32 b1 t1: 1.000 (measured, a second run)" in text
        assert "(estimated from its rows" in text
        assert "(1.00)" in text
    assert "run0.json, run1.json" in comparison_section(found)


def test_the_commands_keep_draw_and_print(tmp_path: Path, found: Comparison, hwbench: Hwbench) -> None:
    names = [f"{n}.json" for n in range(3)]
    done = hwbench("compare", *names, "--networks", "200", "--score", "macs", "--json")
    assert done.returncode == 1, done.stderr
    assert msgspec.json.decode(done.stdout, type=Comparison) == found
    refused = hwbench("compare", *names, "--output", "comparison.json")
    assert (refused.returncode, "--overwrite" in refused.stderr) == (2, True)
    shown = hwbench("compare", *names, "--networks", "200", "--output", "comparison.json", "--overwrite")
    assert "\x1b" not in shown.stdout
    assert comparison.load(tmp_path / "comparison.json").score is None
    assert hwbench("report", "comparison.json", "-o", "page.html").returncode == 0
    assert (tmp_path / "page.html").read_text().count("<svg") == 1
