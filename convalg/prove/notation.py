"""Operators as exact text for the manifests of certificates, written and read.

A leaf is written as the call of a constructor, as `repr` prints it, where reading that call gives
the same leaf; otherwise its axes are listed. The text is read by `expressions`, never evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from convalg.arrays import Array, as_kernel
from convalg.axis import BOUNDARIES, Axis, Size
from convalg.conventions import PADDING_WORDS
from convalg.errors import ArgumentError, ConvalgError, KindError
from convalg.faces.text import one_line
from convalg.geometry import Geometry
from convalg.kernels import NAMES, SymbolicKernel, kernel
from convalg.operators.leaves import (
    Adjoint,
    Convolution,
    Diagonal,
    Matrix,
    Patches,
    Selection,
    SparseMatrix,
    sparse_matrix,
)
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum
from convalg.prove.decisions.polynomials import rational
from convalg.prove.expressions import MAKERS, Makers, parse
from convalg.size import Condition, is_symbolic, size_product, sizes

if TYPE_CHECKING:
    import sympy

LONGEST = 200_000
"""The number of characters that the text of an operator may have."""
MOST_ENTRIES = 1000
"""The number of entries that an array in it may have."""


def write(operator: Operator) -> str:
    """Return an operator as text that `read` reads.

    Raises: KindError for an operator that has no such text.

    >>> import convalg as ca
    >>> n, K, s = ca.sizes("n K s")
    >>> A = ca.downsample(n - K + 1, s) @ ca.correlation(n, ca.kernel(K))
    >>> write(A)
    '(downsample(n - K + 1, s) @ correlation(n, kernel(K)))'
    >>> read(write(A))
    downsample(n - K + 1, s) @ correlation(n, kernel(K))
    """
    text, exact = _written(operator, is_exact=False), _written(operator, is_exact=True)
    for candidate in (text, exact):
        if len(candidate) <= LONGEST and _reads_as(candidate, exact):
            return candidate
    raise KindError(f"{operator!r} cannot be written as an expression")


def read(text: str) -> Operator:
    """Return the operator that a text of `write` describes.

    Raises: ArgumentError, KindError or ShapeError for any other text.
    """
    return parse(text, makers=_MAKERS, longest=LONGEST)


def _reads_as(text: str, exact: str) -> bool:
    try:
        return _written(read(text), is_exact=True) == exact
    except ConvalgError:
        return False


def _written(operator: Operator, *, is_exact: bool) -> str:
    def inner(child: Operator) -> str:
        return _written(child, is_exact=is_exact)

    match operator:
        case Compose(factors=parts):
            return f"({' @ '.join(map(inner, parts))})"
        case Sum(terms=parts):
            return f"({' + '.join(map(inner, parts))})"
        case Scaled(factor=factor, operator=child):
            return f"({number_text(factor)} * {inner(child)})"
        case Adjoint(operator=child):
            return f"{inner(child)}.T"
        case Kron(left=left, right=right):
            return f"{inner(left)}.kron({inner(right)})"
    exact = _leaf(operator)
    if is_exact:
        return exact
    text = one_line(operator)
    return text if _reads_as(text, exact) else exact


def number_text(value: object) -> str:
    """Return a size, a weight or a factor as text, floats as the fractions that proofs use.

    Raises: KindError for an expression that is not made of rational numbers, symbols, sums,
    products, integer powers, floors, remainders, maxima and minima.

    >>> import convalg as ca
    >>> n, s = ca.sizes("n s")
    >>> number_text(n // s + 1), number_text(0.1), number_text(-2)
    ('(floor(n / s) + 1)', '(1 / 10)', '(-2)')
    """
    if not is_symbolic(value):
        number = rational(value)
        if isinstance(number, Fraction) and number.denominator != 1:
            return f"({number.numerator} / {number.denominator})"
        return str(number) if number >= 0 else f"({number})"
    # SymPy multiplies out -1 * (s + 1) but not a * (s + 1): what is expanded reads as itself.
    return _expression(value.expand())


def _expression(value: sympy.Basic) -> str:
    import sympy

    match value:
        case sympy.Rational():
            return number_text(Fraction(int(value.p), int(value.q)))
        case sympy.Symbol(name=name):
            plain = name.isidentifier() and name.isascii() and name not in _TAKEN
            if value.is_integer:
                return name if plain else f"size({name!r})"
            return f"symbol({name!r})"
        case sympy.Add():
            return f"({' + '.join(map(_expression, value.as_ordered_terms()))})"
        case sympy.Mul():
            return f"({' * '.join(map(_expression, value.as_ordered_factors()))})"
        case sympy.Pow() if value.exp.is_Integer:
            power = " * ".join([_expression(value.base)] * abs(int(value.exp)))
            return f"({power})" if value.exp > 0 else f"(1 / ({power}))"
        case sympy.floor():
            above, below = sympy.together(value.args[0]).as_numer_denom()
            return f"floor({number_text(above)} / {number_text(below)})"
        case sympy.Mod():
            return f"Mod({', '.join(map(_expression, value.args))})"
        case sympy.Max() | sympy.Min():
            return f"{type(value).__name__}({', '.join(sorted(map(_expression, value.args)))})"
    raise KindError(f"{value} cannot be written as an expression")


def _listed(values: Iterable[object]) -> str:
    return f"[{', '.join(map(number_text, values))}]"


def _array(values: Array | SymbolicKernel) -> str:
    if isinstance(values, SymbolicKernel):
        flags = [int(flag) for flag in values.flipped]
        parts = _listed(values.named_shape), _listed(values.axes), _listed(flags)
        return f"weights({values.name!r}, {', '.join(parts)})"
    if values.size > MOST_ENTRIES:
        raise KindError(f"an array of {values.size} entries is too large for an expression")
    return _nested(values)


def _nested(values: Array) -> str:
    if values.ndim == 0:
        return number_text(values.item())
    return f"[{', '.join(map(_nested, values))}]" if values.ndim > 1 else _listed(values.tolist())


def _axes(axes: Sequence[Axis]) -> str:
    each = []
    for axis in axes:
        numbers = (
            *(axis.in_size, axis.out_size, axis.taps),
            *(axis.stride, axis.dilation, axis.padding),
        )
        each.append(f"axis({', '.join(map(number_text, numbers))}, {axis.boundary!r})")
    return f"[{', '.join(each)}]"


def _conditions(conditions: Sequence[Condition]) -> str:
    return _listed(condition.value for condition in conditions)


def _geometry(geometry: Geometry) -> str:
    channels = ""
    if geometry.in_channels is not None:
        channels = _listed((geometry.in_channels, geometry.out_channels, geometry.groups))
    parts = (_axes(geometry.axes), channels or "[]", _conditions(geometry.conditions))
    return f"geometry({', '.join(parts)})"


def _leaf(leaf: Operator) -> str:
    match leaf:
        case Convolution(geometry=geometry, weights=weights):
            return f"layer({_geometry(geometry)}, {_array(weights)})"
        case Patches(geometry=geometry, values=values, transposed=is_transposed):
            return f"patches({_geometry(geometry)}, {_array(values)}, {int(is_transposed)})"
        case Selection(axes=axes, in_shape=before, out_shape=after, conditions=conditions):
            shapes = f"{_listed(before)}, {_listed(after)}"
            return f"selection({_axes(axes)}, {shapes}, {_conditions(conditions)})"
        case Diagonal(values=values):
            return f"diagonal({_array(values)})"
        case Matrix(values=values, in_shape=before, out_shape=after):
            return f"matrix({_array(values)}, {_listed(before)}, {_listed(after)})"
        case SparseMatrix(indptr=starts, indices=columns, values=values):
            rows = np.repeat(np.arange(leaf.shape[0]), np.diff(starts))
            arrays = ", ".join(map(_array, (rows, columns, values)))
            return f"sparse({arrays}, {_listed(leaf.in_shape)}, {_listed(leaf.out_shape)})"
    raise KindError(f"{leaf!r} cannot be written as an expression")


def _small_kernel(*shape: Size, name: str = "w") -> Array | SymbolicKernel:
    """Return a kernel, if it has no more weights than an expression may have."""
    count = size_product(shape)
    if not is_symbolic(count) and count > MOST_ENTRIES:
        raise ArgumentError(f"a kernel of {count} weights is too large for an expression")
    made: Array | SymbolicKernel = kernel(*shape, name=name)
    return made


def _symbol(name: str) -> sympy.Symbol:
    import sympy

    return sympy.Symbol(name)


def _made_geometry(
    axes: tuple[Axis, ...], channels: tuple[int, ...], conditions: tuple[sympy.Expr, ...]
) -> Geometry:
    in_channels, out_channels, groups = channels or (None, None, 1)
    return Geometry(axes, in_channels, out_channels, groups, _kept(conditions))


def _kept(values: tuple[sympy.Expr, ...]) -> tuple[Condition, ...]:
    return tuple(Condition(value) for value in values)


def _values(values: object) -> Array | SymbolicKernel:
    return values if isinstance(values, SymbolicKernel) else as_kernel(values)


def _made_sparse(
    rows: npt.ArrayLike,
    columns: npt.ArrayLike,
    values: object,
    before: tuple[Size, ...],
    after: tuple[Size, ...],
) -> Operator:
    first, second = (np.array(index, dtype=np.int64) for index in (rows, columns))
    for index, shape in ((first, after), (second, before)):
        if index.size and not 0 <= index.min() <= index.max() < size_product(shape):
            raise ArgumentError(f"an entry of a sparse matrix is outside the shape {shape}")
    return sparse_matrix(first, second, as_kernel(values), before, after)


_EXACT: Makers = {
    "axis": Axis,
    "geometry": _made_geometry,
    "kernel": _small_kernel,
    "layer": lambda geometry, weights: Convolution(geometry, _values(weights)),
    "matrix": lambda values, before, after: Matrix(as_kernel(values), before, after),
    "patches": lambda geometry, values, is_transposed: Patches(
        geometry, _values(values), bool(is_transposed)
    ),
    "selection": lambda axes, before, after, conditions: Selection(
        axes, before, after, _kept(conditions)
    ),
    "size": lambda name: sizes(name)[0],
    "sparse": _made_sparse,
    "symbol": _symbol,
    "weights": lambda name, shape, axes, flipped: SymbolicKernel(
        name, shape, axes, tuple(map(bool, flipped))
    ),
}
_MAKERS: Makers = {**MAKERS, **_EXACT}
_TAKEN = {*_MAKERS, *PADDING_WORDS, *BOUNDARIES, *NAMES}
"""Names that are not read as sizes."""
