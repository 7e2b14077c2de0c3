"""The device's ADB daemon of a virtual phone: `python -m tests.phone.daemon SETUP`, a process of its own.

Killing it is a phone dying: its connections break and every process in the phone ends.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import socket
import sys
import uuid
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from tests.phone.connection import Connection, Stream
from tests.phone.faults import NO_FAULTS, Do, Faults, Moment, Request, SetFaults
from tests.phone.files import new_boot
from tests.phone.heat import set_heat
from tests.phone.model import PhoneModel
from tests.phone.namespaces import Machine
from tests.phone.shell import run_shell, shell_words
from tests.phone.wire import banner

_FEATURES = (
    "shell_v2", "cmd", "stat_v2", "ls_v2", "fixed_push_mkdir", "apex", "abb", "fixed_push_symlink_timestamp",
    "abb_exec", "remount_shell", "sendrecv_v2",
)  # fmt: skip
_DOWN_S = 0.3
_SMALL_SEND_BUFFER = 64 << 10


class Setup(msgspec.Struct, frozen=True):
    """What a daemon starts from. `port` 0 takes a free one; `storage` is the process that holds the phone's mounts."""

    root: str
    storage: int
    services_file: str
    control_socket: str
    model: PhoneModel
    port: int = 0
    faults: Faults = NO_FAULTS


class Service(msgspec.Struct, frozen=True):
    """A service that a host has opened: one round trip. `kind` is shell, exec, abb_exec, sync, tcp, root, ..."""

    kind: str
    argument: str


