"""Rules that convert ONNX nodes to layers: convolutions, poolings, batch norm, activations."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, SupportsInt

import numpy as np

from convalg.arrays import Array
from convalg.axis import transposed_size
from convalg.network import layers as net_layers
from convalg.network.layers.base import Layer, Shape
from convalg.network.layers.opaque import Opaque
from convalg.network.layers.pointwise import Pointwise
from convalg.network.layers.pooling import LpPool
from convalg.network.layers.rearrange import Project, SoftmaxAlong
from convalg.network.layers.scale import Product, Scale, Shift
from convalg.network.readers.onnx.builder import Builder, Data, Node, Unread, Value, dims_of
from convalg.network.readers.onnx.tensors import Constant, stored
from convalg.size import is_symbolic

SAME = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower"}


def pairs(pads: Sequence[SupportsInt]) -> tuple[tuple[int, int], ...]:
    """Return a pair (before, after) for each axis from ONNX's list, which has all before first."""
    half = len(pads) // 2
    return tuple(zip(map(int, pads[:half]), map(int, pads[half:]), strict=True))


def _steps(n: Node, dims: int) -> dict[str, Any]:
    rule = n.get("auto_pad", "NOTSET")
    pads = n.get("pads") or [0] * 2 * dims
    padding: Any = SAME.get(rule, pairs(pads) if rule == "NOTSET" else 0)
    lists = {"stride": n.get("strides") or [1] * dims, "dilation": n.get("dilations") or [1] * dims}
    steps = {name: tuple(map(int, values)) for name, values in lists.items()}
    if any(len(values) != dims for values in steps.values()) or len(pads) != 2 * dims:
        raise Unread(f"its strides, dilations or pads do not belong to {dims} spatial axes")
    return {name: short(values) for name, values in steps.items()} | {"padding": short(padding)}


def short(values: object) -> Any:
    """Return one number if all axes have the same one, and other values unchanged."""
    if not isinstance(values, tuple) or not values:
        return values
    flat = {v for value in values for v in (value if isinstance(value, tuple) else (value,))}
    return flat.pop() if len(flat) == 1 else values


def _biased(n: Node, index: int = 2) -> dict[str, Constant]:
    return {} if n.given(index) is None else {"bias": n.constant(index)}


def _check_axes(kernel: Constant, dims: int) -> None:
    """Raise Unread unless a kernel has two axes of channels and `dims` spatial axes."""
    if len(kernel.shape) != dims + 2:
        raise Unread(f"its kernel has {len(kernel.shape)} axes, not 2 and {dims} spatial axes")


def _conv(b: Builder, n: Node) -> Value:
    x, kernel = n.data(), n.constant(1)
    dims = dims_of(b.shape(x))
    _check_axes(kernel, dims)
    bias = _biased(n)
    layer = net_layers.Conv(
        kernel.shape[0],
        short(kernel.shape[2:]),
        **_steps(n, dims),
        groups=n.get("group", 1),
        bias=bool(bias),
    )
    return b.add(layer, x, kernel=kernel, **bias)


def _conv_of_integers(b: Builder, n: Node) -> Value:
    """Convert a quantised convolution to an opaque layer, since it rounds and saturates."""
    scaled = n.op == "QLinearConv"
    x, kernel = n.data(), n.constant(3 if scaled else 1)
    dims = dims_of(b.shape(x))
    _check_axes(kernel, dims)
    bias = _biased(n, 8) if scaled else {}
    like = net_layers.Conv(
        kernel.shape[0],
        short(kernel.shape[2:]),
        **_steps(n, dims),
        groups=n.get("group", 1),
        bias=bool(bias),
    )
    return _quantised(b, n, x, like, kernel=kernel, **bias)


def _product_of_integers(b: Builder, n: Node) -> Value:
    x, weights = n.data(), n.constant(3 if n.op == "QLinearMatMul" else 1)
    if len(weights.shape) != 2:
        raise Unread(f"its matrix has shape {weights.shape}, not two axes")
    outputs = weights.shape[1]
    like: Layer = net_layers.Dense(outputs, False) if len(b.shape(x)) == 1 else Project(outputs)
    return _quantised(b, n, x, like, weights=_transposed(weights))


