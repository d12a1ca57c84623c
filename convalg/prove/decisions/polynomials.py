"""Exact polynomials as dictionaries, which decide identities.

A monomial is a sorted tuple of generators, a polynomial the dictionary from monomials to rational
coefficients. For the products that occur in convolutions, sparse dictionaries are several times
faster than SymPy's matrices and rings. SymPy is used for display and for coefficients that are not
polynomials (`prove.decisions.coefficients`).
"""

from __future__ import annotations

import numbers
import os
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import count
from typing import Any

import numpy as np

from convalg.errors import KindError
from convalg.size import is_symbolic

MOST_PRODUCTS = 4_000_000
"""The number of products of monomials that one multiplication may compute."""
MOST_FACTORS = 2000
"""The number of generators that one monomial may contain."""


class UntraceableError(KindError):
    """A function applied an operation to a symbol whose result is not a polynomial."""


class Generator(tuple[str, str]):
    """A generator of polynomials, (name, tag); two are equal only if both parts are equal.

    The tag distinguishes generators of the same name. It contains the assumptions of a SymPy
    symbol, a serial number for an unknown, and the expression itself for an expression that is not
    a polynomial. `source` is the SymPy expression, or None. The base class is a tuple of strings,
    since these are compared and sorted fast.
    """

    source: Any = None

    def __repr__(self) -> str:
        return self[0]

    def to_sympy(self) -> Any:
        """Return the SymPy symbol or expression that this generator was made from."""
        import sympy

        return sympy.Symbol(self[0]) if self.source is None else self.source


