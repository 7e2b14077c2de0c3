"""Whether two records belong together."""

from __future__ import annotations

from collections.abc import Sequence

from hwbench.errors import Incomparable


def require_same(
    first_name: str, first: object, name: str, other: object, fields: Sequence[str], *, hint: str | None = None
) -> None:
    """Raises Incomparable naming every one of the fields in which two records of a kind differ."""
    differing = [field for field in fields if getattr(first, field) != getattr(other, field)]
    if differing:
        described = "; ".join(f"{field} {getattr(first, field)}, {getattr(other, field)}" for field in differing)
        raise Incomparable(f"{first_name} and {name} are not of one target: {described}.", hint=hint)
