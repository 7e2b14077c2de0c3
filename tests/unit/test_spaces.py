"""Spaces: the published counts, names and keys that round-trip, refusals that name the mistake."""

from __future__ import annotations

import contextlib
import csv
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench import spaces
from hwbench.errors import DataError, UsageError
from hwbench.spaces import (
    Block,
    ConvBlock,
    MBConv,
    block_from_key,
    cells,
    fbnet,
    hat,
    nasbench201,
    ofa,
    proxylessnas,
)
from hwbench.spaces.blocks import LinearBlock, Pool, macs, parameters
from hwbench.spaces.cells import Cell, EdgeConv, EdgePool, NodeAdd, Reduction, Tail
from hwbench.spaces.encodings import PHYSICAL_FEATURES, one_hot, physical
from hwbench.spaces.fbnet_blocks import FBNetBlock
from hwbench.spaces.wording import places, words

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


SMALL = ["ofa-w0.5-r32-c4", "ofa-w1.0-r64.96-c10", "fbnet-cifar-r16-c4-w0.25", "fbnet-imagenet-r64-c10",
         "nasbench201-w8-n2-r16-c4"]  # fmt: skip


@pytest.mark.parametrize("name", [*SMALL, "ofa", "fbnet", "nasbench201"])
def test_networks_of_every_space_chain_and_sums_follow_terms(name: str) -> None:
    space = spaces.get(name)
    assert spaces.get(space.name) == space
    archs = space.sample(20, seed=5)
    values = np.random.default_rng(0).uniform(1, 2, (len(space.distinct_blocks), 2))
    totals = space.total(values, archs)
    for number, arch in enumerate(archs):
        network = space.network(arch)
        for before, after in itertools.pairwise(network):
            assert before.block.out_shape == after.block.in_shape
        rows = [space.rows_by_key[named.block.key] for named in space.terms(arch)]
        assert totals[number] == pytest.approx(values[rows].sum(axis=0))
        assert space.read(" ".join(space.describe(arch))).tolist() == [arch.tolist()]
    for block in space.distinct_blocks:
        assert block_from_key(block.key) == block
    for position in space.grid:
        assert len(position.labels) == len(position.blocks)


@pytest.mark.parametrize("name", SMALL)
def test_macs_of_a_network_are_those_of_its_terms_or_its_cells(name: str) -> None:
    space = spaces.get(name)
    archs = space.sample(10, seed=0)
    columns = dict(zip(PHYSICAL_FEATURES, physical(space, archs).T, strict=True))
    for number, arch in enumerate(archs):
        assert columns["gemm_macs"][number] + columns["depthwise_macs"][number] == space.macs(arch)
        assert columns["weight_bytes"][number] == 4 * space.parameters(arch)


shapes = st.tuples(st.integers(1, 300), st.integers(1, 300), st.integers(1, 2000))
activations = st.sampled_from(["none", "relu", "relu6", "h-swish", "h-sigmoid"])
paddings = st.sampled_from(["symmetric", "same"])
sizes = st.integers(1, 3000)
kernels = st.integers(1, 9)
ANY_BLOCK = st.one_of(
    st.builds(ConvBlock, shapes, sizes, kernels, kernels, paddings, activations),
    st.builds(
        MBConv, shapes, sizes, sizes, kernels, kernels, st.just(False), paddings, activations, st.integers(0, 99)
    ),
    st.builds(FBNetBlock, shapes, sizes, sizes, kernels, kernels, st.just(1), st.just(False), paddings, activations),
    st.builds(Pool, shapes),
    st.builds(LinearBlock, sizes, sizes),
    st.builds(EdgeConv, shapes, kernels),
    st.builds(EdgePool, shapes),
    st.builds(NodeAdd, shapes),
    st.builds(Reduction, shapes, sizes),
    st.builds(Tail, shapes, sizes),
)


@given(ANY_BLOCK)
def test_keys_of_any_block_round_trip(block: Block) -> None:
    assert block_from_key(block.key) == block


@given(shapes, st.tuples(*[st.integers(0, 4)] * 6))
def test_cells_that_do_the_same_share_a_key(shape: tuple[int, int, int], choices: tuple[int, ...]) -> None:
    cell = Cell(shape, choices)
    found = block_from_key(cell.key)
    assert found.key == cell.key
    assert [op.name for op in found.ops()] == [op.name for op in cell.ops()]