Monomial = tuple[Generator, ...]
Coefficient = int | Fraction
_SERIAL = count()


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
    __hash__ = None  # type: ignore[assignment]  # values that change are not hashed

    def __init__(self, terms: Mapping[Monomial, Coefficient]) -> None:
        self.terms = {monomial: value for monomial, value in terms.items() if value}

    @classmethod
    def generator(cls, name: str) -> Polynomial:
        """Return the polynomial that is the SymPy symbol `sympy.Symbol(name)`."""
        return cls({(Generator((name, "")),): 1})

    @classmethod
    def unknown(cls, name: str) -> Polynomial:
        """Return a new unknown, which differs from all others, also from those of the same name.

        >>> x = Polynomial.unknown("x")
        >>> x == x, x == Polynomial.unknown("x"), x == Polynomial.generator("x")
        (True, False, False)
        """
        return cls({(Generator((name, f"#{os.getpid()}.{next(_SERIAL)}")),): 1})

    @classmethod
    def of(cls, value: object) -> Polynomial:
        """Return a number or a SymPy expression as a polynomial.

        An expression that is not a polynomial in SymPy symbols, such as a root, becomes a new
        generator; `prove.decisions.coefficients` decides the equality of such coefficients.

        Raises: UntraceableError for a value that is not a finite real number.
        """
        if isinstance(value, Polynomial):
            return value
        if is_symbolic(value):
            return _from_sympy(value)
        return cls({(): rational(value)})

    def _like(self, other: Polynomial, terms: dict[Monomial, Coefficient]) -> Polynomial:
        """Return a polynomial of the more specific of the two classes."""
        if type(self) is type(other) is Polynomial:
            made = object.__new__(Polynomial)
            made.terms = (
                terms if all(terms.values()) else {m: value for m, value in terms.items() if value}
            )
            return made
        kind = type(other) if issubclass(type(other), type(self)) else type(self)
        return kind(terms)

    def __add__(self, other: object) -> Polynomial:
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

    def __sub__(self, other: object) -> Polynomial:
        right = _operand(other)
        return NotImplemented if right is None else self + -right

    def __rsub__(self, other: object) -> Polynomial:
        return -self + other

    def __mul__(self, other: object) -> Polynomial:
        right = _operand(other)
        if right is None:
            return NotImplemented
        if len(self.terms) * len(right.terms) > MOST_PRODUCTS:
            raise UntraceableError(
                f"the product of two polynomials with {len(self.terms)} and {len(right.terms)} "
                f"terms needs more than {MOST_PRODUCTS} multiplications of terms: use smaller sizes"
            )
        terms: dict[Monomial, Coefficient] = {}
        for left_monomial, left_value in self.terms.items():
            for monomial, value in right.terms.items():
                product = left_monomial + monomial
                if len(product) > 1:
                    product = tuple(sorted(product))
                terms[product] = terms.get(product, 0) + left_value * value
        return self._like(right, terms)

    __rmul__ = __mul__

    def __truediv__(self, other: object) -> Polynomial:
        right = _operand(other)
        if right is None:
            return NotImplemented
        if set(right.terms) != {()}:
            raise UntraceableError(
                f"a polynomial cannot be divided by {right}: divide by a number that is not zero"
            )
        return self * (Fraction(1) / right.terms[()])

    def __rtruediv__(self, other: object) -> Polynomial:
        return Polynomial.of(other) / self

    def __pow__(self, exponent: object) -> Polynomial:
        if not isinstance(exponent, (int, np.integer)) or exponent < 0:
            raise UntraceableError(
                f"({self}) ** {exponent} is not a polynomial: use an integer of at least 0 as "
                f"exponent"
            )
        longest = max(map(len, self.terms), default=0)
        if longest * int(exponent) > MOST_FACTORS or (len(self.terms) > 1 and exponent > 99):
            raise UntraceableError(
                f"({self}) ** {exponent} has too many terms or factors to expand: use a smaller "
                f"exponent"
            )
        if not longest:
            return self._like(self, {(): self.terms.get((), 0) ** int(exponent)})
        result: Polynomial = self._like(self, {(): 1})
        for _ in range(int(exponent)):
            result = result * self
        return result

    def same(self, other: Polynomial) -> bool:
        """Return whether two polynomials have the same terms."""
        return self is other or self.terms == other.terms

    def __eq__(self, other: object) -> bool:
        right = _operand(other)
        return right is not None and self.same(right)

    def _refuse(self, *_: object) -> Coefficient:
        if set(self.terms) <= {()}:
            return self.terms.get((), 0)
        raise UntraceableError(
            f"the function branches on or converts the value of {self}, which is a symbol here"
        )

    def __bool__(self) -> bool:
        return bool(self._refuse())

    def __float__(self) -> float:
        return float(self._refuse())

    def __int__(self) -> int:
        return int(self._refuse())

    def __lt__(self, other: object) -> bool:
        return bool((self - other)._refuse() < 0)

    def __le__(self, other: object) -> bool:
        return bool((self - other)._refuse() <= 0)

    def __gt__(self, other: object) -> bool:
        return bool((self - other)._refuse() > 0)

    def __ge__(self, other: object) -> bool:
        return bool((self - other)._refuse() >= 0)

    def __abs__(self) -> Any:
        return abs(self._refuse())

    def conjugate(self) -> Polynomial:
        """Return the polynomial itself, since unknowns are real; np.vdot calls this method."""
        return self

    def __repr__(self) -> str:
        if not self.terms:
            return "0"
        parts = []
        for monomial, value in sorted(self.terms.items()):
            factors = "*".join(generator[0] for generator in monomial)
            if not monomial:
                parts.append(str(value))
            else:
                parts.append(factors if value == 1 else f"{value}*{factors}")
        return " + ".join(parts).replace("+ -", "- ")

    def to_sympy(self) -> Any:
        """Return the polynomial as a SymPy expression."""
        import sympy

        total = []
        for monomial, value in self.terms.items():
            number = Fraction(value)
            factors = [generator.to_sympy() for generator in monomial]
            total.append(sympy.Mul(sympy.Rational(number.numerator, number.denominator), *factors))
        return sympy.Add(*total)

    @property
    def generators(self) -> set[Generator]:
        """The generators of the monomials."""
        return {generator for monomial in self.terms for generator in monomial}

    def degree_in(self, generators: set[Generator]) -> set[int]:
        """Return the degrees of all monomials in some generators: {1} for a linear form."""
        return {sum(g in generators for g in monomial) for monomial in self.terms}

    def at(self, values: Mapping[Generator, Any]) -> Any:
        """Return the value of the polynomial where each generator has the given value."""
        total: Any = 0
        for monomial, value in self.terms.items():
            product = value
            for generator in monomial:
                product = product * values[generator]
            total = total + product
        return total


