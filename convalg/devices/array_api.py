"""Operators applied to arrays of PyTorch, CuPy, JAX and other libraries of the array API standard.

The result is on the device of the input, in its type, and part of its graph or trace. Every axis of
a layer is computed by sums of entries at tabulated indices, and the channels by one matrix product;
for PyTorch, its own convolutions are used. Only index tables and weights of the operator are copied
to the device. Nothing is copied back, except the largest integer if the type of the integers does
not exclude an overflow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from convalg.arrays import is_foreign, is_tensor, largest
from convalg.devices.libraries import DeviceArray, DeviceDType, Library, library_of
from convalg.devices.tables import Rows, axis_rows, rows_of
from convalg.engine import chosen, most_readers
from convalg.errors import ArgumentError, ExactnessError, KindError, ShapeError, SymbolicError
from convalg.faces.sparse import cast, exact_kind
from convalg.geometry import Geometry
from convalg.operators.leaves import (
    Adjoint,
    Convolution,
    Diagonal,
    Matrix,
    Patches,
    Selection,
    SparseMatrix,
)
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum, fold

Step: TypeAlias = Callable[[Library, DeviceArray], DeviceArray]
Layer: TypeAlias = "Convolution | Patches | Selection"

CHUNK = 2**25
"""The largest number of elements that one step unfolds; larger batches are processed in slices."""


def apply(operator: Operator, x: object) -> Any:
    """Return A(x) for an array from another library, on the device of this array.

    Shapes: x `(*batch, *in_shape)`, result `(*batch, *out_shape)`; floating-point numbers in the
    type of x, integers in the widest integer type of the library.
    Raises: ShapeError when the shape of x does not end in `in_shape`, KindError when the types of
    the numbers do not fit, ExactnessError when integers could overflow, SymbolicError when the
    operator has symbols, ArgumentError when an engine was requested.
    """
    _check_engine(x)
    library = library_for(x)
    with library.on(x):
        samples, batch = samples_of(library, operator, x)
        y = fold(operator, _RULES, _leaf)(library, samples)
        return library.reshape(y, (*batch, *operator.out_shape))


def kernel_gradient(layer: Convolution, x: DeviceArray, g: DeviceArray) -> DeviceArray:
    """Return dL/dw = B(x)^T g, summed over the batch, for floating-point arrays of one library.

    Shapes: x `(batch, *in_shape)`, g `(batch, *out_shape)`, result: the shape of the kernel.
    """
    library = library_for(x)
    parts = [
        library.sum(_kernel_gradients(library, layer, x[part, ...], g[part, ...]), axis=0)
        for part in _slices(layer, x.shape[0])
    ]
    return sum(parts[1:], start=parts[0])


def _check_engine(x: object) -> None:
    """Raise ArgumentError when an engine was requested, since engines need NumPy arrays."""
    if chosen() != "auto":
        raise ArgumentError(
            f"engine={chosen()!r} needs NumPy arrays, but x is an array of type "
            f"{type(x).__name__} from another library: use engine='auto'"
        )


def pair(operator: Operator, x: DeviceArray, g: DeviceArray) -> tuple[Library, Any, Any]:
    """Return the library of x and g, and both arrays with one batch axis.

    Raises: KindError when they are not floating-point arrays of the same library, ShapeError when
    their shapes do not fit the operator or their batches differ.
    """
    if not (is_foreign(x) and is_foreign(g)) or library_for(x) is not library_for(g):
        raise KindError(
            f"x and g must be arrays of the same library, not {type(x).__name__} and "
            f"{type(g).__name__}"
        )
    _check_engine(x)
    library = library_for(x)
    for values in (x, g):
        if library.kind(values) not in "fc":
            raise KindError(
                f"x and g must hold floating-point numbers, not {values.dtype}, for a kernel "
                f"gradient: pass integers as NumPy arrays, so that they stay exact"
            )
    with library.on(x):
        inputs, batch = samples_of(library, operator, x)
        upstream, other = samples_of(library, operator.T, g)
    if batch != other:
        raise ShapeError(
            f"x and g must have the same batch, but x has {batch or 'none'} and g has "
            f"{other or 'none'}"
        )
    return library, inputs, upstream


def library_for(x: object) -> Library:
    """Return the library of an array."""
    if is_tensor(x):
        from convalg.devices.torch import TORCH

        return TORCH
    return library_of(x)


def samples_of(library: Library, operator: Operator, x: DeviceArray) -> tuple[Any, tuple[int, ...]]:
    """Return x with one batch axis, in the type to compute in, and the shape of its batch axes.

    Raises: ShapeError, KindError, SymbolicError and ExactnessError as in `apply`.
    """
    word, kind = library.word, library.kind(x)
    split = len(x.shape) - len(operator.in_shape)
    if split < 0 or tuple(x.shape[split:]) != operator.in_shape:
        raise ShapeError(
            f"the {word} must have shape (*batch, {', '.join(map(str, operator.in_shape))}), not "
            f"{tuple(x.shape)}"
        )
    if kind not in ("bifc" if library.takes_integers else "f"):
        raise KindError(
            f"a{'n' * (word[0] == 'a')} {word} must be floating-point, not {x.dtype}: pass "
            f"integers as NumPy arrays, so that they stay exact"
        )
    if exact_kind(operator) == "symbols":
        raise SymbolicError(
            f"{operator!r} has symbols, which no {word} can hold: replace them by numbers with "
            f"A.refill(kernel)"
        )
    batch = tuple(x.shape[:split])
    x = library.reshape(x, (math.prod(batch), *operator.in_shape))
    return (_widened(library, operator, x) if kind in "bi" else x), batch


def _widened(library: Library, operator: Operator, x: DeviceArray) -> DeviceArray:
    """Return integers in the widest integer type, in which no sum overflows.

    Raises: ExactnessError when a sum could overflow, KindError when the operator holds numbers
    other than integers.
    """
    growth = max(fold(operator, _GROWTH, _leaf_growth), 1)
    wide = library.widest(x)
    most = library.range(wide) - 1
    seen = 1 if library.kind(x) == "b" else library.range(x)
    if growth * seen > most:
        # The range of the type does not exclude an overflow, but the entries may be smaller.
        seen = library.largest(x) if math.prod(x.shape) else 0
    if growth * max(seen, 1) > most:
        raise ExactnessError(
            f"integers up to {seen:.3g} could sum to {growth * seen:.3g}, beyond "
            f"{wide.dtype}: cast the {library.word} to floating point, or pass a NumPy array"
        )
    return wide


def _integers(values: object) -> Any:
    """Return weights or a factor as an array. Raises: KindError when some are not integers."""
    numbers = np.asarray(values)
    if numbers.dtype.kind in "biu":
        return numbers
    others = [value for value in numbers.ravel() if not isinstance(value, int)]
    if others:
        raise KindError(
            f"the operator holds {others[0]!s}, which is not an integer, but the array holds "
            f"integers: cast the array to floating point"
        )
    return numbers


def _leaf_growth(leaf: object) -> int:
    """Return an upper bound on |output| / max |input| for a leaf of integers."""
    match leaf:
        case Convolution(geometry=geometry, weights=values):
            return _terms(geometry) * largest(_integers(values))
        case Patches(geometry=geometry, values=values, transposed=transposed):
            return (_readers if transposed else _terms)(geometry) * largest(_integers(values))
        case Selection(geometry=geometry):
            return _terms(geometry)
        case Matrix(values=values):
            return int(values.shape[1]) * largest(_integers(values))
        case SparseMatrix(values=values, indptr=indptr):
            return int(np.diff(indptr).max(initial=0)) * largest(_integers(values))
        case Diagonal(values=values):
            return largest(_integers(values))
    raise AssertionError(leaf)


def _adjoint_growth(node: Adjoint, growth: int) -> int:
    match node.operator:
        case Convolution(geometry=geometry, weights=values):
            return _readers(geometry) * largest(_integers(values))
        case Patches(geometry=geometry, values=values):
            return math.prod(geometry.out_spatial) * largest(_integers(values))
    return _readers(node.operator.geometry)


def _terms(geometry: Geometry) -> int:
    """Return the number of products in the sum of one output."""
    return int(geometry.channels[2] * math.prod(geometry.taps))


def _readers(geometry: Geometry) -> int:
    """Return an upper bound on the number of products with one input."""
    return geometry.channels[1] * most_readers(geometry.axes)


_GROWTH: dict[type, Callable[..., int]] = {
    Compose: lambda node, *each: math.prod(max(growth, 1) for growth in each),
    Sum: lambda node, *each: sum(each),
    Scaled: lambda node, growth: largest(_integers(node.factor)) * growth,
    Adjoint: _adjoint_growth,
    Kron: lambda node, left, right: max(left, 1) * max(right, 1),
}


_HELD: WeakKeyDictionary[Operator, dict[Hashable, Any]] = WeakKeyDictionary()
"""The index tables and weights of leaves on devices; they are deleted with the leaf."""


def _held(leaf: Operator, key: Hashable, make: Callable[[], object]) -> Any:
    held = _HELD.setdefault(leaf, {})
    if key not in held:
        held[key] = make()
    return held[key]


def _placed(
    library: Library,
    leaf: Operator,
    name: Hashable,
    like: DeviceArray,
    host: Callable[[], np.ndarray],
    dtype: DeviceDType,
) -> DeviceArray:
    """Return an array of the host on the device of `like`, copied once per leaf and device."""
    if not library.caches:
        return library.put(host(), like, dtype)
    key = (library, str(like.device), str(dtype), name)
    return _held(leaf, key, lambda: library.put(host(), like, dtype))


def _numbers(
    library: Library,
    leaf: Operator,
    like: DeviceArray,
    values: np.ndarray,
    name: Hashable = "numbers",
) -> DeviceArray:
    """Return weights of a leaf on the device of `like` and in its type."""
    kind = np.dtype(np.int64 if library.kind(like) == "i" else np.float64)
    return _placed(library, leaf, name, like, lambda: cast(values, kind), like.dtype)


def _collected(
    library: Library,
    leaf: Operator,
    name: Hashable,
    rows: Rows,
    x: DeviceArray,
    weights: Callable[[int], DeviceArray] | None = None,
) -> DeviceArray:
    """Return, for each row, the sum of the entries that it reads along the middle axis of x.

    Shapes: x (lead, columns, trail), result (lead, rows, trail). `weights(k)` are the factors of
    the entries of table k; by default all are one.
    """
    if rows.keeps and weights is None:
        return x
    lead, _, trail = x.shape
    if rows.gaps:
        x = library.join([x, library.zeros(x[:, :1, :])], axis=1)
    parts = []
    for k, table in enumerate(rows.tables):
        indices = _placed(library, leaf, (name, k), x, partial(np.ravel, table), None)
        height, width = table.shape
        entries = library.reshape(library.take(x, indices), (lead, height, width, trail))
        if weights is not None:
            entries = entries * weights(k)
        parts.append(library.sum(entries, axis=2) if width > 1 else entries[:, :, 0, :])
    y = library.join(parts, axis=1)
    if rows.order is not None:
        y = library.take(y, _placed(library, leaf, name, x, partial(np.asarray, rows.order), None))
    return y


def _along(
    library: Library, leaf: Layer, x: DeviceArray, lead: int, *, taps: bool, adjoint: bool = False
) -> DeviceArray:
    """Return x after every axis of a layer was applied in turn, each as sums of entries.

    x consists of `lead` inputs, or with `adjoint` of `lead` outputs. With `taps`, each pair (tap,
    output) is an entry of the result.
    """
    each = [axis_rows(axis, taps, adjoint) for axis in leaf.geometry.axes]
    trail = math.prod(rows.columns for rows in each)
    for k, rows in enumerate(each):
        trail = trail // rows.columns
        x = library.reshape(x, (lead, rows.columns, trail))
        x = _collected(library, leaf, (k, taps, adjoint), rows, x)
        lead *= x.shape[1]
    return x


def _unfolded(library: Library, leaf: Convolution | Patches, x: DeviceArray) -> DeviceArray:
    """Return all samples read, (batch, groups, inputs * taps, outputs), from (batch, *in_shape)."""
    geometry = leaf.geometry
    groups, _, inputs = geometry.channels
    lead, dims = x.shape[0] * groups * inputs, len(geometry.axes)
    patches = _along(library, leaf, x, lead, taps=True)
    pairs = [int(n) for axis in geometry.axes for n in (axis.taps, axis.out_size)]
    order = (0, *range(1, 2 * dims, 2), *range(2, 2 * dims + 1, 2))
    patches = library.permute(library.reshape(patches, (lead, *pairs)), order)
    taps, outputs = math.prod(geometry.taps), math.prod(geometry.out_spatial)
    return library.reshape(patches, (x.shape[0], groups, inputs * taps, outputs))


def _folded(library: Library, leaf: Convolution | Patches, spread: DeviceArray) -> DeviceArray:
    """Return the adjoint of `_unfolded`: sums over the reads of each input, (batch, *in_shape)."""
    geometry = leaf.geometry
    groups, _, inputs = geometry.channels
    lead, dims = spread.shape[0] * groups * inputs, len(geometry.axes)
    sums = library.reshape(spread, (lead, *geometry.taps, *geometry.out_spatial))
    order = (0, *(1 + k + step for k in range(dims) for step in (0, dims)))
    sums = library.permute(sums, order)
    sums = _along(library, leaf, sums, lead, taps=True, adjoint=True)
    return library.reshape(sums, (spread.shape[0], *geometry.in_shape))


def _correlated(
    library: Library, leaf: Convolution | Patches, kernel: DeviceArray, x: DeviceArray
) -> DeviceArray:
    """Return A(kernel) x; one of the two has a batch axis of length one."""
    groups, outputs, _ = leaf.geometry.channels
    weights = library.reshape(kernel, (kernel.shape[0], groups, outputs, _terms(leaf.geometry)))
    y = library.matmul(weights, _unfolded(library, leaf, x))
    return library.reshape(y, (y.shape[0], *leaf.geometry.out_shape))


def _correlated_adjoint(
    library: Library, leaf: Convolution | Patches, kernel: DeviceArray, g: DeviceArray
) -> DeviceArray:
    """Return A(kernel)^T g; one of the two has a batch axis of length one."""
    geometry = leaf.geometry
    groups, outputs, _ = geometry.channels
    weights = library.reshape(kernel, (kernel.shape[0], groups, outputs, _terms(geometry)))
    upstream = library.reshape(g, (g.shape[0], groups, outputs, math.prod(geometry.out_spatial)))
    spread = library.matmul(library.permute(weights, (0, 1, 3, 2)), upstream)
    return _folded(library, leaf, spread)


def _kernel_gradients(
    library: Library, leaf: Convolution | Patches, x: object, g: DeviceArray
) -> DeviceArray:
    """Return dL/dkernel for each sample; x or g may have a batch axis of length one."""
    geometry = leaf.geometry
    groups, outputs, _ = geometry.channels
    upstream = library.reshape(g, (g.shape[0], groups, outputs, math.prod(geometry.out_spatial)))
    gradients = library.matmul(upstream, library.permute(_unfolded(library, leaf, x), (0, 1, 3, 2)))
    return library.reshape(gradients, (gradients.shape[0], *geometry.kernel_shape))


def _slices(leaf: Convolution | Patches, batch: int) -> list[slice]:
    """Return slices of the batch that fit into memory."""
    geometry = leaf.geometry
    groups, outputs, _ = geometry.channels
    load = groups * max(_terms(geometry), outputs) * math.prod(geometry.out_spatial)
    size = max(CHUNK // load, 1)
    # The standard does not define slices beyond the end of an axis.
    return [slice(k, min(k + size, batch)) for k in range(0, max(batch, 1), size)]


def _in_slices(
    library: Library, leaf: Convolution | Patches, step: Step, x: DeviceArray
) -> DeviceArray:
    slices = _slices(leaf, x.shape[0])
    if len(slices) == 1:
        return step(library, x)
    return library.join([step(library, x[part, ...]) for part in slices], axis=0)


def _leaf(leaf: Any) -> Step:
    match leaf:
        case Convolution():
            return lambda library, x: _layer(library, leaf, x)
        case Patches():
            return lambda library, x: _patches(library, leaf, x)
        case Selection():
            return lambda library, x: _along(library, leaf, x, x.shape[0], taps=False)
        case Diagonal():
            return lambda library, x: x * _numbers(library, leaf, x, leaf.values)
        case Matrix():
            return lambda library, x: _matrix(library, leaf, x)
    return lambda library, x: _sparse(library, leaf, x)


def _adjoint(node: Adjoint, step: Step) -> Step:
    leaf = node.operator
    match leaf:
        case Convolution():
            return lambda library, g: _layer_adjoint(library, leaf, g)
        case Patches():
            return lambda library, g: _patches_adjoint(library, leaf, g)
    return lambda library, g: _along(library, leaf, g, g.shape[0], taps=False, adjoint=True)


def _layer(library: Library, leaf: Convolution, x: DeviceArray) -> DeviceArray:
    y = library.convolve(leaf, x)
    if y is not None:
        return y
    kernel = _numbers(library, leaf, x, leaf.weights[None])
    return _in_slices(library, leaf, lambda lib, part: _correlated(lib, leaf, kernel, part), x)


def _layer_adjoint(library: Library, leaf: Convolution, g: object) -> Any:
    x = library.convolve_adjoint(leaf, g)
    if x is not None:
        return x
    kernel = _numbers(library, leaf, g, leaf.weights[None])
    return _in_slices(
        library, leaf, lambda lib, part: _correlated_adjoint(lib, leaf, kernel, part), g
    )


def _patches(library: Library, leaf: Patches, x: DeviceArray) -> DeviceArray:
    values = _numbers(library, leaf, x, leaf.values[None])
    step = _correlated_adjoint if leaf.transposed else _correlated
    return _in_slices(library, leaf, lambda lib, part: step(lib, leaf, part, values), x)


def _patches_adjoint(library: Library, leaf: Patches, g: object) -> Any:
    values = _numbers(library, leaf, g, leaf.values[None])

    def step(library: Library, part: object) -> Any:
        pair = (part, values) if leaf.transposed else (values, part)
        return _kernel_gradients(library, leaf, *pair)

    return _in_slices(library, leaf, step, g)


def _matrix(library: Library, leaf: Matrix, x: DeviceArray) -> DeviceArray:
    weights = _numbers(library, leaf, x, leaf.values.T)
    return library.matmul(library.reshape(x, (x.shape[0], leaf.shape[1])), weights)


def _sparse(library: Library, leaf: SparseMatrix, x: DeviceArray) -> DeviceArray:
    rows = _held(leaf, "rows", lambda: rows_of(leaf.indptr, leaf.indices, leaf.shape[1]))
    x = library.reshape(x, (x.shape[0], leaf.shape[1], 1))
    if leaf.values.dtype.kind != "O" and (leaf.values == 1).all():
        return _collected(library, leaf, "rows", rows, x)
    values = np.append(leaf.values, 0)

    def weights(k: int) -> Any:
        return _numbers(library, leaf, x, values[rows.entries[k]][None, :, :, None], k)

    return _collected(library, leaf, "rows", rows, x, weights)


def _composed(node: Compose, *steps: Step) -> Step:
    def run(library: Library, x: DeviceArray) -> DeviceArray:
        for factor, step in zip(reversed(node.factors), reversed(steps), strict=True):
            x = library.reshape(step(library, x), (x.shape[0], *factor.out_shape))
        return x

    return run


def _summed(node: Sum, *steps: Step) -> Step:
    def run(library: Library, x: DeviceArray) -> DeviceArray:
        first, *more = (
            library.reshape(step(library, x), (x.shape[0], *node.out_shape)) for step in steps
        )
        return sum(more, start=first)

    return run


def _scaled(node: Scaled, step: Step) -> Step:
    def run(library: Library, x: DeviceArray) -> DeviceArray:
        is_integer = library.kind(x) == "i"
        return step(library, x) * (int(node.factor) if is_integer else float(node.factor))

    return run


def _kron(node: Kron, left: Step, right: Step) -> Step:
    (rows_left, columns_left), (rows_right, _) = node.left.shape, node.right.shape

    def run(library: Library, x: DeviceArray) -> DeviceArray:
        count = x.shape[0]
        x = library.reshape(x, (count * columns_left, *node.right.in_shape))
        y = library.reshape(right(library, x), (count, columns_left, rows_right))
        y = library.permute(y, (0, 2, 1))
        y = left(library, library.reshape(y, (count * rows_right, *node.left.in_shape)))
        return library.permute(library.reshape(y, (count, rows_right, rows_left)), (0, 2, 1))

    return run


_RULES: dict[type, Callable[..., Step]] = {
    Compose: _composed,
    Sum: _summed,
    Scaled: _scaled,
    Adjoint: _adjoint,
    Kron: _kron,
}
