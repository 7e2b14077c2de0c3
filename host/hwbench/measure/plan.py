"""Plans and result lines of the runner protocol (device_runtime/PROTOCOL.md)."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hwbench.devices.base import PROTOCOL

PLAN_SCHEMA = f"hwbench.plan/{PROTOCOL}"

Pass: TypeAlias = Literal["time", "memory", "profile", "evaluate"]


class Burst(msgspec.Struct, frozen=True):
    """Limits of one visit: both the number and the time must be reached, `max_invokes` never passed."""

    warmup_invokes: int = 2
    warmup_us: int = 5_000
    invokes: int = 5
    duration_us: int = 2_000
    max_invokes: int = 20_000


class Job(msgspec.Struct, frozen=True):
    id: str
    model: str
    sha256: str
    rounds: int
    anchor: bool = False


class Evaluation(msgspec.Struct, frozen=True):
    """What an evaluate pass runs: `count` inputs of the file `inputs`, from number `first` on.

    Of each output the `top` largest elements are told.
    """

    inputs: str
    sha256: str
    first: int
    count: int
    top: int


class Plan(msgspec.Struct, frozen=True):
    launch: int
    run_pass: Pass = msgspec.field(name="pass")
    delegate: str
    threads: int
    cores: tuple[int, ...]
    seed: int
    jobs: tuple[Job, ...]
    deadline_s: float
    memory_budget_bytes: int
    parent_pid: int
    engine: str = "litert"
    input_seed: int = 7
    flush_bytes: int = 0
    interleave: int = 1
    idle_us: int = 20_000
    rewarm_us: int = 300_000
    burst: Burst = Burst()
    evaluation: Evaluation | None = None
    schema: str = PLAN_SCHEMA

    @property
    def rounds(self) -> dict[str, int]:
        """The rounds of each job."""
        return {job.id: job.rounds for job in self.jobs}


class OutputDigest(msgspec.Struct, frozen=True):
    type: str
    size: int
    sum: float
    l2: float
    max_abs: float
    values: tuple[float, ...]


class LaunchLine(msgspec.Struct, frozen=True, tag_field="kind", tag="launch"):
    protocol: int
    runner: str
    launch: int
    engine: str
    engine_package: str
    engine_version: str
    engine_sha256: str | None
    delegate: str
    threads: int
    cores: tuple[int, ...] | None
    pid: int
    unix_ns: int
    emulated: bool = False


class LoadLine(msgspec.Struct, frozen=True, tag_field="kind", tag="load"):
    job: str
    load_ns: int
    first_ns: int
    digests: tuple[OutputDigest, ...]


class VisitLine(msgspec.Struct, frozen=True, tag_field="kind", tag="visit"):
    job: str
    round: int
    start_ns: int
    warmup_ns: int
    wall_ns: tuple[int, ...]
    cpu_ns: tuple[int, ...]
    core_before: int | None = None
    core_after: int | None = None
    frequency_khz: int | None = None
    temperature_mc: int | None = None
    redone: int = 0


class MemoryLine(msgspec.Struct, frozen=True, tag_field="kind", tag="memory"):
    job: str
    peak_bytes: int
    resident_bytes: int


class OpEvent(msgspec.Struct, frozen=True):
    tag: str
    type: int
    start_us: float
    elapsed_us: float
    node: int
    source: int


class OpsLine(msgspec.Struct, frozen=True, tag_field="kind", tag="ops"):
    job: str
    invokes: int
    ops: tuple[OpEvent, ...]


class OutputLine(msgspec.Struct, frozen=True, tag_field="kind", tag="output"):
    """Places and values of the largest elements of one input's output, the largest first."""

    job: str
    input: int
    places: tuple[int, ...]
    values: tuple[float, ...]


class FailureLine(msgspec.Struct, frozen=True, tag_field="kind", tag="failure"):
    job: str
    stage: str
    message: str


class UsageLine(msgspec.Struct, frozen=True, tag_field="kind", tag="usage"):
    cpu_s: float
    voluntary_switches: int
    involuntary_switches: int


class FooterLine(msgspec.Struct, frozen=True, tag_field="kind", tag="footer"):
    status: str
    lines: int
    sha256: str


ResultLine: TypeAlias = (
    LaunchLine | LoadLine | VisitLine | MemoryLine | OpsLine | OutputLine | FailureLine | UsageLine | FooterLine
)