# Arrays of polynomials are accepted wherever convalg takes numbers.
numbers.Number.register(Polynomial)


def rational(value: object) -> Coefficient:
    """Return a number as an exact rational: a float as the simplest fraction that rounds to it.

    The float 1/6 becomes the fraction 1/6. `is_read_as_written` returns whether a float keeps its
    exact value.

    Raises: UntraceableError for anything that is not a finite real number, including text and
    complex numbers with a non-zero imaginary part.

    >>> rational(1 / 6), rational(0.5), rational(3)
    (Fraction(1, 6), Fraction(1, 2), 3)
    """
    match value:
        case int() | np.integer() | np.bool_():
            return int(value)
        case Fraction():
            return value
        case numbers.Rational():
            return Fraction(int(value.numerator), int(value.denominator))
        case float() | np.floating() | Decimal():
            return _simple(value)
        case numbers.Complex() if not value.imag:
            return rational(value.real)
    raise UntraceableError(f"expected a finite real number, not {value!r}")


def _simple(value: float | np.floating[Any] | Decimal) -> Fraction:
    """Return the simplest fraction that rounds to a float; decimals and longer floats exactly."""
    try:
        exact = Fraction(*value.as_integer_ratio())
    except (ValueError, OverflowError):
        raise UntraceableError(f"expected a finite real number, not {value!r}") from None
    kind = type(value)
    if kind is not float and kind not in (np.float64, np.float32, np.float16):
        return exact
    simple = exact.limit_denominator(10**6)
    return simple if kind(float(simple)) == value else exact


def is_read_as_written(value: object) -> bool:
    """Return whether `rational` keeps the exact value of a number.

    >>> is_read_as_written(0.25), is_read_as_written(0.1)
    (True, False)
    """
    if not isinstance(value, (float, np.floating)):
        return True
    return bool(rational(value) == Fraction(*value.as_integer_ratio()))


def _operand(value: object) -> Polynomial | None:
    if type(value) is Polynomial or isinstance(value, Polynomial):
        return value
    if isinstance(value, numbers.Number) or is_symbolic(value):
        return Polynomial.of(value)
    return None


@lru_cache(maxsize=4096)
def generator_of(value: object) -> Generator:
    """Return the generator of a SymPy symbol, or of an expression that is not a polynomial."""
    import sympy

    if isinstance(value, sympy.Symbol):
        # Symbols of the same name with different assumptions are different symbols.
        assumptions = sorted((k, v) for k, v in value.assumptions0.items() if v is not None)
        is_plain = assumptions == [("commutative", True)]
        number = f"{value.dummy_index}" if isinstance(value, sympy.Dummy) else ""
        tag = "" if is_plain and not number else f"{number}{assumptions}"
        generator = Generator((value.name, tag))
    else:
        generator = Generator((str(value), f"={sympy.srepr(value)}"))
    generator.source = value
    return generator


def _from_sympy(value: object) -> Polynomial:
    import sympy

    match value:
        case sympy.Symbol():
            return Polynomial({} if value.is_zero else {(generator_of(value),): 1})
        case sympy.Rational():
            return Polynomial({(): Fraction(int(value.p), int(value.q))})
        case sympy.Float() if value._prec <= 53:
            return Polynomial({(): rational(float(value))})
        case sympy.Float():
            return _from_sympy(sympy.Rational(value))
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
        case sympy.Pow() if value.exp.is_Integer and 0 < value.exp < MOST_FACTORS:
            return _from_sympy(value.base) ** int(value.exp)
        case sympy.Expr() if value.is_extended_real is not False and value.is_finite is not False:
            return Polynomial({(generator_of(value),): 1})
    raise UntraceableError(f"expected a finite real number, not {value}")
