"""Commands on this computer, each in a session of its own: to their end within limits, or as a stream of lines."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import IO

from hwbench.devices.exit_codes import shell_code
from hwbench.devices.transport import OUTPUT_LIMIT_BYTES
from hwbench.errors import DeviceError, DeviceTimeout

_PIECE_BYTES = 1 << 16
_ENDING_S = 1.0


class Collected:
    """Pieces of the output of `what`, together no more than OUTPUT_LIMIT_BYTES."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._pieces: list[bytes] = []
        self._room = OUTPUT_LIMIT_BYTES

    def take(self, piece: bytes) -> None:
        self._room -= len(piece)
        if self._room < 0:
            raise DeviceError(f"{self._what} printed more than {OUTPUT_LIMIT_BYTES >> 20} MiB, and was ended.")
        self._pieces.append(piece)

    @property
    def data(self) -> bytes:
        return b"".join(self._pieces)


def converse(
    command: Sequence[str],
    *,
    feed: Iterable[bytes],
    take: Callable[[bytes], None],
    what: str,
    timeout_s: float = float("inf"),
    silence_s: float = float("inf"),
) -> tuple[int, bytes]:
    """Runs a command to its end and returns its code, as a shell gives it, and its standard error.

    `feed` goes to its standard input, `take` gets its standard output piece by piece. Raises DeviceTimeout, which
    begins with `what`, when it takes longer than `timeout_s` or nothing moves for `silence_s`. Whatever ends it early,
    its session is killed.
    """
    stderr = Collected(what)
    with _started(command) as process:
        try:
            if not _pump(process, filter(None, feed), take, stderr.take, time.monotonic() + timeout_s, silence_s):
                late = "did not end within" if timeout_s < silence_s else "did not move on for"
                raise DeviceTimeout(f"{what} {late} {min(timeout_s, silence_s):g} s, and was ended.")
        except BaseException:
            _kill_session(process)
            raise
    return shell_code(process.returncode), stderr.data


def _started(command: Sequence[str], stderr: int | IO[bytes] = subprocess.PIPE) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            bufsize=0, cwd="/", start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise DeviceError(f"{command[0]} cannot be started: {error.strerror}.") from error


def _kill_session(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _pump(
    process: subprocess.Popen[bytes],
    feed: Iterator[bytes],
    take_output: Callable[[bytes], None],
    take_error: Callable[[bytes], None],
    deadline: float,
    silence_s: float,
) -> bool:
    """Moves data until the process has ended; False when that takes too long."""
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    pending = b""
    takers = {process.stdout: take_output, process.stderr: take_error}
    os.set_blocking(process.stdin.fileno(), False)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdin, selectors.EVENT_WRITE)
        for output in takers:
            selector.register(output, selectors.EVENT_READ)
        while takers:
            ready = selector.select(_patience(deadline, silence_s))
            if not ready or time.monotonic() > deadline:
                return False
            for key, _ in ready:
                if key.fileobj is process.stdin:
                    try:
                        pending = _unwritten(process.stdin, pending) or next(feed, b"")
                    except BrokenPipeError:
                        pending = b""  # It reads no further: it has had enough.
                    if not pending:
                        selector.unregister(process.stdin)
                        process.stdin.close()
                    continue
                piece = os.read(key.fd, _PIECE_BYTES)
                output = process.stdout if key.fileobj is process.stdout else process.stderr
                if piece:
                    takers[output](piece)
                else:
                    selector.unregister(output)
                    del takers[output]
    try:
        process.wait(_patience(deadline, silence_s))
    except subprocess.TimeoutExpired:
        return False
    return True


def _unwritten(stdin: IO[bytes], data: bytes) -> bytes:
    """What of `data` does not fit into the pipe now."""
    try:
        return data[os.write(stdin.fileno(), data) :] if data else b""
    except BlockingIOError:
        return data


def _patience(deadline: float, silence_s: float) -> float | None:
    patience = min(deadline - time.monotonic(), silence_s)
    return None if patience == float("inf") else max(patience, 0.0)


class ProcessStream:
    """A running command's standard output line by line. A last line needs no end."""

    def __init__(self, command: Sequence[str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = _started(command, self._errors)
        self._buffer = b""
        self._ended = False

    def read_line(self, timeout_s: float) -> bytes | None:
        deadline = time.monotonic() + timeout_s
        assert self._process.stdout is not None
        poller = select.poll()
        poller.register(self._process.stdout, select.POLLIN)
        while b"\n" not in self._buffer and not self._ended:
            if not poller.poll(max(deadline - time.monotonic(), 0.0) * 1000):
                raise DeviceTimeout(f"No line came within {timeout_s:g} s.")
            piece = os.read(self._process.stdout.fileno(), _PIECE_BYTES)
            self._buffer += piece
            self._ended = not piece
            if len(self._buffer) > OUTPUT_LIMIT_BYTES and b"\n" not in self._buffer:
                raise DeviceError(f"A line is longer than {OUTPUT_LIMIT_BYTES >> 20} MiB.")
        if not self._buffer:
            self.wait(_ENDING_S)
            return None
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    @property
    def code(self) -> int | None:
        returncode = self._process.poll()
        return None if returncode is None else shell_code(returncode)

    def wait(self, timeout_s: float) -> int | None:
        """The code of a command that ends now or soon; None if it does not."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self.code

    @property
    def errors(self) -> bytes:
        """What it has printed on standard error, the first 64 KiB; nothing once it is closed."""
        return b"" if self._errors.closed else os.pread(self._errors.fileno(), _PIECE_BYTES, 0)

    def kill(self) -> None:
        """Ends the command and what is in its session."""
        if self._process.poll() is None:
            _kill_session(self._process)
            self._process.wait()
        self.close()

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._errors.close()
        if self._process.poll() is None:
            # It may go on for as long as it wants; something must take its exit status in the end.
            threading.Thread(target=self._process.wait, daemon=True).start()

    def __enter__(self) -> ProcessStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
