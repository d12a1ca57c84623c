"""Index expressions of derivations, written as LaTeX and as values of their variables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import sympy

from convalg.axis import Axis, Size
from convalg.faces.latex import expression
from convalg.prove.derivations.conditions import (
    Condition,
    Relation,
    Value,
    equal,
    quotient,
    within,
)
from convalg.size import is_symbolic


@dataclass(frozen=True)
class Floor:
    """A variable divided by an integer, rounded down."""

    variable: str
    divisor: Size

    def latex(self) -> str:
        """Return the quotient as a fraction in floor brackets."""
        below = size_latex(self.divisor)
        return f"\\left\\lfloor \\frac{{{self.variable}}}{{{below}}} \\right\\rfloor"

    def value(self, names: Mapping[object, Value]) -> Value:
        """Return the quotient; `names` has a value for the variable."""
        return quotient(names[self.variable], self.divisor)


@dataclass(frozen=True)
class Border:
    """The boundary rule of one axis: which input is read for an index outside the axis.

    `wraps`: whether the rule is written with a remainder, which is valid for any index. Otherwise
    it is written with minima and maxima, which are valid within one input size of the border.
    """

    name: str
    rule: str
    size: Size
    wraps: bool
    letters: tuple[str, str] = ("u", "r")
    """Names for an index and its remainder."""

    @staticmethod
    def of(axis: Axis, name: str, letters: tuple[str, str] = ("u", "r")) -> Border:
        """Return the boundary rule of an axis."""
        wraps = False
        if axis.is_concrete:
            ends = [(o, t) for o in (0, axis.out_size - 1) for t in (0, axis.taps - 1)]
            reads = [axis.raw(o, t) for o, t in ends]
            shared = int(axis.boundary == "reflect")
            near = shared - axis.in_size, 2 * axis.in_size - 1 - shared
            wraps = min(reads) < near[0] or max(reads) > near[1]
        return Border(name, axis.boundary, axis.in_size, wraps, letters)

    def latex(self) -> str:
        """Return the definition of the rule."""
        n = self.size
        u, r = self.letters
        call = f"{self.name}({u}) = "
        match self.rule:
            case "circular":
                return f"{call}{u} \\bmod {_closed(n)}"
            case "edge":
                return f"{call}\\min(\\max({u}, 0), {size_latex(n - 1)})"
        period, shared, far = self._numbers()
        image = f"-{u}" if shared else f"-1 - {u}"
        left = f"{u} \\bmod {_closed(period)}" if self.wraps else f"\\max({u}, {image})"
        return f"{call}\\min({r}, {size_latex(far)} - {r}),\\ {r} = {left}"

    def _numbers(self) -> tuple[Size, int, Size]:
        """Return the period, whether the images share sample 0, and the sum of two images."""
        n = self.size
        return (2 * n, 0, 2 * n - 1) if self.rule == "symmetric" else (2 * n - 2, 1, 2 * n - 2)

    def condition(self, index: Value, target: Value) -> Condition:
        """Return the condition that `target` is the input which is read at an index."""
        n = self.size
        match self.rule:
            case "circular" if not is_symbolic(n):
                return equal(target, index - n * quotient(index, n))
            case "circular":
                # A remainder by a symbol is hard for solvers; one period on each side is enough.
                return tuple(
                    (Relation(target - index - k * n, True), *within(index + k * n, n)[0])
                    for k in (0, 1, -1)
                )
            case "edge":
                return equal(target, sympy.Max(0, sympy.Min(n - 1, index)))
        period, shared, far = self._numbers()
        image = shared - 1 - index
        left = index - period * quotient(index, period) if self.wraps else sympy.Max(index, image)
        return equal(target, sympy.Min(left, far - left))


@dataclass(frozen=True)
class Folded:
    """An index to which a boundary rule is applied."""

    border: Border
    index: Index

    def latex(self) -> str:
        """Return the name of the rule with its argument."""
        return f"{self.border.name}({self.index.latex()})"


Atom: TypeAlias = "str | Floor | Folded"


@dataclass(frozen=True)
class Index:
    """A sum of multiples of variables, of their quotients or of folded indices, and a constant."""

    terms: tuple[tuple[Size, Atom], ...] = ()
    constant: Size = 0

    @property
    def folded(self) -> tuple[Folded, ...]:
        """The folded indices among the terms."""
        return tuple(atom for _, atom in self.terms if isinstance(atom, Folded))

    def latex(self) -> str:
        """Return the sum in the usual notation: 2 o + t - p."""
        shown = [(f, a if isinstance(a, str) else a.latex()) for f, a in self.terms]
        return affine(shown, self.constant)

    def value(self, names: Mapping[object, Value]) -> Value:
        """Return the sum; `names` has a value for each variable and each folded index."""
        total: Value = self.constant
        for factor, atom in self.terms:
            total += factor * (atom.value(names) if isinstance(atom, Floor) else names[atom])
        return total

    def moved(self, amount: Size) -> Index:
        """Return the index plus an amount."""
        return Index(self.terms, expanded(self.constant + amount))


def variable(name: str) -> Index:
    """Return the index that is a single variable."""
    return Index(((1, name),))


def read_at(axis: Axis, output: str, tap: str = "", border: Border | None = None) -> Index:
    """Return the input index s o + d t - p that a tap of an output reads, folded at a border.

    For an axis with a single tap, `tap` may be omitted: s o - p.
    """
    terms: list[tuple[Size, Atom]] = [(axis.stride, output)]
    terms += [(axis.dilation, tap)] if tap else []
    index = Index(tuple(terms), expanded(-axis.padding))
    return index if border is None else Index(((1, Folded(border, index)),))


def expanded(value: Size) -> Size:
    """Return a size in expanded form; integers remain ints."""
    if not is_symbolic(value):
        return value
    size = sympy.expand(value)
    return int(size) if size.is_Integer else size


# Printing sizes.


def affine(terms: Iterable[tuple[Size, str]], constant: object) -> str:
    """Return a sum of multiples of names and a constant in the usual notation.

    >>> import convalg as ca
    >>> p, K = ca.sizes("p K")
    >>> affine([(2, "o"), (1, "t")], -p), affine([(-1, "t")], K - 1)
    ('2 o + t - p', 'K - 1 - t')
    """
    pairs = [(sympy.sympify(factor), name) for factor, name in terms if factor != 0]
    # Expanded, so that no term is a product with a sum: its sign would be that of the first term.
    size = sympy.expand(_ceiled(constant))
    rest = [part for part in sympy.Add.make_args(size) if part != 0]
    # Positive symbols first, numbers last: i + t + p - K + 1.
    rest.sort(key=_order)
    numbers = [(part, "") for part in rest]
    backwards = bool(pairs) and all(factor.could_extract_minus_sign() for factor, _ in pairs)
    if backwards and rest and not rest[0].could_extract_minus_sign():
        ordered = numbers + pairs
    else:
        ordered = pairs + numbers
    total = ""
    for factor, name in ordered:
        total += _signed(factor, name, first=not total)
    return total or "0"


def _order(part: sympy.Expr) -> tuple[Any, ...]:
    """Sort key of terms: positive before negative terms, n before K, numbers last."""
    names = sorted(symbol.name.swapcase() for symbol in part.free_symbols)
    return part.is_number, part.could_extract_minus_sign(), names, str(part)


def _ceiled(value: object) -> sympy.Expr:
    """Return a size with ceil(x) in place of -floor(-x)."""
    size = sympy.sympify(value)

    def rounded(x: sympy.Expr) -> sympy.Expr:
        return -sympy.ceiling(-x) if _leads_with_minus(x) else sympy.floor(x)

    if not size.has(sympy.floor):
        return size
    # Expanding moves integers out of a floor: floor((n - K)/K) + 1 becomes floor(n/K).
    return sympy.expand(size.replace(sympy.floor, rounded))


def _leads_with_minus(value: object) -> bool:
    """Whether the symbol that is printed first in a sum has a negative factor."""
    terms = sympy.Add.make_args(sympy.expand(sympy.together(value).as_numer_denom()[0]))
    named = [term for term in terms if term.free_symbols]
    first = min(named or terms, key=lambda t: sorted(s.name.swapcase() for s in t.free_symbols))
    return bool(first.could_extract_minus_sign())


def _signed(factor: sympy.Expr, name: str, *, first: bool) -> str:
    negative = bool(factor.could_extract_minus_sign())
    size = sympy.expand(-factor if negative else factor)
    if size.is_Add and not name:
        # A term of a sum that is a product, such as -d (K - 1), is not expanded after its sign.
        size = -factor if negative else factor
    magnitude = size_latex(size)
    if name:
        multiple = f"({magnitude}) {name}" if size.is_Add else f"{magnitude} {name}"
        magnitude = name if size == 1 else multiple
    if negative:
        return f"-{magnitude}" if first else f" - {magnitude}"
    return magnitude if first else f" + {magnitude}"


def size_latex(value: Size) -> str:
    """Return a size as LaTeX, with brackets for floors and ceilings.

    >>> import convalg as ca
    >>> n = ca.sizes("n")[0]
    >>> size_latex(n - 1), size_latex(-(-n // 2))
    ('n - 1', '\\\\left\\\\lceil \\\\frac{n}{2} \\\\right\\\\rceil')
    """
    if not is_symbolic(value):
        return str(value)
    value = _ceiled(value)
    match value:
        case sympy.Add():
            return affine([], value)
        case sympy.floor() | sympy.ceiling():
            word = "floor" if isinstance(value, sympy.floor) else "ceil"
            return f"\\left\\l{word} {_ratio(value.args[0])} \\right\\r{word}"
        case sympy.Max() | sympy.Min():
            word = "\\max" if isinstance(value, sympy.Max) else "\\min"
            return f"{word}({', '.join(map(size_latex, sorted(value.args, key=_order)))})"
        case sympy.Mul():
            factor, rest = value.as_coeff_Mul()
            if factor.is_Integer and rest.has(sympy.floor, sympy.ceiling, sympy.Max, sympy.Min):
                product = " ".join(map(_closed, sorted(sympy.Mul.make_args(rest), key=_order)))
                return (
                    product if factor == 1 else f"{'-' if factor == -1 else f'{factor} '}{product}"
                )
    return expression(value)


def _ratio(value: object) -> str:
    above, below = sympy.together(value).as_numer_denom()
    above = sympy.expand(above)
    if below == 1:
        return size_latex(above)
    return f"\\frac{{{size_latex(above)}}}{{{size_latex(below)}}}"


def _closed(value: Size) -> str:
    """Return a size as LaTeX, in parentheses if it is a sum."""
    formula = size_latex(value)
    return f"({formula})" if getattr(value, "is_Add", False) else formula


def _shorter(size: Size) -> Size:
    """Return a size, or the expanded size if that is shorter."""
    if not is_symbolic(size):
        return size
    expanded = sympy.expand(size)
    return expanded if sympy.count_ops(expanded) < sympy.count_ops(size) else size


def shape_latex(shape: tuple[Size, ...]) -> str:
    """Return the space of arrays of a shape as LaTeX, with short formulas for the sizes.

    >>> import convalg as ca
    >>> n, p = ca.sizes("n p")
    >>> shape_latex((3 * n - 2 * (n - p), 4))
    '\\\\mathbf{R}^{(n + 2 p) \\\\times 4}'
    """
    write = _closed if len(shape) > 1 else size_latex
    sizes = " \\times ".join(write(_shorter(size)) for size in shape)
    return f"\\mathbf{{R}}^{{{sizes}}}"
