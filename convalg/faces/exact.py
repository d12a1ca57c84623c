"""The exact face: matrix rows as {column: entry}, for integers, fractions and symbols.

A layer repeats its weights, so its rows are held as {column: number of the value} beside a table
of the values: a product or a sum of rows works on those numbers, and each value that comes out is
computed once however often it stands in the matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from itertools import product as cartesian
from typing import TYPE_CHECKING, Any

import numpy as np

from convalg.errors import ArgumentError
from convalg.faces.support import nonzero_bound
from convalg.geometry import Geometry
from convalg.limits import check_memory
from convalg.operators.leaves import (
    Adjoint,
    Convolution,
    Diagonal,
    Matrix,
    Patches,
    Selection,
    SparseMatrix,
)
from convalg.operators.tree import Compose, Kron, Operator, Order, Scaled, Sum, fold
from convalg.pattern.pattern import Pattern, column_block
from convalg.size import is_expression, size_product

if TYPE_CHECKING:
    import sympy

Rows = list[dict[int, Any]]
Lift = Callable[[Any], Any] | None

# What a SymPy matrix takes: a pointer an entry, and about this much for each object in it.
BYTES_PER_ENTRY, BYTES_PER_OBJECT = 8, 300

MOST_KEPT = 2**14
"""Entries of a layer, and values of a product, that are remembered in case they come again."""


@dataclass(frozen=True, eq=False)
class Image:
    """Rows of {column: place in `values`}; equal values may have several places."""

    rows: list[dict[int, int]]
    values: list[Any]


def exact_rows(operator: Operator, lift: Lift = None) -> Rows:
    """The matrix as one dictionary a row, with exact entries; zero entries may be absent.

    `lift` turns every weight and factor into the ring to compute in; by default they stay
    as they are, machine numbers as Python's own.
    """
    found = exact_image(operator, lift)
    values = found.values
    return [{column: values[k] for column, k in line.items()} for line in found.rows]


def exact_image(operator: Operator, lift: Lift = None) -> Image:
    """What `exact_rows` gives, with each value held once."""
    rules = _RULES
    if lift is not None:
        rules = {
            **_RULES,
            Scaled: lambda node, image: _scaled(Scaled(lift(node.factor), node.operator), image),
        }
    return fold(operator, rules, lambda leaf: _leaf(leaf, lift))


def exact_row(operator: Operator, row: int, lift: Lift = None) -> dict[int, Any]:
    """One row of the matrix as {column: entry}, without making the others.

    Raises: TooLargeError where the row itself would not fit.
    """
    return _times(operator, {row: 1 if lift is None else lift(1)}, lift)


def _times(operator: Operator, line: dict[int, Any], lift: Lift) -> dict[int, Any]:
    """The row vector `line` times the matrix."""
    match operator:
        case Compose(factors=factors):
            for factor in factors:
                line = _times(factor, line, lift)
            return line
        case Sum(terms=terms):
            return _gathered(pair for term in terms for pair in _times(term, line, lift).items())
        case Scaled(factor=factor, operator=inner):
            number = factor if lift is None else lift(factor)
            return {k: number * value for k, value in _times(inner, line, lift).items()}
        case Kron(left=left, right=right):
            height, width = right.shape
            pairs = []
            for row, value in line.items():
                outer = _times(left, {row // height: value}, lift)
                lines = outer, exact_row(right, row % height, lift)
                pairs += [
                    (a * width + b, u * v)
                    for (a, u), (b, v) in cartesian(*(line.items() for line in lines))
                ]
            return _gathered(pairs)
    return _gathered(
        (column, value * entry)
        for row, value in line.items()
        for column, entry in _leaf_row(operator, row, lift)
    )


def _gathered(pairs: Iterable[tuple[int, Any]]) -> dict[int, Any]:
    """Entries with those of one column added."""
    line: dict[int, Any] = {}
    for column, value in pairs:
        line[column] = line[column] + value if column in line else value
    return line


def _leaf_row(leaf: Any, row: int, lift: Lift) -> Iterable[tuple[int, Any]]:
    """(column, entry) of one row of a leaf or of its adjoint; a column may come several times."""
    lifting = (lambda value: value) if lift is None else lift
    match leaf:
        case Convolution() | Selection():
            weights = getattr(leaf, "weights", None)
            found = list(row_links(leaf.geometry, row))
        case Adjoint(operator=Convolution() | Selection() as inner):
            weights = getattr(inner, "weights", None)
            found = list(column_links(inner.geometry, row))
        case Diagonal():
            return [(row, lifting(leaf.values.ravel()[row]))]
        case Matrix():
            return [(k, lifting(value)) for k, value in enumerate(leaf.values[row].tolist())]
        case SparseMatrix():
            own = slice(int(leaf.indptr[row]), int(leaf.indptr[row + 1]))
            columns = leaf.indices[own].tolist()
            return [
                (k, lifting(v)) for k, v in zip(columns, leaf.values[own].tolist(), strict=True)
            ]
        case _:
            # B(x) holds all of x, so its rows are no larger than what is there.
            return exact_rows(leaf, lift)[row].items()
    if weights is None:
        return [(column, lifting(1)) for column, _ in found]
    flat = weights.ravel()
    return [(column, lifting(flat[label])) for column, label in found]


def row_links(geometry: Geometry, row: int) -> Iterable[tuple[int, int]]:
    """(column, label) of every entry of one row of a layer."""
    reads = [_axis_reads(axis, output) for axis, output in _by_axis(geometry, row, "out")]
    _, outputs, inputs = geometry.channels
    lead = row // int(size_product(geometry.out_spatial))
    first = lead // outputs * inputs
    for channel in range(inputs):
        for taps in cartesian(*reads):
            column, label = first + channel, lead * inputs + channel
            for axis, (i, t) in zip(geometry.axes, taps, strict=True):
                column, label = column * axis.in_size + i, label * axis.taps + t
            yield column, label


def column_links(geometry: Geometry, column: int) -> Iterable[tuple[int, int]]:
    """(row, label) of every entry of one column of a layer."""
    readers = [_axis_readers(axis, place) for axis, place in _by_axis(geometry, column, "in")]
    _, outputs, inputs = geometry.channels
    lead = column // int(size_product(geometry.in_spatial))
    group, channel = divmod(lead, inputs)
    for out in range(group * outputs, (group + 1) * outputs):
        for taps in cartesian(*readers):
            row, label = out, out * inputs + channel
            for axis, (o, t) in zip(geometry.axes, taps, strict=True):
                row, label = row * axis.out_size + o, label * axis.taps + t
            yield row, label


def _by_axis(geometry: Geometry, flat: int, side: str) -> list[tuple[Any, int]]:
    """Each axis with the index along it, of a flat index."""
    found = []
    for axis in reversed(geometry.axes):
        size = axis.out_size if side == "out" else axis.in_size
        flat, place = divmod(flat, int(size))
        found.append((axis, place))
    return found[::-1]


def _axis_reads(axis: Any, output: int) -> list[tuple[int, int]]:
    """(input, tap) that one output reads."""
    _check_links(axis.taps)
    columns = axis.read_by(np.array([output]))[0][0].tolist()
    return [(column, tap) for tap, column in enumerate(columns) if column >= 0]


def _axis_readers(axis: Any, place: int) -> list[tuple[int, int]]:
    """(output, tap) that read one input."""
    _check_links(axis.taps)
    found = []
    last = axis.out_size - 1
    for piece in axis.pieces():
        for tap in range(axis.taps):
            ends = sorted((axis.raw(0, tap), axis.raw(last, tap)))
            low = ends[0] if piece.low is None else max(piece.low, ends[0])
            high = ends[1] if piece.high is None else min(piece.high, ends[1])
            if piece.sign:
                raw = piece.sign * (place - piece.constant)
                low, high = max(low, raw), min(high, raw)
            elif place != piece.constant:
                continue
            _check_links(high - low + 1)
            for raw in range(low, high + 1):
                output, rest = divmod(raw - axis.raw(0, tap), axis.stride)
                if not rest:
                    found.append((output, tap))
    return found


def _check_links(count: int) -> None:
    what = f"one row of {count} entries"
    check_memory(count * BYTES_PER_OBJECT, None, what=what, instead="use smaller sizes")


def to_sympy(
    operator: Operator, order: Order = "C", *, max_bytes: int | None = None
) -> sympy.Matrix:
    """The matrix with SymPy entries; see `Operator.to_sympy`."""
    import sympy
    from sympy.polys.matrices import DomainMatrix

    check_order(order)
    rows, columns = operator.shape
    check_memory(
        rows * columns * BYTES_PER_ENTRY + nonzero_bound(operator) * BYTES_PER_OBJECT,
        max_bytes,
        what=f"the exact {rows} x {columns} matrix",
        instead="use a smaller layer of the same form, A(x) on exact entries, or to_scipy()",
    )
    row_place, column_place = (place.tolist() for place in vec_places(operator, order))
    found = exact_image(operator)
    values = [sympy.sympify(value) for value in found.values]
    kinds = {type(value) for value in values}
    domain = sympy.EXRAW
    if all(issubclass(kind, sympy.Rational) for kind in kinds):
        whole = all(issubclass(kind, sympy.Integer) for kind in kinds)
        domain = sympy.ZZ if whole else sympy.QQ
    elements = [domain.from_sympy(value) for value in values]
    # A zero that is a float is an entry, since it is not exact.
    kept = [value is not sympy.S.Zero for value in values]
    filled = {
        row_place[row]: {column_place[column]: elements[k] for column, k in line.items() if kept[k]}
        for row, line in enumerate(found.rows)
        if any(kept[k] for k in line.values())
    }
    # Straight into the sparse form that SymPy's matrices have inside.
    return DomainMatrix(filled, (rows, columns), domain).to_Matrix()


def check_order(order: str) -> None:
    """Raises: ArgumentError unless it is "C" or "F"."""
    if not isinstance(order, str) or order not in ("C", "F"):
        raise ArgumentError(f"order must be 'C' (row-major) or 'F' (column-major), not {order!r}")


def vec_places(operator: Operator, order: Order) -> tuple[np.ndarray, np.ndarray]:
    """Where each row and column of the row-major matrix goes in another order of vec()."""
    return _place(operator.out_shape, order), _place(operator.in_shape, order)


def _place(shape: tuple[int, ...], order: Order) -> np.ndarray:
    count = int(size_product(shape))
    return np.arange(count).reshape(shape, order=order).ravel(order="C")


def lifted(values: np.ndarray, lift: Lift) -> np.ndarray:
    """Machine numbers as Python's own, which do not overflow, or in another ring."""
    objects = values.astype(object)
    return objects if lift is None else np.frompyfunc(lift, 1, 1)(objects)