class Device:
    """A phone that is on."""

    def __init__(self, setup: Setup) -> None:
        self.faults = setup.faults
        self.banner = banner(
            setup.model.properties(), tuple(f for f in _FEATURES if f != "shell_v2" or setup.model.shell_v2)
        )
        self._setup = setup
        self._root = Path(setup.root)
        self._port = setup.port
        self._machine: Machine | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()
        self._timers: list[asyncio.TimerHandle] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._services = self._received = self._sent = 0
        self._happened = False
        self._booting = asyncio.Lock()

    async def run(self) -> None:
        """Boots, says its port on standard output, and serves until it dies."""
        self._boot()
        await self.plug_in()
        control = await asyncio.start_unix_server(self._control, self._setup.control_socket)
        self._set_faults(self.faults)
        print(self._port, flush=True)
        async with control:
            await control.serve_forever()

    async def plug_in(self) -> None:
        """Listens, on the port that it had before; a phone that boots does so when it has booted."""
        async with self._booting:
            await self._listen()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port, limit=4 << 20)
            self._port = self._server.sockets[0].getsockname()[1]

    async def pull_cable(self) -> None:
        """Breaks the connections and takes no more; what runs in the phone runs on."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._drop()

    async def reboot(self) -> None:
        """Ends everything in the phone and boots it again, with its files."""
        async with self._booting:
            await self.pull_cable()
            if self._machine is not None:
                self._machine.stop()
            await asyncio.sleep(_DOWN_S)
            self._boot()
            await self._listen()

    async def serve(self, stream: Stream, service: str) -> None:
        """One service, to its end."""
        name, _, argument = service.partition(":")
        kind, *options = name.split(",")
        self._opened(kind, argument)
        match kind:
            case "shell" | "exec":
                await stream.accept()
                await run_shell(stream, self._inside(shell_words(argument)), packets="v2" in options)
            case "abb_exec":
                await stream.accept()
                command = shlex.join(["cmd", *argument.split("\0")])
                await run_shell(stream, self._inside(shell_words(f"exec {command}")), packets=False)
            case "sync":
                await stream.accept()
                await self._sync(stream)
            case "tcp":
                await self._forward(stream, int(argument))
            case "root" | "unroot" | "remount":
                await stream.accept()
                await stream.write(b"adbd cannot run as root in production builds\n")
            case "reboot":
                await stream.accept()
                self._start(self.reboot())
            case _:
                pass  # The stream is closed without having been accepted: "error: closed".

    def received(self, size: int) -> None:
        """Counts bytes from the host."""
        self._received += size
        self._check(_reached(self._received, self._moment.received_bytes))

    def sent(self, size: int) -> None:
        """Counts bytes to the host."""
        self._sent += size
        self._check(_reached(self._sent, self._moment.sent_bytes))

    def _opened(self, kind: str, argument: str) -> None:
        with open(self._setup.services_file, "ab") as file:
            file.write(msgspec.json.encode(Service(kind, argument.encode(errors="replace").decode())) + b"\n")
        self._services += 1
        named = self._moment.command is not None and kind != "sync" and self._moment.command in argument
        self._check(named or _reached(self._services, self._moment.service))

    @property
    def _moment(self) -> Moment:
        return self.faults.moment or Moment()

    def _check(self, due: bool) -> None:
        """Has the effect happen once, when it is due."""
        if due and not self._happened:
            self._happened = True
            if self._moment.delay_s == 0 and self.faults.effect == "die":
                self._die()
            self._later(self._moment.delay_s, lambda: self._start(self._do(Do(self.faults.effect, self.faults.victim))))

    def _later(self, after_s: float, act: Callable[[], None]) -> None:
        """Acts after a time, unless there are other faults by then."""
        self._timers.append(asyncio.get_running_loop().call_later(after_s, act))

    def _drop(self) -> None:
        for connection in list(self._connections):
            connection.drop()

    def _die(self) -> None:
        os._exit(9)

    async def _do(self, what: Do) -> None:
        match what.effect:
            case "die":
                self._die()
            case "pull_cable":
                await self.pull_cable()
            case "plug_in":
                await self.plug_in()
            case "reboot":
                await self.reboot()
            case "kill":
                while not self._running.kill(what.victim):
                    await asyncio.sleep(0.02)

    def _set_faults(self, faults: Faults) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        if (faults.offline, faults.auth) != (self.faults.offline, self.faults.auth):
            self._drop()
        self.faults = faults
        self._services = self._received = self._sent = 0
        self._happened = False
        if faults.free_bytes is not None:
            self._running.leave_free(faults.free_bytes)
        for heat in faults.heat:
            self._later(heat.after_s, partial(set_heat, self._root, self._setup.model, heat))
        if self._moment.after_s is not None:
            self._later(self._moment.after_s, lambda: self._check(True))

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request: Request = msgspec.json.decode(await reader.readline(), type=Request)
        if isinstance(request, SetFaults):
            self._set_faults(request.faults)
        else:
            await self._do(request)
        writer.write(b"done\n")
        with suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end: socket.socket = writer.get_extra_info("socket")
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.faults.bytes_per_s:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SMALL_SEND_BUFFER)
        connection = Connection(self, reader, writer)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    async def _sync(self, stream: Stream) -> None:
        """Starts a process that answers, and carries bytes between it and the host."""
        ours, its = socket.socketpair()
        with its:
            words = ["-m", "tests.phone.sync", str(self._root), str(self._running.process)]
            process = await asyncio.create_subprocess_exec(sys.executable, *words, stdin=its.fileno())
        reader, writer = await asyncio.open_connection(sock=ours)
        await _carry(stream, reader, writer)
        await process.wait()

    async def _forward(self, stream: Stream, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await stream.accept()
        await _carry(stream, reader, writer)

    def _boot(self) -> None:
        new_boot(self._root, str(uuid.uuid4()))
        self._machine = Machine(self._root, self._setup.storage)

    def _inside(self, words: list[str]) -> list[str]:
        return self._running.command(words)

    @property
    def _running(self) -> Machine:
        assert self._machine is not None
        return self._machine

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _reached(count: int, limit: int | None) -> bool:
    return limit is not None and count >= limit


async def _carry(stream: Stream, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Passes bytes both ways until either side ends."""

    async def up() -> None:
        with suppress(ConnectionError):
            while data := await stream.read():
                writer.write(data)
                await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    upwards = asyncio.create_task(up())
    try:
        while data := await reader.read(256 << 10):
            await stream.write(data)
    finally:
        upwards.cancel()
        writer.close()


def main() -> None:
    setup = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Setup)
    asyncio.run(Device(setup).run())


if __name__ == "__main__":
    main()
