"""hwbench table import | export | merge"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hwbench.cli.output import Json, print_json, print_view, say

if TYPE_CHECKING:
    from hwbench.tables.imported import ImportRecord
    from hwbench.tables.matrix import LatencyMatrix
    from hwbench.tables.opening import AnyTable

OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")]
SpaceOption = Annotated[str | None, typer.Option(help="The space, where the file does not say it.")]


def import_(
    file: Annotated[Path, typer.Argument(help="A table of another tool; for HELP also a space's folder.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The own file to write.")] = None,
    format_name: Annotated[str | None, typer.Option("--format", help="The format; recognised by default.")] = None,
    space: SpaceOption = None,
    target: Annotated[str | None, typer.Option(help="Name of the target, or which one of several.")] = None,
    unit: Annotated[str | None, typer.Option(help="Unit of time, where the file does not say it.")] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the data.")] = None,
    source: Annotated[str | None, typer.Option(help="Where the data come from.")] = None,
    architecture: Annotated[str | None, typer.Option(help="Also say what of this architecture is covered.")] = None,
    overwrite: OverwriteOption = False,
    json: Json = False,
) -> None:
    """Turn a published table into one of hwbench, saying what was refused and what it covers."""
    from hwbench.tables.formats.document import Options
    from hwbench.tables.matrix import LatencyMatrix
    from hwbench.workflows.exchange import import_table

    result = import_table(
        file,
        output,
        format_name=format_name,
        options=Options(target, space, unit, licence, source),
        architecture=architecture,
        overwrite=overwrite,
    )
    content = result.content
    records: tuple[ImportRecord, ...]
    if isinstance(content, LatencyMatrix):
        records, targets, rows = content.records, content.targets, len(content.architectures)
    else:
        records, targets, rows = (content.record,), (content.target,), len(content.rows)
    if json:
        print_json(
            {
                "table": result.path,
                "kind": "matrix" if isinstance(content, LatencyMatrix) else content.kind,
                "space": content.space,
                "metric": content.metric,
                "targets": targets,
                "rows": rows,
                "records": records,
                "coverage": result.coverage,
                "architecture_coverage": result.architecture_coverage,
            }
        )
        return
    from hwbench.reports.imports import coverage_view, record_view

    for record in records:
        print_view(record_view(record))
    if result.coverage is not None:
        print_view(coverage_view(str(content.space), result.coverage))
    if result.architecture_coverage is not None:
        print_view(coverage_view("the architecture", result.architecture_coverage))
    say(f"Written to {result.path}. Next: hwbench table show {result.path}")


def export(
    table: Annotated[Path, typer.Argument(help="A table or matrix of hwbench.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    format_name: Annotated[str, typer.Option("--format", help="proxylessnas-yaml, ofa-yaml, ofa-json or csv.")] = "csv",
    overwrite: OverwriteOption = False,
    json: Json = False,
) -> None:
    """Write a table in the format of another tool."""
    from hwbench.workflows.exchange import export_table

    result = export_table(table, output, format_name, overwrite=overwrite)
    if json:
        print_json(result)
        return
    for refused in result.left_out:
        say(f"Left out {refused.row}: {refused.reason}")
    say(f"Written {result.rows} rows to {result.path}.")


def merge(
    tables: Annotated[list[Path], typer.Argument(help="Parts of one target's table, or matrices of one space.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    random: Annotated[
        int | None, typer.Option(min=1, help="Instead, a matrix of this many random architectures, a target a table.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random architectures.")] = 0,
    space: SpaceOption = None,
    overwrite: OverwriteOption = False,
    json: Json = False,
) -> None:
    """Several tables as one, or as a matrix of architectures x targets."""
    from hwbench.tables.matrix import LatencyMatrix
    from hwbench.workflows import exchange

    found: AnyTable | LatencyMatrix
    if random is not None:
        found = exchange.matrix_of_tables(tables, output, random, seed=seed, space=space, overwrite=overwrite)
    else:
        found = exchange.merge(tables, output, overwrite=overwrite)
    rows = len(found.architectures) if isinstance(found, LatencyMatrix) else len(found.rows)
    targets = found.targets if isinstance(found, LatencyMatrix) else (found.target,)
    if json:
        print_json({"table": output, "space": found.space, "rows": rows, "targets": targets})
        return
    say(f"Written {rows} rows of {len(targets)} target(s) to {output}.")
