"""hwbench adapt"""

from __future__ import annotations

from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwbench.cli.exchange import OverwriteOption
from hwbench.cli.options import (
    AllowOption,
    CoresOption,
    DelegateName,
    DelegateOption,
    DeviceOption,
    EngineOption,
    PrecisionName,
    PrecisionOption,
    PresetName,
    PresetOption,
    PythonOption,
    RegimeName,
    RegimeOption,
    SeedOption,
    ThreadsOption,
    measure_options,
)
from hwbench.cli.output import Json, print_json, print_view, say
from hwbench.cli.progress import progress_bar

if TYPE_CHECKING:
    from hwbench.workflows.adapting.adapt import AdaptResult


class AdaptMethodName(StrEnum):
    gp = "gp"
    help = "help"
    adaproxy = "adaproxy"


def adapt(
    pool: Annotated[
        list[str] | None,
        typer.Option(help="Tables and matrices of other targets, of one space; none: those that came with hwbench."),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Instead of a device, to try it: a table, or MATRIX:COLUMN, that plays it.")
    ] = None,
    method: Annotated[AdaptMethodName, typer.Option(help="How to learn from the pool.")] = AdaptMethodName.gp,
    space: Annotated[str | None, typer.Option(help="The space, if the pool does not name it.")] = None,
    samples: Annotated[int, typer.Option(min=6, help="How many networks to measure for the fit.")] = 10,
    held_out: Annotated[
        int | None, typer.Option("--held-out", min=0, help="How many others to check it on; 3 on a device.")
    ] = None,
    device: DeviceOption = None,
    python: PythonOption = None,
    preset: PresetOption = PresetName.quick,
    precision: PrecisionOption = PrecisionName.fp32,
    engine: EngineOption = None,
    delegate: DelegateOption = DelegateName.xnnpack,
    threads: ThreadsOption = 1,
    cores: CoresOption = "",
    regime: RegimeOption = RegimeName.as_shipped,
    seed: SeedOption = 0,
    allow: AllowOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The predictor's file.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: OverwriteOption = False,
    json: Json = False,
) -> None:
    """A predictor for a new device: few networks measured on it, and tables of others."""
    from hwbench.devices import find, names_of
    from hwbench.errors import SeveralDevices, UsageError
    from hwbench.workflows.adapting.adapt import adapt as run

    options = measure_options(preset, precision, delegate, threads, cores, seed, engine=engine)
    if method is AdaptMethodName.help:
        say("HELP is trained on the pool first, unless it was before; that takes minutes.")
    paths = tuple(pool or ())
    if target is not None:
        if device is not None:
            raise UsageError("A file that plays the target is not measured.", hint="Leave --device or --target out.")
        result = run(
            paths, method=method.value, target=target, space=space, samples=samples, held_out=held_out, output=output,
            resume=resume, overwrite=overwrite,
        )  # fmt: skip
    else:
        names = ("local",) if python is not None and device is None else names_of(() if device is None else (device,))
        if len(names) > 1:
            raise SeveralDevices("A predictor is of one device.", hint="Give one --device.")
        if device is None:
            say(f"Measuring on {'this computer' if names == ('local',) else names[0]}.")
        with closing(find(names[0], python, allow=allow or (), regime=regime.value)) as found, progress_bar() as report:
            result = run(
                paths, method=method.value, device=found, options=options, space=space, samples=samples,
                held_out=held_out, output=output, resume=resume, overwrite=overwrite, on_progress=report,
            )  # fmt: skip
    if json:
        print_json(_document(result))
        return
    from hwbench.reports.adaptations import predictor_view

    print_view(predictor_view(result.predictor))
    for name in result.left_out:
        say(f"{name} of the pool was left out: it is the target.")
    say(f"Written to {result.path}. Next: hwbench search --predictor {result.path} --limit 60ms")


def _document(result: AdaptResult) -> dict[str, object]:
    found = result.predictor
    counted = found.counted
    return {
        "predictor": result.path,
        "space": found.space,
        "target": found.target,
        "method": found.method,
        "measurements": {
            "references": counted.references,
            "picked": counted.picked,
            "held_out": counted.held_out,
            "repeated": counted.repeated,
            "total": counted.total,
        },
        "pool": found.pool,
        "left_out": result.left_out,
        "measured": found.measured,
        "held_out": found.held_out,
        "repeated": found.repeated,
        "agreement": found.agreement,
        "ceiling": found.ceiling,
        "prospect": found.prospect,
        "seconds": {"meta": result.seconds.meta, "adapt": result.seconds.adapt, "measure": found.seconds},
        "notes": found.notes,
    }
