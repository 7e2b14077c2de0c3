"""hwbench proxy"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    ThreadsOption,
    measure_options,
)
from hwbench.cli.output import Json, print_json, print_view, say
from hwbench.cli.progress import progress_bar

if TYPE_CHECKING:
    from hwbench.workflows.comparing.choose import ChosenProxy


def proxy(
    pool: Annotated[
        list[Path] | None,
        typer.Argument(
            help="The known targets: tables of one space, matrices; none: the pool that comes with hwbench."
        ),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            help="Networks of the new target: of `table verify` or --device, a matrix of one target, a table."
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=5, help="Print so many architectures that tell most, or measure them.")
    ] = None,
    cover: Annotated[bool, typer.Option("--cover", help="The fewest proxies for the pool itself.")] = False,
    device: DeviceOption = None,
    python: PythonOption = None,
    preset: PresetOption = PresetName.quick,
    precision: PrecisionOption = PrecisionName.fp32,
    engine: EngineOption = None,
    delegate: DelegateOption = DelegateName.xnnpack,
    threads: ThreadsOption = 1,
    cores: CoresOption = "",
    regime: RegimeOption = RegimeName.as_shipped,
    allow: AllowOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Folder of architecture files; with --device the file of what is measured."
        ),
    ] = None,
    networks: Annotated[
        int, typer.Option(min=50, max=5000, help="How many random architectures stand for a space of tables.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the architectures and of the draws.")] = 0,
    space_name: Annotated[str | None, typer.Option("--space", help="The space, if the files do not name it.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted measurement.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    json: Json = False,
) -> None:
    """Which known target stands for a new one? Exit code 1 when surely none does, 2 when it cannot be told yet."""
    from hwbench.errors import UsageError

    if (target is not None) + (count is not None) + cover != 1:
        raise UsageError("Say one of --target FILE, --count N and --cover.", hint="Start with --count 10.")
    if device is not None and count is None:
        raise UsageError("--device measures what --count asks for.", hint="Add --count 10.")
    pool = pool or []
    if target is not None:
        from hwbench.workflows.comparing.choose import choose_proxy

        _answer(choose_proxy(pool, target, networks=networks, seed=seed, space_name=space_name), json)
    elif cover:
        _cover(pool, networks, seed, space_name, json)
    elif device is None:
        _telling(pool, count or 0, output, networks, seed, space_name, overwrite, json)
    else:
        from hwbench.devices import find
        from hwbench.workflows.comparing.choose import measure_target

        options = measure_options(preset, precision, delegate, threads, cores, seed, engine=engine)
        with closing(find(device, python, allow=allow or (), regime=regime.value)) as found, progress_bar() as report:
            chosen = measure_target(
                pool, count or 0, output, device=found, options=options, networks=networks, seed=seed,
                space_name=space_name, resume=resume, overwrite=overwrite, on_progress=report,
            )  # fmt: skip
        say(f"Measured {chosen.measured} networks, written to {chosen.target}.")
        _answer(chosen, json)


def _answer(found: ChosenProxy, json: bool) -> None:
    if json:
        print_json(found)
    else:
        from hwbench.reports.proxies import choice_view

        print_view(choice_view(found))
    if found.exit_code:
        raise typer.Exit(found.exit_code)


def _cover(pool: list[Path], networks: int, seed: int, space_name: str | None, json: bool) -> None:
    from hwbench.workflows.comparing.choose import cover_fleet

    found = cover_fleet(pool, networks=networks, seed=seed, space_name=space_name)
    if json:
        print_json(found)
        return
    from hwbench.reports.proxies import cover_view

    print_view(cover_view(found))


def _telling(
    pool: list[Path],
    count: int,
    output: Path | None,
    networks: int,
    seed: int,
    space_name: str | None,
    overwrite: bool,
    json: bool,
) -> None:
    from hwbench.workflows.comparing.choose import telling_architectures

    found = telling_architectures(
        pool, count, output=output, networks=networks, seed=seed, space_name=space_name, overwrite=overwrite
    )
    if json:
        print_json(found)
        return
    from hwbench.reports.proxies import telling_view

    print_view(telling_view(found))
    if output is not None:
        say(f"Written to {output}. Next: hwbench profile {output}/*.json, or here with --device.")
