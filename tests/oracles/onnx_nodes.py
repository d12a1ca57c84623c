"""One node of an ONNX model as convalg layers: the translation that the tests hold to ONNX.

`left_out` says by rule, from the operator's version and attributes, what has no translation, so
that cases of another version of the onnx package are sorted in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

import convalg as ca

Array = np.ndarray
MODES: dict[str, Any] = {
    "constant": "zeros",
    "reflect": "reflect",
    "edge": "edge",
    "wrap": "circular",
}
SAME = {"SAME_UPPER": "same", "SAME_LOWER": "same_lower"}


@dataclass(frozen=True)
class Node:
    """A node with its attributes as Python values and its inputs as arrays (None: not given).

    `mask` is the second output of a dropout, which is drawn and not computed.
    """

    op: str
    version: int
    attributes: dict[str, Any]
    inputs: list[Any]
    outputs: int
    mask: Array | None = None

    def __getitem__(self, name: str) -> Any:
        return self.attributes.get(name)

    def get(self, name: str, default: Any) -> Any:
        return self.attributes.get(name, default)

    def given(self, place: int) -> Array | None:
        """An optional input."""
        return self.inputs[place] if place < len(self.inputs) else None

    @property
    def x(self) -> Array:
        return self.inputs[0]

    @property
    def space(self) -> tuple[int, ...]:
        """The spatial sizes of the first input, (N, C, *space)."""
        return self.x.shape[2:]


def read(model: Any, inputs: list[Any], mask: Any = None) -> Node:
    """The only node of a model, with the inputs in the order of the model's own."""
    from onnx import defs, helper

    (proto,) = model.graph.node
    attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
    words = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}
    opset = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
    rest = iter(inputs)
    # A scalar of a stored case is a NumPy scalar.
    values = [_array(next(rest)) if name else None for name in proto.input]
    version = defs.get_schema(proto.op_type, opset).since_version
    return Node(proto.op_type, version, words, values, len(proto.output), mask)


def _array(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, np.generic) else value


def translate(node: Node) -> list[Array]:
    """The outputs of a node, computed by convalg in float64 (or exactly, for whole numbers)."""
    found = OPERATORS[node.op].outputs(node)
    return found if isinstance(found, list) else [found]


def left_out(node: Node) -> str | None:
    """Why a node has no translation, or None where it has one."""
    operator = OPERATORS[node.op]
    if operator.outputs is nothing:
        return operator.reason(node)
    if node.version not in operator.versions:
        return f"{node.op} as of opset {node.version} is not translated"
    unknown = sorted(set(node.attributes) - set(operator.attributes.split()))
    if unknown:
        return f"attribute {', '.join(unknown)} is not translated"
    if not all(value is None or isinstance(value, np.ndarray) for value in node.inputs):
        return "an input is no tensor"
    if not all(value.size for value in node.inputs[:1]):
        return "an empty tensor has no operator"
    return operator.reason(node)


# Convolutions.


def pairs(pads: Any) -> tuple[tuple[int, int], ...]:
    """ONNX's (all before, all after) as a pair for each axis."""
    half = len(pads) // 2
    return tuple(zip(map(int, pads[:half]), map(int, pads[half:]), strict=True))


def padding(node: Node, dims: int) -> Any:
    """The padding of a layer, in convalg's words."""
    word = node.get("auto_pad", "NOTSET")
    if word in SAME:
        return SAME[word]
    return pairs(node.get("pads", [0] * 2 * dims)) if word == "NOTSET" else 0


def steps(node: Node, dims: int) -> dict[str, Any]:
    return {
        "stride": tuple(node.get("strides", [1] * dims)),
        "dilation": tuple(node.get("dilations", [1] * dims)),
        "padding": padding(node, dims),
    }


def with_bias(operator: ca.Operator, bias: Array | None) -> ca.Map:
    return operator if bias is None else ca.affine(operator, bias)


def conv(node: Node) -> Array:
    options = steps(node, len(node.space)) | {"groups": node.get("group", 1)}
    layer = ca.correlation(node.space, node.inputs[1], **options)
    return with_bias(layer, node.given(2))(node.x)


def conv_integer(node: Node) -> Array:
    x, weights, zero_x, zero_weights = [*node.inputs, None, None][:4]
    wide = weights.astype(np.int64)
    shifted = wide if zero_weights is None else (wide.T - zero_weights.astype(np.int64)).T
    moved = x.astype(np.int64) - (0 if zero_x is None else int(zero_x))
    return conv(Node("Conv", 22, node.attributes, [moved, shifted], 1))


