"""A bundle on a device in memory: what its runner says of files, engines, space and locks, true or not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hwbench.devices import bundle
from hwbench.devices.bundle import Bundle, Manifest
from hwbench.devices.installation import Installation
from hwbench.devices.memory_transport import Answer, InMemoryTransport, Request, Running
from hwbench.devices.transport import Finished
from hwbench.errors import DeviceBusy, DeviceError, DeviceFull, DeviceRefused, RunnerCrashed, RunnerKilled

NOT_ANSWERS = [
    b"", b"null", b"[]", b"1", b'"x"', b"{", b"\xff\xfe", b"[" * 100_000, b'{"free_bytes":1e999}',
    b'{"free_bytes":"many","locked":"yes","path":1,"runner":1,"engines":1}', b'{"locked":' + b"[" * 100_000,
    b'{"free_bytes":null}', b"x" * 1_000_000,
]  # fmt: skip


class Device:
    """A device whose runner does what a runner does, but for the words that a test answers itself."""

    def __init__(self, folder: Path) -> None:
        self.transport = InMemoryTransport(name="adb:R58M")
        (folder / bundle.RUNNER).write_bytes(b"a runner")
        (folder / "library.so").write_bytes(b"a library")
        files = bundle.describe(folder, {})
        made = bundle.seal(folder, Manifest("android-arm64", "aarch64", "1", "0", ("{folder}/runner",), {}, files))
        self.installation = Installation(self.transport, Bundle(folder, made.manifest))
        self.answers: dict[str, Callable[[Request], Answer]] = {}
        self.transport.answer(self.installation.command[0], self._answer)

    def _answer(self, request: Request) -> Answer:
        word = request.words[1]
        return self.answers[word](request) if word in self.answers else self._hashed(request)

    def _hashed(self, request: Request) -> Answer:
        digests = {path: hashlib.sha256(self.transport.files[path]).hexdigest() for path in request.words[2:]}
        lines = [json.dumps({"path": path, "sha256": digest}) for path, digest in digests.items()]
        return Finished(0, "\n".join(lines).encode(), b"")


@pytest.fixture
def device(tmp_path: Path) -> Device:
    return Device(tmp_path)


def says(printed: bytes, code: int = 0, stderr: bytes = b"") -> Callable[[Request], Answer]:
    return lambda request: Finished(code, printed, stderr)


def test_a_bundle_arrives_whole_with_its_script(device: Device) -> None:
    device.installation.install()
    folder = device.installation.folder
    assert {path.removeprefix(f"{folder}/") for path in device.transport.files} == {
        "manifest.json", bundle.RUNNER, "library.so", "launch.sh",
    }  # fmt: skip
    assert device.transport.modes[f"{folder}/{bundle.RUNNER}"] == 0o755
    assert device.transport.modes[f"{folder}/library.so"] == 0o644
    assert len(device.transport.requests) == 1


def test_a_file_that_did_not_arrive_whole_is_named(device: Device) -> None:
    def damaged(request: Request) -> Answer:
        device.transport.files[f"{device.installation.folder}/library.so"] = b"another library"
        return device._hashed(request)

    device.answers["--hash"] = damaged
    with pytest.raises(DeviceError, match=r"library\.so did not arrive whole on adb:R58M") as raised:
        device.installation.install()
    assert raised.value.hint


def test_a_hash_that_is_missing_is_not_right(device: Device) -> None:
    device.answers["--hash"] = says(b'{"path":"/etc/passwd","sha256":"0"}\n{"path":"x","error":"gone"}\n')
    with pytest.raises(DeviceError, match="did not arrive whole"):
        device.installation.install()


def test_a_full_device_says_so(device: Device) -> None:
    device.transport.capacity_bytes = 10
    with pytest.raises(DeviceFull):
        device.installation.install()


@pytest.mark.parametrize("printed", NOT_ANSWERS, ids=range(len(NOT_ANSWERS)))
@pytest.mark.parametrize("ask", ["--hash", "--free", "--lock", "--selftest"])
def test_an_answer_that_is_none_ends_in_a_short_sentence(device: Device, ask: str, printed: bytes) -> None:
    device.answers = {ask: says(printed)}
    asked = {
        "--hash": device.installation.install,
        "--free": device.installation.free_bytes,
        "--lock": lambda: device.installation.lock("me"),
        "--selftest": lambda: device.installation.selftest("litert"),
    }
    with pytest.raises(DeviceError if (ask, printed) == ("--hash", b"") else RunnerCrashed) as raised:
        asked[ask]()
    assert "adb:R58M" in raised.value.message
    assert len(raised.value.message) < 400
    assert raised.value.hint


def test_free_space_is_what_the_runner_says(device: Device) -> None:
    device.answers["--free"] = says(b'{"free_bytes":123,"total_bytes":456}')
    assert device.installation.free_bytes() == 123


def test_a_runner_that_is_killed_at_its_self_test(device: Device) -> None:
    device.answers["--selftest"] = says(b"", 137, b"Killed\n")
    with pytest.raises(RunnerKilled, match=r"The runner on adb:R58M was killed .* Killed\."):
        device.installation.selftest("litert")


def test_a_lock_is_held_until_it_is_let_go(device: Device) -> None:
    device.answers["--lock"] = lambda request: Running(b'{"locked":true}\n')
    device.installation.lock("a computer $(id)")
    assert device.transport.requests[-1].words[-1] == "a computer $(id)"
    lock = f"{device.transport.folder}/lock"
    assert lock in device.installation.places
    device.installation.unlock()
    assert device.installation.places == (device.installation.folder,)


def test_a_device_that_is_held_names_its_holder_in_letters(device: Device) -> None:
    holder = json.dumps({"locked": False, "holder": "another\x1b[2J\x07 computer" + "x" * 5000})
    device.answers["--lock"] = says(holder.encode(), 75)
    with pytest.raises(DeviceBusy, match=r"^Device adb:R58M is being measured by another\?\[2J\? computer") as raised:
        device.installation.lock("me")
    assert len(raised.value.message) < 200
    assert device.installation.places == (device.installation.folder,)


def test_a_device_that_makes_no_lock_is_not_busy(device: Device) -> None:
    device.answers["--lock"] = says(b'{"locked":false}', 67)
    with pytest.raises(DeviceRefused, match="adb:R58M does not let its lock be made"):
        device.installation.lock("me")
