"""The relation face: the support as an integer relation, for isl (islpy)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from convalg.axis import Axis, Piece
from convalg.base import Operator, fold
from convalg.operators import (
    Adjoint,
    Compose,
    Convolution,
    Diagonal,
    Kron,
    Matrix,
    Patches,
    Scaled,
    Selection,
    Sum,
)
from convalg.spec import Geometry

if TYPE_CHECKING:
    import islpy


def to_isl(operator: Operator) -> islpy.Map:
    """{[output index] -> [input index]} of every entry that the pattern holds."""
    return fold(operator, _RULES, _leaf).coalesce()


def _leaf(leaf: Any) -> islpy.Map:
    match leaf:
        case Convolution():
            return _layer(leaf.geometry, "o", "i")
        case Selection():
            found = _layer(leaf.geometry, "o", "i")
            shapes = (
                (leaf.geometry.out_shape, leaf.out_shape),
                (
                    leaf.geometry.in_shape,
                    leaf.in_shape,
                ),
            )
            return _reshaped(found, *shapes)
        case Patches():
            return _layer(leaf.geometry, "i" if leaf.transposed else "o", "l")
        case Diagonal():
            return _map([f"o{k}" for k in range(leaf.values.ndim)], None, _box("o", leaf.out_shape))
        case Matrix():
            outputs, inputs = _names("o", leaf.out_shape), _names("i", leaf.in_shape)
            bounds = _box("o", leaf.out_shape) + _box("i", leaf.in_shape)
            return _map(outputs, inputs, bounds)
    raise AssertionError(leaf)


def _names(letter: str, shape: tuple[Any, ...]) -> list[str]:
    return [f"{letter}{k}" for k in range(len(shape))]


def _box(letter: str, shape: tuple[Any, ...]) -> list[str]:
    return [f"0 <= {letter}{k} < {size}" for k, size in enumerate(shape)]


def _map(outputs: list[str], inputs: list[str] | None, conditions: list[str]) -> islpy.Map:
    import islpy

    right = ", ".join(inputs if inputs is not None else outputs)
    return islpy.Map(f"{{ [{', '.join(outputs)}] -> [{right}] : {' and '.join(conditions)} }}")


def _layer(geometry: Geometry, rows: str, columns: str) -> islpy.Map:
    """{rows -> columns} of the triples, where each is "o" (output), "i" (input) or "l" (label)."""
    lead = 1 if geometry.has_channels else 0
    names = {
        "o": _names("o", geometry.out_shape),
        "i": _names("i", geometry.in_shape),
        "l": _names("l", geometry.kernel_shape),
    }
    conditions = _box("o", geometry.out_shape) + _box("i", geometry.in_shape)
    hidden = [name for letter in "oil" if letter not in rows + columns for name in names[letter]]
    if lead:
        groups, outputs, inputs = geometry.channels
        hidden.append("g")
        conditions += [
            f"0 <= g < {groups}",
            f"{outputs}g <= o0 < {outputs}g + {outputs}",
            f"{inputs}g <= i0 < {inputs}g + {inputs}",
            "l0 = o0",
            f"l1 = i0 - {inputs}g",
        ]
    for k, axis in enumerate(geometry.axes):
        conditions.append(axis_condition(axis, f"o{k + lead}", f"l{k + 2 * lead}", f"i{k + lead}"))
    body = " and ".join(conditions)
    if hidden:
        body = f"exists ({', '.join(hidden)}: {body})"
    return _map(names[rows], names[columns], [body])


def axis_condition(axis: Axis, output: str, tap: str, column: str) -> str:
    """The triples of one axis as a Presburger formula over three variables."""
    raw = f"({axis.stride} * {output} + {axis.dilation} * {tap} - ({axis.padding}))"
    pieces = " or ".join(_piece(piece, raw, column) for piece in axis.pieces())
    return f"0 <= {tap} < {axis.taps} and ({pieces})"


def _piece(piece: Piece, raw: str, column: str) -> str:
    parts = [f"{column} = {piece.sign} * {raw} + ({piece.constant})"]
    if piece.low is not None:
        parts.append(f"{raw} >= {piece.low}")
    if piece.high is not None:
        parts.append(f"{raw} <= {piece.high}")
    return f"({' and '.join(parts)})"


def _reshaped(
    found: islpy.Map, out_shapes: tuple[Any, Any], in_shapes: tuple[Any, Any]
) -> islpy.Map:
    for (before, after), on_output in ((out_shapes, True), (in_shapes, False)):
        if before != after:
            change = _map(
                _names("a", before),
                _names("b", after),
                [
                    *_box("a", before),
                    *_box("b", after),
                    f"{_flat('a', before)} = {_flat('b', after)}",
                ],
            )
            found = found.apply_domain(change) if on_output else found.apply_range(change)
    return found


def _flat(letter: str, shape: tuple[Any, ...]) -> str:
    """The row-major place as an affine expression."""
    steps, step = [], 1
    for size in reversed(shape):
        steps.append(step)
        step *= size
    return " + ".join(f"{s}{letter}{k}" for k, s in enumerate(reversed(steps)))


def _compose(node: Compose, *images: islpy.Map) -> islpy.Map:
    result = images[0]
    for image in images[1:]:
        result = result.apply_range(image)
    return result


def _sum(node: Sum, *images: islpy.Map) -> islpy.Map:
    result = images[0]
    for image in images[1:]:
        result = result.union(image)
    return result


_RULES: dict[type, Callable[..., Any]] = {
    Compose: _compose,
    Sum: _sum,
    Scaled: lambda node, image: image,
    Adjoint: lambda node, image: image.reverse(),
    Kron: lambda node, left, right: left.flat_product(right),
}
