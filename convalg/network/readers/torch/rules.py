"""Rules that convert modules and functions of PyTorch to layers.

The parameters of a rule for a function have the names that PyTorch uses for them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, SupportsFloat, TypeAlias

import numpy as np

from convalg.axis import Boundary
from convalg.network import layers as net_layers
from convalg.network.layers.base import Layer
from convalg.network.layers.pointwise import Pointwise
from convalg.network.layers.rearrange import Permute, Project, Resize, Slice, SoftmaxAlong
from convalg.network.layers.scale import Product, Scale, Shift
from convalg.network.readers.onnx.builder import Builder, Data, Unread, dims_of
from convalg.network.readers.onnx.layer_rules import shifted, times, widest
from convalg.network.readers.onnx.tensors import Constant, stored

# Long because each function of PyTorch has a rule with its signature, and all share two tables.

if TYPE_CHECKING:
    import torch
    from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
    from torch.nn.modules.padding import _ConstantPadNd

Weights: TypeAlias = "torch.Tensor | Data"
Bound: TypeAlias = SupportsFloat | None
BOUNDARIES: dict[str, Boundary] = {
    "zeros": "zeros",
    "constant": "zeros",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "circular",
}


@dataclass(frozen=True)
class Origins:
    """The data from which an opaque node with several outputs is computed."""

    data: tuple[Data, ...]


@dataclass(frozen=True)
class Context:
    """The network to which layers are added, and the output of the node when the module was run."""

    b: Builder
    output: Any

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample of the output."""
        return tuple(self.output.shape[1:])


def array(tensor: torch.Tensor) -> Constant:
    """Return a copy of a tensor as a constant; half precision becomes float32."""
    own = tensor.detach().cpu()
    own = own.float() if str(own.dtype) in ("torch.bfloat16", "torch.float16") else own
    made = stored(own.numpy().copy())
    made.origin = tensor
    return made


def function_layers(
    c: Context, name: str, args: Sequence[object], kwargs: Mapping[str, object]
) -> Any:
    """Convert a function or method to layers. Raises: Unread if there are none."""
    rule = FUNCTIONS.get(name.removesuffix("_") if not name.startswith("_") else name)
    if rule is None:
        raise Unread("this function has no layer")
    kwargs = {k: v for k, v in kwargs.items() if k not in ("inplace", "training", "_stacklevel")}
    try:
        bound = inspect.signature(rule).bind(c, *args, **kwargs)
    except TypeError as error:
        raise Unread(f"its arguments are not supported: {error}") from None
    return rule(*bound.args, **bound.kwargs)


def module_layers(c: Context, part: object, *args: object, **kwargs: object) -> Any:
    """Convert a module to layers. Raises: Unread if there are none."""
    rule = MODULES.get(type(part).__name__)
    if rule is None or not type(part).__module__.startswith("torch.nn"):
        raise Unread("this module has no layer")
    if len(args) != 1 or kwargs or not _is_sample(args[0]):
        raise Unread("it has more than one input")
    return rule(c, part, args[0])


def _is_sample(x: object) -> bool:
    return isinstance(x, Data) and x.batched


def _data(x: object) -> Data:
    """Return an argument if it is data of a batch. Raises: Unread otherwise."""
    if not isinstance(x, Data) or not x.batched:
        raise Unread("the first axis of its input is not the batch")
    return x


# Modules.


def _conv(c: Context, m: _ConvNd, x: Data) -> Data:
    steps = (m.stride, m.padding, m.dilation, m.groups)
    return _convolved(c, x, m.weight, m.bias, *steps, boundary=BOUNDARIES[m.padding_mode])


def _convolved(
    c: Context,
    input: object,
    weight: Weights,
    bias: Weights | None = None,
    stride: object = 1,
    padding: object = 0,
    dilation: object = 1,
    groups: int = 1,
    *,
    boundary: Boundary = "zeros",
) -> Data:
    arrays = _arrays("kernel", weight, bias)
    shape = arrays["kernel"].shape
    layer = net_layers.Conv(
        shape[0],
        _short(shape[2:]),
        stride=_short(stride),
        padding=padding if isinstance(padding, str) else _short(padding),
        dilation=_short(dilation),
        groups=groups,
        bias="bias" in arrays,
        boundary=boundary,
    )
    return c.b.add(layer, _data(input), **arrays)


