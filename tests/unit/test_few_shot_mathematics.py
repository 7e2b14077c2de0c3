"""The mathematics of the default predictor against closed forms, brute force and simulation."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gamma

from hwbench.errors import DataError
from hwbench.measure.statistics import spearman
from hwbench.transfer.few_shot import evidence, kernel_process, picks, posterior, scaling, simulate, spikes, stopping
from hwbench.transfer.few_shot.bank import fit_bank
from hwbench.transfer.few_shot.kernels import table_of
from hwbench.transfer.few_shot.prior import Encoded, Prior, draws_of, mean_variances, principal_directions, prior_of
from hwbench.transfer.few_shot.ridge import RidgeDesign
from hwbench.transfer.few_shot.settings import DEFAULT, Range, Settings
from tests.few_shot_pools import simulated_matrix

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def prior() -> Prior:
    matrix = simulated_matrix("nasbench201-w16-n5-r32-c10", 300, 4, 0.01)
    return prior_of(matrix, settings=msgspec.structs.replace(DEFAULT, draws=16))


def test_ridge_leaves_one_out_as_a_refit_does() -> None:
    features, values = RNG.normal(size=(25, 6)), RNG.normal(size=25)
    coefficients, residuals = RidgeDesign(features)._fit(values)
    centred = features - features.mean(axis=0)
    errors = {}
    for strength in np.logspace(-5, 2, 15):
        # A mean that is not shrunk is a column that is not penalised.
        design = np.hstack([np.ones((25, 1)), centred])
        penalty = np.diag([0.0, *[strength] * 6])
        left_out = []
        for row in range(25):
            kept = np.arange(25) != row
            fit = np.linalg.solve(design[kept].T @ design[kept] + penalty, design[kept].T @ values[kept])
            left_out.append(values[row] - design[row] @ fit)
        errors[strength] = np.array(left_out)
    best = min(errors, key=lambda strength: (errors[strength] ** 2).mean())
    assert residuals == pytest.approx(errors[best])
    expected = np.linalg.solve(centred.T @ centred + best * np.eye(6), centred.T @ (values - values.mean()))
    assert coefficients == pytest.approx(expected)


def test_ridge_shrugs_off_a_spike() -> None:
    features = RNG.normal(size=(200, 3))
    values = features @ [1.0, -2.0, 0.5] + 0.01 * RNG.normal(size=200)
    spiked = values.copy()
    spiked[:4] += 50
    coefficients, constant = RidgeDesign(features).fit(spiked)
    plain, _ = RidgeDesign(features)._fit(spiked)
    truth = np.array([1.0, -2.0, 0.5])
    assert np.abs(coefficients - truth).max() < 0.3 * np.abs(plain - truth).max()
    assert abs(constant) < 0.3


def test_bank_is_standard_and_residuals_have_no_mean_part() -> None:
    features = RNG.normal(size=(80, 5))
    latency = np.exp(features @ RNG.normal(size=(5, 3)) * 0.1) * [1, 10, 1000]
    latency[3, 1] = np.nan
    bank = fit_bank(features, latency, ("a", "b", "c"))
    bases = bank.bases(features)
    assert bases.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-9)
    assert bases.std(axis=0) == pytest.approx(np.ones(4))
    assert (bank.residuals(bases) * bases[:, :1]).mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-9)
    with pytest.raises(DataError, match="Source b"):
        fit_bank(features, np.where(np.arange(3) == 1, 7.0, latency), ("a", "b", "c"))


def test_scales_hold_on_the_reference_and_constants_vanish() -> None:
    values = np.hstack([RNG.normal(3, [1, 5], size=(50, 2)), np.full((50, 1), 2.0)])
    deviation = scaling.by_deviation(values).apply(values)
    assert deviation.std(axis=0) == pytest.approx([1, 1, 0])
    assert deviation.mean(axis=0) == pytest.approx(np.zeros(3), abs=1e-12)
    for scale in (scaling.by_norm(values), scaling.by_column(values)):
        applied = scale.apply(values)
        assert (applied**2).sum(axis=1).mean() == pytest.approx(1)
        assert applied[:, 2] == pytest.approx(0)
    assert scaling.by_norm(np.ones((4, 2))).apply(np.ones((4, 2))) == pytest.approx(0)


def test_principal_directions_are_those_of_the_residuals() -> None:
    latency = RNG.gamma(3, size=(40, 8))
    weights, offset = principal_directions(latency, 3)
    found = latency @ weights + offset
    standard = (latency - latency.mean(axis=0)) / latency.std(axis=0)
    mean = standard.mean(axis=1) / standard.mean(axis=1).std()
    residual = standard - mean[:, None] * (standard * mean[:, None]).mean(axis=0)
    _, singular, _ = np.linalg.svd(residual)
    assert np.linalg.norm(found, axis=0) == pytest.approx(singular[:3] / np.sqrt(8))
    assert found.T @ mean == pytest.approx(np.zeros(3), abs=1e-9)


def test_draws_cover_their_ranges_and_have_one_regime_each() -> None:
    found = draws_of(DEFAULT, (0.6, 0.2, 0.2))
    assert found.noise.min() >= DEFAULT.noise.low
    assert found.noise.max() <= DEFAULT.noise.high
    by_regime = found.variances[:, 3:].reshape(DEFAULT.draws, 3, 3)
    assert ((by_regime > 0).any(axis=2).sum(axis=1) == 1).all()
    shares = (by_regime > 0).any(axis=2).mean(axis=0)
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.01)
    assert found.variances.mean(axis=0) == pytest.approx(mean_variances(DEFAULT, (0.6, 0.2, 0.2)), rel=0.5)
    assert Range(1, np.e).mean == pytest.approx(np.e - 1)


def test_components_are_those_of_whole_covariances(prior: Prior) -> None:
    measured = prior.source_rows.take(np.arange(7))
    target = RNG.normal(size=7)
    covariances = evidence.draw_covariances(prior, measured)
    found = evidence.components(covariances, measured.bases, target, 0.75, 0.2)
    draws, bases = len(covariances), measured.bases.shape[1]
    assert found.measurements == 7
    for base, draw in ((0, 3), (2, 5), (bases, 9)):
        line = measured.bases[:, base] if base < bases else np.zeros(7)
        whole = covariances[draw] + 0.2 * np.outer(line, line)
        residual = target - 0.75 * line
        number = base * draws + draw
        assert found.inverse[number] == pytest.approx(np.linalg.inv(whole))
        assert found.quadratic[number] == pytest.approx(residual @ np.linalg.solve(whole, residual))
        assert found.log_determinant[number] == pytest.approx(np.linalg.slogdet(whole)[1])


def test_evidence_is_the_integral_over_the_scale() -> None:
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    shape, rate = 1.5, 1.0

    def direct(residual: np.ndarray) -> float:
        quadratic = residual @ np.linalg.solve(covariance, residual)

        def density(scale: float) -> float:
            prior = rate**shape / gamma(shape) * scale ** (-shape - 1) * np.exp(-rate / scale)
            return float(prior * scale**-1 * np.exp(-quadratic / scale / 2))

        return float(quad(density, 0, np.inf)[0])

    residuals = np.array([[0.3, -0.2], [2.0, 1.0]])
    quadratics = np.array([r @ np.linalg.solve(covariance, r) for r in residuals])
    logs = evidence.log_evidence(np.zeros(2), quadratics, 2, shape, rate)
    assert logs[1] - logs[0] == pytest.approx(np.log(direct(residuals[1]) / direct(residuals[0])), rel=1e-6)


def test_spike_weights_are_those_of_inflated_covariances(prior: Prior) -> None:
    measured = prior.source_rows.take(np.arange(5))
    target = np.array([0.1, -0.3, 6.0, 0.2, -0.5])
    covariances = evidence.draw_covariances(prior, measured)[:4]
    settings = DEFAULT

    def logs(inflated: np.ndarray) -> np.ndarray:
        found = evidence.components(
            covariances + np.diag(inflated), measured.bases, target, settings.slope, settings.slope_variance
        )
        return evidence.log_evidence(found.log_determinant, found.quadratic, 5, settings.shape, settings.rate)

    odds = np.log(0.03 / 0.97)
    clean = logs(np.zeros(5))
    spiked = np.stack([odds + logs(400.0 * (np.arange(5) == place)) for place in range(5)], axis=1)
    highest = max(clean.max(), spiked.max())
    total = np.exp(clean - highest).sum() + np.exp(spiked - highest).sum()
    pairs = np.zeros((5, 5))
    for a in range(5):
        for b in range(a):
            pairs[a, b] = pairs[b, a] = np.exp(2 * odds + logs(400.0 * np.isin(np.arange(5), [a, b])) - highest).sum()
    found = evidence.components(covariances, measured.bases, target, settings.slope, settings.slope_variance)
    weights = spikes.weigh(found, settings, np.ones(5, bool))
    assert weights.clean == pytest.approx(np.exp(clean - highest) / total)
    assert weights.spiked == pytest.approx(np.exp(spiked - highest) / total)
    single = np.exp(spiked - highest).sum(axis=0)
    expected = (single + pairs.sum(axis=1)) / (total + pairs.sum() / 2)
    assert weights.probability == pytest.approx(expected)
    assert weights.probability.argmax() == 2
    assert spikes.weigh(found, settings, np.arange(5) != 2).probability[2] == 0


def test_posterior_mean_is_the_mixture_of_processes(prior: Prior) -> None:
    measured, wanted = prior.source_rows.take(np.arange(6)), prior.source_rows.take(np.arange(50, 60))
    values = 500 + 100 * measured.bases[:, 0] + RNG.normal(0, 5, 6)
    found = posterior.posterior_of(prior, measured, values)
    assert sum(one.weight for one in found.heaviest) == pytest.approx(1)
    assert found.base_weights.sum() == pytest.approx(1)
    settings = prior.settings
    everything = evidence.components(
        evidence.draw_covariances(prior, measured), measured.bases,
        (values - found.standard.centre) / found.standard.spread, settings.slope, settings.slope_variance,
    )  # fmt: skip
    weights = spikes.weigh(everything, settings, np.ones(6, bool))
    mean = np.zeros(10)
    for component in range(len(weights.clean)):
        base, draw = divmod(component, settings.draws)
        theta = prior.draws.variances[draw]
        cross = settings.constant + sum(
            v * there @ here.T for v, there, here in zip(theta, wanted.groups, measured.groups, strict=True)
        )
        slope, line = 0.0, np.zeros(10)
        if base < measured.bases.shape[1]:
            line, own = wanted.bases[:, base], measured.bases[:, base]
            cross, slope = cross + settings.slope_variance * np.outer(line, own), settings.slope
        for case in range(7):
            weight = weights.clean[component] if case == 0 else weights.spiked[component, case - 1]
            inverse = np.linalg.inv(
                np.linalg.inv(everything.inverse[component]) + np.diag(400.0 * (np.arange(1, 7) == case))
            )
            residual = np.linalg.solve(everything.inverse[component], everything.weighted[component])
            mean += weight * (slope * line + cross @ inverse @ residual)
    assert found.mean(wanted) == pytest.approx(found.standard.centre + found.standard.spread * mean)


def test_standard_ignores_a_spike_and_survives_equal_values() -> None:
    clean = posterior.standard_of(np.array([10.0, 11.0, 12.0, 13.0, 14.0]))
    spiked = posterior.standard_of(np.array([10.0, 11.0, 12.0, 13.0, 1400.0]))
    assert spiked.centre == clean.centre
    assert spiked.spread <= 2 * 1.4826
    assert posterior.standard_of(np.full(4, 7.0)).spread > 0


def test_greedy_design_is_exact_and_one_by_one_is_the_batch() -> None:
    pool, candidates = RNG.normal(size=(30, 4)), RNG.normal(size=(12, 4))
    chosen, remaining = picks.greedy(candidates, pool, 4, 0.1, np.zeros((0, 4)))

    def mean_variance(measured: np.ndarray) -> float:
        covariance = np.linalg.inv(np.eye(4) + measured.T @ measured / 0.1)
        return float(np.einsum("ij,jk,ik->i", pool, covariance, pool).mean())

    for count in range(5):
        assert remaining[count] == pytest.approx(mean_variance(candidates[chosen[:count]]))
    for count in range(4):
        options = [mean_variance(candidates[[*chosen[:count], other]]) for other in range(12)]
        assert int(np.argmin(options)) == chosen[count]
        again, _ = picks.greedy(candidates, pool, 1, 0.1, candidates[chosen[:count]])
        assert again[0] == chosen[count]


def test_mean_features_give_the_average_covariance(prior: Prior) -> None:
    averaged = msgspec.structs.replace(prior, mean_variances=prior.draws.variances.mean(axis=0))
    some, settings = prior.source_rows.take(np.arange(9)), prior.settings
    features = picks.mean_features(averaged, some)
    covariance = evidence.draw_covariances(prior, some).mean(axis=0) - prior.draws.noise.mean() * np.eye(9)
    second_moment = settings.slope**2 + settings.slope_variance
    for base in some.bases.T:
        covariance += second_moment * np.outer(base, base) / (1 + some.bases.shape[1])
    assert features @ features.T == pytest.approx(covariance)


def test_picks_after_measurements_repeat_none_of_their_knowledge(prior: Prior) -> None:
    rows = prior.source_rows
    offered = rows.take(np.arange(60))
    first = picks.choose(prior, offered, 6)
    again = picks.choose(prior, offered, 6, offered.take(first))
    assert not set(first.tolist()) & set(again.tolist())
    assert picks.choose(prior, offered, 12).tolist() == [*first.tolist(), *again.tolist()]


def test_intervals_cover_draws_from_the_prior(prior: Prior) -> None:
    """Targets drawn from the model itself: 90 % intervals without widening hold 90 % of new measurements."""
    settings = msgspec.structs.replace(DEFAULT, draws=16, rate=1.0, widening=1.0, widening_weight=1e9)
    plain = msgspec.structs.replace(prior, settings=settings)
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(60):
        draw = int(rng.integers(16))
        latency = 0.75 * plain.source_rows.bases[:, 0] + np.sqrt(0.2) * rng.normal() * plain.source_rows.bases[:, 0]
        for variance, group in zip(plain.draws.variances[draw], plain.source_rows.groups, strict=True):
            latency = latency + np.sqrt(variance) * group @ rng.normal(size=group.shape[1])
        latency = latency + np.sqrt(plain.draws.noise[draw]) * rng.normal(size=len(latency))
        rows = rng.permutation(len(latency))
        found = posterior.posterior_of(plain, plain.source_rows.take(rows[:10]), latency[rows[:10]])
        wanted = plain.source_rows.take(rows[10:])
        covered.append(np.abs(found.mean(wanted) - latency[rows[10:]]) < 1.645 * found.deviation(wanted))
    assert 0.85 < np.mean(covered) < 0.95


def test_outlook_sees_diminishing_returns(prior: Prior) -> None:
    rng = np.random.default_rng(2)
    latency = 100 + 10 * prior.source_rows.bases[:, 1] + rng.normal(0, 0.5, len(prior.source_rows))
    rows = rng.permutation(len(latency))
    gains = []
    for count in (4, 10, 40):
        found = posterior.posterior_of(prior, prior.source_rows.take(rows[:count]), latency[rows[:count]])
        expected = stopping.outlook(found, prior.source_rows, prior.source_rows)
        assert expected.gain >= 0
        assert expected.agreement_then <= 1
        actual = spearman(found.mean(prior.source_rows), latency)
        assert expected.agreement_now < actual + 0.1
        gains.append(expected.gain)
    assert gains[0] > gains[-1]
    assert stopping.enough(expected)
    assert not stopping.enough(stopping.Outlook(3, 0.9, 0.95))


def test_limits_are_macs_traffic_and_launches() -> None:
    from hwbench.spaces.ops import INPUT, Activate, Conv

    conv = Conv("c", INPUT, (8, 8, 16), 32)
    table = table_of([(conv, Activate("a", "c", (8, 8, 32), "relu")), ()])
    assert table.limits().tolist() == [[conv.macs, 8 * 8 * (16 + 32) + 2 * 8 * 8 * 32, 2], [0, 0, 0]]


@pytest.mark.parametrize("limit", range(3))
def test_a_target_at_a_limit_is_learnt_at_once(limit: int) -> None:
    """Launch-bound, for one, from sources that are something else."""
    matrix = simulated_matrix("fbnet-cifar-r32-c100", 400, 3)
    known = prior_of(matrix)
    rows = known.source_rows
    latency = 1000 + 10 * rows.bases[:, 4 + limit]
    found = posterior.posterior_of(known, rows.take(np.arange(10)), latency[:10])
    assert spearman(found.mean(rows), latency) > 0.95
    base = np.argmax(found.base_weights)
    assert abs(np.corrcoef(rows.bases[:, base], latency)[0, 1]) > 0.95


def test_kernels_alike_cost_alike() -> None:
    from hwbench.spaces.ops import INPUT, Conv

    sizes = [(16, 16), (16, 18), (16, 128)]
    table = table_of([(Conv("c", INPUT, (8, 8, cin), cout),) for cin, cout in sizes] + [()])
    features = kernel_process.part_features(table)
    gram = features @ features.T
    correlation = gram[:3, :3] / np.sqrt(np.outer(np.diag(gram)[:3], np.diag(gram)[:3]))
    assert correlation[0, 1] > correlation[0, 2]
    assert (features[3] == 0).all()


def test_simulated_costs_are_positive_and_padding_costs() -> None:
    from hwbench.spaces.ops import INPUT, Conv

    table = table_of([(Conv("c", INPUT, (8, 8, 17), 33),), (Conv("d", INPUT, (8, 8, 17), 17, 3, groups=17),)])
    assert table.depthwise.tolist() == [False, True]
    costs = simulate.device_costs(table, 20, np.random.default_rng(0))
    assert (costs > 0).all()
    for seed in range(10):
        assert (simulate._padded_macs(table, np.random.default_rng(seed)) >= table.macs).all()


def test_settings_are_data() -> None:
    assert msgspec.convert(msgspec.to_builtins(DEFAULT), Settings) == DEFAULT
    assert len(Encoded(np.zeros((3, 2)), (np.zeros((3, 1)),)).take([0, 2])) == 2
