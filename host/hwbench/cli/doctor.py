"""hwbench doctor"""

from __future__ import annotations

from typing import Annotated

import typer

from hwbench.cli.output import Json, print_json, show


def doctor(
    report: Annotated[
        bool, typer.Option("--report", help="Print what an issue about a phone needs; serials and names are masked.")
    ] = False,
    json: Json = False,
) -> None:
    """What works here and on the phones attached, and what to do about what does not."""
    from hwbench.reports.phones import finding_lines, report_text
    from hwbench.workflows.diagnosing import report as doctor_report
    from hwbench.workflows.diagnosing.doctor import examine

    if report:
        gathered = doctor_report.gather()
        if json:
            print_json(gathered)
        else:
            show(report_text(gathered))
        return
    findings = examine()
    if json:
        print_json({"ok": all(finding.ok for finding in findings if finding.needed), "findings": findings})
        return
    for finding in findings:
        show("\n".join(finding_lines(finding)))
