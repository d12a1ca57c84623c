"""Identify the convolution, transposed layer, pooling or permutation of a black box.

The matrix is recovered from unit impulses. A geometry is then proposed from the positions of the
entries, and accepted only if the operator of that geometry has exactly the same matrix.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from convalg.arrays import Array, as_kernel
from convalg.maps.chains import affine
from convalg.operators.leaves import gathering
from convalg.operators.pooling import average_pool, sum_pool
from convalg.operators.rearrange import reshape
from convalg.operators.tree import Map, Operator
from convalg.recognise import permutations
from convalg.recognise.counterexamples import unshifted
from convalg.recognise.entries import Entries, entries
from convalg.recognise.identification import Identification
from convalg.recognise.layers import (
    LayerMatch,
    best_adjoint,
    best_correlation,
    best_transposed,
    is_flipped,
    layouts,
)
from convalg.recognise.matrices import dense, guesses, is_matrix, shapes
from convalg.recognise.max_pooling import extreme
from convalg.recognise.offsets import constants
from convalg.recognise.probe import rounding_bound
from convalg.recognise.recovery import Recovery, recovered
from convalg.size import size_product


def identify(
    f: object, in_shape: object = None, *, kernel: object = None, max_bytes: int | None = None
) -> Identification:
    """Identify the convolution or other kind of layer that a function or a matrix computes.

    Of the layers with the same matrix, the one with the fewest weights is returned. The matrix of
    that layer is compared with a given matrix entry by entry. A function is only tested, on unit
    impulses and on families of inputs that reveal rounding, clipping, saturation, dead zones and
    thresholds (fractions, sizes from 1e-9 to 1e9, both signs, float32 and int64 arrays, NaN).
    `basis` of the result names the inputs.

    Args:
        f: a map or operator, a NumPy, SciPy or SymPy matrix (rows, columns), or a function of one
            array of `in_shape` or of a batch of such arrays (PyTorch tensors if PyTorch is loaded).
        in_shape: the shape of one input, `(channels, *spatial)` or the spatial sizes alone. It is
            required for a function. For the matrix of a layer with channels or several axes, pass
            `in_shape`, for which an output shape is searched, or the pair (in_shape, out_shape).
        kernel: a kernel with which the layer is written if possible. `flip` of the result is then
            True if the kernel appears flipped.
        max_bytes: the most memory for the matrix; by default the limit of the package.

    Raises:
        KindError: when `f` is neither a function nor a matrix of real numbers, a function needs
            `in_shape` or does not return real numbers.
        ShapeError: when the shapes do not match.
        ArgumentError: when a function raises an error for some inputs, or a matrix has NaN or
            infinite entries.
        TooLargeError: when the matrix needs more than `max_bytes`.

    >>> import convalg as ca
    >>> import numpy as np
    >>> result = ca.identify(ca.correlation(9, [1, 2, 3], stride=2, padding=1), 9)
    >>> result.kind, result.kernel.tolist(), result.stride, result.padding
    ('correlation', [1, 2, 3], (2,), ((1, 1),))
    >>> ca.identify(lambda x: np.clip(x, 0, 255), 3).kind
    'not linear'
    """
    hint = None if kernel is None else as_kernel(kernel)
    inputs, outputs = shapes(f, in_shape)
    # An object that is neither a matrix nor callable has been refused by `shapes`.
    if is_matrix(f) or not callable(f):
        matrix = dense(f, max_bytes)
        given = in_shape is not None or isinstance(f, Operator)
        is_called = not isinstance(f, Operator) and hasattr(f, "matmat")
        basis = "f of every unit vector: its linearity is assumed, not tested"
        answer = _described(
            matrix,
            _rounding(matrix),
            inputs,
            outputs,
            hint,
            basis if is_called else "every entry of the matrix",
            given,
        )
        return replace(answer, sampled=is_called)
    return _of_function(recovered(f, inputs, max_bytes), hint)


def _rounding(matrix: Array) -> float:
    """Return the relative difference that is allowed between floats of a matrix after rounding."""
    if matrix.dtype.kind == "f":
        return rounding_bound(float(np.finfo(matrix.dtype).eps))
    return rounding_bound(float(np.finfo(float).eps))


def _of_function(recovery: Recovery, hint: Array | None) -> Identification:
    """Identify a function from its impulses and from all other inputs tried."""
    probed = recovery.function
    if not recovery.repeats:
        text = "f(x) changes when f is called again"
        return Identification(
            "not deterministic",
            probed.in_shape,
            probed.out_shape,
            witness=recovery.witness,
            words=text,
        )
    if recovery.witness:
        return _nonlinear(recovery, hint)
    answer = _affine(recovery, hint)
    if not recovery.types:
        return answer
    text = f"on arrays of {' and of '.join(recovery.types)} f returns other numbers"
    if "float32" not in recovery.types:
        return replace(answer, words=f"{answer.words}; {text} than on float64")
    text += f"; on float64 it is {answer!r}"
    return Identification(
        "depends on the dtype", probed.in_shape, probed.out_shape, linear=answer, words=text
    )


def _affine(recovery: Recovery, hint: Array | None) -> Identification:
    """Identify a layer, or a layer with a bias, on the inputs tried."""
    probed = recovery.function
    basis = f"f on {recovery.tried}: tried, not proved"
    scale = max(float(np.abs(recovery.matrix).max(initial=0)), 1.0)
    rest = _described(
        recovery.matrix,
        recovery.tolerance,
        probed.in_shape,
        probed.out_shape,
        hint,
        basis,
        given=True,
    )
    rest = replace(rest, sampled=True)
    notes = "".join(f"; {note}" for note in recovery.notes)
    if np.abs(recovery.bias).max() <= recovery.tolerance * scale:
        return replace(rest, words=rest.words + notes)
    bias = recovery.bias.reshape(probed.out_shape)
    operator = affine(rest.operator, bias) if isinstance(rest.operator, Operator) else None
    parts = constants(rest, recovery.matrix, recovery.bias, recovery.tolerance)
    return Identification(
        "affine",
        probed.in_shape,
        probed.out_shape,
        operator,
        bias=bias,
        padding_value=parts.padding_value,
        offset=parts.offset,
        linear=rest,
        words=f"A x + b with {parts.label}; A is {rest!r}{notes}",
        basis=basis,
        sampled=True,
    )


def _nonlinear(recovery: Recovery, hint: Array | None) -> Identification:
    """Identify a max or min pooling, or "not linear" with the inputs that prove it."""
    probed, witness = recovery.function, recovery.witness
    rows = size_product(probed.out_shape)
    for out_shape in _same_axes(probed.in_shape, probed.out_shape, rows):
        pool = extreme(probed, out_shape)
        if pool is not None and pool.operator is not None:
            operator = pool.operator
            if out_shape != probed.out_shape:
                operator = reshape(out_shape, probed.out_shape) @ operator
            basis = f"f on {recovery.tried}: tried, not proved"
            return replace(pool, operator=operator, basis=basis, sampled=True)
    if "y" in witness:
        text = "f(x + y) + f(0) is not f(x) + f(y)"
    elif len(witness) == 4:
        text = "f(x) is not f(0) + sum of x[k] (f(unit k) - f(0))"
    else:
        text = "f(x) is not finite"
    part = None
    if recovery.is_part:
        part = _affine(replace(recovery, witness={}), hint)
        text += f"; on the inputs tried, {recovery.effect}; A x + b is <{part.kind}: {part.words}>"
    return Identification(
        "not linear",
        probed.in_shape,
        probed.out_shape,
        linear=part,
        witness=witness,
        words=text,
        basis=f"f on {recovery.tried}",
    )


def _described(
    matrix: Array,
    tolerance: float,
    in_shape: tuple[int, ...],
    out_shape: tuple[int, ...] | None,
    hint: Array | None,
    basis: str,
    given: bool,
) -> Identification:
    """Identify a matrix exactly, or if that fails, a matrix of floats up to their rounding."""
    exact = entries(matrix)
    answer = _recognised(exact, in_shape, out_shape, hint)
    if answer is None and exact.tolerance:
        answer = _recognised(entries(matrix, tolerance), in_shape, out_shape, hint)
        basis += f" up to a rounding of {tolerance:.1g}"
    if answer is not None:
        return replace(answer, basis=basis + _missed(matrix, answer.operator))
    answer = unshifted(exact, in_shape, out_shape or guesses(in_shape, len(matrix))[0])
    advice = "" if given else "; pass in_shape if it has channels or several axes"
    return replace(answer, words=answer.words + advice, basis=basis)


def _missed(matrix: Array, operator: Map | None) -> str:
    """Return how far the entries of an operator are from the given floats; empty if equal."""
    if matrix.dtype.kind != "f" or not isinstance(operator, Operator):
        return ""
    apart = float(np.abs(operator.to_numpy().astype(float) - matrix).max(initial=0))
    return f", which differ by up to {apart:.1g}" if apart else ""


def _recognised(
    matrix: Entries,
    in_shape: tuple[int, ...],
    out_shape: tuple[int, ...] | None,
    hint: Array | None,
) -> Identification | None:
    """Return the first kind that matches, over all output shapes that the rows may represent."""
    for shape in _same_axes(in_shape, out_shape, len(matrix.exact)):
        answer = _in_shapes(matrix, in_shape, shape, hint)
        if answer is not None and answer.kernel is not None:
            # Every permutation is a layer of large stride with more taps than samples.
            is_longer = answer.kernel.size > matrix.exact.shape[1]
            answer = (is_longer and permutations.any_permutation(matrix, in_shape, shape)) or answer
        if answer is None or (shape != out_shape and _says_nothing(answer)):
            continue
        if out_shape is None or shape == out_shape:
            return answer
        text = f"{answer.words}, then reshaped to {out_shape}"
        operator = None if answer.operator is None else reshape(shape, out_shape) @ answer.operator
        return replace(answer, out_shape=out_shape, operator=operator, words=text)
    return None


def _says_nothing(answer: Identification) -> bool:
    """Whether any matrix has this form: one kernel per row, as large as the input."""
    kernel = answer.kernel
    if answer.groups > 1 or kernel is None or kernel.ndim < len(answer.out_shape) + 1:
        return False
    return len(kernel) > 1 and set(answer.out_shape[1:]) == {1}


def _same_axes(
    in_shape: tuple[int, ...], out_shape: tuple[int, ...] | None, rows: int
) -> list[tuple[int, ...]]:
    """Return the output shapes to try: the given shape, and shapes with as many axes as the input.

    `rows`: the number of rows of the matrix, for shapes that are not given.
    """
    if out_shape is None:
        return guesses(in_shape, rows)
    if len(out_shape) == len(in_shape):
        return [out_shape]
    short = (
        [(*out_shape, *(1,) * (len(in_shape) - len(out_shape)))]
        if len(out_shape) < len(in_shape)
        else []
    )
    return list(dict.fromkeys([out_shape, *short, *guesses(in_shape, rows)]))


def _in_shapes(
    matrix: Entries, in_shape: tuple[int, ...], out_shape: tuple[int, ...], hint: Array | None
) -> Identification | None:
    """Identify a matrix between two shapes, the simplest kinds first; None if none matches."""
    if not matrix.used.any():
        operator = gathering(np.full(len(matrix.exact), -1), in_shape, out_shape)
        return Identification("zero", in_shape, out_shape, operator, words="every output is zero")
    named = permutations.permutation(matrix, in_shape, out_shape)
    if named is not None:
        return named
    choices = list(layouts(matrix, in_shape, out_shape))
    layer = best_correlation(choices, "zeros", hint)
    if layer is not None:
        # A circulant is also Toeplitz, with a kernel as long as the input.
        circular = best_correlation(choices, "circular", hint)
        if circular is not None and circular.has_channels == layer.has_channels:
            layer = min(layer, circular, key=_weights)
        return _named(layer, in_shape, out_shape, hint)
    transposed = best_transposed(choices, "zeros", hint)
    bordered = best_correlation(choices, "circular", hint) or best_correlation(choices, "any", hint)
    if transposed is not None and (bordered is None or _weights(transposed) <= _weights(bordered)):
        return _transposed(transposed, in_shape, out_shape, hint)
    special = permutations.average(
        matrix, in_shape, out_shape, choices
    ) or permutations.diagonal_of(matrix, in_shape, out_shape)
    if special is None and not (bordered and _is_pad(bordered)):
        special = permutations.resampling(matrix, in_shape, out_shape, choices)
    if special is not None:
        return special
    bordered = bordered or best_correlation(choices, "loose", hint)
    if bordered is not None:
        return _named(bordered, in_shape, out_shape, hint)
    transposed = best_transposed(choices, "loose", hint)
    if transposed is not None:
        return _transposed(transposed, in_shape, out_shape, hint)
    layer = best_adjoint(choices, hint)
    if layer is not None:
        return _fields("adjoint of a correlation", layer, in_shape, out_shape, hint)
    return permutations.any_permutation(matrix, in_shape, out_shape)


def _weights(layer: LayerMatch) -> int:
    """Return the number of weights of a layer."""
    return int(layer.kernel.size)


def _is_pad(layer: LayerMatch) -> bool:
    """Whether a layer only pads, equally on both sides, as a resampling may."""
    return max(layer.taps) == 1 and all(before == after for before, after in layer.padding)


def _fields(
    kind: str,
    layer: LayerMatch,
    in_shape: tuple[int, ...],
    out_shape: tuple[int, ...],
    hint: Array | None,
    text: str = "",
) -> Identification:
    """Return an identification with all attributes of a layer."""
    flip = None if hint is None else is_flipped(layer.kernel, hint, len(layer.lines))
    return Identification(
        kind,
        in_shape,
        out_shape,
        layer.operator,
        layer.kernel,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.output_padding,
        layer.groups,
        layer.boundary,
        flip,
        words=text or repr(layer.operator),
    )


def _named(
    layer: LayerMatch, in_shape: tuple[int, ...], out_shape: tuple[int, ...], hint: Array | None
) -> Identification:
    """Return a layer as a correlation, or as a pooling if all its taps are equal."""
    kernel, taps = layer.kernel, layer.taps
    channels = len(kernel) if layer.has_channels else None
    alone = channels is None or (kernel.shape[1] == 1 and layer.groups == channels)
    first = kernel.ravel()[0]
    mean = permutations.is_mean(kernel, taps)
    constant = bool((kernel == first).all()) and (mean or bool(first == 1))
    if hint is not None or not (alone and constant and int(np.prod(taps)) > 1):
        return _fields("correlation", layer, in_shape, out_shape, hint)
    kind = "average pooling" if mean else "sum pooling"
    text = permutations.windows_in_words(layer, layer.padding)
    if layer.boundary == "zeros":
        options: dict[str, Any] = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "channels": channels,
        }
        sizes = in_shape[len(in_shape) - len(taps) :]
        operator = (average_pool if mean else sum_pool)(sizes, taps, **options)
        layer = replace(layer, operator=operator)
    else:
        text += f", boundary {layer.boundary}"
    return replace(_fields(kind, layer, in_shape, out_shape, hint, text), size=taps)


def _transposed(
    layer: LayerMatch, in_shape: tuple[int, ...], out_shape: tuple[int, ...], hint: Array | None
) -> Identification:
    """Return a transposed layer, described as nearest upsampling if it only repeats samples."""
    answer = _fields("transposed correlation", layer, in_shape, out_shape, hint)
    alone = not layer.has_channels or (
        layer.kernel.shape[1] == 1 and layer.groups == len(layer.kernel)
    )
    repeats = alone and layer.taps == layer.stride and bool((layer.kernel == 1).all())
    if repeats and not any(layer.output_padding) and not any(map(any, layer.padding)):
        text = f"{answer.words}: nearest upsampling by {layer.stride}, each sample repeated"
        return replace(answer, words=text)
    return answer
