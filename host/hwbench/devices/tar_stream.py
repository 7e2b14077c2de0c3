"""Files as a tar archive that is made while it is sent."""

from __future__ import annotations

import tarfile
import time
from collections.abc import Iterator, Sequence

from hwbench.devices.transport import PushFile
from hwbench.errors import DataError

_PIECE_BYTES = 1 << 18


def tar_stream(files: Sequence[PushFile]) -> Iterator[bytes]:
    """The archive piece by piece, names relative to `/`, in the format that every tar reads.

    Raises DataError for a file that cannot be read, or changes its size meanwhile.
    """
    for file in files:
        try:
            yield from _member(file)
        except OSError as error:
            raise DataError(f"{file.local} cannot be read: {error.strerror}.") from error
    yield bytes(2 * tarfile.BLOCKSIZE)


def _member(file: PushFile) -> Iterator[bytes]:
    with file.local.open("rb") as source:
        size = source.seek(0, 2)
        source.seek(0)
        head = tarfile.TarInfo(file.remote.lstrip("/"))
        head.size, head.mode, head.mtime = size, file.mode, int(time.time())
        yield head.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
        left = size
        while left and (piece := source.read(min(left, _PIECE_BYTES))):
            left -= len(piece)
            yield piece
        if left:
            raise DataError(f"{file.local} became shorter while it was sent.")
        yield bytes(-size % tarfile.BLOCKSIZE)