def test_the_published_once_for_all_networks() -> None:
    """The width 1.2 network that its authors name `flops-482M`: kernels, expansions and depths as in its config."""
    space = ofa.build(1.2)
    assert len(space.positions) == 20
    assert space.size == (9**2 + 9**3 + 9**4) ** 5
    widths = [block.out_channels for p in space.positions[::4] if isinstance(block := p.blocks[0], MBConv)]
    assert widths == [32, 48, 96, 136, 192]
    drawn = space.sample(6000, seed=0).reshape(-1, 5, 4)
    depths = (drawn < 9).sum(axis=2)
    assert all(abs((depths == depth).mean() - 1 / 3) < 0.01 for depth in (2, 3, 4))
    assert ((drawn[:, :, 3] == 9) | (drawn[:, :, 2] < 9)).all()


def test_one_space_has_one_name() -> None:
    assert spaces.get("ofa-w1.20-r224-c1000").name == "ofa-w1.2-r224-c1000"
    assert spaces.get("ofa-w1.00-r224.96-c10").name == "ofa-w1.0-r224.96-c10"
    assert spaces.get("fbnet-cifar-r32-c100-w1.0").name == "fbnet-cifar-r32-c100"


def test_once_for_all_settings_become_choices() -> None:
    arch = ofa.architecture([3] * 20, [6] * 20, [2, 2, 3, 4, 2])
    assert ofa.build().describe(arch)[:8] == ("k3e6", "k3e6", "zero", "zero") * 2
    assert ofa.build().describe(arch)[8:12] == ("k3e6", "k3e6", "k3e6", "zero")
    with pytest.raises(DataError, match="Block 4 of a Once-for-all architecture has kernel 9"):
        ofa.architecture([3] * 4 + [9] * 16, [6] * 20, [2] * 5)


def test_two_groups_halve_the_dense_part_of_an_fbnet_block() -> None:
    shape = (14, 14, 64)
    one, two = (FBNetBlock(shape, 64, 64, 3, groups=groups, skip=True) for groups in (1, 2))
    assert macs(one) - macs(two) == 14 * 14 * 64 * 64
    assert macs(two) == 14 * 14 * (64 * 64 + 9 * 64)


def test_fbnet_has_nine_choices_at_every_position() -> None:
    space = fbnet.build()
    assert (len(space.positions), set(space.choice_counts.tolist())) == (22, {9})
    identities = [position.blocks[8] is None for position in space.positions]
    assert identities == [True] + [False, True, True, True] * 5 + [False]
    with pytest.raises(DataError, match="2 groups do not divide"):
        FBNetBlock((4, 4, 3), 4, 3, 3, groups=2)


def test_the_squeeze_of_squeeze_and_excite_counts() -> None:
    plain, squeezed = (MBConv((14, 14, 40), 40, 120, 5, skip=True, squeeze=squeeze) for squeeze in (0, 32))
    assert macs(squeezed) - macs(plain) == 2 * 120 * 32
    assert parameters(squeezed) - parameters(plain) == 2 * 120 * 32 + 120 + 32


def test_dead_edges_of_a_cell() -> None:
    alive = cells.alive
    assert alive((3, 3, 3, 3, 3, 3)) == (True,) * 6
    # Node 1 is not fed, so what leaves it carries nothing; node 2 leads nowhere, so what enters it is for nothing.
    assert alive((0, 3, 3, 1, 3, 0)) == (False, False, False, True, False, False)
    assert alive((3, 0, 0, 0, 0, 3)) == (False,) * 6
    # Without 0>3: 0>1 absent, and 0>2, 2>3 not both there; or 0>1 there, 1>3 absent, and node 2 no way on.
    nowhere = 9 * 25 + 4 * (25 + 4)
    assert sum(any(alive(tuple(arch))) for arch in nasbench201.in_index_order().tolist()) == 15625 - nowhere


