"""A reader of pickles that cannot execute anything: it knows data opcodes and four harmless names.

Admitted are numbers, text, bytes, lists, tuples, dicts; `collections.OrderedDict` (becomes a dict) and numpy scalars
(become numbers). Nothing is imported and nothing is called, whatever the bytes say. Work and memory are
proportional to the file: an index into the memo must not exceed the number of opcodes, keys are text or whole numbers.
A `.pt` file is a zip archive that stores, uncompressed, one such pickle; compressed members are refused, since a small
one can unpack to any size.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import msgspec

from hwbench.errors import DataError

_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
_HIGHEST_PROTOCOL = 5
_LONGEST_INTEGER = 16
_MOST_MEMBERS = 64

_Name: TypeAlias = Literal["dict", "scalar", "dtype", "encode"]
_NAMES: dict[tuple[str, str], _Name] = {
    ("collections", "OrderedDict"): "dict",
    ("numpy.core.multiarray", "scalar"): "scalar",
    ("numpy._core.multiarray", "scalar"): "scalar",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
}
# Struct codes of numpy's scalar types, little-endian.
_SCALARS = {"i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q", "f4": "f",
            "f8": "d", "b1": "?"}  # fmt: skip


class _Admitted(msgspec.Struct, frozen=True):
    """A name that may be called: in words, not as the function it stands for."""

    name: _Name


class _Dtype(msgspec.Struct, frozen=True):
    code: str


class _Mark(msgspec.Struct, frozen=True):
    pass


class Refusal(Exception):
    """Why a pickle is not read."""


def is_pickle(data: bytes) -> bool:
    """Whether the bytes look like a binary pickle or an archive that may hold one."""
    return data[:1] == _PICKLE or data[:4] == _ZIP


def load(data: bytes, name: str) -> Any:
    """The value of a pickle or `.pt` archive. Raises DataError naming the file and what it holds beyond data."""
    try:
        return _Machine(_member(data) if data[:4] == _ZIP else data).run()
    except Refusal as error:
        raise DataError(f"{name} is refused: {error}. Nothing of it was run.") from error
    except (IndexError, struct.error, ValueError, TypeError, KeyError, OverflowError) as error:
        raise DataError(f"{name} is not a readable pickle: {type(error).__name__}.") from error


def _member(data: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > _MOST_MEMBERS:
                raise Refusal(f"its archive has {len(members)} members")
            found = [member for member in members if member.filename.endswith("/data.pkl")]
            if len(found) != 1:
                raise Refusal("its archive does not hold exactly one data.pkl")
            if found[0].compress_type != zipfile.ZIP_STORED or found[0].file_size > len(data):
                raise Refusal("its data.pkl is compressed")
            return archive.read(found[0])
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, UnicodeDecodeError) as error:
        raise Refusal(f"its archive is damaged ({type(error).__name__})") from error


class _Machine:
    """The stack machine of a pickle, for data alone."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._steps = 0

    def run(self) -> Any:
        table = _OPCODES
        data = self._data
        while True:
            code = data[self._at]
            self._at += 1
            self._steps += 1
            if code == _STOP:
                (value,) = self._stack
                if isinstance(value, _Admitted | _Dtype | _Mark):
                    raise Refusal("it holds no data")
                return value
            operation = table.get(code)
            if operation is None:
                raise Refusal(f"it uses the pickle instruction {bytes([code])!r}")
            operation(self)

    def take(self, count: int) -> bytes:
        if count < 0 or self._at + count > len(self._data):
            raise IndexError
        found = self._data[self._at : self._at + count]
        self._at += count
        return found

    def unsigned(self, width: int) -> int:
        return int.from_bytes(self.take(width), "little")

    def line(self) -> str:
        end = self._data.index(b"\n", self._at)
        found = self._data[self._at : end]
        self._at = end + 1
        return found.decode("ascii")

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        found = self._stack.pop()
        if isinstance(found, _Mark):
            raise IndexError
        return found

    def pop_to_mark(self) -> list[Any]:
        at = len(self._stack) - 1
        while not isinstance(self._stack[at], _Mark):
            at -= 1
            if at < 0:
                raise IndexError
        found = self._stack[at + 1 :]
        del self._stack[at:]
        return found

    def remember(self, index: int) -> None:
        if index > self._steps:
            raise Refusal("an index into its memo is out of proportion")
        self._memo[index] = self._stack[-1]

    def recall(self, index: int) -> None:
        self.push(self._memo[index])

    def integer(self, width: int) -> None:
        if width > _LONGEST_INTEGER:
            raise Refusal(f"it holds an integer of {width} bytes")
        self.push(int.from_bytes(self.take(width), "little", signed=True))

    def tuple_of(self, count: int) -> None:
        items = [self.pop() for _ in range(count)]
        self.push(tuple(reversed(items)))

    def append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise TypeError
        target.extend(values)

    def set_items(self, flat: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(flat) % 2:
            raise TypeError
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            if type(key) not in (str, int):
                raise Refusal(f"a key of a dict is a {type(key).__name__.lstrip('_')}")
            target[key] = value

    def name(self, module: str, attribute: str) -> None:
        if (module, attribute) not in _NAMES:
            raise Refusal(f"it asks for {module[:60]}.{attribute[:60]}")
        self.push(_Admitted(_NAMES[module, attribute]))

    def reduce(self) -> None:
        arguments = self.pop()
        function = self.pop()
        if not isinstance(function, _Admitted) or type(arguments) is not tuple:
            raise Refusal("it calls what is no name")
        match function.name, arguments:
            case "dict", ():
                self.push({})
            case "encode", (str() as text, "latin1"):
                self.push(text.encode("latin1"))
            case "dtype", (str() as code, *_):
                if code not in _SCALARS:
                    raise Refusal(f"it holds numpy's type {code[:20]!r}")
                self.push(_Dtype(code))
            case "scalar", (_Dtype() as dtype, bytes() as raw):
                (value,) = struct.unpack("<" + _SCALARS[dtype.code], raw)
                self.push(value)
            case _:
                raise Refusal(f"it calls {function.name} with arguments that are not data")

    def build(self) -> None:
        state = self.pop()
        # numpy says the byte order of a type in its state; the others have none.
        if not isinstance(self._stack[-1], _Dtype) or type(state) is not tuple or state[1] not in ("<", "|"):
            raise Refusal("it sets the state of an object")


_STOP = ord(".")


def _text(width: int) -> Callable[[_Machine], None]:
    def operation(machine: _Machine) -> None:
        machine.push(machine.take(machine.unsigned(width)).decode())

    return operation


def _bytes(width: int) -> Callable[[_Machine], None]:
    def operation(machine: _Machine) -> None:
        machine.push(machine.take(machine.unsigned(width)))

    return operation


def _global(machine: _Machine) -> None:
    module = machine.line()
    machine.name(module, machine.line())


def _stack_global(machine: _Machine) -> None:
    attribute = machine.pop()
    machine.name(str(machine.pop()), str(attribute))


def _protocol(machine: _Machine) -> None:
    if machine.unsigned(1) > _HIGHEST_PROTOCOL:
        raise Refusal("its protocol is unknown")


def _frame(machine: _Machine) -> None:
    machine.take(8)


def _set_item(machine: _Machine) -> None:
    value = machine.pop()
    machine.set_items([machine.pop(), value])


_OPCODES: dict[int, Callable[[_Machine], None]] = {
    0x80: _protocol,
    0x95: _frame,
    ord("("): lambda m: m.push(_Mark()),
    ord("}"): lambda m: m.push({}),
    ord("]"): lambda m: m.push([]),
    ord(")"): lambda m: m.push(()),
    ord("N"): lambda m: m.push(None),
    0x88: lambda m: m.push(True),
    0x89: lambda m: m.push(False),
    ord("J"): lambda m: m.integer(4),
    ord("K"): lambda m: m.push(m.unsigned(1)),
    ord("M"): lambda m: m.push(m.unsigned(2)),
    0x8A: lambda m: m.integer(m.unsigned(1)),
    ord("G"): lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    ord("X"): _text(4),
    0x8C: _text(1),
    ord("C"): _bytes(1),
    ord("B"): _bytes(4),
    ord("q"): lambda m: m.remember(m.unsigned(1)),
    ord("r"): lambda m: m.remember(m.unsigned(4)),
    0x94: lambda m: m.remember(len(m._memo)),
    ord("h"): lambda m: m.recall(m.unsigned(1)),
    ord("j"): lambda m: m.recall(m.unsigned(4)),
    ord("t"): lambda m: m.push(tuple(m.pop_to_mark())),
    0x85: lambda m: m.tuple_of(1),
    0x86: lambda m: m.tuple_of(2),
    0x87: lambda m: m.tuple_of(3),
    ord("a"): lambda m: m.append([m.pop()]),
    ord("e"): lambda m: m.append(m.pop_to_mark()),
    ord("s"): _set_item,
    ord("u"): lambda m: m.set_items(m.pop_to_mark()),
    ord("c"): _global,
    0x93: _stack_global,
    ord("R"): lambda m: m.reduce(),
    ord("b"): lambda m: m.build(),
}
