"""The native runner through the conformance suite: as shipped, with sanitizers, and for aarch64 under emulation."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
from pathlib import Path

import msgspec
import pytest

from hwbench.devices.bundle import MANIFEST, SANITIZED
from hwbench.measure.plan import Job, OpsLine, OutputDigest
from hwbench.measure.results import digests_agree
from hwbench.models.formats import Engine
from tests.integration.bundles import built, emulator
from tests.integration.conformance import RunnerConformance
from tests.integration.runners import make_plan, results_of, run, write_models

_MUTATED = 10_000
_BATCH = 500
_FRAGMENTS = [b"[" * 5000, "\x85\u2028".encode(), b"1e999", b"-1", b"9" * 40, b"\\ud800", b"null", b'""']


class NativeConformance(RunnerConformance):
    """What the native runner does beyond the common suite."""

    def test_the_self_test_runs_a_model_of_each_engine(self, runner: list[str]) -> None:
        done = subprocess.run([*runner, "--selftest"], capture_output=True, text=True, timeout=60, check=True)
        engines = json.loads(done.stdout)["engines"]
        first, second = (msgspec.convert(engine["digests"][0], OutputDigest) for engine in engines)
        assert digests_agree(first, second)
        assert all(engine["first_ns"] > 0 for engine in engines)

    def test_the_profile_pass_gives_every_kernel(self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]) -> None:
        code, stderr = run(runner, tmp_path, self.plan(jobs, run_pass="profile"))
        assert code == 0, stderr
        lines = {line.job: line for line in results_of(tmp_path).of(OpsLine)}
        kernels = [event for event in lines["mbconv"].ops if event.type == 8]
        invokes = lines["mbconv"].invokes
        # Expansion, depthwise, projection, sum; a build may fuse the sum into the projection.
        assert len(kernels) in (3 * invokes, 4 * invokes)
        assert all(event.elapsed_us >= 0 for event in kernels)


class Sanitized(NativeConformance):
    @pytest.fixture
    def runner(self) -> list[str]:
        return list(built(SANITIZED.name).command)


class Emulated(NativeConformance):
    emulated = True

    @pytest.fixture
    def runner(self, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
        return [*emulator(tmp_path_factory.mktemp("machine")), *built("android-arm64").command]


class Shipped(NativeConformance):
    @pytest.fixture
    def runner(self) -> list[str]:
        return list(built("linux-x86_64").command)


class TestLiteRt(Shipped):
    pass


class TestExecutorch(Shipped):
    engine: Engine = "executorch"


class TestSanitizedLiteRt(Sanitized):
    pass


class TestSanitizedExecutorch(Sanitized):
    engine: Engine = "executorch"


class TestEmulatedLiteRt(Emulated):
    pass


class TestEmulatedExecutorch(Emulated):
    engine: Engine = "executorch"


@pytest.fixture(params=["linux-x86_64", SANITIZED.name])
def command(request: pytest.FixtureRequest) -> list[str]:
    return list(built(request.param).command)


def tool(command: list[str], *words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command, *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **options,  # type: ignore[call-overload]
    )


def test_ten_thousand_mutated_plans_are_read_or_refused(command: list[str], tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    whole = msgspec.json.encode(make_plan({"a": Job("a", "models/a.tflite", "0" * 64, 1)}))
    refused = 0
    for start in range(0, _MUTATED, _BATCH):
        paths = []
        for number in range(start, start + _BATCH):
            path = tmp_path / f"{number % _BATCH}.json"
            path.write_bytes(_mutated(whole, rng))
            paths.append(str(path))
        done = tool(command, "--check-plan", *paths)
        assert done.returncode in (0, 64), done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert [line["path"] for line in lines] == paths
        refused += sum(not line["ok"] for line in lines)
    # Most mutations break a plan, some only change a number.
    assert _MUTATED // 2 < refused < _MUTATED


def _mutated(whole: bytes, rng: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(rng.randint(1, 6)):
        position = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[position] = rng.randrange(256)
            case 1:
                del data[position : position + rng.randint(1, 40)]
            case 2:
                data[position:position] = rng.randbytes(rng.randint(1, 8))
            case 3:
                data[position:position] = rng.choice(
                    [b"[" * 5000, b"1e999", b"-1", b"9" * 40, b"\\ud800", b"null", b'""']
                )
            case _:
                end = min(len(data), position + rng.randint(1, 60))
                data[position:position] = data[position:end]
        data = data or bytearray(b"{")
    return bytes(data)


def test_hash_free_space_and_version(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    done = tool(command, "--hash", str(tmp_path / "file"), str(tmp_path / "none"))
    found, missing = (json.loads(line) for line in done.stdout.splitlines())
    assert found["sha256"] == hashlib.sha256(b"abc" * 100_000).hexdigest()
    assert "No such file" in missing["error"]
    assert done.returncode == 67
    space = json.loads(tool(command, "--free", str(tmp_path)).stdout)
    assert space["free_bytes"] == pytest.approx(shutil.disk_usage(tmp_path).free, rel=0.05)
    assert tool(command, "--version").stdout == "native-1, protocol 2\n"
    assert tool(command).returncode == 64
    assert "usage" in tool(command, "--hash").stderr


@pytest.mark.parametrize("size", [0, 1, 55, 56, 63, 64, 65, 119, 120, 1 << 20, (1 << 20) + 1])
def test_hashes_are_sha256(tmp_path: Path, size: int) -> None:
    data = random.Random(size).randbytes(size)
    (tmp_path / "file").write_bytes(data)
    done = tool(list(built("linux-x86_64").command), "--hash", str(tmp_path / "file"))
    assert json.loads(done.stdout)["sha256"] == hashlib.sha256(data).hexdigest()


def test_one_holds_the_lock_until_its_input_ends(command: list[str], tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    first = subprocess.Popen(
        [*command, "--lock", path, "laptop-1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert first.stdin is not None
    assert first.stdout is not None
    assert json.loads(first.stdout.readline())["locked"] is True
    second = tool(command, "--lock", path, "laptop-2", stdin=subprocess.DEVNULL)
    assert (second.returncode, json.loads(second.stdout)) == (75, {"locked": False, "holder": "laptop-1"})
    first.stdin.close()
    assert first.wait(30) == 0
    first.stdout.close()
    third = tool(command, "--lock", path, "laptop-3", stdin=subprocess.DEVNULL)
    assert json.loads(third.stdout)["locked"] is True


def test_a_library_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    bundle = built("linux-x86_64")
    copy = tmp_path / "bundle"
    shutil.copytree(bundle.folder, copy)
    with (copy / "libLiteRt.so").open("ab") as file:
        file.write(b"x")
    runner = [word.replace(str(bundle.folder), str(copy)) for word in bundle.command]
    code, stderr = run(runner, tmp_path, make_plan(write_models(tmp_path)))
    assert code == 65
    assert "is not the library of ai-edge-litert 2.3.0" in stderr
    assert '"status":"no engine"' in (tmp_path / "results.jsonl").read_text()
    (copy / MANIFEST).unlink()
    code, stderr = run(runner, tmp_path, make_plan(write_models(tmp_path)))
    assert code == 65
    assert "manifest.json cannot be read" in stderr


def test_a_hang_up_and_a_closed_pipe_do_not_end_it(tmp_path: Path) -> None:
    runner, jobs = list(built("linux-x86_64").command), write_models(tmp_path)
    long = {name: msgspec.structs.replace(job, rounds=300) for name, job in jobs.items()}
    (tmp_path / "plan.json").write_bytes(msgspec.json.encode(make_plan(long)))
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [*runner, str(tmp_path / "plan.json"), str(tmp_path / "results.jsonl")], stdout=writing, stderr=writing
    )
    os.close(writing)
    RunnerConformance._until(tmp_path, b'"kind":"visit"')
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGPIPE)
    assert process.wait(60) == 0
    assert results_of(tmp_path).complete
