"""A phone that lies: nothing of what it says reaches a shell, a path outside the output folder, or the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import hwbench
from hwbench.devices.memory_transport import InMemoryTransport, Running
from hwbench.devices.phone.phone import Phone
from hwbench.devices.remote_launch import Patience
from hwbench.errors import CorruptFile, DeviceError, DeviceTimeout, RunnerTimeout
from hwbench.measure.results import read_results
from tests.integration.bundles import built
from tests.phone import binfmt
from tests.phone.adb_server import DEBIAN, AdbServer
from tests.phone.conftest import Phones
from tests.phone.files import write_file
from tests.phone.model import PIXEL
from tests.phone.phone import VirtualPhone
from tests.phone.test_failures import hwbench as command_line
from tests.phone.test_failures import profile
from tests.phone.test_runner_failures import PLAN, Connected, sh

MARK = "hwbench-was-here"
EVIL = f"'\"; touch /tmp/{MARK} #$(touch /tmp/{MARK})`touch /data/local/tmp/{MARK}`"
HOSTILE = msgspec.structs.replace(
    PIXEL, manufacturer="../../../..", model=f"../../etc/\x1b[2J\x1b]0;x\x07{EVIL}", device=EVIL,
    soc_model=f"../{EVIL}", serial=f"A 'B' {EVIL}", android=f"13{EVIL}\x1b[31m",
)  # fmt: skip


def nothing_was_touched(phone: VirtualPhone) -> bool:
    places = (Path("/tmp"), phone.root / "tmp", phone.root / "data/local/tmp")
    return not any((place / MARK).exists() for place in places)


def test_a_phone_with_hostile_names_is_measured_and_stays_in_its_folder(
    adb_server: AdbServer, phones: Phones, tmp_path: Path
) -> None:
    built("android-arm64")
    phone = phones(HOSTILE)
    everything = phone.root / "dev/__properties__/.all"
    more = f"[ro.evil]: [{EVIL}\n[ro.hardware]: [x\n]\n[ro.big]: [{'x' * (1 << 20)}]\n[\x1b]: [\x1b]\n[no end]: [{EVIL}"
    write_file(everything, everything.read_text() + more)
    ours = phone.root / "data/local/tmp/hwbench"
    for name in ("work-$(touch ..)", "work-a\nb", f"run-{EVIL.replace('/', ':')}", "lock folder/../x"):
        (ours / name).mkdir(parents=True)
        (ours / name / "precious").write_text("")
    (ours / "work-link").symlink_to("../other")
    (phone.root / "data/local/tmp/other").mkdir()
    (phone.root / "data/local/tmp/other/precious").write_text("kept")
    for path in (ours, *ours.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o777)
    work = tmp_path / "a" / "b" / "c"
    work.mkdir(parents=True)
    said = profile(adb_server, work, f"adb:{phone.serial}", "--cache", "warm")
    assert said.code == 0, said.stderr
    written = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert all(name.startswith("a/b/c/hwbench-results/etc-") for name in written), written
    (table,) = work.rglob("proxylessnas*-t1.json")
    record = hwbench.load_table(table).device
    assert record.phone is not None
    assert HOSTILE.serial not in table.read_text()
    assert EVIL in str(record.phone.model)
    assert nothing_was_touched(phone)
    assert not [command for command in phone.commands() if MARK in command or "\x1b" in command]
    assert (phone.root / "data/local/tmp/other/precious").read_text() == "kept"


def test_listings_of_hostile_phones_are_plain(adb_server: AdbServer, phones: Phones, tmp_path: Path) -> None:
    phone = phones(msgspec.structs.replace(HOSTILE, battery_percent=3))
    for words in (["devices"], ["doctor", "--report"], ["doctor"]):
        command_line(adb_server, tmp_path, *words)
    refused = profile(adb_server, tmp_path, f"adb:{phone.serial}")
    assert (refused.code, "[battery]" in refused.sentence) == (2, True)
    assert nothing_was_touched(phone)
    assert list(tmp_path.rglob("*table*")) == []


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connected]:
    binfmt.enable()
    server = AdbServer(DEBIAN, tmp_path_factory.mktemp("adb"))
    phone = VirtualPhone(tmp_path_factory.mktemp("phone") / "files")
    try:
        phone.start()
        server.connect(phone)
        yield Connected(phone, server)
    finally:
        phone.stop()
        server.stop()


def test_a_result_of_10_gigabytes_is_not_taken(connected: Connected, tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"launch-0\.results\.jsonl on the device is larger than"):
        connected.launch(tmp_path, *sh('dd if=/dev/null of="$1" bs=1 seek=10737418240 2>/dev/null'))
    assert [path.name for path in tmp_path.iterdir() if "results" in path.name] == []


@pytest.mark.parametrize(
    "line",
    [
        '{"kind":"visit","job":"../../a","round":0,"start_ns":0,"warmup_ns":0,"wall_ns":[1],"cpu_ns":[1]}',
        '{"kind":"visit","job":"a","round":7,"start_ns":0,"warmup_ns":0,"wall_ns":[1],"cpu_ns":[1]}',
        '{"kind":"visit","job":"a","round":0,"start_ns":0,"warmup_ns":0,"wall_ns":[NaN],"cpu_ns":[1]}',
        '{"kind":"footer","status":"complete","lines":-1,"sha256":[]}',
        "[" * 50_000,
        "\x1b[2J",
    ],
)
def test_results_that_lie_are_refused_in_one_sentence(connected: Connected, tmp_path: Path, line: str) -> None:
    connected.launch(tmp_path, *sh(f"""printf '%s\\n' '{line}' > "$1" """))
    with pytest.raises(CorruptFile) as raised:
        read_results(tmp_path / "launch-0.results.jsonl", 0, PLAN.rounds)
    assert str(tmp_path) in raised.value.message
    assert "\n" not in raised.value.message
    assert raised.value.hint


def test_a_heartbeat_of_garbage_is_no_sign_of_progress(connected: Connected, tmp_path: Path) -> None:
    beat = """printf '1 2 99999999999999999999\\n\\033[2Jexit 0\\ngone\\n' >"$1.heartbeat"; exec sleep 600"""
    with pytest.raises(RunnerTimeout, match="gave no sign of life"):
        connected.launch(tmp_path, *sh(beat), patience=Patience(silence_s=3.0))


def test_output_without_end_has_a_limit(connected: Connected) -> None:
    with connected.transport.open(["cat", "/dev/zero"]) as stream, pytest.raises(DeviceError, match="without an end"):
        stream.read_line(20)
    with (
        connected.transport.open(["sh", "-c", "exec yes >&2"]) as stream,
        pytest.raises(DeviceTimeout, match="did not answer in time"),
    ):
        stream.read_line(1.0)


def test_a_state_without_end_has_a_limit() -> None:
    memory = InMemoryTransport()
    memory.answer("sh", lambda request: Running(b"\n".join([bytes(1 << 20)] * 9)))
    with pytest.raises(DeviceError, match="memory tells its state without end"):
        Phone(memory).gate(lambda pulse: None)
