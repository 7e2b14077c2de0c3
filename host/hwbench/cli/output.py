"""Where output goes: with --json one document on stdout and everything else on stderr."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.segment import Segment

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def print_json(document: object) -> None:
    """Any msgspec-encodable object as one JSON document on stdout."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document, enc_hook=str)).decode() + "\n")


def print_view(view: Any) -> None:
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(_Plain(view))


class _Plain:
    """A view whose texts hold nothing that steers a terminal: names and reasons may be a device's."""

    def __init__(self, view: Any) -> None:
        self._view = view

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        for segment in console.render(self._view, options):
            yield segment._replace(text=plain(segment.text))


def plain(text: str) -> str:
    """Text as a terminal may get it, in its lines: what steers a terminal or the writing direction becomes `?`."""
    from hwbench.devices.phone.text import printable

    return "".join(part if part in ("\n", "\t") else printable(part) for part in re.split(r"([\n\t])", text))


def show(text: str) -> None:
    """Lines of the answer, on stdout."""
    sys.stdout.write(plain(text) + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A remark for a person, on stderr."""
    sys.stderr.write(plain(text) + "\n")


def resume_command() -> str:
    """The command that continues this one."""
    words = [word for word in sys.argv[1:] if word not in ("--overwrite", "--resume")]
    return shlex.join(["hwbench", *words, "--resume"])
