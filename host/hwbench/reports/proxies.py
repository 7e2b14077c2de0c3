"""Terminal views of proxy choice: candidates, what to measure, what covers a fleet."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hwbench.tables.flaws import Flaw
from hwbench.workflows.comparing.choose import ChosenProxy, FleetCover, Telling

_SHOWN = 10


def choice_view(found: ChosenProxy) -> RenderableType:
    """The best candidates, then the answer."""
    table = Table(box=None, title=f"proxies, by {found.measured} measurements of the target", title_justify="left")
    for column in ("proxy", "Spearman", "95 % interval", f"at least {found.threshold:g}"):
        table.add_column(column, justify="left" if column == "proxy" else "right", overflow="fold")
    for one in found.candidates[:_SHOWN]:
        interval = f"{one.lower:.3f} .. {one.upper:.3f}"
        table.add_row(one.proxy, f"{one.expected:.3f}", interval, f"{one.probability:.0%}")
    lines = [answer(found)]
    if len(found.candidates) > _SHOWN:
        lines.insert(0, f"and {len(found.candidates) - _SHOWN} worse ones")
    if found.unknown:
        lines.append(f"{found.unknown} measured networks are not among the pool's architectures and were not used")
    return Group(table, Text("\n".join(lines)), flaws_view(found.flaws))


def answer(found: ChosenProxy) -> str:
    """One sentence."""
    best = found.candidates[0]
    match found.answer:
        case "yes":
            return (
                f"{best.proxy} serves: it puts architectures in the same order, with probability {best.probability:.0%}"
            )
        case "no":
            return f"none serves: that any reaches {found.threshold:g} has probability {found.any_probability:.0%}"
        case _ if found.more is None:
            return f"cannot be told: {best.proxy} is too near {found.threshold:g}"
        case _:
            return f"too few measurements to tell: about {found.more} more"


def telling_view(found: Telling) -> RenderableType:
    lines = [f"{','.join(map(str, arch))}  {' '.join(labels)}"
             for arch, labels in zip(found.architectures, found.labels, strict=True)]  # fmt: skip
    return Group(Text("\n".join(lines)), flaws_view(found.flaws))


def cover_view(found: FleetCover) -> RenderableType:
    """Each target with the proxy that stands for it."""
    title = f"{len(found.proxies)} proxies for {len(found.served)} targets, {found.architectures} architectures"
    table = Table(box=None, title=title, title_justify="left")
    for column in ("target", "proxy", "Spearman", "95 % interval"):
        table.add_column(column, justify="left" if column in ("target", "proxy") else "right", overflow="fold")
    for one in found.served:
        if one.lower is None or one.upper is None:
            table.add_row(one.target, "itself", "", "")
        else:
            table.add_row(one.target, one.proxy, f"{one.spearman:.3f}", f"{one.lower:.3f} .. {one.upper:.3f}")
    lines = [f"proxies: {', '.join(found.proxies)}"]
    if found.alone:
        lines.append(f"alone, like no other: {', '.join(found.alone)}")
    return Group(table, Text("\n".join(lines)), flaws_view(found.flaws))


def flaws_view(flaws: Sequence[Flaw]) -> RenderableType:
    texts = dict.fromkeys(flaw.text for flaw in flaws)
    return Text("\n".join(f"left out: {text}" for text in texts), style="yellow")
