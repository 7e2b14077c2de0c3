"""hwbench devices"""

from __future__ import annotations

from hwbench.cli.output import Json, print_json, print_view


def devices(json: Json = False) -> None:
    """This computer: processor, caches, memory, engine, state."""
    from hwbench.devices import LocalDevice

    device = LocalDevice()
    record, engine = device.record(), device.engine()
    if json:
        print_json({"devices": [{"name": device.name, "record": record, "engine": engine, "runner": device.runner}]})
        return
    from hwbench.reports.terminal import device_view

    print_view(device_view(record, f"{engine.package} {engine.version}, runner {device.runner}"))
