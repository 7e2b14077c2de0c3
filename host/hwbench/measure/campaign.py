"""A campaign: launch after launch until every row has its rounds and, where it can, its interval."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import msgspec

from hwbench.devices import Device, LaunchRequest, Pulse
from hwbench.errors import RunnerCrashed
from hwbench.measure.estimate import PARTIAL_DELEGATION, Estimates, estimate, with_flag
from hwbench.measure.gate import Gate, judge
from hwbench.measure.plan import Job, Plan
from hwbench.measure.presets import Preset
from hwbench.measure.results import LaunchResult, read_results
from hwbench.measure.samples import Samples, collect
from hwbench.measure.schedule import groups, next_rounds, restrict
from hwbench.measure.session import Session
from hwbench.records import Estimator

_DEADLINE_S = 1800.0
_FRUITLESS_LAUNCHES = 3
# Launches that a hot device may spoil before their rows are flagged.
_REDOS = 2
_ANCHOR_ROUNDS = 10
_PROBE_ROUNDS = 10
_PROBE_PAUSE_S = 2.0


class ModelRow(msgspec.Struct, frozen=True):
    """One model of a campaign: its id, its file below the session's folder, and what it will hold in memory.

    `delegated_share` is the share of its ops that the delegate runs, where the exporter knows it.
    """

    id: str
    model: str
    sha256: str
    memory_bytes: int
    anchor: bool = False
    delegated_share: float | None = None


class Settings(msgspec.Struct, frozen=True):
    engine: str
    delegate: str
    threads: int
    cores: tuple[int, ...]
    preset: Preset
    estimator: Estimator
    flush_bytes: int
    interleave: int
    seed: int


class Progress(msgspec.Struct, frozen=True):
    """Where a campaign stands. `seconds_left` is None before the first round has ended.

    `refining` is the number of rows that get extra rounds, `waiting` whether the gate is closed. While models are
    being exported, before the first launch, `visits` and `planned` count them; while one is evaluated, its inputs.
    Temperature and clock are the device's own while a launch runs, None where it does not tell.
    """

    launch: int
    visits: int
    planned: int
    refining: int
    seconds_left: float | None
    waiting: bool = False
    exporting: bool = False
    temperature_c: float | None = None
    frequency_khz: int | None = None
    evaluating: bool = False


class Campaign(msgspec.Struct, frozen=True):
    """What a campaign brought. `inference_share` is of the wall time of this process's part of it."""

    results: tuple[LaunchResult, ...]
    samples: Samples
    gate: Gate
    estimates: Estimates
    seconds: float
    inference_share: float


def run(
    device: Device,
    rows: Sequence[ModelRow],
    settings: Settings,
    session: Session,
    baseline_us: Mapping[str, float],
    on_progress: Callable[[Progress], None],
) -> Campaign:
    """Measures all rows; what `session` already holds is kept and not measured again.

    `baseline_us` holds the best anchor levels known from earlier campaigns on the same target.

    Raises RunnerCrashed when launches bring nothing any more; the session then still holds the rest.
    """
    begin = time.monotonic()
    dealt = groups({row.id: row.memory_bytes for row in rows if not row.anchor}, device.memory_budget_bytes())
    anchors = [row.id for row in rows if row.anchor]
    clock = _Clock(rows, settings.preset, on_progress)
    patience = _Patience(settings.preset.patience_s)
    _recover(device, session, clock)
    results = session.results()
    samples = collect(results, settings.estimator)
    earlier_ns = samples.inference_ns
    fruitless = 0
    redos = max(_REDOS - session.redone, 0)
    while True:
        gate = judge(samples, anchors, settings.estimator, baseline_us)
        estimates = estimate(samples, settings.estimator, gate, settings.seed)
        wanted = [row.id for row in rows if not row.anchor and row.id not in samples.failures]
        rounds = next_rounds(
            {row: samples.rounds_of(row) for row in wanted},
            estimates.within,
            settings.preset,
        )
        if gate.closed and patience.left:
            clock.waiting()
            patience.wait_for(partial(_probe, device, rows, settings, session, gate.baseline_us))
            rounds = rounds or dict.fromkeys(wanted, settings.preset.rounds)
        if not rounds:
            break
        begun = time.monotonic()
        launched = _launch(device, rows, restrict(rounds, dealt)[0], settings, session, clock, redos)
        if gate.closed:
            patience.spend(time.monotonic() - begun)
        if launched is None:
            redos -= 1
            continue
        results.append(launched)
        after = collect(results[-1:], settings.estimator, samples, first=len(results) - 1)
        progressed = after.total_rounds(wanted) > samples.total_rounds(wanted) or len(after.failures) > len(
            samples.failures
        )
        samples = after
        fruitless = 0 if progressed else fruitless + 1
        if fruitless >= _FRUITLESS_LAUNCHES:
            raise RunnerCrashed(
                f"{fruitless} launches in a row brought no result.", hint=f"The logs are in {session.folder}."
            )
    seconds = time.monotonic() - begin
    share = (samples.inference_ns - earlier_ns) / 1e9 / seconds
    estimates = with_launch_flags(estimates, samples, session.flags)
    estimates = with_delegation(estimates, rows, settings.delegate)
    return Campaign(tuple(results), samples, gate, estimates, seconds, share)


