"""Fixtures of tests that talk to a phone: a private adb server, and phones on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.phone import binfmt
from tests.phone.adb_server import DEBIAN, AdbServer
from tests.phone.faults import NO_FAULTS, Faults
from tests.phone.model import PIXEL, PhoneModel
from tests.phone.phone import VirtualPhone

Phones = Callable[..., VirtualPhone]


@pytest.fixture(scope="session")
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], AdbServer]]:
    """The server of each adb program, started at first use: that takes some of them seconds."""
    binfmt.enable()
    started: dict[str, AdbServer] = {}

    def server(program: str) -> AdbServer:
        if program not in started:
            started[program] = AdbServer(program, tmp_path_factory.mktemp("adb"))
        return started[program]

    try:
        yield server
    finally:
        for each in started.values():
            each.stop()


@pytest.fixture(params=[DEBIAN])
def adb_server(
    request: pytest.FixtureRequest, _servers: Callable[[str], AdbServer], monkeypatch: pytest.MonkeyPatch
) -> Iterator[AdbServer]:
    """A server of the tests' own with no phone connected; adbutils in this process finds it by the environment.

    It is Debian's adb; `@pytest.mark.parametrize("adb_server", BOTH_ADBS, indirect=True)` runs a test with both.
    """
    server = _servers(request.param)
    server.ensure()
    for name in ("ADBUTILS_ADB_PATH", "ANDROID_ADB_SERVER_PORT"):
        monkeypatch.setenv(name, server.environment[name])
    try:
        yield server
    finally:
        server.run("disconnect")


@pytest.fixture
def phones(adb_server: AdbServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phones]:
    """Makes phones: `phones(model=PIXEL, faults=NO_FAULTS, connected=True)` is one that is on and connected."""
    made: list[VirtualPhone] = []

    def make(model: PhoneModel = PIXEL, *, faults: Faults = NO_FAULTS, connected: bool = True) -> VirtualPhone:
        phone = VirtualPhone(tmp_path_factory.mktemp("phone") / "files", model)
        made.append(phone)
        phone.start(faults)
        if connected:
            adb_server.connect(phone)
        return phone

    try:
        yield make
    finally:
        for phone in made:
            phone.stop()


@pytest.fixture
def phone(phones: Phones) -> VirtualPhone:
    """The usual phone, on and connected."""
    return phones()
