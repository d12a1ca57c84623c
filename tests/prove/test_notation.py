"""The text of operators: what is written reads back as the same leaves, and nothing is run."""

from __future__ import annotations

from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
import random_claims
import sympy

import convalg as ca
from convalg.errors import ConvalgError, KindError
from convalg.operators.tree import Operator
from convalg.presburger import same_shape
from convalg.prove.notation import number_text, read, write

n, m, K, p, s, d, C, D = ca.sizes("n m K p s d C D")
w = ca.kernel(K)
x = ca.kernel(n, name="x")
same, floor_ = (sympy.Symbol(name, integer=True, nonnegative=True) for name in ("same", "floor"))

OPERATORS: dict[str, Operator] = {
    "a layer": ca.correlation(n, w, stride=s, dilation=d, padding=p),
    "an adjoint": ca.correlation(n, w, stride=s).T,
    "output_padding": ca.transposed_correlation(n, w, stride=s, output_padding=s - 1),
    "same": ca.correlation(n, w, stride=s, padding="same"),
    "asymmetric": ca.convolution(n, ca.flip(w), padding=((p, 0),), boundary="edge"),
    "channels swapped": ca.correlation(n, ca.kernel(C, D, K).swapaxes(0, 1)),
    "flipped on one axis": ca.correlation((n, m), ca.flip(ca.kernel(K, K), dims=1)),
    "groups": ca.correlation(n, ca.kernel(2 * C, D, K), groups=2),
    "patches": ca.correlation(n, w, stride=s).by_kernel(x),
    "patches of an adjoint": ca.transposed_correlation(n, w, stride=s).by_kernel(x).T,
    "fractions": ca.correlation(n, [Fraction(1, 3), 4, -2]),
    "symbols": ca.correlation(n, ca.kernel(3, name="v")) * sympy.Symbol("a"),
    "a factor of sizes": (K - 1) / K * ca.identity(n),
    "a sum of products": ca.downsample(n, s) @ ca.shift(n, 1) + 2 * ca.downsample(n, s),
    "a Kronecker product": ca.flip_axes(n).kron(ca.downsample(m, s)),
    "pools": ca.average_pool(n, K, stride=s) @ ca.pad(n, 0),
    "windows with a dilation": ca.sum_pool(n, 3, stride=s, dilation=d),
    "a reshape": ca.reshape((n, m), n * m),
    "a matrix": ca.dense([[1, 2], [3, 4]]).kron(ca.identity(n)),
    "a diagonal": ca.diagonal([1, Fraction(1, 2)]).kron(ca.identity(n)),
    "a sparse matrix": ca.permute((2, 3), (1, 0)).kron(ca.identity(n)),
    "names that are functions": ca.correlation(same + floor_, ca.kernel(floor_), padding=same),
    "a floor and a maximum": ca.pad(n, sympy.Max(n // s, 2) + sympy.Mod(n, s)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_what_is_written_is_read(name: str) -> None:
    operator = OPERATORS[name]
    text = write(operator)
    again = read(text)
    assert write(again) == text
    assert same_shape(again.in_shape, operator.in_shape)
    assert same_shape(again.out_shape, operator.out_shape)
    assert again.symbols == operator.symbols
    numbers = {symbol.name: 3 if symbol.name in ("n", "m") else 2 for symbol in operator.symbols}
    if "n" in numbers:
        numbers |= {"n": 6 if name != "a floor and a maximum" else 4, "K": 2, "s": 3, "p": 1}
    chosen = {k: v for k, v in numbers.items() if k in {symbol.name for symbol in operator.symbols}}
    apart = again.at(**chosen).to_sympy() - operator.at(**chosen).to_sympy()
    assert apart.applyfunc(sympy.cancel).is_zero_matrix


def test_constructors_are_written_as_they_are_printed() -> None:
    text = write(ca.downsample(n + 2 * p - K + 1, s) @ ca.correlation(n, w, padding=p))
    assert text == "(downsample(n + 2*p - K + 1, s) @ correlation(n, kernel(K), padding=p))"


def test_floats_are_written_as_the_fractions_of_proofs() -> None:
    assert write(0.1 * ca.identity(n)) == "((1 / 10) * identity(n))"
    assert number_text(0.1) == "(1 / 10)"


def test_random_operators() -> None:
    seeds = (random_claims.claim(seed, random_claims.StepDraw) for seed in range(3000, 3200))
    for _, sides in islice(filter(None, seeds), 60):
        for side in sides:
            try:
                text = write(side)
            except KindError:
                # A root is not a rational number.
                assert "sqrt" in repr(side)
                continue
            assert write(read(text)) == text


@pytest.mark.parametrize("value", [sympy.sqrt(2), sympy.sin(n), sympy.pi])
def test_other_numbers_are_refused(value: sympy.Expr) -> None:
    with pytest.raises(KindError, match="cannot be written as an expression"):
        number_text(value)


def test_large_arrays_are_refused() -> None:
    with pytest.raises(KindError, match="an array of 1001 entries is too large"):
        write(ca.correlation(n, np.arange(1, 1002)))


HOSTILE = [
    "__import__('os').system('true')",
    "layer(1, 2)",
    "layer(geometry([axis(1, 2, 3)], [1, 2], []), [1])",
    "size('n').__class__",
    "selection([axis('a', 'b')], [1], [1], [])",
    "matrix([[1, 2], [3]], [2], [2])",
    "sparse([0], [9], [1], [2], [2])",
    "weights('w', [K], [0], [0])",
    "(" * 5000 + "n" + ")" * 5000,
    "identity(n)" + ".T" * 40_000,
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:40])
def test_hostile_text_is_refused_with_a_message(text: str) -> None:
    with pytest.raises((ConvalgError, ValueError, TypeError)):
        write(read(text))
