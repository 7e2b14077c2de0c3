"""The program of an export worker: tasks on stdin, answers on stdout, the noise of the libraries on stderr."""

from __future__ import annotations

import os
import pickle
import signal
import sys

from hwbench.errors import HwbenchError
from hwbench.models.executorch import PteFile, write_model
from hwbench.models.export_workers import Failure, Task


def main() -> None:
    # Ctrl-C goes to the whole process group; the parent ends its workers and says what happened.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Several workers share the cores.
    os.environ["OMP_NUM_THREADS"] = "1"
    while True:
        try:
            task = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(_answer(task), answers)
        answers.flush()


def _answer(task: Task) -> PteFile | Failure:
    try:
        import torch

        torch.set_num_threads(1)
        return write_model(task.job.network, task.job.weights, task.precision, task.job.images, task.delegate)
    except HwbenchError as error:
        return Failure(error.message, error.hint)
    except Exception as error:
        return Failure(f"{type(error).__name__}: {str(error)[:300]}.")


if __name__ == "__main__":
    main()
