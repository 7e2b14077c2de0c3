"""A trained network is deployed on a phone: its answers are those of this computer, and a lost phone loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import hwbench
from hwbench.devices.adb import AdbTransport
from hwbench.devices.adb_server import AdbServer as Server
from hwbench.devices.phone.phone import Phone
from hwbench.devices.remote import RemoteDevice
from hwbench.devices.remote_launch import Patience
from hwbench.errors import DeviceLost
from hwbench.measure.presets import PRESETS
from hwbench.workflows.deploying.plan import Form
from tests.integration.bundles import built, own_cache
from tests.phone.adb_server import AdbServer
from tests.phone.command_line import ONCE
from tests.phone.conftest import Phones
from tests.phone.faults import Faults, Moment
from tests.phone.phone import VirtualPhone
from tests.trained import TrainedFiles, train_tiny

FORMS = [Form(engine, precision) for engine in ("litert", "executorch") for precision in ("fp32", "int8")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedFiles:
    return train_tiny(tmp_path_factory.mktemp("trained"))


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(PRESETS, "quick", ONCE)
    built("android-arm64")
    built("linux-x86_64")
    with own_cache():
        yield


def device_of(phone: VirtualPhone, server: AdbServer, reconnect_s: float = 60.0) -> RemoteDevice:
    transport = AdbTransport(phone.serial, Server(server.port))
    return RemoteDevice(transport, Phone(transport), Patience(reconnect_s=reconnect_s))


def test_its_answers_are_those_of_this_computer(
    adb_server: AdbServer, phone: VirtualPhone, trained: TrainedFiles, tmp_path: Path
) -> None:
    device = device_of(phone, adb_server)
    found = hwbench.deploy(
        trained.weights, trained.dataset, device=device, forms=FORMS, test_images=40, output=tmp_path / "out"
    )
    assert [(model.engine, model.precision) for model in found.models] == [(f.engine, f.precision) for f in FORMS]
    for model in found.models:
        assert model.answers.images == 40
        assert model.answers.agrees
        assert model.host is not None
        assert (model.host.same_class, model.host.images) == (40, 40)
        assert model.host.largest_difference <= (2 if model.precision == "int8" else 1e-5)
        assert "emulated" in model.latency.flags
        assert model.held is None
    assert found.good
    assert found.device.phone is not None
    assert list((phone.root / "data/local/tmp").iterdir()) == []


def test_a_phone_that_dies_while_it_answers_keeps_what_there_is(
    adb_server: AdbServer, phones: Phones, trained: TrainedFiles, tmp_path: Path
) -> None:
    phone = phones()
    phone.set_faults(Faults(moment=Moment(command="evaluate-0", delay_s=1.0)))
    words = {"forms": [Form("litert", "int8")], "output": tmp_path / "out"}
    with pytest.raises(DeviceLost, match=r"did not come back within 1 s.*--resume"):
        hwbench.deploy(trained.weights, trained.dataset, device=device_of(phone, adb_server, 1.0), **words)  # type: ignore[arg-type]
    assert (tmp_path / "out" / "trained-int8.tflite").exists()
    phone.start()
    adb_server.connect(phone)
    found = hwbench.deploy(trained.weights, trained.dataset, device=device_of(phone, adb_server), resume=True, **words)  # type: ignore[arg-type]
    assert found.models[0].answers.images == 300
    assert found.good
    assert not (tmp_path / "out" / "session").exists()
