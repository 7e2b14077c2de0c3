"""Processes that export models. Each is a fresh interpreter: torch is never loaded in this one, nor anything forked.

    python -W ignore -m hwbench.models.export_worker

A worker reads pickled tasks from its stdin and answers each on its stdout; both ends are this program's own.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

import msgspec

from hwbench.errors import ModelError
from hwbench.models.executorch import PteFile
from hwbench.models.formats import Delegate, ModelJob, Precision

_PACKAGE_ROOT = Path(__file__).parents[2]
_END_S = 5.0


class Task(msgspec.Struct, frozen=True):
    """A model to export, and for what."""

    job: ModelJob
    precision: Precision
    delegate: Delegate


class Failure(msgspec.Struct, frozen=True):
    """Why a worker could not export a model."""

    message: str
    hint: str | None = None


def run_tasks(tasks: Mapping[str, Task], workers: int | None = None) -> Iterator[tuple[str, PteFile]]:
    """Exports by `workers` processes (default: one a usable core), giving (key, model) in the order they are done.

    Raises ModelError naming the job that failed. The processes end with the iterator, whatever ends it.
    """
    if not tasks:
        return
    waiting: queue.SimpleQueue[tuple[str, Task]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[str, PteFile] | ModelError] = queue.SimpleQueue()
    # The largest first, so that the last ones to end are small.
    for key in sorted(tasks, key=lambda key: -_size(tasks[key].job)):
        waiting.put((key, tasks[key]))
    count = min(workers or len(os.sched_getaffinity(0)), len(tasks))
    started: list[_Worker] = []
    try:
        for _ in range(count):
            started.append(_Worker(waiting, done))
        for _ in tasks:
            found = done.get()
            if isinstance(found, ModelError):
                raise found
            yield found
    finally:
        for worker in started:
            worker.end()


def _size(job: ModelJob) -> int:
    return sum(len(named.block.ops()) for named in job.network)


class _Worker:
    """One process, and the thread that hands it one job after the other."""

    def __init__(
        self,
        waiting: queue.SimpleQueue[tuple[str, Task]],
        done: queue.SimpleQueue[tuple[str, PteFile] | ModelError],
    ) -> None:
        self._waiting, self._done = waiting, done
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        # The interpreter must find this very hwbench, installed or not.
        paths = os.pathsep.join(filter(None, [str(_PACKAGE_ROOT), os.environ.get("PYTHONPATH", "")]))
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "hwbench.models.export_worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._stderr,
            env=os.environ | {"PYTHONPATH": paths},
        )  # fmt: skip
        self._thread = threading.Thread(target=self._feed, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join(_END_S)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                _close(pipe)
        self._stderr.close()

    def _feed(self) -> None:
        while True:
            try:
                key, task = self._waiting.get_nowait()
            except queue.Empty:
                return
            self._done.put(self._answer(key, task))

    def _answer(self, key: str, task: Task) -> tuple[str, PteFile] | ModelError:
        source, target = self._process.stdin, self._process.stdout
        assert source is not None
        assert target is not None
        try:
            pickle.dump(task, source)
            source.flush()
            answer = pickle.load(target)
        except Exception:
            # Whatever a dying process leaves in the pipe: the caller waits for an answer and must get one.
            return ModelError(f"{task.job.name} cannot be exported: the exporter ended: {self._last_words()}.")
        if isinstance(answer, Failure):
            return ModelError(f"{task.job.name} cannot be exported: {answer.message}", hint=answer.hint)
        return key, answer

    def _last_words(self) -> str:
        try:
            self._stderr.seek(0)
            lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        except ValueError:
            lines = []
        return lines[-1][:300] if lines else "it said nothing"


def _close(pipe: IO[bytes]) -> None:
    # What was still to be written belongs to a process that is gone.
    with contextlib.suppress(OSError):
        pipe.close()