def _arrays(name: str, weight: Weights, bias: Weights | None) -> dict[str, Constant]:
    """Return weights and an optional bias as constants. Raises: Unread if they are data."""
    if isinstance(weight, Data) or isinstance(bias, Data):
        raise Unread("its weights are computed from the input")
    return {name: array(weight)} | ({} if bias is None else {"bias": array(bias)})


def _conv_transpose(c: Context, m: _ConvTransposeNd, x: Data) -> Data:
    arrays = _arrays("kernel", m.weight, m.bias)
    layer = net_layers.ConvTranspose(
        m.out_channels,
        _short(m.kernel_size),
        stride=_short(m.stride),
        padding=_short(m.padding),
        output_padding=_short(m.output_padding),
        dilation=_short(m.dilation),
        groups=m.groups,
        bias="bias" in arrays,
    )
    return c.b.add(layer, x, **arrays)


def _projected(c: Context, input: object, weight: Weights, bias: Weights | None = None) -> Data:
    x, arrays = _data(input), _arrays("weights", weight, bias)
    outputs = arrays["weights"].shape[0]
    if len(c.b.shape(x)) == 1:
        return c.b.add(net_layers.Dense(outputs, "bias" in arrays), x, **arrays)
    y = c.b.add(Project(outputs), x, weights=arrays["weights"])
    return y if bias is None else c.b.add(Shift((outputs,)), y, bias=arrays["bias"])


def _batch_norm(c: Context, m: torch.nn.BatchNorm2d, x: Data) -> Data:
    if m.running_mean is None or m.running_var is None:
        raise Unread("it has no running statistics")
    ones = np.ones(m.num_features, np.float32)
    arrays = {
        "scale": stored(ones) if m.weight is None else array(m.weight),
        "offset": stored(0 * ones) if m.bias is None else array(m.bias),
        "mean": array(m.running_mean),
        "variance": array(m.running_var),
    }
    return c.b.add(net_layers.BatchNorm(m.eps), x, **arrays)


def _lrn(c: Context, m: torch.nn.LocalResponseNorm, x: Data) -> Data:
    return c.b.add(net_layers.LRN(m.size, m.alpha, m.beta, m.k), x)


def _prelu(c: Context, m: torch.nn.PReLU, x: Data) -> Data:
    if m.weight.numel() != 1:
        raise Unread("it has a slope for each channel")
    return c.b.add(net_layers.LeakyReLU(float(m.weight)), x)


def _module(function: str, *names: str) -> Callable[..., Any]:
    """Return the rule for a module that calls a function with attributes of the module."""

    def rule(c: Context, m: object, x: Data) -> Any:
        return FUNCTIONS[function](c, x, **{name: getattr(m, name) for name in names})

    return rule


def _padding_module(mode: str) -> Callable[..., Any]:
    """Return the rule for a padding module."""

    def rule(c: Context, m: _ConstantPadNd, x: Data) -> Any:
        return _pad(c, x, m.padding, mode, getattr(m, "value", None))

    return rule


# Functions.


def _without_options(layer: Layer) -> Callable[..., Any]:
    """Return the rule for a function without further arguments."""

    def rule(c: Context, input: object) -> Data:
        return c.b.add(layer, _data(input))

    return rule


def _same(c: Context, input: object, *unused: object, **also: object) -> Any:
    return _data(input)


def _dropout(c: Context, input: object, p: float = 0.5) -> Data:
    return c.b.add(net_layers.Dropout(p), _data(input))


def _leaky(c: Context, input: object, negative_slope: float = 0.01) -> Data:
    return c.b.add(net_layers.LeakyReLU(negative_slope), _data(input))


