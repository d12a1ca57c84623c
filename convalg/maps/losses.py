"""Losses: one number for a batch of scores, and its gradient; the batch is the last axis."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from convalg.arguments import settle
from convalg.arrays import as_array
from convalg.errors import ArgumentError, KindError, ShapeError

Array = np.ndarray


@dataclass(frozen=True)
class Loss(ABC):
    """A function of a network's scores and the targets, averaged over the batch.

    Shapes: scores (classes, *spatial, N), the batch last, as the engines hold their arrays;
    labels (*spatial, N), usually (N,).
    """

    @abstractmethod
    def value_and_gradient(self, scores: Array, targets: Array) -> tuple[float, Array]:
        """Return the loss of a batch and its gradient by the scores, in their precision."""

    @abstractmethod
    def hits(self, scores: Array, targets: Array) -> int | None:
        """Return how many labels have the highest score; None for targets that are not labels."""

    @abstractmethod
    def check_targets(self, targets: object, out_shape: tuple[int, ...], count: int) -> Array:
        """Return the targets of a data set, (count, ...), as an array for training.

        Raises: ShapeError, KindError or ArgumentError naming the invalid target and its index.
        """


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """The cross-entropy of the softmax of the scores with the labels, averaged over all labels.

    Rule: log(sum of exp(scores)) - sum of q scores, with q = 1 - s + s / classes at the label and
    s / classes elsewhere, s the label smoothing; the gradient is (softmax(scores) - q) / labels.
    Source: torch.nn.CrossEntropyLoss; Szegedy et al., 2016, section 7.

    >>> value, gradient = CrossEntropy().value_and_gradient(np.zeros((2, 1)), np.array([1]))
    >>> round(value, 6), gradient.tolist()
    (0.693147, [[0.5], [-0.5]])
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        settle(self, "label_smoothing", least=0, most=1)

    def value_and_gradient(self, scores: Array, targets: Array) -> tuple[float, Array]:
        """Return the mean cross-entropy and its gradient: softmax minus the smoothed label.

        >>> CrossEntropy(0.5).value_and_gradient(np.zeros((2, 1)), np.array([0]))[1].tolist()
        [[-0.25], [0.25]]
        """
        _check_batch(scores, targets, scores.shape[1:])
        classes, smoothing = len(scores), self.label_smoothing
        # Subtracting the largest score keeps every exponential from overflowing.
        shifted = scores - scores.max(axis=0)
        target_scores = np.take_along_axis(shifted, targets[None], axis=0)
        target_sum = float(target_scores.sum(dtype=np.float64))
        all_sum = float(shifted.sum(dtype=np.float64)) if smoothing else 0.0
        gradient = np.exp(shifted, out=shifted)
        totals = gradient.sum(axis=0)
        logs = float(np.log(totals).sum(dtype=np.float64))
        gradient /= totals
        if smoothing:
            gradient -= smoothing / classes
        at_targets = np.take_along_axis(gradient, targets[None], axis=0)
        np.put_along_axis(gradient, targets[None], at_targets - (1 - smoothing), axis=0)
        gradient /= targets.size
        value = logs - (1 - smoothing) * target_sum - smoothing / classes * all_sum
        return value / targets.size, gradient

    def hits(self, scores: Array, targets: Array) -> int:
        """Return how many labels have the highest score of their column.

        >>> CrossEntropy().hits(np.array([[3, 1], [2, 5]]), np.array([0, 0]))
        1
        """
        _check_batch(scores, targets, scores.shape[1:])
        return int(np.count_nonzero(scores.argmax(axis=0) == targets))

    def check_targets(self, targets: object, out_shape: tuple[int, ...], count: int) -> Array:
        """Return the labels, (count, *spatial) int64, for scores of shape (classes, *spatial).

        Raises:
            KindError: unless they are integers.
            ShapeError: unless they have that shape.
            ArgumentError: unless they are in 0 .. classes - 1.

        >>> CrossEntropy().check_targets([2, 0, 1], (3,), 3).tolist()
        [2, 0, 1]
        """
        return _checked_labels(targets, out_shape, count)


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """The mean of the squared differences over all scores of the batch.

    Rule: mean of (scores - targets)^2; the gradient is 2 (scores - targets) / number of scores.
    Integer labels stand for scores of 1 at the label and 0 elsewhere. Source: torch.nn.MSELoss.

    >>> value, gradient = MeanSquaredError().value_and_gradient(np.ones((2, 1)), np.zeros((2, 1)))
    >>> value, gradient.tolist()
    (1.0, [[1.0], [1.0]])
    """

    def value_and_gradient(self, scores: Array, targets: Array) -> tuple[float, Array]:
        """Return the mean squared difference and its gradient.

        >>> labels = np.array([1])
        >>> MeanSquaredError().value_and_gradient(np.array([[1.0], [1.0]]), labels)[0]
        0.5
        """
        if _are_labels(targets):
            _check_batch(scores, targets, scores.shape[1:])
            gradient = scores.copy()
            at_targets = np.take_along_axis(scores, targets[None], axis=0)
            np.put_along_axis(gradient, targets[None], at_targets - 1, axis=0)
        else:
            _check_batch(scores, targets, scores.shape)
            gradient = np.subtract(scores, targets, dtype=scores.dtype, casting="same_kind")
        value = float(np.square(gradient).sum(dtype=np.float64)) / gradient.size
        gradient *= 2 / gradient.size
        return value, gradient

    def hits(self, scores: Array, targets: Array) -> int | None:
        """Return how many labels have the highest score; None for targets that are scores.

        >>> MeanSquaredError().hits(np.ones((2, 1)), np.zeros((2, 1))) is None
        True
        """
        return CrossEntropy().hits(scores, targets) if _are_labels(targets) else None

    def check_targets(self, targets: object, out_shape: tuple[int, ...], count: int) -> Array:
        """Return the targets: floats (count, *out_shape) or int64 labels (count, *out_shape[1:]).

        Raises:
            ShapeError: unless they have that shape.
            ArgumentError: for a target that is not finite, or a label out of range.
            KindError: for other types.

        >>> MeanSquaredError().check_targets([[0.5, 1.5]], (2,), 1).tolist()
        [[0.5, 1.5]]
        """
        array = as_array(targets, "targets")
        if not np.issubdtype(array.dtype, np.floating):
            return _checked_labels(targets, out_shape, count)
        _check_shape(array, (count, *out_shape), "targets")
        wrong = ~np.isfinite(array)
        if wrong.any():
            index = tuple(map(int, np.argwhere(wrong)[0]))
            raise ArgumentError(
                f"targets{list(index)} is {array[index]}: a target must be a finite number"
            )
        return array


