"""Losses: functions of a batch of scores and its targets, with their gradients by the scores."""

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
    """A function of the scores of a network and the targets, averaged over the batch.

    For a batch of N samples, scores have the shape (classes, *spatial, N), with the samples on the
    last axis as the engines store them, and labels have the shape (*spatial, N), which is (N,) for
    a classifier.
    """

    @abstractmethod
    def value_and_gradient(self, scores: Array, targets: Array) -> tuple[float, Array]:
        """Return the loss of a batch and its gradient by the scores.

        Args:
            scores: Output of the network, of shape (classes, *spatial, N).
            targets: Labels of shape (*spatial, N), or target scores in the shape of `scores`.

        Returns:
            The loss as a float, and the gradient in the shape and precision of `scores`.
        """

    @abstractmethod
    def hits(self, scores: Array, targets: Array) -> int | None:
        """Return the number of labels whose class has the highest score.

        Args:
            scores: Output of the network, of shape (classes, *spatial, N).
            targets: Labels of shape (*spatial, N), or target scores in the shape of `scores`.

        Returns:
            The number of correct labels, or None when the targets are scores and not labels.
        """

    @abstractmethod
    def check_targets(self, targets: object, out_shape: tuple[int, ...], count: int) -> Array:
        """Return the targets of a data set as a validated array with the samples on the first axis.

        Args:
            targets: Labels of shape (count, *spatial), or target scores of shape
                (count, classes, *spatial).
            out_shape: Shape of one output of the network, (classes, *spatial).
            count: Number of samples.

        Raises:
            ShapeError: when the targets have another shape.
            KindError: when the targets are of the wrong type.
            ArgumentError: when a target is out of range; the message states its index.
        """


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """The cross-entropy of the softmax of the scores with the labels, averaged over all labels.

    The loss of a label is log(sum of exp(scores)) - sum of q * scores. With the label smoothing s,
    q is 1 - s + s / classes at the label and s / classes at the other classes. The gradient is
    (softmax(scores) - q) / (number of labels).

    Args:
        label_smoothing: The label smoothing s, a number from 0 to 1.

    Raises:
        ArgumentError: when `label_smoothing` is out of range.
        KindError: when `label_smoothing` is not a number.

    Source:
        torch.nn.CrossEntropyLoss; Szegedy et al., 2016, section 7.

    >>> import convalg as ca
    >>> import numpy as np
    >>> loss = ca.train.CrossEntropy()
    >>> value, gradient = loss.value_and_gradient(np.zeros((2, 1)), np.array([1]))
    >>> round(value, 6), gradient.tolist()
    (0.693147, [[0.5], [-0.5]])
    """

    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        settle(self, "label_smoothing", least=0, most=1)

    def value_and_gradient(self, scores: Array, targets: Array) -> tuple[float, Array]:
        """Return the mean cross-entropy of a batch and its gradient by the scores.

        Args:
            scores: Output of the network, of shape (classes, *spatial, N).
            targets: Integer labels of shape (*spatial, N).

        Returns:
            The loss as a float, and the gradient (softmax(scores) - q) / (number of labels) in the
            shape and precision of `scores`.

        Raises:
            ShapeError: when the shape of `targets` does not match `scores`.

        >>> import convalg as ca
        >>> import numpy as np
        >>> loss = ca.train.CrossEntropy(label_smoothing=0.5)
        >>> value, gradient = loss.value_and_gradient(np.zeros((2, 1)), np.array([0]))
        >>> gradient.tolist()
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
        """Return the number of labels whose class has the highest score.

        Of equal highest scores, the first class is used.

        Args:
            scores: Output of the network, of shape (classes, *spatial, N).
            targets: Integer labels of shape (*spatial, N).

        Raises:
            ShapeError: when the shape of `targets` does not match `scores`.

        >>> import convalg as ca
        >>> import numpy as np
        >>> ca.train.CrossEntropy().hits(np.array([[3, 1], [2, 5]]), np.array([0, 0]))
        1
        """
        _check_batch(scores, targets, scores.shape[1:])
        return int(np.count_nonzero(scores.argmax(axis=0) == targets))

    def check_targets(self, targets: object, out_shape: tuple[int, ...], count: int) -> Array:
        """Return the labels as an int64 array of shape (count, *spatial).

        Args:
            targets: Labels of shape (count, *spatial): integers from 0 to classes - 1.
            out_shape: Shape of one output of the network, (classes, *spatial).
            count: Number of samples.

        Raises:
            KindError: when the labels are not integers.
            ShapeError: when the labels have another shape.
            ArgumentError: when a label is out of range; the message states its index.

        >>> import convalg as ca
        >>> ca.train.CrossEntropy().check_targets([2, 0, 1], (3,), 3).tolist()
        [2, 0, 1]
        """
        return _checked_labels(targets, out_shape, count)


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """The mean of the squared differences (scores - targets)^2 over all scores of the batch.

    The gradient is 2 (scores - targets) / (number of scores). Integer labels represent target
    scores of 1 at the class of the label and 0 at the other classes.

    Source:
        torch.nn.MSELoss.

    >>> import convalg as ca
    >>> import numpy as np
    >>> loss = ca.train.MeanSquaredError()
    >>> value, gradient = loss.value_and_gradient(np.ones((2, 1)), np.zeros((2, 1)))
    >>> value, gradient.tolist()
    (1.0, [[1.0], [1.0]])
    """

    def value_and_gradient(self, scores: Array, targets: Array) -> tuple[float, Array]:
        """Return the mean squared difference of a batch and its gradient by the scores.

        Args:
            scores: Output of the network, of shape (classes, *spatial, N).
            targets: Target scores as floats in the shape of `scores`, or integer labels of shape
                (*spatial, N).

        Returns:
            The loss as a float, and the gradient in the shape and precision of `scores`.

        Raises:
            ShapeError: when the shape of `targets` does not match `scores`.

        >>> import convalg as ca
        >>> import numpy as np
        >>> scores, labels = np.array([[1.0], [1.0]]), np.array([1])
        >>> ca.train.MeanSquaredError().value_and_gradient(scores, labels)[0]
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
        """Return the number of labels whose class has the highest score; None for float targets.

        Args:
            scores: Output of the network, of shape (classes, *spatial, N).
            targets: Target scores as floats in the shape of `scores`, or integer labels of shape
                (*spatial, N).

        Raises:
            ShapeError: when the shape of the labels does not match `scores`.

        >>> import convalg as ca
        >>> import numpy as np
        >>> ca.train.MeanSquaredError().hits(np.ones((2, 1)), np.zeros((2, 1))) is None
        True
        """
        return CrossEntropy().hits(scores, targets) if _are_labels(targets) else None

    def check_targets(self, targets: object, out_shape: tuple[int, ...], count: int) -> Array:
        """Return the targets: floats (count, *out_shape) or int64 labels (count, *out_shape[1:]).

        Args:
            targets: Target scores as floats of shape (count, *out_shape), or labels as integers
                from 0 to classes - 1 of shape (count, *out_shape[1:]).
            out_shape: Shape of one output of the network, (classes, *spatial).
            count: Number of samples.

        Raises:
            ShapeError: when the targets have another shape.
            ArgumentError: when a target is not finite, or a label is out of range.
            KindError: when the targets are neither floats nor integers.

        >>> import convalg as ca
        >>> ca.train.MeanSquaredError().check_targets([[0.5, 1.5]], (2,), 1).tolist()
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
                f"targets must be finite numbers, but targets{list(index)} is {array[index]}"
            )
        return array


LOSSES: dict[str, Callable[[], Loss]] = {"cross_entropy": CrossEntropy, "mse": MeanSquaredError}


def loss_named(value: object) -> Loss:
    """Return the loss of the given name; a `Loss` is returned unchanged.

    Args:
        value: "cross_entropy", "mse", or a `Loss`.

    Raises:
        ArgumentError: when no loss has this name.
        KindError: when `value` is neither a string nor a `Loss`.

    >>> from convalg.maps.losses import loss_named
    >>> loss_named("cross_entropy")
    CrossEntropy(label_smoothing=0.0)
    """
    if isinstance(value, Loss):
        return value
    if not isinstance(value, str):
        raise KindError(f"loss must be a Loss or one of {', '.join(LOSSES)}, not {value!r}")
    if value not in LOSSES:
        raise ArgumentError(f"loss must be one of {', '.join(LOSSES)}, not {value!r}")
    return LOSSES[value]()


def _are_labels(targets: Array) -> bool:
    return bool(np.issubdtype(targets.dtype, np.integer))


def _check_batch(scores: Array, targets: Array, wanted: tuple[int, ...]) -> None:
    """Raise ShapeError unless the targets have the wanted shape; NumPy might broadcast others."""
    if targets.shape != wanted:
        raise ShapeError(
            f"targets must have shape {wanted}, not {targets.shape}, for scores of shape "
            f"{scores.shape}: the batch is the last axis"
        )


def _check_shape(array: Array, wanted: tuple[int, ...], what: str) -> None:
    if array.shape != wanted:
        raise ShapeError(
            f"{what} must have shape {wanted}, not {array.shape}: the samples come first, and the "
            f"shape must match the outputs of the network"
        )


def _checked_labels(targets: object, out_shape: tuple[int, ...], count: int) -> Array:
    labels = as_array(targets, "labels")
    if not _are_labels(labels):
        raise KindError(
            f"labels must be integers (class indices starting at 0), not {labels.dtype}: convert "
            f"class names with np.unique(labels, return_inverse=True)[1]"
        )
    if labels.shape == (count,) and set(out_shape[1:]) == {1}:
        raise ShapeError(
            f"labels must have shape {(count, *out_shape[1:])}, not {labels.shape}, for outputs of "
            f"shape {out_shape}: end the network with a Flatten or a Dense layer"
        )
    _check_shape(labels, (count, *out_shape[1:]), "labels")
    classes = out_shape[0]
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        index = tuple(map(int, np.argwhere(wrong)[0]))
        raise ArgumentError(
            f"labels must be between 0 and {classes - 1} for {classes} classes, but "
            f"labels{list(index)} is {labels[index]}"
        )
    return labels.astype(np.int64)
