"""The best anchor levels that a target has ever shown since its machine was started, kept in the user's cache."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from hwbench import files
from hwbench.errors import HwbenchError
from hwbench.records import Target

_LIFETIME_S = 7 * 86_400.0


class _Baseline(msgspec.Struct, frozen=True):
    levels_us: dict[str, float]
    seen_unix_s: float


class BaselineStore:
    """One small file per target and boot; a lost or damaged one costs nothing but the memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, target: Target, boot_id: str | None) -> dict[str, float]:
        """Anchor levels in microseconds; empty when nothing is known."""
        try:
            found = files.load(self._path(target, boot_id), "baseline", 1, _Baseline)
        except HwbenchError:
            return {}
        return found.levels_us if time.time() - found.seen_unix_s < _LIFETIME_S else {}

    def keep(self, target: Target, boot_id: str | None, levels_us: Mapping[str, float]) -> None:
        known = self.load(target, boot_id)
        best = {anchor: min(value, known.get(anchor, value)) for anchor, value in levels_us.items()}
        files.save(self._path(target, boot_id), "baseline", 1, _Baseline({**known, **best}, time.time()))

    def _path(self, target: Target, boot_id: str | None) -> Path:
        # Nothing is flushed for anchors, so the cache mode does not matter to them.
        name = files.sha256(msgspec.json.encode([msgspec.structs.replace(target, cache=""), boot_id]))[:24]
        return self._folder / f"{name}.json"
