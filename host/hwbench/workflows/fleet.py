"""The same job on several devices at once, each in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from hwbench import spaces
from hwbench.devices import Device
from hwbench.errors import HwbenchError
from hwbench.measure.campaign import Progress
from hwbench.tables.lookup import default_name
from hwbench.workflows.profile import DEFAULT_FOLDER, ProfileResult, profile
from hwbench.workflows.settings import MeasureOptions, target_of

T = TypeVar("T")

_LOOK_S = 0.2


class Outcome(msgspec.Struct, Generic[T], frozen=True):
    """What a job brought, or why it did not."""

    result: T | None
    error: HwbenchError | None


def profile_all(
    names: Iterable[str],
    open_device: Callable[[str], Device],
    space: str = spaces.DEFAULT,
    *,
    options: MeasureOptions | None = None,
    folder: Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    time_limit_s: float | None = None,
    on_progress: Callable[[str, Progress], None] = lambda name, state: None,
) -> dict[str, Outcome[ProfileResult]]:
    """`profile` on several devices at once, by their names; one that cannot be opened does not stop the others.

    `folder` gets a folder for each. That of a phone has a part of its hashed serial number in its name, for there may
    be two of one model.
    """

    def job(name: str, on_progress: Callable[[Progress], None]) -> ProfileResult:
        with closing(open_device(name)) as device:
            record, chosen = device.record(), options or MeasureOptions()
            serial = f"-{record.phone.serial_hash[:6]}" if record.phone and record.phone.serial_hash else ""
            table = default_name(spaces.get(space).name, target_of(device, record.id, chosen))
            path = (folder or DEFAULT_FOLDER) / f"{record.id}{serial}" / table
            return profile(
                space, device=device, options=chosen, output=path,
                resume=resume, overwrite=overwrite, time_limit_s=time_limit_s, on_progress=on_progress,
            )  # fmt: skip

    return on_each({name: partial(job, name) for name in names}, on_progress)


def on_each(
    jobs: Mapping[str, Callable[[Callable[[Progress], None]], T]],
    on_progress: Callable[[str, Progress], None],
) -> dict[str, Outcome[T]]:
    """Runs every job, by the name of its device; one that fails does not end the others.

    Ctrl-C ends all of them in their own good order, so that every device is left as it was, and is raised then.
    """
    stopping = threading.Event()

    def run(name: str, job: Callable[[Callable[[Progress], None]], T]) -> Outcome[T]:
        def report(state: Progress) -> None:
            if stopping.is_set():
                raise KeyboardInterrupt
            on_progress(name, state)

        try:
            return Outcome(job(report), None)
        except HwbenchError as error:
            return Outcome(None, error)

    with ThreadPoolExecutor(max_workers=len(jobs)) as pool:
        try:
            running = {name: pool.submit(run, name, job) for name, job in jobs.items()}
            while wait(running.values(), timeout=_LOOK_S).not_done:
                pass
        except BaseException:
            # Leaving the pool waits for the jobs.
            stopping.set()
            raise
        return {name: future.result() for name, future in running.items()}
