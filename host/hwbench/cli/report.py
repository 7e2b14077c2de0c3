"""hwbench report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwbench.cli.output import Json, print_json, say


def report(
    tables: Annotated[
        list[Path], typer.Argument(help="Tables of `hwbench profile`, comparisons of `hwbench compare --output`.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file.")] = Path("hwbench-report.html"),
    json: Json = False,
) -> None:
    """One HTML file about tables and comparisons."""
    from hwbench.reports.html import write_report

    write_report(tables, output)
    if json:
        print_json({"report": output, "tables": tables})
    else:
        say(f"Written to {output}.")
