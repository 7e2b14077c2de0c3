"""ADB's shell services: a process in the phone, its input and output packed as the host has asked for."""

from __future__ import annotations

import asyncio
import os
import signal
import struct
from collections.abc import Sequence
from contextlib import suppress
from enum import IntEnum

from tests.phone.connection import Stream
from tests.phone.namespaces import ENVIRONMENT, SHELL, children

_PACKET = struct.Struct("<BI")
_READ_BYTES = 64 << 10


class Packet(IntEnum):
    """What a packet of the shell protocol, version 2, carries."""

    STDIN = 0
    STDOUT = 1
    STDERR = 2
    EXIT = 3
    CLOSE_STDIN = 4


async def run_shell(stream: Stream, command: Sequence[str], *, packets: bool) -> None:
    """Runs a command to its end, or until the host goes away; then, as adbd does, only its first process is told.

    Without packets (version 1) standard error is mixed with the output and nothing says how the command ended.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE if packets else asyncio.subprocess.STDOUT,
        env=ENVIRONMENT,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    feeder = asyncio.create_task(_feed(stream, process, packets=packets))
    try:
        outputs = [_forward(stream, process.stdout, Packet.STDOUT if packets else None)]
        if process.stderr is not None:
            outputs.append(_forward(stream, process.stderr, Packet.STDERR))
        await asyncio.gather(*outputs)
        code = await process.wait()
        if packets:
            await stream.write(_PACKET.pack(Packet.EXIT, 1) + bytes([code & 255 if code >= 0 else 128 - code]))
            await stream.flushed()
    finally:
        feeder.cancel()
        _hang_up(process)


def shell_words(command: str) -> list[str]:
    """The words that run a command line in the phone's shell, or the shell itself."""
    return [SHELL, "-c", command] if command else [SHELL]


async def _forward(stream: Stream, pipe: asyncio.StreamReader, kind: Packet | None) -> None:
    while data := await pipe.read(_READ_BYTES):
        await stream.write(data if kind is None else _PACKET.pack(kind, len(data)) + data)


async def _feed(stream: Stream, process: asyncio.subprocess.Process, *, packets: bool) -> None:
    """Passes the host's bytes on until it goes away."""
    assert process.stdin is not None
    with suppress(EOFError, ConnectionError):
        while True:
            if packets:
                kind, size = _PACKET.unpack(await stream.read_exactly(_PACKET.size))
                data = await stream.read_exactly(size)
            else:
                kind, data = Packet.STDIN, await stream.read()
                if not data:
                    break
            if kind == Packet.CLOSE_STDIN:
                process.stdin.close()
            elif kind == Packet.STDIN:
                with suppress(BrokenPipeError, ConnectionResetError):  # The command may have stopped reading.
                    process.stdin.write(data)
                    await process.stdin.drain()
    _hang_up(process)


def _hang_up(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        for shell in children(process.pid) or [process.pid]:
            with suppress(ProcessLookupError):
                os.kill(shell, signal.SIGHUP)
