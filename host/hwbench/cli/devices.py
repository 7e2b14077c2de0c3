"""hwbench devices"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hwbench.cli.output import Json, print_json, print_view, say, show
from hwbench.errors import AdbUnavailable

_INTERRUPTED = 130


def devices(
    watch: Annotated[
        bool, typer.Option("--watch", help="Print each phone that comes, goes or changes, until Ctrl-C.")
    ] = False,
    json: Json = False,
) -> None:
    """This computer and the phones attached: processor, memory, engines, state."""
    if watch:
        _watch(json)
        return
    from hwbench.devices import LocalDevice
    from hwbench.devices.adb_server import AdbServer
    from hwbench.devices.finding import record_of
    from hwbench.reports.phones import phone_lines
    from hwbench.workflows.attached import AttachedPhone, attached_phones
    from hwbench.workflows.diagnosing.doctor import engines_of

    device = LocalDevice()
    record, engines = device.record(), engines_of(device)
    phones: tuple[AttachedPhone, ...] = ()
    problem = None
    try:
        phones = attached_phones(AdbServer(), record_of)
    except AdbUnavailable as error:
        problem = str(error)
    if json:
        local = {"name": device.name, "record": record, "engines": engines, "runner": device.runner}
        print_json({"devices": [local, *phones], "adb_problem": problem})
        return
    from hwbench.reports.terminal import device_view

    described = ", ".join(f"{engine.package} {engine.version}" for engine in engines) or "no engine"
    print_view(device_view(record, f"{described}, runner {device.runner}"))
    for phone in phones:
        show("\n".join(phone_lines(phone)))
    if not phones:
        say("No phone is attached." if problem is None else f"No phones: {problem}")


def _watch(json: bool) -> None:
    from hwbench.devices.adb_server import AdbServer
    from hwbench.reports.phones import change_lines
    from hwbench.workflows.attached import changes

    try:
        say("Watching for phones; Ctrl-C ends.")
        for change in changes(AdbServer()):
            if json:
                _print_line({"time": _now(), "change": change.kind, "phone": change.phone})
            else:
                show(f"{_now()} " + "\n".join(change_lines(change)))
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    except AdbUnavailable as error:
        if not json:
            raise
        _print_line({"time": _now(), "error": error.message, "hint": error.hint, "exit_code": error.exit_code})
        say(f"hwbench: {error}")
        raise typer.Exit(error.exit_code) from None


def _print_line(document: dict[str, Any]) -> None:
    import msgspec

    print(msgspec.json.encode(document).decode(), flush=True)


def _now() -> str:
    from datetime import datetime

    return datetime.now().astimezone().isoformat(timespec="seconds")
