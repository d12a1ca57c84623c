"""The computation of constants from constants: shape arithmetic, anchors, permuted weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from convalg.arrays import Array
from convalg.network.readers.onnx.builder import Node, Unread
from convalg.network.readers.onnx.shape_rules import target_shape
from convalg.network.readers.onnx.tensors import BFLOAT16, FLOAT16, STORED, Constant, DType, stored

Arrays: TypeAlias = list[Any]
"""The arrays of the inputs of a node; optional inputs of a Slice may be None."""
MOST = 2**20
"""The largest number of entries of a computed constant, except reshaped or permuted weights."""
CAST = {k: np.dtype("f4" if k in (FLOAT16, BFLOAT16) else name) for k, name in STORED.items()}


def fold(n: Node) -> list[Constant]:
    """Return the outputs of a node with constant inputs. Raises: Unread if it is unsupported."""
    if n.op == "Constant":
        return [_constant(n)]
    inputs = [None if value is None else n.constant(k) for k, value in enumerate(n.inputs)]
    if n.op in MOVES and inputs and inputs[0] is not None:
        return [MOVES[n.op](n, inputs[0])]
    given = [value for value in inputs if value is not None]
    reason = next((value.absent for value in given if value.absent), "")
    if reason:
        raise Unread(f"the entries of an input are not available: {reason}")
    if n.op in ELEMENTWISE:
        return [_elementwise(n, given)]
    if n.op not in SMALL:
        raise Unread("this operator is not applied to constants")
    # Only the last inputs of a Slice are optional.
    if not inputs or any(value is None for value in (inputs[:3] if n.op == "Slice" else inputs)):
        raise Unread("one of its inputs is missing")
    if sum(value.size for value in given) > MOST:
        raise Unread(f"its constants have more than {MOST} entries")
    with np.errstate(all="ignore"):
        result = SMALL[n.op](n, [None if value is None else value.array() for value in inputs])
    return [stored(value) for value in (result if isinstance(result, list) else [result])]


def _constant(n: Node) -> Constant:
    """Return the value of a Constant node."""
    attributes = n.attributes
    value = attributes.get("value")
    if isinstance(value, Constant):
        return value
    for name, dtype in (
        ("value_float", "f4"),
        ("value_floats", "f4"),
        ("value_int", "i8"),
        ("value_ints", "i8"),
    ):
        if name in attributes:
            return stored(np.array(attributes[name], dtype=dtype))
    raise Unread("it is a constant without a numeric value")


# Reshaped, permuted or converted weights, which are computed only when they are used.


def _reshaped(value: Constant, shape: tuple[int, ...]) -> Constant:
    return value.moved(shape, lambda v: v.reshape(shape))


def _reshape(n: Node, value: Constant) -> Constant:
    return _reshaped(value, target_shape(value.shape, n.numbers(1), n.get("allowzero", 0)))


def _axes(n: Node) -> list[int] | None:
    given = n.get("axes")
    return given if given is not None or len(n.inputs) < 2 else n.numbers(1)


def _squeeze(n: Node, value: Constant) -> Constant:
    axes, rank = _axes(n), len(value.shape)
    removed = None if axes is None else {a % rank for a in axes} if rank else set()
    shape = tuple(
        m for k, m in enumerate(value.shape) if (m != 1 if removed is None else k not in removed)
    )
    if math.prod(shape) != value.size:
        raise Unread(f"axes {axes} of its input of shape {value.shape} do not all have size 1")
    return _reshaped(value, shape)


def _unsqueeze(n: Node, value: Constant) -> Constant:
    axes, sizes = _axes(n) or [], list(value.shape)
    rank = len(sizes) + len(axes)
    for axis in sorted(a % rank for a in axes):
        sizes.insert(axis, 1)
    return _reshaped(value, tuple(sizes))


def _transpose(n: Node, value: Constant) -> Constant:
    order = tuple(n.get("perm") or range(len(value.shape))[::-1])
    if sorted(order) != list(range(len(value.shape))):
        raise Unread(f"its order {order} does not have each axis of shape {value.shape} once")
    shape = tuple(value.shape[k] for k in order)
    return value.moved(shape, lambda v: np.ascontiguousarray(v.transpose(order)))


def _cast(n: Node, value: Constant) -> Constant:
    dtype = CAST.get(n.get("to"))
    if dtype is None:
        raise Unread(f"it casts to element type {n.get('to')}")

    def load() -> Array:
        with np.errstate(all="ignore"):
            return value.array().astype(dtype)

    return _made(value, dtype, load)


def _made(value: Constant, dtype: DType, load: Callable[[], Array]) -> Constant:
    """Return a constant of another type that is computed entry by entry."""
    made = Constant(value.shape, dtype, load)
    made.origin, made.absent, made.steps = value.origin, value.absent, value.steps + 1
    return made


def _along(n: Node, value: Constant, number: Constant) -> Array:
    """Return the scales or zero points of a quantisation in a shape that broadcasts to a value."""
    shape = [1] * len(value.shape)
    if number.size > 1:
        axis = n.get("axis", 1)
        if not -len(shape) <= axis < len(shape) or number.shape != (value.shape[axis],):
            raise Unread(
                f"its scales or zero points have shape {number.shape}, not one entry for each "
                f"index of axis {axis} of its input of shape {value.shape}"
            )
        shape[axis] = number.size
    return number.array().reshape(shape)


def _quantisation(n: Node, value: Constant) -> tuple[Array, Array]:
    """Return the scales and zero points. Raises: Unread if they belong to blocks of entries."""
    if n.get("block_size", 0):
        raise Unread(f"it scales blocks of {n.get('block_size')} entries")
    zero = n.constant(2) if n.given(2) is not None else stored(np.zeros((), np.uint8))
    return _along(n, value, n.constant(1)), _along(n, value, zero)


def _dequantise(n: Node, value: Constant) -> Constant:
    scale, zero = _quantisation(n, value)

    def load() -> Array:
        wide = value.array().astype(np.int64) - zero.astype(np.int64)
        return (wide * scale).astype(scale.dtype)

    return _made(value, scale.dtype, load)


def _quantise(n: Node, value: Constant) -> Constant:
    scale, zero = _quantisation(n, value)
    if zero.dtype.kind not in "iu":
        raise Unread(f"it rounds to the type {zero.dtype}, not to integers")
    limits = np.iinfo(zero.dtype)

    def load() -> Array:
        steps = np.rint(value.array() / scale) + zero
        clipped: Array = np.clip(steps, limits.min, limits.max).astype(zero.dtype)
        return clipped

    return _made(value, zero.dtype, load)


MOVES: dict[str, Callable[[Node, Constant], Constant]] = {
    "Identity": lambda n, value: value,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Cast": _cast,
    "DequantizeLinear": _dequantise,
    "QuantizeLinear": _quantise,
}


# Arithmetic, entry by entry.


def _quotient(a: Array, b: Array) -> Array:
    if a.dtype.kind == "f":
        quotient: Array = a / b
        return quotient
    # ONNX rounds the quotient of integers towards zero.
    truncated: Array = np.trunc(a / np.where(b == 0, 1, b)).astype(a.dtype)
    return truncated


ELEMENTWISE: dict[str, Callable[..., Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": _quotient,
    "Pow": lambda a, b: np.power(a, b).astype(a.dtype),
    "Mod": np.mod,
    "Neg": np.negative,
    "Abs": np.abs,
    "Sqrt": np.sqrt,
    "Exp": np.exp,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Equal": np.equal,
    "Less": np.less,
    "Greater": np.greater,
    "LessOrEqual": np.less_equal,
    "GreaterOrEqual": np.greater_equal,
    "And": np.logical_and,
    "Or": np.logical_or,
    "Not": np.logical_not,
    "Min": lambda *v: np.minimum.reduce(np.broadcast_arrays(*v)),
    "Max": lambda *v: np.maximum.reduce(np.broadcast_arrays(*v)),
    "Where": np.where,
}


def _elementwise(n: Node, inputs: list[Constant]) -> Constant:
    try:
        shape = np.broadcast_shapes(*(value.shape for value in inputs))
    except ValueError as error:
        raise Unread(str(error)) from None
    if n.op == "Mod" and n.get("fmod", 0):
        raise Unread("it is the remainder fmod, with the sign of the dividend")
    function = ELEMENTWISE[n.op]
    if math.prod(shape) > max(MOST, *(value.size for value in inputs)):
        raise Unread(f"it computes a constant of shape {shape}, over the limit of {MOST} entries")

    def load() -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(*(value.array() for value in inputs)))

    # The type of the result is found from single entries, so that no array is loaded.
    with np.errstate(all="ignore"):
        dtype = np.asarray(function(*(np.ones((), value.dtype) for value in inputs))).dtype
    if math.prod(shape) <= MOST:
        return stored(load())
    return Constant(shape, dtype, load)


# Small constants.


def _check_count(count: int) -> None:
    """Raise Unread unless a constant of this number of entries is computed."""
    if count > MOST or count < 0:
        raise Unread(f"it computes a constant of {count} entries, over the limit of {MOST}")


def _filled(n: Node, inputs: Arrays) -> Array:
    shape = [int(m) for m in inputs[0].ravel()]
    if any(m < 0 for m in shape):
        raise Unread(f"it fills an array of shape {shape}, which has a negative size")
    _check_count(math.prod(shape))
    values = n.attributes.get("value", stored(np.zeros(1, np.float32)))
    if values is None or values.size != 1:
        raise Unread("its value is not a single number")
    return np.full(shape, values.array().ravel()[0])


def _ranged(n: Node, inputs: Arrays) -> Array:
    start, stop, step = (value.ravel()[0] for value in inputs)
    if not step or not all(np.isfinite(v) for v in (start, stop, step)):
        raise Unread(f"its range from {start} to {stop} in steps of {step} is not finite")
    _check_count(max(0, math.ceil((float(stop) - float(start)) / float(step))))
    return np.arange(start, stop, step, dtype=inputs[0].dtype)


def _expanded(n: Node, inputs: Arrays) -> Array:
    shape = np.broadcast_shapes(inputs[0].shape, tuple(int(m) for m in inputs[1].ravel()))
    _check_count(math.prod(shape))
    return np.broadcast_to(inputs[0], shape)


def _tiled(n: Node, inputs: Arrays) -> Array:
    counts = [int(m) for m in inputs[1].ravel()]
    if any(m < 0 for m in counts):
        raise Unread(f"it repeats its input {counts} times, and a count is negative")
    _check_count(math.prod(counts) * inputs[0].size)
    return np.tile(inputs[0], counts)


def _gathered(n: Node, inputs: Arrays) -> Array:
    values, indices = inputs[0], inputs[1]
    axis = n.get("axis", 0)
    if not -values.ndim <= axis < values.ndim:
        raise Unread(f"it gathers along axis {axis}, but its input has shape {values.shape}")
    size = values.shape[axis]
    if indices.dtype.kind not in "iu" or not ((indices >= -size) & (indices < size)).all():
        raise Unread(f"it gathers indices outside an axis of size {size}")
    _check_count(values.size // max(size, 1) * indices.size)
    taken: Array = np.take(values, indices.astype(np.int64), axis=axis)
    return taken


def _sliced(n: Node, inputs: Arrays) -> Array:
    values: Array = inputs[0]
    if n.version < 10:
        starts, ends, axes, steps = n.get("starts"), n.get("ends"), n.get("axes"), None
    else:
        lists: list[Any] = [
            None if value is None else value.ravel().tolist() for value in inputs[1:]
        ]
        starts, ends, axes, steps = [*lists, None, None][:4]
    axes = list(range(len(starts))) if axes is None else axes
    for axis, start, stop, step in zip(axes, starts, ends, steps or [1] * len(axes), strict=True):
        if not -values.ndim <= axis < values.ndim or not step:
            raise Unread(f"it slices axis {axis} of shape {values.shape} with a step of {step}")
        # NumPy writes a stop before index 0, for a negative step, as None.
        end = None if step < 0 and stop < -values.shape[axis] else stop
        cut = [slice(None)] * values.ndim
        cut[axis] = slice(start, end, step)
        values = values[tuple(cut)]
    return values


def _joined(n: Node, inputs: Arrays) -> Array:
    axis = n.get("axis", 0)
    try:
        return np.concatenate(inputs, axis=axis)
    except ValueError as error:
        raise Unread(str(error)) from None


def _multiplied(n: Node, inputs: Arrays) -> Array:
    axes = n.get("axes") or (inputs[1].tolist() if len(inputs) > 1 else None)
    axes = None if axes is None else tuple(int(a) for a in axes)
    if axes and any(not -inputs[0].ndim <= a < inputs[0].ndim for a in axes):
        raise Unread(f"it reduces axes {axes} of shape {inputs[0].shape}, which do not all exist")
    keep, dtype = bool(n.get("keepdims", 1)), inputs[0].dtype
    return np.asarray(np.prod(inputs[0], axis=axes, keepdims=keep, dtype=dtype))


SMALL: dict[str, Callable[[Node, Arrays], Any]] = {
    "Shape": lambda n, inputs: np.array(inputs[0].shape, np.int64)[
        n.get("start", 0) : n.get("end")
    ],
    "Size": lambda n, inputs: np.array(inputs[0].size, np.int64),
    "ConstantOfShape": _filled,
    "Range": _ranged,
    "Expand": _expanded,
    "Tile": _tiled,
    "Gather": _gathered,
    "Slice": _sliced,
    "Concat": _joined,
    "ReduceProd": _multiplied,
}
