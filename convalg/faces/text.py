"""The text face: an operator as one short line, the calls that create it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from convalg.axis import Axis, Size, holds, output_size
from convalg.escape import terminal
from convalg.geometry import Geometry
from convalg.kernels import SymbolicKernel
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
from convalg.size import size_text

LONGEST = 9
"""The largest number of entries of an array that is printed, not only its shape and type."""
LONGEST_LINE = 400
"""The largest number of characters of a line that is printed in full."""
MOST_PARTS = 8
"""The largest number of factors or terms that are printed in full."""
MOST_BITS = 512
"""The largest size of an exact factor that is printed in full."""

ArrayText: TypeAlias = "Callable[[np.ndarray | SymbolicKernel], str]"


def one_line(operator: Operator) -> str:
    """Return the calls that create an operator as one short line, the text of `repr`."""
    line = terminal(fold(operator, _RULES, _leaf))
    return line if len(line) <= LONGEST_LINE else f"{line[:200]} ... {line[-80:]}"


def call(operator: Operator, arrays: ArrayText) -> str:
    """Return the calls that create an operator in full, with arrays formatted by a function.

    The adjoint of a family is written with `.T`, since sizes with floors have no transposed call.

    >>> import convalg as ca
    >>> call(ca.correlation(5, [1, 2, 3], padding=1).T, lambda array: "w")
    'transposed_correlation(5, w, padding=1)'
    """

    def adjoint(node: Adjoint, image: str) -> str:
        return _adjoint(node, image, arrays) if node.is_concrete else f"{image}.T"

    return fold(operator, {**_RULES, Adjoint: adjoint}, partial(_leaf, arrays=arrays))


def array_text(values: np.ndarray | SymbolicKernel) -> str:
    """Return a small array as nested lists, and a large one as its shape and type.

    >>> array_text(np.zeros((2, 3, 5, 5)))
    '<2x3x5x5 float64>'
    """
    if not isinstance(values, np.ndarray):
        return repr(values)
    if values.size <= LONGEST:
        return str(values.tolist())
    kind = "symbolic" if values.dtype.kind == "O" else values.dtype
    return f"<{'x'.join(map(str, values.shape))} {kind}>"


def layer_words(geometry: Geometry, *, transposed: bool = False) -> list[str]:
    """Return the options of a layer that differ from the defaults, as written in a call."""
    axes = geometry.axes
    stride = [axis.stride for axis in axes]
    dilation = [abs(axis.dilation) for axis in axes]
    options = []
    if set(stride) != {1}:
        options.append(f"stride={_shortest(stride)}")
    options.extend(_transposed_padding(axes) if transposed else _padding(axes))
    if set(dilation) != {1}:
        options.append(f"dilation={_shortest(dilation)}")
    if geometry.groups != 1:
        options.append(f"groups={geometry.groups}")
    options.extend(boundary_text(axes))
    return options


def _shortest(values: Sequence[object]) -> str:
    # A single pair without parentheses would mean one number for each of two axes.
    alike = all(value == values[0] for value in values) and not isinstance(values[0], tuple)
    return _size_text(values[0] if alike else tuple(values))


def _size_text(value: object) -> str:
    if isinstance(value, tuple):
        tail = "," if len(value) == 1 else ""
        return f"({', '.join(map(_size_text, value))}{tail})"
    return size_text(value)


def _padding(axes: tuple[Axis, ...]) -> list[str]:
    full = [axis.span - 1 for axis in axes]
    pairs = [(axis.before, padding_after(axis)) for axis in axes]
    if all(before == after == 0 for before, after in pairs):
        return []
    if all(pair == (width, width) for pair, width in zip(pairs, full, strict=True)):
        return ["padding='full'"]
    return [f"padding={_shortest(_symmetric(pairs))}"]


def padding_after(axis: Axis) -> Any:
    """Return the padding after the input that gives the output size.

    If several do, it is the one closest to the padding before the input.
    """
    least = axis.after
    if all(isinstance(v, int) for v in (axis.before, least)):
        return min(max(axis.before, least), least + axis.stride - 1)
    if axis.stride == 1:
        return least
    # With symbolic sizes, the padding that gives the output size of the axis as an expression.
    steps: Any = axis.out_size - 1
    if not isinstance(steps, int):
        steps = steps.replace(lambda v: v.func.__name__ == "floor", lambda v: v.args[0])
    given = _expanded(axis.stride * steps + axis.span - axis.before - axis.in_size)
    for candidate in (axis.before, given):
        counted = output_size(
            axis.in_size, axis.taps, axis.stride, abs(axis.dilation), axis.before, candidate
        )
        if _expanded(counted - axis.out_size) == 0:
            return candidate
    return least if isinstance(axis.stride, int) else axis.before


def _expanded(size: Size) -> Any:
    return size if isinstance(size, int) else size.expand()


def _symmetric(pairs: Sequence[tuple[Size, Size]]) -> list[object]:
    return [before if before == after else (before, after) for before, after in pairs]


def transposed_padding(axes: tuple[Axis, ...]) -> tuple[list[tuple[Any, Any]], list[Any]]:
    """Return the paddings (before, after) and the output_padding of a transposed layer.

    `axes` are the axes of the layer of which it is the adjoint.
    """
    pairs, extra = [], []
    for axis in axes:
        tail = -axis.after
        more = 0
        if axis.is_concrete:
            room = max(axis.stride, abs(axis.dilation))
            more = min(max(axis.before + tail, 0), room - 1)
            after = more - tail
        else:
            more, after = _remainder(axis)
        pairs.append((axis.before, after))
        extra.append(more)
    return pairs, extra


def _transposed_padding(axes: tuple[Axis, ...]) -> list[str]:
    """Return the padding and output_padding of a transposed layer, as arguments of its call."""
    pairs, extra = transposed_padding(axes)
    options = [f"padding={_shortest(_symmetric(pairs))}"] if any(map(any, pairs)) else []
    return options + ([f"output_padding={_shortest(extra)}"] if any(extra) else [])


def _remainder(axis: Axis) -> tuple[Any, Any]:
    """Return output_padding of a transposed layer with symbolic sizes, and its padding after.

    The padding is the same on both sides, unless the difference is a number that is out of the
    range of output_padding.
    """
    import sympy

    more = sympy.expand(axis.before - axis.after)
    room = sympy.Max(axis.stride, abs(axis.dilation))
    if more.is_number:
        fits = holds(sympy.And(more >= 0, more < room))
        return (int(more), axis.before) if fits else (0, axis.after)
    return (0, axis.after) if axis.stride == 1 else (more, axis.before)


def _sizes(shape: tuple[Size, ...]) -> str:
    if len(shape) == 1:
        return size_text(shape[0])
    return f"({', '.join(map(size_text, shape))})"


def _call(name: str, *arguments: str) -> str:
    return f"{name}({', '.join(arguments)})"


def convolution_words(geometry: Geometry, kernel: str, *, transposed: bool = False) -> str:
    """Return the call that creates a layer of this geometry."""
    backwards = [axis.is_backwards for axis in geometry.axes]
    flipped = any(backwards) and all(
        back or axis.taps == 1 for back, axis in zip(backwards, geometry.axes, strict=True)
    )
    mixed = any(backwards) and not flipped
    irregular = any(holds(axis.stride < 0) or holds(axis.before < 0) for axis in geometry.axes)
    unread = not transposed and any(holds(a.after + a.stride < 1) for a in geometry.axes)
    if unread and not (irregular or mixed or flipped or boundary_text(geometry.axes)):
        # A layer that does not read the end of its input is the adjoint of a transposed layer.
        return f"{convolution_words(geometry, kernel, transposed=True)}.T"
    if mixed or irregular or unread:
        return f"<{kernel} on {geometry.in_shape}>" + ".T" * transposed
    if transposed and flipped:
        return f"{convolution_words(geometry, kernel)}.T"
    name = "convolution" if flipped else "correlation"
    shape = geometry.out_spatial if transposed else geometry.in_spatial
    options = layer_words(geometry, transposed=transposed)
    return _call(f"transposed_{name}" if transposed else name, _sizes(shape), kernel, *options)


def _leaf(leaf: object, arrays: ArrayText = array_text) -> str:
    match leaf:
        case Convolution():
            return convolution_words(leaf.geometry, arrays(leaf.weights))
        case Selection():
            return _selection(leaf)
        case Patches():
            source = convolution_words(leaf.geometry, "w", transposed=leaf.transposed)
            return f"{source}.by_kernel({arrays(leaf.values)})"
        case Diagonal():
            return _call("diagonal", arrays(leaf.values))
        case Matrix():
            return _call("dense", arrays(leaf.values))
        case SparseMatrix(text=text, values=values):
            rows, columns = leaf.shape
            return text or f"<sparse {rows} x {columns}, {values.size} entries>"
    raise AssertionError(leaf)


def _selection(leaf: Selection) -> str:
    axes = leaf.axes
    if leaf.is_identity:
        return _call("identity", _sizes(leaf.in_shape))
    if leaf.in_shape != leaf.out_shape and all(a == Axis(a.in_size, a.in_size) for a in axes):
        return _call("reshape", _sizes(leaf.in_shape), _sizes(leaf.out_shape))
    sizes, boundary = _sizes(leaf.in_shape), boundary_text(axes)
    if any(axis.taps != 1 for axis in axes):
        return _sum_pool(leaf) or f"<sums of {leaf.in_shape} to {leaf.out_shape}>"
    if all(axis.stride == 1 for axis in axes):
        if leaf.in_shape == leaf.out_shape:
            return _call("shift", sizes, str(_shortest([a.padding for a in axes])), *boundary)
        pairs = [(axis.before, axis.after) for axis in axes]
        if all(holds(before <= 0) and holds(after <= 0) for before, after in pairs):
            cut = _symmetric([(-before, -after) for before, after in pairs])
            return _call("crop", sizes, str(_shortest(cut)))
        return _call("pad", sizes, str(_shortest(_symmetric(pairs))), *boundary)
    flipped = [
        k for k, a in enumerate(axes) if a == Axis(a.in_size, a.in_size, 1, -1, 1, 1 - a.in_size)
    ]
    if all(k in flipped or axis == Axis(axis.in_size, axis.in_size) for k, axis in enumerate(axes)):
        named = [] if len(flipped) == len(axes) else [f"axes={tuple(flipped)}"]
        return _call("flip_axes", sizes, *named)
    if all(holds(a.padding <= 0) and not holds(a.stride < 0) for a in axes):
        first = [-axis.padding for axis in axes]
        offset = [f"offset={_shortest(first)}"] if any(first) else []
        if any(not _reaches_the_end(axis) for axis in axes) and not offset:
            return f"{_upsample(leaf)}.T"
        return _call("downsample", sizes, str(_shortest([a.stride for a in axes])), *offset)
    return f"<selection {leaf.in_shape} to {leaf.out_shape}>"


def _reaches_the_end(axis: Axis) -> bool:
    """Return whether a downsampling reaches the end of its input; True for symbolic sizes."""
    return not axis.is_concrete or axis.out_size == -(-(axis.in_size + axis.padding) // axis.stride)


def _sum_pool(leaf: Selection) -> str:
    """Return the call of `sum_pool` that creates the operator, or "" if there is none."""
    if boundary_text(leaf.axes) or any(holds(a.stride < 0) for a in leaf.axes):
        return ""
    sizes, strides = [a.taps for a in leaf.axes], [a.stride for a in leaf.axes]
    options = [option for option in layer_words(leaf.geometry) if not option.startswith("stride")]
    stride = [f"stride={_shortest(strides)}"] if strides != sizes else []
    return _call("sum_pool", _sizes(leaf.in_shape), _shortest(sizes), *stride, *options)


def _upsample(leaf: Selection) -> str:
    """Return the call of the upsampling whose adjoint is this downsampling."""
    factor = _shortest([axis.stride for axis in leaf.axes])
    tight = all(axis.tight_size == axis.in_size for axis in leaf.axes)
    size = [] if tight else [f"size={_sizes(leaf.in_shape)}"]
    return _call("upsample", _sizes(leaf.out_shape), factor, *size)


def boundary_text(axes: tuple[Axis, ...]) -> list[str]:
    """Return the `boundary` options other than the default, as written in a call."""
    rules = {axis.boundary for axis in axes} - {"zeros"}
    return [f"boundary={rule!r}" for rule in sorted(rules)]


def _adjoint(node: Adjoint, image: str, arrays: ArrayText = array_text) -> str:
    inner = node.operator
    if isinstance(inner, Convolution) and all(a.boundary == "zeros" for a in inner.geometry.axes):
        return convolution_words(inner.geometry, arrays(inner.weights), transposed=True)
    if isinstance(inner, Selection) and image.startswith(("downsample(", "upsample(")):
        return _upsample(inner) if "offset" not in image else f"{image}.T"
    return f"{image}.T"


def _joined(mark: str, parts: list[str]) -> str:
    """Return the parts of a product or sum joined by `mark`, without the middle of a long list."""
    if len(parts) > MOST_PARTS:
        left_out = len(parts) - MOST_PARTS + 1
        parts = [*parts[: MOST_PARTS - 2], f"<{left_out} more>", parts[-1]]
    return mark.join(parts)


def _factor(factor: object) -> str:
    """Return a factor as text; Python refuses to write integers of many thousand digits."""
    if isinstance(factor, (int, Fraction)):
        bits = factor.numerator.bit_length() + factor.denominator.bit_length()
        if bits > MOST_BITS:
            return f"<a factor of {bits} bits>"
    return str(factor)


_RULES: dict[type, Callable[..., Any]] = {
    Compose: lambda node, *images: _joined(
        " @ ",
        [
            f"({image})" if isinstance(child, (Scaled, Sum)) else image
            for child, image in zip(node.children, images, strict=True)
        ],
    ),
    Sum: lambda node, *images: _joined(" + ", list(images)),
    Scaled: lambda node, image: (
        f"{_factor(node.factor)} * ({image})"
        if node.operator.children
        else f"{_factor(node.factor)} * {image}"
    ),
    Adjoint: _adjoint,
    Kron: lambda node, left, right: f"({left}).kron({right})",
}
