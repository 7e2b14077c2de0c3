"""A board over SSH is measured like this computer, through a server that goes away, and left as it was."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import hwbench
from hwbench import spaces
from hwbench.devices.board import Board
from hwbench.devices.remote import RemoteDevice
from hwbench.devices.remote_launch import Patience
from hwbench.devices.ssh import SshTransport
from hwbench.errors import DeviceLost, DeviceUnauthorized
from hwbench.measure.campaign import Progress
from tests.conftest import TINY
from tests.integration.bundles import built, own_cache
from tests.integration.sshd import Sshd


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Sshd]:
    built("linux-x86_64")
    with Sshd(tmp_path / "sshd") as found, own_cache():
        yield found


def board(server: Sshd, patience: Patience | None = None) -> RemoteDevice:
    transport = SshTransport("ssh://board", config=server.config, connect_timeout_s=5.0)
    return RemoteDevice(transport, Board(transport), patience)


def left(server: Sshd) -> list[Path]:
    """Files of hwbench in the board's home folder."""
    return [path for path in (server.folder / "home").rglob("*") if path.is_file()]


def test_a_board_is_profiled_and_left_as_it_was(server: Sshd, tmp_path: Path) -> None:
    device = board(server)
    result = hwbench.profile(TINY, device=device, output=tmp_path / "table.json")
    device.close()
    assert len(result.table.measurements()) == len(spaces.get(TINY).distinct_blocks)
    assert result.table.device.kind == "ssh"
    assert result.table.target.runner.startswith("native")
    assert "emulated" not in result.flags
    assert left(server) == []


def test_a_launch_goes_on_while_the_server_is_away(server: Sshd, tmp_path: Path) -> None:
    gone = threading.Event()

    def drop(state: Progress) -> None:
        if state.visits > 0 and not gone.is_set():
            gone.set()
            server.stop()
            threading.Timer(2.0, server.start).start()

    device = board(server, Patience(reconnect_s=60.0))
    result = hwbench.profile(TINY, device=device, output=tmp_path / "table.json", on_progress=drop)
    device.close()
    assert gone.is_set()
    assert all(launch.complete for launch in result.table.launches)
    assert len(result.table.measurements()) == len(spaces.get(TINY).distinct_blocks)
    assert left(server) == []


def test_a_board_that_stays_away_costs_nothing_that_was_measured(server: Sshd, tmp_path: Path) -> None:
    def drop(state: Progress) -> None:
        if state.launch == 1 and state.visits > 0:
            server.stop()

    output = tmp_path / "table.json"
    with pytest.raises(DeviceLost, match="did not come back"):
        hwbench.profile(TINY, device=board(server, Patience(reconnect_s=1.0)), output=output, on_progress=drop)
    first = (tmp_path / "table.json.session" / "launch-0.results.jsonl").read_bytes()
    server.start()
    device = board(server)
    result = hwbench.profile(TINY, device=device, output=output, resume=True)
    device.close()
    assert first
    assert len(result.table.measurements()) == len(spaces.get(TINY).distinct_blocks)
    assert left(server) == []


def test_a_board_that_does_not_know_us_is_named(server: Sshd) -> None:
    (server.folder / "authorized_keys").write_text("")
    with pytest.raises(DeviceUnauthorized, match="board"):
        board(server)
