"""What is this? The convolution, transposed layer, pooling or permutation behind a black box.

The matrix is recovered from unit impulses; a geometry is then proposed from where its entries
lie, and accepted only when the operator of that geometry has exactly that matrix.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product
from typing import Any

import numpy as np

from convalg.axis import BOUNDARIES, Boundary
from convalg.base import Array, Operator
from convalg.check.identification import Identification, contained, entries
from convalg.check.impulses import Call, guessed, is_matrix, recovered, shapes, symbols_of
from convalg.errors import ConvalgError
from convalg.kernels import as_numbers
from convalg.linear import correlation, flip_axes, transposed_correlation
from convalg.maps.pooling import max_pool, min_pool
from convalg.maps.resampling import permute
from convalg.spec import size_product

ROUNDING = 1e-9
"""Entries closer than this, relative to the largest, are taken to be equal."""


def identify(
    f: Any, in_shape: Any = None, *, kernel: Any = None, max_bytes: int | None = None
) -> Identification:
    """The convolution behind a black box or a matrix, or what it is instead.

    Shapes: `f` is a function of one array of `in_shape` (or of a batch of them), or a matrix
    (rows, columns) of NumPy, SciPy or SymPy; `in_shape` is `(channels, *spatial)`, or plain
    spatial sizes. For a matrix of a layer with channels or several axes, pass `in_shape` and
    let the output be found, or a pair (in_shape, out_shape). With `kernel`, the result says
    whether it comes out flipped.
    Raises: KindError for what is neither, ShapeError where shapes do not fit, TooLargeError.

    >>> import convalg as ca
    >>> found = identify(ca.correlation(9, [1, 2, 3], stride=2, padding=1), 9)
    >>> found.kind, found.kernel.tolist(), found.stride, found.padding
    ('correlation', [1, 2, 3], (2,), ((1, 1),))
    >>> identify(lambda x: x**2, 3).kind
    'not linear'
    """
    before, wanted = shapes(f, in_shape)
    if is_matrix(f) and symbols_of(f):
        return _symbolic(f, before, wanted, kernel)
    matrix, after, bias, call = recovered(f, before, wanted, max_bytes)
    if matrix is None:
        assert call is not None
        return _nonlinear(call, before, after)
    if bias is not None and np.abs(bias).max(initial=0) > 0:
        rest = _linear(matrix, before, after, kernel)
        words = f"A x + b with b not zero; A is {rest!r}"
        return Identification(
            "affine", before, after, bias=bias.reshape(after), linear=rest, words=words
        )
    return _linear(matrix, before, after, kernel)


def _symbolic(
    f: Any, before: tuple[int, ...], wanted: tuple[int, ...] | None, kernel: Any
) -> Identification:
    """A matrix of symbols: each different entry stands for a number of its own."""
    entries = as_numbers(f, "matrix")
    codes: dict[Any, int] = {0: 0}
    numbers = np.array([codes.setdefault(v, len(codes)) for v in entries.ravel()], dtype=float)
    after = wanted or guessed(before, len(entries))
    # Plain counting, so that the smallest weight is not taken for a pooling's.
    found = _linear(numbers.reshape(entries.shape) * 7, before, after, None)
    if found.kernel is None:
        return found
    back = {7 * code: value for value, code in codes.items()}
    weights = np.array([back[int(v)] for v in found.kernel.ravel()], dtype=object)
    weights = weights.reshape(found.kernel.shape)
    assert isinstance(found.operator, Operator)
    operator = found.operator.refill(weights)
    return replace(
        found, operator=operator, kernel=weights, flip=_flip(weights, kernel), words=repr(operator)
    )


def _linear(
    matrix: Array, before: tuple[int, ...], after: tuple[int, ...], kernel: Any
) -> Identification:
    """What a matrix is: the simplest first."""
    scale = float(np.abs(matrix).max(initial=0))
    if scale == 0:
        return Identification("zero", before, after, words="every output is zero")
    matrix = np.where(np.abs(matrix) <= ROUNDING * scale, 0.0, matrix)
    rounded = np.round(matrix)
    if np.allclose(matrix, rounded, atol=ROUNDING * scale, rtol=0):
        matrix = rounded
    plain = _correlation(matrix, before, after, kernel)
    round_about = _correlation(matrix, before, after, kernel, ("circular",)) if plain else None
    if plain and round_about and _taps(round_about) < _taps(plain):
        # A circulant is Toeplitz too, with a kernel as long as the input.
        plain = round_about
    found = (
        _permutation(matrix, before, after)
        or plain
        or _transposed(matrix, before, after, kernel)
        or _correlation(matrix, before, after, kernel, BOUNDARIES[1:])
    )
    return found or _unshifted(matrix, before, after)


def _taps(found: Identification) -> int:
    return 0 if found.kernel is None else found.kernel.size


def _permutation(
    matrix: Array, before: tuple[int, ...], after: tuple[int, ...]
) -> Identification | None:
    rows, columns = matrix.shape
    ones = (matrix == 1).sum(axis=1) == 1
    if rows != columns or not ones.all() or np.count_nonzero(matrix) != rows:
        return None
    order = matrix.argmax(axis=1)
    if len(set(order.tolist())) < rows:
        return None
    if (order == np.arange(rows)).all():
        return Identification("identity", before, after, words="nothing changes")
    for axes in product(range(len(before)), repeat=len(before)):
        if sorted(axes) == list(range(len(before))) and axes != tuple(range(len(before))):
            operator = permute(before, axes)
            if operator.out_shape == after and np.array_equal(operator.indices, order):  # type: ignore[attr-defined]
                words = f"the axes in the order {axes}"
                return Identification("permutation of axes", before, after, operator, words=words)
    inner = size_product(before[1:])
    if before == after and len(before) > 1:
        channels = order.reshape(before[0], inner) // inner
        if (order.reshape(before[0], inner) % inner == np.arange(inner)).all():
            moved = channels[:, 0]
            if (channels == moved[:, None]).all():
                words = f"the channels in the order {moved.tolist()}"
                return Identification("permutation of channels", before, after, words=words)
    for axes in _subsets(len(before)):
        if before == after and np.array_equal(
            np.flip(np.arange(rows).reshape(before), axes).ravel(), order
        ):
            operator = flip_axes(before, axes)
            words = f"the axes {axes} walked backwards"
            return Identification("reversal of axes", before, after, operator, words=words)
    # A circular shift is a permutation, and a correlation with one tap.
    shifted = _correlation(matrix, before, after, None, BOUNDARIES[1:])
    return shifted or Identification(
        "permutation", before, after, words=f"the entries in the order {order[:12].tolist()}"
    )


def _subsets(count: int) -> Iterator[tuple[int, ...]]:
    for size in range(1, count + 1):
        yield from combinations(range(count), size)


def _layouts(
    before: tuple[int, ...], after: tuple[int, ...]
) -> Iterator[tuple[bool, tuple[int, ...], tuple[int, ...]]]:
    """Whether the first axis is channels, and the spatial sizes.

    Two axes are an image before they are channels of signals, three are channels of images.
    """
    if len(before) != len(after):
        return
    layouts = [(False, before, after)]
    if len(before) > 1:
        layouts.append((True, before[1:], after[1:]))
    yield from layouts if len(before) < 3 else reversed(layouts)


def _correlation(
    matrix: Array,
    before: tuple[int, ...],
    after: tuple[int, ...],
    kernel: Any,
    boundaries: tuple[Boundary, ...] = ("zeros",),
) -> Identification | None:
    """The correlation with the fewest taps that has this matrix."""
    for has_channels, sizes, outputs in _layouts(before, after):
        blocks = _blocks(matrix, before, after, has_channels)
        proposals = list(_proposals(blocks, sizes, outputs, boundaries))
        for options in sorted(proposals, key=lambda options: math.prod(options["taps"])):
            found = _fitted(blocks, sizes, outputs, options)
            if found is None:
                continue
            weights, groups = _grouped(found) if has_channels else (found[0, 0], 1)
            layer = _made(sizes, weights, groups, options)
            if layer is not None and layer.out_shape == after and _equal(layer, matrix):
                return _described(layer, weights, groups, options, before, after, kernel)
    return None


def _blocks(
    matrix: Array, before: tuple[int, ...], after: tuple[int, ...], has_channels: bool
) -> Array:
    """(C_out, *out, C_in, *in)."""
    whole = matrix.reshape(*after, *before)
    if has_channels:
        return whole
    return matrix.reshape(1, *after, 1, *before)


def _proposals(
    blocks: Array,
    sizes: tuple[int, ...],
    outputs: tuple[int, ...],
    boundaries: tuple[Boundary, ...],
) -> Iterator[dict[str, Any]]:
    """Geometries that the places of the entries allow, axis by axis."""
    dims = len(sizes)
    support = blocks != 0
    strides, offsets = [], []
    for axis in range(dims):
        # Which inputs each output reads on this axis, whatever the others.
        others = tuple(k for k in range(support.ndim) if k not in (1 + axis, dims + 2 + axis))
        reads = support.any(axis=others)
        candidates = list(_strides(reads))
        if not candidates:
            return
        strides.append(candidates)
        offsets.append(reads)
    for boundary in boundaries:
        for chosen in product(*strides):
            axes = [
                option
                for reads, s in zip(offsets, chosen, strict=True)
                if (option := _axis(reads, s, boundary)) is not None
            ]
            if len(axes) == dims:
                yield {
                    "stride": chosen,
                    "first": tuple(a[0] for a in axes),
                    "dilation": tuple(a[1] for a in axes),
                    "taps": tuple(a[2] for a in axes),
                    "boundary": boundary,
                    "count": outputs,
                }


def _strides(reads: Array) -> Iterator[int]:
    """Strides that the middle rows allow; one output allows any, so 1."""
    outputs, inputs = reads.shape
    if outputs == 1:
        yield 1
        return
    found = set()
    for row in range(outputs - 1):
        here, following = np.flatnonzero(reads[row]), np.flatnonzero(reads[row + 1])
        if here.size and following.size:
            found |= {int(following[0] - here[0]), int(following[-1] - here[-1])}
    yield from sorted(s for s in found if 1 <= s < max(inputs, 2))


def _axis(reads: Array, stride: int, boundary: str) -> tuple[int, int, int] | None:
    """First offset (minus the padding), dilation and taps of one axis."""
    places = [np.flatnonzero(row) - stride * o for o, row in enumerate(reads)]
    if boundary == "zeros":
        seen = sorted({int(p) for row in places for p in row})
    else:
        # Away from the border, a row in the middle reads every tap where it lies.
        longest = max(places, key=len)
        middle = [p for p in places if len(p) == len(longest)]
        seen = sorted({int(p) for p in middle[len(middle) // 2]})
    if not seen:
        return None
    step = math.gcd(*(p - seen[0] for p in seen)) or 1
    return seen[0], step, (seen[-1] - seen[0]) // step + 1


def _fitted(
    blocks: Array, sizes: tuple[int, ...], outputs: tuple[int, ...], options: dict[str, Any]
) -> Array | None:
    """The weights (C_out, C_in, *taps) that the entries have, each from a place that reads it."""
    dims = len(sizes)
    weights: Array = np.zeros((blocks.shape[0], blocks.shape[dims + 1], *options["taps"]))
    for tap in np.ndindex(*options["taps"]):
        index: list[tuple[int, int]] = []
        for axis in range(dims):
            e = options["first"][axis] + options["dilation"][axis] * tap[axis]
            s = options["stride"][axis]
            inside = [o for o in range(outputs[axis]) if 0 <= s * o + e < sizes[axis]]
            if not inside:
                return None
            o = inside[len(inside) // 2]
            index.append((o, s * o + e))
        place: tuple[Any, ...] = (
            slice(None),
            *(o for o, _ in index),
            slice(None),
            *(i for _, i in index),
        )
        weights[(..., *tap)] = blocks[place]
    return weights


def _grouped(weights: Array) -> tuple[Array, int]:
    """The weights with the most groups that their zeros allow."""
    outputs, inputs = weights.shape[:2]
    for groups in range(math.gcd(outputs, inputs), 1, -1):
        a, b = outputs // groups, inputs // groups
        kept = np.zeros((outputs, inputs), dtype=bool)
        for g in range(groups):
            kept[g * a : (g + 1) * a, g * b : (g + 1) * b] = True
        if not weights[~kept].any():
            parts = [weights[g * a : (g + 1) * a, g * b : (g + 1) * b] for g in range(groups)]
            return np.concatenate(parts), groups
    return weights, 1


def _made(
    sizes: tuple[int, ...], weights: Array, groups: int, options: dict[str, Any]
) -> Operator | None:
    """The layer of a proposal, with the padding behind that gives its output."""
    pairs = []
    for k, n in enumerate(sizes):
        before = -options["first"][k]
        span = options["dilation"][k] * (options["taps"][k] - 1) + 1
        stride, outputs = options["stride"][k], options["count"][k]
        after = _behind(before, stride * (outputs - 1) + span - before - n, stride)
        if before < 0 or after < 0:
            return None
        pairs.append((before, after))
    options["padding"] = tuple(pairs)
    try:
        return correlation(
            sizes,
            _whole(weights),
            stride=options["stride"],
            padding=tuple(pairs),
            dilation=options["dilation"],
            groups=groups,
            boundary=options["boundary"],
        )
    except ConvalgError:
        return None


def _behind(before: int, least: int, stride: int) -> int:
    """The padding behind: as before where the stride leaves that free, else the least."""
    return min(max(before, least, 0), least + stride - 1)


def _whole(weights: Array) -> Array:
    """Whole numbers as integers."""
    rounded = np.round(weights)
    return rounded.astype(np.int64) if (weights == rounded).all() else weights


def _equal(operator: Operator, matrix: Array) -> bool:
    scale = max(1.0, float(np.abs(matrix).max(initial=0)))
    found = np.asarray(operator.to_numpy(), dtype=float)
    return found.shape == matrix.shape and bool(np.all(np.abs(found - matrix) <= 1e-9 * scale))


def _described(
    layer: Operator,
    weights: Array,
    groups: int,
    options: dict[str, Any],
    before: tuple[int, ...],
    after: tuple[int, ...],
    kernel: Any,
) -> Identification:
    """A correlation, or a pooling where its kernel is one number."""
    whole = _whole(weights)
    common: dict[str, Any] = {
        "stride": options["stride"],
        "padding": options["padding"],
        "dilation": options["dilation"],
    }
    dims = len(options["taps"])
    depthwise = whole.ndim == dims or (whole.shape[1] == 1 and groups == whole.shape[0])
    first = whole.ravel()[0]
    if depthwise and whole.size > 1 and (whole == first).all():
        count = math.prod(options["taps"])
        is_mean = math.isclose(float(first) * count, 1)
        if count > 1 and (is_mean or first == 1):
            kind = "average pooling" if is_mean else "sum pooling"
            words = f"windows of {options['taps']}, stride {options['stride']}"
            return Identification(
                kind,
                before,
                after,
                layer,
                whole,
                **common,
                groups=groups,
                size=options["taps"],
                boundary=options["boundary"],
                words=words,
            )
    flip, words = _flip(whole, kernel), repr(layer)
    return Identification(
        "correlation",
        before,
        after,
        layer,
        whole,
        **common,
        groups=groups,
        boundary=options["boundary"],
        flip=flip,
        words=words,
    )


def _flip(found: Array, kernel: Any) -> bool | None:
    """Whether the kernel given is the one found (no) or the one found turned round (yes)."""
    if kernel is None:
        return None
    given = as_numbers(kernel, "kernel")
    taps = tuple(range(2, given.ndim)) if given.ndim > 3 else tuple(range(given.ndim))
    if given.shape != found.shape:
        return None
    if _alike(given, found):
        return False
    return True if _alike(np.flip(given, taps), found) else None


def _alike(first: Array, second: Array) -> bool:
    if "O" in (first.dtype.kind, second.dtype.kind):
        return bool((first == second).all())
    return bool(np.allclose(first, second))


def _transposed(
    matrix: Array, before: tuple[int, ...], after: tuple[int, ...], kernel: Any
) -> Identification | None:
    turned = _correlation(matrix.T, after, before, kernel)
    if turned is None or turned.boundary != "zeros":
        return None
    dims = len(turned.stride)
    assert turned.kernel is not None
    sizes = before[len(before) - dims :]
    extra, pads = [], []
    for k, n in enumerate(sizes):
        s, d, taps = turned.stride[k], turned.dilation[k], turned.kernel.shape[-dims:][k]
        front = turned.padding[k][0]
        # after = what the output lacks behind; a lack that cannot be padding is output_padding.
        behind = s * (n - 1) + d * (taps - 1) + 1 - front - after[len(after) - dims :][k]
        more = min(max(front - behind, 0), max(s, d) - 1)
        extra.append(more)
        pads.append((front, behind + more))
    if any(back < 0 for _, back in pads):
        return None
    try:
        operator = transposed_correlation(
            sizes,
            turned.kernel,
            stride=turned.stride,
            padding=tuple(pads),
            output_padding=tuple(extra),
            dilation=turned.dilation,
            groups=turned.groups,
        )
    except ConvalgError:
        return None
    if operator.out_shape != after or not _equal(operator, matrix):
        return None
    return Identification(
        "transposed correlation",
        before,
        after,
        operator,
        turned.kernel,
        turned.stride,
        tuple(pads),
        turned.dilation,
        tuple(extra),
        turned.groups,
        flip=turned.flip,
        words=repr(operator),
    )


def _unshifted(matrix: Array, before: tuple[int, ...], after: tuple[int, ...]) -> Identification:
    """Linear, and no layer known here: two rows that are not one another shifted."""
    rows = [np.flatnonzero(row) for row in matrix]
    witness: dict[str, Any] = {}
    lengths = [len(row) for row in rows]
    widest = max(range(len(rows)), key=lengths.__getitem__)
    for row in range(len(rows)):
        if row != widest and not contained(matrix[row][rows[row]], matrix[widest][rows[widest]]):
            for shown in (widest, row):
                place = tuple(int(k) for k in np.unravel_index(shown, after))
                witness[f"row {place}"] = entries(matrix[shown], before)
            break
    words = "linear, and no shift of one row gives the others"
    return Identification("not shift-invariant", before, after, witness=witness, words=words)


def _nonlinear(call: Call, before: tuple[int, ...], after: tuple[int, ...]) -> Identification:
    """A max or min pooling, or not linear, with two inputs that say so."""
    for kind, sign, maker in (("max pooling", 1, max_pool), ("min pooling", -1, min_pool)):
        found = _extreme(call, before, after, sign, maker)
        if found is not None:
            size, stride, padding, dilation, operator = found
            words = f"windows of {size}, stride {stride}"
            return Identification(
                kind,
                before,
                after,
                operator,
                None,
                stride,
                padding,
                dilation,
                size=size,
                words=words,
            )
    return Identification(
        "not linear",
        before,
        after,
        witness=_witness(call, before),
        words="f(x + y) is not f(x) + f(y)",
    )


def _witness(call: Call, before: tuple[int, ...]) -> dict[str, Any]:
    """Two inputs whose images do not add up (f(0) taken out)."""
    random = np.random.default_rng(0)
    zero = call(np.zeros((1, *before)))[0]
    units = np.eye(size_product(before)).reshape(-1, *before)[:16]
    pairs = [(u, -u) for u in units] + [
        tuple(random.integers(-9, 10, (2, *before)).astype(float)) for _ in range(200)
    ]
    for x, y in pairs:
        left = call((x + y)[None])[0] + zero
        right = call(x[None])[0] + call(y[None])[0]
        if not np.allclose(left, right):
            index = tuple(int(k) for k in np.argwhere(~np.isclose(left, right))[0])
            return {
                "x": x.tolist(),
                "y": y.tolist(),
                "at": index,
                "f(x + y) + f(0)": float(left[index]),
                "f(x) + f(y)": float(right[index]),
            }
    return {}


def _extreme(
    call: Call, before: tuple[int, ...], after: tuple[int, ...], sign: int, maker: Any
) -> tuple[Any, ...] | None:
    """The geometry of a pooling of extremes, held against it on random samples with ties."""
    count = size_product(before)
    low = -1e6
    # One sample stands out of a plain background: it wins wherever a window reads it.
    background = np.full((count, *before), sign * low)
    units = background.reshape(count, count).copy()
    np.fill_diagonal(units, sign * 1.0)
    found = sign * call(units.reshape(background.shape)).reshape(count, -1)
    matrix = (found == 1.0).T.astype(float)
    if not matrix.any():
        return None
    looks = _correlation(matrix, before, after, None)
    if looks is None or looks.kernel is None or not (looks.kernel == 1).all():
        return None
    assert looks.kernel is not None
    dims = len(looks.stride)
    size = looks.kernel.shape[-dims:]
    channels = before[0] if len(before) > dims else None
    options: dict[str, Any] = {
        "stride": looks.stride,
        "padding": looks.padding,
        "dilation": looks.dilation,
        "channels": channels,
    }
    try:
        operator = maker(before[len(before) - dims :], size, **options)
        random = np.random.default_rng(1)
        x = random.integers(-9, 10, (20, *before)).astype(float)
        x[::2] -= 20
        if operator.out_shape != after or not np.array_equal(operator(x), call(x)):
            return None
    except ConvalgError:
        return None
    return size, looks.stride, looks.padding, looks.dilation, operator
