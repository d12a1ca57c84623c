"""The equality of families: operators with symbolic sizes, as sets of labelled entries.

An entry of a product of layers is a sum of products of weights; each such product is one integer
point (row, column, labels). A family is a list of `Term`s: coefficients with parametric sets of
points. Two families are equal exactly when every set of points with a non-zero coefficient in their
difference is empty. isl decides this, since it is a question of Presburger arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, permutations
from typing import TYPE_CHECKING, Any, TypeAlias

import islpy
import numpy as np
from islpy import dim_type

from convalg.arrays import Array
from convalg.axis import Size
from convalg.errors import ArgumentError, UndecidableError
from convalg.faces.relation import reshaped, to_isl, triples
from convalg.geometry import Geometry
from convalg.kernels import SymbolicKernel, kernel
from convalg.operators.leaves import (
    Adjoint,
    Convolution,
    Diagonal,
    Matrix,
    Patches,
    Selection,
    SparseMatrix,
)
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum, fold, leaves
from convalg.presburger import isl_name, parameters, same_shape, text
from convalg.prove.decisions import coefficients
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.polynomials import Polynomial
from convalg.size import is_symbolic, size_product

if TYPE_CHECKING:
    import sympy

MOST_WEIGHTS = 100
"""The number of weights of a numeric kernel, since each of them has its own set of points."""
MOST_PIECES = 4000
"""The number of terms and pieces of sets that one claim may be split into."""
BUDGET = 5_000_000
"""The number of isl operations that one claim may use."""
Shapes: TypeAlias = "tuple[tuple[Size, ...], tuple[Size, ...]]"
"""The shapes of the output and of the input."""


@dataclass(frozen=True, eq=False)
class Term:
    """A coefficient times a product of weights, at points [row, column, labels of each kernel]."""

    coefficient: Polynomial
    kernels: tuple[str, ...]
    points: islpy.Set


@dataclass(frozen=True)
class Sizes:
    """The numbers of dimensions of rows, columns and the labels of each kernel, by its name."""

    rows: int
    columns: int
    labels: dict[str, int]


def kernels_of(operators: Sequence[Operator]) -> dict[str, SymbolicKernel]:
    """Return the symbolic kernels of some families by their names.

    Raises: ArgumentError when one name is used for kernels of two shapes, or for a symbolic kernel
    and also for an array of its symbols.
    """
    named: dict[str, SymbolicKernel] = {}
    for operator in operators:
        for leaf in leaves(operator):
            own = getattr(leaf, "weights", getattr(leaf, "values", None))
            if not isinstance(own, SymbolicKernel):
                continue
            other = named.setdefault(own.name, own)
            if not same_shape(other.named_shape, own.named_shape):
                raise ArgumentError(
                    f"the kernel name {own.name!r} is used for two shapes, {other.named_shape} and "
                    f"{own.named_shape}: give one of the kernels another name="
                )
    for operator in operators:
        for name in named:
            if name in _spelt_out(operator):
                raise ArgumentError(
                    f"the kernel name {name!r} is used for a kernel of symbolic size and for an "
                    f"array of its symbols: give one of them another name="
                )
    return named


def _spelt_out(operator: Operator) -> set[str]:
    """Return the names of kernels whose symbols, such as w0 of w, are entries of an array."""
    names = set()
    for leaf in leaves(operator):
        values = getattr(leaf, "weights", getattr(leaf, "values", None))
        if isinstance(values, np.ndarray) and values.dtype.kind == "O":
            for value in values.ravel():
                if is_symbolic(value):
                    # `ca.kernel` makes symbols without assumptions.
                    plain = (s for s in value.free_symbols if s.is_integer is None)
                    names |= {s.name.rstrip("0123456789_") for s in plain}
    return names


@contextmanager
def limited(budget: int) -> Iterator[None]:
    """Limit isl to `budget` operations; within another limit, only the outer limit applies.

    Raises: UndecidableError when the operations are used up.
    """
    context = islpy.DEFAULT_CONTEXT
    if context.get_max_operations():
        yield
        return
    context.reset_operations()
    context.set_max_operations(budget)
    try:
        yield
    except islpy.Error:
        if not _is_exhausted():
            raise
        raise UndecidableError(
            f"budget exceeded: the claim takes more than {budget} isl operations: pass a larger "
            f"budget=, or use numbers for some sizes"
        ) from None
    finally:
        context.set_max_operations(0)


def _is_exhausted() -> bool:
    """Whether isl has no operations left; every call then fails, with an arbitrary message."""
    try:
        islpy.Set("{ [0] }")
    except islpy.Error:
        return True
    return False


def terms(operator: Operator, domain: islpy.Set) -> list[Term]:
    """Return the terms of a family.

    Raises: UndecidableError where the number of times that the same product of weights is added
    to one entry of the matrix depends on symbols.
    """
    labels = {name: kernel.ndim for name, kernel in kernels_of([operator]).items()}

    def sizes(node: Operator) -> Sizes:
        return Sizes(len(node.out_shape), len(node.in_shape), labels)

    def composed(node: Compose, *images: list[Term]) -> list[Term]:
        result = images[0]
        for number, image in enumerate(images[1:]):
            left, right = node.factors[number], node.factors[number + 1]
            first, second = sizes(left), sizes(right)
            result = [
                _product(a, b, Sizes(len(node.out_shape), first.columns, labels), second, domain)
                for a in result
                for b in image
            ]
        return result

    rules: dict[type, Callable[..., list[Term]]] = {
        Compose: composed,
        Sum: lambda node, *images: [term for image in images for term in image],
        Scaled: lambda node, image: [
            Term(term.coefficient * Polynomial.of(node.factor), term.kernels, term.points)
            for term in image
        ],
        Adjoint: lambda node, image: [_transposed(t, sizes(node.operator)) for t in image],
        Kron: lambda node, left, right: [
            _outer(a, b, sizes(node.left), sizes(node.right)) for a in left for b in right
        ],
    }
    return fold(operator, rules, _leaf_terms)


def _leaf_terms(leaf: object) -> list[Term]:
    match leaf:
        case Convolution(weights=SymbolicKernel()):
            return [_named_layer(leaf)]
        case Convolution():
            return _numeric_layer(leaf)
        case Selection():
            return _windows(leaf)
        case Patches(values=SymbolicKernel()):
            return [_named_patches(leaf)]
        case Diagonal(values=values):
            return _entries(leaf, {(*i, *i): v for i, v in np.ndenumerate(values)})
        case Matrix(values=values):
            entries = {}
            for (row, column), value in np.ndenumerate(values):
                left = np.unravel_index(row, leaf.out_shape)
                right = np.unravel_index(column, leaf.in_shape)
                entries[tuple(int(k) for k in (*left, *right))] = value
            return _entries(leaf, entries)
        case SparseMatrix(values=values):
            rows = np.repeat(np.arange(leaf.shape[0]), np.diff(leaf.indptr))
            indices = (
                *np.unravel_index(rows, leaf.out_shape),
                *np.unravel_index(leaf.indices, leaf.in_shape),
            )
            listed = zip(np.stack(indices, axis=1).tolist(), values, strict=True)
            return _entries(leaf, {tuple(index): value for index, value in listed})
    raise UndecidableError(
        f"{leaf!r} is not supported with symbolic sizes: use numbers for its sizes"
    )


def _windows(leaf: Selection) -> list[Term]:
    """Return the terms of a selection: one set per tap for windows of numeric size."""
    taps = leaf.geometry.taps
    if all(size == 1 for size in taps):
        return [Term(Polynomial.of(1), (), to_isl(leaf).wrap().flatten())]
    if all(isinstance(size, int) for size in taps) and size_product(taps) <= MOST_WEIGHTS:
        shapes = leaf.geometry.out_shape, leaf.geometry.in_shape
        return [
            Term(Polynomial.of(1), (), _in_shapes(points, shapes, (leaf.out_shape, leaf.in_shape)))
            for points in _each_tap(leaf.geometry, np.ones(taps, dtype=object))
        ]
    if any(axis.taps != 1 and axis.boundary != "zeros" for axis in leaf.axes):
        raise UndecidableError(
            f"{leaf!r} may add the same entry several times: use numbers for its sizes"
        )
    return [Term(Polynomial.of(1), (), to_isl(leaf).wrap().flatten())]


def _in_shapes(points: islpy.Set, before: Shapes, after: Shapes) -> islpy.Set:
    """Return points [output index, input index] for reshaped outputs and inputs."""
    if before == after:
        return points
    pairs = islpy.Map.from_domain(points)
    pairs = pairs.move_dims(dim_type.out, 0, dim_type.in_, len(before[0]), len(before[1]))
    moved = reshaped(pairs, (before[0], after[0]), (before[1], after[1]))
    return moved.wrap().flatten()


def freed(operator: Operator) -> Operator:
    """Return the operator with unknown weights instead of ones in window sums of symbolic size.

    A claim that holds for all weights holds for ones.

    Raises: UndecidableError for a sum whose input or output is reshaped.
    """

    def leaf(node: Operator) -> Operator:
        if not isinstance(node, Selection) or all(
            isinstance(size, int) for size in node.geometry.taps
        ):
            return node
        if node.geometry.in_shape != node.in_shape or node.geometry.out_shape != node.out_shape:
            raise UndecidableError(f"{node!r} is reshaped: use numbers for its sizes")
        taps = node.geometry.taps
        weights = kernel(*taps, name=f"window_{'_'.join(map(_identifier, taps))}")
        return Convolution(node.geometry, weights)

    rules: dict[type, Callable[..., Operator]] = {
        kind: lambda node, *images: node.rebuild(images)
        for kind in (Compose, Sum, Scaled, Adjoint, Kron)
    }
    return fold(operator, rules, leaf)


def _identifier(size: object) -> str:
    return "".join(mark if mark.isalnum() else f"_{ord(mark)}_" for mark in str(size))


def _entries(leaf: Operator, values: dict[tuple[int, ...], object]) -> list[Term]:
    """Return the terms of listed entries: the indices of equal values are in one term."""
    if len(values) > MOST_WEIGHTS:
        raise UndecidableError(
            f"{leaf!r} has {len(values)} entries, more than the {MOST_WEIGHTS} that can be "
            f"combined with symbolic sizes: use numbers for the sizes"
        )
    by_value: dict[Any, list[tuple[int, ...]]] = {}
    for index, value in values.items():
        by_value.setdefault(value, []).append(index)
    return [
        Term(
            Polynomial.of(value), (), islpy.Set(f"{{ {'; '.join(f'{list(p)}' for p in indices)} }}")
        )
        for value, indices in by_value.items()
        if value != 0
    ]


def _named_layer(leaf: Convolution) -> Term:
    return Term(
        Polynomial.of(1), (leaf.weights.name,), _renamed(triples(leaf.geometry), leaf.weights)
    )


def _named_patches(leaf: Patches) -> Term:
    """Return the term of B(x): rows are outputs, columns weights, and labels inputs."""
    geometry = leaf.geometry
    outputs, inputs = len(geometry.out_shape), len(geometry.in_shape)
    taps = len(geometry.kernel_shape)
    o, i = range(outputs), range(outputs, outputs + inputs)
    label = range(outputs + inputs, outputs + inputs + taps)
    order = [*i, *label, *o] if leaf.transposed else [*o, *label, *i]
    points = _permuted(triples(geometry), order)
    return Term(Polynomial.of(1), (leaf.values.name,), _renamed(points, leaf.values))


def _renamed(points: islpy.Set, kernel: SymbolicKernel) -> islpy.Set:
    """Map the last dimensions, an index of this kernel, to the index of the named kernel."""
    count = points.dim(dim_type.set) - kernel.ndim
    names = [f"a{k}" for k in range(count + kernel.ndim)]
    index = kernel.index([_Name(name) for name in names[count:]])
    target = names[:count] + [_index_text(value) for value in index]
    change = islpy.Map(
        f"{parameters(*kernel.named_shape)}{{ [{', '.join(names)}] -> [{', '.join(target)}] }}"
    )
    return points.apply(change)


class _Name(str):
    """An isl variable; flipping a kernel computes `size - 1 - name`, which is written as text."""

    __slots__ = ()

    def __rsub__(self, other: object) -> str:
        return f"{text(other)} - {self}"


def _index_text(value: object) -> str:
    return str(value)


def _numeric_layer(leaf: Convolution) -> list[Term]:
    """Return one term per weight, so that a product of two layers has at most one middle index."""
    weights = leaf.weights
    if weights.size > MOST_WEIGHTS:
        raise UndecidableError(
            f"a kernel of {weights.size} numbers is too large for symbolic sizes (at most "
            f"{MOST_WEIGHTS} numbers): use a symbolic ca.kernel, or numbers for all sizes"
        )
    pairs = zip(weights.ravel(), _each_tap(leaf.geometry, weights), strict=True)
    return [Term(Polynomial.of(value), (), points) for value, points in pairs if value != 0]


def _each_tap(geometry: Geometry, weights: Array) -> Iterator[islpy.Set]:
    """Yield the points [output index, input index] of each tap, in the order of the weights."""
    points = triples(geometry)
    start = points.dim(dim_type.set) - weights.ndim
    for index in np.ndindex(*weights.shape):
        one = points
        for k, tap in enumerate(index):
            one = one.fix_val(dim_type.set, start + k, islpy.Val(int(tap)))
        yield one.project_out(dim_type.set, start, weights.ndim)


def _width(kernels: tuple[str, ...], labels: dict[str, int]) -> int:
    return sum(labels[name] for name in kernels)


def _product(left: Term, right: Term, first: Sizes, second: Sizes, domain: islpy.Set) -> Term:
    """Return the term of a product; each entry must have only one middle index."""
    labels = first.labels
    middle, columns = first.columns, second.columns
    left_width, right_width = _width(left.kernels, labels), _width(right.kernels, labels)
    points = left.points.insert_dims(dim_type.set, first.rows + middle, columns)
    points = points.add_dims(dim_type.set, right_width)
    other = right.points.insert_dims(dim_type.set, middle + columns, left_width)
    other = other.insert_dims(dim_type.set, 0, first.rows)
    joined = points.intersect(other).intersect_params(domain)
    pairs = islpy.Map.from_domain(joined)
    pairs = pairs.move_dims(dim_type.out, 0, dim_type.in_, first.rows, middle)
    if not pairs.is_single_valued():
        names = ", ".join(left.kernels + right.kernels)
        what = f"the same product of weights of {names}" if names else "the same term"
        raise UndecidableError(
            f"in the matrix of a product of these operators, the number of times that {what} is "
            f"added to one entry depends on the symbolic sizes: use numbers for some of the sizes"
        )
    kept = joined.project_out(dim_type.set, first.rows, middle)
    return Term(left.coefficient * right.coefficient, left.kernels + right.kernels, kept)


def _permuted(points: islpy.Set, order: list[int]) -> islpy.Set:
    """Permute the dimensions of points: dimension k of the result is dimension order[k]."""
    if order == list(range(len(order))):
        return points
    names = [f"a{k}" for k in range(len(order))]
    target = ", ".join(names[k] for k in order)
    return points.apply(islpy.Map(f"{{ [{', '.join(names)}] -> [{target}] }}"))


def _transposed(term: Term, sizes: Sizes) -> Term:
    rows, columns = sizes.rows, sizes.columns
    width = _width(term.kernels, sizes.labels)
    order = [*range(rows, rows + columns), *range(rows)]
    order += range(rows + columns, rows + columns + width)
    return Term(term.coefficient, term.kernels, _permuted(term.points, order))


def _outer(left: Term, right: Term, first: Sizes, second: Sizes) -> Term:
    both = left.points.flat_product(right.points)
    a, b = first.rows, first.columns
    start = a + b + _width(left.kernels, first.labels)
    c, d = second.rows, second.columns
    end = start + c + d + _width(right.kernels, first.labels)
    order = [*range(a), *range(start, start + c), *range(a, a + b)]
    order += [*range(start + c, start + c + d), *range(a + b, start), *range(start + c + d, end)]
    coefficient = left.coefficient * right.coefficient
    return Term(coefficient, left.kernels + right.kernels, _permuted(both, order))


def _canonical(term: Term, rows_and_columns: int, labels: dict[str, int]) -> list[Term]:
    """Return a term with its kernels sorted by name.

    A term with the same kernel twice becomes the average over the orders of its labels.
    """
    order = sorted(range(len(term.kernels)), key=lambda k: term.kernels[k])
    starts, start = [], rows_and_columns
    for name in term.kernels:
        starts.append(range(start, start + labels[name]))
        start += labels[name]
    runs = [list(run) for _, run in groupby(order, key=lambda k: term.kernels[k])]
    if math.prod(math.factorial(len(run)) for run in runs) > MOST_PIECES:
        raise UndecidableError(
            f"budget exceeded: one kernel occurs so often in a product that its weights have more "
            f"than {MOST_PIECES} orders: use numbers for some sizes"
        )
    orders: list[list[int]] = [[]]
    for run in runs:
        orders = [done + list(more) for done in orders for more in permutations(run)]
    share = Polynomial.of(1) / len(orders)
    names = tuple(term.kernels[k] for k in order)
    return [
        Term(
            term.coefficient * share,
            names,
            _permuted(
                term.points, [*range(rows_and_columns), *(d for k in each for d in starts[k])]
            ),
        )
        for each in orders
    ]


def difference(first: Operator, second: Operator, domain: Domain) -> list[islpy.Set]:
    """Return the non-empty sets of points at which two families of the same shape differ.

    Raises: UndecidableError where that is not a question of Presburger arithmetic.
    """
    labels = {name: kernel.ndim for name, kernel in kernels_of([first, second]).items()}
    lead = len(first.out_shape) + len(first.in_shape)
    pieces: dict[tuple[str, ...], list[tuple[Polynomial, islpy.Set]]] = {}
    for sign, operator in ((1, first), (-1, second)):
        for term in terms(operator, domain.points):
            for canonical in _canonical(term, lead, labels):
                disjoint = pieces.setdefault(canonical.kernels, [])
                points = canonical.points.intersect_params(domain.points)
                _add_piece(disjoint, canonical.coefficient * sign, points)
            if sum(map(len, pieces.values())) > MOST_PIECES:
                raise UndecidableError(
                    f"budget exceeded: the claim splits into more than {MOST_PIECES} pieces: use "
                    f"numbers for some sizes"
                )
    sizes = frozenset(domain.symbols)
    apart = [
        _where_nonzero(coefficient, points, sizes)
        for disjoint in pieces.values()
        for coefficient, points in disjoint
        if not points.is_empty() and not coefficients.is_zero(coefficient)
    ]
    return [points for points in apart if not points.is_empty()]


def _where_nonzero(
    coefficient: Polynomial, points: islpy.Set, sizes: frozenset[sympy.Symbol]
) -> islpy.Set:
    """Return the points at which a coefficient that contains sizes, such as K - 1, is not zero.

    Raises: UndecidableError when a factor of it is not affine in the sizes.
    """
    if not any(g.to_sympy().free_symbols & sizes for g in coefficient.generators):
        return points
    kept = None
    for product in coefficients.factors(coefficients.numerator(coefficient), sizes):
        part = points
        for factor in product:
            apart = islpy.Set(f"{parameters(factor)}{{ : {text(factor)} != 0 }}")
            part = part.intersect_params(apart)
        kept = part if kept is None else kept.union(part)
    return points.subtract(points) if kept is None else kept


def _add_piece(
    disjoint: list[tuple[Polynomial, islpy.Set]], coefficient: Polynomial, points: islpy.Set
) -> None:
    """Add a set of points; the sets stay disjoint, and coefficients at common points are added."""
    for number, (value, other) in enumerate(disjoint):
        if other.plain_is_equal(points):  # Most terms with weights of numbers have the same points.
            disjoint[number] = (value + coefficient, other)
            return
    rest = points
    for number, (value, other) in enumerate(list(disjoint)):
        common = other.intersect(rest)
        if common.is_empty():
            continue
        disjoint[number] = (value + coefficient, common)
        apart = other.subtract(common)
        if not apart.is_empty():
            disjoint.append((value, apart))
        rest = rest.subtract(common)
        if rest.is_empty():
            return
    disjoint.append((coefficient, rest))


def smallest(
    sets: list[islpy.Set], symbols: tuple[sympy.Symbol, ...]
) -> tuple[int, dict[str, int], tuple[int, ...]]:
    """Return the smallest point of some sets: the index of its set, its sizes, its coordinates.

    Points are ordered by the sum of their sizes, then by the sizes in the order of `symbols`, then
    by their coordinates; a set of parameters has the coordinates (). The sum and the symbols become
    the first dimensions, of which isl computes the lexicographic minimum.
    """
    candidates = []
    for number, points in enumerate(sets):
        count = 0 if points.is_params() else points.dim(dim_type.set)
        if points.is_params():
            points = points.from_params()
        names = [isl_name(symbol.name) for symbol in symbols]
        own = [f"a{k}" for k in range(count)]
        total = " + ".join(names) or "0"
        target = ", ".join([f"{total}", *names, *own])
        declared = f"[{', '.join(names)}] -> " if names else ""
        change = islpy.Map(f"{declared}{{ [{', '.join(own)}] -> [{target}] }}")
        point = points.apply(change).project_out_all_params().lexmin().sample_point()
        coordinates = [
            int(point.get_coordinate_val(dim_type.set, k).to_python())
            for k in range(1 + len(names) + count)
        ]
        candidates.append((tuple(coordinates), number))
    values, number = min(candidates)
    split = 1 + len(symbols)
    chosen = {symbol.name: v for symbol, v in zip(symbols, values[1:split], strict=True)}
    return number, chosen, values[split:]


def shapes_differ(first: Operator, second: Operator, domain: Domain) -> islpy.Set | None:
    """Return the sizes of the domain at which the shapes differ, or None if there are none."""
    bad = None
    for one, other in ((first.out_shape, second.out_shape), (first.in_shape, second.in_shape)):
        for a, b in zip(one, other, strict=True):
            apart = islpy.Set(f"{parameters(a, b)}{{ : {text(a)} != {text(b)} }}")
            apart = apart.intersect(domain.points)
            bad = apart if bad is None else bad.union(apart)
    return None if bad is None or bad.is_empty() else bad
