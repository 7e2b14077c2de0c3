"""Keeps what runners write on a virtual phone, whatever becomes of their files there."""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from tests.phone.phone import VirtualPhone

Written = dict[str, list[bytes]]
"""The contents of result files by name, e.g. `launch-0.results.jsonl`."""

_EVERY_S = 0.01


class Witness:
    """Gives each result file a second name where only it looks: what is written to the first is there too.

    It never writes, so what it has is the runners' own. A file that it was too late for is missing from it, and is
    then taken for invented, never the other way round.
    """

    def __init__(self, phone: VirtualPhone) -> None:
        self._source = phone.root / "data/local/tmp/hwbench"
        self._kept = phone.root / "data/witness"
        self._kept.mkdir(mode=0o700, exist_ok=True)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def written(self) -> Written:
        """All result files that there were."""
        assert self._thread.is_alive()
        found: Written = {}
        for file in sorted(self._kept.iterdir()):
            found.setdefault(file.name.partition(" ")[0], []).append(file.read_bytes())
        return found

    def forget(self) -> None:
        """Begins anew."""
        for file in self._kept.iterdir():
            file.unlink()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(_EVERY_S):
            # Folders go while they are looked through.
            with suppress(FileNotFoundError):
                for file in self._source.glob("work-*/launch-*.results.jsonl"):
                    with suppress(FileNotFoundError, FileExistsError):
                        os.link(file, self._kept / f"{file.name} {file.stat().st_ino}")
