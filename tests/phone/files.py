"""Files of a phone's root, written from outside by root, and those that do not outlive a boot."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.phone.sync import SHELL_UID

_STATE = "dev/phone/state"


def write_file(path: Path, text: str, mode: int = 0o444) -> None:
    """Writes a file that is whole whenever somebody reads it, and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    fresh.write_text(text)
    fresh.chmod(mode)
    os.replace(fresh, path)


def shell_folder(folder: Path) -> None:
    """Makes a folder as /data/local/tmp is: only the shell's user writes there."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o771)
    os.chown(folder, SHELL_UID, SHELL_UID)


def new_boot(root: Path, boot_id: str) -> None:
    """Forgets what a phone does not keep over a boot."""
    shutil.rmtree(root / _STATE)
    shell_folder(root / _STATE)
    write_file(root / "system/etc/proc/sys/kernel/random/boot_id", f"{boot_id}\n")
