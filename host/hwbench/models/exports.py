"""ExecuTorch models for rows: exported once by several processes, then kept by content.

An export takes seconds and a table needs dozens, so each lies in the cache under a key of everything that decides it:
`<key>.json` (its hash, its counts) beside `<hash>.pte`. A damaged entry is exported again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from hwbench import files
from hwbench.errors import HwbenchError
from hwbench.models.executorch import PteFile, package_versions
from hwbench.models.export_workers import Task, run_tasks
from hwbench.models.formats import Authored, Delegate, Integers, ModelJob, Precision
from hwbench.models.weights import Weights

# Raised whenever this package writes other models than before from the same description.
EXPORTER_VERSION = 3

_KIND, _VERSION = "export", 2


class _Entry(msgspec.Struct, frozen=True):
    sha256: str
    operators: int
    delegated: int
    integers: Integers | None


class ExportCache:
    """Exports by key, in a folder that any number of processes may share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, key: str) -> PteFile | None:
        """What is kept under the key; None when there is nothing, or nothing whole."""
        try:
            entry = files.load(self._folder / f"{key}.json", _KIND, _VERSION, _Entry)
            data = files.read(self._folder / f"{entry.sha256}.pte")
        except HwbenchError:
            return None
        whole = files.sha256(data) == entry.sha256
        return PteFile(data, entry.operators, entry.delegated, entry.integers) if whole else None

    def keep(self, key: str, model: PteFile) -> None:
        """Raises DeviceError when the disk refuses."""
        digest = files.sha256(model.data)
        files.write_atomically(self._folder / f"{digest}.pte", model.data)
        entry = _Entry(digest, model.operators, model.delegated, model.integers)
        files.save(self._folder / f"{key}.json", _KIND, _VERSION, entry)


def author(
    jobs: Sequence[ModelJob],
    precision: Precision,
    delegate: Delegate,
    cache: Path,
    on_progress: Callable[[int, int], None],
) -> list[Authored]:
    """A .pte file per job with its delegated share; see `export`."""
    models = export(jobs, precision, delegate, cache, on_progress)
    return [Authored(model.data, model.delegated_share, model.integers) for model in models]


def export(
    jobs: Sequence[ModelJob],
    precision: Precision,
    delegate: Delegate,
    cache: Path,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    workers: int | None = None,
) -> list[PteFile]:
    """The models of `jobs`, in order, from `cache` or exported by `workers` processes (default: one a usable core).

    Raises ModelError naming the job that cannot be exported, or the package that is missing.
    """
    kept = ExportCache(cache)
    versions = package_versions()
    keys = [export_key(job, precision, delegate, versions) for job in jobs]
    models = {key: found for key in dict.fromkeys(keys) if (found := kept.load(key)) is not None}
    missing = {key: Task(job, precision, delegate) for key, job in zip(keys, jobs, strict=True) if key not in models}
    on_progress(len(models), len(models) + len(missing))
    for key, model in run_tasks(missing, workers):
        kept.keep(key, model)
        models[key] = model
        on_progress(len(models), len(set(keys)))
    return [models[key] for key in keys]


def export_key(job: ModelJob, precision: Precision, delegate: Delegate, versions: dict[str, str]) -> str:
    """sha256 over everything that decides the exported bytes; the job's name is not part of it."""
    described = {
        "exporter": EXPORTER_VERSION,
        "versions": versions,
        "precision": precision,
        "delegate": delegate,
        "blocks": [(named.name, named.block.key) for named in job.network],
        "weights": _digest(job.weights),
        "images": _digest({"images": job.images}) if precision == "int8" else None,
    }
    return files.sha256(msgspec.json.encode(described, order="deterministic"))


def _digest(arrays: Weights) -> list[tuple[str, list[int], str]]:
    return [
        (name, list(arrays[name].shape), files.sha256(np.ascontiguousarray(arrays[name], np.float32).tobytes()))
        for name in sorted(arrays)
    ]
