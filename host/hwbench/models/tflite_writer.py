"""The .tflite container: tensors, operators and buffers of one subgraph, serialised with flatbuffers.

The schema is the generated one inside ai-edge-litert (TensorFlow Lite schema version 3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import msgspec
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

_FILE_IDENTIFIER = b"TFL3"
_LARGEST_DEPRECATED_CODE = 127
_TYPES = {
    np.dtype(np.float32): schema.TensorType.FLOAT32,
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}


class Quantization(msgspec.Struct, frozen=True):
    """real = scale * (stored - zero_point); one scale, or one per index of `axis`."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0


class Tensor(msgspec.Struct, frozen=True):
    index: int
    shape: tuple[int, ...]
    quantization: Quantization | None


class TfliteWriter:
    """Collects one subgraph; `finish` returns the bytes of the file."""

    def __init__(self, description: str) -> None:
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.description = description.encode()
        self._model.operatorCodes = []
        self._model.buffers = [schema.BufferT()]
        self._graph = schema.SubGraphT()
        self._graph.name = b"main"
        self._graph.tensors = []
        self._graph.operators = []
        self._model.subgraphs = [self._graph]
        self._codes: dict[tuple[int, int], int] = {}

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: type[np.generic],
        quantization: Quantization | None = None,
        data: NDArray[Any] | None = None,
    ) -> Tensor:
        """Declares a tensor; with `data` it is a constant."""
        record = schema.TensorT()
        record.name = name.encode()
        record.shape = [int(size) for size in shape]
        record.hasRank = True
        record.type = _TYPES[np.dtype(dtype)]
        record.buffer = 0 if data is None else self._buffer(np.ascontiguousarray(data, dtype))
        if quantization is not None:
            record.quantization = schema.QuantizationParametersT()
            record.quantization.scale = list(quantization.scales)
            record.quantization.zeroPoint = list(quantization.zero_points)
            record.quantization.quantizedDimension = quantization.axis
        self._graph.tensors.append(record)
        return Tensor(len(self._graph.tensors) - 1, tuple(record.shape), quantization)

    def operator(
        self, code: int, version: int, inputs: Sequence[Tensor], output: Tensor, options: tuple[int, object] | None
    ) -> None:
        """Appends an operator; `options` is (BuiltinOptions number, options object)."""
        record = schema.OperatorT()
        record.opcodeIndex = self._operator_code(code, version)
        record.inputs = [tensor.index for tensor in inputs]
        record.outputs = [output.index]
        if options is not None:
            record.builtinOptionsType, record.builtinOptions = options
        self._graph.operators.append(record)

    def finish(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> bytes:
        self._graph.inputs = [tensor.index for tensor in inputs]
        self._graph.outputs = [tensor.index for tensor in outputs]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), _FILE_IDENTIFIER)
        return bytes(builder.Output())

    def _buffer(self, data: NDArray[Any]) -> int:
        record = schema.BufferT()
        record.data = np.frombuffer(data.tobytes(), np.uint8)
        self._model.buffers.append(record)
        return len(self._model.buffers) - 1

    def _operator_code(self, code: int, version: int) -> int:
        if (code, version) not in self._codes:
            record = schema.OperatorCodeT()
            # Readers older than schema 3a look at the deprecated field alone.
            record.deprecatedBuiltinCode = min(code, _LARGEST_DEPRECATED_CODE)
            record.builtinCode = code
            record.version = version
            self._codes[code, version] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(record)
        return self._codes[code, version]
