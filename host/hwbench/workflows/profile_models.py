"""Profile model files: load, first and steady latency, peak memory, and where the time goes, op by op."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from hwbench import files
from hwbench.devices import Device, LaunchRequest, LocalDevice
from hwbench.errors import DataError, ModelError, RunnerError, UsageError
from hwbench.measure.campaign import Campaign, ModelRow, Progress, run
from hwbench.measure.plan import Burst, Job, LoadLine, MemoryLine, OpEvent, OpsLine, Pass, Plan
from hwbench.measure.presets import Preset
from hwbench.measure.results import LaunchResult, read_results
from hwbench.measure.session import Session
from hwbench.models.formats import SUFFIXES, Engine, format_of
from hwbench.records import DeviceRecord, Measurement, Target
from hwbench.tables.lookup import LaunchRecord
from hwbench.workflows.architecture_models import as_models, is_architecture
from hwbench.workflows.model_rows import anchor_models, exporting, write_rows
from hwbench.workflows.profile import launch_records
from hwbench.workflows.settings import MeasureOptions, baseline_store, campaign_settings, target_of

_PASS_DEADLINE_S = 300.0
_PROFILED_INVOKES = 30
_DELEGATED, _OPERATOR = 8, 2

# Short bursts in many rounds: a number is wanted within a second, and it is the rounds that find the quiet machine.
_PRESETS = {
    "quick": Preset("quick", 0.03, rounds=30, launches=2, max_launches=3, patience_s=5.0,
                    burst=Burst(warmup_us=1_000, duration_us=3_000)),
    "standard": Preset("standard", 0.01, rounds=30, launches=3, max_launches=6, patience_s=60.0),
    "publish": Preset("publish", 0.005, rounds=60, launches=5, max_launches=10, patience_s=600.0),
}  # fmt: skip


class OpTime(msgspec.Struct, frozen=True):
    """One operator of a model: mean microseconds per invoke under the profiler, and its share of their sum."""

    name: str
    microseconds: float
    share: float
    delegated: bool


class ModelProfile(msgspec.Struct, frozen=True):
    """What one model file does on the target.

    `latency` is the headline with its interval; the percentiles are of all timed invokes. `delegated_share` is the
    share of profiled time inside delegated kernels; it and `ops` come from a separate pass that slows the model down.
    """

    model: str
    sha256: str
    bytes: int
    load_us: float
    first_us: float
    latency: Measurement
    p10_us: float
    p50_us: float
    p90_us: float
    p99_us: float
    invokes: int
    peak_memory_bytes: int | None
    delegated_share: float | None
    ops: tuple[OpTime, ...]
    notes: tuple[str, ...]


class ModelsResult(msgspec.Struct, frozen=True):
    target: Target
    device: DeviceRecord
    preset: str
    models: tuple[ModelProfile, ...]
    launches: tuple[LaunchRecord, ...]
    seconds: float
    inference_share: float


def profile_models(
    models: Sequence[Path],
    *,
    device: Device | None = None,
    options: MeasureOptions | None = None,
    passes: bool = True,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> ModelsResult:
    """Latency of each model file, and with `passes` its peak memory and per-op table.

    The files decide the engine, whatever `options` says; an architecture file becomes a model of theirs with random
    weights, or of `options` where there are no others. Raises UsageError for files of several engines,
    DataError for a missing file, ModelError for one that is no model or does not run, DeviceBusy, RunnerError.
    """
    options = options or MeasureOptions()
    if given := [path for path in models if not is_architecture(path)]:
        options = msgspec.structs.replace(options, engine=engine_of(given))
    with as_models(models, options, on_progress) as written:
        return _profile_files(models, written, device or LocalDevice(), options, passes, on_progress)


def _profile_files(
    names: Sequence[Path],
    models: Sequence[Path],
    device: Device,
    options: MeasureOptions,
    passes: bool,
    on_progress: Callable[[Progress], None],
) -> ModelsResult:
    """`profile_models` of model files alone, under the names that the user knows them by."""
    record = device.record()
    target = target_of(device, record.id, msgspec.structs.replace(options, cache="warm"))
    folder = Path(tempfile.mkdtemp(prefix="hwbench-"))
    try:
        with device.lock():
            session = Session.open(folder, {}, resume=False)
            anchors = write_rows(
                anchor_models(), msgspec.structs.replace(options, precision="fp32"), folder, exporting(on_progress)
            )
            rows = [*anchors, *(_row(number, path, folder) for number, path in enumerate(models))]
            settings = msgspec.structs.replace(campaign_settings(options, 0), preset=_PRESETS[options.preset])
            store = baseline_store()
            known = store.load(target, record.boot_id)
            campaign = run(device, rows, settings, session, known, on_progress)
            store.keep(target, record.boot_id, campaign.gate.baseline_us)
            extra = [_extra(device, rows, options, name, session) for name in ("memory", "profile")] if passes else []
            models_rows = [row for row in rows if not row.anchor]
            profiles = tuple(
                _profile(name, path, row, campaign, extra)
                for name, path, row in zip(names, models, models_rows, strict=True)
            )
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return ModelsResult(
        target, record, options.preset, profiles, launch_records(campaign), campaign.seconds, campaign.inference_share
    )


def per_op(events: Sequence[OpEvent], invokes: int) -> tuple[OpTime, ...]:
    """Operators in order of execution from the profiler's events of several invokes.

    Events come invoke after invoke in the same order; an operator's time is the trimmed mean over invokes, since
    the profiler counts whole microseconds. Operators too short to be seen share equally.
    """
    own = [event for event in events if event.type in (_OPERATOR, _DELEGATED) and not _is_delegate_call(event)]
    if not own or invokes < 1 or len(own) % invokes:
        return ()
    per_invoke = len(own) // invokes
    times = np.array([event.elapsed_us for event in own], float).reshape(invokes, per_invoke)
    trim = invokes // 10
    means = np.sort(times, axis=0)[trim : invokes - trim].mean(axis=0)
    shares = means / means.sum() if means.any() else np.full(per_invoke, 1 / per_invoke)
    return tuple(
        OpTime(event.tag, float(mean), float(share), event.type == _DELEGATED)
        for event, mean, share in zip(own[:per_invoke], means, shares, strict=True)
    )


def _is_delegate_call(event: OpEvent) -> bool:
    """The operator that stands for a whole delegated partition; its kernels are events of their own."""
    return event.type == _OPERATOR and bool(re.search(r"delegate", event.tag, re.IGNORECASE))


def engine_of(models: Sequence[Path]) -> Engine:
    """The one engine that runs all these files, told from their bytes.

    Raises DataError for a missing file, ModelError for one that is no model, UsageError when they need several.
    """
    found: dict[Engine, Path] = {}
    for path in models:
        if not path.is_file():
            raise DataError(f"{path} is not a file.", hint=f"Give the path of a {' or '.join(SUFFIXES)} model.")
        found.setdefault(format_of(path, files.read(path)).engine, path)
    if len(found) != 1:
        named = " and ".join(f"{path} {engine}" for engine, path in found.items())
        raise UsageError(f"Models of one engine are profiled together; {named or 'there is no model'}.")
    return next(iter(found))


def _row(number: int, path: Path, folder: Path) -> ModelRow:
    data = files.read(path)
    name = f"models/model-{number}{format_of(path, data).suffix}"
    files.write_atomically(folder / name, data)
    return ModelRow(f"model-{number}", name, files.sha256(data), 3 * len(data))


class _Extra(msgspec.Struct, frozen=True):
    """What a memory or profile pass brought; `trouble` is why it broke off, which costs no latency."""

    result: LaunchResult
    trouble: str | None


def _extra(
    device: Device, rows: Sequence[ModelRow], options: MeasureOptions, run_pass: Pass, session: Session
) -> _Extra:
    """A memory or profile pass over the models; its times are never latencies."""
    plan = Plan(
        launch=0,
        run_pass=run_pass,
        engine=options.engine,
        delegate=options.delegate,
        threads=options.threads,
        cores=device.choose_cores(options.threads, options.cores),
        seed=options.seed,
        jobs=tuple(Job(row.id, row.model, row.sha256, 1) for row in rows if not row.anchor),
        deadline_s=_PASS_DEADLINE_S,
        memory_budget_bytes=2 * device.memory_budget_bytes(),
        parent_pid=device.parent_pid(),
        burst=Burst(invokes=_PROFILED_INVOKES),
    )
    path = session.probe(plan)
    results = path.with_name(f"{run_pass}.results")
    trouble = None
    try:
        device.launch(LaunchRequest(path, results, _PASS_DEADLINE_S), lambda _: None)
    except RunnerError as error:
        trouble = f"{run_pass}: {error.message}"
    return _Extra(read_results(results, plan.launch, plan.rounds), trouble)


def _profile(name: Path, path: Path, row: ModelRow, campaign: Campaign, extra: Sequence[_Extra]) -> ModelProfile:
    if row.id not in campaign.estimates.measurements:
        reason = campaign.samples.failures.get(row.id, "it gave no result")
        raise ModelError(f"{name} does not run: {reason}.", hint="Check that it is a complete model file.")
    load: LoadLine = campaign.samples.loads[row.id]
    wall = np.concatenate(
        [np.asarray(v.wall_ns, float) / 1e3 for result in campaign.results for v in result.visits if v.job == row.id]
    )
    p10, p50, p90, p99 = (float(q) for q in np.quantile(wall, [0.1, 0.5, 0.9, 0.99]))
    passes = [found.result for found in extra]
    memory = next((line.peak_bytes for r in passes for line in r.of(MemoryLine) if line.job == row.id), None)
    ops = next((per_op(line.ops, line.invokes) for r in passes for line in r.of(OpsLine) if line.job == row.id), ())
    notes = [f"{f.stage}: {f.message}" for r in passes for f in r.failures if f.job == row.id]
    notes += [found.trouble for found in extra if found.trouble]
    return ModelProfile(
        model=str(name),
        sha256=row.sha256,
        bytes=path.stat().st_size,
        load_us=load.load_ns / 1e3,
        first_us=load.first_ns / 1e3,
        latency=campaign.estimates.measurements[row.id],
        p10_us=p10,
        p50_us=p50,
        p90_us=p90,
        p99_us=p99,
        invokes=len(wall),
        peak_memory_bytes=memory,
        delegated_share=sum(op.share for op in ops if op.delegated) if ops else None,
        ops=ops,
        notes=tuple(notes),
    )
