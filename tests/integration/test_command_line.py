"""The command line as a user meets it: results, JSON keys, and one clear sentence for each mistake."""

from __future__ import annotations

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from hwbench import spaces
from hwbench.devices.linux import LinuxMachine
from hwbench.devices.lock import lock_path
from hwbench.measure.presets import PRESETS
from hwbench.tables import lookup
from tests.conftest import TINY, Hwbench
from tests.integration.runners import write_models


def assert_refused(done: subprocess.CompletedProcess[str], code: int, *parts: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    for part in parts:
        assert part in done.stderr


def test_a_table_of_the_tiny_space(tiny_table: Path) -> None:
    table = lookup.load(tiny_table)
    assert [row.key for row in table.rows] == [block.key for block in spaces.get(TINY).distinct_blocks]
    assert len(table.measurements()) == len(table.rows)
    for found in table.measurements().values():
        assert len(found.rounds.value_us) >= PRESETS["quick"].base_rounds
        assert found.lower_us <= found.value_us <= found.upper_us
    assert table.samples is not None
    assert lookup.files.sha256((tiny_table.parent / table.samples.name).read_bytes()) == table.samples.sha256
    assert (tiny_table.parent / "device.json").exists()
    assert not (tiny_table.parent / f"{tiny_table.name}.session").exists()


def test_json_keys_of_profile_and_verify(hwbench: Hwbench, tiny_table: Path, tmp_path: Path) -> None:
    done = hwbench("profile", "--space", TINY, "-o", "t.json", "--precision", "int8", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["table"] == "t.json"
    assert document["rows"] == document["measured"] == len(spaces.get(TINY).distinct_blocks)
    assert isinstance(document["flags"], dict)
    assert 0 < document["inference_share"] <= 1
    assert document["seconds"] > 0
    done = hwbench("table", "verify", "t.json", "--networks", "4", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["networks"] == 4
    assert -1 < document["bias"] < 5
    assert document["mape"] >= abs(document["bias"]) - 1e-9
    assert -1 <= document["spearman_ci"][0] <= document["spearman"] <= document["spearman_ci"][1] <= 1
    assert lookup.load(tmp_path / "t.json").additivity is not None
    assert hwbench("report", "t.json").returncode == 0


def test_another_engine_is_another_target(hwbench: Hwbench, tmp_path: Path, tflite_python: Path) -> None:
    words = ("profile", "--space", TINY, "-o", "t.json", "--precision", "int8", "--python", tflite_python)
    done = hwbench(*words, "--json")
    assert done.returncode == 0, done.stderr
    engine = json.loads(done.stdout)["target"]["engine"]
    assert (engine["package"], engine["version"]) == ("tflite-runtime", "2.14.0")
    assert_refused(hwbench("table", "verify", "t.json", "--networks", "3"), 2, "engine was", "tflite-runtime")


def test_show_and_predict(hwbench: Hwbench, tiny_table: Path) -> None:
    assert "k7e6" in hwbench("table", "show", tiny_table).stdout
    assert json.loads(hwbench("table", "show", tiny_table, "--json").stdout)["space"] == TINY
    done = hwbench("table", "predict", tiny_table, "--random", "3", "--json")
    document = json.loads(done.stdout)
    labels = " ".join(document["labels"])
    again = json.loads(hwbench("table", "predict", tiny_table, labels, "--json").stdout)
    assert again["prediction"] == document["prediction"]
    assert "additivity" in hwbench("table", "predict", tiny_table, labels).stdout


def test_doctor_and_devices(hwbench: Hwbench) -> None:
    assert json.loads(hwbench("doctor", "--json").stdout)["ok"] is True
    device = json.loads(hwbench("devices", "--json").stdout)["devices"][0]
    assert device["name"] == "local"
    assert "engine" in hwbench("devices").stdout


def test_model_files(hwbench: Hwbench, tmp_path: Path) -> None:
    write_models(tmp_path)
    models = sorted((tmp_path / "models").glob("*.tflite"))
    done = hwbench("profile", *models, "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["rows"] == len(models)
    for found in document["models"]:
        assert found["load_us"] > 0
        assert found["first_us"] > 0
        assert found["p10_us"] <= found["p50_us"] <= found["p90_us"] <= found["p99_us"]
        assert found["latency"]["lower_us"] <= found["latency"]["value_us"] <= found["latency"]["upper_us"]
        assert found["peak_memory_bytes"] >= 0
        assert found["delegated_share"] == pytest.approx(1.0)
        assert sum(op["share"] for op in found["ops"]) == pytest.approx(1.0)
    assert "delegated kernels" in hwbench("profile", models[0]).stdout


def test_wrong_models(hwbench: Hwbench, tmp_path: Path) -> None:
    write_models(tmp_path)
    good = (tmp_path / "models" / "mbconv.tflite").read_bytes()
    (tmp_path / "text.tflite").write_text("hello, I am no model")
    (tmp_path / "torn.tflite").write_bytes(good[: len(good) // 2])
    assert_refused(hwbench("profile", "none.tflite"), 2, "none.tflite", "is not a file")
    assert_refused(hwbench("profile", "text.tflite"), 2, "text.tflite", "not a .tflite model")
    assert_refused(hwbench("profile", "torn.tflite"), 2, "torn.tflite")


def test_wrong_names(hwbench: Hwbench, tiny_table: Path) -> None:
    assert_refused(hwbench("profile", "--space", "imagenet"), 2, "'imagenet'", "proxylessnas")
    assert_refused(hwbench("profile", "--device", "adb:1"), 3, "adb:1", "hwbench doctor")
    assert_refused(hwbench("profile", "--cores", "77"), 2, "77")
    assert_refused(hwbench("profile", "--cores", "a-b"), 2, "a-b")
    assert_refused(hwbench("profile", "--preset", "slow"), 2, "slow")
    assert_refused(hwbench("table", "predict", tiny_table, "k3e3"), 2, "labels, not 1")
    assert_refused(hwbench("table", "predict", tiny_table), 2, "--random")
    assert_refused(hwbench("table", "show", "none.json"), 2, "none.json")


def test_a_refusal_is_json_too(hwbench: Hwbench) -> None:
    done = hwbench("table", "show", "none.json", "--json")
    assert done.returncode == 2
    assert "none.json" in json.loads(done.stdout)["error"]


def test_a_newer_and_a_damaged_table(hwbench: Hwbench, tiny_table: Path, tmp_path: Path) -> None:
    whole = tiny_table.read_bytes()
    (tmp_path / "new.json").write_bytes(whole.replace(b"hwbench.table/1", b"hwbench.table/2", 1))
    (tmp_path / "bad.json").write_bytes(whole.replace(b'"value_us":', b'"value_us":1', 1))
    assert_refused(hwbench("table", "show", "new.json"), 2, "new.json", "hwbench.table/2", "Upgrade")
    assert_refused(hwbench("table", "show", "bad.json"), 2, "bad.json", "damaged")


def test_a_missing_row_is_named(hwbench: Hwbench, tiny_table: Path, tmp_path: Path) -> None:
    import msgspec

    table = lookup.load(tiny_table)
    lookup.save(msgspec.structs.replace(table, rows=table.rows[:-1]), tmp_path / "t.json")
    assert_refused(hwbench("table", "predict", "t.json", "--random", "1"), 2, table.rows[-1].key)
    assert_refused(hwbench("table", "verify", "t.json", "--networks", "3"), 2, table.rows[-1].key)


def test_a_table_of_another_machine_is_not_verified_here(hwbench: Hwbench, tiny_table: Path, tmp_path: Path) -> None:
    import msgspec

    table = lookup.load(tiny_table)
    target = msgspec.structs.replace(table.target, device_id="another")
    lookup.save(msgspec.structs.replace(table, target=target), tmp_path / "t.json")
    assert_refused(hwbench("table", "verify", "t.json", "--networks", "3"), 2, "device_id was another")


def test_an_existing_table_is_not_overwritten(hwbench: Hwbench, tiny_table: Path, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_bytes(tiny_table.read_bytes())
    assert_refused(hwbench("profile", "--space", TINY, "-o", "t.json"), 2, "t.json exists", "--overwrite")
    assert_refused(hwbench("profile", "--space", TINY, "-o", "u.json", "--resume"), 2, "nothing to resume")


def test_two_profiles_at_once(hwbench: Hwbench) -> None:
    path = lock_path(LinuxMachine().record("local").id)
    with path.open("a+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        held.truncate(0)
        held.write(json.dumps({"pid": 4321, "since": "12:00:00"}))
        held.flush()
        assert_refused(hwbench("profile", "--space", TINY, "-o", "t.json"), 3, "process 4321 since 12:00:00")


def _begin(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    # A shell that starts the tests in the background makes them ignore Ctrl-C; a user's terminal does not.
    listening = ["env", "--default-signal=INT"]
    command = [*listening, sys.executable, "-m", "hwbench", "profile", "--space", TINY, "-o", "t.json", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def _wait_for_a_visit(folder: Path) -> None:
    for _ in range(600):
        found = list((folder / "t.json.session").glob("launch-*.results.jsonl"))
        if any(b'"kind":"visit"' in path.read_bytes() for path in found):
            return
        time.sleep(0.02)
    raise AssertionError("no visit within 12 s")


def visits_in(folder: Path) -> Counter[tuple[int, str, int]]:
    """How often each (launch, job, round) stands in the session's result files."""
    found: Counter[tuple[int, str, int]] = Counter()
    for path in (folder / "t.json.session").glob("launch-*.results.jsonl"):
        launch = int(path.name.split("-")[1].split(".")[0])
        for line in path.read_bytes().split(b"\n")[:-1]:
            entry = json.loads(line)
            if entry["kind"] == "visit":
                found[launch, entry["job"], entry["round"]] += 1
    return found


def assert_complete(folder: Path, kept: Counter[tuple[int, str, int]]) -> None:
    """The finished table holds every visit that had been journalled, once, and all its rows."""
    table = lookup.load(folder / "t.json")
    assert len(table.measurements()) == len(spaces.get(TINY).distinct_blocks)
    for key, row in table.measurements().items():
        places = list(zip(row.rounds.launch, row.rounds.round, strict=True))
        assert len(set(places)) == len(places), "a round was measured twice"
        assert len(places) >= PRESETS["quick"].base_rounds
        assert {(launch, number) for launch, job, number in kept if job == key} <= set(places), "a round was lost"


def test_ctrl_c_keeps_what_was_measured(hwbench: Hwbench, tmp_path: Path) -> None:
    process = _begin(tmp_path)
    _wait_for_a_visit(tmp_path)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert b"--resume" in stderr
    kept = visits_in(tmp_path)
    assert kept
    assert_refused(hwbench("profile", "--space", TINY, "-o", "t.json"), 2, "--resume")
    other = hwbench("profile", "--space", TINY, "-o", "t.json", "--threads", "2", "--resume")
    assert_refused(other, 2, "threads was 1, is 2")
    done = hwbench("profile", "--space", TINY, "-o", "t.json", "--resume")
    assert done.returncode == 0, done.stderr
    assert_complete(tmp_path, kept)


def test_kill_at_random_moments_loses_nothing(hwbench: Hwbench, tmp_path: Path) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    rng = random.Random(seed)
    kept: Counter[tuple[int, str, int]] = Counter()
    for _ in range(3):
        process = _begin(tmp_path, *_resume(tmp_path))
        time.sleep(rng.uniform(0.5, 2.5))
        process.kill()
        process.communicate()
        # The orphaned runner notices that its parent is gone before its next visit.
        time.sleep(0.5)
        found = visits_in(tmp_path)
        assert not kept - found
        kept = found
    done = hwbench("profile", "--space", TINY, "-o", "t.json", *_resume(tmp_path))
    assert done.returncode == 0, done.stderr
    assert_complete(tmp_path, kept)


def _resume(folder: Path) -> list[str]:
    """A run that was killed before it began to keep anything cannot be resumed."""
    return ["--resume"] if (folder / "t.json.session").exists() else []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_disk_that_fills_loses_nothing(hwbench: Hwbench, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=420k", "tmpfs", str(small)], check=True)
    try:
        done = hwbench("profile", "--space", TINY, "-o", small / "t.json")
        assert_refused(done, 3, "No space left", "--resume")
        subprocess.run(["mount", "-o", "remount,size=64m", str(small)], check=True)
        done = hwbench("profile", "--space", TINY, "-o", small / "t.json", "--resume")
        assert done.returncode == 0, done.stderr
        assert len(lookup.load(small / "t.json").measurements()) == len(spaces.get(TINY).distinct_blocks)
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_the_report_opens_in_a_browser(hwbench: Hwbench, tiny_table: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing; make test installs it")
        pytest.skip("Chromium is not installed")
    assert hwbench("report", tiny_table, "-o", "r.html").returncode == 0
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}"]  # fmt: skip
    address = (tmp_path / "r.html").as_uri()
    dom = subprocess.run(
        [browser, *flags, "--dump-dom", address], capture_output=True, text=True, timeout=120, check=True
    )
    assert "Latency of each choice" in dom.stdout
    assert dom.stdout.count("<rect") > 20
    shot = tmp_path / "shot.png"
    subprocess.run([browser, *flags, f"--screenshot={shot}", address], capture_output=True, timeout=120, check=True)
    assert shot.stat().st_size > 10_000