def _image(rows: Iterable[tuple[Iterable[int], Iterable[Any]]]) -> Image:
    """Lines of columns and values, where one object counts as one value."""
    places: dict[int, int] = {}
    table: list[Any] = []
    lines = []
    for columns, entries in rows:
        line = {}
        for column, value in zip(columns, entries, strict=True):
            place = places.setdefault(id(value), len(table))
            if place == len(table):
                table.append(value)
            line[column] = place
        lines.append(line)
    return Image(lines, table)


def _leaf(leaf: Any, lift: Lift) -> Image:
    match leaf:
        case Convolution():
            return _pattern_image(leaf.pattern, lifted(leaf.weights, lift))
        case Selection():
            ones = np.ones(leaf.geometry.kernel_shape, dtype=object)
            return _pattern_image(leaf.pattern, ones)
        case Patches():
            return _patch_image(leaf, lifted(leaf.values, lift).ravel())
        case Diagonal():
            factors = lifted(leaf.values, lift).ravel().tolist()
            return Image([{k: k} for k in range(len(factors))], factors)
        case Matrix():
            entries = lifted(leaf.values, lift)
            return _image((range(entries.shape[1]), row) for row in entries)
        case SparseMatrix():
            values = lifted(leaf.values, lift)
            return _image(
                (leaf.indices[a:b].tolist(), values[a:b]) for a, b in pairwise(leaf.indptr.tolist())
            )
    raise AssertionError(leaf)


