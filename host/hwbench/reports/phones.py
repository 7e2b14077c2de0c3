"""Phones and the doctor's report as plain lines for a terminal or an issue."""

from __future__ import annotations

from hwbench.workflows.attached import AttachedPhone, Change
from hwbench.workflows.diagnosing.findings import Finding
from hwbench.workflows.diagnosing.report import Report


def phone_lines(phone: AttachedPhone) -> list[str]:
    """A line with what is known of the phone, and one with what to do or what went wrong."""
    known = phone.summary
    facts = [
        " ".join(filter(None, (known.maker, known.model))),
        known.soc or "",
        f"{known.cores} cores" if known.cores else "",
        f"Android {known.android}" if known.android else "",
    ]
    state = "ready" if phone.ready else f"{phone.state} {phone.detail or ''}".rstrip()
    lines = [f"{phone.name}  {state}" + "".join(f", {fact}" for fact in facts if fact)]
    return lines + [f"     {text}" for text in (phone.advice, phone.problem) if text]


def change_lines(change: Change) -> list[str]:
    if change.kind == "detached":
        return [f"{change.phone.name}  detached"]
    return phone_lines(change.phone)


def finding_lines(finding: Finding) -> list[str]:
    mark = "ok  " if finding.ok else ("FAIL" if finding.needed else "--  ")
    return [f"{mark} {finding.what}: {finding.state}", *(f"     {line}" for line in finding.advice.splitlines())]


def report_text(report: Report) -> str:
    """The report as text to paste into an issue, in a fence so that it stays as it is."""
    usb = ["not readable"] if report.usb is None else [
        f"{device.path} {device.vendor}:{device.product} {device.maker or 'other'}"
        + "".join(f" {word}" for word in ("adb", "fastboot", "files", "accessible") if getattr(device, word))
        for device in report.usb
    ]  # fmt: skip
    parts = [
        ("system", f"hwbench {report.hwbench}, Python {report.python}, {report.system}"),
        ("adb version", report.adb or "no adb program"),
        ("adb server", report.server),
        ("adb devices -l", "not asked" if report.devices is None else report.devices or "(none)"),
        ("usb", "\n".join(usb) or "(none)"),
        ("lsusb", report.lsusb or "not available"),
        ("hwbench doctor", "\n".join(line for finding in report.findings for line in finding_lines(finding))),
    ]
    body = "\n\n".join(f"-- {title}\n{text.strip()}" for title, text in parts)
    return "```text\n" + body.replace("```", "'''") + "\n```"
