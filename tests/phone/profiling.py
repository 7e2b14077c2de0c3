"""A space on two virtual phones at once, each with an engine of its own, and on this computer beside them."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec
import pytest

import hwbench
from hwbench.devices import LocalDevice
from hwbench.devices.adb import AdbTransport
from hwbench.devices.adb_server import AdbServer
from hwbench.devices.local_runner import of_bundle
from hwbench.devices.phone.phone import Phone
from hwbench.devices.remote import RemoteDevice
from hwbench.measure.campaign import Progress
from hwbench.measure.plan import Burst, LoadLine, OutputDigest, ResultLine
from hwbench.measure.presets import PRESETS, Preset
from hwbench.measure.results import digests_agree
from hwbench.models.formats import Engine
from hwbench.workflows.fleet import on_each
from hwbench.workflows.profile import ProfileResult
from hwbench.workflows.settings import MeasureOptions
from tests.integration.bundles import built, own_cache
from tests.phone import binfmt
from tests.phone.adb_server import DEBIAN
from tests.phone.adb_server import AdbServer as PrivateServer
from tests.phone.phone import VirtualPhone

ENGINES: tuple[Engine, ...] = ("litert", "executorch")
# Each model runs twice; nothing that is measured under an emulator means anything.
ONCE = Preset("quick", target=1.0, rounds=2, launches=1, max_launches=1, patience_s=0.0,
              burst=Burst(warmup_invokes=1, warmup_us=0, invokes=1, duration_us=0, max_invokes=1))  # fmt: skip


class Profiled:
    """What both phones were asked and brought, and what this computer brings for the same models."""

    def __init__(self, space: str, folder: Path, phones: dict[Engine, VirtualPhone], server: PrivateServer) -> None:
        self.phones = phones
        self.settings_before = {name: phone.settings("system") for name, phone in phones.items()}
        jobs: dict[str, Callable[[Callable[[Progress], None]], ProfileResult]] = {}
        self.seen: list[tuple[str, Progress]] = []
        for engine, phone in phones.items():
            transport = AdbTransport(phone.serial, AdbServer(server.port))
            jobs[engine] = partial(_profile, space, RemoteDevice(transport, Phone(transport)), engine, folder / engine)
        outcomes = on_each(jobs, lambda name, state: self.seen.append((name, state)))
        errors = [outcome.error for outcome in outcomes.values() if outcome.error is not None]
        assert not errors, errors
        self.results = {name: outcome.result for name, outcome in outcomes.items() if outcome.result is not None}
        host = LocalDevice(of_bundle(built("linux-x86_64")))
        self.host = {e: _profile(space, host, e, folder / f"host-{e}", lambda _: None) for e in phones}


def _profile(
    space: str,
    device: LocalDevice | RemoteDevice,
    engine: Engine,
    folder: Path,
    on_progress: Callable[[Progress], None],
) -> ProfileResult:
    options = MeasureOptions(engine=engine, cache="warm")
    return hwbench.profile(space, device=device, options=options, output=folder / "table.json", on_progress=on_progress)


@contextmanager
def profiled_on_phones(space: str, folder: Path) -> Iterator[Profiled]:
    """Starts a server and the phones, profiles, and ends them when the block ends."""
    binfmt.enable()
    built("android-arm64")
    server = PrivateServer(DEBIAN, folder / "adb")
    phones = {engine: VirtualPhone(folder / f"phone-{engine}") for engine in ENGINES}
    try:
        for phone in phones.values():
            phone.start()
            server.connect(phone)
        with pytest.MonkeyPatch.context() as patch, own_cache():
            patch.setitem(PRESETS, "quick", ONCE)
            yield Profiled(space, folder / "tables", phones, server)
    finally:
        for phone in phones.values():
            phone.stop()
        server.stop()


def digests(result: ProfileResult) -> dict[str, tuple[OutputDigest, ...]]:
    """Output digests by job, from the raw samples beside a table."""
    samples = result.table.samples
    assert samples is not None
    lines = gzip.decompress((result.path.parent / samples.name).read_bytes()).splitlines()
    decoded = (msgspec.json.decode(line, type=ResultLine) for line in lines)
    return {line.job: line.digests for line in decoded if isinstance(line, LoadLine)}


def unequal(profiled: Profiled, engine: Engine) -> list[str]:
    """Jobs whose outputs on the phone are not those of this computer."""
    ours, theirs = digests(profiled.host[engine]), digests(profiled.results[engine])
    return sorted(ours.keys() ^ theirs.keys()) + [
        job
        for job in sorted(ours.keys() & theirs.keys())
        if not all(digests_agree(a, b) for a, b in zip(ours[job], theirs[job], strict=True))
    ]
