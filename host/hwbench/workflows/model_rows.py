"""Blocks and networks as model files in a session's folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from hwbench.errors import DeviceError
from hwbench.files import cache_folder, sha256
from hwbench.measure.anchors import ANCHORS
from hwbench.measure.campaign import ModelRow, Progress
from hwbench.models.calibration import seeded_inputs
from hwbench.models.formats import FORMATS, Authored, ModelJob, Precision
from hwbench.models.weights import random_weights
from hwbench.records import DeviceRecord
from hwbench.spaces.blocks import Block
from hwbench.spaces.space import NamedBlock, Space
from hwbench.workflows.settings import MeasureOptions

_WEIGHT_SEED = 0
_CALIBRATION_INPUTS = 2
_SAMPLED_NETWORKS = 200
_BYTES = {"fp32": 4, "int8": 1}


class RowModel(msgspec.Struct, frozen=True):
    """A model that a row needs: the row's id, the stem of its file, its blocks."""

    id: str
    stem: str
    network: tuple[NamedBlock, ...]
    anchor: bool = False


def block_models(space: Space) -> list[RowModel]:
    """A model per distinct block of the space, its key as id."""
    return [
        RowModel(block.key, f"block-{number:04d}", _alone(block)) for number, block in enumerate(space.distinct_blocks)
    ]


def anchor_models() -> list[RowModel]:
    return [RowModel(name, name, _alone(block), anchor=True) for name, block in ANCHORS.items()]


def network_models(space: Space, architectures: Iterable[Sequence[int]]) -> list[RowModel]:
    """A model per architecture, `network-0`, `network-1`, ... as ids."""
    return [
        RowModel(f"network-{number}", f"network-{number:04d}", space.network(architecture))
        for number, architecture in enumerate(architectures)
    ]


def write_rows(
    models: Sequence[RowModel],
    options: MeasureOptions,
    folder: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[ModelRow]:
    """Writes the models with seeded random weights under `folder`/models; exports are kept in the user's cache.

    Raises ModelError for one that cannot be written, DeviceError when the disk refuses.
    """
    known = FORMATS[options.engine]
    jobs = [_job(model) for model in models]
    authored = known.author(jobs, options.precision, options.delegate, cache_folder() / "exports", on_progress)
    return [_write(model, found, folder, known.suffix) for model, found in zip(models, authored, strict=True)]


def exporting(on_progress: Callable[[Progress], None]) -> Callable[[int, int], None]:
    """Shows how many models are written where a campaign's progress is shown."""
    return lambda done, total: on_progress(Progress(0, done, total, 0, None, exporting=True))


def _alone(block: Block) -> tuple[NamedBlock, ...]:
    return (NamedBlock("block", block),)


def _job(model: RowModel) -> ModelJob:
    images = seeded_inputs(model.network[0].block.in_shape, _CALIBRATION_INPUTS, _WEIGHT_SEED)
    return ModelJob(model.id, model.network, random_weights(model.network, _WEIGHT_SEED), images)


def _write(model: RowModel, authored: Authored, folder: Path, suffix: str) -> ModelRow:
    path = folder / "models" / f"{model.stem}{suffix}"
    data = authored.data
    try:
        path.write_bytes(data)
    except OSError as error:
        raise DeviceError(
            f"{path} cannot be written: {error.strerror}.", hint="Free some space and try again."
        ) from error
    memory = memory_bytes(model.network, len(data))
    return ModelRow(model.id, f"models/{path.name}", sha256(data), memory, model.anchor, authored.delegated_share)


def memory_bytes(network: Sequence[NamedBlock], model_bytes: int) -> int:
    """Roughly what a loaded model of that file size takes."""
    largest = max(int(np.prod(op.out_shape)) for named in network for op in named.block.ops()) * 4
    # Kernels are packed once more by the engine; two of the largest activations live at a time, with some slack.
    return 2 * model_bytes + 4 * largest


def flush_bytes(space: Space, precision: Precision, record: DeviceRecord) -> int:
    """How much to read between two invokes of a block, so that its weights are as cold as in a network.

    Between two uses of a block's weights a network touches all its other weights and its activations: that many
    bytes, but no more than the last-level cache holds (benchmarks/estimator.py).
    """
    touched = []
    for architecture in space.sample(_SAMPLED_NETWORKS, seed=0):
        ops = [op for named in space.network(architecture) for op in named.block.ops()]
        touched.append(sum(op.parameters + int(np.prod(op.out_shape)) for op in ops))
    footprint = int(np.median(touched)) * _BYTES[precision]
    last_level = max((cache.size_bytes for cache in record.caches), default=footprint)
    return min(footprint, last_level) // 8 * 8
