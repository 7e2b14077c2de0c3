"""Binarized paths: gradients against definitions, finite differences and enumeration, in double precision."""

from __future__ import annotations

import itertools
import math

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hwbench import spaces
from hwbench.errors import MissingRows, UsageError
from hwbench.models.torch_nets import weights_of
from hwbench.models.weights import untrained_weights
from hwbench.search.supernet import gates
from hwbench.search.supernet.architecture import (
    ArchitectureOptimiser,
    Direction,
    gate_direction,
    reinforce_direction,
)
from hwbench.search.supernet.latency import AdditiveLatency, SampledLatency, expected_latency
from hwbench.search.supernet.losses import combined
from hwbench.search.supernet.memory import bytes_by_route
from hwbench.search.supernet.network import Supernet, chain_of
from hwbench.search.supernet.routes import HeldGates, OnePath, RecomputedGates
from hwbench.search.supernet.settings import (
    AddLinear,
    ArchitectureSettings,
    GateMethod,
    Gradient,
    MulLog,
    NoLatency,
    Reinforce,
)
from hwbench.search.training.batches import generator
from hwbench.search.training.optimiser import WeightOptimiser
from hwbench.search.training.ranks import ALONE
from hwbench.search.training.settings import WeightSettings
from hwbench.spaces.space import NamedBlock
from hwbench.workflows.reproducing.memory import LARGEST_FIRST, offering
from tests.supernets import SMALL, Opaque, Table, double_batch, double_supernet

METHODS: tuple[GateMethod, ...] = ("all_paths", "two_paths", "two_paths_recomputed", "darts")
COUNTS = SMALL.choice_counts
REFERENCE_US = 200.0


def some_alphas(seed: int = 0, deviation: float = 1.0) -> Tensor:
    return gates.initial_alphas(COUNTS, deviation, generator(seed))


def direction(
    method: GateMethod, loss: AddLinear | MulLog | NoLatency, seed: int = 0, alphas: Tensor | None = None
) -> Direction:
    alphas = some_alphas() if alphas is None else alphas
    expectation = expected_latency(Table(SMALL), SMALL)
    return gate_direction(
        double_supernet(), alphas, double_batch(), expectation, Gradient(loss, method), generator(seed), ALONE
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 30))
def test_the_gradient_of_a_position_sums_to_zero(seed: int, deviation: float) -> None:
    alphas = some_alphas(seed, deviation)
    probability = gates.probabilities(alphas, gates.sample_pairs(alphas, generator(seed)))
    of_gates = torch.randn(alphas.shape, generator=generator(seed, 1), dtype=torch.float64)
    gradient = gates.through_gates(probability, of_gates)
    torch.testing.assert_close(gradient.sum(1), torch.zeros(len(COUNTS), dtype=torch.float64), atol=1e-14, rtol=0)
    assert (gradient[~gates.offered(alphas)] == 0).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "loss", [AddLinear(REFERENCE_US), MulLog(REFERENCE_US), NoLatency()], ids=lambda one: type(one).__name__
)
def test_so_does_that_of_a_whole_step(method: GateMethod, loss: AddLinear | MulLog | NoLatency) -> None:
    found = direction(method, loss)
    assert found.gradient.abs().max() > 1e-6
    assert found.gradient.sum(1).abs().max() < 1e-12
    assert (found.gradient[~found.involved] == 0).all()
    assert (found.involved.sum(1) == (2 if method.startswith("two") else torch.from_numpy(COUNTS))).all()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 5), st.floats(1e-4, 2), st.sampled_from([0.0, 0.9]))
def test_choices_that_were_not_drawn_keep_their_probabilities(
    seed: int, deviation: float, rate: float, first_beta: float
) -> None:
    alphas = some_alphas(seed, deviation)
    by = Gradient(NoLatency(), "two_paths")
    settings = ArchitectureSettings(by, learning_rate=rate, betas=(first_beta, 0.999))
    optimiser = ArchitectureOptimiser(alphas, settings)
    for step in range(3):
        before = optimiser.alphas.softmax(1)
        involved = gates.sample_pairs(optimiser.alphas, generator(seed, step))
        gradient = torch.randn(alphas.shape, generator=generator(seed, 9, step), dtype=torch.float64) * involved
        optimiser.step(Direction(gradient, involved))
        after = optimiser.alphas.softmax(1)
        assert (after - before)[~involved].abs().max() < 1e-12
        assert (after - before)[involved].abs().max() > 0


