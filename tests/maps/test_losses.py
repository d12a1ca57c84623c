"""Losses against PyTorch, in float64, and what they refuse."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.maps.losses import LOSSES, CrossEntropy, Loss, MeanSquaredError, loss_named

torch = pytest.importorskip("torch")

SPATIAL = st.sampled_from([(), (4,), (2, 3), (2, 1, 2)])


@st.composite
def batches(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Scores (classes, *spatial, N) and labels (*spatial, N)."""
    classes, samples = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    spatial = draw(SPATIAL)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scale = draw(st.sampled_from([0.1, 1.0, 30.0, 1000.0]))
    scores = scale * random.normal(size=(classes, *spatial, samples))
    return scores, random.integers(0, classes, size=(*spatial, samples))


def by_torch(rule: Any, scores: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """The batch first, as torch wants it, and back."""
    tensor = torch.tensor(np.moveaxis(scores, -1, 0).copy(), requires_grad=True)
    value = rule(tensor, torch.tensor(np.moveaxis(targets, -1, 0).copy()))
    value.backward()
    return value.item(), np.moveaxis(tensor.grad.numpy(), 0, -1)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.moveaxis(np.eye(classes)[labels], -1, 0)


@given(batches(), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_cross_entropy_is_that_of_torch(
    batch: tuple[np.ndarray, np.ndarray], smoothing: float
) -> None:
    scores, labels = batch
    value, gradient = CrossEntropy(smoothing).value_and_gradient(scores, labels)
    rule = torch.nn.CrossEntropyLoss(label_smoothing=smoothing)
    other_value, other_gradient = by_torch(rule, scores, labels)
    assert value == pytest.approx(other_value, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(gradient, other_gradient, rtol=1e-12, atol=1e-15)


@given(batches())
def test_mean_squared_error_is_that_of_torch(batch: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = batch
    targets = np.sin(scores)
    value, gradient = MeanSquaredError().value_and_gradient(scores, targets)
    other_value, other_gradient = by_torch(torch.nn.MSELoss(), scores, targets)
    assert value == pytest.approx(other_value, rel=1e-12)
    np.testing.assert_allclose(gradient, other_gradient, rtol=1e-12, atol=1e-300)

    value, gradient = MeanSquaredError().value_and_gradient(scores, labels)
    other_value, other_gradient = by_torch(torch.nn.MSELoss(), scores, one_hot(labels, len(scores)))
    assert value == pytest.approx(other_value, rel=1e-12)
    np.testing.assert_allclose(gradient, other_gradient, rtol=1e-12, atol=1e-300)


@given(batches())
def test_the_gradient_of_the_cross_entropy_sums_to_nothing(
    batch: tuple[np.ndarray, np.ndarray],
) -> None:
    # A constant added to all scores of a sample changes nothing.
    scores, labels = batch
    gradient = CrossEntropy(0.2).value_and_gradient(scores, labels)[1]
    assert np.abs(gradient.sum(axis=0)).max() < 1e-15


@given(batches())
def test_hits_are_counted_one_by_one(batch: tuple[np.ndarray, np.ndarray]) -> None:
    scores, labels = batch
    right = sum(
        max(range(len(scores)), key=lambda c: scores[(c, *place)]) == labels[place]
        for place in np.ndindex(labels.shape)
    )
    assert CrossEntropy().hits(scores, labels) == right
    assert MeanSquaredError().hits(scores, labels) == right
    assert MeanSquaredError().hits(scores, scores) is None


@pytest.mark.parametrize("loss", [CrossEntropy(), CrossEntropy(0.1), MeanSquaredError()])
def test_single_precision_stays_and_nothing_given_is_changed(loss: Loss) -> None:
    random = np.random.default_rng(0)
    scores = random.normal(size=(4, 7)).astype(np.float32)
    labels = random.integers(0, 4, 7)
    before = scores.copy(), labels.copy()
    value, gradient = loss.value_and_gradient(scores, labels)
    assert type(value) is float
    assert gradient.dtype == np.float32
    assert (scores == before[0]).all()
    assert (labels == before[1]).all()
    wide, _ = loss.value_and_gradient(scores.astype(np.float64), labels)
    assert value == pytest.approx(wide, rel=1e-6)


def test_targets_in_double_precision_leave_a_single_gradient() -> None:
    gradient = MeanSquaredError().value_and_gradient(np.zeros((2, 1), np.float32), np.ones((2, 1)))
    assert gradient[1].dtype == np.float32


def test_huge_scores_do_not_overflow() -> None:
    scores = np.array([[1e4], [-1e4]], dtype=np.float32)
    value, gradient = CrossEntropy().value_and_gradient(scores, np.array([1]))
    assert value == 2e4
    assert gradient.tolist() == [[1.0], [-1.0]]


def test_scores_that_are_no_numbers_give_a_loss_that_is_none() -> None:
    for loss in (CrossEntropy(), MeanSquaredError()):
        value, _ = loss.value_and_gradient(np.array([[math.nan], [0.0]]), np.array([1]))
        assert math.isnan(value)


def test_names() -> None:
    assert loss_named("cross_entropy") == CrossEntropy(0.0)
    assert loss_named("mse") == MeanSquaredError()
    own = CrossEntropy(0.1)
    assert loss_named(own) is own
    assert set(LOSSES) == {"cross_entropy", "mse"}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.int64, np.uint64])
@pytest.mark.parametrize("loss", [CrossEntropy(), MeanSquaredError()])
def test_sound_labels_pass_as_int64(loss: Loss, dtype: Any) -> None:
    labels = loss.check_targets(np.array([[0, 2], [1, 1]], dtype=dtype), (3, 2), 2)
    assert labels.dtype == np.int64
    assert labels.tolist() == [[0, 2], [1, 1]]


def test_sound_scores_pass() -> None:
    targets = np.ones((5, 2, 3), np.float32)
    assert MeanSquaredError().check_targets(targets, (2, 3), 5) is targets


ENTROPY, SQUARES = CrossEntropy(), MeanSquaredError()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: CrossEntropy(1.5), ArgumentError, "label_smoothing must be finite and at least 0"),
        (lambda: CrossEntropy("no"), KindError, "label_smoothing must be a number, not 'no'"),
        (
            lambda: ENTROPY.check_targets([0, 1, 3], (3,), 3),
            ArgumentError,
            "labels must be between 0 and 2 for 3 classes, but labels[2] is 3",
        ),
        (
            lambda: ENTROPY.check_targets([0, -1], (3,), 2),
            ArgumentError,
            "3 classes, but labels[1] is -1",
        ),
        (
            lambda: SQUARES.check_targets([[0, 1], [4, 0]], (3, 2), 2),
            ArgumentError,
            "3 classes, but labels[1, 0] is 4",
        ),
        (
            lambda: ENTROPY.check_targets(np.array([2**64 - 1], dtype=np.uint64), (3,), 1),
            ArgumentError,
            "labels[0] is 18446744073709551615",
        ),
        (
            lambda: ENTROPY.check_targets([0.0, 1.0], (3,), 2),
            KindError,
            "labels must be integers (class indices starting at 0), not float64",
        ),
        (lambda: ENTROPY.check_targets(["cat"], (3,), 1), KindError, "labels must be integers"),
        (lambda: ENTROPY.check_targets([True], (3,), 1), KindError, "labels must be integers"),
        (lambda: ENTROPY.check_targets(None, (3,), 1), KindError, "labels must be integers"),
        (
            lambda: ENTROPY.check_targets([0, 1], (3,), 5),
            ShapeError,
            "labels must have shape (5,), not (2,): the samples come first",
        ),
        (lambda: ENTROPY.check_targets([[0]], (3,), 1), ShapeError, "must have shape (1,)"),
        (
            lambda: SQUARES.check_targets(np.zeros((2, 4)), (3,), 2),
            ShapeError,
            "targets must have shape (2, 3), not (2, 4): the samples come first",
        ),
        (
            lambda: SQUARES.check_targets([[0.0], [math.nan]], (1,), 2),
            ArgumentError,
            "targets must be finite numbers, but targets[1, 0] is nan",
        ),
        (
            lambda: SQUARES.check_targets([[math.inf]], (1,), 1),
            ArgumentError,
            "targets[0, 0] is in",
        ),
        (lambda: SQUARES.check_targets([["a"]], (1,), 1), KindError, "labels must be integers"),
        (
            lambda: ENTROPY.value_and_gradient(np.zeros((3, 4)), np.zeros(1, int)),
            ShapeError,
            "not (1,), for scores of shape (3, 4): the batch is the last axis",
        ),
        (
            lambda: SQUARES.value_and_gradient(np.zeros((3, 4)), np.zeros((4, 3))),
            ShapeError,
            "not (4, 3), for scores of shape (3, 4)",
        ),
        (lambda: ENTROPY.hits(np.zeros((3, 4)), np.zeros(3, int)), ShapeError, "for scores of"),
        (
            lambda: loss_named("hinge"),
            ArgumentError,
            "loss must be one of cross_entropy, mse, not 'hinge'",
        ),
        (lambda: loss_named(None), KindError, "loss must be a Loss or one of cross_entropy, mse"),
    ],
)
def test_bad_input_is_refused_in_words(
    call: Callable[[], Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error) as caught:
        call()
    assert words in str(caught.value)