LOSSES: dict[str, Callable[[], Loss]] = {"cross_entropy": CrossEntropy, "mse": MeanSquaredError}


def loss_named(value: object) -> Loss:
    """Return the loss of that name; a Loss is returned unchanged.

    Raises:
        ArgumentError: for an unknown name.
        KindError: for anything else.

    >>> loss_named("cross_entropy")
    CrossEntropy(label_smoothing=0.0)
    """
    if isinstance(value, Loss):
        return value
    if not isinstance(value, str):
        raise KindError(f"a loss must be a Loss or one of {', '.join(LOSSES)}, not {value!r}")
    if value not in LOSSES:
        raise ArgumentError(f"unknown loss {value!r}: take one of {', '.join(LOSSES)}")
    return LOSSES[value]()


def _are_labels(targets: Array) -> bool:
    return bool(np.issubdtype(targets.dtype, np.integer))


def _check_batch(scores: Array, targets: Array, wanted: tuple[int, ...]) -> None:
    """Raises: ShapeError where NumPy would broadcast targets of another shape."""
    if targets.shape != wanted:
        raise ShapeError(
            f"scores of shape {scores.shape}, the batch last, need targets of shape {wanted}, "
            f"not {targets.shape}"
        )


def _check_shape(array: Array, wanted: tuple[int, ...], what: str) -> None:
    if array.shape != wanted:
        raise ShapeError(
            f"{what} must have shape {wanted}, the samples first, to fit the network's outputs, "
            f"not {array.shape}"
        )


def _checked_labels(targets: object, out_shape: tuple[int, ...], count: int) -> Array:
    labels = as_array(targets, "labels")
    if not _are_labels(labels):
        raise KindError(
            f"labels must be integers, counting the classes from 0, not {labels.dtype}: "
            f"take np.unique(labels, return_inverse=True)[1] for names"
        )
    if labels.shape == (count,) and set(out_shape[1:]) == {1}:
        raise ShapeError(
            f"there is one label per sample, but each output has the shape {out_shape}: end "
            f"the network with a Flatten or a Dense layer"
        )
    _check_shape(labels, (count, *out_shape[1:]), "labels")
    classes = out_shape[0]
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        index = tuple(map(int, np.argwhere(wrong)[0]))
        raise ArgumentError(
            f"labels{list(index)} is {labels[index]}: with {classes} classes a label must be in "
            f"0..{classes - 1}"
        )
    return labels.astype(np.int64)