def test_the_first_step_of_adam_moves_each_drawn_choice_by_the_rate() -> None:
    """With betas (0, 0.999) the step is rate * g / |g|; the shift moves both of a pair alike."""
    alphas = some_alphas(3)
    found = direction("two_paths", NoLatency(), alphas=alphas)
    optimiser = ArchitectureOptimiser(alphas, ArchitectureSettings(Gradient(NoLatency()), learning_rate=0.01))
    optimiser.step(found)
    moved = (optimiser.alphas - alphas).masked_fill(~gates.offered(alphas), 0)
    apart = moved.amax(1) - moved.amin(1)
    assert ((moved != 0) == found.involved).all()
    torch.testing.assert_close(apart, torch.full_like(apart, 0.02), atol=1e-6, rtol=0)


def gate_gradients(kind: type[HeldGates] | type[RecomputedGates], involved: Tensor) -> tuple[Tensor, list[Tensor]]:
    """dL/dg, and the gradients of the weights."""
    supernet = double_supernet(seed=3)
    images, labels = double_batch()
    active = np.array([1, 6, 2, 0], np.uint8)
    opened = functional.one_hot(torch.from_numpy(active.astype(np.int64)), 7).double().requires_grad_()
    loss = functional.cross_entropy(supernet(images, kind(active, involved, opened)), labels)
    loss.backward()
    assert opened.grad is not None
    return opened.grad, [parameter.grad for parameter in supernet.parameters() if parameter.grad is not None]


def test_computing_again_equals_holding_everything() -> None:
    involved = gates.offered(some_alphas())
    (held, held_weights), (again, again_weights) = (
        gate_gradients(kind, involved) for kind in (HeldGates, RecomputedGates)
    )
    torch.testing.assert_close(again, held, atol=1e-12, rtol=1e-9)
    assert held.abs().max() > 1e-3
    assert len(again_weights) == len(held_weights)
    for left, right in zip(again_weights, held_weights, strict=True):
        torch.testing.assert_close(left, right, atol=1e-12, rtol=1e-9)


def test_gate_gradients_are_finite_differences_of_the_loss() -> None:
    supernet, (images, labels) = double_supernet(seed=3), double_batch()
    active = np.array([1, 6, 2, 0], np.uint8)
    involved = gates.offered(some_alphas())
    found, _ = gate_gradients(RecomputedGates, involved)
    opened = functional.one_hot(torch.from_numpy(active.astype(np.int64)), 7).double()

    def loss(position: int, choice: int, change: float) -> float:
        moved = opened.clone()
        moved[position, choice] += change
        with torch.no_grad():
            return float(functional.cross_entropy(supernet(images, HeldGates(active, involved, moved)), labels))

    for position, choice in [(0, 0), (0, 1), (1, 6), (2, 5), (3, 6)]:
        difference = (loss(position, choice, 1e-5) - loss(position, choice, -1e-5)) / 2e-5
        assert difference == pytest.approx(float(found[position, choice]), rel=1e-4, abs=1e-8)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 3))
def test_latency_gradients_are_p_times_the_distance_to_the_mean(seed: int, deviation: float) -> None:
    alphas = some_alphas(seed, deviation)
    expectation = AdditiveLatency(Table(SMALL, seed), SMALL)
    leaf = alphas.clone().requires_grad_()
    expected = expectation.expected_us(leaf.softmax(1), generator(0))
    (found,) = torch.autograd.grad(expected, leaf)
    probability = alphas.softmax(1)
    of_position = (probability * expectation.offered_us).sum(1, keepdim=True)
    torch.testing.assert_close(found, probability * (expectation.offered_us - of_position), atol=1e-10, rtol=1e-9)
    for position, choice in [(0, 0), (1, 6), (3, 2)]:
        ends = []
        for change in (1e-5, -1e-5):
            moved = alphas.clone()
            moved[position, choice] += change
            ends.append(float(expectation.expected_us(moved.softmax(1), generator(0))))
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(float(found[position, choice]), rel=1e-5, abs=1e-6)


