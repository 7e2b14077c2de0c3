"""An adb server of the tests: it speaks the smart-socket protocol of adb over TCP, and answers what it is told to.

For what needs hardware (a phone that waits for its owner, a boot loader) and for servers that misbehave.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType

Answer = str | bytes | list[bytes] | Callable[[], bytes] | None


def block(text: str) -> bytes:
    data = text.encode()
    return b"%04x" % len(data) + data


class ScriptedAdb:
    """`answers` holds what a service gets: text as a block after OKAY, bytes as they are, a list
    of bytes with a pause before each, None for silence.

    `listing` is what devices-l and track-devices say; after `change()` those who track hear of it.
    """

    def __init__(self, listing: str = "", **answers: Answer) -> None:
        self.listing = listing
        self.answers: dict[str, Answer] = {"host:version": "0029"}
        self.answers.update(answers)
        self.asked: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._trackers: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def change(self, listing: str) -> None:
        self.listing = listing
        for tracker in self._trackers:
            tracker.sendall(block(_short(listing)))

    @property
    def tracked(self) -> bool:
        """Whether someone tracks."""
        return bool(self._trackers)

    def hang_up(self) -> None:
        """Ends the connections of those who track."""
        for tracker in self._trackers:
            tracker.shutdown(socket.SHUT_RDWR)
        self._trackers.clear()

    def stop(self) -> None:
        for connection in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(5)

    def __enter__(self) -> ScriptedAdb:
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            size = connection.recv(4, socket.MSG_WAITALL)
            if len(size) < 4:
                return
            service = connection.recv(int(size, 16), socket.MSG_WAITALL).decode()
            self.asked.append(service)
            if service in self.answers:
                answer = self.answers[service]
            elif service == "host:devices-l":
                answer = self.listing
            elif service == "host:track-devices":
                connection.sendall(b"OKAY" + block(_short(self.listing)))
                self._trackers.append(connection)
                return
            else:
                answer = b"FAIL" + block("unknown host service")
            if answer is None:
                return
            if isinstance(answer, list):
                for part in answer:
                    time.sleep(0.1)
                    connection.sendall(part)
                return
            if callable(answer):
                answer = answer()
            connection.sendall(b"OKAY" + block(answer) if isinstance(answer, str) else answer)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            return  # the client went away, as some tests want


def _short(listing: str) -> str:
    return "".join("\t".join(line.split()[:2]) + "\n" for line in listing.splitlines())
