"""Operators as text: what is understood, and what is refused without being run."""

from __future__ import annotations

import pytest

import convalg as ca
from convalg.errors import ArgumentError, ConvalgError
from convalg.prove.expressions import parse

UNDERSTOOD = {
    "correlation(5, [1, 2, 3])": "correlation(5, [1, 2, 3])",
    "correlation(n, kernel(K), padding=p).T": (
        "transposed_correlation(n + 2*p - K + 1, kernel(K), padding=p)"
    ),
    "convolution((n, m), sobel_x, padding='same')": (
        "convolution((n, m), [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], padding=1)"
    ),
    "2 * identity(4) - shift(4, -1)": "2 * identity(4) + -1 * shift(4, -1)",
    "downsample(n - K + 1, 2) @ correlation(n, kernel(K, name=v))": (
        "downsample(n - K + 1, 2) @ correlation(n, kernel(K, name='v'))"
    ),
    "correlation(7 // 2, flip(kernel(2)))": "correlation(3, [w1, w0])",
    "identity(correlation(n, kernel(3)).out_shape)": "identity(n - 2)",
    "identity(correlation(9, kernel(3)).in_shape[0])": "identity(9)",
    "correlation(4, kernel(2)).kron(identity(2))": "(correlation(4, [w0, w1])).kron(identity(2))",
    "correlation(5, kernel(3)).T.simplify()": "correlation(3, [w2, w1, w0], padding='full')",
}


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_text_is_understood(text: str) -> None:
    assert repr(parse(text)) == UNDERSTOOD[text]


def test_letters_are_those_of_sizes() -> None:
    n, K = ca.sizes("n K")  # noqa: N806 - the letter of the field
    assert parse("correlation(n, kernel(K))").symbols == (n, K)


REFUSED = {
    "__import__('os').system('true')": "is not a function of expressions",
    "open('x')": "is not a function of expressions",
    "correlation(n, kernel(K)).__class__": "is not allowed in an expression: use public names",
    "correlation(5, [1]).geometry": "is not allowed in an expression",
    "[x for x in (1, 2)]": "is not allowed in an expression",
    "(lambda: 1)()": "is not a function of expressions",
    "10 ** 10 ** 10": "is not allowed in an expression",
    "correlation(99999999999, kernel(3))": "is not allowed in an expression",
    "correlation(True, kernel(3))": "is not allowed in an expression",
    "correlation(3": "is not a Python expression",
    "": "is not a Python expression",
    "kernel(3)": "must describe an operator, but its value is",
    "n": "must describe an operator, but its value is n",
    "correlation": "correlation is a function: write correlation",
    "correlation(n, kernel(3), foo=1)": "cannot be evaluated to an operator: .*foo",
    "correlation(n, kernel(3), **n)": r"is not allowed: write each option as name=value",
    "n.T": "is an attribute of operators, not of n",
    "n[0]": "only a shape, such as A.out_shape, can be indexed, not n",
    "(1, 2)[7]": "cannot be evaluated to an operator",
    "correlation(ñ, kernel(3))": "cannot be the name of a size",
    "correlation(3, kernel(5))": "larger than the padded input",
    "identity(4) @ identity(3)": "must have the input shape of the left layer",
    "'a' / 2": "/ divides an operator, a number or a symbol, not 'a'",
    "identity(4)" + " " * 3000: "has 3011 characters; use at most 2000",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:40])
def test_text_is_refused(text: str) -> None:
    with pytest.raises(ConvalgError, match=REFUSED[text]):
        parse(text)


def test_sizes_that_cannot_be_multiplied_out_are_refused() -> None:
    """A product of 18 sums has 262144 terms."""
    size = "*".join(f"(n + a{k})" for k in range(18))
    with pytest.raises(ArgumentError, match="more than 200 terms when it is multiplied out"):
        parse(f"identity({size})")
    assert parse("identity((n + a)*(n + b)*(n + c))").in_shape[0].is_Mul
