"""Where output goes: with --json one document on stdout and everything else on stderr."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwbench.errors import HwbenchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwbench.measure.campaign import Progress

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def print_json(document: object) -> None:
    """Any msgspec-encodable object as one JSON document on stdout."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document, enc_hook=str)).decode() + "\n")


def print_view(view: Any) -> None:
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(view)


def say(text: str) -> None:
    """A remark for a person, on stderr."""
    sys.stderr.write(text + "\n")


def resume_command() -> str:
    """The command that continues this one."""
    words = [word for word in sys.argv[1:] if word not in ("--overwrite", "--resume")]
    return shlex.join(["hwbench", *words, "--resume"])


class Interrupted(HwbenchError):
    """Ctrl-C in the middle of a measurement."""

    exit_code = 130


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None]]:
    """A progress bar on stderr that shows the launch, what is being refined, and the time left."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    from hwbench.reports.units import duration

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=None, left="")

        def report(state: Progress) -> None:
            text = f"launch {state.launch + 1}"
            if state.refining:
                text += f", refining {state.refining} rows"
            if state.exporting:
                text = "writing models"
            if state.waiting:
                text = "waiting: the machine is slower than it can be"
            left = "" if state.seconds_left is None else f"{duration(state.seconds_left)} left"
            bar.update(task, description=text, total=state.planned, completed=state.visits, left=left)

        try:
            yield report
        except KeyboardInterrupt as error:
            raise Interrupted("interrupted.") from error