def _clip(c: Context, input: object, min_val: Bound = -1.0, max_val: Bound = 1.0) -> Data:
    low = -math.inf if min_val is None else float(min_val)
    high = math.inf if max_val is None else float(max_val)
    return c.b.add(Pointwise("clip", (low, high)), _data(input))


def _clamp(c: Context, input: object, min: Bound = None, max: Bound = None) -> Data:
    return _clip(c, input, min, max)


def _elu(c: Context, input: object, alpha: float = 1.0) -> Data:
    return c.b.add(Pointwise("elu", (alpha,)), _data(input))


def _gelu(c: Context, input: object, approximate: str = "none") -> Data:
    if approximate != "none":
        raise Unread("it is the approximate GELU")
    return c.b.add(Pointwise("gelu"), _data(input))


def _softmax(c: Context, input: object, dim: int | None = None, dtype: object = None) -> Data:
    x = _data(input)
    axis = None if dim is None else dim % (len(c.b.shape(x)) + 1)
    if not axis:
        raise Unread(f"it sums over axis {dim}")
    return c.b.add(net_layers.Softmax() if axis == 1 else SoftmaxAlong(axis - 1), x)


def _pool(kind: Callable[..., Layer]) -> Callable[..., Any]:
    """Return the rule for a pooling function."""

    def rule(
        c: Context,
        input: object,
        kernel_size: object,
        stride: object = None,
        padding: object = 0,
        dilation: object = 1,
        ceil_mode: bool = False,
        return_indices: bool = False,
    ) -> Data:
        if return_indices:
            raise Unread("its second output, the indices of the maxima, is used")
        options = {"padding": _short(padding), "dilation": _short(dilation)}
        size, step = _short(kernel_size), _step(stride)
        layer = kind(size, stride=step, ceil_mode=bool(ceil_mode), **options)
        return c.b.add(layer, _data(input))

    return rule


def _step(stride: object) -> Any:
    """Return the stride of a pooling; None if it is the kernel size."""
    return None if stride is None or stride == () else _short(stride)


def _avg_pool(
    c: Context,
    input: object,
    kernel_size: object,
    stride: object = None,
    padding: object = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: object = None,
) -> Data:
    if divisor_override is not None:
        raise Unread(f"it divides by {divisor_override}, not by the number of samples")
    layer = net_layers.AvgPool(
        _short(kernel_size),
        stride=_step(stride),
        padding=_short(padding),
        ceil_mode=bool(ceil_mode),
        count_include_pad=bool(count_include_pad),
    )
    return c.b.add(layer, _data(input))


def _adaptive_avg(c: Context, input: object, output_size: object) -> Data:
    x = _data(input)
    dims_of(c.b.shape(x))
    sizes = c.shape[1:]
    is_global = all(m == 1 for m in sizes)
    return c.b.add(
        net_layers.GlobalAvgPool() if is_global else net_layers.AdaptiveAvgPool(_short(sizes)), x
    )


def _adaptive_max(
    c: Context, input: object, output_size: object, return_indices: bool = False
) -> Data:
    if return_indices or any(m != 1 for m in c.shape[1:]):
        raise Unread(f"its output has the spatial shape {c.shape[1:]}, or also the indices")
    return c.b.add(net_layers.GlobalMaxPool(), _data(input))


def _mean(
    c: Context, input: object, dim: int | Sequence[int] | None = None, keepdim: bool = False
) -> Data:
    x = _data(input)
    rank = len(c.b.shape(x)) + 1
    axes = [] if dim is None else [dim] if isinstance(dim, int) else list(dim)
    if sorted(a % rank for a in axes) != list(range(2, rank)) or rank < 3:
        raise Unread(f"it is the mean over axes {dim}, not over the spatial axes")
    pooled = c.b.add(net_layers.GlobalAvgPool(), x)
    return pooled if keepdim else c.b.add(net_layers.Flatten(), pooled)