def test_the_expectation_is_the_mean_over_architectures() -> None:
    alphas, table = some_alphas(5), Table(SMALL)
    probability = alphas.softmax(1)
    every = np.array(list(itertools.product(*(range(count) for count in COUNTS))), np.uint8)
    weight = np.prod([probability[column, every[:, column].astype(int)].numpy() for column in range(4)], axis=0)
    mean = float((weight * table.predict(every).mean_us).sum())
    assert float(AdditiveLatency(table, SMALL).expected_us(probability, generator(0))) == pytest.approx(mean, rel=1e-12)


def test_a_source_that_is_no_sum_has_an_unbiased_gradient() -> None:
    probability = some_alphas(2).softmax(1)
    exact = AdditiveLatency(Table(SMALL), SMALL)

    def gradient(expectation: AdditiveLatency | SampledLatency, seed: int) -> Tensor:
        leaf = some_alphas(2).requires_grad_()
        return torch.autograd.grad(expectation.expected_us(leaf.softmax(1), generator(seed)), leaf)[0]

    # What the other positions add is the same for all choices of one, so a sum has no sampling error.
    sampled = SampledLatency(Opaque(Table(SMALL)), SMALL, draws=2)
    torch.testing.assert_close(gradient(sampled, 1), gradient(exact, 1), atol=1e-9, rtol=1e-9)
    # The square of a sum, by enumeration.
    squared = SampledLatency(Opaque(Table(SMALL), 2.0), SMALL, draws=400)
    every = np.array(list(itertools.product(*(range(count) for count in COUNTS))), np.uint8)
    leaf = some_alphas(2).requires_grad_()
    chosen = torch.stack([leaf.softmax(1)[c][torch.from_numpy(every[:, c].astype(np.int64))] for c in range(4)])
    mean = (chosen.prod(0) * torch.from_numpy(Table(SMALL).predict(every).mean_us ** 2)).sum()
    (wanted,) = torch.autograd.grad(mean, leaf)
    found = gradient(squared, 3)
    assert float((found - wanted).norm() / wanted.norm()) < 0.05
    value = float(squared.expected_us(probability, generator(4)))
    assert value == pytest.approx(float(mean.detach()), rel=0.05)


def test_an_active_zero_gets_its_latency_gradient() -> None:
    """The published code leaves such a position without any update."""
    alphas, weight = some_alphas(1), 0.7
    zero = SMALL.positions[1].labels.index("zero")
    seed = next(seed for seed in range(1000) if gates.sample_paths(alphas.softmax(1), generator(seed))[1] == zero)
    with_latency, without = (
        direction("all_paths", loss, seed, alphas).gradient for loss in (AddLinear(REFERENCE_US, weight), NoLatency())
    )
    probability = alphas.softmax(1)
    offered = AdditiveLatency(Table(SMALL), SMALL).offered_us
    wanted = probability * (offered - (probability * offered).sum(1, keepdim=True)) * weight / REFERENCE_US
    torch.testing.assert_close(with_latency - without, wanted, atol=1e-12, rtol=1e-9)
    assert wanted[1, zero] < 0
    assert without[1].abs().max() > 0


def every_pair(alphas: Tensor) -> dict[tuple[int, int], float]:
    """Probability of each pair of the first position drawn without replacement, in either order."""
    p = alphas.softmax(1)[0].numpy()
    return {
        (i, j): p[i] * p[j] / (1 - p[i]) + p[j] * p[i] / (1 - p[j])
        for i, j in itertools.combinations(range(COUNTS[0]), 2)
    }


