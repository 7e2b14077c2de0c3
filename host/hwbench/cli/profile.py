"""hwbench profile"""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwbench.cli.options import (
    AllowOption,
    CacheName,
    CoresOption,
    DelegateName,
    DelegateOption,
    DevicesOption,
    EngineName,
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
    TimeLimitOption,
    measure_options,
    seconds_of,
)
from hwbench.cli.output import Json, print_json, print_view, say
from hwbench.cli.progress import progress_bar, progress_bars

if TYPE_CHECKING:
    from collections.abc import Callable

    from hwbench.devices import Device
    from hwbench.workflows.profile import ProfileResult
    from hwbench.workflows.settings import MeasureOptions


def profile(
    models: Annotated[
        list[Path] | None, typer.Argument(help="Model or architecture files; none: the blocks of a space.")
    ] = None,
    space: Annotated[str, typer.Option(help="The space whose blocks make the table.")] = "proxylessnas",
    device: DevicesOption = None,
    python: PythonOption = None,
    preset: PresetOption = PresetName.quick,
    precision: PrecisionOption = PrecisionName.fp32,
    engine: EngineOption = None,
    delegate: DelegateOption = DelegateName.xnnpack,
    threads: ThreadsOption = 1,
    cores: CoresOption = "",
    cache: Annotated[
        CacheName, typer.Option(help="Blocks' weights: evicted before each invoke, or not.")
    ] = CacheName.cold,
    regime: RegimeOption = RegimeName.as_shipped,
    seed: SeedOption = 0,
    allow: AllowOption = None,
    time_limit: TimeLimitOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The table's file; with several devices a folder.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing table or session.")] = False,
    json: Json = False,
) -> None:
    """A table for a space, or latency and a per-op table for model files."""
    from hwbench.devices import find, names_of
    from hwbench.errors import SeveralDevices

    engine = _engine_of(models, engine) if models else engine
    options = measure_options(preset, precision, delegate, threads, cores, seed, cache, engine)
    limit_s = seconds_of(time_limit)
    names = ("local",) if python is not None and not device else names_of(device or ())
    if not device:
        say(f"Measuring on {'this computer' if names == ('local',) else names[0]}.")
    open_device = partial(find, python=python, allow=allow or (), regime=regime.value)
    if len(names) > 1:
        if models:
            raise SeveralDevices("Model files are profiled on one device at a time.", hint="Give one --device.")
        _profile_several(names, open_device, space, options, output, resume, overwrite, limit_s, json)
        return
    with closing(open_device(names[0])) as found:
        if models:
            _profile_models(models, found, options, json)
        else:
            _profile_one(found, space, options, output, resume, overwrite, limit_s, json)


def _profile_one(
    device: Device,
    space: str,
    options: MeasureOptions,
    output: Path | None,
    resume: bool,
    overwrite: bool,
    limit_s: float | None,
    json: bool,
) -> None:
    from hwbench.workflows.profile import profile as run

    with progress_bar() as report:
        result = run(
            space, device=device, options=options, output=output, resume=resume, overwrite=overwrite,
            time_limit_s=limit_s, on_progress=report,
        )  # fmt: skip
    if json:
        print_json(_document(result))
        return
    from hwbench import spaces
    from hwbench.reports.terminal import table_view

    print_view(table_view(result.table, spaces.get(result.table.space)))
    for note in result.table.notes:
        say(note)
    say(f"Written to {result.path} in {result.seconds:.0f} s. Next: hwbench table verify {result.path}")


def _profile_several(
    names: tuple[str, ...],
    open_device: Callable[[str], Device],
    space: str,
    options: MeasureOptions,
    output: Path | None,
    resume: bool,
    overwrite: bool,
    limit_s: float | None,
    json: bool,
) -> None:
    """All devices at once. Raises the first error after everything that can be measured has been."""
    from hwbench.workflows.fleet import profile_all

    with progress_bars(names) as report:
        outcomes = profile_all(
            names, open_device, space, options=options, folder=output, resume=resume, overwrite=overwrite,
            time_limit_s=limit_s, on_progress=report,
        )  # fmt: skip
    errors = {name: outcome.error for name, outcome in outcomes.items() if outcome.error is not None}
    if json:
        print_json(
            {
                "tables": {n: _document(o.result) for n, o in outcomes.items() if o.result is not None},
                "errors": {name: {"error": error.message, "hint": error.hint} for name, error in errors.items()},
            }
        )
    for name, outcome in outcomes.items():
        if outcome.result is not None:
            say(f"{name}: written to {outcome.result.path} in {outcome.result.seconds:.0f} s.")
    for name, error in errors.items():
        say(f"{name}: {error}")
    if errors:
        raise typer.Exit(max(error.exit_code for error in errors.values()))


def _document(result: ProfileResult) -> dict[str, object]:
    return {
        "table": result.path,
        "space": result.table.space,
        "target": result.table.target,
        "preset": result.table.preset,
        "rows": len(result.table.rows),
        "measured": len(result.table.measurements()),
        "flags": result.flags,
        "notes": result.table.notes,
        "launches": result.table.launches,
        "seconds": result.seconds,
        "inference_share": result.inference_share,
    }


def _engine_of(models: list[Path], asked: EngineName | None) -> EngineName | None:
    """The engine of model files, None for architectures alone. Raises UsageError when another one was asked for."""
    from hwbench.errors import UsageError
    from hwbench.workflows.architecture_models import is_architecture
    from hwbench.workflows.profile_models import engine_of

    given = [path for path in models if not is_architecture(path)]
    if not given:
        return asked
    found = EngineName(engine_of(given))
    if asked not in (None, found):
        raise UsageError(f"{given[0]} is a model for {found.value}, not for {asked}.", hint="Leave --engine out.")
    return found


def _profile_models(models: list[Path], device: Device, options: MeasureOptions, json: bool) -> None:
    from hwbench.workflows.profile_models import profile_models

    with progress_bar() as report:
        result = profile_models(models, device=device, options=options, on_progress=report)
    if json:
        print_json(
            {
                "table": None,
                "rows": len(result.models),
                "flags": {flag: sum(flag in m.latency.flags for m in result.models)
                          for flag in sorted({f for m in result.models for f in m.latency.flags})},
                "seconds": result.seconds,
                "inference_share": result.inference_share,
                "target": result.target,
                "models": result.models,
                "launches": result.launches,
            }
        )  # fmt: skip
        return
    from hwbench.reports.terminal import models_view

    print_view(models_view(result))
