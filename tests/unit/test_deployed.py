"""What is concluded of a deployed file: when answers agree, when a prediction holds."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwbench.errors import CorruptFile
from hwbench.measure.evaluation import Outputs
from hwbench.models.formats import Affine, Precision
from hwbench.models.inputs import input_bytes, real_values
from hwbench.workflows.deploying.deployed import Predicted, answers, held, host_answers
from tests.unit.test_tables import measurement


def outputs_of(scores: np.ndarray) -> Outputs:
    """All elements of each output, as a runner tells them."""
    places = np.argsort(-scores, axis=1, kind="stable")
    return Outputs(places, np.take_along_axis(scores.astype(np.float64), places, axis=1))


def some_scores(images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Scores (images, 10) and labels, most of which the largest score names."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(0, 3, (images, 10)).astype(np.float32)
    labels = np.where(rng.random(images) < 0.9, scores.argmax(1), rng.integers(0, 10, images))
    return scores, labels


def test_equal_outputs_agree() -> None:
    scores, labels = some_scores(500)
    found = answers(outputs_of(scores), None, scores, labels, "fp32")
    assert found.agrees
    assert (found.images, found.same_class, found.largest_difference) == (500, 500, 0.0)
    assert found.accuracy == found.torch_accuracy == (scores.argmax(1) == labels).mean()


@pytest.mark.parametrize(("relative", "agrees"), [(5e-5, True), (5e-4, False)])
def test_fp32_outputs_may_differ_by_a_ten_thousandth_of_the_largest(relative: float, agrees: bool) -> None:
    scores, labels = some_scores(200)
    off = scores.copy()
    off[7, 3] += relative * np.abs(scores).max()
    found = answers(outputs_of(off), None, scores, labels, "fp32")
    assert found.largest_difference == pytest.approx(relative, rel=1e-2)
    assert found.agrees == agrees
    assert answers(outputs_of(off), None, scores, labels, "int8").agrees


@pytest.mark.parametrize("precision", ["fp32", "int8"])
@given(st.integers(1, 3000), st.integers(0, 60))
def test_accuracy_may_differ_by_its_points_or_one_image(precision: Precision, images: int, wrong: int) -> None:
    wrong = min(wrong, images)
    # Ties in single precision, so that fp32 differs in its answers and not in its outputs.
    scores = np.zeros((images, 4), np.float32)
    scores[:, 0] = 1.0
    scores[:, 1] = np.nextafter(np.float32(1.0), np.float32(0.0))
    labels = np.zeros(images, np.int64)
    other = scores.copy()
    other[:wrong, [0, 1]] = scores[:wrong, [1, 0]]
    found = answers(outputs_of(other), None, scores, labels, precision)
    assert found.same_class == images - wrong
    assert found.accuracy == pytest.approx((images - wrong) / images)
    allowed = max(1, images // (1000 if precision == "fp32" else 100))
    assert found.agrees == (wrong <= allowed)


def test_outputs_in_another_order_differ() -> None:
    scores, labels = some_scores(100)
    assert not answers(outputs_of(np.roll(scores, 1, axis=1)), None, scores, labels, "fp32").agrees
    assert not answers(outputs_of(np.roll(scores, 1, axis=0)), None, scores, labels, "int8").agrees


def test_integers_are_read_by_their_scale() -> None:
    scores, labels = some_scores(300)
    affine = Affine(0.125, -3)
    stored = np.clip(np.rint(scores / affine.scale) + affine.zero_point, -128, 127)
    found = answers(outputs_of(stored), affine, scores, labels, "int8")
    assert found.agrees
    assert found.largest_difference <= 0.5 * affine.scale / np.abs(scores).max() * 1.01
    np.testing.assert_array_equal(real_values(stored, affine), (stored + 3) / 8)


@given(st.floats(1e-4, 1.0), st.integers(-128, 127), st.integers(0, 99))
def test_inputs_are_stored_to_half_a_step(scale: float, zero_point: int, seed: int) -> None:
    affine = Affine(scale, zero_point)
    images = np.random.default_rng(seed).normal(0, 1, (3, 4, 5, 2)).astype(np.float32)
    stored = np.frombuffer(input_bytes(images, affine, "xnnpack"), np.int8).reshape(images.shape)
    lowest, highest = real_values(np.array([-128.0, 127.0]), affine)
    real = real_values(stored.astype(float), affine)
    assert np.abs(real - np.clip(images, lowest, highest)).max() <= scale * 0.5000001


def test_the_memory_order_is_that_of_the_models() -> None:
    images = np.arange(24, dtype=np.float32).reshape(1, 2, 4, 3)
    assert np.frombuffer(input_bytes(images, None, "builtin"), "<f4").tolist() == list(range(24))
    first = np.frombuffer(input_bytes(images, None, "portable"), "<f4").reshape(3, 2, 4)
    np.testing.assert_array_equal(first, images[0].transpose(2, 0, 1))


@pytest.mark.parametrize(
    ("measured_us", "interval", "tolerance"),
    [(101.0, True, True), (104.0, False, True), (96.0, False, True), (106.0, False, False), (94.0, False, False)],
)
def test_a_prediction_holds_within_its_interval_or_five_percent(
    measured_us: float, interval: bool, tolerance: bool
) -> None:
    found = held(measurement(measured_us), Predicted("table", 100.0, 98.0, 102.0))
    assert found is not None
    assert (found.within_interval, found.within_tolerance) == (interval, tolerance)
    assert found.holds == (interval or tolerance)
    assert found.error == pytest.approx(measured_us / 100 - 1)
    wide = held(measurement(measured_us), Predicted("table", 100.0, 90.0, 110.0))
    assert wide is not None
    assert wide.holds
    unknown = held(measurement(measured_us), Predicted("table", 100.0, None, None))
    assert unknown is not None
    assert unknown.holds == tolerance


def test_there_is_no_verdict_without_a_prediction_or_a_real_device() -> None:
    assert held(measurement(5.0), None) is None
    emulated = msgspec.structs.replace(measurement(5.0), flags=("emulated",))
    assert held(emulated, Predicted("table", 100.0, 98.0, 102.0)) is None


def test_the_host_may_break_a_tie_the_other_way() -> None:
    scores, _ = some_scores(1000)
    integers = np.clip(np.rint(scores * 10), -128, 127)
    other = integers.copy()
    other[5, integers[5].argmax()] -= 1
    other[:3] = np.roll(integers[:3], 1, axis=1)
    found = host_answers(outputs_of(other), outputs_of(integers), "int8")
    assert found.images - found.same_class in (3, 4)
    assert found.agrees
    assert found.largest_difference > 1
    equal = host_answers(outputs_of(integers), outputs_of(integers), "int8")
    assert (equal.same_class, equal.largest_difference, equal.agrees) == (1000, 0.0, True)
    turned = host_answers(outputs_of(np.roll(integers, 1, axis=1)), outputs_of(integers), "int8")
    assert not turned.agrees


def test_a_step_of_one_integer_is_a_difference_of_one() -> None:
    integers = np.clip(np.rint(some_scores(50)[0] * 10), -128, 126)
    other = integers + (np.arange(50) == 9)[:, None]
    found = host_answers(outputs_of(other), outputs_of(integers), "int8")
    assert (found.same_class, found.largest_difference) == (50, 1.0)


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    from hwbench.workflows.deploying import deployed

    path = tmp_path / "deployment.json"
    path.write_text('{"schema": "hwbench.deployment/1",\n"sha256": "0", "content": {}}\n')
    with pytest.raises(CorruptFile, match=r"deployment\.json"):
        deployed.load(path)
