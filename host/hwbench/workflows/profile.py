"""Profile a space on a device: from blocks to a lookup table."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

import hwbench
from hwbench import files, spaces
from hwbench.devices import Device, LocalDevice
from hwbench.errors import UsageError
from hwbench.measure.campaign import Campaign, ModelRow, Progress, run
from hwbench.measure.session import Session
from hwbench.records import DeviceRecord, Target
from hwbench.tables import lookup
from hwbench.tables.lookup import LaunchRecord, LookupTable, Row, SamplesFile
from hwbench.workflows.model_rows import anchor_models, block_models, exporting, flush_bytes, write_rows
from hwbench.workflows.settings import MeasureOptions, baseline_store, campaign_settings, target_of
from hwbench.workflows.time_limit import limited

DEFAULT_FOLDER = Path("hwbench-results")


class ProfileResult(msgspec.Struct, frozen=True):
    """The table, where it lies, and how the time was spent."""

    table: LookupTable
    path: Path
    seconds: float
    inference_share: float

    @property
    def flags(self) -> dict[str, int]:
        """How many rows carry each flag."""
        counts: dict[str, int] = {}
        for row in self.table.rows:
            for flag in row.flags:
                counts[flag] = counts.get(flag, 0) + 1
        return counts


def profile(
    space: str = spaces.DEFAULT,
    *,
    device: Device | None = None,
    options: MeasureOptions | None = None,
    output: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    time_limit_s: float | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> ProfileResult:
    """Measures every block of a space and writes the table.

    Without `output` the table lies in hwbench-results/<device>/. A session folder beside it holds what was
    measured until the table is written; with `resume` an interrupted one goes on.
    Raises UsageError when the table or an unfinished session is in the way, DeviceBusy, NotReady, RunnerError,
    DeviceError, and TimeLimitReached once the whole has taken `time_limit_s`.
    """
    begin = time.monotonic()
    on_progress = limited(on_progress, time_limit_s)
    options = options or MeasureOptions()
    device = device or LocalDevice()
    chosen = spaces.get(space)
    record = device.record()
    target = target_of(device, record.id, options)
    path = output or DEFAULT_FOLDER / record.id / lookup.default_name(chosen.name, target)
    folder = session_folder(path, resume, overwrite)
    with device.lock():
        settings = campaign_settings(options, flush_bytes(chosen, options.precision, record))
        session = Session.open(folder, decisive(chosen.name, target, record, options), resume)
        rows = write_rows(anchor_models() + block_models(chosen), options, folder, exporting(on_progress))
        baseline = baseline_store()
        known = baseline.load(target, record.boot_id)
        campaign = run(device, rows, settings, session, known, on_progress)
        baseline.keep(target, record.boot_id, campaign.gate.baseline_us)
        seconds = time.monotonic() - begin
        share = campaign.inference_share * campaign.seconds / seconds
        samples = write_samples(path, session)
        table = LookupTable(
            space=chosen.name,
            metric="latency_us",
            target=target,
            device=record,
            estimator=settings.estimator,
            preset=options.preset,
            flush_bytes=settings.flush_bytes,
            hwbench_version=hwbench.__version__,
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            rows=tuple(_row(row, campaign) for row in rows if not row.anchor),
            anchors={row.id: campaign.estimates.measurements[row.id] for row in rows
                     if row.anchor and row.id in campaign.estimates.measurements},
            launches=launch_records(campaign),
            spread=campaign.estimates.spread,
            slowdown=campaign.gate.slowdown,
            seconds=seconds,
            inference_share=share,
            samples=samples,
            notes=device.notes,
        )  # fmt: skip
        lookup.save(table, path)
        write_device(path.parent / "device.json", record)
        session.remove()
    return ProfileResult(table, path, seconds, share)


def session_folder(path: Path, resume: bool, overwrite: bool) -> Path:
    """Where a session for the file `path` lies. Raises UsageError when something would be overwritten."""
    folder = path.with_name(f"{path.name}.session")
    if overwrite and not resume and folder.exists():
        Session(folder, ()).remove()
    if path.exists() and not overwrite and not (resume and folder.exists()):
        raise UsageError(f"{path} exists already.", hint="Add --overwrite, or choose another file with --output.")
    if resume and not folder.exists():
        raise UsageError(f"There is nothing to resume: {folder} does not exist.", hint="Run without --resume.")
    return folder


def write_device(path: Path, record: DeviceRecord) -> None:
    """The device record beside the tables of a device."""
    files.save(path, "device", 1, record)


def launch_records(campaign: Campaign) -> tuple[LaunchRecord, ...]:
    records = []
    for number, result in enumerate(campaign.results):
        if result.launch is not None:
            slowdown = campaign.gate.launches.get(number, 0.0)
            line = result.launch
            records.append(LaunchRecord(number, line.unix_ns, line.cores, result.complete, slowdown))
    return tuple(records)


def _row(row: ModelRow, campaign: Campaign) -> Row:
    found = campaign.estimates.measurements.get(row.id)
    failure = None if found else campaign.samples.failures.get(row.id, "not measured")
    return Row(row.id, found, failure, row.delegated_share)


def decisive(space: str, target: Target, record: DeviceRecord, options: MeasureOptions) -> dict[str, str]:
    """Everything that must agree for a run to be continued, in words."""
    return {
        "space": space,
        "device": target.device_id,
        "phone": str(record.phone.serial_hash) if record.phone else "none",
        "regime": target.regime,
        "engine library": f"{target.engine.package} {target.engine.version}",
        "runner": target.runner,
        **{name: str(getattr(options, name)) for name in options.__struct_fields__},
    }


def write_samples(path: Path, session: Session) -> SamplesFile:
    """All result files of the session, one after the other, compressed beside the file `path`."""
    whole = b"".join(
        files.read(results)
        for planned in session.launches
        if (results := session.results_path(planned.launch)).exists()
    )
    data = gzip.compress(whole, compresslevel=1, mtime=0)
    name = f"{path.stem}.samples.jsonl.gz"
    files.write_atomically(path.with_name(name), data)
    return SamplesFile(name, files.sha256(data))