def _interpolate(
    c: Context,
    input: object,
    size: object = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: object = None,
    recompute_scale_factor: object = None,
    antialias: bool = False,
) -> Data:
    x = _data(input)
    linear = mode in ("linear", "bilinear", "trilinear")
    if antialias or not (linear or mode in ("nearest", "nearest-exact")):
        raise Unread(f"it interpolates with mode {mode}, or with antialiasing")
    before, after = c.b.shape(x)[1:], c.shape[1:]
    given = None if size is not None or recompute_scale_factor else scale_factor
    if given is None:
        scales = [Fraction(m, n) for n, m in zip(before, after, strict=True)]
    else:
        each = given if isinstance(given, Sequence) else [given] * len(before)
        scales = [Fraction(float(s)) for s in each]
    factor = set(scales)
    corners = bool(align_corners) and linear
    if len(factor) == 1 and scales[0].denominator == 1 and scales[0] > 1:
        name: Any = "linear" if linear else "nearest"
        return c.b.add(net_layers.Upsample(int(scales[0]), name, align_corners=corners), x)
    scale = None if given is None else tuple(scales)
    if corners:
        return c.b.add(Resize(after, "linear", "align_corners"), x)
    if linear:
        return c.b.add(Resize(after, "linear", "half_pixel", scale=scale), x)
    if mode == "nearest":
        return c.b.add(Resize(after, "nearest", "asymmetric", "floor", scale), x)
    return c.b.add(Resize(after, "nearest", "half_pixel", "round_prefer_ceil", scale), x)


def _upsample(c: Context, m: torch.nn.Upsample, x: Data) -> Data:
    return _interpolate(
        c, x, m.size, m.scale_factor, m.mode, m.align_corners, m.recompute_scale_factor
    )


def _flatten(c: Context, input: object, start_dim: int = 0, end_dim: int = -1) -> Data:
    x = _data(input)
    rank = len(c.b.shape(x)) + 1
    if start_dim % rank != 1 or end_dim % rank != rank - 1:
        raise Unread(f"it flattens axes {start_dim} to {end_dim}, not all after the batch")
    return c.b.add(net_layers.Flatten(), x) if rank > 2 else x


def _reshape(c: Context, input: object, *shape: object) -> Data:
    x = _data(input)
    if tuple(c.output.shape)[:1] != (1,) or c.output.ndim < 2:
        raise Unread(f"its shape {tuple(c.output.shape)} does not keep the batch as its first axis")
    if len(c.shape) == 1 and len(c.b.shape(x)) > 1:
        return c.b.add(net_layers.Flatten(), x)
    return c.b.reshaped(x, c.shape)


def _squeeze(c: Context, input: object, dim: object = None) -> Data:
    if dim is None or dim == 0:
        raise Unread("it treats the batch as an axis of size 1")
    return _reshape(c, input)


def _permute(c: Context, input: object, *dims: Any) -> Data:
    x = _data(input)
    order = dims[0] if len(dims) == 1 else dims
    rank = len(c.b.shape(x)) + 1
    axes = [int(k) % rank for k in order]
    if axes[0]:
        raise Unread(f"its order {tuple(order)} of the axes moves the batch")
    return c.b.add(Permute(tuple(k - 1 for k in axes[1:])), x)


def _transpose(c: Context, input: object, dim0: int, dim1: int) -> Data:
    rank = len(c.b.shape(_data(input))) + 1
    order = list(range(rank))
    order[dim0], order[dim1] = order[dim1 % rank], order[dim0 % rank]
    return _permute(c, input, order)


def _cat(c: Context, tensors: Iterable[object], dim: int = 0) -> Data:
    parts = [_data(tensor) for tensor in tensors]
    if dim % (len(c.shape) + 1) != 1:
        raise Unread(f"it concatenates along axis {dim}, not along the channels")
    return c.b.add(net_layers.Concat(), *parts) if len(parts) > 1 else parts[0]


