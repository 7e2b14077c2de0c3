"""What stands between this computer and its phones: adb, its server, the USB, each phone's state."""

from __future__ import annotations

from collections.abc import Sequence

from hwbench.devices.adb_program import AdbProgram, find_adb
from hwbench.devices.adb_server import AdbServer
from hwbench.devices.phone.advice import (
    pairing_advice,
    settings_advice,
    too_old_to_pair,
    udev_steps,
    unlisted_advice,
)
from hwbench.devices.usb import UsbDevice, usb_devices
from hwbench.errors import AdbUnavailable
from hwbench.workflows.attached import AttachedPhone, attached_phones
from hwbench.workflows.diagnosing.findings import Finding

_TIMEOUT_S = 3.0


def server_to_ask(program: AdbProgram) -> AdbServer | None:
    """The adb server; None where asking would start one that nobody installed: the adb that came with adbutils."""
    server = AdbServer(timeout_s=_TIMEOUT_S)
    return None if program.origin == "bundled" and not server.running() else server


def phone_findings() -> list[Finding]:
    """adb, its server, and a finding for each phone, or one that says why there is none."""
    try:
        program = find_adb()
    except AdbUnavailable as error:
        return [_failed("adb", error)]
    findings = [_program(program)]
    try:
        server = server_to_ask(program)
        if server is None:
            advice = "Only needed for phones; `hwbench devices` starts the adb that came with hwbench."
            return [*findings, Finding("adb server", False, False, "none is running", advice)]
        phones = attached_phones(server)
        findings.append(Finding("adb server", True, False, f"version {server.version()} at {server.endpoint}"))
    except AdbUnavailable as error:
        return [*findings, _failed("adb server", error)]
    devices = usb_devices()
    findings += [_phone(phone, devices) for phone in phones]
    listed = {phone.usb for phone in phones}
    others = None if devices is None else [one for one in devices if one.phone and one.path not in listed]
    if not phones or others:
        findings.append(_unlisted("another phone" if phones else "phones", others))
    return findings


def _program(program: AdbProgram) -> Finding:
    state = f"{program.path} ({program.origin}), version {program.build or program.protocol}"
    return Finding("adb", True, False, state, pairing_advice(program.build) if too_old_to_pair(program.build) else "")


def _phone(phone: AttachedPhone, devices: Sequence[UsbDevice] | None) -> Finding:
    described = " ".join(filter(None, (phone.summary.maker, phone.summary.model)))
    state = "ready" if phone.ready else phone.state
    if phone.detail:
        state += f" {phone.detail}"
    if described:
        state += f": {described}"
    if phone.ready:
        return Finding(f"phone {phone.name}", True, False, state, " ".join(settings_advice(phone.summary.maker)))
    advice = phone.advice
    if phone.state == "no permissions":
        vendor = next((device.vendor for device in devices or () if device.path == phone.usb and device.maker), None)
        advice += "\n" + udev_steps(vendor)
    return Finding(f"phone {phone.name}", False, False, state, advice)


def _unlisted(what: str, devices: Sequence[UsbDevice] | None) -> Finding:
    advice = unlisted_advice(devices)
    closed = next((device for device in devices or () if device.adb and not device.accessible), None)
    if closed is not None:
        advice += "\n" + udev_steps(closed.vendor if closed.maker else None)
    return Finding(what, False, False, "not listed by adb" if devices else "none attached", advice)


def _failed(what: str, error: AdbUnavailable) -> Finding:
    return Finding(what, False, False, error.message, error.hint or "")
