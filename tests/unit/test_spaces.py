"""Spaces: the published counts, names and keys that round-trip, refusals that name the mistake."""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench import spaces
from hwbench.errors import DataError, UsageError
from hwbench.spaces import ConvBlock, MBConv, block_from_key, proxylessnas
from hwbench.spaces.blocks import macs, parameters
from hwbench.spaces.encodings import PHYSICAL_FEATURES, one_hot, physical

widths = st.integers(1, 40).map(lambda n: 8 * n)


@st.composite
def parameter_sets(draw: st.DrawFn) -> proxylessnas.Parameters:
    stages = draw(st.integers(1, 7))
    return proxylessnas.Parameters(
        stem_width=draw(widths),
        first_width=draw(widths),
        stage_widths=tuple(draw(st.lists(widths, min_size=stages, max_size=stages))),
        stage_depths=tuple(draw(st.lists(st.integers(1, 4), min_size=stages, max_size=stages))),
        stage_strides=tuple(draw(st.lists(st.integers(1, 2), min_size=stages, max_size=stages))),
        mix_width=draw(widths),
        resolution=draw(st.integers(8, 256)),
        input_channels=draw(st.integers(1, 4)),
        classes=draw(st.integers(1, 1000)),
        stem_stride=draw(st.integers(1, 2)),
        padding=draw(st.sampled_from(["symmetric", "same"])),
    )


def test_the_papers_space() -> None:
    space = proxylessnas.default()
    mbconv = [block for block in space.distinct_blocks if isinstance(block, MBConv)]
    assert len(space.positions) == 21
    assert space.size == 6**6 * 7**15
    assert len(space.distinct_blocks) == 70
    assert len(mbconv) == 66 + 1
    assert space.choice_counts.tolist().count(7) == 15


def test_the_released_mobile_network() -> None:
    space = proxylessnas.released_mobile()
    network = space.parse(proxylessnas.released_mobile_operators())
    assert space.macs(network) / 1e6 == pytest.approx(320.43, abs=0.005)
    assert space.parameters(network) / 1e6 == pytest.approx(4.0805, abs=0.00005)


def test_fashion_keeps_a_map_of_two_by_two() -> None:
    space = proxylessnas.fashion()
    assert space.fixed_blocks[0].block.in_shape == (28, 28, 1)
    assert space.fixed_blocks[-1].block.in_shape[:2] == (2, 2)
    assert space.fixed_blocks[-1].block.out_shape == (1, 1, 10)


@given(parameter_sets())
def test_a_name_carries_every_parameter(parameters: proxylessnas.Parameters) -> None:
    space = proxylessnas.build(parameters)
    assert spaces.get(space.name) == space


@given(parameter_sets(), st.integers(0, 2**32 - 1))
def test_networks_chain_and_keys_round_trip(parameters: proxylessnas.Parameters, seed: int) -> None:
    space = proxylessnas.build(parameters)
    network = space.network(space.sample(1, seed))
    for before, after in itertools.pairwise(network):
        assert before.block.out_shape == after.block.in_shape
    for block in space.distinct_blocks:
        assert block_from_key(block.key) == block


@given(st.integers(0, 2**32 - 1))
def test_labels_and_numbers_name_the_same_architecture(seed: int) -> None:
    space = proxylessnas.default()
    (architecture,) = space.sample(1, seed)
    assert space.parse(space.describe(architecture)).tolist() == [architecture.tolist()]
    assert space.read(",".join(map(str, architecture))).tolist() == [architecture.tolist()]


def test_sampling_is_uniform_and_seeded() -> None:
    space = proxylessnas.default()
    drawn = space.sample(20_000, seed=3)
    assert (drawn == space.sample(20_000, seed=3)).all()
    for column, count in enumerate(space.choice_counts):
        shares = np.bincount(drawn[:, column], minlength=count) / len(drawn)
        assert np.abs(shares - 1 / count).max() < 0.015


def test_encodings_follow_the_network() -> None:
    space = proxylessnas.default()
    architectures = space.sample(50, seed=1)
    encoded = one_hot(space, architectures)
    assert encoded.shape == (50, int(space.choice_counts.sum()))
    assert (encoded.sum(axis=1) == len(space.positions)).all()
    columns = dict(zip(PHYSICAL_FEATURES, physical(space, architectures).T, strict=True))
    for row, architecture in enumerate(architectures):
        assert columns["gemm_macs"][row] + columns["depthwise_macs"][row] == space.macs(architecture)
        assert columns["weight_bytes"][row] == 4 * space.parameters(architecture)


def test_macs_of_a_block_by_hand() -> None:
    block = MBConv((14, 14, 80), 80, 480, 5, 1, skip=True)
    assert macs(block) == 14 * 14 * (80 * 480 + 480 * 25 + 480 * 80)
    assert parameters(block) == 80 * 480 + 480 * 25 + 480 * 80 + 2 * (480 + 480 + 80)


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("imagenet", "imagenet"),
        ("proxylessnas-w1.0-r224-c1000-z3", "proxylessnas-w1.0-r224-c1000-z3"),
        ("proxylessnas-wide", "proxylessnas-wide"),
        ("proxylessnas-w1.0-r0", "at least 1"),
        ("proxylessnas-", "proxylessnas-"),
    ],
)
def test_an_unknown_space_is_named(name: str, part: str) -> None:
    with pytest.raises(UsageError, match=part.replace(".", r"\.")):
        spaces.get(name)


@pytest.mark.parametrize(
    "key",
    ["", "mbconv", "mbconv-in:14x14-out:7x7x3", "conv-in:1x1x1-out:1x1x1-kernel:0-stride:1-pad:same-act:relu6",
     "mbconv-in:8x8x8-out:4x4x8-mid:24-kernel:3-stride:1-pad:symmetric-act:relu6-skip:0",
     "mbconv-in:8x8x8-out:8x8x16-mid:24-kernel:3-stride:1-pad:symmetric-act:relu6-skip:1"],
)  # fmt: skip
def test_a_wrong_key_is_refused(key: str) -> None:
    with pytest.raises(DataError):
        block_from_key(key)


@given(st.text(max_size=60))
def test_any_text_is_a_block_or_refused(text: str) -> None:
    with contextlib.suppress(DataError):
        assert block_from_key(text).key == text


def test_a_wrong_architecture_names_the_position() -> None:
    space = proxylessnas.default()
    wrong = space.sample(1, 0)
    wrong[0, 4] = 6
    with pytest.raises(DataError, match="choice 6 at position 4, which offers 0 to 5"):
        space.check(wrong)
    with pytest.raises(DataError, match="21 choices, not 3"):
        space.check([0, 1, 2])


def test_padding_is_part_of_the_key() -> None:
    assert ConvBlock((8, 8, 3), 8, 3, 2, "same").key != ConvBlock((8, 8, 3), 8, 3, 2).key
