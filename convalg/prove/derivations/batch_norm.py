"""The derivation of batch normalisation in training: the gradients of its input and parameters.

The loss is followed through one sample x_j. All other samples enter only through the sums of x,
x^2, g and g x over them, which are symbols, so that each step is an identity of rational functions
in finitely many symbols, for every batch size m.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import sympy

from convalg.prove.derivations.derivation import Step
from convalg.prove.verdict import Counterexample, Verdict

METHOD = "exact identity of rational functions in x_j, g_j and the sums over the other samples"
SCOPE = "all m >= 1, and all x, g, gamma, beta and epsilon with sigma > 0"

m = sympy.Symbol("m", integer=True, positive=True)
mu, sigma = sympy.Symbol("mu"), sympy.Symbol("sigma", positive=True)
gamma, beta, epsilon = sympy.symbols("gamma beta epsilon")
i, j = sympy.symbols("i j", integer=True)
x, g, y, z = map(sympy.IndexedBase, "xgyz")

_X, _G = sympy.symbols("x_j g_j")
_SUMS = {name: sympy.Symbol(f"sum_{name}") for name in ("x", "xx", "g", "gx")}
_SIGMA = sympy.Function("s")(_X)

Formula: TypeAlias = "Any"
"""A SymPy expression in the symbols above, with sums over i."""


def total(body: Formula) -> Formula:
    """Return the sum over all samples i."""
    return sympy.Sum(body, (i, 1, m))


def latex(formula: Formula) -> str:
    """Return a formula in the notation of the other derivations.

    >>> latex(total(g[i] * z[i]) / m - mu)
    '\\\\frac{1}{m} \\\\sum_{i} g_{i} z_{i} - \\\\mu'
    """
    match formula:
        case sympy.Add(args=terms):
            text = ""
            for term in sorted(terms, key=_order):
                is_negative = term.could_extract_minus_sign()
                shown = latex(-term if is_negative else term)
                text += f" {'-' if is_negative else '+'} {shown}"
            return text.removeprefix(" + ").removeprefix(" ")
        case sympy.Mul():
            return _product(formula)
        case sympy.Pow(base=base, exp=exponent) if exponent.is_Integer and exponent > 0:
            return f"{_closed(base)}^{{{exponent}}}"
        case sympy.Pow():
            return _product(formula)
        case sympy.Indexed():
            return f"{formula.base}_{{{formula.indices[0]}}}"
        case sympy.Sum():
            return f"\\sum_{{{formula.limits[0][0]}}} {_closed(formula.function)}"
    return str(sympy.latex(formula))


def _closed(formula: Formula) -> str:
    return f"({latex(formula)})" if formula.is_Add else latex(formula)


def _order(term: Formula) -> tuple[Any, ...]:
    """Sort key of terms: positive ones first, samples before numbers."""
    return term.could_extract_minus_sign(), not term.has(sympy.Indexed), str(term)


def _product(formula: Formula) -> str:
    """Return a product: a fraction of numbers, then samples, sums in parentheses, and a sum."""
    above, below = sympy.fraction(formula)
    numbers: list[Formula] = []
    rest: list[Formula] = []
    for factor in sympy.Mul.make_args(above):
        (rest if factor.has(sympy.Indexed) else numbers).append(factor)
    rest.sort(key=lambda factor: (factor.is_Add, isinstance(factor, sympy.Sum), str(factor)))
    number = " ".join(latex(factor) for factor in numbers if factor != 1)
    if below != 1:
        number = f"\\frac{{{number or '1'}}}{{{latex(below)}}}"
    return " ".join(filter(None, [number, *map(_closed, rest)]))


def _mean() -> Formula:
    return (_SUMS["x"] + _X) / m


def _variance() -> Formula:
    """Return sigma^2 in terms of the sums."""
    return (_SUMS["xx"] + _X**2) / m - _mean() ** 2 + epsilon


def value(formula: Formula, *, is_fixed: bool = False) -> Formula:
    """Return a formula as a function of x_j, g_j and the sums over the other samples.

    Args:
        formula: the formula.
        is_fixed: whether mu and sigma are constants, as in inference, and not functions of x_j.
    """
    plain = formula.replace(
        lambda part: _is_entry(part, y), lambda part: gamma * z[part.indices[0]] + beta
    )
    plain = plain.replace(
        lambda part: _is_entry(part, z), lambda part: (x[part.indices[0]] - mu) / sigma
    )
    plain = plain.replace(lambda part: isinstance(part, sympy.Sum), _summed)
    plain = plain.subs({x[j]: _X, g[j]: _G})
    return plain if is_fixed else plain.subs({mu: _mean(), sigma: _SIGMA})


def _is_entry(part: Formula, base: sympy.IndexedBase) -> bool:
    return isinstance(part, sympy.Indexed) and part.base == base


def _summed(whole: Formula) -> Formula:
    """Return a sum over all samples in terms of x_j, g_j and the sums over the other samples."""
    every = {
        (0, 0): m,
        (1, 0): _SUMS["x"] + _X,
        (2, 0): _SUMS["xx"] + _X**2,
        (0, 1): _SUMS["g"] + _G,
        (1, 1): _SUMS["gx"] + _G * _X,
    }
    terms = sympy.Poly(sympy.expand(whole.function), x[i], g[i]).terms()
    return sympy.Add(*(factor * every[powers] for powers, factor in terms))


def difference(first: Formula, second: Formula) -> Formula:
    """Return the numerator of the difference of two values, with sigma^2 replaced by its value."""
    slope = sympy.diff(_variance(), _X) / (2 * sigma)
    gap = (first - second).subs(sympy.Derivative(_SIGMA, _X), slope).subs(_SIGMA, sigma)
    above, _ = sympy.fraction(sympy.together(gap))
    polynomial = sympy.Poly(sympy.expand(above), sigma)
    rest = sympy.Integer(0)
    for (power,), factor in polynomial.terms():
        rest += factor * _variance() ** (power // 2) * sigma ** (power % 2)
    return sympy.expand(sympy.fraction(sympy.together(rest))[0])


@dataclass(frozen=True, eq=False)
class BatchIdentity:
    """The claim that a formula, or its derivative by a parameter or sample, is another formula.

    `is_fixed`: whether mu and sigma are constants in the derivative.
    """

    left: Formula
    right: Formula
    by: Formula | None = None
    is_fixed: bool = False

    def latex(self) -> str:
        """Return the claim as a formula."""
        left = latex(self.left)
        if self.by is not None:
            closed = f"({left})" if self.left.is_Add else left
            left = f"\\frac{{\\partial}}{{\\partial {latex(self.by)}}} {closed}"
        return f"{left} = {latex(self.right)}"

    def decide(self) -> Verdict:
        """Compare both sides as rational functions."""
        left, right = (value(side, is_fixed=self.is_fixed) for side in (self.left, self.right))
        if self.by is not None:
            left = sympy.diff(left, _X if self.by == x[j] else self.by)
        gap = difference(left, right)
        if gap == 0:
            return Verdict("proved", self.latex(), SCOPE, METHOD)
        witness = Counterexample({}, None, None, right, left)
        return Verdict("refuted", self.latex(), SCOPE, METHOD, witness)


LOSS = total(g[i] * y[i])
STEPS: tuple[tuple[str, tuple[str, ...], BatchIdentity], ...] = (
    (
        "definition: subtract the mean of the batch, divide by its standard deviation, scale and "
        "shift; the variance is the mean of the squares minus the square of the mean",
        (
            f"\\mu = {latex(total(x[i]) / m)}",
            f"\\sigma^{{2}} = {latex(total((x[i] - mu) ** 2) / m + epsilon)}",
            f"z_{{i}} = {latex((x[i] - mu) / sigma)}",
            f"y_{{i}} = {latex(gamma * z[i] + beta)}",
        ),
        BatchIdentity(
            total((x[i] - mu) ** 2) / m + epsilon, total(x[i] ** 2) / m - mu**2 + epsilon
        ),
    ),
    ("the loss changes with beta through every output", (), BatchIdentity(LOSS, total(g[i]), beta)),
    ("and with gamma", (), BatchIdentity(LOSS, total(g[i] * z[i]), gamma)),
    ("one sample moves the mean", (), BatchIdentity(mu, 1 / m, x[j])),
    ("and the variance", (), BatchIdentity(sigma**2, 2 * (x[j] - mu) / m, x[j])),
    ("so it moves the standard deviation", (), BatchIdentity(sigma, z[j] / m, x[j])),
    (
        "chain rule with g = dL/dy held fixed: directly, through the mean, and through the "
        "standard deviation",
        (),
        BatchIdentity(
            LOSS,
            gamma / sigma * (g[j] - total(g[i]) / m - z[j] / m * total(g[i] * z[i])),
            x[j],
        ),
    ),
    (
        "in inference mu and sigma are constants, and only the first term is left",
        (),
        BatchIdentity(LOSS, gamma / sigma * g[j], x[j], is_fixed=True),
    ),
)


def batch_norm_steps() -> list[Step]:
    """Return the steps from the definition to the gradients of batch normalisation."""
    steps = []
    for reason, given, identity in STEPS:
        pieces = (*given, identity.latex())
        check = partial(_decided, identity, ",\\quad ".join(pieces))
        steps.append(Step(",\\quad ".join(pieces), reason, check, pieces, SCOPE))
    return steps


def _decided(identity: BatchIdentity, formula: str) -> Verdict:
    verdict = identity.decide()
    return Verdict(verdict.status, formula, SCOPE, METHOD, verdict.counterexample)
