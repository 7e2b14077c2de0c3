"""The `hwbench` command and its one error boundary."""

from __future__ import annotations

import sys
from itertools import pairwise
from typing import Annotated

import typer

from hwbench import __version__
from hwbench.cli import reproduce, runner, table
from hwbench.cli.adapt import adapt
from hwbench.cli.compare import compare
from hwbench.cli.deploy import deploy
from hwbench.cli.devices import devices
from hwbench.cli.doctor import doctor
from hwbench.cli.output import print_json, resume_command, say
from hwbench.cli.profile import profile
from hwbench.cli.proxy import proxy
from hwbench.cli.report import report
from hwbench.cli.search import search
from hwbench.errors import (
    AdbUnavailable,
    ConnectionRefused,
    DeviceBusy,
    DeviceNoPermissions,
    DeviceNotBooted,
    DeviceNotFound,
    DeviceOffline,
    DeviceUnauthorized,
    HwbenchError,
    MissingRows,
    NoDevice,
    SshUnavailable,
)

# Exit codes after which a session still holds what was measured, if there was one: not after errors of first contact.
_KEEPING = (3, 130)
_BEFORE = (
    AdbUnavailable, ConnectionRefused, DeviceBusy, DeviceNoPermissions, DeviceNotBooted, DeviceNotFound, DeviceOffline,
    DeviceUnauthorized, NoDevice, SshUnavailable,
)  # fmt: skip

app = typer.Typer(
    name="hwbench",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Latency of neural networks on real devices.",
)
app.command()(doctor)
app.command()(devices)
app.command()(profile)
app.add_typer(table.app, name="table")
app.add_typer(runner.app, name="runner")
app.command()(compare)
app.command()(proxy)
app.command()(adapt)
app.command()(search)
app.command()(deploy)
app.command()(report)
app.add_typer(reproduce.app, name="reproduce")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hwbench {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command line; every HwbenchError becomes one sentence and its exit code."""
    try:
        app()
    except HwbenchError as error:
        if "--json" in sys.argv:
            missing = {"missing": error.keys} if isinstance(error, MissingRows) else {}
            print_json({"error": error.message, "hint": error.hint, "exit_code": error.exit_code, **missing})
        say(f"hwbench: {error}")
        for key in error.keys if isinstance(error, MissingRows) else ():
            say(f"  missing {key}")
        if error.exit_code in _KEEPING and not isinstance(error, _BEFORE) and _resumable():
            say(f"What was measured is kept. Continue with: {resume_command()}")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)


def _resumable() -> bool:
    """Whether the command keeps a session that --resume continues."""
    from hwbench.models.formats import SUFFIXES

    words = sys.argv[1:]
    named = [word for before, word in pairwise(words) if before not in ("-o", "--output") and not word.startswith("-")]
    measures = words[:1] == ["profile"] and not any(word.endswith((*SUFFIXES, ".json")) for word in named)
    lasting = ("--verify", "supernet", "--method=supernet")
    searches = words[:1] == ["search"] and any(word in lasting or word.startswith("--verify=") for word in words)
    counts = words[:1] == ["proxy"] and any(word.split("=")[0] == "--device" for word in words)
    adapts = words[:1] == ["adapt"] and not any(word.split("=")[0] == "--target" for word in words)
    return measures or searches or counts or adapts or words[:1] == ["deploy"] or words[:2] == ["table", "verify"]


if __name__ == "__main__":
    main()
