"""Builds the cores of all targets into a folder, for a wheel that carries them.

python -m hwbench.devices.bundle_cores host/hwbench/_bundles
"""

from __future__ import annotations

import sys
from pathlib import Path

from hwbench.devices import bundle_store
from hwbench.devices.bundle import TARGETS
from hwbench.errors import HwbenchError


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m hwbench.devices.bundle_cores FOLDER\n")
        return 2
    try:
        for target in TARGETS.values():
            core = bundle_store.keep_core(target, Path(arguments[0]) / target.name)
            sys.stderr.write(f"{target.name}: {core.bytes / 1e6:.1f} MB\n")
    except HwbenchError as error:
        sys.stderr.write(f"hwbench: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
