"""LiteRT models for rows: written in this process, in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from hwbench.models.calibration import activation_ranges
from hwbench.models.formats import Authored, Delegate, ModelJob, Precision
from hwbench.models.litert import write_model


def author(
    jobs: Sequence[ModelJob],
    precision: Precision,
    delegate: Delegate,
    cache: Path,
    on_progress: Callable[[int, int], None],
) -> list[Authored]:
    """A .tflite file per job; the same one for every delegate, nothing of it kept in `cache`."""
    return [_model(job, precision) for job in jobs]


def _model(job: ModelJob, precision: Precision) -> Authored:
    ranges = activation_ranges(job.network, job.weights, job.images) if precision == "int8" else None
    model = write_model(job.network, job.weights, precision, ranges)
    return Authored(model.data, integers=model.integers)
