"""What is this? The convolution, transposed layer, pooling or permutation behind a black box.

The matrix is recovered from unit impulses; a geometry is then proposed from where its entries
lie, and accepted only when the operator of that geometry has exactly that matrix.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from convalg.arrays import Array, as_kernel
from convalg.maps.chains import affine
from convalg.operators.leaves import gathering
from convalg.operators.make import reshape
from convalg.operators.pooling import average_pool, sum_pool
from convalg.operators.tree import Operator
from convalg.recognise import permutations
from convalg.recognise.counterexamples import unshifted
from convalg.recognise.entries import Entries, entries
from convalg.recognise.identification import Identification
from convalg.recognise.layers import (
    LayerMatch,
    best_adjoint,
    best_correlation,
    best_transposed,
    is_turned,
    layouts,
)
from convalg.recognise.matrices import dense, guesses, is_matrix, shapes
from convalg.recognise.max_pooling import extreme
from convalg.recognise.offsets import constants
from convalg.recognise.recovery import Recovery, recovered


def identify(
    f: Any, in_shape: Any = None, *, kernel: Any = None, max_bytes: int | None = None
) -> Identification:
    """The convolution behind a black box or a matrix, or what it is instead.

    Shapes: `f` is a function of one array of `in_shape` (or of a batch of them; of PyTorch
    tensors where that is loaded), a map or operator, or a matrix (rows, columns) of NumPy,
    SciPy or SymPy; `in_shape` is `(channels, *spatial)`, or plain spatial sizes. For a matrix
    of a layer with channels or several axes, pass `in_shape` and let the output be found, or a
    pair (in_shape, out_shape). With `kernel`, the layer is written with that kernel where it
    can be, and the result says whether it comes out flipped.
    Rule: of the layers with one matrix, the one with the fewest weights is named. A matrix is
    held against it entry by entry. A function is only tried: on unit impulses, and on families of
    inputs that reveal rounding, clipping, saturation, dead zones and thresholds (fractions,
    sizes from 1e-9 to 1e9, both signs, float32 and int64 arrays, NaN); `basis` names them.
    Raises: KindError for what is neither, ShapeError where shapes do not fit, ArgumentError
    for a function that fails, TooLargeError.

    >>> import convalg as ca
    >>> found = identify(ca.correlation(9, [1, 2, 3], stride=2, padding=1), 9)
    >>> found.kind, found.kernel.tolist(), found.stride, found.padding
    ('correlation', [1, 2, 3], (2,), ((1, 1),))
    >>> identify(lambda x: np.clip(x, 0, 255), 3).kind
    'not linear'
    """
    hint = None if kernel is None else as_kernel(kernel)
    before, after = shapes(f, in_shape)
    if is_matrix(f):
        matrix = dense(f, max_bytes)
        given = in_shape is not None or isinstance(f, Operator)
        is_called = not isinstance(f, Operator) and hasattr(f, "matmat")
        basis = "f of every unit vector: that it is linear is its own claim"
        found = _described(
            matrix,
            _rounding(matrix),
            before,
            after,
            hint,
            basis if is_called else "every entry of the matrix",
            given,
        )
        return replace(found, sampled=is_called)
    return _of_function(recovered(f, before, max_bytes), hint)


def _rounding(matrix: Array) -> float:
    """What floats of this type may be apart after some arithmetic."""
    if matrix.dtype.kind == "f":
        return float(np.finfo(matrix.dtype).eps) ** (2 / 3)
    return float(np.finfo(float).eps) ** (2 / 3)


def _of_function(found: Recovery, hint: Array | None) -> Identification:
    """What a function is, from its impulses and from all that it was tried on."""
    ask = found.probe
    if not found.repeats:
        words = "f(x) changes when it is asked again"
        return Identification(
            "not deterministic", ask.in_shape, ask.out_shape, witness=found.witness, words=words
        )
    if found.witness:
        return _nonlinear(found, hint)
    answer = _affine(found, hint)
    if not found.types:
        return answer
    words = f"on arrays of {' and of '.join(found.types)} f returns other numbers"
    if "float32" not in found.types:
        return replace(answer, words=f"{answer.words}; {words} than on float64")
    words += f"; on float64 it is {answer!r}"
    return Identification(
        "depends on the dtype", ask.in_shape, ask.out_shape, linear=answer, words=words
    )


def _affine(found: Recovery, hint: Array | None) -> Identification:
    """A layer, or a layer and a bias, on the inputs tried."""
    ask = found.probe
    basis = f"f on {found.tried}: tried, not proved"
    scale = max(float(np.abs(found.matrix).max(initial=0)), 1.0)
    rest = _described(
        found.matrix, found.tolerance, ask.in_shape, ask.out_shape, hint, basis, given=True
    )
    rest = replace(rest, sampled=True)
    notes = "".join(f"; {note}" for note in found.notes)
    if np.abs(found.bias).max() <= found.tolerance * scale:
        return replace(rest, words=rest.words + notes)
    bias = found.bias.reshape(ask.out_shape)
    operator = affine(rest.operator, bias) if isinstance(rest.operator, Operator) else None
    parts = constants(rest, found.matrix, found.bias, found.tolerance)
    return Identification(
        "affine",
        ask.in_shape,
        ask.out_shape,
        operator,
        bias=bias,
        padding_value=parts.padding_value,
        offset=parts.offset,
        linear=rest,
        words=f"A x + b with {parts.words}; A is {rest!r}{notes}",
        basis=basis,
        sampled=True,
    )


def _nonlinear(found: Recovery, hint: Array | None) -> Identification:
    """A max or min pooling, or not linear, with the inputs that say so."""
    ask, witness = found.probe, found.witness
    for after in _same_axes(ask.in_shape, ask.out_shape, None):
        pool = extreme(ask, after)
        if pool is not None:
            assert pool.operator is not None
            operator = pool.operator
            if after != ask.out_shape:
                operator = reshape(after, ask.out_shape) @ operator
            basis = f"f on {found.tried}: tried, not proved"
            return replace(pool, operator=operator, basis=basis, sampled=True)
    if "y" in witness:
        words = "f(x + y) + f(0) is not f(x) + f(y)"
    elif len(witness) == 4:
        words = "f(x) is not f(0) + sum of x[k] (f(unit k) - f(0))"
    else:
        words = "f(x) is not finite"
    part = None
    if found.is_part:
        part = _affine(replace(found, witness={}), hint)
        words += f"; on the inputs tried, {found.words}; A x + b is <{part.kind}: {part.words}>"
    return Identification(
        "not linear",
        ask.in_shape,
        ask.out_shape,
        linear=part,
        witness=witness,
        words=words,
        basis=f"f on {found.tried}",
    )


def _described(
    matrix: Array,
    tolerance: float,
    before: tuple[int, ...],
    after: tuple[int, ...] | None,
    hint: Array | None,
    basis: str,
    given: bool,
) -> Identification:
    """What a matrix is: as it stands, and for floats then up to their rounding."""
    exact = entries(matrix)
    found = _known(exact, before, after, hint)
    if found is None and exact.tolerance:
        found = _known(entries(matrix, tolerance), before, after, hint)
        basis += f" up to a rounding of {tolerance:.1g}"
    if found is not None:
        return replace(found, basis=basis + _missed(matrix, found.operator))
    found = unshifted(exact, before, after or guesses(before, len(matrix))[0])
    hidden = "" if given else "; give in_shape if it has channels or several axes"
    return replace(found, words=found.words + hidden, basis=basis)


def _missed(matrix: Array, operator: Any) -> str:
    """How far the entries of an operator are from the floats given; empty where they are equal."""
    if matrix.dtype.kind != "f":
        return ""
    apart = float(np.abs(operator.to_numpy().astype(float) - matrix).max(initial=0))
    return f", which differ by up to {apart:.1g}" if apart else ""


def _known(
    found: Entries, before: tuple[int, ...], after: tuple[int, ...] | None, hint: Array | None
) -> Identification | None:
    """The first kind that a matrix is, in all shapes that its rows may stand for."""
    for shape in _same_axes(before, after, len(found.exact)):
        known = _in_shapes(found, before, shape, hint)
        if known is not None and known.kernel is not None:
            # Any permutation is a layer of a long stride, with more taps than there are samples.
            is_longer = known.kernel.size > found.exact.shape[1]
            known = (is_longer and permutations.any_permutation(found, before, shape)) or known
        if known is None or (shape != after and _says_nothing(known)):
            continue
        if after is None or shape == after:
            return known
        words = f"{known.words}, then reshaped to {after}"
        assert isinstance(known.operator, Operator)
        operator = reshape(shape, after) @ known.operator
        return replace(known, out_shape=after, operator=operator, words=words)
    return None


def _says_nothing(known: Identification) -> bool:
    """Whether any matrix would be this: kernels as large as the input, one for each row."""
    kernel = known.kernel
    if known.groups > 1 or kernel is None or kernel.ndim < len(known.out_shape) + 1:
        return False
    return len(kernel) > 1 and set(known.out_shape[1:]) == {1}


def _same_axes(
    before: tuple[int, ...], after: tuple[int, ...] | None, rows: int | None
) -> list[tuple[int, ...]]:
    """Shapes of the output to try: as given, and with as many axes as the input."""
    if after is None:
        assert rows is not None
        return guesses(before, rows)
    if len(after) == len(before):
        return [after]
    count = int(np.prod(after))
    short = [(*after, *(1,) * (len(before) - len(after)))] if len(after) < len(before) else []
    return list(dict.fromkeys([after, *short, *guesses(before, count)]))


def _in_shapes(
    found: Entries, before: tuple[int, ...], after: tuple[int, ...], hint: Array | None
) -> Identification | None:
    """What a matrix is between two shapes: the simplest first."""
    if not found.used.any():
        operator = gathering(np.full(len(found.exact), -1), before, after)
        return Identification("zero", before, after, operator, words="every output is zero")
    named = permutations.permutation(found, before, after)
    if named is not None:
        return named
    choices = list(layouts(found, before, after))
    layer = best_correlation(choices, "zeros", hint)
    if layer is not None:
        # A circulant is Toeplitz too, with a kernel as long as the input.
        around = best_correlation(choices, "circular", hint)
        if around is not None and around.has_channels == layer.has_channels:
            layer = min(layer, around, key=_weights)
        return _named(layer, before, after, hint)
    turned = best_transposed(choices, "zeros", hint)
    bordered = best_correlation(choices, "circular", hint) or best_correlation(choices, "any", hint)
    if turned is not None and (bordered is None or _weights(turned) <= _weights(bordered)):
        return _transposed(turned, before, after, hint)
    special = permutations.average(found, before, after, choices) or permutations.diagonal_of(
        found, before, after
    )
    if special is None and not (bordered and _is_pad(bordered)):
        special = permutations.resampling(found, before, after, choices)
    if special is not None:
        return special
    bordered = bordered or best_correlation(choices, "loose", hint)
    if bordered is not None:
        return _named(bordered, before, after, hint)
    turned = best_transposed(choices, "loose", hint)
    if turned is not None:
        return _transposed(turned, before, after, hint)
    layer = best_adjoint(choices, hint)
    if layer is not None:
        return _fields("adjoint of a correlation", layer, before, after, hint)
    return permutations.any_permutation(found, before, after)


def _weights(layer: LayerMatch) -> int:
    return int(layer.kernel.size)


def _is_pad(layer: LayerMatch) -> bool:
    """Whether a layer only pads, alike on both sides: enlarging may look like that."""
    return max(layer.taps) == 1 and all(before == behind for before, behind in layer.padding)


def _fields(
    kind: str,
    layer: LayerMatch,
    before: tuple[int, ...],
    after: tuple[int, ...],
    hint: Array | None,
    words: str = "",
) -> Identification:
    """The answer with everything that a layer has."""
    flip = None if hint is None else is_turned(layer.kernel, hint, len(layer.lines))
    return Identification(
        kind,
        before,
        after,
        layer.operator,
        layer.kernel,
        layer.stride,
        layer.padding,
        layer.dilation,
        layer.output_padding,
        layer.groups,
        layer.boundary,
        flip,
        words=words or repr(layer.operator),
    )


def _named(
    layer: LayerMatch, before: tuple[int, ...], after: tuple[int, ...], hint: Array | None
) -> Identification:
    """A correlation, or a pooling where every channel has the same number on all taps."""
    kernel, taps = layer.kernel, layer.taps
    channels = len(kernel) if layer.has_channels else None
    alone = channels is None or (kernel.shape[1] == 1 and layer.groups == channels)
    first = kernel.ravel()[0]
    mean = permutations.is_mean(kernel, taps)
    constant = bool((kernel == first).all()) and (mean or bool(first == 1))
    if hint is not None or not (alone and constant and int(np.prod(taps)) > 1):
        return _fields("correlation", layer, before, after, hint)
    kind = "average pooling" if mean else "sum pooling"
    words = permutations.windows_in_words(layer, layer.padding)
    if layer.boundary == "zeros":
        options: dict[str, Any] = {
            "stride": layer.stride,
            "padding": layer.padding,
            "dilation": layer.dilation,
            "channels": channels,
        }
        sizes = before[len(before) - len(taps) :]
        operator = (average_pool if mean else sum_pool)(sizes, taps, **options)
        layer = replace(layer, operator=operator)
    else:
        words += f", boundary {layer.boundary}"
    return replace(_fields(kind, layer, before, after, hint, words), size=taps)


def _transposed(
    layer: LayerMatch, before: tuple[int, ...], after: tuple[int, ...], hint: Array | None
) -> Identification:
    """A transposed layer; one of ones that do not overlap repeats samples."""
    found = _fields("transposed correlation", layer, before, after, hint)
    alone = not layer.has_channels or (
        layer.kernel.shape[1] == 1 and layer.groups == len(layer.kernel)
    )
    repeats = alone and layer.taps == layer.stride and bool((layer.kernel == 1).all())
    if repeats and not any(layer.output_padding) and not any(map(any, layer.padding)):
        words = f"{found.words}: nearest upsampling by {layer.stride}, each sample repeated"
        return replace(found, words=words)
    return found
