"""The archive that files travel in, read back by another reader of tar."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwbench.devices.tar_stream import tar_stream
from hwbench.devices.transport import PushFile
from hwbench.errors import DataError

_PART = st.text(st.characters(exclude_characters="\0/", exclude_categories=["Cs"]), min_size=1, max_size=80)
_PATH = st.lists(_PART.filter(lambda part: part not in (".", "..")), min_size=1, max_size=5).map("/".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(_PATH, st.tuples(st.binary(max_size=2000), st.sampled_from([0o600, 0o644, 0o755])), max_size=4))
def test_what_goes_in_comes_out(tmp_path: Path, files: dict[str, tuple[bytes, int]]) -> None:
    pushed = []
    for number, (name, (data, mode)) in enumerate(files.items()):
        (tmp_path / str(number)).write_bytes(data)
        pushed.append(PushFile(tmp_path / str(number), f"/{name}", mode))
    archive = b"".join(tar_stream(pushed))
    assert len(archive) % tarfile.BLOCKSIZE == 0
    with tarfile.open(fileobj=io.BytesIO(archive), encoding="utf-8") as read:
        found = {member.name: (read.extractfile(member).read(), member.mode) for member in read}  # type: ignore[union-attr]
        assert all(member.isreg() and (member.uid, member.gid) == (0, 0) for member in read.getmembers())
    assert found == files


def test_a_large_file_comes_in_pieces(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(3 << 20))
    assert max(map(len, tar_stream([PushFile(tmp_path / "large", "/large")]))) <= 1 << 20


def test_a_file_that_shrinks_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(3 << 20))
    pieces = tar_stream([PushFile(tmp_path / "file", "/file")])
    next(pieces)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DataError, match="became shorter"):
        list(pieces)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Is a directory"):
        list(tar_stream([PushFile(tmp_path, "/file")]))
