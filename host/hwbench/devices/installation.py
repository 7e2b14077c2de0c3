"""A bundle on a device: pushed, checked file by file, and what its self-test says."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar

import msgspec

from hwbench.devices.bundle import MANIFEST, Bundle, file_sha256, is_program
from hwbench.devices.exit_codes import LOCKED, runner_failed
from hwbench.devices.local_runner import Selftest, parse_selftest
from hwbench.devices.phone.text import printable, shown
from hwbench.devices.runner_files import launch_script
from hwbench.devices.transport import Finished, PushFile, Stream, Transport
from hwbench.errors import DeviceBusy, DeviceError, DeviceRefused, RunnerCrashed

LAUNCH_SCRIPT = "launch.sh"
_HASH_S = 300.0
_SELFTEST_S = 180.0
_LOCK_S = 60.0


class _Hash(msgspec.Struct, frozen=True):
    path: str
    sha256: str | None = None


class _Free(msgspec.Struct, frozen=True):
    free_bytes: int


class _Lock(msgspec.Struct, frozen=True):
    """`holder` is who has it where it is not `locked` now."""

    locked: bool
    holder: str | None = None


AnswerT = TypeVar("AnswerT", _Hash, _Free, _Lock)


class Installation:
    """The runner on one device. `install` must come before everything else."""

    def __init__(self, transport: Transport, bundle: Bundle) -> None:
        self._transport = transport
        self._bundle = bundle
        # A folder of its own: another computer's hwbench may be at work beside it until one of both has the lock.
        self.folder = f"{transport.folder}/run-{secrets.token_hex(8)}"
        self._lock = ExitStack()
        self._lock_file = f"{transport.folder}/lock"
        self._locked = False
        self.script = f"{self.folder}/{LAUNCH_SCRIPT}"
        self.hint = f"Run `hwbench runner build --target {bundle.manifest.target}`, which makes the bundle anew."

    @property
    def command(self) -> tuple[str, ...]:
        """What starts the runner there."""
        return tuple(word.replace("{folder}", self.folder) for word in self._bundle.manifest.entry)

    def install(self) -> None:
        """Pushes the bundle and has the runner hash every file of it. One that failed leaves nothing there."""
        manifest = self._bundle.manifest
        names = [MANIFEST, *(file.path for file in manifest.files)]
        files = [
            PushFile(self._bundle.folder / name, f"{self.folder}/{name}", 0o755 if is_program(name) else 0o644)
            for name in names
        ]
        try:
            self._transport.push([*files, PushFile(launch_script(), self.script)])
            self.check(self.folder, {file.path: file.sha256 for file in manifest.files})
        except BaseException:
            remove = 'rm -rf "$1"; rmdir "$0" 2>/dev/null; true'
            with suppress(DeviceError):
                self._transport.run(["sh", "-c", remove, self._transport.folder, self.folder])
            raise

    def check(self, folder: str, expected: Mapping[str, str]) -> None:
        """Raises DeviceError naming the first of the files in `folder` that is not what was pushed."""
        done = self.run(["--hash", *(f"{folder}/{name}" for name in expected)], _HASH_S)
        lines = (self._answer(line, _Hash, "cannot hash files") for line in done.stdout.splitlines())
        found = {line.path: line.sha256 for line in lines}
        for name, sha256 in expected.items():
            if found.get(f"{folder}/{name}") != sha256:
                raise DeviceError(
                    f"{name} did not arrive whole on {self._transport.name}.",
                    hint="Try again; another cable or port may help.",
                )

    def selftest(self, engine: str) -> Selftest:
        """The runner's own report. Raises RunnerCrashed when it cannot start there, with the reason."""
        done = self.run(["--selftest", engine], _SELFTEST_S)
        return parse_selftest(done.stdout, f"the runner on {self._transport.name}", self.hint)

    def free_bytes(self) -> int:
        """Free space where everything of ours lies."""
        done = self.run(["--free", self._transport.folder], _LOCK_S)
        return self._answer(done.stdout, _Free, "does not tell the free space").free_bytes

    def lock(self, holder: str) -> None:
        """Holds the device's own lock until `unlock`, or until the connection ends.

        Raises DeviceBusy when the hwbench of another computer holds it.
        """
        stream = self._transport.open([*self.command, "--lock", self._lock_file, holder])
        self._lock.enter_context(stream)
        line = stream.read_line(_LOCK_S)
        report = self._answer(line or b"", _Lock, "cannot lock it")
        if not report.locked:
            self.unlock()
            raise _busy(self._transport.name, report.holder or "", stream)
        self._locked = True

    def unlock(self) -> None:
        """Lets go of the device's lock."""
        self._locked = False
        self._lock.close()

    def _answer(self, printed: bytes, kind: type[AnswerT], trouble: str) -> AnswerT:
        """What the runner printed. Raises RunnerCrashed, which says `trouble`, for anything else."""
        try:
            return msgspec.json.decode(printed, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            said = shown(printed[:200].decode(errors="replace"))
            raise RunnerCrashed(f"The runner on {self._transport.name} {trouble}: {said}.", hint=self.hint) from error

    @property
    def places(self) -> tuple[str, ...]:
        """What is there to be removed at the end: the bundle, and the lock's file while it is ours."""
        return (self.folder, self._lock_file) if self._locked else (self.folder,)

    def run(self, words: Sequence[str], timeout_s: float) -> Finished:
        """Runs the runner with these words. Raises RunnerCrashed for an end that is a crash."""
        done = self._transport.run([*self.command, *words], timeout_s=timeout_s)
        if done.code >= 126:
            raise runner_failed(done.code, done.stderr.decode(errors="replace"), self.hint, self._transport.name)
        return done


def describe_holder() -> str:
    """Who holds a device, for the message on another computer; names neither it nor its user."""
    return f"another computer since {time.strftime('%H:%M:%S')}"


def _busy(device: str, owner: str, stream: Stream) -> DeviceError:
    if stream.code not in (None, LOCKED):
        return DeviceRefused(f"{device} does not let its lock be made.", hint="Is its storage full or read-only?")
    said = printable(owner[:80])
    return DeviceBusy(
        f"Device {device} is being measured by {said or 'another hwbench'}.",
        hint="Wait for it to end: two at once would disturb each other.",
    )


def local_hashes(folder: Path) -> dict[str, str]:
    """sha256 by name of the files in a folder."""
    return {path.name: file_sha256(path) for path in sorted(folder.iterdir()) if path.is_file()}
