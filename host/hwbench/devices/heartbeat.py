"""The small file by which a runner shows that it is alive (PROTOCOL.md)."""

from __future__ import annotations


def visits_done(beat: bytes) -> int:
    """How many visits a heartbeat tells of; 0 for one that does not say."""
    words = beat.split()
    return int(words[2]) if len(words) == 3 and words[2].isdigit() and len(words[2]) < 12 else 0
