"""The device's side of one ADB connection: its handshake, and the streams that share it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from tests.phone.faults import Faults
from tests.phone.wire import MOST_PAYLOAD_BYTES, VERSION, Auth, Command, Message, packed, read_message


class Owner(Protocol):
    """What a connection asks of the device that it belongs to."""

    faults: Faults
    banner: bytes

    async def serve(self, stream: Stream, service: str) -> None: ...

    def received(self, size: int) -> None: ...

    def sent(self, size: int) -> None: ...


class Stream:
    """One service that the host has opened. Either side sends one message and waits until the other has taken it."""

    def __init__(self, send: Callable[[Message], Awaitable[None]], number: int, peer: int) -> None:
        self._send = send
        self._number = number
        self._peer = peer
        self._accepted = False
        self._taken = asyncio.Event()
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self._rest = b""
        self.closed = False

    async def accept(self) -> None:
        """Tells the host that the service is there."""
        self._accepted = True
        await self._send(Message(Command.OKAY, self._number, self._peer))
        self._taken.set()

    async def write(self, payload: bytes) -> None:
        """Sends bytes. Raises ConnectionError if the host has closed the stream."""
        for start in range(0, len(payload), MOST_PAYLOAD_BYTES):
            await self._taken.wait()
            if self.closed:
                raise ConnectionError("the host has closed the stream")
            self._taken.clear()
            part = payload[start : start + MOST_PAYLOAD_BYTES]
            await self._send(Message(Command.WRTE, self._number, self._peer, part))

    async def flushed(self) -> None:
        """Returns when the host has taken all that was written, or is gone."""
        await self._taken.wait()

    async def read(self) -> bytes:
        """What the host sends next; nothing at the end."""
        if self.closed and self._incoming.empty():
            return b""
        payload = await self._incoming.get()
        if payload:
            await self._send(Message(Command.OKAY, self._number, self._peer))
        return payload

    async def read_exactly(self, size: int) -> bytes:
        """The next `size` bytes. Raises EOFError at the end."""
        parts = [self._rest]
        have = len(self._rest)
        while have < size:
            payload = await self.read()
            if not payload:
                raise EOFError
            parts.append(payload)
            have += len(payload)
        joined = b"".join(parts)
        self._rest = joined[size:]
        return joined[:size]

    async def close(self) -> None:
        """Tells the host that the service has ended, or that there is none."""
        if not self.closed:
            self.ended()
            await self._send(Message(Command.CLSE, self._number if self._accepted else 0, self._peer))

    def taken(self) -> None:
        """The host has taken the last message."""
        self._taken.set()

    def put(self, payload: bytes) -> None:
        """The host has sent bytes."""
        self._incoming.put_nowait(payload)

    def ended(self) -> None:
        """No more comes or goes."""
        self.closed = True
        self._taken.set()
        self._incoming.put_nowait(b"")


class Connection:
    """A host that is connected, from its first message until either side goes away."""

    def __init__(self, owner: Owner, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._owner = owner
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()
        self._streams: dict[int, Stream] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._opened = 0
        self._token = os.urandom(20)

    async def run(self) -> None:
        """Serves until the connection ends; its services end with it."""
        try:
            while True:
                message = await read_message(self._reader)
                await self._slowly(len(message.payload))
                self._owner.received(len(message.payload))
                if not self._owner.faults.offline:
                    await self._handle(message)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for stream in self._streams.values():
                stream.ended()
            for task in self._tasks:
                task.cancel()
            self._writer.close()

    def drop(self) -> None:
        """Cuts the connection without a word."""
        self._writer.transport.abort()

    async def _handle(self, message: Message) -> None:
        match message.command:
            case Command.CNXN | Command.AUTH:
                await self._greet(message)
            case Command.OPEN:
                self._open(message)
            case Command.OKAY:
                if stream := self._streams.get(message.second):
                    stream.taken()
            case Command.WRTE:
                if stream := self._streams.get(message.second):
                    stream.put(message.payload)
                else:
                    await self._send(Message(Command.CLSE, 0, message.first))
            case Command.CLSE:
                if stream := self._streams.pop(message.second, None):
                    await stream.close()

    async def _greet(self, message: Message) -> None:
        """A phone that trusts the computer answers with its banner, another with a token for the computer to sign."""
        policy = self._owner.faults.auth
        offered = message.command is Command.AUTH and message.first == Auth.PUBLIC_KEY
        if policy == "none" or (offered and policy == "accept"):
            await self._send(Message(Command.CNXN, VERSION, MOST_PAYLOAD_BYTES, self._owner.banner))
        elif not offered:
            await self._send(Message(Command.AUTH, Auth.TOKEN, 0, self._token))

    def _open(self, message: Message) -> None:
        self._opened += 1
        number = self._opened
        stream = self._streams[number] = Stream(self._send, number, message.first)
        service = message.payload.rstrip(b"\0").decode("utf-8", "surrogateescape")
        task = asyncio.create_task(self._serve(stream, service, number))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, stream: Stream, service: str, number: int) -> None:
        try:
            with suppress(ConnectionError, EOFError):
                await self._owner.serve(stream, service)
        finally:
            with suppress(ConnectionError):
                await stream.close()
            self._streams.pop(number, None)

    async def _send(self, message: Message) -> None:
        await self._slowly(len(message.payload))
        async with self._turn:
            self._writer.write(packed(message))
            await self._writer.drain()
        self._owner.sent(len(message.payload))

    async def _slowly(self, size: int) -> None:
        if (rate := self._owner.faults.bytes_per_s) and size:
            await asyncio.sleep(size / rate)
