"""ADB's file service, as in AOSP's file_sync_protocol.h: one process a session, inside the phone and as its user.

The kernel itself decides what may be read and written there, so what is refused and why is what a phone says.
"""

from __future__ import annotations

import ctypes
import os
import socket
import stat
import struct
import sys
from collections.abc import Callable
from typing import Protocol

SHELL_UID = 2000
_MOST_DATA_BYTES = 64 << 10
_NEW_FILE_NAMESPACE = 0x00020000
_STAT_2 = struct.Struct("<IQQIIIIQqqq")
_WORD = struct.Struct("<I")


class _Pipe(Protocol):
    """The session's two directions."""

    def read(self, size: int) -> bytes: ...

    def write(self, data: bytes) -> object: ...

    def flush(self) -> None: ...


class Session:
    """The requests of one `sync:` service, answered until QUIT or the end."""

    def __init__(self, pipe: _Pipe) -> None:
        self._pipe = pipe

    def run(self) -> None:
        try:
            while (header := self._pipe.read(8)) and header[:4] != b"QUIT":
                name = os.fsdecode(self._exactly(_WORD.unpack(header[4:])[0]))
                self._answer(header[:4], name)
                self._pipe.flush()
        except (EOFError, ConnectionError):
            pass

    def _answer(self, request: bytes, name: str) -> None:
        match request:
            case b"STAT":
                self._pipe.write(b"STAT" + _old_stat(_found(name, follow=False)))
            case b"STA2" | b"LST2":
                self._pipe.write(request + _new_stat(_found(name, follow=request == b"STA2")))
            case b"LIST" | b"LIS2":
                self._list(name, new=request == b"LIS2")
            case b"SEND":
                path, _, mode = name.rpartition(",")
                self._receive(path, int(mode))
            case b"SND2":
                mode = struct.unpack("<4sII", self._exactly(12))[1]
                self._receive(name, mode)
            case b"RECV":
                self._send(name)
            case b"RCV2":
                self._exactly(8)
                self._send(name)
            case _:
                self._fail(f"unknown command {request!r}")
                raise EOFError

    def _list(self, folder: str, *, new: bool) -> None:
        try:
            names = sorted(os.listdir(folder))
        except OSError:
            names = []
        for name in names:
            status = _found(os.path.join(folder, name), follow=False)
            raw = os.fsencode(name)
            head = b"DNT2" + _new_stat(status) if new else b"DENT" + _old_stat(status)
            self._pipe.write(head + _WORD.pack(len(raw)) + raw)
        self._pipe.write(b"DONE" + bytes(_STAT_2.size + 4 if new else 16))

    def _send(self, path: str) -> None:
        try:
            with open(path, "rb") as file:
                while data := file.read(_MOST_DATA_BYTES):
                    self._pipe.write(b"DATA" + _WORD.pack(len(data)) + data)
        except OSError as error:
            self._fail(f"open failed: {error.strerror}")
            return
        self._pipe.write(b"DONE" + bytes(4))

    def _receive(self, path: str, mode: int) -> None:
        """Takes a file, or a link's target, to its end even if it cannot be kept; then says how it went."""
        refusal = self._receive_link(path) if stat.S_ISLNK(mode) else self._receive_file(path, mode & 0o777)
        if refusal is None:
            self._pipe.write(b"OKAY" + bytes(4))
        else:
            self._fail(refusal)

    def _receive_link(self, path: str) -> str | None:
        target: list[bytes] = []
        self._take(target.append)
        try:
            _make_way(path)
            os.symlink(b"".join(target).rstrip(b"\0"), path)
        except OSError as error:
            return f"couldn't create file: {error.strerror}"
        return None

    def _receive_file(self, path: str, mode: int) -> str | None:
        try:
            _make_way(path)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        except OSError as error:
            self._take(None)
            return f"couldn't create file: {error.strerror}"
        try:
            os.fchmod(file, mode)
            modified = self._take(lambda data: _write_all(file, data))
        except OSError as error:
            os.unlink(path)
            self._take(None)
            return f"write failed: {error.strerror}"
        finally:
            os.close(file)
        os.utime(path, (modified, modified))
        return None

    def _take(self, keep: Callable[[bytes], object] | None) -> int:
        """Reads the data of a file up to its modification time, which it returns."""
        while True:
            kind, number = struct.unpack("<4sI", self._exactly(8))
            if kind == b"DONE":
                return int(number)
            if kind != b"DATA" or number > _MOST_DATA_BYTES:
                self._fail("oversize data message")
                raise EOFError
            data = self._exactly(number)
            if keep is not None:
                keep(data)

    def _fail(self, reason: str) -> None:
        raw = reason.encode()
        self._pipe.write(b"FAIL" + _WORD.pack(len(raw)) + raw)

    def _exactly(self, size: int) -> bytes:
        data = self._pipe.read(size)
        if len(data) < size:
            raise EOFError
        return data


def _make_way(path: str) -> None:
    """Makes the folder of a file that is to come, and removes the file that is there."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.lexists(path):
        os.unlink(path)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _found(path: str, *, follow: bool) -> os.stat_result | int:
    """What is at a path, or the number of the error."""
    try:
        return os.stat(path, follow_symlinks=follow)
    except OSError as error:
        return error.errno or 0


def _old_stat(found: os.stat_result | int) -> bytes:
    if isinstance(found, int):
        return bytes(12)
    return struct.pack("<III", found.st_mode, min(found.st_size, 0xFFFFFFFF), int(found.st_mtime))


def _new_stat(found: os.stat_result | int) -> bytes:
    if isinstance(found, int):
        return _STAT_2.pack(found, *([0] * 10))
    return _STAT_2.pack(
        0, found.st_dev, found.st_ino, found.st_mode, found.st_nlink, found.st_uid, found.st_gid, found.st_size,
        int(found.st_atime), int(found.st_mtime), int(found.st_ctime),
    )  # fmt: skip


def enter(root: str, process: int) -> None:
    """Makes this process one of the phone's: its mounts are those of `process`, its root is `root`, its user shell."""
    with open(f"/proc/{process}/ns/mnt", "rb") as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _NEW_FILE_NAMESPACE) != 0:
            raise OSError(ctypes.get_errno(), "setns")
    os.chroot(root)
    os.chdir("/")
    os.setgroups([])
    os.setgid(SHELL_UID)
    os.setuid(SHELL_UID)
    os.umask(0o002)


def main() -> None:
    """`python -m tests.phone.sync ROOT PROCESS`, with the session's socket as standard input."""
    session = socket.socket(fileno=0)
    enter(sys.argv[1], int(sys.argv[2]))
    with session.makefile("rwb") as pipe:
        Session(pipe).run()


if __name__ == "__main__":
    main()
