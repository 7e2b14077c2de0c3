"""A comparison of targets in words and in the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.reports.agreements import flaws_view, heat_map
from hwbench.reports.units import latency, percent
from hwbench.workflows.comparing.comparison import Breaker, Comparison, Pair, Regret

MARKS = {"yes": "+", "no": "-", "too few": "?"}
LEGEND = "+ monotone, - not monotone, ? cannot be told yet; in brackets a target's noise ceiling"
_COUNTED = ("macs", "parameters")
_PLACES = 3
# Of more broken pairs than this the terminal shows operators alone.
_SPELLED_OUT = 3


def comparison_view(found: Comparison) -> RenderableType:
    """Heat map, a line per pair with interval, verdict and regret, what breaks the order, clusters, ceilings.

    Pairs are named by the numbers of their targets in the heat map.
    """
    table = Table(box=None, title=f"{found.architectures} architectures of {found.space}", title_justify="left")
    number = {target: str(place) for place, target in enumerate(found.targets, start=1)}
    for column in ("pair", "Spearman", "95 % interval", "Kendall", "top tenth", "monotone"):
        table.add_column(column, justify="left" if column in ("pair", "monotone") else "right")
    if found.score is not None:
        for column in ("1st for 2nd", "2nd for 1st"):
            table.add_column(column, justify="right")
    for pair in found.pairs:
        one = pair.agreement
        table.add_row(
            f"{number[one.a]} / {number[one.b]}",
            figure(one.spearman),
            f"{one.lower:.3f} .. {one.upper:.3f}",
            figure(pair.kendall),
            f"{pair.top_overlap:.0%}",
            verdict(pair),
            *(regret_text(regret, found) for regret in pair.regrets),
        )
    lines = [scoring_text(found)]
    lines += [f"cluster: {', '.join(own)}" for own in found.clusters if len(own) > 1]
    lines += ceiling_texts(found)
    broken = broken_pairs(found)
    for pair in broken:
        lines.append(f"between {pair.agreement.a} and {pair.agreement.b} the order is broken by")
        texts = operator_texts(pair) + (block_texts(pair) if len(broken) <= _SPELLED_OUT else [])
        lines += [f"  {text}" for text in texts]
    if len(broken) > _SPELLED_OUT:
        lines.append("single blocks are in a report (--output, `hwbench report`) and in --json")
    lines += [f"note: {note}" for note in found.notes]
    marks = {(pair.agreement.a, pair.agreement.b): MARKS[pair.verdict.answer] for pair in found.pairs}
    shown: list[RenderableType] = []
    if found.pairs:
        map_of_pairs = heat_map([pair.agreement for pair in found.pairs], marks, found.ceilings)
        shown = [map_of_pairs, Text(LEGEND, style="dim"), table]
    return Group(*shown, Text("\n".join(lines)), flaws_view(found.flaws))


def verdict(pair: Pair) -> str:
    """The answer in words, with how many more architectures settle it."""
    found = pair.verdict
    if found.answer != "too few":
        return found.answer
    return "cannot be told" if found.more is None else f"too few to tell: about {found.more} more"


def figure(correlation: float | None) -> str:
    return "all ties" if correlation is None else f"{correlation:.3f}"


def scoring_text(found: Comparison) -> str:
    """What regret is counted in, in one line."""
    score = found.score
    if score is None:
        return "front regret: not counted, since no score is given (--score, --accuracy)"
    over = "whole space" if score.architectures is None else f"{score.architectures} architectures"
    unit = f"{score.name} lost" + (", in % of the most that a budget allows," if score.name in _COUNTED else "")
    return f"front regret: {unit} at nine budgets, mean / largest; fronts of the {over}"


def regret_text(regret: Regret, found: Comparison) -> str:
    """Mean and largest loss, and how many budgets nothing of the proxy's front keeps."""
    if regret.mean is None or regret.worst is None or found.score is None:
        return "no budget kept"
    mean, worst = f"{regret.mean:.3g}", f"{regret.worst:.3g}"
    if found.score.name in _COUNTED:
        losses = [one.regret / one.best for one in regret.budgets if one.regret is not None and one.best > 0]
        mean, worst = percent(sum(losses) / max(len(losses), 1)), percent(max(losses, default=0.0))
    unmet = f", {regret.unmet} budgets unmet" if regret.unmet else ""
    return f"{mean} / {worst}{unmet}"


def ceiling_texts(found: Comparison) -> list[str]:
    """A line per target whose noise is known, and where the figure comes from."""
    return [
        f"noise ceiling of {name}: {value:.3f} "
        + ("(measured, a second run)" if name in found.measured_twice else "(estimated from its rows' intervals)")
        for name, value in found.ceilings.items()
        if value is not None
    ]


def broken_pairs(found: Comparison) -> list[Pair]:
    """Pairs of tables that are not surely monotone, and whose order some block breaks."""
    return [pair for pair in found.pairs if pair.verdict.answer != "yes" and pair.breakers]


def operator_texts(pair: Pair) -> list[str]:
    """A line per operator that breaks the order of a pair; shares are of its first and of its second target."""
    return [
        f"{one.text}: {percent(one.a_share)} and {percent(one.b_share)} of the mean latency; "
        f"{percent(one.share, 0)} of the difference"
        for one in pair.operators
    ]


def block_texts(pair: Pair) -> list[str]:
    """A line per block that breaks it most, in the same order."""
    return [_block_text(one) for one in pair.breakers]


def _block_text(found: Breaker) -> str:
    where = ", ".join(found.places)
    if len(found.places) > _PLACES:
        where = f"{found.places[0]} to {found.places[-1]}"
    dearer = found.factor >= 1
    ratio = f"{found.factor if dearer else 1 / found.factor:.2f} times {'dearer' if dearer else 'cheaper'}"
    both = f"{latency(found.a_us)} and {latency(found.b_us)}"
    return f"{found.block.text}, at {where}: {both}, relatively {ratio} on the first"
