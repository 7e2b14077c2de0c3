"""Progress of measurements on stderr: a bar per device, its launch, temperature and clock, and the time left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hwbench.cli.output import plain
from hwbench.errors import HwbenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwbench.measure.campaign import Progress


class Interrupted(HwbenchError):
    """Ctrl-C in the middle of a measurement."""

    exit_code = 130


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """The bar of one device."""
    with progress_bars([""]) as report:
        yield lambda state: report("", state)


@contextmanager
def progress_bars(names: Iterable[str]) -> Iterator[Callable[[str, Progress], None]]:
    """Bars of several devices by name. Raises Interrupted for Ctrl-C."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    from hwbench.reports.units import duration

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        prefixes = {name: f"{escape(plain(name))} " if name else "" for name in names}
        tasks = {name: bar.add_task(f"{prefix}starting", total=None, left="") for name, prefix in prefixes.items()}

        def report(name: str, state: Progress) -> None:
            left = "" if state.seconds_left is None else f"{duration(state.seconds_left)} left"
            text = prefixes[name] + describe(state)
            bar.update(tasks[name], description=text, total=state.planned, completed=state.visits, left=left)

        try:
            yield report
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted.") from error


def describe(state: Progress) -> str:
    """What a device does now, in words."""
    if state.exporting:
        return "writing models"
    if state.evaluating and not state.waiting:
        return "running test images"
    if state.waiting:
        return "waiting: " + ("the device is warm" if state.temperature_c else "the machine is slower than it can be")
    parts = [f"launch {state.launch + 1}"]
    if state.refining:
        parts.append(f"refining {state.refining} rows")
    if state.temperature_c is not None:
        parts.append(f"{state.temperature_c:.1f} C")
    if state.frequency_khz is not None:
        parts.append(f"{state.frequency_khz / 1e6:.2f} GHz")
    return ", ".join(parts)
