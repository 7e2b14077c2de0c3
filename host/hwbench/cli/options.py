"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from hwbench.workflows.settings import MeasureOptions


_SECONDS = {"s": 1, "m": 60, "h": 3600}


class PresetName(StrEnum):
    quick = "quick"
    standard = "standard"
    publish = "publish"


class PrecisionName(StrEnum):
    fp32 = "fp32"
    int8 = "int8"


class DelegateName(StrEnum):
    xnnpack = "xnnpack"
    builtin = "builtin"
    portable = "portable"


class EngineName(StrEnum):
    litert = "litert"
    executorch = "executorch"


class RegimeName(StrEnum):
    as_shipped = "as_shipped"
    fixed = "fixed"


class CacheName(StrEnum):
    cold = "cold"
    warm = "warm"


_WHERE = "Where to measure: `local`, `adb:SERIAL`, `ssh://user@host`; none: the one attached phone, else this computer."

DeviceOption = Annotated[str | None, typer.Option("--device", help=_WHERE)]
DevicesOption = Annotated[
    list[str] | None, typer.Option("--device", help=f"{_WHERE} Can be given again; `all`: every attached phone.")
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option("--allow", help="A check of the phone that may fail, e.g. `battery`; its name stays on the rows."),
]
TimeLimitOption = Annotated[
    str | None, typer.Option("--time-limit", help="How long the whole may take, e.g. 90s, 30m, 2h.")
]
PythonOption = Annotated[
    Path | None, typer.Option("--python", help="Interpreter of the runner, e.g. one that has tflite-runtime.")
]
PresetOption = Annotated[PresetName, typer.Option(help="How much to measure.")]
PrecisionOption = Annotated[PrecisionName, typer.Option(help="Number format of the models.")]
DelegateOption = Annotated[
    DelegateName,
    typer.Option(help="Kernels: XNNPACK, or the engine's own: `builtin` (LiteRT), `portable` (ExecuTorch)."),
]
EngineOption = Annotated[
    EngineName | None, typer.Option("--engine", help="What runs the models; model files say it themselves.")
]
RegimeOption = Annotated[
    RegimeName, typer.Option(help="Clocks: as the system sets them, or held where the phone can sustain them.")
]
ThreadsOption = Annotated[int, typer.Option(min=1, max=1024, help="Threads of the engine.")]
CoresOption = Annotated[str, typer.Option(help="Cores to pin to, e.g. 2,3; empty: the quietest ones.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of the order of visits.")]


def measure_options(
    preset: PresetName,
    precision: PrecisionName,
    delegate: DelegateName,
    threads: int,
    cores: str,
    seed: int,
    cache: CacheName = CacheName.cold,
    engine: EngineName | None = None,
) -> MeasureOptions:
    from hwbench.devices.linux import parse_core_list
    from hwbench.errors import UsageError
    from hwbench.workflows.settings import MeasureOptions

    try:
        parsed = parse_core_list(cores)
    except ValueError as error:
        raise UsageError(f"--cores {cores!r} is not a list of cores.", hint="Write it as 0,1 or 4-7.") from error
    return MeasureOptions(
        preset=preset.value,
        precision=precision.value,
        delegate=delegate.value,
        threads=threads,
        cores=parsed,
        cache=cache.value,
        seed=seed,
        engine=(engine or EngineName.litert).value,
    )


def seconds_of(text: str | None) -> float | None:
    """A duration as `90s`, `30m` or `2h`; None for none. Raises UsageError for anything else."""
    from hwbench.errors import UsageError

    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if unit not in _SECONDS or not number.isdecimal() or int(number) == 0:
        raise UsageError(f"--time-limit {text!r} is not a time.", hint="Write it as 90s, 30m or 2h.")
    return float(int(number) * _SECONDS[unit])
