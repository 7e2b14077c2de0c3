"""What every runner must do, as one class of tests; a subclass says which runner."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hwbench.files import sha256
from hwbench.measure.plan import Burst, Evaluation, Job, LoadLine, OutputLine, Plan
from hwbench.measure.results import digests_agree
from hwbench.models.calibration import seeded_inputs
from hwbench.models.formats import FORMATS, Engine, Precision
from hwbench.models.weights import random_weights
from hwbench.spaces import NamedBlock
from tests.integration.runners import BLOCKS, PYTHON, make_plan, results_of, run, selftest, start, write_models
from tests.reference_forward import forward


class RunnerConformance:
    """`engine` is what the subclass puts through; `emulated` whether its runner must say so."""

    engine: Engine = "litert"
    emulated = False

    @pytest.fixture
    def runner(self) -> list[str]:
        raise NotImplementedError

    @pytest.fixture
    def jobs(self, tmp_path: Path) -> dict[str, Job]:
        return write_models(tmp_path, engine=self.engine)

    def plan(self, jobs: Mapping[str, Job], **changes: object) -> Plan:
        return make_plan(jobs, **{"engine": self.engine} | changes)

    def test_selftest_names_the_engine(self, runner: list[str]) -> None:
        report = selftest(runner, self.engine)
        assert (report["protocol"], report["emulated"]) == (2, self.emulated)
        (engine,) = report["engines"]
        assert engine["engine"] == self.engine
        assert engine["engine_version"]
        assert set(engine["delegates"]) == set(FORMATS[self.engine].delegates)

    def test_a_plan_is_executed(self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]) -> None:
        for delegate in FORMATS[self.engine].delegates:
            self._execute(runner, tmp_path, jobs, delegate)

    def _execute(self, runner: list[str], tmp_path: Path, jobs: dict[str, Job], delegate: str) -> None:
        code, stderr = run(runner, tmp_path, self.plan(jobs, delegate=delegate))
        assert code == 0, stderr
        result = results_of(tmp_path)
        assert result.complete
        assert result.launch is not None
        assert (result.launch.launch, result.launch.cores, result.launch.delegate) == (3, (0,), delegate)
        assert (result.launch.engine, result.launch.emulated) == (self.engine, self.emulated)
        assert sorted((v.job, v.round) for v in result.visits) == sorted((j, r) for j in jobs for r in (0, 1))
        for visit in result.visits:
            assert 5 <= len(visit.wall_ns) <= 50
            assert all(cpu > 0 for cpu in visit.cpu_ns)
            assert visit.core_before in (0, None)
        loads = result.of(LoadLine)
        assert [load.job for load in loads] == list(jobs)
        assert all(load.load_ns > 0 and load.first_ns > 0 for load in loads)

    def test_the_order_of_visits_follows_the_seed(
        self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]
    ) -> None:
        orders = []
        for seed in (1, 1, 2, 3, 4):
            run(runner, tmp_path, self.plan(jobs, seed=seed))
            orders.append([(visit.job, visit.round) for visit in results_of(tmp_path).visits])
        assert orders[0] == orders[1]
        assert len({tuple(order) for order in orders}) > 1

    @pytest.mark.parametrize("precision", ["fp32", "int8"])
    def test_outputs_agree_with_the_python_runner(
        self, runner: list[str], tmp_path: Path, precision: Precision
    ) -> None:
        # The fp32 models of both engines compute the same function of inputs in the same order of memory.
        engines: tuple[Engine, Engine] = (self.engine, "litert" if precision == "fp32" else self.engine)
        digests = []
        for command, engine in zip((runner, PYTHON), engines, strict=True):
            jobs = write_models(tmp_path, precision, engine)
            code, stderr = run(command, tmp_path, make_plan(jobs, engine=engine))
            assert code == 0, stderr
            digests.append({load.job: load.digests for load in results_of(tmp_path).of(LoadLine)})
        for job in jobs:
            assert all(digests_agree(a, b) for a, b in zip(digests[0][job], digests[1][job], strict=True))
            assert len(set(digests[0][job][0].values)) > 1

    def test_inputs_are_nearly_normal_and_follow_the_seed(
        self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]
    ) -> None:
        digests = []
        for seed in (1, 1, 2):
            run(runner, tmp_path, self.plan({"stem": jobs["stem"]}, input_seed=seed))
            digests.append(results_of(tmp_path).of(LoadLine)[0].digests[0])
        assert digests[0] == digests[1]
        assert not digests_agree(digests[0], digests[2])

    def test_turns_visit_every_job_once_a_round(self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]) -> None:
        code, stderr = run(runner, tmp_path, self.plan(jobs, interleave=3, flush_bytes=1 << 20))
        assert code == 0, stderr
        visits = results_of(tmp_path).visits
        assert sorted((v.job, v.round) for v in visits) == sorted((j, r) for j in jobs for r in (0, 1))
        together = {visit.start_ns for visit in visits if not jobs[visit.job].anchor}
        alone = {visit.start_ns for visit in visits if jobs[visit.job].anchor}
        assert (len(together), len(alone), together & alone) == (2, 2, set())

    def test_one_bad_job_does_not_stop_the_others(
        self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]
    ) -> None:
        junk = b"\x20\0\0\0" + FORMATS[self.engine].identifier + bytes(40)
        (tmp_path / "models" / "junk").write_bytes(junk)
        bad = {
            "missing": Job("missing", "models/none", "0" * 64, 2),
            "hash": Job("hash", jobs["stem"].model, "0" * 64, 2),
            "junk": Job("junk", "models/junk", sha256(junk), 2),
        }
        code, stderr = run(runner, tmp_path, self.plan(jobs | bad))
        assert code == 0, stderr
        result = results_of(tmp_path)
        assert {failure.job: failure.stage for failure in result.failures} == {
            "missing": "read", "hash": "hash", "junk": "load",
        }  # fmt: skip
        assert all("\n" not in failure.message for failure in result.failures)
        assert {visit.job for visit in result.visits} == set(jobs)

    def test_a_job_over_the_memory_budget_is_left_out(
        self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]
    ) -> None:
        assert run(runner, tmp_path, self.plan(jobs, memory_budget_bytes=0))[0] == 0
        result = results_of(tmp_path)
        assert {failure.stage for failure in result.failures} <= {"budget"}
        assert "stem" in {visit.job for visit in result.visits}

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"schema": "hwbench.plan/9"}, "schema"), ({"schema": "hwbench.plan/1"}, "schema"),
            ({"pass": "race"}, "pass"), ({"engine": "none"}, "engine"),
            ({"threads": 0}, "threads"), ({"jobs": []}, "jobs"), ({"cores": ["x"]}, "cores"), ({"seed": -1}, "seed"),
            ({"deadline_s": "soon"}, "deadline_s"), ({"burst": {}}, "burst"), ({"interleave": 0}, "interleave"),
        ],
    )  # fmt: skip
    def test_a_wrong_plan_is_refused_by_field(
        self, runner: list[str], tmp_path: Path, jobs: dict[str, Job], change: dict[str, object], field: str
    ) -> None:
        plan = json.loads(msgspec.json.encode(self.plan(jobs))) | change
        code, stderr = run(runner, tmp_path, json.dumps(plan).encode())
        assert code == 64
        assert field in stderr
        assert len(stderr.strip().splitlines()) == 1

    @pytest.mark.parametrize("model", ["../plan.json", "/etc/passwd", "a/../../b", ""])
    def test_a_model_outside_the_folder_is_refused(self, runner: list[str], tmp_path: Path, model: str) -> None:
        jobs = {"a": Job("a", model, "0" * 64, 1)}
        code, stderr = run(runner, tmp_path, self.plan(jobs))
        assert code == 64
        assert "model" in stderr

    @pytest.mark.parametrize("deadline_s", [0.0, 6.0])
    def test_the_deadline_ends_a_launch_with_a_footer(
        self, runner: list[str], tmp_path: Path, jobs: dict[str, Job], deadline_s: float
    ) -> None:
        long = {name: msgspec.structs.replace(job, rounds=100_000) for name, job in jobs.items()}
        code, _ = run(runner, tmp_path, self.plan(long, deadline_s=deadline_s))
        result = results_of(tmp_path)
        assert code == 66
        assert (result.complete, result.status) == (False, "deadline")
        assert bool(result.visits) == (deadline_s > 0)

    @pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, "terminated"), (signal.SIGINT, "interrupted")])
    def test_a_signal_ends_a_launch_with_a_footer(
        self, runner: list[str], tmp_path: Path, jobs: dict[str, Job], number: signal.Signals, status: str
    ) -> None:
        process = self._long_launch(runner, tmp_path, jobs)
        process.send_signal(signal.SIGHUP)
        process.send_signal(number)
        process.communicate(timeout=30)
        result = results_of(tmp_path)
        assert (process.returncode, result.complete, result.status) == (0, False, status)

    def test_a_kill_at_any_moment_leaves_whole_lines(
        self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]
    ) -> None:
        seed = random.randrange(1 << 30)
        print("seed", seed)
        rng = random.Random(seed)
        for _ in range(3):
            process = self._long_launch(runner, tmp_path, jobs)
            time.sleep(rng.uniform(0, 0.3))
            process.kill()
            process.communicate()
            result = results_of(tmp_path)
            assert not result.complete
            assert result.visits

    def test_an_orphan_ends_by_itself(self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]) -> None:
        long = {name: msgspec.structs.replace(job, rounds=100_000) for name, job in jobs.items()}
        (tmp_path / "plan.json").write_bytes(msgspec.json.encode(self.plan(long, parent_pid=os.getpid())))
        # The shell in between is the runner's parent, and it is not the process of the plan.
        code = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
        command = [sys.executable, "-c", code, *runner, str(tmp_path / "plan.json"), str(tmp_path / "results.jsonl")]
        assert subprocess.run(command, timeout=60, check=False, capture_output=True).returncode == 0
        assert results_of(tmp_path).status == "orphan"

    def test_the_heartbeat_changes(self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]) -> None:
        process = self._long_launch(runner, tmp_path, jobs)
        beats = set()
        for _ in range(25):
            beats.add((tmp_path / "results.jsonl.heartbeat").read_bytes())
            time.sleep(0.1)
        process.kill()
        process.communicate()
        assert len(beats - {b""}) >= 2
        process_number, _, visits = max(beats - {b""}).split()
        assert int(process_number) > 0
        assert int(visits) >= 0

    def test_a_full_disk_is_said(self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]) -> None:
        code, stderr = run(runner, tmp_path, self.plan(jobs), results=Path("/dev/full"))
        assert code == 67
        assert "No space left" in stderr

    def test_the_memory_pass(self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]) -> None:
        assert run(runner, tmp_path, self.plan(jobs, run_pass="memory"))[0] == 0
        result = results_of(tmp_path)
        memory = {line["job"]: line for line in map(msgspec.to_builtins, result.lines) if line["kind"] == "memory"}
        assert set(memory) == set(jobs)
        assert all(0 <= line["resident_bytes"] <= line["peak_bytes"] + (1 << 20) for line in memory.values())

    def test_the_evaluate_pass_runs_the_given_inputs(
        self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]
    ) -> None:
        block = BLOCKS["classifier"]
        images = seeded_inputs(block.in_shape, 6, seed=3)
        evaluation = self._inputs(tmp_path, images.tobytes(), first=2, count=3, top=4)
        chosen = {"classifier": jobs["classifier"]}
        code, stderr = run(runner, tmp_path, self.plan(chosen, run_pass="evaluate", evaluation=evaluation))
        assert code == 0, stderr
        result = results_of(tmp_path)
        assert result.complete
        assert len(result.of(LoadLine)) == 1
        lines = result.of(OutputLine)
        assert [line.input for line in lines] == [2, 3, 4]
        network = (NamedBlock("block", block),)
        for line, image in zip(lines, images[2:5], strict=True):
            expected = forward(network, random_weights(network, seed=0), image).reshape(-1)
            assert list(line.places) == np.argsort(-expected)[:4].tolist()
            np.testing.assert_allclose(line.values, expected[list(line.places)], atol=1e-5 * np.abs(expected).max())

    def test_integers_are_taken_and_given_as_they_are(self, runner: list[str], tmp_path: Path) -> None:
        jobs = write_models(tmp_path, "int8", self.engine)
        chosen = {"classifier": jobs["classifier"]}
        images = np.random.default_rng(0).integers(-128, 128, (8, *BLOCKS["classifier"].in_shape), np.int8)
        evaluation = self._inputs(tmp_path, images.tobytes(), first=0, count=8, top=100)
        found = []
        for command in (runner, PYTHON):
            plan = self.plan(chosen, run_pass="evaluate", evaluation=evaluation)
            code, stderr = run(command, tmp_path, plan)
            assert code == 0, stderr
            lines = results_of(tmp_path).of(OutputLine)
            assert len(lines) == 8
            outputs = np.empty((8, 10))
            for row, line in zip(outputs, lines, strict=True):
                row[list(line.places)] = line.values
                assert list(line.values) == sorted(line.values, reverse=True)
            found.append(outputs)
        assert (found[0] == found[0].round()).all()
        assert np.abs(found[0]).max() <= 128
        assert len(np.unique(found[0])) > 5
        assert np.abs(found[0] - found[1]).max() <= 1

    @pytest.mark.parametrize(
        ("change", "stage"),
        [({"sha256": "0" * 64}, "hash"), ({"inputs": "models/none"}, "read"), ({"first": 4}, "evaluate"),
         ({"count": 6}, "evaluate"), ({"first": 2**62, "count": 2**62}, "evaluate")],
    )  # fmt: skip
    def test_inputs_that_are_not_there_fail_the_job(
        self, runner: list[str], tmp_path: Path, jobs: dict[str, Job], change: dict[str, object], stage: str
    ) -> None:
        images = seeded_inputs(BLOCKS["classifier"].in_shape, 5, seed=0)
        evaluation = msgspec.structs.replace(
            self._inputs(tmp_path, images.tobytes(), 0, 5, 1), **({"first": 0, "count": 2} | change)
        )
        chosen = {"classifier": jobs["classifier"]}
        code, stderr = run(runner, tmp_path, self.plan(chosen, run_pass="evaluate", evaluation=evaluation))
        assert code == 0, stderr
        result = results_of(tmp_path)
        assert result.complete
        assert [failure.stage for failure in result.failures] == [stage]
        assert result.of(OutputLine) == ()

    @pytest.mark.parametrize(
        ("evaluation", "field"),
        [
            (None, "evaluation"), (Evaluation("../x", "0", 0, 1, 1), "inputs"), (Evaluation("x", "0", 0, 1, 0), "top"),
            (Evaluation("x", "0", 0, 1, 1025), "top"), (Evaluation("x", "0", -1, 1, 1), "first"),
            (Evaluation("x", "0", 0, -1, 1), "count"),
        ],
    )  # fmt: skip
    def test_a_wrong_evaluation_is_refused_by_field(
        self, runner: list[str], tmp_path: Path, jobs: dict[str, Job], evaluation: Evaluation | None, field: str
    ) -> None:
        code, stderr = run(runner, tmp_path, self.plan(jobs, run_pass="evaluate", evaluation=evaluation))
        assert code == 64
        assert field in stderr

    @staticmethod
    def _inputs(folder: Path, data: bytes, first: int, count: int, top: int) -> Evaluation:
        """An evaluation of inputs that lie beside the models."""
        (folder / "models" / "inputs.bin").write_bytes(data)
        return Evaluation("models/inputs.bin", sha256(data), first, count, top)

    def test_mutated_plans_never_crash(self, tmp_path: Path, runner: list[str], jobs: dict[str, Job]) -> None:
        whole = msgspec.json.encode(self.plan(jobs, deadline_s=5.0))
        rng = np.random.default_rng(0)
        for _ in range(6):
            mutated = bytearray(whole)
            for position in rng.integers(0, len(whole), size=3):
                mutated[position] = rng.integers(32, 127)
            code, stderr = run(runner, tmp_path, bytes(mutated))
            assert code in (0, 64, 66), stderr
            assert "Traceback" not in stderr

    def test_a_burst_off_the_mask_is_done_again(self, runner: list[str], tmp_path: Path, jobs: dict[str, Job]) -> None:
        others = sorted(os.sched_getaffinity(0) - {0})
        if not others:
            pytest.skip("this machine has one core")
        process = self._long_launch(runner, tmp_path, jobs)
        time.sleep(0.3)
        os.sched_setaffinity(process.pid, others)
        self._until(tmp_path, b'"redone":1')
        process.terminate()
        process.communicate(timeout=30)
        visits = results_of(tmp_path).visits
        assert any(visit.redone for visit in visits)
        assert all(visit.core_after == 0 for visit in visits)

    def _long_launch(self, runner: list[str], folder: Path, jobs: dict[str, Job]) -> subprocess.Popen[str]:
        """A launch that would run for minutes, as soon as it has brought a visit."""
        long = {name: msgspec.structs.replace(job, rounds=100_000) for name, job in jobs.items()}
        results = folder / "results.jsonl"
        results.unlink(missing_ok=True)
        process = start(runner, folder, self.plan(long, burst=Burst(1, 0, 5, 1000, 50)))
        self._until(folder, b'"kind":"visit"')
        return process

    @staticmethod
    def _until(folder: Path, text: bytes) -> None:
        """Waits until the result file holds `text`."""
        results = folder / "results.jsonl"
        for _ in range(600):
            if results.exists() and text in results.read_bytes():
                return
            time.sleep(0.05)
        raise AssertionError(f"the runner did not write {text!r}")
