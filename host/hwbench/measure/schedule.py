"""What the next launch measures: pure functions of what is there already, so that a resumed run plans the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hwbench.measure.presets import Preset


def next_rounds(have: Mapping[str, int], half_widths: Mapping[str, float], preset: Preset) -> dict[str, int]:
    """Rounds per row for the next launch; empty when nothing is left to do.

    First every row gets the preset's launches, one after the other; a launch that broke off is completed
    before the next begins. Then rows whose half-width is above the target get further launches, up to the cap.
    """
    for stage in range(1, preset.launches + 1):
        lacking = {row: stage * preset.rounds - count for row, count in have.items() if count < stage * preset.rounds}
        if lacking:
            return lacking
    cap = preset.max_launches * preset.rounds
    return {
        row: min(preset.rounds, cap - count)
        for row, count in have.items()
        if count < cap and half_widths.get(row, 0.0) > preset.target
    }


def groups(sizes: Mapping[str, int], budget_bytes: int) -> list[list[str]]:
    """Rows dealt into as few groups as fit the budget, each with rows of all sizes.

    A row larger than the budget is alone in its group: whether it fits the device is for the runner to say.
    """
    ordered = sorted(sizes, key=lambda row: (-sizes[row], row))
    for count in range(1, len(ordered) + 1):
        dealt = [ordered[start::count] for start in range(count)]
        if max(sum(sizes[row] for row in group) for group in dealt) <= budget_bytes:
            return dealt
    return [[row] for row in ordered]


def restrict(rounds: Mapping[str, int], dealt: Sequence[Sequence[str]]) -> list[dict[str, int]]:
    """The rounds of each group's launch, groups with nothing to do left out."""
    launches = [{row: rounds[row] for row in group if row in rounds} for group in dealt]
    return [launch for launch in launches if launch]
