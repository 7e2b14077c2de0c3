"""Small valid files of every table format, and ways to damage a file."""

from __future__ import annotations

import csv
import io
import json
import pickle
import random
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np

from hwbench import spaces
from hwbench.spaces import fbnet, hat, nasbench201
from hwbench.tables import formats, imported, matrix
from hwbench.tables.formats import legacy_keys, ofa_tables, plain_csv, proxylessnas_yaml
from hwbench.tables.formats.document import Options
from hwbench.tables.imported import ImportedRow, ImportedTable, ImportRecord
from hwbench.tables.matrix import Column, LatencyMatrix

RECORD = ImportRecord("csv", "f.csv", "0" * 64, "ms", "latency_us", None, None, 3, 0, ())
_TOKENS = [b"-1", b"nan", b"1e999", b"-0", b"", b"[" * 3000, b"{" * 3000, b'"', b",", b"\n", b"\t", b"9" * 400, b"*a",
           b"&a", b"null", b"true", b"\x00", b"\xff\xfe", b": ", b"- ", b"!!python/object/apply:os.system",
           b"cos\nsystem\n"]  # fmt: skip


def block_table(space: str, seed: int = 0) -> ImportedTable:
    """A table of random values for every block of a space."""
    rng = np.random.default_rng(seed)
    rows = tuple(
        ImportedRow(block.key, float(rng.uniform(10, 9000)), float(rng.uniform(0, 50)), int(rng.integers(2, 900)))
        for block in spaces.get(space).distinct_blocks
    )
    return ImportedTable(space, "latency_us", "phone", "block", rows, RECORD)


def small_matrix(seed: int = 0) -> LatencyMatrix:
    """Twenty cells of NAS-Bench-201, two targets, one value missing."""
    rng = np.random.default_rng(seed)
    archs = tuple(tuple(row) for row in nasbench201.in_index_order()[:20].tolist())
    columns = tuple(Column(name, tuple(rng.uniform(1e3, 9e3, 20).tolist())) for name in ("a", "b"))
    columns = (Column("a", (None, *columns[0].values[1:])), columns[1])
    return LatencyMatrix(nasbench201.DEFAULT, "latency_us", archs, columns)


