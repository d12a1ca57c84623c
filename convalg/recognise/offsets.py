"""Recover the two constants of a padded layer: its padding value and the offset of its outputs.

A layer that pads with a value v and then adds c is A x + b with the bias b = c + v m, where m is
the sum of the weights that read the padding, that is, the sum of the kernel minus the row sum of A.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from convalg.arrays import Array
from convalg.faces.text import array_text
from convalg.recognise.identification import Identification


@dataclass(frozen=True, eq=False)
class Constants:
    """The constants of a padded layer, each None if it is not determined, and a phrase for them.

    `offset`: a number, or one number per output channel.
    """

    padding_value: float | None
    offset: Array | None
    label: str


def constants(layer: Identification, matrix: Array, bias: Array, tolerance: float) -> Constants:
    """Return the padding value and the offset that explain a bias, if they are determined.

    Shapes: matrix (outputs, inputs), bias (outputs,), where outputs and inputs are flattened.
    """
    missing = _missing(layer, matrix)
    channels = layer.out_shape[0] if _has_channels(layer) else 1
    b, m = bias.reshape(channels, -1), missing.reshape(channels, -1)
    slack = max(tolerance, 1e-12) * max(1.0, float(np.abs(bias).max()), float(np.abs(m).max()))
    spread = np.ptp(m, axis=1)
    value = 0.0
    if spread.max() > slack:
        at = int(spread.argmax())
        high, low = int(m[at].argmax()), int(m[at].argmin())
        value = _tidy((b[at, high] - b[at, low]) / (m[at, high] - m[at, low]), slack)
    rest = b - value * m
    if np.ptp(rest, axis=1).max() > slack:
        return Constants(None, None, f"b = {array_text(bias.reshape(layer.out_shape))}")
    each = np.array([_tidy(float(row[0]), slack) for row in rest])
    same = bool((each == each[0]).all())
    offset = each[0] if same else each
    shown = f"{each[0]:g}" if same else array_text(each)
    if np.abs(m).max() <= slack:
        return Constants(None, np.asarray(offset), f"the offset {shown}")
    if spread.max() <= slack:
        label = f"b = {shown}, in which offset and padding value cannot be separated"
        return Constants(None, None, label)
    label = f"the padding value {value:g} and the offset {shown}"
    return Constants(value, np.asarray(offset), label)


def _has_channels(layer: Identification) -> bool:
    """Whether the kernel of a layer has one filter for each output channel."""
    kernel, out_shape = layer.kernel, layer.out_shape
    return kernel is not None and kernel.ndim > len(out_shape) and len(kernel) == out_shape[0]


def _missing(layer: Identification, matrix: Array) -> Array:
    """Return the sum of the weights of each output that read the padding, shape (outputs,).

    The sums are 0 if they are not determined.
    """
    kernel = layer.kernel
    pads = layer.kind in {"correlation", "average pooling", "sum pooling"}
    is_space = kernel is not None and kernel.ndim == len(layer.out_shape)
    if kernel is None or not (is_space or _has_channels(layer)) or layer.boundary != "zeros":
        return np.zeros(len(matrix))
    if not pads:
        return np.zeros(len(matrix))
    totals = np.asarray(kernel, dtype=float)
    if _has_channels(layer):
        totals = totals.reshape(len(totals), -1).sum(axis=1)
    else:
        totals = totals.sum().reshape(1)
    missing: Array = np.repeat(totals, len(matrix) // len(totals)) - matrix.sum(axis=1)
    return missing


def _tidy(value: float, slack: float) -> float:
    """Return a number, rounded if it is an integer up to the slack."""
    rounded = float(np.rint(value))
    return rounded if abs(value - rounded) <= slack else float(value)
