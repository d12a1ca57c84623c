"""An operator as the complete Python call that creates it, as claims print it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from convalg.axis import holds
from convalg.faces.text import call
from convalg.kernels import SymbolicKernel
from convalg.kernels import kernel as symbols
from convalg.operators.leaves import Adjoint, Convolution
from convalg.operators.padding import crop
from convalg.operators.tree import Compose, Operator, compose
from convalg.size import size_text


def written(operator: Operator) -> str:
    """Return the complete call: nothing is shortened, so that it can be evaluated again.

    >>> import convalg as ca
    >>> written(ca.correlation((4, 4), ca.flip(ca.kernel(2, 3)), stride=2))
    'correlation((4, 4), flip(kernel(2, 3), dims=2), stride=2)'
    """
    return call(_regular(operator), _array)


def _regular(operator: Operator) -> Operator:
    """Rewrite each layer that crops its input (negative padding) as a layer after a `crop`."""
    match operator:
        case Adjoint(operator=inner):
            return _regular(inner).T
        case Compose(factors=factors):
            return compose(*map(_regular, factors))
        case Convolution() if operator.is_concrete:
            return _without_crop(operator)
    return operator


def _without_crop(layer: Convolution) -> Operator:
    geometry = layer.geometry
    cuts, axes = [], []
    for axis in geometry.axes:
        # A stride s leaves up to s - 1 samples at the end unread; only those beyond are cropped.
        unread = max(-axis.after - axis.stride + 1, 0)
        before, after = max(-axis.before, 0), unread
        cuts.append((before, after))
        kept = replace(axis, in_size=axis.in_size - before - after, padding=axis.padding + before)
        axes.append(kept)
    if not any(map(any, cuts)):
        return layer
    inner = Convolution(replace(geometry, axes=tuple(axes)), layer.weights)
    return compose(inner, crop(geometry.in_spatial, cuts, channels=geometry.in_channels))


def _array(values: SymbolicKernel | np.ndarray) -> str:
    """Write a kernel as `kernel(...)`, flipped or with channels swapped; else as its values."""
    if isinstance(values, SymbolicKernel):
        return _symbolic(values)
    if values.dtype.kind == "O":
        for swap, dims in product((False, True), range(values.ndim + 1)):
            if swap and values.ndim < 3:
                continue
            shape = (values.shape[1], values.shape[0], *values.shape[2:]) if swap else values.shape
            named = symbols(*shape)
            moved = named.swapaxes(0, 1) if swap else named
            taps = tuple(range(values.ndim - dims, values.ndim))
            if (np.flip(moved, axis=taps) == values).all():
                return _named(shape, swap, dims)
    return _nested(values.tolist())


def _symbolic(values: SymbolicKernel) -> str:
    axes, ordered = list(values.axes), sorted(values.axes)
    swap = axes != ordered
    dims = sum(values.flipped)
    flips_taps = values.flipped == (*[False] * (values.ndim - dims), *[True] * dims)
    if values.name != "w" or not flips_taps or (swap and axes != [1, 0, *ordered[2:]]):
        return repr(values)
    return _named(values.named_shape, swap, dims)


def _named(shape: tuple[object, ...], swap: bool, dims: int) -> str:
    text = f"kernel({', '.join(map(size_text, shape))})" + ".swapaxes(0, 1)" * swap
    return f"flip({text}, dims={dims})" if dims else text


def _nested(values: object) -> str:
    if isinstance(values, list):
        return f"[{', '.join(map(_nested, values))}]"
    return str(values)


def layer_name(operator: Operator) -> str:
    """Return "correlation" or "convolution", with "transposed" in front for an adjoint.

    >>> import convalg as ca
    >>> layer_name(ca.convolution(5, [1, 2]).T)
    'transposed convolution'
    """
    layer = operator.operator if isinstance(operator, Adjoint) else operator
    assert isinstance(layer, Convolution)
    flipped = holds(layer.geometry.axes[0].is_backwards)
    name = "convolution" if flipped else "correlation"
    return f"transposed {name}" if isinstance(operator, Adjoint) else name