def transposed_reach(node: Node) -> list[int]:
    """How far each axis of a transposed layer without padding goes, with output_padding."""
    taps = node.inputs[1].shape[2:]
    options = steps(node, len(taps))
    extra = node.get("output_padding", [0] * len(taps))
    sizes = zip(node.space, taps, options["stride"], options["dilation"], extra, strict=True)
    return [s * (n - 1) + d * (k - 1) + 1 + e for n, k, s, d, e in sizes]


def conv_transpose(node: Node) -> Array:
    dims = len(node.space)
    options = steps(node, dims) | {"groups": node.get("group", 1)}
    extra = list(node.get("output_padding", [0] * dims))
    wanted = node["output_shape"]
    if wanted:
        # ONNX: the padding follows from the output's shape; what is missing stands behind.
        missing = [
            reach - m for reach, m in zip(transposed_reach(node), wanted[-dims:], strict=True)
        ]
        widths = [max(total, 0) for total in missing]
        halves = [(total // 2, total - total // 2) for total in widths]
        upper = node["auto_pad"] == "SAME_UPPER"
        options["padding"] = tuple(pair if upper else pair[::-1] for pair in halves)
        extra = [e + max(-total, 0) for e, total in zip(extra, missing, strict=True)]
    layer = ca.transposed_correlation(
        node.space, node.inputs[1], output_padding=tuple(extra), **options
    )
    return with_bias(layer, node.given(2))(node.x)


def fold(node: Node) -> Array:
    image, block = (tuple(map(int, node.inputs[k])) for k in (1, 2))
    options = steps(node, len(image))
    channels = node.x.shape[1] // math.prod(block)
    return ca.fold(image, block, channels=channels, **options)(node.x)


# Pooling.


def pooling(node: Node) -> dict[str, Any]:
    options = steps(node, len(node.space)) | {"channels": node.x.shape[1]}
    # By the size rules that ONNX gives for auto_pad, ceil_mode changes nothing: for VALID
    # ceil((n - k + 1) / s) = floor((n - k) / s) + 1.
    explicit = node.get("auto_pad", "NOTSET") == "NOTSET"
    return options | {"ceil_mode": bool(node.get("ceil_mode", 0)) and explicit}


def reads_only_padding(node: Node) -> bool:
    """Whether some window of a pooling holds no sample of the input."""
    options = pooling(node) | {"channels": None}
    samples = ca.sum_pool(node.space, tuple(node["kernel_shape"]), **options)
    return not samples(np.ones(node.space, dtype=np.int64)).all()


def window_reason(node: Node) -> str | None:
    if reads_only_padding(node) and not node.get("count_include_pad", 0):
        return "ONNX does not say what a window in the padding alone gives"
    return None


def average_pool(node: Node) -> Array:
    counted = bool(node.get("count_include_pad", 0))
    options = pooling(node) | {"count_include_pad": counted}
    return ca.average_pool(node.space, tuple(node["kernel_shape"]), **options)(node.x)


def max_pool(node: Node) -> list[Array]:
    pool = ca.max_pool(node.space, tuple(node["kernel_shape"]), **pooling(node))
    places = pool.indices(node.x)
    if node.get("storage_order", 0):
        places = np.ravel_multi_index(np.unravel_index(places, node.space), node.space, order="F")
    # ONNX counts over all samples and channels.
    count, channels = node.x.shape[:2]
    plane = np.arange(count * channels) * math.prod(node.space)
    starts = plane.reshape(count, channels, *[1] * len(node.space))
    return [pool(node.x), places + starts][: node.outputs]


def lp_pool(node: Node) -> Array:
    pool = ca.lp_pool(node.space, tuple(node["kernel_shape"]), node.get("p", 2), **pooling(node))
    return pool(node.x)


def max_unpool(node: Node) -> Array:
    options = steps(node, len(node.space))
    widths = zip(
        node.space, node["kernel_shape"], options["stride"], options["padding"], strict=True
    )
    # The inverse of the size rule of a pooling.
    inner = tuple(s * (n - 1) + k - sum(pad) for n, k, s, pad in widths)
    channels = node.x.shape[1]
    plane = math.prod(inner)
    samples = []
    for value, places in zip(node.x, node.inputs[1] % plane, strict=True):
        layer = ca.max_unpool(places, inner, channels=channels)
        samples.append(layer(value))
    found = np.array(samples)
    wanted = node.given(2)
    if wanted is None:
        return found
    behind = tuple((0, int(m) - n) for m, n in zip(wanted[2:], inner, strict=True))
    return ca.pad(inner, behind, channels=channels)(found)


def globally(make: Callable[..., ca.Map]) -> Callable[[Node], Array]:
    return lambda node: make(node.space, channels=node.x.shape[1])(node.x)


def global_lp_pool(node: Node) -> Array:
    return ca.lp_pool(node.space, node.space, node.get("p", 2), channels=node.x.shape[1])(node.x)


# Entries moved about.


def pad(node: Node) -> Array:
    shape = node.x.shape
    chosen = node.given(3)
    axes = range(len(shape)) if chosen is None else [int(a) % len(shape) for a in chosen]
    widths = dict(zip(axes, pairs(node.inputs[1]), strict=True))
    amounts = tuple(widths.get(k, (0, 0)) for k in range(len(shape)))
    layer = ca.pad(shape, amounts, boundary=MODES[node.get("mode", "constant")])
    value = node.given(2)
    if value is None or not value.any():
        return layer(node.x)
    # Where no input goes stands the constant: an affine map.
    outside = 1 - layer(np.ones(shape, dtype=np.int64))
    return ca.affine(layer, outside * value)(node.x)


def center_crop_pad(node: Node) -> Array:
    shape = node.x.shape
    axes = [a % len(shape) for a in node.get("axes", range(len(shape)))]
    amounts = [(0, 0)] * len(shape)
    for axis, wanted in zip(axes, map(int, node.inputs[1]), strict=True):
        more = wanted - shape[axis]
        half = abs(more) // 2
        amounts[axis] = (half, more - half) if more >= 0 else (-half, more + half)
    return ca.pad(shape, tuple(amounts))(node.x)


def shuffle(make: Callable[..., ca.Operator]) -> Callable[[Node], Array]:
    def outputs(node: Node) -> Array:
        options = {"channels": node.x.shape[1], "order": node.get("mode", "DCR")}
        return make(node.space, node["blocksize"], **options)(node.x)

    return outputs


def reshape(node: Node) -> Array:
    shape = node.x.shape
    sizes = [shape[k] if n == 0 else int(n) for k, n in enumerate(node.inputs[1])]
    known = math.prod(n for n in sizes if n > 0)
    wanted = tuple(node.x.size // known if n < 0 else n for n in sizes)
    return ca.reshape(shape, wanted)(node.x)


def flatten(node: Node) -> Array:
    shape, axis = node.x.shape, node.get("axis", 1)
    if axis == 1:
        return ca.flatten(shape[1:])(node.x)
    return ca.reshape(shape, (math.prod(shape[:axis]), math.prod(shape[axis:])))(node.x)


def transpose(node: Node) -> Array:
    dims = node.x.ndim
    return ca.permute(node.x.shape, tuple(node.get("perm", range(dims)[::-1])))(node.x)


def concat(node: Node) -> Array:
    parts = ca.embeddings([value.shape for value in node.inputs], node["axis"])
    placed = [part(value) for part, value in zip(parts, node.inputs, strict=True)]
    return np.sum(placed, axis=0)


def dropout(node: Node) -> list[Array]:
    ratio, training = node.given(1), node.given(2)
    dropping = training is not None and bool(training)
    mask = node.mask if dropping and node.mask is not None else np.ones(node.x.shape, dtype=bool)
    rate = float(0.5 if ratio is None else ratio) if dropping else 0
    layer = ca.dropout(mask.astype(np.int64), rate)
    return [layer(node.x), mask][: node.outputs]


def dropout_reason(node: Node) -> str | None:
    ratio, training = node.given(1), node.given(2)
    drawn = training is not None and bool(training) and (ratio is None or float(ratio) > 0)
    return "a drawn mask that the case does not give" if drawn and node.mask is None else None


# Resizing.


def axes_of(node: Node) -> list[int]:
    return [a % node.x.ndim for a in node.get("axes", range(node.x.ndim))]


def resize_target(node: Node) -> tuple[dict[int, Fraction], dict[int, int]]:
    """The scale and the output size of each axis named."""
    shape, axes = node.x.shape, axes_of(node)
    scales, sizes = node.given(2), node.given(3)
    if sizes is None or not sizes.size:
        assert scales is not None
        factors = [Fraction(float(s)) for s in scales]
        wanted = [math.floor(shape[a] * f) for a, f in zip(axes, factors, strict=True)]
    else:
        wanted = [int(m) for m in sizes]
        factors = [Fraction(m, shape[a]) for a, m in zip(axes, wanted, strict=True)]
        policy = node.get("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            one = min(factors) if policy == "not_larger" else max(factors)
            factors = [one] * len(axes)
            wanted = [math.floor(one * shape[a] + Fraction(1, 2)) for a in axes]
    return dict(zip(axes, factors, strict=True)), dict(zip(axes, wanted, strict=True))


def resize(node: Node) -> Array:
    shape = node.x.shape
    scales, sizes = resize_target(node)
    by_size = all(Fraction(m, shape[a]) == scales[a] for a, m in sizes.items())
    target: dict[str, Any]
    if by_size:
        target = {"size": tuple(sizes.get(k, n) for k, n in enumerate(shape))}
    else:
        target = {"scale": tuple(scales.get(k, Fraction(1)) for k in range(len(shape)))}
    layer = ca.resize(
        shape,
        **target,
        mode=node.get("mode", "nearest"),
        coordinates=node.get("coordinate_transformation_mode", "half_pixel"),
        rounding=node.get("nearest_mode", "round_prefer_floor"),
    )
    return layer(node.x)


def upsample(node: Node) -> Array:
    scales, mode = tuple(map(float, node.inputs[1])), node.get("mode", "nearest")
    shape = node.x.shape
    layer = ca.resize(shape, scale=scales, mode=mode, coordinates="asymmetric", rounding="floor")
    return layer(node.x)


def resize_reason(node: Node) -> str | None:
    if node.get("mode", "nearest") == "cubic":
        return "cubic interpolation is not in ca.resize"
    if node.get("antialias", 0):
        return "antialiasing is not in ca.resize"
    if node["coordinate_transformation_mode"] == "tf_crop_and_resize":
        return "tf_crop_and_resize is not in ca.resize"
    scales, sizes = resize_target(node)
    shape = node.x.shape
    exact = all(Fraction(m, shape[a]) == scales[a] for a, m in sizes.items())
    if not exact and any(math.floor(shape[a] * scales[a]) != m for a, m in sizes.items()):
        return "a size rounded up from its scale is not in ca.resize, which rounds down"
    return None


# Numbers.


def gemm(node: Node) -> Array:
    a, b = node.inputs[:2]
    weights = b if node.get("transB", 0) else b.T
    rows = a.shape[1] if node.get("transA", 0) else a.shape[0]
    layer = node.get("alpha", 1.0) * ca.identity(rows).kron(ca.dense(weights))
    if node.get("transA", 0):
        layer = layer @ ca.permute(a.shape, (1, 0))
    c = node.given(2)
    bias = None if c is None else np.broadcast_to(node.get("beta", 1.0) * c, layer.out_shape)
    return with_bias(layer, bias)(a)


def matmul(node: Node) -> Array:
    a, b = node.inputs
    left = a[None] if a.ndim == 1 else a
    right = b[:, None] if b.ndim == 1 else b
    lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    left = np.broadcast_to(left, (*lead, *left.shape[-2:]))
    right = np.broadcast_to(right, (*lead, *right.shape[-2:]))
    found = np.empty((*lead, left.shape[-2], right.shape[-1]))
    for place in np.ndindex(lead):
        found[place] = ca.dense(right[place].T)(left[place])
    gone = tuple(axis for axis, value in ((-2, a), (-1, b)) if value.ndim == 1)
    return found.squeeze(gone)


def batch_norm(node: Node) -> list[Array]:
    x, gain, offset, mean, variance = node.inputs
    epsilon = node.get("epsilon", 1e-5)
    options = {"scale": gain, "offset": offset, "epsilon": epsilon}
    if not node.get("training_mode", 0):
        return [ca.batch_norm(x.shape[1:], mean, variance, **options)(x)]
    layer = ca.batch_norm_training(x.shape, **options)
    keep = node.get("momentum", 0.9)
    pairs_of = zip((mean, variance), layer.statistics(x), strict=True)
    running = [keep * old + (1 - keep) * new for old, new in pairs_of]
    return [layer(x), *running][: node.outputs]


def local_response_norm(node: Node) -> Array:
    defaults = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}
    alpha, beta, k = (node.get(name, value) for name, value in defaults.items())
    options = {"alpha": alpha, "beta": beta, "k": k, "extra": "after"}
    return ca.local_response_norm(node.x.shape[1:], node["size"], **options)(node.x)


def softmax(node: Node) -> Array:
    return ca.softmax(node.x.shape, node.get("axis", -1))(node.x)


def leaky_relu(node: Node) -> Array:
    return ca.leaky_relu(node.x.shape, node.get("alpha", 0.01))(node.x)


def elementwise(make: Callable[[Any], ca.Map]) -> Callable[[Node], Array]:
    return lambda node: make(node.x.shape)(node.x)


# The table.


def nothing(node: Node) -> str | None:
    return None


def always(reason: str) -> Callable[[Node], str | None]:
    return lambda node: reason


@dataclass(frozen=True)
class Translation:
    """How an operator is translated: since which of its versions, and the attributes read."""

    outputs: Callable[[Node], Any]
    versions: tuple[int, ...]
    attributes: str = ""
    reason: Callable[[Node], str | None] = nothing


STEPS = "auto_pad pads strides dilations kernel_shape"
OPERATORS = {
    "Conv": Translation(conv, (1, 11, 22), f"{STEPS} group"),
    "ConvInteger": Translation(conv_integer, (10,), f"{STEPS} group"),
    "ConvTranspose": Translation(
        conv_transpose, (1, 11, 22), f"{STEPS} group output_padding output_shape"
    ),
    "Col2Im": Translation(fold, (18,), "pads strides dilations"),
    "AveragePool": Translation(
        average_pool, (7, 10, 11, 19, 22), f"{STEPS} ceil_mode count_include_pad", window_reason
    ),
    "MaxPool": Translation(
        max_pool, (8, 10, 11, 12, 22), f"{STEPS} ceil_mode storage_order", window_reason
    ),
    "LpPool": Translation(lp_pool, (11, 18, 22), f"{STEPS} ceil_mode p"),
    "MaxUnpool": Translation(max_unpool, (9, 11, 22), "kernel_shape pads strides"),
    "GlobalAveragePool": Translation(globally(ca.global_pool), (1, 22)),
    "GlobalMaxPool": Translation(globally(ca.global_max_pool), (1, 22)),
    "GlobalLpPool": Translation(global_lp_pool, (2, 22), "p"),
    "Pad": Translation(pad, (11, 13, 18, 19, 21, 23, 24, 25), "mode"),
    "CenterCropPad": Translation(center_crop_pad, (18,), "axes"),
    "DepthToSpace": Translation(shuffle(ca.pixel_shuffle), (1, 11, 13, 28), "blocksize mode"),
    "SpaceToDepth": Translation(shuffle(ca.pixel_unshuffle), (1, 13, 28), "blocksize mode"),
    "Resize": Translation(
        resize,
        (11, 13, 18, 19),
        "antialias axes coordinate_transformation_mode cubic_coeff_a exclude_outside "
        "extrapolation_value keep_aspect_ratio_policy mode nearest_mode",
        resize_reason,
    ),
    "Upsample": Translation(upsample, (9,), "mode"),
    "LRN": Translation(local_response_norm, (1, 13), "alpha beta bias size"),
    "BatchNormalization": Translation(batch_norm, (14, 15), "epsilon momentum training_mode"),
    "Flatten": Translation(flatten, (1, 9, 11, 13, 21, 23, 24, 25), "axis"),
    "Softmax": Translation(softmax, (13,), "axis"),
    "Relu": Translation(elementwise(ca.relu), (1, 6, 13, 14)),
    "LeakyRelu": Translation(leaky_relu, (6, 16), "alpha"),
    "Sigmoid": Translation(elementwise(ca.sigmoid), (6, 13)),
    "Tanh": Translation(elementwise(ca.tanh), (6, 13)),
    "Gemm": Translation(gemm, (7, 9, 11, 13), "alpha beta transA transB"),
    "MatMul": Translation(matmul, (1, 9, 13)),
    "Concat": Translation(concat, (4, 11, 13), "axis"),
    "Identity": Translation(elementwise(ca.identity), (1, 13, 14, 16, 19, 21, 23, 24, 25)),
    "Dropout": Translation(dropout, (7, 10, 12, 13, 22), "seed ratio", dropout_reason),
    "Transpose": Translation(transpose, (1, 13, 21, 23, 24, 25), "perm"),
    "Reshape": Translation(reshape, (5, 13, 14, 19, 21, 23, 24, 25), "allowzero"),
    "QLinearConv": Translation(nothing, (), "", always("quantised: rounds and saturates")),
    "DeformConv": Translation(nothing, (), "", always("taps move with the data")),
}
"""By operator. A version that is not named here is left out, until somebody has read its text."""
