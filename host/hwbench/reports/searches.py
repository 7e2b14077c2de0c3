"""What a search found, for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench import spaces
from hwbench.reports.units import latency, measured, signed_percent
from hwbench.workflows.searching.search import Candidate, Kept
from hwbench.workflows.searching.tables import FrontPoint, TableSearch
from hwbench.workflows.searching.verify import Measured

_FRONT_SHOWN = 20
_CANDIDATES_SHOWN = 20


def search_view(found: TableSearch) -> RenderableType:
    """The answer position by position, the other candidates, what was measured; or the front."""
    parts: list[RenderableType] = []
    result = found.result
    if found.front:
        parts.append(_front_view(result.space, result.score, found.front))
    if len(result.candidates) > 1 or found.measured:
        parts.append(candidates_view(result.score, result.candidates, found.measured))
    if found.chosen is not None:
        parts.append(answer_view(result.space, result.score, found.chosen))
        parts.append(Text(f"Written to {found.path}. Next: hwbench table predict TABLE {found.path}"))
    elif result.candidates:
        parts.append(Text(f"None of the {len(found.measured)} measured candidates holds.", style="red"))
    parts += [Text(f"note: {note}", style="yellow") for note in found.notes]
    return Group(*parts)


def answer_view(space: str, score: str, chosen: Candidate) -> RenderableType:
    """The choice of each position, then each limit and what is held against it."""
    table = Table(box=None, title=f"{space}, {score} {_score(chosen.score)}", title_justify="left")
    table.add_column("position")
    table.add_column("choice")
    for choice, label in zip(spaces.get(space).choices, chosen.labels, strict=True):
        table.add_row(choice.name, label)
    return Group(table, Text("\n".join(_kept_text(kept) for kept in chosen.kept)))


def _kept_text(kept: Kept) -> str:
    """A limit, what is held against it, and how far that is below it."""
    if kept.mean_us is None or kept.lower_us is None or kept.upper_us is None:
        return f"{kept.name} {_score(kept.value)} of {_score(kept.most)} ({signed_percent(-kept.room)})"
    sure = "" if kept.value == kept.mean_us else f", surely under {latency(kept.value)}"
    return (
        f"{kept.name} {latency(kept.mean_us)}, 95 % interval {latency(kept.lower_us)} .. {latency(kept.upper_us)}"
        f"{sure}; limit {latency(kept.most)} ({signed_percent(-kept.room)})"
    )


def candidates_view(score: str, candidates: Sequence[Candidate], measured_ones: Sequence[Measured]) -> RenderableType:
    """A row per candidate: score, limited quantities, and what was measured."""
    table = Table(box=None)
    by_candidate = {one.candidate: one for one in measured_ones}
    for column in ("", score, *(kept.name for kept in candidates[0].kept)):
        table.add_column(column, justify="right")
    for column in ("measured", "95 % interval", "flags", "holds") if measured_ones else ():
        table.add_column(column, justify="right")
    for number, candidate in enumerate(candidates[:_CANDIDATES_SHOWN]):
        cells = [str(number), _score(candidate.score)]
        cells += [_score(kept.value) if kept.mean_us is None else latency(kept.mean_us) for kept in candidate.kept]
        one = by_candidate.get(number)
        if one is not None:
            span = f"{latency(one.lower_us)} .. {latency(one.upper_us)}"
            cells += [measured(one.latency_us, one.flags), span, ", ".join(one.flags), "yes" if one.holds else "no"]
        table.add_row(*cells)
    return table


def _front_view(space: str, score: str, front: tuple[FrontPoint, ...]) -> RenderableType:
    shown = np.unique(np.linspace(0, len(front) - 1, min(len(front), _FRONT_SHOWN)).round().astype(int))
    table = Table(
        box=None, title=f"{space}: {len(shown)} of the {len(front)} architectures of the front", title_justify="left"
    )
    for column in ("latency", "95 % interval", score, "choices"):
        table.add_column(column, justify="left" if column == "choices" else "right")
    for place in shown.tolist():
        one = front[place]
        span = f"{latency(one.lower_us)} .. {latency(one.upper_us)}"
        table.add_row(latency(one.latency_us), span, _score(one.score), " ".join(one.labels))
    return table


def _score(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.6g}"
