"""What each choice adds to a score that is no sum: a ridge regression over drawn architectures.

The exact programme then finds the best of all under limits, as seen by the regression, where an evolution looks at
single architectures, each with the noise of its own evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hwbench.errors import UsageError
from hwbench.search.quantities import ChoiceScores, Limit, Quantity
from hwbench.spaces.space import Architectures, Space

DRAWN = 240
_PENALTY = 10.0
_CLOSE = 0.9
_AT_ONCE = 20_000
_MOST_DRAWS = 200


def drawn_near(space: Space, limits: Sequence[Limit], count: int, seed: int) -> Architectures:
    """Random architectures that keep all limits and take at least 90 % of the first one, in the order of their draws.

    Shape (count, positions). Raises UsageError where draws hardly ever do.
    """
    first, found, have = limits[0], [], 0
    for part in range(_MOST_DRAWS):
        drawn = space.sample(_AT_ONCE, seed=_MOST_DRAWS * seed + part)
        near = first.quantity.of(drawn) >= _CLOSE * first.most
        for limit in limits:
            near &= limit.excess(drawn) == 0
        found.append(drawn[near])
        have += int(near.sum())
        if have >= count:
            return np.concatenate(found)[:count]
    raise UsageError(
        f"Of {_MOST_DRAWS * _AT_ONCE:,} random architectures {have} take 90 to 100 % of the limit; {count} are needed.",
        hint="Choose another limit, or derive by probabilities.",
    )


def fitted(space: Space, architectures: Architectures, score: Quantity) -> ChoiceScores:
    """What each choice adds to the score of architectures (n, positions), their mean left out.

    A penalty draws to 0 what few architectures tell, as if ten more had each choice and no effect of it.
    """
    values, counts = score.of(architectures), space.choice_counts.tolist()
    shown = np.concatenate(
        [architectures[:, [place]] == np.arange(count) for place, count in enumerate(counts)], axis=1
    ).astype(float)
    shown -= shown.mean(0)
    effects = np.linalg.solve(shown.T @ shown + _PENALTY * np.eye(shown.shape[1]), shown.T @ (values - values.mean()))
    return ChoiceScores(space, tuple(np.split(effects, np.cumsum(counts)[:-1])), f"fitted {score.name}")
