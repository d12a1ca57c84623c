"""The relation face: the support of an operator as an integer relation of isl (islpy)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from convalg.axis import Axis, Piece, Size
from convalg.errors import UndecidableError
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
from convalg.presburger import isl_name, parameters, text

if TYPE_CHECKING:
    import islpy

__all__ = [
    "MOST_ENTRIES",
    "axis_condition",
    "isl_name",
    "parameters",
    "reshaped",
    "text",
    "to_isl",
    "triples",
]

Sizes: TypeAlias = "tuple[Size, ...]"

MOST_ENTRIES = 4096
"""The largest number of entries of a sparse matrix that is converted to a relation."""


def to_isl(operator: Operator) -> islpy.Map:
    """Return the relation {[output index] -> [input index]} of all entries of the pattern.

    Raises: UndecidableError when the relation is not decidable with these symbols or too large.
    """
    relation: islpy.Map = fold(operator, _RULES, _leaf).coalesce()
    return relation


def triples(geometry: Geometry) -> islpy.Set:
    """Return the set of all triples (output index, input index, label) of a layer, flattened."""
    import islpy

    lead = 1 if geometry.has_channels else 0
    names = {
        "o": _names("o", geometry.out_shape),
        "i": _names("i", geometry.in_shape),
        "l": _names("l", geometry.kernel_shape),
    }
    conditions = _box("o", geometry.out_shape) + _box("i", geometry.in_shape)
    for k, axis in enumerate(geometry.axes):
        conditions.append(axis_condition(axis, f"o{k + lead}", f"l{k + 2 * lead}", f"i{k + lead}"))
    if lead:
        conditions.append(_channel_condition(geometry))
    sizes = (*geometry.out_shape, *geometry.in_shape, *geometry.kernel_shape)
    declared = parameters(*sizes, *(axis.padding for axis in geometry.axes))
    tuple_names = ", ".join(names["o"] + names["i"] + names["l"])
    return islpy.Set(f"{declared}{{ [{tuple_names}] : {' and '.join(conditions)} }}")


def _channel_condition(geometry: Geometry) -> str:
    """Return the condition that relates input channel i0, output channel o0 and label (l0, l1)."""
    groups, outputs, inputs = geometry.channels
    if geometry.groups == 1:
        return f"l0 = o0 and l1 = i0 and 0 <= l1 < {text(inputs)}"
    if outputs == inputs == 1:
        return "l0 = o0 and i0 = o0 and l1 = 0"
    if not isinstance(groups, int):
        raise UndecidableError(
            f"groups={groups} must be a number, since relations with a symbolic number of groups "
            f"are decidable only for depthwise layers: replace the symbol with A.at(...)"
        )
    if isinstance(outputs, int) and isinstance(inputs, int):
        return (
            f"exists (g: 0 <= g < {groups} and {outputs}g <= o0 < {outputs}g + {outputs} and "
            f"0 <= l1 < {inputs} and l1 = i0 - {inputs}g and l0 = o0)"
        )
    each = [
        f"({g}*{text(outputs)} <= o0 < {g + 1}*{text(outputs)} and l1 = i0 - {g}*{text(inputs)})"
        for g in range(groups)
    ]
    return f"0 <= l1 < {text(inputs)} and l0 = o0 and ({' or '.join(each)})"


def axis_condition(axis: Axis, output: str, tap: str, column: str) -> str:
    """Return the triples of one axis as a Presburger formula in the three named variables.

    Raises: UndecidableError when the stride or the dilation is symbolic.
    """
    if not (isinstance(axis.stride, int) and isinstance(axis.dilation, int)):
        raise UndecidableError(
            f"stride {axis.stride} and dilation {axis.dilation} must be numbers, since a symbol "
            f"times an index is not Presburger arithmetic: replace the symbols with A.at(...)"
        )
    raw = f"({axis.formula(output, tap, text)})"
    pieces = " or ".join(_piece(piece, raw, column) for piece in axis.pieces())
    return f"0 <= {tap} < {text(axis.taps)} and ({pieces})"


def _piece(piece: Piece, raw: str, column: str) -> str:
    parts = [f"{column} = {piece.sign}*{raw} + {text(piece.constant)}"]
    if piece.low is not None:
        parts.append(f"{raw} >= {text(piece.low)}")
    if piece.high is not None:
        parts.append(f"{raw} <= {text(piece.high)}")
    return f"({' and '.join(parts)})"


def _leaf(leaf: object) -> islpy.Map:
    match leaf:
        case Convolution():
            return _projected(leaf.geometry, "o", "i")
        case Selection():
            relation = _projected(leaf.geometry, "o", "i")
            before, after = leaf.geometry.in_shape, leaf.geometry.out_shape
            return reshaped(relation, (after, leaf.out_shape), (before, leaf.in_shape))
        case Patches():
            return _projected(leaf.geometry, "i" if leaf.transposed else "o", "l")
        case Diagonal():
            names = _names("o", leaf.out_shape)
            return _map(names, names, _box("o", leaf.out_shape))
        case Matrix():
            outputs, inputs = _names("o", leaf.out_shape), _names("i", leaf.in_shape)
            bounds = _box("o", leaf.out_shape) + _box("i", leaf.in_shape)
            return _map(outputs, inputs, bounds)
        case SparseMatrix():
            return _listed(leaf)
    raise AssertionError(leaf)


def _listed(leaf: SparseMatrix) -> islpy.Map:
    """Return the relation of a sparse matrix, as a list of its entries."""
    count = len(leaf.indices)
    if count > MOST_ENTRIES:
        raise UndecidableError(
            f"{leaf!r} has {count} entries, more than the {MOST_ENTRIES} that can be listed in a "
            f"relation: use a smaller operator of the same form"
        )
    rows = np.repeat(np.arange(leaf.shape[0]), np.diff(leaf.indptr))
    indices = [*_indices("o", rows, leaf.out_shape), *_indices("i", leaf.indices, leaf.in_shape)]
    points = [" and ".join(f"{name} = {index[k]}" for name, index in indices) for k in range(count)]
    # An entry between shapes without axes has no index.
    body = " or ".join(f"({point or 'true'})" for point in points) or "false"
    return _map(_names("o", leaf.out_shape), _names("i", leaf.in_shape), [body])


def _indices(letter: str, flat: np.ndarray, shape: Sizes) -> list[tuple[str, np.ndarray]]:
    """Return each index variable with its values; a shape without axes has no variables."""
    indices = np.unravel_index(flat, shape) if shape else ()
    return list(zip(_names(letter, shape), indices, strict=True))


def _projected(geometry: Geometry, rows: str, columns: str) -> islpy.Map:
    """Return the relation {rows -> columns} of the triples of a layer.

    `rows` and `columns` are "o" (output index), "i" (input index) or "l" (label), in this order.
    """
    from islpy import Map, dim_type

    sizes = {
        "o": len(geometry.out_shape),
        "i": len(geometry.in_shape),
        "l": len(geometry.kernel_shape),
    }
    points, kept = triples(geometry), []
    position = 0
    for letter in "oil":
        if letter in (rows, columns):
            kept.append(letter)
            position += sizes[letter]
        else:
            points = points.project_out(dim_type.set, position, sizes[letter])
    first, second = kept
    pair = Map.from_domain(points)
    return pair.move_dims(dim_type.out, 0, dim_type.in_, sizes[first], sizes[second])


def _names(letter: str, shape: Sizes) -> list[str]:
    return [f"{letter}{k}" for k in range(len(shape))]


def _box(letter: str, shape: Sizes) -> list[str]:
    return [f"0 <= {letter}{k} < {text(size)}" for k, size in enumerate(shape)]


def _map(
    outputs: list[str], inputs: list[str], conditions: list[str], declared: str = ""
) -> islpy.Map:
    import islpy

    body = " and ".join(conditions)
    return islpy.Map(f"{declared}{{ [{', '.join(outputs)}] -> [{', '.join(inputs)}] : {body} }}")


def reshaped(
    relation: islpy.Map, out_shapes: tuple[Sizes, Sizes], in_shapes: tuple[Sizes, Sizes]
) -> islpy.Map:
    """Return a relation {output -> input} after a reshape of its outputs and of its inputs.

    Each pair is (shape before, shape after), with equal numbers of elements.
    """
    for (before, after), on_output in ((out_shapes, True), (in_shapes, False)):
        if before != after:
            bounds = [*_box("a", before), *_box("b", after), *_same_entry(before, after)]
            declared = parameters(*before, *after)
            change = _map(_names("a", before), _names("b", after), bounds, declared)
            relation = relation.apply_domain(change) if on_output else relation.apply_range(change)
    return relation


def _same_entry(before: Sizes, after: Sizes) -> list[str]:
    """Return the conditions under which two indices select the same entry of the flat array."""
    kept = [[k for k, size in enumerate(shape) if size != 1] for shape in (before, after)]
    if [before[k] for k in kept[0]] == [after[k] for k in kept[1]]:
        # Axes of size 1 can be added or removed without a product of symbols.
        return [f"a{j} = b{k}" for j, k in zip(*kept, strict=True)]
    return [f"{_flat('a', before)} = {_flat('b', after)}"]


def _flat(letter: str, shape: Sizes) -> str:
    """Return the row-major flat index as an affine expression."""
    if not all(isinstance(size, int) for size in shape):
        raise UndecidableError(
            f"a reshape of {shape} multiplies symbols, which isl cannot decide: replace the "
            f"symbols by numbers with A.at(...)"
        )
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
