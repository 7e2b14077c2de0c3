"""Where output goes: with --json one document on stdout and everything else on stderr."""

from __future__ import annotations

import shlex
import sys
from typing import Annotated, Any

import typer

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
