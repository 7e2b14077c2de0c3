"""Whole networks of a space, measured on a device, which may have to be the target of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from hwbench.devices import Device, LocalDevice
from hwbench.errors import Incomparable
from hwbench.measure.campaign import Campaign, ModelRow, Progress, run
from hwbench.measure.session import Session
from hwbench.models.formats import FORMATS, Delegate, Engine, Precision
from hwbench.records import DeviceRecord, Target
from hwbench.spaces.space import Architectures, Space
from hwbench.tables.lookup import LookupTable
from hwbench.transfer.predictor_file import Origin
from hwbench.workflows.model_rows import anchor_models, exporting, network_models, write_rows
from hwbench.workflows.settings import MeasureOptions, baseline_store, campaign_settings, target_of

T = TypeVar("T")


class Bench(msgspec.Struct, frozen=True):
    """A device and the options that make it a target."""

    device: Device
    record: DeviceRecord
    target: Target
    options: MeasureOptions


def bench_of(known: LookupTable | Origin, path: Path, device: Device | None, preset: str | None, seed: int) -> Bench:
    """Where the table or predictor of a file was measured.

    Raises Incomparable when the device is now another target, naming the fields.
    """
    found = bench_for(device or LocalDevice(), _options(known, preset, seed))
    fields = [name for name in Target.__struct_fields__ if getattr(known.target, name) != getattr(found.target, name)]
    if fields:
        described = "; ".join(
            f"{name} was {getattr(known.target, name)}, is {getattr(found.target, name)}" for name in fields
        )
        raise Incomparable(f"{path} belongs to another target: {described}.", hint="Measure where it was measured.")
    return found


def bench_for(device: Device, options: MeasureOptions) -> Bench:
    """Where to measure networks that belong to no table yet."""
    record = device.record()
    return Bench(device, record, target_of(device, record.id, options), options)


def measure(
    bench: Bench,
    space: Space,
    architectures: Architectures,
    folder: Path,
    decisive: Mapping[str, str],
    finish: Callable[[Campaign, Session], T],
    *,
    resume: bool = False,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> T:
    """What `finish` makes of a campaign over networks of a space, `network-0`, `network-1`, ... as ids.

    The session lies in `folder` until `finish` has returned; `decisive` is what must agree for it to be continued.
    """
    if not resume and folder.exists():
        Session(folder, ()).remove()
    with bench.device.lock():
        session = Session.open(folder, {**decisive, "preset": bench.options.preset}, resume)
        rows = write_rows(network_models(space, architectures), bench.options, folder, exporting(on_progress))
        result = finish(measure_rows(bench, rows, session, on_progress), session)
        session.remove()
    return result


def measure_rows(
    bench: Bench, rows: list[ModelRow], session: Session, on_progress: Callable[[Progress], None]
) -> Campaign:
    """A campaign over networks whose files lie in the session's folder, and the anchors; the device must be locked."""
    anchors = write_rows(anchor_models(), bench.options, session.folder, exporting(on_progress))
    # A network evicts its own weights; nothing needs flushing between its invokes.
    settings = campaign_settings(bench.options, flush_bytes=0)
    store = baseline_store()
    known = store.load(bench.target, bench.record.boot_id)
    campaign = run(bench.device, [*anchors, *rows], settings, session, known, on_progress)
    store.keep(bench.target, bench.record.boot_id, campaign.gate.baseline_us)
    return campaign


def _options(known: LookupTable | Origin, preset: str | None, seed: int) -> MeasureOptions:
    target = known.target
    precision: Precision = "int8" if target.precision == "int8" else "fp32"
    engine: Engine = "executorch" if target.engine.name == "executorch" else "litert"
    delegate: Delegate = next((one for one in FORMATS[engine].delegates if one == target.delegate), "xnnpack")
    cores = () if " of " in target.cores else tuple(int(core) for core in target.cores.split(","))
    return MeasureOptions(
        preset=preset or known.preset,
        precision=precision,
        delegate=delegate,
        threads=target.threads,
        cores=cores,
        cache="warm" if target.cache == "warm" else "cold",
        seed=seed,
        engine=engine,
    )
