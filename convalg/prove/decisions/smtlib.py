"""Integer formulas as text in SMT-LIB 2, and their solution by z3.

Sizes and indices are SymPy expressions. A script declares their symbols as integers and replaces
each quotient floor(a / b) by a variable q with b q <= a < b q + b, which defines q where b >= 1;
maxima and minima become variables too. What is left is a formula of polynomials without
quantifiers, which other solvers than z3 can check.

Source: Barrett, Fontaine, Tinelli, The SMT-LIB Standard, version 2.6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from convalg.axis import Size
from convalg.errors import UndecidableError

if TYPE_CHECKING:
    import sympy

Answer: TypeAlias = Literal["sat", "unsat", "unknown"]
MEGABYTES = 2000
"""The memory that one call of the solver may use."""
_SIMPLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = re.compile(
    "abs|and|as|assert|distinct|div|exists|false|forall|implies|is_int|ite|let|match|mod|not|or|par"
    "|select|store|to_int|to_real|true|xor|BINARY|DECIMAL|HEXADECIMAL|NUMERAL|STRING|_|Array|Bool"
    "|Int|Real|String|RegLan"
)


class Script:
    """The variables of a formula, and the definitions of its quotients.

    Attributes:
        definitions: assertions that define variables for quotients and maxima.
        comments: the meaning of these variables, as text.
        divisors: symbolic divisors of quotients; the definitions are right where they are positive.
        is_linear: whether no product of variables has been written.

    >>> import convalg as ca
    >>> n, s = ca.sizes("n s")
    >>> script = Script()
    >>> script.at_least(n // s, 1)
    '(>= q.0 1)'
    >>> script.definitions
    ['(>= n (* q.0 s))', '(> (+ (* q.0 s) s) n)']
    """

    def __init__(self) -> None:
        self.definitions: list[str] = []
        self.comments: list[str] = []
        self.divisors: dict[sympy.Expr, None] = {}
        self.is_linear = True
        self._names: dict[sympy.Symbol, str] = {}
        self._defined: dict[Any, sympy.Symbol] = {}
        self._polynomials: dict[Any, sympy.Expr] = {}

    @property
    def names(self) -> dict[sympy.Symbol, str]:
        """The name of each symbol that occurs in the script."""
        return self._names

    def index(self, name: str) -> sympy.Symbol:
        """Return the symbol of an index; its name must contain a full stop, as no size's does."""
        import sympy

        symbol = sympy.Symbol(name, integer=True)
        self._names[symbol] = name
        return symbol

    def _new(self, kind: str, key: object) -> tuple[sympy.Symbol, bool]:
        """Return the variable for `key`, and whether it is new."""
        is_new = key not in self._defined
        if is_new:
            self._defined[key] = self.index(f"{kind}.{len(self._defined)}")
        return self._defined[key], is_new

    def polynomial(self, value: Size) -> sympy.Expr:
        """Return a size or an index as an expanded polynomial in the variables of the script.

        Raises: UndecidableError for an expression that is not a combination of integers, sums,
        products, floors, remainders, maxima and minima.
        """
        import sympy

        if value not in self._polynomials:
            expanded = sympy.expand(self._without_functions(sympy.sympify(value)))
            if any(not term.as_coeff_Mul()[0].is_Integer for term in sympy.Add.make_args(expanded)):
                # An integer with a fraction in it, such as n (n + 1) / 2, is an exact quotient.
                expanded = self.quotient(*sympy.fraction(sympy.together(expanded)))
            self._polynomials[value] = expanded
        return self._polynomials[value]

    def _without_functions(self, value: sympy.Expr) -> sympy.Expr:
        import sympy

        match value:
            case sympy.Rational() | sympy.Symbol():
                return value
            case sympy.Add() | sympy.Mul():
                return value.func(*(self._without_functions(part) for part in value.args))
            case sympy.Pow() if value.exp.is_Integer and value.exp > 0:
                return self._without_functions(value.base) ** value.exp
            case sympy.floor():
                above, below = sympy.together(value.args[0]).as_numer_denom()
                return self.quotient(above, below)
            case sympy.Mod():
                above, below = value.args
                return above - below * self.quotient(above, below)
            case sympy.Max() | sympy.Min():
                sign = ">=" if isinstance(value, sympy.Max) else "<="
                return reduce(lambda one, other: self._extreme(sign, one, other), value.args)
        raise UndecidableError(
            f"{value} is not a combination of integers, sums, products and quotients"
        )

    def _extreme(self, sign: str, first: sympy.Expr, second: sympy.Expr) -> sympy.Expr:
        one, other = self.polynomial(first), self.polynomial(second)
        variable, is_new = self._new("m", (sign, one, other))
        if is_new:
            left, right = self.text(one), self.text(other)
            chosen = f"(ite ({sign} {left} {right}) {left} {right})"
            self.definitions.append(f"(= {self.text(variable)} {chosen})")
            name = "max" if sign == ">=" else "min"
            self.comments.append(f"{variable} = {name}({one}, {other})")
        return variable

    def quotient(self, above: Size, below: Size) -> sympy.Expr:
        """Return floor(above / below) as a polynomial, where necessary with a new variable.

        Terms that `below` divides are divided at once: floor((s m + r) / s) is m + floor(r / s).
        """
        import sympy

        dividend, divisor = self.polynomial(above), self.polynomial(below)
        if divisor.could_extract_minus_sign():
            dividend, divisor = sympy.expand(-dividend), sympy.expand(-divisor)
        integral: sympy.Expr = sympy.S.Zero
        if not divisor.is_Add:
            for term in sympy.Add.make_args(dividend):
                part = term / divisor
                if part.is_polynomial() and part.as_coeff_Mul()[0].is_Integer:
                    integral, dividend = integral + part, dividend - term
        if dividend == 0:
            return integral
        variable, is_new = self._new("q", (dividend, divisor))
        if is_new:
            if not divisor.is_Integer:
                self.divisors[divisor] = None
            self.comments.append(f"{variable} = floor(({dividend}) / ({divisor}))")
            least = sympy.expand(divisor * variable)
            self.definitions.append(self.at_least(dividend, least))
            self.definitions.append(self.above(sympy.expand(least + divisor), dividend))
        return integral + variable

    def text(self, value: Size) -> str:
        """Return a size or an index as a term of SMT-LIB."""
        import sympy

        terms = sympy.Add.make_args(self.polynomial(value))
        ordered = sorted(terms, key=lambda term: (term.is_number, str(term)))
        texts = [self._product(term) for term in ordered]
        return texts[0] if len(texts) == 1 else f"(+ {' '.join(texts)})"

    def as_written(self, value: Size) -> str:
        """Return a size as a term that is not expanded, for an identity of polynomials.

        >>> import convalg as ca
        >>> n, K = ca.sizes("n K")
        >>> Script().as_written(K * (n + 1))
        '(* (+ n 1) K)'
        """
        import sympy

        match sympy.sympify(value):
            case sympy.Add(args=parts):
                ordered = sorted(map(self.as_written, parts), key=lambda part: part.isdigit())
                return f"(+ {' '.join(ordered)})"
            case sympy.Mul(args=parts):
                return f"(* {' '.join(sorted(map(self.as_written, parts)))})"
            case sympy.Pow(base=base, exp=exponent) if exponent.is_Integer and exponent > 1:
                return f"(* {' '.join([self.as_written(base)] * int(exponent))})"
        self.is_linear = False
        return self.text(value)

    def _product(self, term: sympy.Expr) -> str:
        factor, rest = term.as_coeff_Mul()
        parts = [] if factor == 1 and rest != 1 else [_integer(int(factor))]
        variables = []
        for base, exponent in rest.as_powers_dict().items():
            if base != 1:
                variables += [self._name(base)] * int(exponent)
        self.is_linear &= len(variables) <= 1
        parts += sorted(variables)
        return parts[0] if len(parts) == 1 else f"(* {' '.join(parts)})"

    def _name(self, symbol: sympy.Symbol) -> str:
        if symbol not in self._names:
            if not symbol.is_integer:
                raise UndecidableError(f"the symbol {symbol} is not an integer: use ca.sizes")
            is_simple = _SIMPLE.fullmatch(symbol.name) and not _RESERVED.fullmatch(symbol.name)
            name = symbol.name if is_simple else f"size.{len(self._names)}"
            self._names[symbol] = name
        return self._names[symbol]

    def _compared(self, sign: str, first: Size, second: Size) -> str:
        """Return a comparison with only positive terms on both sides."""
        import sympy

        gap = self.polynomial(first) - self.polynomial(second)
        terms = sympy.Add.make_args(sympy.expand(gap))
        left = sympy.Add(*(term for term in terms if not term.could_extract_minus_sign()))
        right = sympy.Add(*(-term for term in terms if term.could_extract_minus_sign()))
        if left.is_number and right.is_number:
            answer = {">=": left >= right, ">": left > right, "=": left == right}[sign]
            return "true" if answer else "false"
        return f"({sign} {self.text(left)} {self.text(right)})"

    def at_least(self, first: Size, second: Size) -> str:
        """Return the condition first >= second."""
        return self._compared(">=", first, second)

    def above(self, first: Size, second: Size) -> str:
        """Return the condition first > second."""
        return self._compared(">", first, second)

    def equal(self, first: Size, second: Size) -> str:
        """Return the condition first = second."""
        return self._compared("=", first, second)

    def within(self, index: Size, size: Size) -> list[str]:
        """Return the conditions 0 <= index < size."""
        return [self.at_least(index, 0), self.above(size, index)]

    def written(
        self, comments: Iterable[str], assertions: Iterable[str], *, is_defined: bool = True
    ) -> str:
        """Return the whole script: comments on lines of their own, declarations, assertions.

        `is_defined`: whether to include the definitions of quotients and maxima.
        """
        body = [f"(assert {line})" for line in assertions if line != "true"]
        definitions = self.definitions if is_defined else []
        defined = [f"(assert {line})" for line in definitions if line != "true"]
        lines = [
            *(f"; {' '.join(line.split())}" for line in (*comments, *self.comments)),
            f"(set-logic {'QF_LIA' if self.is_linear else 'QF_NIA'})",
            *(f"(declare-const {name} Int)" for name in self._names.values()),
            *defined,
            *body,
            "(check-sat)",
        ]
        return "\n".join(lines) + "\n"


def _integer(value: int) -> str:
    return str(value) if value >= 0 else f"(- {-value})"


def conjunction(conditions: Iterable[str]) -> str:
    """Return the conjunction of conditions, without repetitions.

    >>> conjunction(["(>= n 1)", "true", "(>= n 1)"]), conjunction([])
    ('(>= n 1)', 'true')
    """
    kept = [line for line in dict.fromkeys(conditions) if line != "true"]
    if "false" in kept:
        return "false"
    if len(kept) < 2:
        return kept[0] if kept else "true"
    return f"(and {' '.join(kept)})"


def disjunction(conditions: Iterable[str]) -> str:
    """Return the disjunction of conditions, without repetitions.

    >>> disjunction(["(>= n 1)", "false"]), disjunction([])
    ('(>= n 1)', 'false')
    """
    kept = [line for line in dict.fromkeys(conditions) if line != "false"]
    if "true" in kept:
        return "true"
    if len(kept) < 2:
        return kept[0] if kept else "false"
    return f"(or {' '.join(kept)})"


def negation(condition: str) -> str:
    """Return the negation of a condition."""
    return {"true": "false", "false": "true"}.get(condition, f"(not {condition})")


class Solution(NamedTuple):
    """The answer of a solver, for "sat" the value of each integer variable, and the units used."""

    answer: Answer
    values: dict[str, int]
    units: int = 0


def solve(text: str, budget: int) -> Solution:
    """Return the answer of z3 to a script, with the values of its integer variables.

    Args:
        text: the script; its own `check-sat` is the question.
        budget: the resource units of z3 that may be used, which do not depend on the machine.

    >>> solve("(declare-const n Int) (assert (> (* n n) n)) (assert (< n 3))", 100_000).answer
    'sat'
    """
    import z3

    context = z3.Context()
    logic = re.search(r"^\(set-logic (\w+)\)", text, re.MULTILINE)
    solver = z3.SolverFor(logic.group(1) if logic else "QF_NIA", ctx=context)
    solver.set(rlimit=budget, max_memory=MEGABYTES)
    solver.from_string(text)
    answer = str(solver.check())
    units = int(solver.statistics().get_key_value("rlimit count"))
    if answer != "sat":
        return Solution("unsat" if answer == "unsat" else "unknown", {}, units)
    model = solver.model()
    values = {str(variable): model[variable] for variable in model}
    integers = {name: value.as_long() for name, value in values.items() if z3.is_int_value(value)}
    return Solution("sat", integers, units)
