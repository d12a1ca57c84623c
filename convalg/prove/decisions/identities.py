"""Identities of polynomials over the rational numbers as formulas of real variables in SMT-LIB.

The obligation of an identity states that two polynomials differ for some values of their variables.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction

from convalg.errors import UndecidableError
from convalg.prove.decisions.nonlinear import Obligation
from convalg.prove.decisions.polynomials import Generator, Monomial, Polynomial

Pairs = Sequence[tuple[Polynomial, Polynomial]]
MOST_TERMS = 100_000
"""The number of terms of all polynomials in one obligation."""


def identity(name: str, sentence: str, pairs: Pairs, comments: Iterable[str]) -> Obligation:
    """Return the obligation that both polynomials of each pair are equal.

    Args:
        name: the name of the file, without its suffix.
        sentence: the meaning of the answer "unsat".
        pairs: the polynomials.
        comments: the first lines of the script.

    Raises: UndecidableError where a coefficient is not rational, or there are too many terms.

    >>> x = Polynomial.generator("x")
    >>> print(identity("square", "both are equal", [(x * x, 2 * x)], []).text)
    ; obligation: both are equal
    ; expected: unsat
    ; v.0 = x
    (set-logic QF_NRA)
    (declare-const v.0 Real)
    (assert (not (= (* v.0 v.0) (* 2.0 v.0))))
    (check-sat)
    <BLANKLINE>
    """
    count = sum(len(side.terms) for pair in pairs for side in pair)
    if count > MOST_TERMS:
        raise UndecidableError(
            f"budget exceeded: the polynomials have {count} terms, more than {MOST_TERMS}: use "
            f"smaller sizes"
        )
    names: dict[Generator, str] = {}
    for pair in pairs:
        for side in pair:
            for generator in sorted(side.generators):
                if not is_variable(generator):
                    raise UndecidableError(
                        f"the coefficient {generator} is not a rational number or a symbol, which "
                        f"a formula of polynomials needs"
                    )
                names.setdefault(generator, f"v.{len(names)}")
    different = [f"(not (= {_sum(one, names)} {_sum(other, names)}))" for one, other in pairs]
    claim = different[0] if len(different) == 1 else f"(or false {' '.join(different)})"
    meanings = [f"{variable} = {generator[0]}" for generator, variable in names.items()]
    lines = [*comments, f"obligation: {sentence}", "expected: unsat", *meanings]
    text = "\n".join(
        [
            *(f"; {' '.join(line.split())}" for line in lines),
            "(set-logic QF_NRA)",
            *(f"(declare-const {variable} Real)" for variable in names.values()),
            f"(assert {claim})",
            "(check-sat)",
            "",
        ]
    )
    return Obligation(name, sentence, "unsat", text)


def is_variable(generator: Generator) -> bool:
    """Return whether a generator is an unknown or a symbol, and not an expression such as a root.

    >>> import sympy
    >>> [is_variable(*Polynomial.of(value).generators) for value in (sympy.Symbol("a"), sympy.pi)]
    [True, False]
    """
    source = generator.source
    return source is None or bool(source.is_Symbol)


def _sum(value: Polynomial, names: dict[Generator, str]) -> str:
    terms = [_term(monomial, Fraction(c), names) for monomial, c in sorted(value.terms.items())]
    if len(terms) < 2:
        return terms[0] if terms else "0.0"
    return f"(+ {' '.join(terms)})"


def _term(monomial: Monomial, coefficient: Fraction, names: dict[Generator, str]) -> str:
    factors = sorted(names[generator] for generator in monomial)
    if coefficient != 1 or not factors:
        factors.insert(0, _real(coefficient))
    return factors[0] if len(factors) == 1 else f"(* {' '.join(factors)})"


def _real(value: Fraction) -> str:
    size = f"{abs(value.numerator)}.0"
    if value.denominator != 1:
        size = f"(/ {size} {value.denominator}.0)"
    return size if value >= 0 else f"(- {size})"


def linearity(comments: Sequence[str]) -> list[Obligation]:
    """Return the two steps of an induction: a sum of products a x is linear in the x.

    The sums over no terms are 0. If the sums z, x and y over the first terms are z = alpha x +
    beta y, then the sums with one more term are too.

    >>> [obligation.name for obligation in linearity([])]
    ['no-terms', 'one-more-term']
    """
    alpha, beta, a, u, v = map(Polynomial.generator, ("alpha", "beta", "a", "u", "v"))
    x, y, zero = Polynomial.generator("x"), Polynomial.generator("y"), Polynomial({})
    z = alpha * x + beta * y
    later = z + a * (alpha * u + beta * v)
    parts = alpha * (x + a * u) + beta * (y + a * v)
    return [
        identity(
            "no-terms",
            "the sum of no terms is linear: 0 = alpha 0 + beta 0",
            [(zero, alpha * zero + beta * zero)],
            comments,
        ),
        identity(
            "one-more-term",
            "if z = alpha x + beta y, then z + a (alpha u + beta v) is alpha (x + a u) + "
            "beta (y + a v)",
            [(later, parts)],
            comments,
        ),
    ]
