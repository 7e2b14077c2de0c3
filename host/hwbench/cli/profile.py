"""hwbench profile"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwbench.cli.options import (
    CacheName,
    CoresOption,
    DelegateName,
    DelegateOption,
    DeviceOption,
    EngineName,
    EngineOption,
    PrecisionName,
    PrecisionOption,
    PresetName,
    PresetOption,
    PythonOption,
    SeedOption,
    ThreadsOption,
    measure_options,
)
from hwbench.cli.output import Json, print_json, print_view, progress_bar, say

if TYPE_CHECKING:
    from hwbench.devices import Device
    from hwbench.workflows.settings import MeasureOptions


def profile(
    models: Annotated[
        list[Path] | None, typer.Argument(help="Model or architecture files; none: the blocks of a space.")
    ] = None,
    space: Annotated[str, typer.Option(help="The space whose blocks make the table.")] = "proxylessnas",
    device: DeviceOption = None,
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
    seed: SeedOption = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The table's file.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing table or session.")] = False,
    json: Json = False,
) -> None:
    """A table for a space, or latency and a per-op table for model files."""
    from hwbench.devices import find

    engine = _engine_of(models, engine) if models else engine
    options = measure_options(preset, precision, delegate, threads, cores, seed, cache, engine)
    chosen = find(device, python)
    if device is None:
        say("Measuring on this computer.")
    if models:
        _profile_models(models, chosen, options, json)
        return
    from hwbench.workflows.profile import profile as run

    with progress_bar() as report:
        result = run(
            space, device=chosen, options=options, output=output, resume=resume, overwrite=overwrite, on_progress=report
        )
    if json:
        print_json(
            {
                "table": result.path,
                "space": result.table.space,
                "target": result.table.target,
                "preset": result.table.preset,
                "rows": len(result.table.rows),
                "measured": len(result.table.measurements()),
                "flags": result.flags,
                "launches": result.table.launches,
                "seconds": result.seconds,
                "inference_share": result.inference_share,
            }
        )
        return
    from hwbench import spaces
    from hwbench.reports.terminal import table_view

    print_view(table_view(result.table, spaces.get(result.table.space)))
    say(f"Written to {result.path} in {result.seconds:.0f} s. Next: hwbench table verify {result.path}")


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
