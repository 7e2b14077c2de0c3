"""NSGA-II (Deb et al., IEEE Transactions on Evolutionary Computation, 2002) of pymoo: a whole front at once.

The score is maximised and the first limit's quantity minimised, under all limits. Needs the extra `search`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hwbench.errors import UsageError
from hwbench.search.evaluations import Evaluations
from hwbench.search.evolution import Breeding, Settings, best_known
from hwbench.search.groups import Groups
from hwbench.search.quantities import Limit
from hwbench.spaces.space import Architectures, Space
from hwbench.transfer.fronts import front

try:
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.mutation import Mutation
    from pymoo.core.problem import Problem
    from pymoo.operators.crossover.ux import UX
    from pymoo.optimize import minimize
except ImportError as error:
    raise UsageError("NSGA-II needs pymoo, which is not installed.", hint="pip install 'hwbench[search]'") from error


def evolve(
    space: Space, limits: Sequence[Limit], evaluations: Evaluations, settings: Settings, count: int = 1
) -> Architectures:
    """As `evolution.evolve`. Raises UsageError without a limit; `batch` children make a generation."""
    if not limits:
        raise UsageError("NSGA-II trades the score against a limited quantity, and nothing is limited.")
    rng = np.random.default_rng(settings.seed)
    first = Breeding(space, limits, rng).first(settings.population)
    algorithm = NSGA2(
        pop_size=settings.population, n_offsprings=settings.batch, sampling=first, crossover=UX(),
        mutation=_OtherOption(), eliminate_duplicates=True,
    )  # fmt: skip
    generations = 1 + -(-settings.children // settings.batch)
    minimize(_Search(space, limits, evaluations), algorithm, ("n_gen", generations), seed=settings.seed)
    return best_known(space, evaluations, count)


def front_known(limits: Sequence[Limit], evaluations: Evaluations) -> Architectures:
    """The evaluated architectures that none beats in score and in the first limit's quantity, by rising cost."""
    archs = np.array([list(key) for key in evaluations.scores], np.uint8)
    scores = np.array(list(evaluations.scores.values()))
    found: Architectures = archs[front(limits[0].quantity.of(archs), scores)]
    return found


class _Search(Problem):
    """Options as whole numbers; a candidate that breaks a limit is not evaluated, since its objectives do not count."""

    def __init__(self, space: Space, limits: Sequence[Limit], evaluations: Evaluations) -> None:
        self._groups = Groups.of(space)
        self._limits = limits
        self._evaluations = evaluations
        options = self._groups.options
        super().__init__(
            n_var=len(options), n_obj=2, n_ieq_constr=len(limits), xl=np.zeros(len(options)), xu=options - 1, vtype=int
        )

    def _evaluate(self, x: Any, out: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        archs = self._groups.architectures(x)
        excess = np.stack([limit.excess(archs) for limit in self._limits], axis=1)
        kept = (excess == 0).all(axis=1)
        scores = np.zeros(len(archs))
        scores[kept] = self._evaluations.of(archs[kept])
        out["F"] = np.stack([-scores, self._limits[0].quantity.of(archs)], axis=1)
        out["G"] = excess


class _OtherOption(Mutation):
    """Each group takes another option with a probability of one over their number."""

    def _do(self, problem: Any, x: Any, *args: Any, random_state: Any = None, **kwargs: Any) -> Any:
        options = (problem.xu + 1).astype(int)
        changed = (random_state.random(x.shape) < 1 / problem.n_var) & (options > 1)
        other = (x + random_state.integers(1, np.maximum(options, 2), size=x.shape)) % options
        return np.where(changed, other, x)
