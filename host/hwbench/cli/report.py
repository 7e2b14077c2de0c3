"""hwbench report"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hwbench.cli.output import Json, print_json, say


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Tables, comparisons of `hwbench compare --output`, folders of searches with a supernet."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The HTML file.")] = Path("hwbench-report.html"),
    json: Json = False,
) -> None:
    """One HTML file about tables, comparisons and searches."""
    from hwbench.reports.html import write_report

    write_report(paths, output)
    if json:
        print_json({"report": output, "paths": paths})
    else:
        say(f"Written to {output}.")
