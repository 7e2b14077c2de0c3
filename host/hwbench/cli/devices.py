"""hwbench devices"""

from __future__ import annotations

from hwbench.cli.output import Json, print_json, print_view


def devices(json: Json = False) -> None:
    """This computer: processor, caches, memory, engines, state."""
    from hwbench.devices import LocalDevice
    from hwbench.workflows.doctor import engines_of

    device = LocalDevice()
    record, engines = device.record(), engines_of(device)
    if json:
        print_json({"devices": [{"name": device.name, "record": record, "engines": engines, "runner": device.runner}]})
        return
    from hwbench.reports.terminal import device_view

    described = ", ".join(f"{engine.package} {engine.version}" for engine in engines) or "no engine"
    print_view(device_view(record, f"{described}, runner {device.runner}"))
