"""AdaProxy: a proxy's latency per choice, bent to a target by few measurements (Lu et al., SIGMETRICS 2022, section 5).

    min over a, c, b of  (1/n) ||X (w * (a + b)) + c - y||^2 + lambda ||b||

X is the one-hot encoding, w the proxy's weights, y what was measured on the target. One-hot columns of a position sum
to one, so X lacks rank: of the weights that fit the proxy best, w are those with the mean 0 in each position. y and
the proxy's predictions are standardised. The penalty l2 is the squared norm, whose path over lambda has the same
solutions as the norm's. Two things differ from there: b is relative to the typical size of w instead of each w, as what
costs the proxy nearly nothing may cost the target something; and a choice's b is the sum of its own and of one that all
choices of its label share, as an operator that a target finds dear is dear wherever it stands.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from hwbench.errors import DataError
from hwbench.transfer.ranks import Floats

Penalty: TypeAlias = Literal["l1", "l2"]
Labels: TypeAlias = NDArray[np.intp]

FEWEST = 5
_LAMBDAS = np.logspace(-4, 3, 36)
_RCOND = 1e-8
_LASSO_SWEEPS = 200
_LASSO_TOLERANCE = 1e-7


class Settings(msgspec.Struct, frozen=True):
    """Chosen by benchmarks/adaproxy_settings.py.

    `typical`: share of the weights' typical square in the square of what b is relative to, the rest is the weight's
    own. `shared`: share of b's variance that all choices of a label have in common. `sure`: adaptation is accepted if
    its gain in squared error is more than so many of its standard errors over left-out measurements.
    """

    typical: float = 1.0
    shared: float = 0.9
    sure: float = 1.0


DEFAULT = Settings()


class Adapted(msgspec.Struct, frozen=True):
    """`weights` (p,) and `offset_us` predict the target: X @ weights + offset_us, in microseconds.

    `accepted`: left-out measurements were predicted better than by the scaled proxy, `loo_us` against `raw_loo_us`
    (root mean squares); if not, the weights are those of the scaled proxy and `penalty_weight` is infinite.
    """

    weights: Floats
    offset_us: float
    accepted: bool
    penalty: Penalty
    penalty_weight: float
    loo_us: float
    raw_loo_us: float
    measured: int
    reason: str

    def predict(self, encoded: Floats) -> Floats:
        """Microseconds of encoded architectures (n, p), shape (n,)."""
        found: Floats = encoded @ self.weights + self.offset_us
        return found


class _Problem(msgspec.Struct, frozen=True):
    """The standardised problem with scale a and offset c projected out: corrections (n, q) explain `rest` (n,)."""

    basis: Floats
    corrections: Floats
    rest: Floats


def proxy_weights(encoded: Floats, choice_counts: NDArray[np.int64], proxy_us: Floats) -> Floats:
    """Weights w (p,) that fit the proxy's latencies (n,) best but for a constant, with the mean 0 in each position.

    `encoded` (n, p) is one-hot, p the sum of `choice_counts`. Rows without a latency are left out.
    """
    known = np.isfinite(proxy_us)
    fitted = np.asarray(np.linalg.lstsq(encoded[known], proxy_us[known], rcond=_RCOND)[0], float)
    positions = np.split(fitted, np.cumsum(choice_counts)[:-1])
    return np.concatenate([own - own.mean() for own in positions])


def adapt(
    weights: Floats,
    encoded: Floats,
    measured_us: Floats,
    penalty: Penalty = "l2",
    *,
    labels: Labels | None = None,
    settings: Settings = DEFAULT,
) -> Adapted:
    """The adapted proxy; `encoded` (n, p) are the measured architectures, `measured_us` (n,) their latencies.

    `labels` (p,) says which choices are of one label (`encodings.choice_labels`); None: all differ. lambda is the one
    with the least leave-one-out error. Raises DataError for too few or constant measurements.
    """
    _check(weights, encoded, measured_us)
    centre, scale = float(measured_us.mean()), float(measured_us.std())
    y = (measured_us - centre) / scale
    scaled = weights / float((encoded @ weights).std())
    bends = _bends(scaled, labels, settings)
    raw = _left_out(np.column_stack([encoded @ scaled, np.ones(len(y))]), y)
    problem = _problem(scaled, bends, encoded, y)
    errors = _leave_one_out(problem, _LAMBDAS, penalty)
    best = int(np.argmin(np.mean(errors**2, axis=1)))
    gain = raw**2 - errors[best] ** 2
    sure = float(gain.mean()) > settings.sure * float(gain.std(ddof=1)) / np.sqrt(len(gain))
    chosen = float(_LAMBDAS[best]) if sure else float("inf")
    own, offset = _solution(scaled, bends, encoded, y, chosen, penalty)
    reason = (
        "left-out measurements are predicted better than by the scaled proxy"
        if sure
        else "no sure gain on left-out measurements: the proxy is kept as it is"
    )
    return Adapted(
        weights=own * scale,
        offset_us=offset * scale + centre,
        accepted=bool(sure),
        penalty=penalty,
        penalty_weight=chosen,
        loo_us=float(np.sqrt(np.mean(errors[best] ** 2))) * scale,
        raw_loo_us=float(np.sqrt(np.mean(raw**2))) * scale,
        measured=len(y),
        reason=reason,
    )


def fit(
    weights: Floats,
    encoded: Floats,
    measured_us: Floats,
    penalty_weight: float,
    penalty: Penalty,
    *,
    labels: Labels | None = None,
    settings: Settings = DEFAULT,
) -> Floats:
    """The weights (p,) and the offset, shape (p + 1,), for a given lambda; infinity gives the scaled proxy."""
    _check(weights, encoded, measured_us)
    centre, scale = float(measured_us.mean()), float(measured_us.std())
    scaled = weights / float((encoded @ weights).std())
    bends = _bends(scaled, labels, settings)
    own, offset = _solution(scaled, bends, encoded, (measured_us - centre) / scale, penalty_weight, penalty)
    return np.append(own * scale, offset * scale + centre)


def _check(weights: Floats, encoded: Floats, measured_us: Floats) -> None:
    if len(measured_us) < FEWEST:
        raise DataError(
            f"{len(measured_us)} measurements are too few to adapt a proxy.", hint=f"Take {FEWEST} or more."
        )
    if not np.isfinite(measured_us).all() or np.ptp(measured_us) == 0:
        raise DataError("The measurements on the target are missing in part or all the same.")
    if np.ptp(encoded @ weights) < 1e-12:
        raise DataError("The proxy has one latency for all the architectures that were measured.")


def _bends(scaled: Floats, labels: Labels | None, settings: Settings) -> Floats:
    """What each b adds to the weights, shape (p, q): first one b per weight, then one per label."""
    reach = np.sqrt((1 - settings.typical) * scaled**2 + settings.typical * np.mean(scaled**2))
    if labels is None or not settings.shared:
        return np.diag(reach)
    alike = (labels[:, None] == np.unique(labels)).astype(float)
    parts = [np.sqrt(1 - settings.shared) * np.eye(len(scaled)), np.sqrt(settings.shared) * alike]
    found: Floats = reach[:, None] * np.hstack(parts)
    return found


def _problem(scaled: Floats, bends: Floats, encoded: Floats, y: Floats) -> _Problem:
    basis = np.linalg.qr(np.column_stack([encoded @ scaled, np.ones(len(y))]))[0]
    corrections = encoded @ bends
    return _Problem(basis, corrections - basis @ (basis.T @ corrections), y - basis @ (basis.T @ y))


def _leave_one_out(problem: _Problem, penalty_weights: Floats, penalty: Penalty) -> Floats:
    """Errors of each measurement predicted from the others, shape (penalty_weights, n).

    For the ridge exact; for the lasso as if the chosen corrections stayed the same.
    """
    n = len(problem.rest)
    fixed = (problem.basis**2).sum(axis=1)
    if penalty == "l2":
        left, singular, _ = np.linalg.svd(problem.corrections, full_matrices=False)
        shrink = singular**2 / (singular**2 + n * penalty_weights[:, None])
        fitted = (shrink * (left.T @ problem.rest)) @ left.T
        leverage = shrink @ (left**2).T
    else:
        fitted, leverage = (np.empty((len(penalty_weights), n)) for _ in range(2))
        for number, weight in enumerate(penalty_weights):
            b = _lasso(problem, float(weight))
            fitted[number] = problem.corrections @ b
            left, singular, _ = np.linalg.svd(problem.corrections[:, b != 0], full_matrices=False)
            leverage[number] = (left[:, singular > _RCOND] ** 2).sum(axis=1)
    found: Floats = (problem.rest - fitted) / np.maximum(1 - leverage - fixed, 1e-9)
    return found


def _solution(
    scaled: Floats, bends: Floats, encoded: Floats, y: Floats, penalty_weight: float, penalty: Penalty
) -> tuple[Floats, float]:
    """Weights (p,) and offset of the standardised problem. The scale a is not negative: a proxy is not turned over."""
    u = encoded @ scaled
    if np.isinf(penalty_weight):
        a = max(float(np.cov(u, y, bias=True)[0, 1] / u.var()), 1e-6)
        return scaled * a, float(np.mean(y - a * u))
    problem = _problem(scaled, bends, encoded, y)
    if penalty == "l2":
        gram = problem.corrections.T @ problem.corrections + len(y) * penalty_weight * np.eye(bends.shape[1])
        b = np.asarray(np.linalg.solve(gram, problem.corrections.T @ problem.rest), float)
    else:
        b = _lasso(problem, penalty_weight)
    left = y - encoded @ (bends @ b)
    a = float(np.cov(u, left, bias=True)[0, 1] / u.var())
    return scaled * a + bends @ b, float(np.mean(left - a * u))


def _lasso(problem: _Problem, penalty_weight: float) -> Floats:
    """b of (1/n) ||Z b - r||^2 + lambda ||b||_1 by coordinate descent, shape (q,)."""
    n, q = problem.corrections.shape
    gram, target = problem.corrections.T @ problem.corrections / n, problem.corrections.T @ problem.rest / n
    b = np.zeros(q)
    for _ in range(_LASSO_SWEEPS):
        largest = 0.0
        for j in np.flatnonzero(np.diagonal(gram) > _RCOND):
            pull = target[j] - gram[j] @ b + gram[j, j] * b[j]
            new = np.sign(pull) * max(abs(pull) - penalty_weight / 2, 0.0) / gram[j, j]
            largest = max(largest, abs(new - b[j]))
            b[j] = new
        if largest < _LASSO_TOLERANCE:
            break
    return b


def _left_out(design: Floats, y: Floats) -> Floats:
    """Leave-one-out errors of least squares, shape (n,)."""
    basis = np.linalg.qr(design)[0]
    found: Floats = (y - basis @ (basis.T @ y)) / np.maximum(1 - (basis**2).sum(axis=1), 1e-9)
    return found
