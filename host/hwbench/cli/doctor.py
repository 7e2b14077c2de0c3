"""hwbench doctor"""

from __future__ import annotations

from hwbench.cli.output import Json, print_json


def doctor(json: Json = False) -> None:
    """What works here, and what to do about what does not."""
    from hwbench.workflows.doctor import examine

    findings = examine()
    if json:
        print_json({"ok": all(finding.ok for finding in findings if finding.needed), "findings": findings})
        return
    for finding in findings:
        mark = "ok  " if finding.ok else ("FAIL" if finding.needed else "--  ")
        print(f"{mark} {finding.what}: {finding.state}" + (f"\n     {finding.advice}" if finding.advice else ""))