def with_delegation(estimates: Estimates, rows: Sequence[ModelRow], delegate: str) -> Estimates:
    """The estimates, rows that XNNPACK does not run as a whole flagged."""
    partial = {
        row.id for row in rows if delegate == "xnnpack" and row.delegated_share is not None and row.delegated_share < 1
    }
    return with_flag(estimates, partial, PARTIAL_DELEGATION)


def with_launch_flags(estimates: Estimates, samples: Samples, flags: Sequence[tuple[str, ...]]) -> Estimates:
    """The estimates, each row flagged as its launches are; `flags` are those of each launch."""
    for flag in sorted({flag for found in flags for flag in found}):
        flagged = {number for number, found in enumerate(flags) if flag in found}
        jobs = {job for job, visits in samples.visits.items() if flagged & {visit.launch for visit in visits}}
        estimates = with_flag(estimates, jobs, flag)
    return estimates


class _Patience:
    """How many seconds may still go into waiting for an undisturbed machine."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    @property
    def left(self) -> bool:
        return self._seconds > 0

    def spend(self, seconds: float) -> None:
        self._seconds -= seconds

    def wait_for(self, quiet: Callable[[], bool]) -> None:
        """Probes until it is quiet or patience ends; the first probe comes at once."""
        while self.left:
            begin = time.monotonic()
            if quiet():
                return
            time.sleep(_PROBE_PAUSE_S)
            self.spend(time.monotonic() - begin)


def _probe(
    device: Device, rows: Sequence[ModelRow], settings: Settings, session: Session, baseline_us: Mapping[str, float]
) -> bool:
    """Whether the anchors alone reach their baseline now."""
    anchors = {row.id: _PROBE_ROUNDS for row in rows if row.anchor}
    plan = _plan(device, rows, anchors, settings, launch=len(session.launches))
    path = session.probe(plan)
    device.launch(LaunchRequest(path, path.with_suffix(".results"), _DEADLINE_S), lambda _: None)
    samples = collect([read_results(path.with_suffix(".results"), plan.launch, plan.rounds)], settings.estimator)
    return not judge(samples, list(anchors), settings.estimator, baseline_us).closed


def _plan(device: Device, rows: Sequence[ModelRow], rounds: Mapping[str, int], settings: Settings, launch: int) -> Plan:
    """The plan of a launch; anchors are visited in its first rounds."""
    anchor_rounds = min(max(rounds.values()), _ANCHOR_ROUNDS)
    return Plan(
        launch=launch,
        run_pass="time",
        engine=settings.engine,
        delegate=settings.delegate,
        threads=settings.threads,
        cores=device.choose_cores(settings.threads, settings.cores),
        seed=settings.seed + launch,
        jobs=tuple(
            Job(row.id, row.model, row.sha256, anchor_rounds if row.anchor else rounds[row.id], row.anchor)
            for row in rows
            if row.anchor or row.id in rounds
        ),
        deadline_s=_DEADLINE_S,
        memory_budget_bytes=2 * device.memory_budget_bytes(),
        parent_pid=device.parent_pid(),
        flush_bytes=settings.flush_bytes,
        interleave=settings.interleave,
        burst=settings.preset.burst,
    )


def _launch(
    device: Device,
    rows: Sequence[ModelRow],
    rounds: dict[str, int],
    settings: Settings,
    session: Session,
    clock: _Clock,
    redos: int,
) -> LaunchResult | None:
    """What a launch brought; None if it must be done again and may be."""
    number = len(session.launches)
    plan = _plan(device, rows, rounds, settings, number)
    session.begin(plan)
    path = session.results_path(number)
    clock.launched(number, sum(job.rounds for job in plan.jobs), len(rounds))
    report = device.launch(LaunchRequest(session.plan_path(number), path, _DEADLINE_S), clock.tick)
    result = read_results(path, number, plan.rounds)
    again = report.redo and redos > 0
    clock.ended(0 if again else len(result.visits))
    session.end(number, result.status, report.flags, again)
    return None if again else result


def _recover(device: Device, session: Session, clock: _Clock) -> None:
    """What a launch that an earlier process did not see the end of has left on the device."""
    for planned in session.unfinished:
        path = session.results_path(planned.launch)
        clock.launched(planned.launch, sum(planned.jobs.values()), len(planned.jobs))
        device.recover(LaunchRequest(session.plan_path(planned.launch), path, _DEADLINE_S), clock.tick)
        result = read_results(path, planned.launch, planned.jobs)
        clock.ended(len(result.visits))
        session.end(planned.launch, result.status)


class _Clock:
    """Estimates the time left from the visits so far, and what it takes to start a launch.

    How many rows will need further launches is not known before there are intervals; half of what the preset
    allows is expected until then.
    """

    def __init__(self, rows: Sequence[ModelRow], preset: Preset, report: Callable[[Progress], None]) -> None:
        self._report = report
        self._rows = sum(not row.anchor for row in rows)
        self._jobs = len(rows)
        self._per_launch = self._rows * preset.rounds + (self._jobs - self._rows) * min(preset.rounds, _ANCHOR_ROUNDS)
        self._base = self._per_launch * preset.launches
        self._expected = self._per_launch * (preset.launches + preset.max_launches) // 2
        self._done = 0
        self._in_launch = 0
        self._seconds = 0.0
        self._launch = 0
        self._refining = 0
        self._start_s = 0.0
        self._launched_at = self._first_at = time.monotonic()
        self._first = 0

    def waiting(self) -> None:
        self._report(Progress(self._launch, self._done, self._expected, self._refining, None, waiting=True))

    def launched(self, number: int, visits: int, rows: int) -> None:
        self._launch, self._in_launch, self._first = number, visits, 0
        self._launched_at = time.monotonic()
        self._refining = rows if self._done >= self._base else 0
        self._expected = max(self._expected, self._done + visits)
        self.tick(Pulse(0))

    def tick(self, pulse: Pulse) -> None:
        visits = pulse.visits
        now = time.monotonic()
        if visits and not self._first:
            # The first visits of a launch say how long it took to start, the later ones how long visits take.
            self._first, self._first_at = visits, now
            self._start_s = now - self._launched_at
        measured = self._done + max(visits - self._first, 0)
        seconds = self._seconds + (now - self._first_at if self._first else 0.0)
        done = self._done + visits
        left = None
        if measured >= self._jobs:
            later = max(self._expected - self._done - self._in_launch, 0)
            left = seconds / measured * (self._expected - done) + self._start_s * math.ceil(later / self._per_launch)
        found = Progress(self._launch, done, self._expected, self._refining, left)
        self._report(
            msgspec.structs.replace(
                found, temperature_c=pulse.temperature_c, frequency_khz=pulse.frequency_khz, waiting=pulse.waiting
            )
        )

    def ended(self, visits: int) -> None:
        self._done += visits
        self._seconds += time.monotonic() - (self._first_at if self._first else self._launched_at)