def torch_archive(value: object) -> bytes:
    """A `.pt` file of plain data, as torch lays it out."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(value, protocol=2))
        archive.writestr("archive/version", "3\n")
    return file.getvalue()


def write_samples(folder: Path) -> dict[str, Path]:
    """One small file of each format, by format; HELP's are in a folder of their own."""
    rng = random.Random(0)
    small = block_table("proxylessnas-w0.25-r32-c10")
    searched = spaces.get(spaces.DEFAULT).choices
    help_folder = folder / "fbnet"
    (help_folder / "latency").mkdir(parents=True, exist_ok=True)
    archs = fbnet.build("cifar", 32, 100).sample(30, seed=0).tolist()
    (help_folder / "arch.pt").write_bytes(torch_archive(archs))
    (folder / "ofa" / "latency").mkdir(parents=True, exist_ok=True)
    once = {"ks": [3, 5, 7, 3] * 5, "e": [3, 4, 6, 6] * 5, "d": [2, 3, 4, 2, 3], "r": np.int64(192)}
    (folder / "ofa" / "ofa_archs.pt").write_bytes(torch_archive({"dataset": "imagenet", "arch": [once] * 30}))
    values = [rng.uniform(1, 90) for _ in range(30)]
    layer = {str(choice): rng.uniform(1, 9) for choice in range(4)}
    tfnas = OrderedDict(base=9.35)
    tfnas["MBInvertedResBlock_112_16_0_24_k3_s2_relu"] = OrderedDict((n, n / 3 - 1) for n in range(1, 40))  # type: ignore[assignment]
    hat_file, proxy_file = io.StringIO(), io.StringIO()
    hat_rows = csv.writer(hat_file)
    hat_rows.writerow([*hat.FEATURES, "latency_mean_encoder", "latency_mean_decoder"])
    hat_rows.writerows([[640, 6, 2048.5, 6, 512, 3, 1024, 4.5, 6, 1.5, 5.5, 120.25 + n] for n in range(20)])
    proxy_rows = csv.writer(proxy_file)
    proxy_rows.writerow(["nb201_index", "arch_str", "one_ms", "two_ms"])
    cells = nasbench201.in_index_order()[:20]
    proxy_rows.writerows(
        [[n, nasbench201.describe(arch), n + 0.5, -1 if n == 3 else 9 - n / 7] for n, arch in enumerate(cells)]
    )
    percentiles = {f"runtime_us_p{p}": 100.0 + p for p in (0, 10, 50, 90, 100)}
    operators = [
        {"op_type": "Conv", "op_args": [f"kernel:{n}"], "input_shapes": [[1, n, 8, 8]], "device": "S8", **percentiles}
        for n in range(1, 12)
    ]
    coefficients = [rng.uniform(-9, 9) for _ in range(3 + sum(len(choice.labels) for choice in searched))]
    convolutions = b"".join(b"conv,0,0,1,%d,64,64,8,1,3,1,2,1\t%d\n" % (n, 99 + n) for n in range(20))
    contents: dict[str, tuple[str, bytes]] = {
        "help-pt": ("fbnet/latency/raspi4.pt", torch_archive(values)),
        "help-pt ofa": ("ofa/latency/v100_1.pt", torch_archive(values)),
        "tfnas-pickle": ("latency_cpu.pkl", pickle.dumps(tfnas, protocol=2)),
        "proxylessnas-yaml": ("mobile.yaml", proxylessnas_yaml.write(small)),
        "ofa-yaml": ("224.yaml", ofa_tables.write_yaml(block_table("ofa-w1.0-r64-c10"))),
        "ofa-json": ("224.json", ofa_tables.write_json(block_table("ofa-w1.0-r64-c10"))),
        "tunas-linear": (
            "kernel.json",
            json.dumps({"bias_ms": 92.1, "kernel": coefficients}).encode(),
        ),
        "fbnet-json": ("s8.json", json.dumps(operators).encode()),
        "single-path-json": ("pixel1.json", json.dumps({str(n): layer for n in range(22)}).encode()),
        "paddle-text": ("855.txt", b"op_type\t855\tus\n" + convolutions),
        "hat-csv": ("xeon.csv", hat_file.getvalue().encode()),
        "oneproxy-csv": ("latency.csv", proxy_file.getvalue().encode()),
        "csv": ("table.csv", plain_csv.write_table(small)),
        "csv matrix": ("matrix.csv", plain_csv.write_matrix(small_matrix())),
    }  # fmt: skip
    paths = {}
    for name, (relative, data) in contents.items():
        paths[name] = folder / relative
        paths[name].write_bytes(data)
    assert legacy_keys.best_space({row.key for row in small.rows}, "proxylessnas") == small.space
    return paths


def write_own(folder: Path) -> dict[str, Path]:
    """One own file of each kind that imports give."""
    paths = {"import": folder / "import.json", "matrix": folder / "matrix.json"}
    imported.save(block_table("proxylessnas-w0.25-r32-c10"), paths["import"])
    matrix.save(small_matrix(), paths["matrix"])
    return paths


def read_table(path: Path, **options: str) -> ImportedTable:
    """The table of a foreign file; `options` as for an import."""
    found = formats.read(path, Options(**options))  # type: ignore[arg-type]
    assert isinstance(found, ImportedTable)
    return found


def read_matrix(path: Path, **options: str) -> LatencyMatrix:
    """The matrix of a foreign file; `options` as for an import."""
    found = formats.read(path, Options(**options))  # type: ignore[arg-type]
    assert isinstance(found, LatencyMatrix)
    return found


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def mutate(data: bytes, rng: random.Random) -> bytes:
    """One to four small damages: bytes changed, lost, doubled, swapped, cut off, or replaced by awkward text."""
    out = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out) + 1)
        length = min(rng.choice([1, 1, 2, 4, 8, 40, 400]), len(out) - at)
        match rng.randrange(7):
            case 0 if at < len(out):
                out[at] = rng.randrange(256)
            case 1:
                del out[at : at + length]
            case 2:
                out[at:at] = out[at : at + length] * rng.randint(1, 3)
            case 3:
                out[at : at + length] = rng.choice(_TOKENS)
            case 4 if rng.random() < 0.2:
                del out[at:]
            case 5:
                out[at:at] = rng.randbytes(rng.randint(1, 9))
            case _:
                other = rng.randrange(len(out) + 1)
                out[at : at + length] = out[other : other + length]
    return bytes(out)
