"""The structure of families: each kind of matrix as an equality of operators, for all sizes.

A matrix is Toeplitz if it is the same without its first row and column as without its last ones. So
a kind of an axis is a claim that two products with crops and pads are equal, which `equality`
decides with isl or z3.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

import numpy as np

from convalg.axis import Size
from convalg.errors import ArgumentError, UndecidableError
from convalg.faces.exact import exact_rows
from convalg.faces.relation import to_isl
from convalg.geometry import Geometry
from convalg.operators.dense import identity
from convalg.operators.families import replaced
from convalg.operators.leaves import Convolution, Patches, Selection
from convalg.operators.padding import crop, pad
from convalg.operators.shifts import shift
from convalg.operators.tree import Compose, Kron, Operator, leaves
from convalg.presburger import same_shape, same_size
from convalg.prove.comparison import MOST_LOOKED_AT, entry, entry_bound, small_sizes
from convalg.prove.decisions import coefficients, families
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.polynomials import Polynomial
from convalg.prove.equality import NO_SIZES, decide
from convalg.prove.verdict import ISL, Counterexample, Verdict
from convalg.recognise.classify import Classification, Witness, names_of
from convalg.recognise.classify import classify as classified
from convalg.recognise.levels import Level
from convalg.size import Numbers, size_text, substituted

BUDGET = 500_000
"""The operations of isl, and of z3 for one question, for each kind of each axis."""
MOST_SEARCHED = 20_000
"""The number of entries of small members that are searched."""


def classify(
    matrix: object, *, in_shape: object = None, out_shape: object = None, tolerance: float = 0
) -> Classification:
    """Classify a structured matrix by its entries alone, regardless of how it was constructed.

    The kinds are, from the strongest to the weakest: zero, identity, permutation, selection (each
    row has at most one 1, and zeros otherwise), diagonal, circulant, Toeplitz (entry (i+1, j+1)
    equals entry (i, j)), strided Toeplitz (entry (i+1, j+s), or transposed (i+s, j+1), equals entry
    (i, j)), the same kinds at every level of a block structure ("doubly block Toeplitz" at depth
    2), Kronecker product, structure at some levels only ("block Toeplitz" with arbitrary blocks;
    "channel blocks, each Toeplitz"), and none. Of several structures, the one with the fewest free
    values is the kind. `convalg.recognise.classify.classify` describes the blocks.

    For a family, a kind is one that is proved for all sizes, by isl or z3; the levels are its axes,
    and the strides are those of its layers. A kind that fails for some sizes has a witness with the
    smallest of them, and a kind that is not decided is listed in `unknown`. Zero matrices and
    Kronecker products are not looked for in families.

    Args:
        matrix: an operator, a family, a SciPy sparse array, a NumPy array or nested lists of
            numbers or exact objects, or a SymPy matrix. Symbols are compared as expanded
            expressions, floats bit by bit.
        in_shape: the shape that the columns represent, by default the input shape of an operator.
        out_shape: the shape that the rows represent, by default the output shape of an operator.
        tolerance: the difference up to which numbers count as equal, relative to the largest
            absolute entry, from 0 to below 1.

    Raises:
        ShapeError: when the matrix does not have two axes or has no entries, or a shape does not
            match its size.
        ArgumentError: when the matrix has NaN or infinite entries, `tolerance` is out of range, or
            a shape or a tolerance is given for a family.
        KindError: when `matrix` is not a matrix of real numbers or symbols, `tolerance` is not a
            number, or is above 0 for a matrix with symbols.

    >>> import convalg as ca
    >>> result = ca.classify(ca.correlation((4, 4), ca.kernel(3, 3)))
    >>> result
    Classification('doubly block Toeplitz: 2 x 4 blocks of 2 x 4')
    >>> result.witness[0].at, result.witness[0].other
    ((1, 1), (2, 2))
    >>> n, K, s = ca.sizes("n K s")
    >>> result = ca.classify(ca.correlation(n, ca.kernel(K), stride=s))
    >>> result.kind, result.strides
    ('strided Toeplitz', (s,))
    >>> result.verdicts[-1].claim
    'A[o + 1, i + s] = A[o, i]'
    """
    if not isinstance(matrix, Operator) or matrix.is_concrete or not matrix.symbols:
        return classified(matrix, in_shape=in_shape, out_shape=out_shape, tolerance=tolerance)
    if in_shape is not None or out_shape is not None or tolerance != 0:
        raise ArgumentError(
            "a family is classified exactly and by its own shapes: leave out in_shape, out_shape "
            "and tolerance"
        )
    return _family(matrix)


@dataclass(frozen=True)
class _Question:
    """A kind of a family with its verdict; for a kind of an axis, the distance of equal entries."""

    kind: str
    verdict: Verdict
    axis: int = 0
    step: tuple[Size, Size] | None = None


def _family(operator: Operator) -> Classification:
    questions = list(_zero_one(operator))
    rows, columns = operator.out_shape, operator.in_shape
    levels: list[Level] = []
    lead = any(geometry.has_channels for geometry in _geometries(operator))
    if len(rows) == len(columns):
        for axis, (m, n) in enumerate(zip(rows, columns, strict=True)):
            level = _sized(m, n)
            if not (lead and axis == 0):
                level, asked = _level(operator, axis, level)
                questions += asked
            levels.append(level)
    proved = [q.kind for q in questions if q.verdict and q.step is None]
    chain = tuple(levels)
    kinds = (proved + (names_of(chain, lead) if chain else [])) or ["none"]
    steps = [level.step for level in chain if level.step]
    return Classification(
        kind=kinds[0],
        depth=len(steps),
        blocks=tuple((level.m, level.n) for level in chain) or (operator.shape,),
        levels=tuple(level.kind for level in chain) or ("unstructured",),
        strides=tuple(down if right == 1 else right for down, right in steps),
        kinds=tuple(kinds),
        witness=tuple(_witness(operator, q) for q in questions if q.verdict.counterexample),
        factors=(),
        verdicts=tuple(q.verdict for q in questions),
        unknown=tuple(q.kind for q in questions if q.verdict.status == "unknown"),
    )


def _geometries(operator: Operator) -> Iterator[Geometry]:
    for leaf in leaves(operator):
        if isinstance(leaf, Convolution | Patches | Selection):
            yield leaf.geometry


# Kinds of one axis.


def _level(operator: Operator, axis: int, level: Level) -> tuple[Level, list[_Question]]:
    """Return the level of an axis with the first structure that is proved, and all questions."""
    m, n = operator.out_shape[axis], operator.in_shape[axis]
    index = "" if len(operator.out_shape) == 1 else str(axis)
    asked: list[_Question] = []
    if m == 1 or n == 1:
        return _sized(m, n, (1, 1), is_cyclic=m == n), asked
    for down, right in _steps(operator, axis):
        kind = _sized(m, n, (down, right)).kind
        if (down, right) != (1, 1):
            kind += f" with stride {down if right == 1 else right}"
        claim = f"A[{_moved(f'o{index}', down)}, {_moved(f'i{index}', right)}] = "
        claim += f"A[o{index}, i{index}]"
        try:
            sides = _shifted(operator, axis, down, right)
        except ArgumentError:
            continue  # The matrix is smaller than the step for all sizes.
        verdict = decide(*sides, claim=claim, budget=BUDGET)
        if verdict.scope == NO_SIZES:
            continue
        asked.append(_Question(f"{kind}{_on_axis(index)}", verdict, axis, (down, right)))
        if verdict:
            is_cyclic = False
            if (down, right) == (1, 1) and same_size(m, n):
                wrapped = _wrapped(operator, axis, index)
                asked.append(_Question(f"circulant{_on_axis(index)}", wrapped, axis, (1, 1)))
                is_cyclic = bool(wrapped)
            return _sized(m, n, (down, right), is_cyclic=is_cyclic), asked
    return level, asked


def _sized(
    m: Size, n: Size, step: tuple[Size, Size] | None = None, *, is_cyclic: bool = False
) -> Level:
    """Return a level whose sizes may be symbols."""
    return Level(1, 1, cast("int", m), cast("int", n), cast("tuple[int, int]", step), is_cyclic)


def _on_axis(index: str) -> str:
    return f" on axis {index}" if index else ""


def _moved(index: str, step: Size) -> str:
    return f"{index} + {size_text(step)}"


def _steps(operator: Operator, axis: int) -> list[tuple[Size, Size]]:
    """Return the distances of entries that may be equal: 1, and strides of layers on an axis."""
    strides: dict[Size, None] = {}
    total: Any = 1
    for geometry in _geometries(operator):
        position = axis - int(geometry.has_channels)
        if 0 <= position < len(geometry.axes):
            stride = geometry.axes[position].stride
            strides[stride] = None
            total *= stride
    larger = [s for s in dict.fromkeys([total, *strides]) if s not in (1, -1)]
    return [(1, 1), *((1, s) for s in larger), *((s, 1) for s in larger)]


def _ends(shape: tuple[Size, ...], axis: int, step: Size, *, first: bool) -> Any:
    """Return the pairs of a crop or pad of `step` samples at one end of an axis."""
    pair = (step, 0) if first else (0, step)
    return tuple(pair if k == axis else (0, 0) for k in range(len(shape)))


def _shifted(operator: Operator, axis: int, down: Size, right: Size) -> tuple[Operator, Operator]:
    """Return the matrix without its first rows and columns of an axis, and without its last."""
    rows, columns = operator.out_shape, operator.in_shape
    kept = tuple(n - right if k == axis else n for k, n in enumerate(columns))
    first, last = (
        crop(rows, _ends(rows, axis, down, first=is_first))
        @ operator
        @ pad(kept, _ends(columns, axis, right, first=is_first))
        for is_first in (True, False)
    )
    return first, last


def _wrapped(operator: Operator, axis: int, index: str) -> Verdict:
    """Decide whether a circular shift of the input shifts the output."""
    offsets = [int(k == axis) for k in range(len(operator.in_shape))]
    after = shift(operator.out_shape, offsets, boundary="circular")
    before = shift(operator.in_shape, offsets, boundary="circular")
    size = size_text(operator.in_shape[axis])
    claim = f"A[o{index} + 1 mod {size}, i{index} + 1 mod {size}] = A[o{index}, i{index}]"
    return decide(after.T @ operator @ before, operator, claim=claim, budget=BUDGET)


# Kinds of ones and zeros.


def _zero_one(operator: Operator) -> Iterator[_Question]:
    """Yield the kinds of square matrices with few entries, and of selections."""
    square = same_shape(operator.in_shape, operator.out_shape)
    is_selecting = _selects(operator)
    if square:
        same = identity(operator.in_shape)
        yield _Question("identity", decide(operator, same, claim="A = I", budget=BUDGET))
    if is_selecting and square:
        product = decide(operator @ operator.T, same, claim="A A^T = I", budget=BUDGET)
        yield _Question("permutation", product)
    if is_selecting:
        claim = "each row has at most one 1, as a product of selections"
        scope = str(Domain.of(operator))
        yield _Question("selection", Verdict("proved", claim, scope, "definition of a selection"))
    if len(operator.in_shape) == len(operator.out_shape):
        yield _Question("diagonal", _diagonal(operator))


def _selects(operator: Operator) -> bool:
    """Return whether an operator is a product of selections of one sample for each output."""
    if isinstance(operator, Selection):
        return all(taps == 1 for taps in operator.geometry.taps)
    return isinstance(operator, Compose | Kron) and all(map(_selects, operator.children))


def _diagonal(operator: Operator) -> Verdict:
    """Decide whether all entries are on the diagonal: for the pattern by isl, or at small sizes."""
    claim, domain = "A[o, i] = 0 where o != i", Domain.of(operator)
    scope, method = str(domain), ISL
    try:
        failure = _off_diagonal(operator, domain)
        if failure is None:
            return Verdict("proved", claim, scope, ISL, domain=domain)
    except UndecidableError as error:
        reason, method = str(error), "entries at small sizes, smallest first"
        failure = next(_searched(operator, domain), None)
        if failure is None:
            return Verdict("unknown", claim, scope, method, reason=reason, domain=domain)
    return Verdict("refuted", claim, scope, method, failure, domain=domain)


def _off_diagonal(operator: Operator, domain: Domain) -> Counterexample | None:
    """Return the smallest entry of the pattern that is not on the diagonal, or None.

    Raises: UndecidableError where this is not Presburger arithmetic, or entries cancel.
    """
    import islpy

    rows = len(operator.out_shape)
    relation = to_isl(operator).intersect_params(domain.points)
    names = ", ".join(f"a{k}" for k in range(rows))
    off = relation.subtract(islpy.Map(f"{{ [{names}] -> [{names}] }}"))
    if off.is_empty():
        return None
    _, sizes, point = families.smallest([off.wrap().flatten()], domain.symbols)
    member = replaced(operator, {symbol: sizes[symbol.name] for symbol in domain.symbols})
    row, column = point[:rows], point[rows:]
    value = entry(member, row, column).to_sympy()
    if value == 0:
        raise UndecidableError(
            f"the entries of the pattern of {operator!r} cancel: use numbers for its sizes"
        )
    return Counterexample(sizes, row, column, 0, value, shapes=(member.out_shape, member.in_shape))


def _searched(operator: Operator, domain: Domain) -> Iterator[Counterexample]:
    """Yield entries that are not on the diagonal at small sizes, smallest first."""
    entries = 0
    for sizes in islice(small_sizes(domain), MOST_LOOKED_AT):
        if not domain.holds_at(sizes):
            continue
        member = replaced(operator, sizes)
        entries += entry_bound(member)
        if entries > MOST_SEARCHED:
            return
        rows, columns = member.out_shape, member.in_shape
        for row, line in enumerate(exact_rows(member, Polynomial.of)):
            for column in sorted(line):
                index = tuple(map(int, np.unravel_index(row, rows)))
                other = tuple(map(int, np.unravel_index(column, columns)))
                value = Polynomial.of(line[column])
                if index != other and not coefficients.is_zero(value):
                    named = {symbol.name: value for symbol, value in sizes.items()}
                    shapes = (rows, columns)
                    yield Counterexample(named, index, other, 0, value.to_sympy(), shapes=shapes)


def _witness(operator: Operator, question: _Question) -> Witness:
    """Return the entries at the smallest sizes that rule out a kind."""
    failure = question.verdict.counterexample
    assert failure is not None
    sizes = ", ".join(f"{name} = {value}" for name, value in failure.sizes.items())
    row, column = failure.row, failure.column
    assert row is not None
    assert column is not None
    numbers = {s: failure.sizes[s.name] for s in operator.symbols if s.name in failure.sizes}
    member = replaced(operator, numbers)
    lead = f"not {question.kind} for all sizes: at {sizes}, "
    if question.kind == "permutation":
        # Of the product with the transpose: a row is zero, or two rows select the same input.
        matrix = member.to_numpy()
        first = int(matrix[row].argmax())
        if row == column:
            text = f"{lead}row {row} is zero"
            return Witness(question.kind, (row, first), 0, None, None, text, failure.sizes)
        text = f"{lead}rows {row} and {column} have a 1 in the same column"
        return Witness(question.kind, (row, first), 1, (column, first), 1, text, failure.sizes)
    if question.step is None:
        text = f"{lead}entry {(row, column)} is {failure.actual}, not {failure.claimed}"
        return Witness(
            question.kind, (row, column), failure.actual, None, None, text, failure.sizes
        )
    at, other = _pair(member, failure, question, numbers)
    text = f"{lead}entry {at} is {failure.claimed} but {other} is {failure.actual}"
    return Witness(question.kind, at, failure.claimed, other, failure.actual, text, failure.sizes)


def _pair(
    member: Operator, failure: Counterexample, question: _Question, numbers: Numbers
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the positions of the two entries of the matrix that a kind requires to be equal."""
    assert failure.row_index is not None
    assert failure.column_index is not None
    assert question.step is not None
    one, other = [], []
    ends = (member.out_shape, failure.row_index), (member.in_shape, failure.column_index)
    for (shape, index), step in zip(ends, question.step, strict=True):
        moved = list(index)
        # A circulant wraps around; the indices of the other kinds stay inside.
        moved[question.axis] += substituted(step, numbers)
        moved[question.axis] %= shape[question.axis]
        one.append(int(np.ravel_multi_index(index, shape)))
        other.append(int(np.ravel_multi_index(moved, shape)))
    return (one[0], one[1]), (other[0], other[1])
