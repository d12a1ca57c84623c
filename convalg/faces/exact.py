"""The exact face: matrix rows as {column: entry}, for integers, fractions and symbols.

A layer uses each weight in many rows. Its rows are therefore stored as {column: index of the value}
together with a table of values, and products and sums of rows are computed on these indices, so
that each value of the result is computed once, however often it occurs in the matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from itertools import product as cartesian
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from convalg.axis import Axis
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

Entry: TypeAlias = tuple[int, Any]
"""A column with the number or expression in it."""
Row: TypeAlias = dict[int, Any]
"""A row of a matrix as {column: entry}."""
Rows: TypeAlias = list[Row]
Lift: TypeAlias = "Callable[[Any], Any] | None"

# The memory of a SymPy matrix in bytes: a pointer per entry, and about 300 per object.
BYTES_PER_ENTRY, BYTES_PER_OBJECT = 8, 300

MOST_KEPT = 2**14
"""The largest number of entries of a cached layer, and of cached values of a product."""


@dataclass(frozen=True, eq=False)
class Image:
    """A matrix as rows {column: index in `values`}; equal values may be stored repeatedly."""

    rows: list[dict[int, int]]
    values: list[Any]


def exact_rows(operator: Operator, lift: Lift = None) -> Rows:
    """Return the matrix as one dictionary {column: exact entry} per row; zeros may be absent.

    `lift` converts every weight and factor to an element of the ring to compute in. By default,
    machine numbers are converted to Python numbers and other objects are unchanged.
    """
    image = exact_image(operator, lift)
    values = image.values
    return [{column: values[k] for column, k in line.items()} for line in image.rows]


def exact_image(operator: Operator, lift: Lift = None) -> Image:
    """Return the matrix of `exact_rows` with its values in one table."""
    rules = _RULES
    if lift is not None:
        rules = {
            **_RULES,
            Scaled: lambda node, image: _scaled(Scaled(lift(node.factor), node.operator), image),
        }
    image: Image = fold(operator, rules, lambda leaf: _leaf(leaf, lift))
    return image


def exact_row(operator: Operator, row: int, lift: Lift = None) -> Row:
    """Return one row of the matrix as {column: entry}, without computing the other rows.

    Raises: TooLargeError when the row itself does not fit in memory.
    """
    return _times(operator, {row: 1 if lift is None else lift(1)}, lift)


def _times(operator: Operator, line: Row, lift: Lift) -> Row:
    """Return the row vector `line` times the matrix."""
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


def _gathered(pairs: Iterable[Entry]) -> Row:
    """Return pairs (column, entry) as a row, with entries of the same column added."""
    line: Row = {}
    for column, value in pairs:
        line[column] = line[column] + value if column in line else value
    return line


def _leaf_row(leaf: Operator, row: int, lift: Lift) -> Iterable[Entry]:
    """Return the pairs (column, entry) of one row of a leaf or of its adjoint.

    A column may occur repeatedly.
    """
    lifting = _unchanged if lift is None else lift
    match leaf:
        case Convolution() | Selection():
            weights = getattr(leaf, "weights", None)
            links = list(row_links(leaf.geometry, row))
        case Adjoint(operator=Convolution() | Selection() as inner):
            weights = getattr(inner, "weights", None)
            links = list(column_links(inner.geometry, row))
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
            # B(x) stores all of x, so its rows are not larger than the leaf.
            return exact_rows(leaf, lift)[row].items()
    if weights is None:
        return [(column, lifting(1)) for column, _ in links]
    flat = weights.ravel()
    return [(column, lifting(flat[label])) for column, label in links]


def _unchanged(value: object) -> object:
    return value


def row_links(geometry: Geometry, row: int) -> Iterable[tuple[int, int]]:
    """Yield (column, label) for every entry of one row of a layer."""
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
    """Yield (row, label) for every entry of one column of a layer."""
    readers = [_axis_readers(axis, index) for axis, index in _by_axis(geometry, column, "in")]
    _, outputs, inputs = geometry.channels
    lead = column // int(size_product(geometry.in_spatial))
    group, channel = divmod(lead, inputs)
    for out in range(group * outputs, (group + 1) * outputs):
        for taps in cartesian(*readers):
            row, label = out, out * inputs + channel
            for axis, (o, t) in zip(geometry.axes, taps, strict=True):
                row, label = row * axis.out_size + o, label * axis.taps + t
            yield row, label


def _by_axis(geometry: Geometry, flat: int, side: str) -> list[tuple[Axis, int]]:
    """Return each axis with the index along it that belongs to a flat index of the output or input.

    `side` is "out" or "in".
    """
    indices = []
    for axis in reversed(geometry.axes):
        size = axis.out_size if side == "out" else axis.in_size
        flat, index = divmod(flat, int(size))
        indices.append((axis, index))
    return indices[::-1]


def _axis_reads(axis: Axis, output: int) -> list[tuple[int, int]]:
    """Return the pairs (input, tap) that one output reads."""
    _check_links(axis.numbers.taps)
    columns = axis.read_by(np.array([output]))[0][0].tolist()
    return [(column, tap) for tap, column in enumerate(columns) if column >= 0]


def _axis_readers(axis: Axis, index: int) -> list[tuple[int, int]]:
    """Return the pairs (output, tap) that read one input."""
    _check_links(axis.numbers.taps)
    readers = []
    last = axis.out_size - 1
    for piece in axis.pieces():
        for tap in range(axis.taps):
            ends = sorted((axis.raw(0, tap), axis.raw(last, tap)))
            low = ends[0] if piece.low is None else max(piece.low, ends[0])
            high = ends[1] if piece.high is None else min(piece.high, ends[1])
            if piece.sign:
                raw = piece.sign * (index - piece.constant)
                low, high = max(low, raw), min(high, raw)
            elif index != piece.constant:
                continue
            _check_links(high - low + 1)
            for raw in range(low, high + 1):
                output, rest = divmod(raw - axis.raw(0, tap), axis.stride)
                if not rest:
                    readers.append((output, tap))
    return readers


def _check_links(count: int) -> None:
    what = f"one row of {count} entries"
    check_memory(count * BYTES_PER_OBJECT, None, what=what, instead="use smaller sizes")


def to_sympy(
    operator: Operator, order: Order = "C", *, max_bytes: int | None = None
) -> sympy.Matrix:
    """Return the matrix of shape (rows, columns) with SymPy entries; see `Operator.to_sympy`."""
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
    row_order, column_order = map(np.ndarray.tolist, vec_order(operator, order))
    image = exact_image(operator)
    values = [sympy.sympify(value) for value in image.values]
    kinds = {type(value) for value in values}
    domain = sympy.EXRAW
    if all(issubclass(kind, sympy.Rational) for kind in kinds):
        integral = all(issubclass(kind, sympy.Integer) for kind in kinds)
        domain = sympy.ZZ if integral else sympy.QQ
    elements = [domain.from_sympy(value) for value in values]
    # A float zero may result from rounding, so it stays an entry.
    kept = [value is not sympy.S.Zero for value in values]
    filled = {
        row_order[row]: {column_order[column]: elements[k] for column, k in line.items() if kept[k]}
        for row, line in enumerate(image.rows)
        if any(kept[k] for k in line.values())
    }
    # SymPy's matrices store a DomainMatrix, so that no entry is converted here.
    return DomainMatrix(filled, (rows, columns), domain).to_Matrix()


def check_order(order: str) -> None:
    """Raise ArgumentError unless the order is "C" or "F"."""
    if not isinstance(order, str) or order not in ("C", "F"):
        raise ArgumentError(f"order must be 'C' (row-major) or 'F' (column-major), not {order!r}")


def vec_order(operator: Operator, order: Order) -> tuple[np.ndarray, np.ndarray]:
    """Return the new indices of the rows and columns of the row-major matrix in another order."""
    return _order_of(operator.out_shape, order), _order_of(operator.in_shape, order)


def _order_of(shape: tuple[int, ...], order: Order) -> np.ndarray:
    count = int(size_product(shape))
    return np.arange(count).reshape(shape, order=order).ravel(order="C")


def lifted(values: np.ndarray, lift: Lift) -> np.ndarray:
    """Return an array of objects: Python numbers, which do not overflow, or values of `lift`."""
    objects = values.astype(object)
    return objects if lift is None else np.frompyfunc(lift, 1, 1)(objects)


def _image(rows: Iterable[tuple[Iterable[int], Iterable[object]]]) -> Image:
    """Return the image of rows (columns, values), with each object in the table once."""
    numbers: dict[int, int] = {}
    table: list[Any] = []
    lines = []
    for columns, entries in rows:
        line = {}
        for column, value in zip(columns, entries, strict=True):
            number = numbers.setdefault(id(value), len(table))
            if number == len(table):
                table.append(value)
            line[column] = number
        lines.append(line)
    return Image(lines, table)


def _leaf(leaf: object, lift: Lift) -> Image:
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
        # Weights that a boundary rule puts on the same entry are added.
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
    """Return the rows of a layer as {column: label}; each entry must have a single label."""
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
    """Return the matrix product, computing each different sum of products once."""
    width, others = len(right.values), right.rows
    table: list[Any] = []
    sums: dict[tuple[int, ...], int] = {}
    products: dict[int, Any] = {}

    def product(pair: int) -> Any:
        result = products.get(pair)
        if result is None:
            result = left.values[pair // width] * right.values[pair % width]
            if len(products) < MOST_KEPT:
                products[pair] = result
        return result

    def add_sum(pairs: tuple[int, ...]) -> int:
        table.append(_total([product(pair) for pair in pairs]))
        if len(table) <= MOST_KEPT:
            sums[pairs] = len(table) - 1
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
            row[column] = sums[pairs] if pairs in sums else add_sum(pairs)
        rows.append(row)
    return Image(rows, table)


def _total(terms: list[Any]) -> Any:
    if len(terms) > 2 and is_expression(terms[0]):
        import sympy

        # One flat sum, since adding the terms one by one would sort them at each step.
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
    sums: dict[tuple[int, ...], int] = {}
    every = [value for image in images for value in image.values]
    rows = []
    for lines in zip(*(image.rows for image in images), strict=True):
        entries: dict[int, tuple[int, ...]] = {}
        first = 0
        for image, line in zip(images, lines, strict=True):
            for column, number in line.items():
                entries[column] = (*entries.get(column, ()), first + number)
            first += len(image.values)
        row = {}
        for column, numbers in entries.items():
            if numbers not in sums:
                sums[numbers] = len(table)
                table.append(_total([every[number] for number in numbers]))
            row[column] = sums[numbers]
        rows.append(row)
    return Image(rows, table)


def _scaled(node: Scaled, image: Image) -> Image:
    return Image(image.rows, [node.factor * value for value in image.values])


def _adjoint(node: Adjoint, image: Image) -> Image:
    rows: list[dict[int, int]] = [{} for _ in range(node.shape[0])]
    for row, line in enumerate(image.rows):
        for column, number in line.items():
            rows[column][row] = number
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
