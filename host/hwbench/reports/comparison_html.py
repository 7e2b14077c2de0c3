"""A comparison of targets as a section of a report."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from hwbench.reports.comparisons import (
    LEGEND,
    MARKS,
    block_texts,
    broken_pairs,
    ceiling_texts,
    figure,
    operator_texts,
    regret_text,
    scoring_text,
    verdict,
)
from hwbench.reports.svg import Cell, correlation_map
from hwbench.workflows.comparing.comparison import Comparison, Pair


def comparison_section(found: Comparison) -> str:
    """Heat map, clusters, a row per pair with verdict and regret, ceilings, what breaks the order, flaws, sources."""
    return "".join(
        [
            f"<h1>Agreement of {len(found.targets)} targets</h1>",
            f"<p>{found.architectures} architectures of {escape(found.space)}, seed {found.seed}.</p>",
            _listed(found.notes),
            "<h2>Spearman's correlation</h2>",
            _map(found),
            f"<p>{escape(LEGEND)}. A red frame marks a pair that is not monotone.</p>",
            "<h2>Clusters</h2>",
            _listed([", ".join(own) for own in found.clusters]),
            "<h2>Pairs</h2>",
            f"<p>{escape(scoring_text(found))}.</p>",
            _pairs(found),
            "<h2>Noise ceilings</h2>",
            _listed(ceiling_texts(found)) or "<p>The files do not say how uncertain their values are.</p>",
            "<h2>What breaks the order</h2>",
            _breaking(found),
            "<h2>Flawed columns</h2>",
            _listed(list(dict.fromkeys(flaw.text for flaw in found.flaws))) or "<p>None was found.</p>",
            "<h2>Where the latencies come from</h2>",
            _table(
                ("target", "space", "device", "files"),
                [(one.target, one.space, one.device or "", ", ".join(one.files)) for one in found.sources],
            ),
        ]
    )


def _map(found: Comparison) -> str:
    known = {frozenset((pair.agreement.a, pair.agreement.b)): pair for pair in found.pairs}
    cells = [
        [_ceiling_cell(found, a) if a == b else _cell(known.get(frozenset((a, b)))) for b in found.targets]
        for a in found.targets
    ]
    return correlation_map(found.targets, cells)


def _cell(pair: Pair | None) -> Cell:
    if pair is None:
        return Cell(None, "")
    one = pair.agreement
    text = "?" if one.spearman is None else f"{one.spearman:.2f}"
    title = f"{one.a}\n{one.b}\n{one.lower:.3f} .. {one.upper:.3f}, monotone: {verdict(pair)}"
    return Cell(one.spearman, f"{text} {MARKS[pair.verdict.answer]}", title, mark=pair.verdict.answer == "no")


def _ceiling_cell(found: Comparison, target: str) -> Cell:
    value = found.ceilings.get(target)
    return Cell(None, "" if value is None else f"({value:.2f})", f"{target}\nnoise ceiling")


def _pairs(found: Comparison) -> str:
    head = ["pair", "Spearman", "95 % interval", "Kendall", "fastest tenth", "monotone"]
    if found.score is not None:
        head += ["regret, 1st for 2nd", "2nd for 1st"]
    rows = [
        (
            f"{pair.agreement.a} / {pair.agreement.b}",
            figure(pair.agreement.spearman),
            f"{pair.agreement.lower:.3f} .. {pair.agreement.upper:.3f}",
            figure(pair.kendall),
            f"{pair.top_overlap:.0%}",
            verdict(pair),
            *(regret_text(regret, found) for regret in pair.regrets),
        )
        for pair in found.pairs
    ]
    return _table(head, rows)


def _breaking(found: Comparison) -> str:
    sections = [
        f"<h3>{escape(pair.agreement.a)} / {escape(pair.agreement.b)}</h3>"
        f"{_listed([*operator_texts(pair), *block_texts(pair)])}"
        for pair in broken_pairs(found)
    ]
    return "".join(sections) or "<p>No two tables of blocks disagree.</p>"


def _listed(texts: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return "<table><tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + f"</tr>{lines}</table>"
