"""A space is profiled on phones as a user does it: two at once, each with an engine of its own."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest

import hwbench
from hwbench import spaces
from hwbench.devices import LocalDevice, find
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
from hwbench.tables.lookup import LookupTable
from hwbench.workflows.fleet import on_each
from hwbench.workflows.profile import ProfileResult
from hwbench.workflows.settings import MeasureOptions
from tests.integration.bundles import built, own_cache
from tests.phone import binfmt
from tests.phone.adb_server import DEBIAN
from tests.phone.adb_server import AdbServer as PrivateServer
from tests.phone.phone import VirtualPhone

SPACE = "proxylessnas-w1.0-r32-c1000"
ENGINES: tuple[Engine, ...] = ("litert", "executorch")
# Each model runs twice; nothing that is measured under an emulator means anything.
ONCE = Preset("quick", target=1.0, rounds=2, launches=1, max_launches=1, patience_s=0.0,
              burst=Burst(warmup_invokes=1, warmup_us=0, invokes=1, duration_us=0, max_invokes=1))  # fmt: skip


class Profiled:
    """What both phones were asked and brought, and what this computer brings for the same models."""

    def __init__(self, folder: Path, phones: dict[Engine, VirtualPhone], server: PrivateServer) -> None:
        self.phones = phones
        self.settings_before = {name: phone.settings("system") for name, phone in phones.items()}
        jobs: dict[str, Callable[[Callable[[Progress], None]], ProfileResult]] = {}
        self.seen: list[tuple[str, Progress]] = []
        for engine, phone in phones.items():
            transport = AdbTransport(phone.serial, AdbServer(server.port))
            jobs[engine] = partial(_profile, RemoteDevice(transport, Phone(transport)), engine, folder / engine)
        outcomes = on_each(jobs, lambda name, state: self.seen.append((name, state)))
        errors = [outcome.error for outcome in outcomes.values() if outcome.error is not None]
        assert not errors, errors
        self.results = {name: outcome.result for name, outcome in outcomes.items() if outcome.result is not None}
        host = LocalDevice(of_bundle(built("linux-x86_64")))
        self.host = {e: _profile(host, e, folder / f"host-{e}", lambda _: None) for e in phones}


def _profile(
    device: LocalDevice | RemoteDevice, engine: Engine, folder: Path, on_progress: Callable[[Progress], None]
) -> ProfileResult:
    options = MeasureOptions(engine=engine, cache="warm")
    return hwbench.profile(SPACE, device=device, options=options, output=folder / "table.json", on_progress=on_progress)


@pytest.fixture(scope="module")
def profiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Profiled]:
    binfmt.enable()
    built("android-arm64")
    server = PrivateServer(DEBIAN, tmp_path_factory.mktemp("adb"))
    phones = {engine: VirtualPhone(tmp_path_factory.mktemp(engine) / "files") for engine in ENGINES}
    try:
        for phone in phones.values():
            phone.start()
            server.connect(phone)
        with pytest.MonkeyPatch.context() as patch, own_cache():
            patch.setitem(PRESETS, "quick", ONCE)
            yield Profiled(tmp_path_factory.mktemp("tables"), phones, server)
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


@pytest.mark.parametrize("engine", ENGINES)
class TestAPhone:
    def test_every_key_of_the_space_is_measured_and_marked_as_emulated(self, profiled: Profiled, engine: str) -> None:
        table = profiled.results[engine].table
        assert [f"{row.key}: {row.failure}" for row in table.rows if row.failure] == []
        assert set(table.measurements()) == {block.key for block in spaces.get(SPACE).distinct_blocks}
        assert all("emulated" in row.flags for row in table.rows)
        assert table.target.engine.name == engine
        assert isinstance(hwbench.load_table(profiled.results[engine].path), LookupTable)

    def test_outputs_equal_those_of_this_computer(self, profiled: Profiled, engine: Engine) -> None:
        ours, theirs = digests(profiled.host[engine]), digests(profiled.results[engine])
        assert ours.keys() == theirs.keys()
        assert len(ours) > len(spaces.get(SPACE).distinct_blocks)
        for job, found in theirs.items():
            assert all(digests_agree(a, b) for a, b in zip(ours[job], found, strict=True)), job

    def test_the_record_tells_the_phone_and_not_its_serial(self, profiled: Profiled, engine: Engine) -> None:
        record = profiled.results[engine].table.device
        assert record.phone is not None
        assert record.phone.model == "Pixel 6"
        assert len(record.phone.clusters) == 3
        assert record.phone.serial_hash is not None
        written = profiled.results[engine].path.read_text()
        assert profiled.phones[engine].serial not in written
        assert profiled.phones[engine].model.serial not in written

    def test_round_trips_do_not_depend_on_rows(self, profiled: Profiled, engine: Engine) -> None:
        launches = len(profiled.results[engine].table.launches)
        assert profiled.phones[engine].round_trips() <= 20 + 4 * launches

    def test_the_phone_is_as_it_was(self, profiled: Profiled, engine: Engine) -> None:
        phone = profiled.phones[engine]
        assert phone.settings("system") == profiled.settings_before[engine]
        assert list((phone.root / "data/local/tmp").iterdir()) == []
        assert any("screen_brightness" in command for command in phone.commands())

    def test_progress_shows_temperature_and_clock(self, profiled: Profiled, engine: Engine) -> None:
        shown = [state for name, state in profiled.seen if name == engine]
        assert any(state.temperature_c for state in shown)
        assert any(state.frequency_khz for state in shown)


def test_both_phones_were_measured_at_the_same_time(profiled: Profiled) -> None:
    spans = {e: [launch.unix_ns for launch in r.table.launches] for e, r in profiled.results.items()}
    begins = {engine: min(times) for engine, times in spans.items()}
    seconds = {engine: profiled.results[engine].seconds for engine in spans}
    first, second = sorted(begins, key=begins.__getitem__)
    assert begins[second] < begins[first] + seconds[first] * 1e9


def test_the_one_attached_phone_is_found(profiled: Profiled, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = profiled.phones["litert"]
    monkeypatch.setenv("ANDROID_ADB_SERVER_PORT", "1")
    assert find().name == "local"
    assert phone.serial