def _pattern_image(pattern: Pattern, weights: np.ndarray) -> Image:
    if column_block(pattern.geometry).starts is not None:
        # Weights that a boundary puts on one entry are added there.
        indptr, indices = (part.tolist() for part in pattern.csr_structure())
        values = pattern.csr_values(weights)
        return _image((indices[a:b], values[a:b]) for a, b in pairwise(indptr))
    small = pattern.nonzeros <= MOST_KEPT
    rows = _small_rows(pattern.geometry) if small else _label_rows(pattern)
    return Image(rows, weights.ravel().tolist())


@lru_cache(maxsize=64)
def _small_rows(geometry: Geometry) -> list[dict[int, int]]:
    return _label_rows(Pattern(geometry))


def _label_rows(pattern: Pattern) -> list[dict[int, int]]:
    """The rows of a layer as {column: label}, where no entry has two labels."""
    indptr, indices = (part.tolist() for part in pattern.csr_structure())
    shape = pattern.geometry.kernel_shape
    labels = pattern.csr_values(np.arange(pattern.parameters).reshape(shape)).tolist()
    return [dict(zip(indices[a:b], labels[a:b], strict=True)) for a, b in pairwise(indptr)]


def _patch_image(leaf: Patches, values: np.ndarray) -> Image:
    rows: Rows = [{} for _ in range(leaf.shape[0])]
    for row, column, label in Pattern(leaf.geometry).triples().tolist():
        if leaf.transposed:
            rows[column][label] = rows[column].get(label, 0) + values[row]
        else:
            rows[row][label] = values[column]
    return _image((line, line.values()) for line in rows)


