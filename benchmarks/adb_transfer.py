"""A push of 64 MiB to the virtual phone, ours against `adb push`, alternating; and what checking its hash adds."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.phone import binfmt
from tests.phone.adb_server import BOTH_ADBS
from tests.phone.adb_server import AdbServer as PrivateServer
from tests.phone.phone import VirtualPhone

from benchmarks.common import parser, report
from hwbench.devices.adb import AdbTransport
from hwbench.devices.adb_server import AdbServer
from hwbench.devices.transport import PushFile

SIZE = 64 << 20
REMOTE = "/data/local/tmp/pushed"


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--repeats", type=int, default=9)
    chosen = options.parse_args()
    binfmt.enable()
    result = {"bytes": SIZE, "least_share_of_adb": 0.8}
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        source.write_bytes(os.urandom(SIZE))
        measured = {program: compare(program, Path(folder), source, chosen.repeats) for program in BOTH_ADBS}
    report("adb_transfer", {**result, **measured}, chosen.keep)


def compare(program: str, folder: Path, source: Path, repeats: int) -> dict[str, object]:
    """MiB per second of both, pair by pair, and the median of their ratios."""
    server = PrivateServer(program, folder / program.split("'", maxsplit=1)[0])
    phone = VirtualPhone(folder / f"phone of {program.split(maxsplit=1)[0]}")
    try:
        phone.start()
        server.connect(phone)
        transport = AdbTransport(phone.serial, AdbServer(server.port))
        ours, theirs, checks = [], [], []
        for _ in range(repeats):
            theirs.append(seconds(lambda: server.run("push", source, REMOTE, phone=phone).check_returncode()))
            ours.append(seconds(lambda: transport.push([PushFile(source, REMOTE)])))
            checks.append(seconds(lambda: transport.run(["sha256sum", REMOTE], timeout_s=120)))
    finally:
        phone.stop()
        server.stop()
    ratios = [adb / own for own, adb in zip(ours, theirs, strict=True)]
    return {
        "ours_mib_per_s": [round(SIZE / s / 2**20) for s in ours],
        "adb_mib_per_s": [round(SIZE / s / 2**20) for s in theirs],
        "share_of_adb": {"median": statistics.median(ratios), "least": min(ratios), "most": max(ratios)},
        "seconds_of_the_hash": statistics.median(checks),
    }


def seconds(act: Callable[[], object]) -> float:
    begin = time.perf_counter()
    act()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
