"""hwbench table calibrate"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from hwbench.cli.opened import device_of_table
from hwbench.cli.options import AllowOption, DeviceOption, PresetName, PythonOption
from hwbench.cli.output import Json, print_json, print_view, say
from hwbench.cli.progress import progress_bar


def calibrate(
    table: Annotated[Path, typer.Argument(help="A table that `hwbench profile` wrote.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file to write; <table>.calibrated.json by default.")
    ] = None,
    networks: Annotated[int, typer.Option(min=5, help="How many random networks to measure, and hold out.")] = 10,
    measured: Annotated[
        Path | None, typer.Option(help="Instead: networks that `table verify` measured, or a matrix of one target.")
    ] = None,
    held_out: Annotated[
        Path | None, typer.Option("--held-out", help="Other networks of that kind, to say the error on.")
    ] = None,
    preset: Annotated[PresetName | None, typer.Option(help="How much to measure; the table's own by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random networks.")] = 2,
    device: DeviceOption = None,
    python: PythonOption = None,
    allow: AllowOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    json: Json = False,
) -> None:
    """Correct a table's rows by few whole networks; says the error on other networks before and after."""
    from hwbench.workflows.calibrate import calibrate as run

    with ExitStack() as opened, progress_bar() as report:
        measuring = None if measured else opened.enter_context(device_of_table(table, device, python, allow))
        result = run(
            table,
            output,
            networks=networks,
            measured=measured,
            held_out=held_out,
            seed=seed,
            preset=preset.value if preset else None,
            device=measuring,
            overwrite=overwrite,
            on_progress=report,
        )
    found = result.calibration
    if json:
        print_json(
            {
                "table": result.path,
                "accepted": bool(found.rows),
                "networks": found.networks,
                "held_out": found.held_out,
                "common": found.common,
                "stages": found.stages,
                "before": found.before,
                "after": found.after,
                "reason": found.reason,
            }
        )
        return
    from hwbench.reports.terminal import calibration_view

    print_view(calibration_view(found))
    say(f"Written to {result.path}. Next: hwbench table predict {result.path} --random 1")