def _chunk(c: Context, input: object, chunks: object, dim: int = 0) -> list[Data]:
    x = _data(input)
    axis = dim % (len(c.b.shape(x)) + 1)
    if not axis:
        raise Unread("it splits the batch")
    slices, start = [], 0
    for part in c.output:
        stop = start + part.shape[axis]
        slices.append(c.b.add(Slice(axis - 1, start, stop), x))
        start = stop
    return slices


def _getitem(c: Context, input: object, index: object) -> Any:
    if isinstance(input, list) and isinstance(index, int):
        return input[index]
    x = _data(input)
    parts = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, slice) for part in parts):
        raise Unread(f"it is indexed by {index}")
    for axis, (part, size) in enumerate(zip(parts, c.b.full_shape(x), strict=False)):
        start, stop, step = part.indices(size)
        if (start, stop, step) == (0, size, 1):
            continue
        if not axis or step < 1 or start >= stop:
            raise Unread(f"it is indexed by {index}")
        x = c.b.add(Slice(axis - 1, start, stop, step), x)
    return x


def _pad(
    c: Context, input: object, pad: Sequence[int], mode: str = "constant", value: object = None
) -> Data:
    x = _data(input)
    dims = dims_of(c.b.shape(x))
    if mode not in BOUNDARIES or (mode == "constant" and value):
        raise Unread(f"it pads with {value} in mode {mode}")
    # PyTorch lists the axes from the last to the first.
    given = list(zip(pad[::2], pad[1::2], strict=True))[::-1]
    if len(given) > dims:
        raise Unread("it pads channels")
    amounts = [(0, 0)] * (dims - len(given)) + given
    return c.b.add(net_layers.Pad(tuple(amounts), BOUNDARIES[mode]), x)


def _add(c: Context, input: object, other: object, alpha: object = 1) -> Data:
    first, second = (input, other) if isinstance(input, Data) else (other, input)
    if alpha != 1:
        raise Unread(f"it adds {alpha} times its input")
    if isinstance(second, Data):
        return c.b.add(net_layers.Add(), *widest(c.b, _data(first), _data(second)))
    return shifted(c.b, _data(first), _number(second))


def _subtract(c: Context, input: object, other: Any, alpha: object = 1) -> Data:
    if not isinstance(other, Data):
        return _add(c, input, -other, alpha)
    minus = c.b.add(Scale(), _data(other), scale=stored(np.float32(-1)))
    return _add(c, input, minus, alpha)


def _multiply(c: Context, input: object, other: object) -> Data:
    first, second = (input, other) if isinstance(input, Data) else (other, input)
    if isinstance(second, Data):
        parts = widest(c.b, _data(first), _data(second))
        return c.b.add(Product(), c.b.add(net_layers.Concat(), *parts))
    return times(c.b, _data(first), _number(second))


def _divide(c: Context, input: object, other: Any) -> Data:
    if isinstance(other, Data) or not isinstance(input, Data):
        raise Unread("it divides by data")
    return _multiply(c, input, 1 / other)


def _number(value: Any) -> Constant:
    return array(value) if hasattr(value, "detach") else stored(np.float32(value))


def _short(values: object) -> Any:
    """Return one number if all axes have the same one, and other values unchanged."""
    if not isinstance(values, (tuple, list)):
        return values
    return values[0] if len(set(values)) == 1 else tuple(values)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "relu": _without_options(net_layers.ReLU()),
    "sigmoid": _without_options(net_layers.Sigmoid()),
    "tanh": _without_options(net_layers.Tanh()),
    "relu6": _without_options(Pointwise("clip", (0.0, 6.0))),
    "silu": _without_options(Pointwise("swish")),
    "hardswish": _without_options(Pointwise("hard_swish")),
    "hardsigmoid": _without_options(Pointwise("hard_sigmoid", (1 / 6, 0.5))),
    "exp": _without_options(Pointwise("exp")),
    "sqrt": _without_options(Pointwise("sqrt")),
    "abs": _without_options(Pointwise("abs")),
    "linear": _projected,
    "leaky_relu": _leaky,
    "hardtanh": _clip,
    "clamp": _clamp,
    "elu": _elu,
    "gelu": _gelu,
    "softmax": _softmax,
    "dropout": _dropout,
    "dropout1d": _dropout,
    "dropout2d": _dropout,
    "dropout3d": _dropout,
    "mean": _mean,
    "interpolate": _interpolate,
    "flatten": _flatten,
    "view": _reshape,
    "reshape": _reshape,
    "unsqueeze": _squeeze,
    "squeeze": _squeeze,
    "permute": _permute,
    "transpose": _transpose,
    "contiguous": _same,
    "clone": _same,
    "cat": _cat,
    "concat": _cat,
    "chunk": _chunk,
    "split": _chunk,
    "getitem": _getitem,
    "pad": _pad,
    "add": _add,
    "iadd": _add,
    "sub": _subtract,
    "mul": _multiply,
    "imul": _multiply,
    "truediv": _divide,
    "div": _divide,
}
"""The rule for each function or method by its name, without the underscore of in-place variants."""

