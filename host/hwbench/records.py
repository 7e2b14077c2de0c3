"""What hwbench writes down: plain typed structs. Latency is in microseconds, sizes in bytes."""

from __future__ import annotations

import math

import msgspec

from hwbench.errors import CorruptFile


class Cache(msgspec.Struct, frozen=True):
    level: int
    kind: str
    size_bytes: int
    shared_with: str


class Cluster(msgspec.Struct, frozen=True):
    """Cores of one kind, offline ones included; `limit_khz` is what the system allows now. None: not readable."""

    cores: tuple[int, ...]
    online: tuple[int, ...]
    core_name: str | None
    capacity: int | None
    min_khz: int | None
    max_khz: int | None
    limit_khz: int | None
    governor: str | None


class PhoneIdentity(msgspec.Struct, frozen=True):
    """Who a phone says it is; None: it does not say. `soc_property` is where the SoC's name comes from."""

    manufacturer: str | None
    model: str | None
    device: str | None
    soc: str | None
    soc_property: str | None
    soc_manufacturer: str | None
    board: str | None
    hardware: str | None
    android: str | None
    sdk: int | None
    security_patch: str | None
    fingerprint: str | None
    abis: tuple[str, ...]
    emulated: bool


class PhoneRecord(PhoneIdentity, frozen=True):
    """What a phone says of itself. `serial_hash` is salted, so that it tells phones apart and nothing else."""

    serial_hash: str | None
    clusters: tuple[Cluster, ...]
    online_cores: tuple[int, ...]
    offline_cores: tuple[int, ...]
    unplaced_cores: tuple[int, ...]


class DeviceRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """A machine as it was when it was measured. None: not readable; `unreadable` says why.

    `phone` is None for what is not one, `clusters` empty where all cores are alike or a phone lists them; both are
    then left out of files.
    """

    id: str
    kind: str
    cpu_model: str
    architecture: str
    cores: int
    allowed_cores: tuple[int, ...]
    caches: tuple[Cache, ...]
    governor: str | None
    frequency_khz_min: int | None
    frequency_khz_max: int | None
    cgroup_cpus: float | None
    cgroup_memory_bytes: int | None
    memory_bytes: int
    page_bytes: int
    load_average: float
    virtualised: str | None
    kernel: str
    system: str
    boot_id: str | None
    recorded_at: str
    unreadable: dict[str, str]
    phone: PhoneRecord | None = None
    clusters: tuple[Cluster, ...] = ()


class EngineRecord(msgspec.Struct, frozen=True):
    """The library that ran the models; `sha256` is of the file that holds the kernels."""

    name: str
    package: str
    version: str
    sha256: str | None


class Target(msgspec.Struct, frozen=True):
    """What a latency belongs to. Two are comparable only if all of this agrees."""

    device_id: str
    engine: EngineRecord
    delegate: str
    precision: str
    batch: int
    threads: int
    cores: str
    regime: str
    cache: str
    runner: str


class Estimator(msgspec.Struct, frozen=True):
    """How samples become a number: a quantile of each burst of `clock` time, then a low rank over visits.

    The latency is the one that a `visit_share` of the visits reproduce, and `fewest_visits` at least: a neighbour on
    the same physical core slows a virtual machine by up to a third for seconds, never speeds it up, so the low end is
    what belongs to the device.
    """

    clock: str = "wall"
    burst_quantile: float = 0.1
    visit_share: float = 0.05
    fewest_visits: int = 2

    def rank(self, visits: int) -> int:
        """Which of so many visits, counted from the fastest, gives the latency."""
        return min(max(self.fewest_visits, math.ceil(self.visit_share * visits)), visits)


# The flag of what an emulator of another processor ran: its numbers are no latencies.
EMULATED = "emulated"


class Rounds(msgspec.Struct, frozen=True):
    """One entry per visit, in order of time.

    `value_us` is the estimator's quantile of the burst, `factor` the drift of the round (1.0: none).
    """

    launch: tuple[int, ...]
    round: tuple[int, ...]
    count: tuple[int, ...]
    value_us: tuple[float, ...]
    min_us: tuple[float, ...]
    p10_us: tuple[float, ...]
    p25_us: tuple[float, ...]
    p50_us: tuple[float, ...]
    cpu_p25_us: tuple[float, ...]
    factor: tuple[float, ...]

    def as_json(self) -> msgspec.Raw:
        """As a measurement keeps them."""
        return msgspec.Raw(msgspec.json.encode(self))


class Measurement(msgspec.Struct, frozen=True):
    """A latency, the 95 % interval that a new run should fall into, and where both come from.

    The rounds stay as JSON until they are asked for: they are most of a table, and few who read one look at them.
    """

    value_us: float
    lower_us: float
    upper_us: float
    drift_corrected_us: float
    flags: tuple[str, ...]
    launches: int
    rounds_json: msgspec.Raw = msgspec.field(name="rounds")

    @property
    def rounds(self) -> Rounds:
        """Decoded at each call. Raises CorruptFile when they are no rounds."""
        try:
            return msgspec.json.decode(self.rounds_json, type=Rounds)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise CorruptFile(f"The rounds of a measurement cannot be read: {error}.") from error

    @property
    def half_width(self) -> float:
        """Half the interval's width relative to the value."""
        return (self.upper_us - self.lower_us) / 2 / self.value_us
