"""hwbench deploy"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hwbench.cli.exchange import OverwriteOption
from hwbench.cli.opened import device_of
from hwbench.cli.options import (
    AllowOption,
    CacheName,
    CoresOption,
    DelegateName,
    DelegateOption,
    DeviceOption,
    EngineName,
    PrecisionName,
    PresetName,
    PythonOption,
    SeedOption,
    ThreadsOption,
    measure_options,
)
from hwbench.cli.output import Json, print_json, print_view, say
from hwbench.cli.progress import progress_bar

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from hwbench.devices import Device
    from hwbench.workflows.deploying.deployed import Deployment


def deploy(
    weights: Annotated[Path, typer.Argument(help="A safetensors file of a trained network, as a search leaves it.")],
    table: Annotated[
        list[Path] | None, typer.Option(help="A table or predictor of one of the files' latency; can be repeated.")
    ] = None,
    engine: Annotated[
        list[EngineName] | None, typer.Option(help="Engine to write a file for; can be repeated. Default: the tables'.")
    ] = None,
    precision: Annotated[
        list[PrecisionName] | None, typer.Option(help="Number format of a file; can be repeated. Default: the tables'.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Images: IDX folder, npz file or image folder; Fashion-MNIST by default.")
    ] = None,
    images: Annotated[int | None, typer.Option(min=1, help="How many test images to run; all by default.")] = None,
    calibration: Annotated[int, typer.Option(min=1, help="How many training images calibrate int8.")] = 200,
    device: DeviceOption = None,
    python: PythonOption = None,
    preset: Annotated[
        PresetName | None, typer.Option(help="How much to measure; by default the table's own, or quick.")
    ] = None,
    delegate: DelegateOption = DelegateName.xnnpack,
    threads: ThreadsOption = 1,
    cores: CoresOption = "",
    seed: SeedOption = 0,
    allow: AllowOption = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The folder of the files.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: OverwriteOption = False,
    json: Json = False,
) -> None:
    """A trained network as model files on the device; exit code 1 if its answers or its latency are not as expected."""
    from hwbench.workflows.deploying.deploy import REPORT, default_folder
    from hwbench.workflows.deploying.deploy import deploy as run
    from hwbench.workflows.deploying.plan import Form

    tables = tuple(table or ())
    options = measure_options(
        preset or PresetName.quick, PrecisionName.fp32, delegate, threads, cores, seed, CacheName.warm,
        engine[0] if engine else None,
    )  # fmt: skip
    forms = [
        Form(one.value, other.value)
        for one in (engine or [EngineName.litert])
        for other in (precision or [PrecisionName.fp32, PrecisionName.int8])
    ]
    with _device(tables, device, python, allow or []) as found, progress_bar() as report:
        deployed = run(
            weights,
            data,
            forms=forms if engine or precision or not tables else (),
            tables=tables,
            device=found,
            options=options,
            preset=preset.value if preset else None,
            test_images=images,
            calibration_images=calibration,
            output=output,
            resume=resume,
            overwrite=overwrite,
            on_progress=report,
        )
    if json:
        print_json(_document(deployed, (output or default_folder(weights)) / REPORT))
    else:
        from hwbench.reports.deployments import deployment_view

        print_view(deployment_view(deployed))
    if not deployed.good:
        say("The network on the device is not what was expected of it.")
        raise typer.Exit(1)


def _device(
    tables: tuple[Path, ...], name: str | None, python: Path | None, allow: list[str]
) -> AbstractContextManager[Device]:
    """The device that was named, else the one of the first measured table or predictor, else the usual one."""
    from hwbench.devices import find
    from hwbench.workflows.deploying.plan import measured_on

    for path in tables:
        if (known := measured_on(path)) is not None:
            return device_of(known, name, python, allow)
    return closing(find(name, python, allow=allow))


def _document(found: Deployment, path: Path) -> dict[str, Any]:
    import msgspec

    models = [{"good": model.good, **msgspec.structs.asdict(model)} for model in found.models]
    return {"good": found.good, "deployment": path, **msgspec.structs.asdict(found), "models": models}
