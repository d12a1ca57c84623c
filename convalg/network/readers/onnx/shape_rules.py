"""Rules that convert ONNX nodes which rearrange samples: reshapes, slices, resizing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import accumulate
from typing import Any

from convalg.axis import Size
from convalg.network import layers as net_layers
from convalg.network.layers.base import Layer, Shape
from convalg.network.layers.rearrange import Permute, Resize, Slice
from convalg.network.readers.onnx.builder import (
    Builder,
    Data,
    Node,
    Unread,
    Value,
    dims_of,
    product,
)
from convalg.network.readers.onnx.layer_rules import pairs
from convalg.size import is_symbolic

MODES: dict[str, Any] = {
    "constant": "zeros",
    "reflect": "reflect",
    "edge": "edge",
    "wrap": "circular",
}
LAST = 2**31
FLOAT_TYPES = (1, 10, 11, 16)
"""The floating-point element types; casts between them change numbers only by rounding."""


def target_shape(full: Shape, wanted: Sequence[Any], allow_zero: object) -> Shape:
    """Return the target shape of an ONNX Reshape with 0 and -1 replaced by sizes.

    Raises: Unread if the entries of the input do not fill the shape.
    """
    if any(n == 0 for n in wanted[len(full) :]) and not allow_zero:
        raise Unread(
            f"its target shape {wanted} copies axes that its input of shape {full} does not have"
        )
    sizes = [
        full[k] if n == 0 and not allow_zero else (n if is_symbolic(n) else int(n))
        for k, n in enumerate(wanted)
    ]
    total = product(full)
    inferred = [k for k, n in enumerate(sizes) if n == -1]
    if len(inferred) == 1:
        rest = product([n for n in sizes if n != -1])
        if rest == 0 or (not is_symbolic(total) and total % rest):
            raise Unread(f"the {total} entries of its input do not fill the target shape {wanted}")
        sizes[inferred[0]] = total / rest if is_symbolic(total) else total // rest
    if any(not is_symbolic(n) and n < 0 for n in sizes) or product(sizes) != total:
        raise Unread(f"the {total} entries of its input do not fill the target shape {wanted}")
    return tuple(sizes)


def _to(b: Builder, x: Data, wanted: Shape) -> Data:
    """Append a reshape to a shape with the batch. Raises: Unread if the batch axis changes."""
    if wanted[:1] != (b.batch,) or len(wanted) < 2:
        raise Unread(f"its target shape {wanted} does not keep the batch as its first axis")
    after = wanted[1:]
    if len(after) == 1 and len(b.shape(x)) > 1:
        return b.add(net_layers.Flatten(), x)
    return b.reshaped(x, after)


def _reshape(b: Builder, n: Node) -> Value:
    x = n.data()
    return _to(b, x, target_shape(b.full_shape(x), n.numbers(1), n.get("allowzero", 0)))


def _flatten(b: Builder, n: Node) -> Value:
    x = n.data()
    axis = int(n.get("axis", 1))
    if axis not in (1, -len(b.shape(x))):
        raise Unread(f"it flattens from axis {axis}, not from axis 1")
    return b.add(net_layers.Flatten(), x) if len(b.shape(x)) > 1 else x


def _transpose(b: Builder, n: Node) -> Value:
    x = n.data()
    rank = len(b.shape(x)) + 1
    order = tuple(n.get("perm") or range(rank)[::-1])
    if sorted(order) != list(range(rank)) or order[0] != 0:
        raise Unread(f"its order {order} of the axes moves the batch")
    if order == tuple(range(rank)):
        return x
    return b.add(Permute(tuple(k - 1 for k in order[1:])), x)


def _to_space(b: Builder, n: Node) -> Value:
    x, size = n.data(), int(n.get("blocksize", 0))
    shape = b.shape(x)
    if len(shape) != 3 or size < 1 or shape[0] % size**2:
        raise Unread(f"its input of shape {shape} does not have blocks of {size} x {size} channels")
    count, height, width = shape[0] // size**2, *shape[1:]
    if n.get("mode", "DCR") == "CRD":
        cut, order = (count, size, size, height, width), (0, 3, 1, 4, 2)
    else:
        cut, order = (size, size, count, height, width), (2, 3, 0, 4, 1)
    permuted = b.add(Permute(order), b.reshaped(x, cut))
    return b.reshaped(permuted, (count, height * size, width * size))


def _to_depth(b: Builder, n: Node) -> Value:
    x, size = n.data(), int(n.get("blocksize", 0))
    shape = b.shape(x)
    if len(shape) != 3 or size < 1 or any(m % size for m in shape[1:]):
        raise Unread(
            f"its input of shape {shape} cannot be divided into blocks of {size} x {size} samples"
        )
    count, height, width = shape[0], *(m // size for m in shape[1:])
    cut = b.reshaped(x, (count, height, size, width, size))
    return b.reshaped(b.add(Permute((2, 4, 0, 1, 3)), cut), (count * size**2, height, width))


def _axes(n: Node) -> list[int] | None:
    """Return the axes: an attribute before version 13, an input since then."""
    axes = n.get("axes")
    if axes is None and len(n.inputs) > 1:
        axes = n.optional_numbers(1)
    return None if axes is None else [int(a) for a in axes]


def _squeeze(b: Builder, n: Node) -> Value:
    x = n.data()
    full = b.full_shape(x)
    axes = _axes(n)
    removed = (
        {k for k, m in enumerate(full) if m == 1} if axes is None else {a % len(full) for a in axes}
    )
    if any(full[k] != 1 for k in removed):
        raise Unread(f"axes {sorted(removed)} of its input of shape {full} do not all have size 1")
    shape = tuple(m for k, m in enumerate(full) if k not in removed)
    return _to_or_same(b, x, shape, 0 in removed)


def _unsqueeze(b: Builder, n: Node) -> Value:
    x = n.data()
    sizes = list(b.full_shape(x))
    axes = _axes(n)
    if not axes:
        raise Unread("its axes are missing")
    rank = len(sizes) + len(axes)
    for axis in sorted(a % rank for a in axes):
        sizes.insert(axis, 1)
    return _to_or_same(b, x, tuple(sizes), any(a % rank == 0 for a in axes))


def _to_or_same(b: Builder, x: Data, shape: Shape, moves_batch: bool) -> Data:
    """Append a reshape. Raises: Unread if the batch is inserted or removed."""
    if moves_batch:
        raise Unread("it treats the batch as an axis of size 1")
    return _to(b, x, shape)


def _concat(b: Builder, n: Node) -> Value:
    parts = [n.data(k) for k in range(len(n.inputs))]
    shapes = [b.shape(part) for part in parts]
    axis = int(n.get("axis", 1)) % (len(shapes[0]) + 1)
    if len(parts) == 1:
        return parts[0]
    if axis == 1:
        return b.add(net_layers.Concat(), *parts)
    if not axis:
        raise Unread("it concatenates along the batch")
    # Along a spatial axis, each part is padded to the total size and the results are added.
    if any(
        (*s[: axis - 1], *s[axis:]) != (*shapes[0][: axis - 1], *shapes[0][axis:]) for s in shapes
    ):
        raise Unread(f"its inputs of shapes {', '.join(map(str, shapes))} do not fit together")
    total, start, padded = sum(s[axis - 1] for s in shapes), 0, []
    for part, shape in zip(parts, shapes, strict=True):
        amounts = [(0, 0)] * (len(shape) - 1)
        amounts[axis - 2] = (start, total - start - shape[axis - 1])
        padded.append(b.add(net_layers.Pad(tuple(amounts)), part))
        start += shape[axis - 1]
    return b.add(net_layers.Add(), *padded)


def _pad(b: Builder, n: Node) -> Value:
    x = n.data()
    rank = len(b.shape(x)) + 1
    mode = n.get("mode", "constant")
    if n.version < 11:
        pads, value, axes = n.get("pads") or n.get("paddings") or [], n.get("value", 0.0), None
    else:
        pads, axes = n.numbers(1), n.optional_numbers(3)
        value = (n.optional_numbers(2) or [0.0])[0]
    if mode not in MODES or (mode == "constant" and value != 0):
        raise Unread(f"it pads with {value} in mode {mode}")
    chosen = range(rank) if axes is None else [int(a) % rank for a in axes]
    if len(pads) != 2 * len(chosen):
        raise Unread(f"it has {len(pads)} pads, not two for each of {len(chosen)} axes")
    widths = dict(zip(chosen, pairs(pads), strict=True))
    amounts = [widths.get(k, (0, 0)) for k in range(rank)]
    if any(any(pair) for pair in amounts[:2]):
        raise Unread("it pads the batch or channels")
    return b.add(net_layers.Pad(tuple(amounts[2:]), MODES[mode]), x) if rank > 2 else x


def _cut(b: Builder, n: Node) -> Value:
    """Convert a Slice: one layer for each axis."""
    x = n.data()
    full = b.full_shape(x)
    if n.version < 10:
        starts, ends, axes, steps = n.get("starts"), n.get("ends"), n.get("axes"), None
    else:
        starts, ends = n.numbers(1), n.numbers(2)
        axes, steps = n.optional_numbers(3), n.optional_numbers(4)
    axes = list(range(len(starts or []))) if axes is None else [int(a) % len(full) for a in axes]
    for axis, start, stop, step in zip(axes, starts, ends, steps or [1] * len(axes), strict=True):
        x = _one_cut(b, x, axis, full[axis], (int(start), int(stop), int(step)))
    return x


def _one_cut(b: Builder, x: Data, axis: int, size: Size, cut: tuple[int, int, int]) -> Data:
    start, stop, step = cut
    if is_symbolic(size):
        if (start, step) == (0, 1) and stop >= LAST - 1:
            return x
        raise Unread(f"it slices an axis of the symbolic size {size}")
    if step < 1:
        raise Unread(f"its step is {step}")
    first, last, _ = slice(start, stop, step).indices(size)
    if (first, last, step) == (0, size, 1):
        return x
    if not axis or first >= last:
        raise Unread(f"it slices {first} to {last} of axis {axis}")
    return b.add(Slice(axis - 1, first, last, step), x)


def _split(b: Builder, n: Node) -> list[Value]:
    x = n.data()
    full = b.full_shape(x)
    axis = int(n.get("axis", 0)) % len(full)
    count = len(n.proto.output)
    sizes = n.get("split") or (n.optional_numbers(1) if len(n.inputs) > 1 else None)
    if sizes is None:
        each = -(-full[axis] // count)
        sizes = [each] * (count - 1) + [full[axis] - each * (count - 1)]
    if not axis or sum(sizes) != full[axis] or len(sizes) != count or min(sizes) < 1:
        raise Unread(f"it splits axis {axis} of {full} into {sizes}")
    ends = list(accumulate(map(int, sizes)))
    return [b.add(Slice(axis - 1, e - s, e), x) for e, s in zip(ends, sizes, strict=True)]


def _gather(b: Builder, n: Node) -> Value:
    """Convert a Gather of a single index, which removes the axis."""
    x, index = n.data(), n.constant(1)
    full = b.full_shape(x)
    axis = int(n.get("axis", 0)) % len(full)
    if index.shape or not axis or len(full) < 3:
        raise Unread(f"it gathers indices of shape {index.shape} along axis {axis}")
    k = int(index.array()) % full[axis]
    return _to(b, b.add(Slice(axis - 1, k, k + 1), x), (*full[:axis], *full[axis + 1 :]))


def _expand(b: Builder, n: Node) -> Value:
    x = n.data()
    full, wanted = b.full_shape(x), [int(m) for m in n.numbers(1)]
    if len(wanted) > len(full):
        raise Unread(f"it adds axes to its input of shape {full} for the shape {wanted}")
    wanted = [1] * (len(full) - len(wanted)) + wanted
    sizes = tuple(max(a, c) if 1 in (a, c) else a for a, c in zip(full, wanted, strict=True))
    if sizes[0] != b.batch:
        raise Unread("it repeats the batch")
    return b.spread(x, sizes[1:])


def _same(b: Builder, n: Node) -> Value:
    """Return the input of an Identity."""
    value = n.given(0)
    if value is None:
        raise Unread("it has no input")
    return value


def _cast(b: Builder, n: Node) -> Value:
    if n.get("to") not in FLOAT_TYPES or b.types.get(n.proto.input[0], 1) not in FLOAT_TYPES:
        raise Unread(f"it casts to element type {n.get('to')}")
    return _same(b, n)


def _resize(b: Builder, n: Node) -> Value:
    x = n.data()
    if n.get("antialias", 0) or n.get("exclude_outside", 0):
        raise Unread("it uses antialiasing or exclude_outside")
    mode, coordinates, rounding = _modes(n)
    if mode not in ("nearest", "linear") or coordinates == "tf_crop_and_resize":
        raise Unread(f"it interpolates with mode {mode} and coordinates {coordinates}")
    shape = b.shape(x)
    dims_of(shape)
    scales, sizes = _grid(n, (b.batch, *shape))
    factor = _factor(scales, mode, coordinates, rounding)
    if factor:
        layer: Layer = net_layers.Upsample(
            factor, mode, align_corners=coordinates == "align_corners" and mode == "linear"
        )
        return b.add(layer, x)
    by_size = all(Fraction(m, k) == f for m, k, f in zip(sizes, shape[1:], scales, strict=True))
    return b.add(
        Resize(tuple(sizes), mode, coordinates, rounding, None if by_size else tuple(scales)), x
    )


def _modes(n: Node) -> tuple[Any, Any, Any]:
    mode = n.get("mode", "nearest")
    if n.op == "Upsample" or n.version < 11:
        return mode, "asymmetric", "floor"
    return (
        mode,
        n.get("coordinate_transformation_mode", "half_pixel"),
        n.get("nearest_mode", "round_prefer_floor"),
    )


def _grid(n: Node, full: Shape) -> tuple[list[Fraction], list[int]]:
    """Return the scales and the output sizes of the spatial axes."""
    if any(is_symbolic(m) for m in full):
        raise Unread(f"its input of shape {full} has symbolic sizes")
    index = 1 if n.op == "Upsample" or n.version < 11 else 2
    scales = n.get("scales") or n.optional_numbers(index)
    sizes = n.optional_numbers(3) if index == 2 else None
    axes = [int(a) % len(full) for a in n.get("axes") or range(len(full))]
    given = sizes or scales
    if not given or len(given) != len(axes) or not all(math.isfinite(v) and v > 0 for v in given):
        raise Unread(f"it scales {len(axes)} axes by {given}")
    if n.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise Unread("it keeps the aspect ratio")
    factors = [Fraction(1)] * len(full)
    wanted = list(full)
    for axis, value in zip(axes, given, strict=True):
        factors[axis] = Fraction(int(value), full[axis]) if sizes else Fraction(float(value))
        wanted[axis] = int(value) if sizes else math.floor(full[axis] * factors[axis])
    if wanted[:2] != list(full[:2]) or min(wanted) < 1 or max(wanted) >= LAST:
        raise Unread(f"it resizes {full} to {wanted}")
    return factors[2:], wanted[2:]


def _factor(scales: list[Fraction], mode: str, coordinates: str, rounding: str) -> int | None:
    """Return the factor if the resizing equals an Upsample, otherwise None."""
    (scale, *others) = set(scales)
    if others or scale.denominator != 1 or scale < 2:
        return None
    centred = coordinates in ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")
    if mode == "nearest":
        repeats = (coordinates, rounding) == ("asymmetric", "floor")
        return int(scale) if repeats or (centred and "round" in rounding) else None
    return int(scale) if centred or coordinates == "align_corners" else None


RULES: dict[str, tuple[tuple[int, ...], Callable[[Builder, Node], Any]]] = {
    "Reshape": ((5, 13, 14, 19, 21, 23, 24, 25), _reshape),
    "Flatten": ((1, 9, 11, 13, 21, 23, 24, 25), _flatten),
    "Transpose": ((1, 13, 21, 23, 24, 25), _transpose),
    "DepthToSpace": ((1, 11, 13), _to_space),
    "SpaceToDepth": ((1, 13), _to_depth),
    "Squeeze": ((1, 11, 13, 21, 23, 24, 25), _squeeze),
    "Unsqueeze": ((1, 11, 13, 21, 23, 24, 25), _unsqueeze),
    "Concat": ((4, 11, 13), _concat),
    "Pad": ((2, 11, 13, 18, 19, 21, 23, 24, 25), _pad),
    "Slice": ((1, 10, 11, 13), _cut),
    "Split": ((2, 11, 13, 18), _split),
    "Gather": ((1, 11, 13), _gather),
    "Expand": ((8, 13), _expand),
    "Identity": ((1, 13, 14, 16, 19, 21, 23, 24, 25), _same),
    "Cast": ((6, 9, 13, 19, 21, 23, 24, 25), _cast),
    "Resize": ((10, 11, 13, 18, 19), _resize),
    "Upsample": ((7, 9), _resize),
}
"""The supported versions of each operator, and the function that converts a node to layers."""
