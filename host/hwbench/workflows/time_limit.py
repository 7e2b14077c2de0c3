"""A limit on the time that a whole measurement may take."""

from __future__ import annotations

import time
from collections.abc import Callable

from hwbench.errors import TimeLimitReached
from hwbench.measure.campaign import Progress


def limited(on_progress: Callable[[Progress], None], seconds: float | None) -> Callable[[Progress], None]:
    """`on_progress`, which from `seconds` on raises TimeLimitReached; None: no limit."""
    if seconds is None:
        return on_progress
    end = time.monotonic() + seconds

    def report(state: Progress) -> None:
        if time.monotonic() > end:
            raise TimeLimitReached(f"The time limit of {seconds:.0f} s is reached.", hint="Continue with --resume.")
        on_progress(state)

    return report
