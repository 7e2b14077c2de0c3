"""Evaluation on a Ray cluster, as an executor like any other. Needs the extra `cluster`.

ray.init(address="auto")
with RayExecutor() as executor:
    hwbench.find_architectures(space, limits, score=score, method="evolution", executor=executor)
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from hwbench.errors import UsageError

try:
    import ray
except ImportError as error:
    raise UsageError("Evaluating on a cluster needs Ray.", hint="pip install 'hwbench[cluster]'") from error

T = TypeVar("T")


class RayExecutor(Executor):
    """Every call is a Ray task that asks for so many cores and GPUs. Ray must be running: `ray.init()` is the caller's.

    A worker that dies makes its call fail once Ray's own retries are used up.
    """

    def __init__(self, cores: float = 1.0, gpus: float = 0.0) -> None:
        if not ray.is_initialized():
            raise UsageError("Ray is not running.", hint="Call ray.init() first.")
        self._run = ray.remote(num_cpus=cores, num_gpus=gpus)(_call)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        found: Future[T] = self._run.remote(fn, args, kwargs).future()
        return found


def _call(fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]) -> T:
    return fn(*args, **kwargs)
