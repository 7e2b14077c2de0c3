"""One attempt at measuring six jobs on a phone: `python -m tests.phone.fault_attempt FOLDER SERIAL`.

FOLDER holds `jobs`, the models with their rows, and gets `session`, which is begun or resumed.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import msgspec

from hwbench.devices.adb import AdbTransport
from hwbench.devices.phone.phone import Phone
from hwbench.devices.remote import RemoteDevice
from hwbench.devices.remote_launch import Patience
from hwbench.errors import HwbenchError
from hwbench.measure.campaign import ModelRow, Settings, run
from hwbench.measure.plan import Burst
from hwbench.measure.presets import Preset
from hwbench.measure.session import Session
from hwbench.records import Estimator

PRESET = Preset(
    "faults", target=1e9, rounds=3, launches=2, max_launches=2, patience_s=0.0,
    burst=Burst(warmup_invokes=1, warmup_us=0, invokes=1, duration_us=0, max_invokes=1),
)  # fmt: skip
SETTINGS = Settings("litert", "xnnpack", 1, (), PRESET, Estimator(), flush_bytes=0, interleave=1, seed=0)
PATIENCE = Patience(silence_s=20.0, reconnect_s=4.0)


def open_session(folder: Path) -> Session:
    return Session.open(folder / "session", {"jobs": "six"}, resume=True)


def rows_of(folder: Path) -> list[ModelRow]:
    return msgspec.json.decode((folder / "jobs/rows.json").read_bytes(), type=list[ModelRow])


def attempt(folder: Path, serial: str) -> None:
    """Measures what the session still lacks. Raises what `campaign.run` raises."""
    transport = AdbTransport(serial)
    device = RemoteDevice(transport, Phone(transport), PATIENCE)
    try:
        with device.lock():
            session = open_session(folder)
            shutil.copytree(folder / "jobs/models", session.folder / "models", dirs_exist_ok=True)
            run(device, rows_of(folder), SETTINGS, session, {}, lambda _: None)
    finally:
        device.close()


def main() -> None:
    try:
        attempt(Path(sys.argv[1]), sys.argv[2])
    except HwbenchError as error:
        sys.exit(f"{type(error).__name__}: {error.message}")


if __name__ == "__main__":
    main()