MODULES: dict[str, Callable[..., Any]] = {
    "Linear": lambda c, m, x: _projected(c, x, m.weight, m.bias),
    "LocalResponseNorm": _lrn,
    "PReLU": _prelu,
    "Identity": lambda c, m, x: x,
    "Flatten": _module("flatten", "start_dim", "end_dim"),
    "Upsample": _upsample,
    "UpsamplingNearest2d": _upsample,
    "UpsamplingBilinear2d": _upsample,
    "ReLU": _module("relu"),
    "ReLU6": _module("relu6"),
    "SiLU": _module("silu"),
    "Hardswish": _module("hardswish"),
    "Hardsigmoid": _module("hardsigmoid"),
    "Hardtanh": _module("hardtanh", "min_val", "max_val"),
    "Sigmoid": _module("sigmoid"),
    "Tanh": _module("tanh"),
    "LeakyReLU": _module("leaky_relu", "negative_slope"),
    "ELU": _module("elu", "alpha"),
    "GELU": _module("gelu", "approximate"),
    "Softmax": _module("softmax", "dim"),
    "Dropout": _module("dropout", "p"),
    "ZeroPad1d": _padding_module("constant"),
    "ZeroPad2d": _padding_module("constant"),
}


def _spatial() -> None:
    """Add the rules for functions and modules of one, two and three spatial axes."""
    windows = ("kernel_size", "stride", "padding")
    for d in ("1d", "2d", "3d"):
        FUNCTIONS[f"conv{d}"] = _convolved
        FUNCTIONS[f"max_pool{d}"] = _pool(net_layers.MaxPool)
        FUNCTIONS[f"avg_pool{d}"] = _avg_pool
        FUNCTIONS[f"adaptive_avg_pool{d}"] = _adaptive_avg
        FUNCTIONS[f"adaptive_max_pool{d}"] = _adaptive_max
        MODULES[f"Conv{d}"] = _conv
        MODULES[f"ConvTranspose{d}"] = _conv_transpose
        MODULES[f"BatchNorm{d}"] = _batch_norm
        MODULES[f"Dropout{d}"] = _module("dropout", "p")
        MODULES[f"MaxPool{d}"] = _module(
            f"max_pool{d}", *windows, "dilation", "ceil_mode", "return_indices"
        )
        divisor = () if d == "1d" else ("divisor_override",)
        counted = (*windows, "ceil_mode", "count_include_pad", *divisor)
        MODULES[f"AvgPool{d}"] = _module(f"avg_pool{d}", *counted)
        MODULES[f"AdaptiveAvgPool{d}"] = _module(f"adaptive_avg_pool{d}", "output_size")
        MODULES[f"AdaptiveMaxPool{d}"] = _module(f"adaptive_max_pool{d}", "output_size")
        MODULES[f"ReflectionPad{d}"] = _padding_module("reflect")
        MODULES[f"ReplicationPad{d}"] = _padding_module("replicate")
        MODULES[f"CircularPad{d}"] = _padding_module("circular")
        MODULES[f"ConstantPad{d}"] = _padding_module("constant")


_spatial()
