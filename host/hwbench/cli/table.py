"""hwbench table show | predict | verify, and where the commands of other modules join them"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwbench.cli.calibrate import calibrate
from hwbench.cli.diff import diff
from hwbench.cli.exchange import export, import_, merge
from hwbench.cli.fit import fit
from hwbench.cli.opened import device_of_table
from hwbench.cli.options import AllowOption, DeviceOption, PresetName, PythonOption
from hwbench.cli.output import Json, print_json, print_view
from hwbench.cli.pool import pool
from hwbench.cli.progress import progress_bar

TablePath = Annotated[Path, typer.Argument(help="A table that `hwbench profile` wrote.")]
AnyTablePath = Annotated[
    Path, typer.Argument(help="A table that `hwbench profile` or `table import` wrote, or a predictor of `adapt`.")
]

app = typer.Typer(no_args_is_help=True, help="Look at a table, use it, check it, exchange it.")
app.command("import")(import_)
app.command()(export)
app.command()(merge)
app.command()(diff)
app.command()(fit)
app.command()(calibrate)
app.command()(pool)


@app.command()
def show(table: AnyTablePath, json: Json = False) -> None:
    """The latencies of a table or matrix, its target, and how good it is; what is known of a predictor."""
    from hwbench.tables.imported import ImportedTable
    from hwbench.tables.matrix import LatencyMatrix
    from hwbench.transfer.predictor_file import Predictor
    from hwbench.workflows.sources import read

    found = read(table)
    if json:
        print_json(found)
        return
    from hwbench import spaces

    if isinstance(found, Predictor):
        from hwbench.reports.adaptations import predictor_view

        print_view(predictor_view(found))
    elif isinstance(found, LatencyMatrix):
        from hwbench.reports.imports import matrix_view

        print_view(matrix_view(found))
    elif isinstance(found, ImportedTable):
        from hwbench.reports.imports import imported_view

        print_view(imported_view(found, None if found.space is None else spaces.get(found.space)))
    else:
        from hwbench.reports.terminal import table_view

        print_view(table_view(found, spaces.get(found.space)))


@app.command()
def predict(
    table: AnyTablePath,
    architecture: Annotated[
        str | None,
        typer.Argument(help="Choices by number (0,3,6,...), by label (k3e3 k5e6 zero ...), or a file of `search`."),
    ] = None,
    random: Annotated[int | None, typer.Option(min=0, help="Take a random architecture of this seed instead.")] = None,
    space_name: Annotated[str | None, typer.Option("--space", help="The space, if not the table's own.")] = None,
    json: Json = False,
) -> None:
    """An architecture's latency with its interval, of a table block by block."""
    from hwbench.errors import UsageError
    from hwbench.spaces import architecture_file
    from hwbench.transfer.predictor_file import Predictor
    from hwbench.workflows.sources import read_single, source_of, space_of

    found = read_single(table)
    space = space_of(found, space_name)
    if (architecture is None) == (random is None):
        raise UsageError("Give either an architecture or --random SEED.")
    chosen = space.sample(1, random or 0) if architecture is None else architecture_file.read(space, architecture)
    prediction = source_of(found, space).explain(chosen)
    if json:
        print_json({"architecture": chosen[0].tolist(), "labels": space.describe(chosen), "prediction": prediction})
        return
    if isinstance(found, Predictor):
        from hwbench.reports.adaptations import whole_view

        print_view(whole_view(prediction, found))
        return
    from hwbench.reports.terminal import prediction_view

    print_view(prediction_view(prediction))


@app.command()
def verify(
    table: TablePath,
    networks: Annotated[int, typer.Option(min=3, help="How many random networks to measure.")] = 20,
    preset: Annotated[PresetName | None, typer.Option(help="How much to measure; the table's own by default.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random networks.")] = 1,
    device: DeviceOption = None,
    python: PythonOption = None,
    allow: AllowOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    json: Json = False,
) -> None:
    """Do sums of the table's blocks equal whole networks? Measures some and says."""
    from hwbench.workflows.verify import verify as run

    with device_of_table(table, device, python, allow) as measuring, progress_bar() as report:
        result = run(
            table,
            networks,
            seed=seed,
            preset=preset.value if preset else None,
            device=measuring,
            resume=resume,
            on_progress=report,
        )
    found = result.additivity
    if json:
        print_json(
            {
                "networks": found.networks,
                "bias": found.bias,
                "mape": found.mape,
                "spearman": found.spearman,
                "spearman_ci": found.spearman_ci,
                "seconds": result.seconds,
                "launches": result.launches,
                "measured": result.networks,
            }
        )
        return
    from hwbench.reports.terminal import verification_view

    print_view(verification_view(result))
