"""Exact polynomials as plain dictionaries: what identities are decided on.

A monomial is the sorted tuple of its generators' names, a polynomial the dictionary from
monomials to rational coefficients. Sparse dictionaries were several times faster than SymPy's
matrices and rings for the products that convolutions make; SymPy is kept for display.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from convalg.errors import KindError
from convalg.spec import is_symbolic

Monomial = tuple[str, ...]


class UntraceableError(KindError):
    """A function did something with a symbol that no polynomial can follow."""


class Polynomial:
    """A polynomial with rational coefficients; supports +, -, *, / by numbers, and ** by integers.

    >>> x, y = Polynomial.generator("x"), Polynomial.generator("y")
    >>> (x + 1) * (x - 1) == x**2 - 1
    True
    >>> x.same(y)
    False
    >>> 2 * x * y
    2*x*y
    """

    __slots__ = ("terms",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, terms: Mapping[Monomial, Any]) -> None:
        self.terms = {monomial: value for monomial, value in terms.items() if value}

    @classmethod
    def generator(cls, name: str) -> Polynomial:
        """The polynomial that is one named unknown."""
        return cls({(name,): 1})

    @classmethod
    def of(cls, value: Any) -> Polynomial:
        """A number or a SymPy expression as a polynomial.

        What is no polynomial in SymPy symbols, such as a root, becomes an unknown of its own.
        """
        if isinstance(value, Polynomial):
            return value
        if is_symbolic(value):
            return _from_sympy(value)
        return cls({(): rational(value)})

    def _like(self, other: Polynomial, terms: Mapping[Monomial, Any]) -> Polynomial:
        """A result of the more special of two kinds."""
        kind = type(other) if issubclass(type(other), type(self)) else type(self)
        return kind(terms)

    def __add__(self, other: Any) -> Polynomial:
        right = _operand(other)
        if right is None:
            return NotImplemented
        terms = dict(self.terms)
        for monomial, value in right.terms.items():
            terms[monomial] = terms.get(monomial, 0) + value
        return self._like(right, terms)

    __radd__ = __add__

    def __neg__(self) -> Polynomial:
        return self._like(self, {monomial: -value for monomial, value in self.terms.items()})

    def __pos__(self) -> Polynomial:
        return self

    def __sub__(self, other: Any) -> Polynomial:
        right = _operand(other)
        return NotImplemented if right is None else self + -right

    def __rsub__(self, other: Any) -> Polynomial:
        return -self + other

    def __mul__(self, other: Any) -> Polynomial:
        right = _operand(other)
        if right is None:
            return NotImplemented
        terms: dict[Monomial, Any] = {}
        for left_monomial, left_value in self.terms.items():
            for monomial, value in right.terms.items():
                product = tuple(sorted(left_monomial + monomial))
                terms[product] = terms.get(product, 0) + left_value * value
        return self._like(right, terms)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Polynomial:
        right = _operand(other)
        if right is None:
            return NotImplemented
        if set(right.terms) != {()}:
            raise UntraceableError(
                f"a symbol cannot be divided by {right}: only division by a number other than "
                f"zero stays a polynomial"
            )
        return self * (Fraction(1) / right.terms[()])

    def __rtruediv__(self, other: Any) -> Polynomial:
        return Polynomial.of(other) / self

    def __pow__(self, exponent: Any) -> Polynomial:
        if not isinstance(exponent, (int, np.integer)) or exponent < 0:
            raise UntraceableError(
                f"{self} ** {exponent} is no polynomial: whole exponents only, at least 0"
            )
        result: Polynomial = self._like(self, {(): 1})
        for _ in range(int(exponent)):
            result = result * self
        return result

    def same(self, other: Polynomial) -> bool:
        """Whether both are one polynomial."""
        return self is other or self.terms == other.terms

    def __eq__(self, other: object) -> bool:
        right = _operand(other)
        return right is not None and self.same(right)

    def _refuse(self, *_: Any) -> Any:
        if set(self.terms) <= {()}:
            return self.terms.get((), 0)
        raise UntraceableError(
            f"the function decides or converts on the value of {self}, which is a symbol here"
        )

    def __bool__(self) -> bool:
        return bool(self._refuse())

    def __float__(self) -> float:
        return float(self._refuse())

    def __int__(self) -> int:
        return int(self._refuse())

    def __lt__(self, other: Any) -> bool:
        return bool((self - other)._refuse() < 0)

    def __le__(self, other: Any) -> bool:
        return bool((self - other)._refuse() <= 0)

    def __gt__(self, other: Any) -> bool:
        return bool((self - other)._refuse() > 0)

    def __ge__(self, other: Any) -> bool:
        return bool((self - other)._refuse() >= 0)

    def __abs__(self) -> Any:
        return abs(self._refuse())

    def conjugate(self) -> Polynomial:
        """The polynomial itself: unknowns are real (np.vdot and others ask)."""
        return self

    def __repr__(self) -> str:
        if not self.terms:
            return "0"
        parts = []
        for monomial, value in sorted(self.terms.items()):
            factors = "*".join(monomial)
            if not monomial:
                parts.append(str(value))
            else:
                parts.append(factors if value == 1 else f"{value}*{factors}")
        return " + ".join(parts).replace("+ -", "- ")

    def to_sympy(self) -> Any:
        """The polynomial as a SymPy expression, for display."""
        import sympy

        total = []
        for monomial, value in self.terms.items():
            number = Fraction(value)
            factors = [sympy.Symbol(name) for name in monomial]
            total.append(sympy.Mul(sympy.Rational(number.numerator, number.denominator), *factors))
        return sympy.Add(*total)

    def degree_in(self, names: set[str]) -> set[int]:
        """How many of these unknowns the monomials hold: {1} for a linear form."""
        return {sum(name in names for name in monomial) for monomial in self.terms}

    def at(self, values: Mapping[str, Any]) -> Any:
        """The value where every unknown has one."""
        total: Any = 0
        for monomial, value in self.terms.items():
            product = value
            for name in monomial:
                product = product * values[name]
            total = total + product
        return total


# Arrays of polynomials pass wherever convalg takes numbers.
numbers.Number.register(Polynomial)


def rational(value: Any) -> Any:
    """A number as an exact rational; a float as the simplest fraction that rounds to it.

    So 1/6 written as a float counts as the sixth that was meant.

    Raises: UntraceableError for anything that is no finite real number.

    >>> rational(1 / 6), rational(0.5), rational(3)
    (Fraction(1, 6), Fraction(1, 2), 3)
    """
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, Fraction):
        return value
    if isinstance(value, numbers.Rational):
        return Fraction(int(value.numerator), int(value.denominator))
    try:
        number = float(value)
        simple = Fraction(number).limit_denominator(10**6)
    except (TypeError, ValueError, OverflowError):
        raise UntraceableError(f"{value!r} is no finite real number") from None
    precise = np.float32 if isinstance(value, np.float32) else float
    return simple if precise(simple) == precise(number) else Fraction(number)


def _operand(value: Any) -> Polynomial | None:
    if isinstance(value, Polynomial):
        return value
    if isinstance(value, numbers.Number) or is_symbolic(value):
        return Polynomial.of(value)
    return None


def _from_sympy(value: Any) -> Polynomial:
    import sympy

    match value:
        case sympy.Symbol():
            return Polynomial.generator(value.name)
        case sympy.Rational():
            return Polynomial({(): Fraction(int(value.p), int(value.q))})
        case sympy.Float():
            return Polynomial({(): rational(float(value))})
        case sympy.Add():
            total = Polynomial({})
            for term in value.args:
                total = total + _from_sympy(term)
            return total
        case sympy.Mul():
            product = Polynomial({(): 1})
            for factor in value.args:
                product = product * _from_sympy(factor)
            return product
        case sympy.Pow() if value.exp.is_Integer and value.exp > 0:
            return _from_sympy(value.base) ** int(value.exp)
    return Polynomial.generator(str(value))
