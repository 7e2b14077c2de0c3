"""A model run on given inputs where it is deployed: the runner's evaluate pass, in as many launches as it takes.

A session's folder keeps `<name>-<launch>.plan.json` and its result file for each, so that an interrupted evaluation
goes on behind the last input that is known.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench import files
from hwbench.devices import Device, LaunchRequest, Pulse
from hwbench.errors import CorruptFile, ModelError, RunnerCrashed
from hwbench.measure.campaign import Progress
from hwbench.measure.plan import Evaluation, Job, OutputLine, Plan
from hwbench.measure.results import LaunchResult, read_results

_DEADLINE_S = 1800.0
# What a launch may take by what is known of one inference, so that the deadline is not met.
_LAUNCH_S = 600.0


class Given(msgspec.Struct, frozen=True):
    """A model and its inputs, both as files below a session's folder.

    `count` inputs lie in the file; each output has `outputs` elements, of which the `top` largest are asked for.
    """

    model: str
    model_sha256: str
    inputs: str
    inputs_sha256: str
    count: int
    outputs: int
    top: int


class Engaged(msgspec.Struct, frozen=True):
    """What runs the model; `latency_us` is roughly what one inference takes."""

    engine: str
    delegate: str
    threads: int
    cores: tuple[int, ...]
    latency_us: float


class Outputs(msgspec.Struct, frozen=True):
    """The largest elements of each input's output, the largest first: their places and values, each (inputs, top)."""

    places: NDArray[np.int64]
    values: NDArray[np.float64]

    @property
    def classes(self) -> NDArray[np.int64]:
        """The place of each output's largest element."""
        return self.places[:, 0]


def evaluate(
    device: Device,
    given: Given,
    engaged: Engaged,
    folder: Path,
    name: str,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> Outputs:
    """The outputs of all inputs; what the folder already knows under `name` is not run again.

    Raises ModelError when the model does not run on them, CorruptFile for results that cannot be, RunnerCrashed when a
    launch brings nothing, DeviceError; what was brought stays in the folder.
    """
    found: dict[int, OutputLine] = {}

    def tick(pulse: Pulse) -> None:
        on_progress(Progress(0, len(found) + pulse.visits, given.count, 0, None, pulse.waiting, evaluating=True))

    for request in _begun(folder, name):
        if not request.results.exists():
            device.recover(request, tick)
        if not request.results.exists():
            # What comes later would be about inputs that others have run by then.
            files.write_atomically(request.results, b"")
        _take(found, request, given)
    while len(found) < given.count:
        request = _planned(device, given, engaged, folder, name, len(found))
        tick(Pulse(0))
        before = len(found)
        device.launch(request, tick)
        result = _take(found, request, given)
        if result.failures:
            failure = result.failures[0]
            raise ModelError(f"The model does not run on {device.name}: {failure.stage}: {failure.message}.")
        if len(found) == before:
            raise RunnerCrashed(
                f"The evaluation on {device.name} brought no result.", hint=f"The logs are in {folder}."
            )
    lines = [found[number] for number in range(given.count)]
    return Outputs(np.array([line.places for line in lines]), np.array([line.values for line in lines]))


def _begun(folder: Path, name: str) -> Iterator[LaunchRequest]:
    for number in itertools.count():
        plan = folder / f"{name}-{number}.plan.json"
        if not plan.exists():
            return
        yield _request(plan)


def _request(plan: Path) -> LaunchRequest:
    results = plan.with_name(f"{plan.name.removesuffix('.plan.json')}.results.jsonl")
    return LaunchRequest(plan, results, _DEADLINE_S)


def _planned(device: Device, given: Given, engaged: Engaged, folder: Path, name: str, first: int) -> LaunchRequest:
    """The plan of the next launch, written."""
    number = sum(1 for _ in _begun(folder, name))
    fitting = max(int(_LAUNCH_S * 1e6 / engaged.latency_us), 1)
    plan = Plan(
        launch=number,
        run_pass="evaluate",
        engine=engaged.engine,
        delegate=engaged.delegate,
        threads=engaged.threads,
        cores=device.choose_cores(engaged.threads, engaged.cores),
        seed=0,
        jobs=(Job("model", given.model, given.model_sha256, rounds=0),),
        deadline_s=_DEADLINE_S,
        memory_budget_bytes=2 * device.memory_budget_bytes(),
        parent_pid=device.parent_pid(),
        evaluation=Evaluation(
            given.inputs, given.inputs_sha256, first, min(given.count - first, fitting), min(given.top, given.outputs)
        ),
    )
    path = folder / f"{name}-{number}.plan.json"
    files.write_atomically(path, msgspec.json.encode(plan))
    return _request(path)


def _take(found: dict[int, OutputLine], request: LaunchRequest, given: Given) -> LaunchResult:
    """Adds what a launch has brought. Raises CorruptFile."""
    try:
        plan = msgspec.json.decode(files.read(request.plan), type=Plan)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptFile(f"{request.plan} is no plan: {error}.", hint="Evaluate anew with --overwrite.") from error
    result = read_results(request.results, plan.launch, plan.rounds)
    for line in result.of(OutputLine):
        if line.input != len(found) or not _possible(line, min(given.top, given.outputs), given.outputs):
            raise CorruptFile(
                f"{request.results} has an output that cannot be, for input {line.input}.",
                hint="Evaluate anew with --overwrite.",
            )
        found[line.input] = line
    return result


def _possible(line: OutputLine, top: int, outputs: int) -> bool:
    """Whether an output has the wanted elements: different places of the output, finite, the largest first."""
    places, values = line.places, line.values
    return (
        len(places) == len(values) == top == len(set(places))
        and all(0 <= place < outputs for place in places)
        and all(map(math.isfinite, values))
        and list(values) == sorted(values, reverse=True)
    )
