"""What to measure with, as a user says it, and the target that follows from it."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from hwbench.devices import Device
from hwbench.files import cache_folder
from hwbench.measure.baseline import BaselineStore
from hwbench.measure.campaign import Settings
from hwbench.measure.presets import preset
from hwbench.models.formats import Delegate, Engine, Precision, check_combination
from hwbench.records import Estimator, Target

Cache: TypeAlias = Literal["cold", "warm"]


class MeasureOptions(msgspec.Struct, frozen=True):
    """`cache`: whether a block's weights are evicted before each timed invoke, as they are in a network.

    Raises UsageError for an engine that does not run the precision with the delegate.
    """

    preset: str = "quick"
    precision: Precision = "fp32"
    delegate: Delegate = "xnnpack"
    threads: int = 1
    cores: tuple[int, ...] = ()
    cache: Cache = "cold"
    seed: int = 0
    engine: Engine = "litert"

    def __post_init__(self) -> None:
        check_combination(self.engine, self.delegate, self.precision)


# Blocks that share one flush.
_INTERLEAVE = 4


def campaign_settings(options: MeasureOptions, flush_bytes: int) -> Settings:
    """With `flush_bytes` the rows take turns in groups, each turn after a flush."""
    flushed = flush_bytes if options.cache == "cold" else 0
    return Settings(
        engine=options.engine,
        delegate=options.delegate,
        threads=options.threads,
        cores=options.cores,
        preset=preset(options.preset),
        estimator=Estimator(),
        flush_bytes=flushed,
        interleave=_INTERLEAVE if flushed else 1,
        seed=options.seed,
    )


def target_of(device: Device, device_id: str, options: MeasureOptions) -> Target:
    return Target(
        device_id=device_id,
        engine=device.engine(options.engine),
        delegate=options.delegate,
        precision=options.precision,
        batch=1,
        threads=options.threads,
        cores=device.describe_cores(options.threads, options.cores),
        regime=device.regime,
        cache=options.cache,
        runner=device.runner,
    )


def baseline_store() -> BaselineStore:
    """The best anchor levels known; anchors are the same in every workflow."""
    return BaselineStore(cache_folder() / "anchors")
