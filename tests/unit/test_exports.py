"""The cache of exports and its workers: nothing is exported twice, nothing damaged is used, failures have names."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hwbench.errors import ModelError, UsageError
from hwbench.files import sha256
from hwbench.measure.campaign import ModelRow, with_delegation
from hwbench.measure.estimate import PARTIAL_DELEGATION, Estimates
from hwbench.models import exports
from hwbench.models.calibration import seeded_inputs
from hwbench.models.executorch import PteFile, package_versions
from hwbench.models.export_workers import Task, run_tasks
from hwbench.models.exports import export, export_key
from hwbench.models.formats import ModelJob
from hwbench.models.weights import random_weights
from hwbench.spaces import ConvBlock, NamedBlock
from hwbench.workflows import model_rows
from hwbench.workflows.settings import MeasureOptions
from tests.conftest import ROOT
from tests.unit.test_tables import measurement


def job(name: str = "a", channels: int = 4, seed: int = 0) -> ModelJob:
    network = (NamedBlock("block", ConvBlock((4, 4, 3), channels, 1)),)
    return ModelJob(name, network, random_weights(network, seed), seeded_inputs((4, 4, 3), 2, 0))


class Exporter:
    """Stands for the workers: models made of the job's name, and how many were asked for."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, tasks: Mapping[str, Task], workers: int | None = None) -> Iterator[tuple[str, PteFile]]:
        for key, task in tasks.items():
            self.made += 1
            yield key, PteFile(task.job.name.encode() * 100, 4, 3)


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Exporter:
    made = Exporter()
    monkeypatch.setattr(exports, "run_tasks", made)
    return made


def test_a_second_export_comes_from_the_cache(exporter: Exporter, tmp_path: Path) -> None:
    jobs = [job("a"), job("b", 8), job("a again")]
    said: list[tuple[int, int]] = []
    first = export(jobs, "fp32", "xnnpack", tmp_path, lambda done, total: said.append((done, total)))
    assert exporter.made == 2
    assert said == [(0, 2), (1, 2), (2, 2)]
    said.clear()
    assert export(jobs, "fp32", "xnnpack", tmp_path, lambda done, total: said.append((done, total))) == first
    assert exporter.made == 2
    assert said == [(2, 2)]
    assert [model.delegated_share for model in first] == [0.75] * 3
    export(jobs, "int8", "xnnpack", tmp_path)
    assert exporter.made == 4


def test_everything_that_decides_the_bytes_is_in_the_key() -> None:
    versions = package_versions()
    base = export_key(job(), "fp32", "xnnpack", versions)
    assert base == export_key(job("another name"), "fp32", "xnnpack", versions)
    images = msgspec.structs.replace(job(), images=np.ones((2, 4, 4, 3), np.float32))
    assert base == export_key(images, "fp32", "xnnpack", versions)
    others = [
        export_key(job(channels=8), "fp32", "xnnpack", versions),
        export_key(job(seed=1), "fp32", "xnnpack", versions),
        export_key(job(), "fp32", "portable", versions),
        export_key(job(), "int8", "xnnpack", versions),
        export_key(images, "int8", "xnnpack", versions),
        export_key(job(), "fp32", "xnnpack", versions | {"torch": "0"}),
    ]
    assert len({base, *others}) == 7


@pytest.mark.parametrize("suffix", [".pte", ".json"])
def test_a_damaged_entry_is_exported_again(exporter: Exporter, tmp_path: Path, suffix: str) -> None:
    (whole,) = export([job()], "fp32", "xnnpack", tmp_path)
    for number, damage in enumerate((lambda data: data[:-7], lambda data: data[:50] + b"X" + data[51:])):
        (path,) = tmp_path.glob(f"*{suffix}")
        path.write_bytes(damage(path.read_bytes()))
        assert export([job()], "fp32", "xnnpack", tmp_path) == [whole]
        assert exporter.made == number + 2
        assert export([job()], "fp32", "xnnpack", tmp_path) == [whole]
        assert exporter.made == number + 2


def test_two_threads_export_the_same_at_once(tmp_path: Path) -> None:
    """With real workers: both get whole models, equal byte by byte, and the cache holds them."""
    found: dict[int, list[PteFile]] = {}

    def run(number: int) -> None:
        found[number] = export([job()], "fp32", "xnnpack", tmp_path, workers=1)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert export([job()], "fp32", "xnnpack", tmp_path) == found[0]
    (path,) = tmp_path.glob("*.pte")
    assert path.stem == sha256(found[0][0].data)
    assert not list(tmp_path.glob(".*"))


def test_a_model_that_cannot_be_exported_is_named(tmp_path: Path) -> None:
    broken = job("the broken one")
    weights = {name: array for name, array in broken.weights.items() if name != "block.conv.bn_mean"}
    with pytest.raises(ModelError, match=r"the broken one cannot be exported: .*block\.conv\.bn_mean"):
        export([msgspec.structs.replace(broken, weights=weights)], "fp32", "xnnpack", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_worker_that_dies_is_explained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho out of memory, or so >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(ModelError, match="a cannot be exported: the exporter ended: out of memory, or so"):
        list(run_tasks({"key": Task(job(), "fp32", "xnnpack")}, workers=1))


def test_workers_end_with_what_asked_for_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on Ctrl-C: the program below is interrupted while its worker is busy, and leaves none behind."""
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    python.chmod(0o755)
    program = (
        "import sys, threading, _thread\n"
        "from pathlib import Path\n"
        "from hwbench.models.exports import export\n"
        "from tests.unit.test_exports import job\n"
        f"sys.executable = {str(python)!r}\n"
        f"export([job()], 'fp32', 'xnnpack', Path({str(tmp_path / 'cache')!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE)
    until = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < until
        time.sleep(0.05)
    process.send_signal(2)
    _, stderr = process.communicate(timeout=30)
    assert b"KeyboardInterrupt" in stderr
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()


def test_rows_carry_their_share_and_a_flag_when_it_is_not_whole(
    exporter: Exporter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    monkeypatch.setattr(model_rows, "cache_folder", lambda: tmp_path / "cache")
    rows = model_rows.write_rows(model_rows.anchor_models(), MeasureOptions(engine="executorch"), tmp_path)
    assert [row.model for row in rows] == [f"models/{row.id}.pte" for row in rows]
    assert all((tmp_path / row.model).exists() and row.delegated_share == 0.75 for row in rows)
    assert list((tmp_path / "cache" / "exports").glob("*.pte"))
    whole = ModelRow("whole", "m", "", 1, delegated_share=1.0)
    unknown = ModelRow("unknown", "m", "", 1)
    every = [*rows, whole, unknown]
    estimates = Estimates({row.id: measurement(1.0) for row in every}, {}, 0.0)
    flagged = with_delegation(estimates, every, "xnnpack").measurements
    assert {row for row, found in flagged.items() if PARTIAL_DELEGATION in found.flags} == {row.id for row in rows}
    assert with_delegation(estimates, every, "portable") == estimates


def test_combinations_that_no_engine_runs_are_refused() -> None:
    MeasureOptions(engine="executorch", delegate="portable")
    for wrong, words in (
        ({"engine": "executorch", "delegate": "builtin"}, "ExecuTorch has no delegate 'builtin'"),
        ({"engine": "litert", "delegate": "portable"}, "LiteRT has no delegate 'portable'"),
        ({"engine": "executorch", "delegate": "portable", "precision": "int8"}, "does not run int8"),
    ):
        with pytest.raises(UsageError, match=words):
            MeasureOptions(**wrong)  # type: ignore[arg-type]
