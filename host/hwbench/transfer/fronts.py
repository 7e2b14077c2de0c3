"""Exact Pareto fronts of latency and accuracy, and what another target's front costs."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.transfer.ranks import Floats

# Budgets: these quantiles of the target's latencies.
SHARES = tuple(share / 10 for share in range(1, 10))


class BudgetRegret(msgspec.Struct, frozen=True):
    """The best accuracy under a budget: `best` of all architectures, `kept` of the proxy's front (None: none fits)."""

    budget_us: float
    best: float
    kept: float | None

    @property
    def regret(self) -> float | None:
        return None if self.kept is None else self.best - self.kept


class FrontRegret(msgspec.Struct, frozen=True):
    """What choosing from the proxy's front costs on the target, budget by budget, in the unit of the accuracy."""

    budgets: tuple[BudgetRegret, ...]

    @property
    def mean(self) -> float | None:
        """Over the budgets that some architecture of the proxy's front keeps; None when there is none."""
        found = [one.regret for one in self.budgets if one.regret is not None]
        return float(np.mean(found)) if found else None

    @property
    def worst(self) -> float | None:
        return max((one.regret for one in self.budgets if one.regret is not None), default=None)

    @property
    def unmet(self) -> int:
        """Budgets that no architecture of the proxy's front keeps."""
        return sum(one.kept is None for one in self.budgets)


def front(latency_us: Floats, accuracy: Floats) -> NDArray[np.intp]:
    """Indices of the architectures that no other beats in one and equals in the other, by rising latency.

    Both of shape (n,); NaN in either keeps an architecture out. Of equals in both the first is taken.
    """
    known = np.flatnonzero(np.isfinite(latency_us) & np.isfinite(accuracy))
    found: NDArray[np.intp] = known[undominated(latency_us[known], accuracy[known])]
    return found


def undominated(cost: Floats, score: Floats) -> NDArray[np.intp]:
    """Places of those that no other equals in one and beats in the other, by rising cost; of equals the first."""
    order = np.argsort(cost, kind="stable")
    ordered = score[order]
    rising = np.empty(len(order), bool)
    rising[:1] = True
    np.greater(ordered[1:], np.maximum.accumulate(ordered)[:-1], out=rising[1:])
    kept = order[rising]
    # Of equal costs the last one kept has the best score.
    best = np.empty(len(kept), bool)
    best[-1:] = True
    np.not_equal(cost[kept[1:]], cost[kept[:-1]], out=best[:-1])
    found: NDArray[np.intp] = kept[best]
    return found


def front_regret(target_us: Floats, proxy_us: Floats, accuracy: Floats) -> FrontRegret:
    """Accuracy lost on the target by choosing from the proxy's exact front, for the deciles of the target's latencies.

    All of shape (n,); architectures with a NaN in any are left out.
    """
    both = np.isfinite(target_us) & np.isfinite(proxy_us) & np.isfinite(accuracy)
    target, proxy, scores = target_us[both], proxy_us[both], accuracy[both]
    if not len(target):
        return FrontRegret(())
    chosen = front(proxy, scores)
    return regret(np.quantile(target, SHARES), (target, scores), (target[chosen], scores[chosen]))


def regret(budgets_us: Floats, best: tuple[Floats, Floats], kept: tuple[Floats, Floats]) -> FrontRegret:
    """What is lost at each budget by choosing from `kept`, each a pair of latencies on the target and scores, (n,).

    `best` are all architectures or those of the target's own front. The kept ones are known by their latency on the
    target, so no budget is broken: the loss is that better ones are not among them. Raises ValueError for a budget that
    nothing of `best` keeps.
    """
    budgets = []
    for budget in budgets_us:
        fitting = kept[1][kept[0] <= budget]
        reached = float(fitting.max()) if len(fitting) else None
        # Sums in another order may differ in their last digit, and so lie on two sides of a budget.
        most = max(float(best[1][best[0] <= budget].max()), reached if reached is not None else -np.inf)
        budgets.append(BudgetRegret(float(budget), most, reached))
    return FrontRegret(tuple(budgets))