def _product(left: Image, right: Image) -> Image:
    """Each row is worked out as the pairs of values that each entry sums, then summed."""
    width, others = len(right.values), right.rows
    table: list[Any] = []
    known: dict[tuple[int, ...], int] = {}
    products: dict[int, Any] = {}

    def product(pair: int) -> Any:
        found = products.get(pair)
        if found is None:
            found = left.values[pair // width] * right.values[pair % width]
            if len(products) < MOST_KEPT:
                products[pair] = found
        return found

    def place(pairs: tuple[int, ...]) -> int:
        table.append(_total([product(pair) for pair in pairs]))
        if len(table) <= MOST_KEPT:
            known[pairs] = len(table) - 1
        return len(table) - 1

    rows = []
    for line in left.rows:
        entries: dict[int, list[int]] = {}
        for middle, factor in line.items():
            first = factor * width
            for column, other in others[middle].items():
                if column in entries:
                    entries[column].append(first + other)
                else:
                    entries[column] = [first + other]
        row = {}
        for column, summed in entries.items():
            pairs = tuple(summed)
            row[column] = known[pairs] if pairs in known else place(pairs)
        rows.append(row)
    return Image(rows, table)


def _total(terms: list[Any]) -> Any:
    if len(terms) > 2 and is_expression(terms[0]):
        import sympy

        # One flat sum, where adding up would sort the terms anew for each.
        return sympy.Add(*terms)
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result


def _compose(node: Compose, *images: Image) -> Image:
    result = images[-1]
    for image in reversed(images[:-1]):
        result = _product(image, result)
    return result


def _sum(node: Sum, *images: Image) -> Image:
    table: list[Any] = []
    known: dict[tuple[int, ...], int] = {}
    # Each image's values have places of their own in one long list.
    every = [value for image in images for value in image.values]
    rows = []
    for lines in zip(*(image.rows for image in images), strict=True):
        entries: dict[int, tuple[int, ...]] = {}
        first = 0
        for image, line in zip(images, lines, strict=True):
            for column, place in line.items():
                entries[column] = (*entries.get(column, ()), first + place)
            first += len(image.values)
        row = {}
        for column, places in entries.items():
            if places not in known:
                known[places] = len(table)
                table.append(_total([every[place] for place in places]))
            row[column] = known[places]
        rows.append(row)
    return Image(rows, table)


def _scaled(node: Scaled, image: Image) -> Image:
    return Image(image.rows, [node.factor * value for value in image.values])


def _adjoint(node: Adjoint, image: Image) -> Image:
    rows: list[dict[int, int]] = [{} for _ in range(node.shape[0])]
    for row, line in enumerate(image.rows):
        for column, place in line.items():
            rows[column][row] = place
    return Image(rows, image.values)


def _kron(node: Kron, left: Image, right: Image) -> Image:
    width, many = node.right.shape[1], len(right.values)
    rows = [
        {a * width + b: u * many + v for a, u in outer.items() for b, v in inner.items()}
        for outer in left.rows
        for inner in right.rows
    ]
    return Image(rows, [u * v for u in left.values for v in right.values])


_RULES: dict[type, Callable[..., Any]] = {
    Compose: _compose,
    Sum: _sum,
    Scaled: _scaled,
    Adjoint: _adjoint,
    Kron: _kron,
}