def test_nas_bench_strings_and_numbers_agree() -> None:
    space = nasbench201.build()
    order = nasbench201.in_index_order()
    assert nasbench201.describe(order[0]) == (
        "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"
    )
    assert len(np.unique(space.places(order))) == space.size == 15625
    for arch in order[:200]:
        assert space.read(nasbench201.describe(arch)).tolist() == [arch.tolist()]
    with pytest.raises(DataError, match="is not an architecture"):
        nasbench201.parse("|conv~0|+|none~0|none~1|+|none~0|none~1|none~2|")


def test_what_is_left_of_cells_without_their_dead_edges() -> None:
    order = nasbench201.in_index_order()
    left = np.vstack([nasbench201.living(arch) for arch in order])
    assert len(np.unique(left, axis=0)) == 9445
    assert (left != order).any(axis=1).sum() == 15625 - 9445


def test_the_index_order_is_the_published_one(published: Path) -> None:
    with (published / "nb201" / "accuracy.csv").open() as file:
        for row, arch in zip(csv.DictReader(file), nasbench201.in_index_order(), strict=True):
            assert nasbench201.describe(arch) == row["arch_str"]


def test_parameters_of_a_cell_network_by_hand() -> None:
    """Stem, 5 cells a stage of 6 edges with 3x3 convolutions, two reductions, batch norm and classifier."""
    edges = sum(5 * 6 * (9 * c * c + 2 * c) for c in (16, 32, 64))
    reductions = sum(9 * c * 2 * c + 9 * 4 * c * c + 2 * 4 * c + 2 * c * c + 2 * c for c in (16, 32))
    stem, tail = 27 * 16 + 32, 64 + 2 * 64 + 65 * 10
    assert nasbench201.build().parameters([3] * 6) == stem + edges + reductions + tail


def test_hat_is_an_encoding_only() -> None:
    features = [640, 6, 2048, 6, 640, 6, 2048, 6, 6, 2]
    assert hat.encode([features, features]).tolist() == [[1.0] * 10] * 2
    with pytest.raises(DataError, match="encoder_layer_num"):
        hat.check([640, 0, *features[2:]])
    with pytest.raises(UsageError, match="none can be built or profiled"):
        spaces.get("hat")


@pytest.mark.parametrize("name", ["ofa-w1.2-r0-c10", "ofa-w1.2-r224.224-c10", "fbnet-r224", "nasbench201-w0-n1-r8-c2"])
def test_unreadable_names_of_the_other_spaces(name: str) -> None:
    with pytest.raises(UsageError, match=name.replace(".", r"\.")):
        spaces.get(name)


@pytest.mark.parametrize("name", [*SMALL, "ofa", "fbnet", "nasbench201", "proxylessnas"])
def test_every_block_has_words_and_a_place(name: str) -> None:
    space = spaces.get(name)
    where = places(space)
    for block in space.distinct_blocks:
        assert where[block.key]
        assert words(block).text.endswith(
            f"{'x'.join(map(str, block.in_shape))} to {'x'.join(map(str, block.out_shape))}"
        )


def test_words_of_searched_blocks() -> None:
    mbconv = MBConv((14, 14, 80), 80, 480, 7, skip=True)
    assert words(mbconv).text == "MBConv 7x7, expand 6, 14x14x80 to 14x14x80"
    assert words(ConvBlock((8, 8, 3), 16, 3, 2)).text == "convolution 3x3, 8x8x3 to 4x4x16"
    fb = FBNetBlock((8, 8, 16), 16, 24, 5)
    assert (words(fb).operator, words(fb).kernel, words(fb).expand) == ("FBNet block", 5, 1.5)
    assert places(spaces.get("proxylessnas"))[spaces.get("proxylessnas").distinct_blocks[0].key] == ("stem",)


def test_spaces_of_the_same_choices() -> None:
    own = spaces.get("proxylessnas")
    for name in ("proxylessnas-w1.0-r160-c1000", "proxylessnas-w0.5-r224-c10", "proxylessnas-mobile-r224-c1000"):
        assert own.same_choices(spaces.get(name))
    for name in ("ofa", "fbnet", "proxylessnas-w1.0-r224-c1000-d2.2.2.2.2.1"):
        assert not own.same_choices(spaces.get(name))
    assert spaces.get("fbnet").same_choices(spaces.get("fbnet-imagenet-r160-c10"))