def test_pairs_are_drawn_without_replacement() -> None:
    alphas, draws, count = some_alphas(4), generator(0), 4000
    seen = dict.fromkeys(every_pair(alphas), 0)
    for _ in range(count):
        first, second = np.flatnonzero(gates.sample_pairs(alphas, draws)[0].numpy())
        seen[first, second] += 1
    wanted = every_pair(alphas)
    assert sum(wanted.values()) == pytest.approx(1)
    statistic = sum((seen[pair] - count * p) ** 2 / (count * p) for pair, p in wanted.items())
    assert statistic < 30  # 14 degrees of freedom: 99.2 % are below; the seed is fixed.


def test_a_position_with_one_choice_has_a_pair_of_one() -> None:
    alphas = gates.initial_alphas(np.array([1, 3]), 1.0, generator(0))
    for seed in range(20):
        involved = gates.sample_pairs(alphas, generator(seed))
        assert involved[0].tolist() == [True, False, False]
        assert int(involved[1].sum()) == 2
    assert gates.initial_alphas(np.array([1, 1]), 1.0, generator(0)).shape == (2, 1)
    assert gates.sample_pairs(torch.zeros((2, 1), dtype=torch.float64), generator(0)).all()


def reward(architectures: NDArray[np.uint8]) -> NDArray[np.float64]:
    return np.sin(architectures @ np.array([1.0, 2.0, 3.0, 4.0]))


@pytest.mark.parametrize("baseline", [0.0, 0.3])
def test_reinforce_is_unbiased_on_a_space_that_can_be_enumerated(baseline: float) -> None:
    alphas = some_alphas(6)
    every = np.array(list(itertools.product(*(range(count) for count in COUNTS))), np.uint8)
    leaf = alphas.clone().requires_grad_()
    chosen = torch.stack([leaf.softmax(1)[c][torch.from_numpy(every[:, c].astype(np.int64))] for c in range(4)])
    rewards = torch.from_numpy(reward(every))
    (wanted,) = torch.autograd.grad(-(chosen.prod(0) * rewards).sum(), leaf)
    # The mean over all draws: each architecture as often as it is likely.
    weighted = chosen.prod(0).detach() * (rewards - baseline) * len(every)
    found = gates.reinforce_gradient(alphas, every, weighted)
    torch.testing.assert_close(found, wanted, atol=1e-12, rtol=1e-9)


def test_reinforce_steps_use_no_baseline_that_has_seen_the_reward() -> None:
    alphas, table, by = some_alphas(6), Table(SMALL), Reinforce(REFERENCE_US, networks=3)
    arguments = (double_supernet(), alphas, double_batch(), table, by)
    first, baseline = reinforce_direction(*arguments, None, generator(1), ALONE)
    high, _ = reinforce_direction(*arguments, baseline + 1, generator(2), ALONE)
    low, following = reinforce_direction(*arguments, baseline, generator(2), ALONE)
    assert first.gradient.sum(1).abs().max() < 1e-12
    # The same draw: a higher baseline takes the mean of the scores away once more, whatever the rewards were.
    drawn_from = generator(2)
    drawn = np.stack([gates.sample_paths(alphas.softmax(1), drawn_from) for _ in range(3)])
    scores = gates.reinforce_gradient(alphas, drawn, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(low.gradient - high.gradient, scores, atol=1e-12, rtol=1e-9)
    assert following != baseline


@pytest.mark.parametrize("milliseconds", [45.0, 80.0, 300.0])
def test_mul_log_is_the_published_loss_at_its_reference_in_any_unit(milliseconds: float) -> None:
    cross_entropy = torch.tensor(2.0, dtype=torch.float64)
    published = 0.2 * 2.0 * (math.log(milliseconds) / math.log(80)) ** 0.3
    for factor in (1.0, 1e-3, 40.0):
        expected = torch.tensor(milliseconds * 1000 * factor, dtype=torch.float64)
        found = combined(MulLog(80_000.0 * factor), cross_entropy, expected)
        assert float(found) == pytest.approx(published, rel=1e-12)


def test_add_linear() -> None:
    found = combined(AddLinear(100.0, 0.5), torch.tensor(2.0), torch.tensor(150.0, dtype=torch.float64))
    assert float(found) == pytest.approx(2.25)


def test_mul_log_far_below_its_reference_warns_and_stays_a_number() -> None:
    expected = torch.tensor(1e-3, dtype=torch.float64, requires_grad=True)
    with pytest.warns(UserWarning, match="below 3.4% of the reference of 1000 us"):
        found = combined(MulLog(1000.0), torch.tensor(2.0, dtype=torch.float64), expected)
    (slope,) = torch.autograd.grad(found, expected)
    assert float(found.detach()) == pytest.approx(0.4 * (1 / math.log(80)) ** 0.3)
    assert float(slope) == 0


def test_missing_rows_are_named() -> None:
    table = Table(SMALL)
    key = SMALL.distinct_blocks[9].key
    del table.values[key]
    with pytest.raises(MissingRows, match=key):
        expected_latency(table, SMALL)
    with pytest.raises(MissingRows, match=key):
        expected_latency(Opaque(table), SMALL)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="reference_us must be above 0"):
        AddLinear(0.0)
    with pytest.raises(UsageError, match="networks must be at least 2"):
        Reinforce(1.0, networks=1)


