"""The reader of pickles: plain data as pickle reads it, and nothing is ever run."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.errors import DataError
from hwbench.tables.formats import pickles
from tests.table_files import (
    torch_archive,
)


class Evil:
    """Pickles to a call of a function that writes a file."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def test_hostile_pickles_are_refused_before_anything_runs(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for value in (
            Evil(open, str(marker), "w"),
            [Evil(exec, f"open({str(marker)!r}, 'w')")],
            {"base": Evil(getattr, 1, "real")},
        ):
            data = pickle.dumps(value, protocol=protocol)
            for wrapped in (data, _archive(data)):
                with pytest.raises(DataError, match=r"Nothing of it was run|not a readable pickle"):
                    pickles.load(wrapped, "evil.pkl")
    assert not marker.exists()


def _archive(data: bytes, compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        archive.writestr("archive/data.pkl", data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_archive(b"\x80\x02" + b"]" * 10_000_000, zipfile.ZIP_DEFLATED), "compressed"),
        (torch_archive([1])[:-30], "damaged"),
        (b"PK\x03\x04", "damaged"),
        (b"\x80\x02]r\xff\xff\xff\xff.", "out of proportion"),
        (b"\x80\x02\x8a\xff" + b"\x01" * 255 + b".", "integer of 255 bytes"),
        (b"\x80\x02}K\x01K\x02\x86K\x03s.", "a key of a dict is a tuple"),
        (b"\x80\x02cos\nsystem\n.", "asks for os.system"),
        (b"\x80\x02cnumpy\ndtype\n.", "holds no data"),
        (b"\x80\x02c_codecs\nencode\nK\x01\x85R.", "arguments that are not data"),
        (b"\x80\x02]}b.", "sets the state"),
        (b"\x80\x02B\xff\xff\xff\x7f.", "not a readable pickle"),
        (b"\x80\x02", "not a readable pickle"),
        (b"\x80\x09.", "protocol"),
        (b"\x80\x02i", "instruction"),
    ],
)  # fmt: skip
def test_broken_pickles(data: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        pickles.load(data, "p.pkl")


scalars = st.none() | st.booleans() | st.integers(-(2**100), 2**100) | st.floats(allow_nan=False)


keys = st.text() | st.integers(-(2**60), 2**60)


plain = st.recursive(
    scalars | st.text(max_size=300) | st.binary(max_size=9),
    lambda inner: st.lists(inner) | st.dictionaries(keys, inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(plain, st.integers(3, 4))
def test_plain_data_is_read_as_pickle_reads_it(value: object, protocol: int) -> None:
    assert pickles.load(pickle.dumps(value, protocol=protocol), "p") == value


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int32, np.int64, np.float32, np.float64, np.bool_])
def test_numpy_scalars_become_numbers(kind: type[np.generic]) -> None:
    (found,) = pickles.load(pickle.dumps([kind(1)], protocol=2), "p")
    assert found == 1
    assert not isinstance(found, np.generic)
