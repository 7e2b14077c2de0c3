"""Ranges of activations for int8, found by running the fp32 model on sample inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hwbench.models.litert import Range, write_model
from hwbench.models.weights import Weights
from hwbench.spaces.ops import INPUT
from hwbench.spaces.space import NamedBlock


def seeded_inputs(shape: Sequence[int], count: int, seed: int) -> NDArray[np.float32]:
    """`count` standard normal inputs, shape (count, height, width, channels)."""
    return np.random.default_rng(seed).standard_normal((count, *shape), dtype=np.float32)


def activation_ranges(network: Sequence[NamedBlock], weights: Weights, inputs: NDArray[np.float32]) -> dict[str, Range]:
    """(lowest, highest) of the input and of every op's output over `inputs` (n, height, width, channels)."""
    from ai_edge_litert.interpreter import Interpreter

    model = write_model(network, weights, every_output=True)
    interpreter = Interpreter(model_content=model.data, num_threads=1)
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    details = interpreter.get_output_details()
    lows = np.full(len(details), np.inf)
    highs = np.full(len(details), -np.inf)
    for sample in inputs:
        interpreter.set_tensor(source["index"], sample[None])
        interpreter.invoke()
        for row, detail in enumerate(details):
            values = interpreter.get_tensor(detail["index"])
            lows[row] = min(lows[row], values.min())
            highs[row] = max(highs[row], values.max())
    bounds = {name: (float(low), float(high)) for name, low, high in zip(model.outputs, lows, highs, strict=True)}
    return {INPUT: (float(inputs.min()), float(inputs.max())), **bounds}