def test_one_path_holds_the_same_whatever_the_number_of_choices() -> None:
    held = {count: bytes_by_route(offering(SMALL, LARGEST_FIRST[:count]), 16) for count in (1, 7)}
    for kind in ("one_path", "two_paths_recomputed", "all_paths"):
        assert held[7][kind] == pytest.approx(held[1][kind], rel=0.02)
    assert held[7]["darts"] > 2.5 * held[7]["one_path"]


@pytest.mark.parametrize("name", [SMALL.name, "proxylessnas-w0.35-r28-c10-i1-d2.1.1.1.1.1"])
def test_choices_that_begin_alike_are_one_function(name: str) -> None:
    space = chain_of(spaces.get(name))
    supernet = Supernet(space, 3, "alike").double()
    for position, choices in zip(space.positions, supernet.positions, strict=True):
        first = position.blocks[0]
        assert first is not None
        image = torch.randn((4, first.in_shape[2], *first.in_shape[:2]), generator=generator(1), dtype=torch.float64)
        wanted = choices[0](image)
        assert wanted.std() > 0.1
        for label, choice in zip(position.labels, choices, strict=True):
            # Kernels of one size and of another are summed in other orders.
            torch.testing.assert_close(choice(image), wanted, atol=1e-6, rtol=1e-6, msg=f"{position.name} {label}")
        if "zero" in position.labels:
            assert torch.equal(wanted, image)


def test_choices_that_begin_alike_part_when_they_are_trained() -> None:
    """The channels that add nothing at first get a gradient, and so does a residual of 0."""
    supernet = Supernet(SMALL, 3, "alike")
    images, labels = double_batch()
    optimiser = WeightOptimiser(supernet, WeightSettings(batch=12))
    for _ in range(2):
        route = OnePath(np.array([1, 1, 3, 3], np.uint8))
        optimiser.step(optimiser.loss(supernet(images.float(), route), labels), 0.1, ALONE)
    before = Supernet(SMALL, 3, "alike").state_dict()
    changed = {name for name, value in supernet.state_dict().items() if not torch.equal(value, before[name])}
    assert "positions.1.1.ops.project.norm.weight" in changed
    kernel = supernet.state_dict()["positions.0.1.ops.project.conv.weight"]
    assert (kernel[:, kernel.shape[1] // 2 :] != 0).any()


def test_independent_choices_begin_as_the_published_code_draws_them() -> None:
    supernet = Supernet(SMALL, 3)
    for position, choices in zip(SMALL.positions, supernet.positions, strict=True):
        for label, block, choice in zip(position.labels, position.blocks, choices, strict=True):
            if block is not None:
                named = NamedBlock(f"{position.name}/{label}", block)
                found = weights_of(named.name, choice)
                for name, array in untrained_weights([named], 3).items():
                    np.testing.assert_array_equal(found[name], array)


def test_a_frozen_record_says_what_a_method_is() -> None:
    text = msgspec.json.encode(ArchitectureSettings(Gradient(MulLog(1.0), "two_paths")))
    assert msgspec.json.decode(text, type=ArchitectureSettings).by == Gradient(MulLog(1.0), "two_paths")
