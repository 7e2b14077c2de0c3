"""Damaged table files of every format: a clean error or a valid table, within a second, and nothing else."""

from __future__ import annotations

import contextlib
import random
import time
from pathlib import Path

import msgspec
import pytest

from hwbench.errors import CorruptFile, DataError, HwbenchError
from hwbench.tables import formats, opening
from tests.table_files import mutate, write_own, write_samples

TRIES = 250
NAMES = ["help-pt", "help-pt ofa", "tfnas-pickle", "proxylessnas-yaml", "ofa-yaml", "ofa-json", "tunas-linear",
         "fbnet-json", "single-path-json", "paddle-text", "hat-csv", "oneproxy-csv", "csv", "csv matrix"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_a_damaged_foreign_file(tmp_path: Path, name: str) -> None:
    path = write_samples(tmp_path)[name]
    data = path.read_bytes()
    rng = random.Random(name)
    refused = 0
    for _ in range(TRIES):
        path.write_bytes(mutate(data, rng))
        begin = time.process_time()
        try:
            found = formats.read(path, format_name=name.partition(" ")[0])
            assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found
        except HwbenchError:
            refused += 1
        assert time.process_time() - begin < 1
    assert 0 < refused < TRIES


@pytest.mark.parametrize("name", ["arch.pt", "ofa_archs.pt"])
def test_damaged_architectures(tmp_path: Path, name: str) -> None:
    samples = write_samples(tmp_path)
    latencies = samples["help-pt" if name == "arch.pt" else "help-pt ofa"]
    path = latencies.parent.parent / name
    data = path.read_bytes()
    rng = random.Random(name)
    for _ in range(TRIES):
        path.write_bytes(mutate(data, rng))
        with contextlib.suppress(HwbenchError):
            formats.read(latencies)


@pytest.mark.parametrize("kind", ["import", "matrix"])
def test_a_damaged_own_file_is_detected(tmp_path: Path, kind: str) -> None:
    path = write_own(tmp_path)[kind]
    data = path.read_bytes()
    rng = random.Random(kind)
    for trial in range(TRIES):
        damaged = mutate(data, rng)
        if trial % 2:
            flipped = bytearray(data)
            flipped[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            damaged = bytes(flipped)
        path.write_bytes(damaged)
        if damaged != data:
            with pytest.raises((CorruptFile, DataError), match=path.name):
                opening.load(path)