def _quantised(b: Builder, n: Node, x: Data, like: Layer, **arrays: Constant) -> Data:
    shape = like.out_shape(b.shape(x))
    layer = Opaque(n.op, shape, "it is quantised: it rounds and saturates", like)
    return b.add(layer, x, **arrays)


def _conv_transpose(b: Builder, n: Node) -> Value:
    x, kernel = n.data(), n.constant(1)
    shape = b.shape(x)
    dims = dims_of(shape)
    _check_axes(kernel, dims)
    steps, groups, bias = _steps(n, dims), n.get("group", 1), _biased(n)
    extra = tuple(n.get("output_padding") or [0] * dims)
    target = n.get("output_shape")
    if target:
        steps["padding"], extra = _padding_for(n, shape, kernel.shape[2:], steps, target, extra)
    layer = net_layers.ConvTranspose(
        kernel.shape[1] * groups,
        short(kernel.shape[2:]),
        **steps,
        output_padding=short(extra),
        groups=groups,
        bias=bool(bias),
    )
    return b.add(layer, x, kernel=kernel, **bias)


def _padding_for(
    n: Node,
    shape: Shape,
    taps: tuple[int, ...],
    steps: Mapping[str, Any],
    target: Sequence[int],
    extra: tuple[int, ...],
) -> tuple[Any, Any]:
    """Return the padding and the output padding of a ConvTranspose for a given output shape."""
    dims = len(taps)
    spread = [
        v if isinstance(v, tuple) else (v,) * dims for v in (steps["stride"], steps["dilation"])
    ]
    sizes = zip(shape[1:], taps, *spread, extra, target[-dims:], strict=True)
    surplus = [transposed_size(m, k, s, d, 0, 0) + e - w for m, k, s, d, e, w in sizes]
    halves = [(max(t, 0) // 2, max(t, 0) - max(t, 0) // 2) for t in surplus]
    upper = n.get("auto_pad") == "SAME_UPPER"
    padding = tuple(pair if upper else pair[::-1] for pair in halves)
    return padding, tuple(e + max(-t, 0) for e, t in zip(extra, surplus, strict=True))


def _pool(kind: Callable[..., Layer], b: Builder, n: Node) -> Value:
    x = n.data()
    if len(n.proto.output) > 1 and n.proto.output[1]:
        raise Unread("its second output, the indices of the maxima, is used")
    dims = dims_of(b.shape(x))
    options = _steps(n, dims)
    # With auto_pad, ONNX computes sizes by rules in which ceil_mode has no effect.
    explicit = n.get("auto_pad", "NOTSET") == "NOTSET"
    options["ceil_mode"] = bool(n.get("ceil_mode", 0)) and explicit
    if kind is net_layers.AvgPool:
        options["count_include_pad"] = bool(n.get("count_include_pad", 0))
    if kind is LpPool:
        options["p"] = int(n.get("p", 2))
    return b.add(kind(short(tuple(n.get("kernel_shape") or ())), **options), x)


def _global_norm(b: Builder, n: Node) -> Value:
    x = n.data()
    shape = b.shape(x)
    dims_of(shape)
    return b.add(LpPool(short(tuple(shape[1:])), p=int(n.get("p", 2))), x)


def _globally(kind: Callable[[], Layer], b: Builder, n: Node) -> Value:
    x = n.data()
    dims_of(b.shape(x))
    return b.add(kind(), x)


def _reduced(kind: Callable[[], Layer], b: Builder, n: Node) -> Value:
    """Convert a mean or maximum over all spatial axes."""
    x = n.data()
    shape = b.shape(x)
    rank = len(shape) + 1
    axes = n.get("axes") or (n.optional_numbers(1) if len(n.inputs) > 1 else None)
    if axes is None or sorted(int(a) % rank for a in axes) != list(range(2, rank)):
        raise Unread(f"it reduces axes {axes}, not the spatial axes")
    pooled = b.add(kind(), x)
    return pooled if n.get("keepdims", 1) else b.add(net_layers.Flatten(), pooled)


def _batch_norm(b: Builder, n: Node) -> Value:
    if n.get("training_mode", 0):
        raise Unread("it is in training mode")
    names = ("scale", "offset", "mean", "variance")
    arrays = {name: n.constant(k + 1) for k, name in enumerate(names)}
    return b.add(net_layers.BatchNorm(float(n.get("epsilon", 1e-5))), n.data(), **arrays)


def _lrn(b: Builder, n: Node) -> Value:
    size = n.get("size", 0)
    if size % 2 == 0:
        raise Unread(f"its window of {size} channels has no middle channel")
    values = n.get("alpha", 1e-4), n.get("beta", 0.75), n.get("bias", 1.0)
    return b.add(net_layers.LRN(size, *map(float, values)), n.data())


def _without_options(layer: Layer, b: Builder, n: Node) -> Value:
    return b.add(layer, n.data())


def _leaky(b: Builder, n: Node) -> Value:
    return b.add(net_layers.LeakyReLU(float(n.get("alpha", 0.01))), n.data())


def _numbered(function: str, names: dict[str, float], b: Builder, n: Node) -> Value:
    """Convert an elementwise function whose parameters are attributes."""
    numbers = tuple(float(n.get(name, value)) for name, value in names.items())
    return b.add(Pointwise(function, numbers), n.data())


def _clip(b: Builder, n: Node) -> Value:
    bounds = []
    for index, (name, value) in enumerate((("min", -math.inf), ("max", math.inf)), start=1):
        given = n.optional_numbers(index) if n.version >= 11 else [n.get(name, value)]
        bounds.append(float((given or [value])[0]))
    return b.add(Pointwise("clip", tuple(bounds)), n.data())


def _power(b: Builder, n: Node) -> Value:
    exponent = n.numbers(1)
    if len(exponent) != 1:
        raise Unread(f"its exponent has {len(exponent)} entries, not one")
    is_integer = exponent[0] == int(exponent[0]) if math.isfinite(exponent[0]) else False
    return b.add(Pointwise("power", (int(exponent[0]) if is_integer else exponent[0],)), n.data())


def _gelu(b: Builder, n: Node) -> Value:
    if n.get("approximate", "none") != "none":
        raise Unread("it is the approximate GELU")
    return b.add(Pointwise("gelu"), n.data())


def softmax_axis(n: Node, shape: Shape) -> int:
    """Return the axis of a softmax, where axis 0 is the batch.

    Raises: Unread for a sum over several axes or over the batch.
    """
    rank = len(shape) + 1
    axis = int(n.get("axis", -1 if n.version >= 13 else 1)) % rank
    if n.version < 13 and any(m != 1 for m in shape[axis:]):
        # Before version 13, the sum is over all axes from this axis on.
        raise Unread(f"it sums over axis {axis} and all later axes, as in version {n.version}")
    if not axis:
        raise Unread("it sums over the batch")
    return axis


def _softmax(b: Builder, n: Node) -> Value:
    x = n.data()
    axis = softmax_axis(n, b.shape(x))
    return b.add(net_layers.Softmax() if axis == 1 else SoftmaxAlong(axis - 1), x)


def _dropout(b: Builder, n: Node) -> Value:
    training = n.optional_numbers(2)
    if training and training[0]:
        raise Unread("it is in training mode")
    given = n.optional_numbers(1)
    rate = float(given[0] if given else n.get("ratio", 0.5))
    return b.add(net_layers.Dropout(round(rate, 6)), n.data())


# Matrices.


def _gemm(b: Builder, n: Node) -> Value:
    x, weights = n.data(), n.constant(1)
    if n.get("transA", 0) or len(b.shape(x)) != 1 or len(weights.shape) != 2:
        raise Unread("it is not the product of a matrix and a vector for each sample")
    alpha, beta = float(n.get("alpha", 1.0)), float(n.get("beta", 1.0))
    matrix = weights if n.get("transB", 0) else _transposed(weights)
    outputs = matrix.shape[0]
    arrays = {"weights": _scaled(matrix, alpha)}
    if n.given(2) is not None:
        bias = n.constant(2)
        if bias.size not in (1, outputs) or bias.shape[-1:] not in ((), (1,), (outputs,)):
            raise Unread(f"its bias has shape {bias.shape}, not ({outputs},)")
        spread = bias.moved((outputs,), lambda v: np.broadcast_to(v.ravel(), (outputs,)))
        arrays["bias"] = _scaled(spread, beta)
    return b.add(net_layers.Dense(outputs, "bias" in arrays), x, **arrays)


def _matmul(b: Builder, n: Node) -> Value:
    x, weights = n.data(), n.constant(1)
    if len(weights.shape) != 2:
        raise Unread(f"its matrix has shape {weights.shape}, not two axes")
    matrix = _transposed(weights)
    outputs = matrix.shape[0]
    layer: Layer = net_layers.Dense(outputs, False) if len(b.shape(x)) == 1 else Project(outputs)
    return b.add(layer, x, weights=matrix)


def _transposed(matrix: Constant) -> Constant:
    return matrix.moved(matrix.shape[::-1], lambda v: np.ascontiguousarray(v.T))


def _scaled(array: Constant, factor: float) -> Constant:
    if factor == 1:
        return array
    return array.moved(array.shape, lambda v: v * v.dtype.type(factor))


# Sums and products of branches, or with constants.


def _added(b: Builder, n: Node) -> Value:
    first, second = n.given(0), n.given(1)
    if isinstance(first, Data) and isinstance(second, Data):
        return b.add(net_layers.Add(), *_both(b, n))
    if isinstance(second, Data):
        return shifted(b, n.data(1), n.constant(0))
    return shifted(b, n.data(0), n.constant(1))


def _summed(b: Builder, n: Node) -> Value:
    if len(n.inputs) == 1:
        return n.data()
    parts = [n.data(k) for k in range(len(n.inputs))]
    return b.add(net_layers.Add(), *parts)


def _subtracted(b: Builder, n: Node) -> Value:
    first, second = n.given(0), n.given(1)
    if isinstance(second, Data):
        minus = b.add(Scale(), n.data(1), scale=_minus_one())
        if isinstance(first, Data):
            data = widest(b, n.data(0), minus)
            return b.add(net_layers.Add(), *data)
        return shifted(b, minus, n.constant(0))
    return shifted(b, n.data(0), _mapped(n.constant(1), np.negative))


def _multiplied(b: Builder, n: Node) -> Value:
    first, second = n.given(0), n.given(1)
    if isinstance(first, Data) and isinstance(second, Data):
        return b.add(Product(), b.add(net_layers.Concat(), *_both(b, n)))
    if isinstance(second, Data):
        return times(b, n.data(1), n.constant(0))
    return times(b, n.data(0), n.constant(1))


def _divided(b: Builder, n: Node) -> Value:
    if isinstance(n.given(1), Data):
        # A division by data becomes a multiplication by their reciprocals.
        inverse = b.add(Pointwise("power", (-1,)), n.data(1))
        if isinstance(n.given(0), Data):
            parts = widest(b, n.data(0), inverse)
            return b.add(Product(), b.add(net_layers.Concat(), *parts))
        return times(b, inverse, n.constant(0))
    return times(b, n.data(0), _mapped(n.constant(1), np.reciprocal))


def _minus_one() -> Constant:
    return stored(np.float32(-1))


def _mapped(array: Constant, function: Callable[[Array], Array]) -> Constant:
    if array.dtype.kind != "f":
        raise Unread(f"its constant has the type {array.dtype}, not a floating-point type")

    def values(v: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(v))

    return array.moved(array.shape, values)


def _both(b: Builder, n: Node) -> tuple[Data, Data]:
    return widest(b, n.data(0), n.data(1))


def widest(b: Builder, first: Data, second: Data) -> tuple[Data, Data]:
    """Append layers that broadcast two data to a common shape, where that is needed."""
    shapes = b.shape(first), b.shape(second)
    if shapes[0] == shapes[1]:
        return first, second
    if len(shapes[0]) != len(shapes[1]) or any(is_symbolic(k) for s in shapes for k in s):
        raise Unread(f"its inputs of shapes {shapes[0]} and {shapes[1]} are not broadcast")
    try:
        common = np.broadcast_shapes(*shapes)
    except ValueError as error:
        raise Unread(str(error)) from None
    return b.spread(first, common), b.spread(second, common)


def _aligned(b: Builder, x: Data, array: Constant) -> Constant:
    """Return a constant without its batch axis. Raises: Unread if samples have different values."""
    if array.absent:
        # The constant may stand for data, such as a second image.
        raise Unread(f"the entries of its other input are not available: {array.absent}")
    rank = len(b.shape(x)) + 1
    if len(array.shape) > rank or (len(array.shape) == rank and array.shape[0] != 1):
        raise Unread(f"its constant of shape {array.shape} is not the same for all samples")
    shape = array.shape[1:] if len(array.shape) == rank else array.shape
    if array.size == 1:
        shape = ()
    return array.moved(shape, lambda v: v.reshape(shape))


def times(b: Builder, x: Data, array: Constant) -> Data:
    """Append a Scale: the product of data and a constant."""
    own = _aligned(b, x, array)
    return b.add(Scale(own.shape), x, scale=own)


def shifted(b: Builder, x: Data, array: Constant) -> Data:
    """Append a Shift: the sum of data and a constant."""
    own = _aligned(b, x, array)
    return b.add(Shift(own.shape), x, bias=own)


RULES: dict[str, tuple[tuple[int, ...], Callable[[Builder, Node], Any]]] = {
    "Conv": ((1, 11, 22), _conv),
    "ConvTranspose": ((1, 11, 22), _conv_transpose),
    "QLinearConv": ((10,), _conv_of_integers),
    "ConvInteger": ((10,), _conv_of_integers),
    "QLinearMatMul": ((10, 21), _product_of_integers),
    "MatMulInteger": ((10,), _product_of_integers),
    "MaxPool": ((1, 8, 10, 11, 12, 22), partial(_pool, net_layers.MaxPool)),
    "AveragePool": ((7, 10, 11, 19, 22), partial(_pool, net_layers.AvgPool)),
    "LpPool": ((2, 11, 18, 22), partial(_pool, LpPool)),
    "GlobalLpPool": ((2, 22), _global_norm),
    "GlobalAveragePool": ((1, 22), partial(_globally, net_layers.GlobalAvgPool)),
    "GlobalMaxPool": ((1, 22), partial(_globally, net_layers.GlobalMaxPool)),
    "ReduceMean": ((1, 11, 13, 18), partial(_reduced, net_layers.GlobalAvgPool)),
    "ReduceMax": ((1, 11, 12, 13, 18, 20), partial(_reduced, net_layers.GlobalMaxPool)),
    "BatchNormalization": ((7, 9, 14, 15), _batch_norm),
    "LRN": ((1, 13), _lrn),
    "Relu": ((6, 13, 14), partial(_without_options, net_layers.ReLU())),
    "Sigmoid": ((6, 13), partial(_without_options, net_layers.Sigmoid())),
    "Tanh": ((6, 13), partial(_without_options, net_layers.Tanh())),
    "LeakyRelu": ((6, 16), _leaky),
    "Abs": ((6, 13), partial(_without_options, Pointwise("abs"))),
    "Exp": ((6, 13), partial(_without_options, Pointwise("exp"))),
    "Log": ((6, 13), partial(_without_options, Pointwise("log"))),
    "Sqrt": ((6, 13), partial(_without_options, Pointwise("sqrt"))),
    "Erf": ((9, 13), partial(_without_options, Pointwise("erf"))),
    "Softplus": ((1, 22), partial(_without_options, Pointwise("softplus"))),
    "HardSwish": ((14, 22), partial(_without_options, Pointwise("hard_swish"))),
    "HardSigmoid": (
        (6, 22),
        partial(_numbered, "hard_sigmoid", {"alpha": 0.2, "beta": 0.5}),
    ),
    "Elu": ((6, 22), partial(_numbered, "elu", {"alpha": 1.0})),
    "Gelu": ((20,), _gelu),
    "Clip": ((6, 11, 12, 13), _clip),
    "Pow": ((7, 12, 13, 15), _power),
    "Softmax": ((1, 11, 13), _softmax),
    "Dropout": ((7, 10, 12, 13, 22), _dropout),
    "Gemm": ((7, 9, 11, 13), _gemm),
    "MatMul": ((1, 9, 13), _matmul),
    "Add": ((7, 13, 14), _added),
    "Sum": ((6, 8, 13), _summed),
    "Sub": ((7, 13, 14), _subtracted),
    "Mul": ((7, 13, 14), _multiplied),
    "Div": ((7, 13, 14), _divided),
}
"""The supported versions of each operator, and the function that converts a node to layers."""
