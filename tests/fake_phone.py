"""A phone's shell in a folder: the real scripts, a /sys and /proc of files, and only the programs that a phone has."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hwbench.devices.transport import Finished
from tests.conftest import ROOT

HARNESS = ROOT / "android_harness"

SHELLS = {"mksh": ("mksh",), "dash": ("dash",), "ash": ("busybox", "ash")}
_PROGRAMS = ("cat", "mkdir", "rm", "sleep", "df", "uname")


class FakePhone:
    """Runs scripts as a transport would; `programs` are lines of sh by the name of the program."""

    name = "fake:0"

    def __init__(self, root: Path, shell: str, programs: Mapping[str, str]) -> None:
        found = shutil.which(SHELLS[shell][0])
        if found is None:
            pytest.skip(f"{shell} is not installed")
        self.root = root
        self.folder = str(root / "data" / "local" / "tmp" / "hwbench")
        self._shell = (found, *SHELLS[shell][1:])
        self._bin = root / "bin"
        for place in (self._bin, Path(self.folder), root / "sys", root / "proc"):
            place.mkdir(parents=True, exist_ok=True)
        for program in _PROGRAMS:
            (self._bin / program).symlink_to(shutil.which(program) or "/missing")
        for program, lines in programs.items():
            self.program(program, lines)
        for script in HARNESS.glob("*.sh"):
            text = script.read_text()
            text = text.replace("\nsys=/sys\n", f"\nsys={root}/sys\n").replace(
                "\nproc=/proc\n", f"\nproc={root}/proc\n"
            )
            (Path(self.folder) / script.name).write_text(text)

    def program(self, name: str, lines: str) -> None:
        (self._bin / name).write_text(f"#!/bin/sh\n{lines}\n")
        (self._bin / name).chmod(0o755)

    def write(self, path: str, content: str | bytes) -> None:
        """A file by its absolute path on the phone."""
        place = self.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": str(self._bin), "TMPDIR": self.folder}

    def command(self, words: Sequence[str]) -> list[str]:
        """`sh SCRIPT ...` by the phone's shell."""
        assert words[0] == "sh"
        return [*self._shell, *words[1:]]

    def start(self, words: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self.command(words), env=self.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=self.root,
        )  # fmt: skip

    def run(self, command: Sequence[str], *, timeout_s: float = 30.0, stdin: bytes = b"") -> Finished:
        done = subprocess.run(
            self.command(command), env=self.environment, input=stdin, capture_output=True, timeout=timeout_s,
            check=False, cwd=self.root,
        )  # fmt: skip
        code = done.returncode if done.returncode >= 0 else 128 - done.returncode
        root = os.fsencode(self.root)
        return Finished(
            code, done.stdout.replace(root + b"/sys", b"/sys").replace(root + b"/proc", b"/proc"), done.stderr
        )
