"""Families decided: an operator with letters as sets of labelled entries, and their equality.

An entry of a product of layers is a sum of products of weights; each such product is one
integer point (row, column, labels). A family is a list of `Term`s, coefficients times
parametric sets of points, and two families are equal exactly when every set of the difference
with a coefficient other than zero is empty: Presburger arithmetic, decided by isl.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, permutations
from typing import Any

import islpy
import numpy as np
from islpy import dim_type

from convalg.base import Operator, fold
from convalg.errors import ArgumentError, UndecidableError
from convalg.faces.relation import isl_name, parameters, text, to_isl, triples
from convalg.kernels import LetterKernel
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
    SparseMatrix,
    Sum,
    leaves,
)
from convalg.prove.polynomial import Polynomial
from convalg.spec import holds, is_symbolic

MOST_WEIGHTS = 100
"""A numeric kernel of more weights is one set each, and too slow to decide with letters."""


@dataclass(frozen=True, eq=False)
class Term:
    """coefficient * product of weights, at every point [row, column, labels of each kernel]."""

    coefficient: Polynomial
    kernels: tuple[str, ...]
    points: islpy.Set


@dataclass(frozen=True)
class Sizes:
    """How many dimensions rows and columns take, and the labels of each named kernel."""

    rows: int
    columns: int
    labels: dict[str, int]


def kernels_of(operators: Sequence[Operator]) -> dict[str, LetterKernel]:
    """The named kernels of some families.

    Raises: ArgumentError when one name stands for two shapes, or for a kernel and a size.
    """
    found: dict[str, LetterKernel] = {}
    letters: set[str] = set()
    for operator in operators:
        letters |= {letter.name for letter in operator.letters}
        for leaf in leaves(operator):
            kernel = getattr(leaf, "weights", getattr(leaf, "values", None))
            if not isinstance(kernel, LetterKernel):
                continue
            other = found.setdefault(kernel.name, kernel)
            if other.named_shape != kernel.named_shape:
                raise ArgumentError(
                    f"kernel {kernel.name!r} has two shapes, {other.named_shape} and "
                    f"{kernel.named_shape}: give one of them another name="
                )
    for operator in operators:
        for name in found:
            if name in _spelt_out(operator):
                raise ArgumentError(
                    f"kernel {name!r} has letters for sizes in one place and is written out in "
                    f"another: give one of them another name="
                )
    for name in letters & set(found):
        raise ArgumentError(f"{name!r} is both a size and the name of a kernel: rename one")
    return found


def _spelt_out(operator: Operator) -> set[str]:
    """Names of kernels whose symbols, such as w0, stand in an array: w."""
    found = set()
    for leaf in leaves(operator):
        values = getattr(leaf, "weights", getattr(leaf, "values", None))
        if isinstance(values, np.ndarray) and values.dtype.kind == "O":
            for value in values.ravel():
                if is_symbolic(value):
                    found |= {s.name.rstrip("0123456789_") for s in value.free_symbols}
    return found


def conditions(operators: Iterable[Operator]) -> list[Any]:
    """Expressions that must not be negative for the operators to exist: their domain."""
    found: dict[Any, None] = {}
    for operator in operators:
        found.update(dict.fromkeys(operator.letters))
        for leaf in leaves(operator):
            if isinstance(leaf, (Diagonal, Matrix, SparseMatrix)):
                continue
            assert isinstance(leaf, (Convolution, Patches, Selection))
            for axis in leaf.geometry.axes:
                found.update(dict.fromkeys(axis.limits()))
                if not isinstance(leaf, Selection) and not holds(axis.stride < 0):
                    found[axis.before] = None
                    found[axis.after + axis.stride - 1] = None
            counts = (leaf.geometry.in_channels, leaf.geometry.out_channels)
            found.update((count - 1, None) for count in counts if count is not None)
    return [_without_floor(value) for value in found if not holds(value >= 0)]


def _without_floor(value: Any) -> Any:
    """The same condition `value >= 0` on whole numbers, without a floor and without a content.

    Rule: floor(a / b) + c >= 0 says a + b c >= 0, and c - floor(a / b) >= 0 says
    b (c + 1) - a - 1 >= 0; 2 n - 3 >= 0 says n - 2 >= 0.
    """
    import sympy

    value = sympy.expand(value)
    floors = [term for term in sympy.Add.make_args(value) if term.has(sympy.floor)]
    if len(floors) == 1:
        factor, floor = floors[0].as_coeff_Mul()
        if isinstance(floor, sympy.floor) and abs(factor) == 1:
            above, below = sympy.together(floor.args[0]).as_numer_denom()
            rest = value - floors[0]
            value = above + below * rest if factor == 1 else below * (rest + 1) - above - 1
            value = sympy.expand(value)
    if not value.is_polynomial() or value.is_number:
        return value
    constant, rest = value.as_coeff_Add()
    factors = [abs(term.as_coeff_Mul()[0]) for term in sympy.Add.make_args(rest)]
    common = sympy.gcd_list(factors)
    return sympy.expand(rest / common) + sympy.floor(constant / common)


def domain_set(limits: Iterable[Any], letters: Iterable[Any]) -> islpy.Set:
    """The sizes at which all the limits are at least zero, as a set of parameters."""
    values = (*limits, *letters)
    every = [f"{text(value)} >= 0" for value in values]
    return islpy.Set(f"{parameters(*values)}{{ : {' and '.join(every) or '0 = 0'} }}")


def scope_of(limits: list[Any], letters: Iterable[Any]) -> str:
    """The domain in words: what follows from the rest is left out, chains are joined.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> scope_of([n - 1, n - K, K - 1], [n, K])
    'all n >= K >= 1'
    """
    letters = tuple(letters)
    return _scope(tuple(limits), letters) if letters else "this size"


@lru_cache(maxsize=256)
def _scope(limits: tuple[Any, ...], letters: tuple[Any, ...]) -> str:
    """The words are asked for once for each claim about the same family."""
    import sympy

    kept = list(dict.fromkeys(sympy.expand(value) for value in (*limits, *letters)))
    space, said = parameters(*kept), {value: f"{text(value)} >= 0" for value in kept}
    for value in list(kept):
        rest = [other for other in kept if other != value]
        others = " and ".join(said[other] for other in rest) or "0 = 0"
        if islpy.Set(f"{space}{{ : {others} }}").is_subset(
            islpy.Set(f"{space}{{ : {said[value]} }}")
        ):
            kept = rest
    if not all(value.is_polynomial() for value in kept):
        kept = _plain_limits(domain_set(kept, ()), letters) or kept
    pairs = [_sides(value) for value in kept]
    return f"all {', '.join(_chained(pairs))}"


def _plain_limits(domain: islpy.Set, letters: tuple[Any, ...]) -> list[Any]:
    """The domain as limits without floors and maxima, where isl finds it to be one polyhedron."""
    parts = domain.coalesce().get_basic_sets()
    if len(parts) != 1 or parts[0].dim(dim_type.div):
        return []
    named = {isl_name(letter.name): letter for letter in letters}
    found = []
    for constraint in parts[0].remove_redundancies().get_constraints():
        value = constraint.get_constant_val().to_python()
        for k in range(constraint.dim(dim_type.param)):
            letter = named[str(constraint.get_dim_name(dim_type.param, k))]
            value += constraint.get_coefficient_val(dim_type.param, k).to_python() * letter
        found += [value, -value] if constraint.is_equality() else [value]
    return found


def _sides(value: Any) -> tuple[str, str]:
    """left >= right with no minus sign on either side."""
    left: list[Any] = []
    right: list[Any] = []
    for term in value.as_ordered_terms():
        (right if term.could_extract_minus_sign() else left).append(term)
    return _sum_words(left), _sum_words([-term for term in right])


def _sum_words(terms: list[Any]) -> str:
    ordered = sorted(terms, key=lambda t: (t.is_number, sorted(map(str, t.free_symbols))))
    return " + ".join(str(term).replace("*", "") for term in ordered) or "0"


def _chained(pairs: list[tuple[str, str]]) -> list[str]:
    """n >= K and K >= 1 as n >= K >= 1."""
    words = []
    rest = list(pairs)
    while rest:
        chain = next((p for p in rest if all(p[0] != right for _, right in rest)), rest[0])
        rest.remove(chain)
        parts = list(chain)
        while follow := next((p for p in rest if p[0] == parts[-1]), None):
            rest.remove(follow)
            parts.append(follow[1])
        words.append(" >= ".join(parts))
    return words


def terms(operator: Operator, domain: islpy.Set) -> list[Term]:
    """The family as terms.

    Raises: UndecidableError where a product sums a number of entries that depends on letters.
    """
    labels = {name: kernel.ndim for name, kernel in kernels_of([operator]).items()}

    def sizes(node: Operator) -> Sizes:
        return Sizes(len(node.out_shape), len(node.in_shape), labels)

    def composed(node: Compose, *images: list[Term]) -> list[Term]:
        result = images[0]
        for place, image in enumerate(images[1:]):
            left, right = node.factors[place], node.factors[place + 1]
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


def _leaf_terms(leaf: Any) -> list[Term]:
    match leaf:
        case Convolution(weights=LetterKernel()):
            return [_named_layer(leaf)]
        case Convolution():
            return _numeric_layer(leaf)
        case Selection():
            if any(axis.taps != 1 and axis.boundary != "zeros" for axis in leaf.axes):
                raise UndecidableError(
                    f"{leaf!r} may add one entry several times: give numbers for its sizes"
                )
            found = to_isl(leaf)
            return [Term(Polynomial.of(1), (), found.wrap().flatten())]
        case Patches(values=LetterKernel()):
            return [_named_patches(leaf)]
        case Diagonal(values=values):
            return _entries(leaf, {(*i, *i): v for i, v in np.ndenumerate(values)})
        case Matrix(values=values):
            places = {}
            for (row, column), value in np.ndenumerate(values):
                left = np.unravel_index(row, leaf.out_shape)
                right = np.unravel_index(column, leaf.in_shape)
                places[tuple(int(k) for k in (*left, *right))] = value
            return _entries(leaf, places)
        case SparseMatrix(values=values):
            rows = np.repeat(np.arange(leaf.shape[0]), np.diff(leaf.indptr))
            indices = (
                *np.unravel_index(rows, leaf.out_shape),
                *np.unravel_index(leaf.indices, leaf.in_shape),
            )
            listed = zip(np.stack(indices, axis=1).tolist(), values, strict=True)
            return _entries(leaf, {tuple(place): value for place, value in listed})
    raise UndecidableError(f"{leaf!r} has no form with letters: give numbers for its sizes")


def _entries(leaf: Operator, values: dict[tuple[int, ...], Any]) -> list[Term]:
    """One point each, points of one value together."""
    if len(values) > MOST_WEIGHTS:
        raise UndecidableError(
            f"{leaf!r} has {len(values)} entries beside letters, more than {MOST_WEIGHTS}: give "
            f"numbers for the letters"
        )
    by_value: dict[Any, list[tuple[int, ...]]] = {}
    for place, value in values.items():
        by_value.setdefault(value, []).append(place)
    return [
        Term(
            Polynomial.of(value), (), islpy.Set(f"{{ {'; '.join(f'{list(p)}' for p in places)} }}")
        )
        for value, places in by_value.items()
        if value != 0
    ]


def _named_layer(leaf: Convolution) -> Term:
    return Term(
        Polynomial.of(1), (leaf.weights.name,), _renamed(triples(leaf.geometry), leaf.weights)
    )


def _named_patches(leaf: Patches) -> Term:
    """B(x) of a family: rows are outputs, columns labels, and the label says which input."""
    geometry = leaf.geometry
    outputs, inputs = len(geometry.out_shape), len(geometry.in_shape)
    taps = len(geometry.kernel_shape)
    o, i = range(outputs), range(outputs, outputs + inputs)
    label = range(outputs + inputs, outputs + inputs + taps)
    order = [*i, *label, *o] if leaf.transposed else [*o, *label, *i]
    points = _permuted(triples(geometry), order)
    return Term(Polynomial.of(1), (leaf.values.name,), _renamed(points, leaf.values))


def _renamed(points: islpy.Set, kernel: LetterKernel) -> islpy.Set:
    """The last dimensions, an index of this kernel, as the index of the one it is named after."""
    count = points.dim(dim_type.set) - kernel.ndim
    names = [f"a{k}" for k in range(count + kernel.ndim)]
    index = kernel.index([_Name(name) for name in names[count:]])
    target = names[:count] + [_index_text(value) for value in index]
    change = islpy.Map(
        f"{parameters(*kernel.named_shape)}{{ [{', '.join(names)}] -> [{', '.join(target)}] }}"
    )
    return points.apply(change)


class _Name(str):
    """A variable of isl; `size - 1 - name` is written out when a kernel is flipped."""

    __slots__ = ()

    def __rsub__(self, other: Any) -> str:
        return f"{text(other)} - {self}"


def _index_text(value: Any) -> str:
    return str(value)


def _numeric_layer(leaf: Convolution) -> list[Term]:
    """One set for each weight: then a product of two still has one middle index at most."""
    weights = leaf.weights
    if weights.size > MOST_WEIGHTS:
        raise UndecidableError(
            f"a kernel of {weights.size} numbers beside letters is too large (at most "
            f"{MOST_WEIGHTS}): use ca.kernel with letters, or numbers for all sizes"
        )
    points = triples(leaf.geometry)
    place = points.dim(dim_type.set) - weights.ndim
    found = []
    for index, value in np.ndenumerate(weights):
        one = points
        for k, tap in enumerate(index):
            one = one.fix_val(dim_type.set, place + k, islpy.Val(int(tap)))
        if value != 0:
            bare = one.project_out(dim_type.set, place, weights.ndim)
            found.append(Term(Polynomial.of(value), (), bare))
    return found


def _width(kernels: tuple[str, ...], labels: dict[str, int]) -> int:
    return sum(labels[name] for name in kernels)


def _product(left: Term, right: Term, first: Sizes, second: Sizes, domain: islpy.Set) -> Term:
    """All [row, column, labels] for which a middle index joins both; it must be the only one."""
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
        raise UndecidableError(
            "a product of these operators adds up a number of equal entries that depends on the "
            f"letters ({', '.join(left.kernels + right.kernels) or 'no weights'}): give numbers"
        )
    kept = joined.project_out(dim_type.set, first.rows, middle)
    return Term(left.coefficient * right.coefficient, left.kernels + right.kernels, kept)


def _permuted(points: islpy.Set, order: list[int]) -> islpy.Set:
    """Dimension k of the result is dimension order[k]."""
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
    """Kernels in order of name; a product with one kernel twice, in all orders, shared alike."""
    order = sorted(range(len(term.kernels)), key=lambda k: term.kernels[k])
    starts, place = [], rows_and_columns
    for name in term.kernels:
        starts.append(range(place, place + labels[name]))
        place += labels[name]
    runs = [list(run) for _, run in groupby(order, key=lambda k: term.kernels[k])]
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


def difference(
    first: Operator, second: Operator, domain: islpy.Set
) -> list[tuple[tuple[str, ...], islpy.Set]]:
    """Where two families of one shape differ: non-empty sets of points, by kernels."""
    labels = {name: kernel.ndim for name, kernel in kernels_of([first, second]).items()}
    lead = len(first.out_shape) + len(first.in_shape)
    pieces: dict[tuple[str, ...], list[tuple[Polynomial, islpy.Set]]] = {}
    for sign, operator in ((1, first), (-1, second)):
        for term in terms(operator, domain):
            for canonical in _canonical(term, lead, labels):
                known = pieces.setdefault(canonical.kernels, [])
                points = canonical.points.intersect_params(domain)
                _add_piece(known, canonical.coefficient * sign, points)
    letters = {letter.name for operator in (first, second) for letter in operator.letters}
    found = [
        (kernels, _where_nonzero(coefficient, points, letters))
        for kernels, known in pieces.items()
        for coefficient, points in known
        if coefficient.terms and not points.is_empty()
    ]
    return [(kernels, points) for kernels, points in found if not points.is_empty()]


def _where_nonzero(coefficient: Polynomial, points: islpy.Set, letters: set[str]) -> islpy.Set:
    """The points at whose sizes a coefficient with letters in it, such as K - 1, is not zero.

    Raises: UndecidableError when it is not affine in the letters.
    """
    import sympy

    value = sympy.together(sympy.sympify(str(coefficient)))
    names = {symbol.name for symbol in value.free_symbols}
    if not names & letters:
        return points
    own = [symbol for symbol in value.free_symbols if symbol.name not in letters]
    # A product of letters that are at least 1 stands below; above, each monomial of the weights
    # has a factor in the letters, and all of those must vanish.
    above = sympy.Poly(value.as_numer_denom()[0], *own) if own else None
    factors = above.coeffs() if above else [value.as_numer_denom()[0]]
    kept = None
    for factor in factors:
        apart = islpy.Set(f"{parameters(factor)}{{ : {text(sympy.expand(factor))} != 0 }}")
        part = points.intersect_params(apart)
        kept = part if kept is None else kept.union(part)
    assert kept is not None
    return kept


def _add_piece(
    known: list[tuple[Polynomial, islpy.Set]], coefficient: Polynomial, points: islpy.Set
) -> None:
    """Keep the pieces disjoint, so that the coefficients at each point are summed."""
    rest = points
    for place, (value, other) in enumerate(list(known)):
        common = other.intersect(rest)
        if common.is_empty():
            continue
        known[place] = (value + coefficient, common)
        apart = other.subtract(common)
        if not apart.is_empty():
            known.append((value, apart))
        rest = rest.subtract(common)
        if rest.is_empty():
            return
    known.append((coefficient, rest))


def smallest(
    sets: list[islpy.Set], letters: tuple[Any, ...]
) -> tuple[int, dict[str, int], tuple[int, ...]]:
    """The index of the set with the smallest point, its sizes, and the point.

    Smallest by the sum of the sizes, then by the sizes in the order of `letters`, then by the
    point itself: the letters become dimensions behind their sum, and isl takes the lexmin.
    """
    found = []
    for place, points in enumerate(sets):
        count = points.dim(dim_type.set)
        names = [isl_name(letter.name) for letter in letters]
        own = [f"a{k}" for k in range(count)]
        total = " + ".join(names) or "0"
        target = ", ".join([f"{total}", *names, *own])
        declared = f"[{', '.join(names)}] -> " if names else ""
        change = islpy.Map(f"{declared}{{ [{', '.join(own)}] -> [{target}] }}")
        bare = points.apply(change).project_out_all_params().lexmin()
        point = bare.sample_point()
        coordinates = [
            int(point.get_coordinate_val(dim_type.set, k).to_python())
            for k in range(1 + len(names) + count)
        ]
        found.append((tuple(coordinates), place))
    values, place = min(found)
    split = 1 + len(letters)
    chosen = {letter.name: v for letter, v in zip(letters, values[1:split], strict=True)}
    return place, chosen, values[split:]


def shapes_differ(first: Operator, second: Operator, domain: islpy.Set) -> islpy.Set | None:
    """The sizes in the domain at which the shapes differ, or None where they never do."""
    pairs = [
        (a, b)
        for one, other in (
            (first.out_shape, second.out_shape),
            (first.in_shape, second.in_shape),
        )
        for a, b in zip(one, other, strict=True)
        if not _same(a, b)
    ]
    bad = None
    for a, b in pairs:
        apart = islpy.Set(f"{parameters(a, b)}{{ : {text(a)} != {text(b)} }}").intersect(domain)
        bad = apart if bad is None else bad.union(apart)
    return None if bad is None or bad.is_empty() else bad


def _same(a: Any, b: Any) -> bool:
    difference = a - b
    return (difference.expand() if is_symbolic(difference) else difference) == 0


def numeric_letters(operator: Operator) -> set[Any]:
    """Letters in a stride or dilation: their products are not Presburger."""
    found: set[Any] = set()
    for leaf in leaves(operator):
        if isinstance(leaf, (Convolution, Patches, Selection)):
            for axis in leaf.geometry.axes:
                steps: tuple[Any, ...] = (axis.stride, axis.dilation)
                for value in steps:
                    found |= value.free_symbols if is_symbolic(value) else set()
    return found
