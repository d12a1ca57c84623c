"""Singular values and norms against dense SVDs, closed forms and PyTorch's Fourier blocks."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from cases import Case, elementary, trees
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.sparse.linalg import svds
from strategies import Drawn, layers

import convalg as ca
from convalg.errors import ArgumentError, ConvalgError, KindError, SymbolicError, TooLargeError
from convalg.linalg import spectrum as room
from convalg.linalg.spectrum import DENSE, Spectrum, norm, spectrum

RNG = np.random.default_rng(20)
DEEP = RNG.standard_normal((4, 3, 3, 3))
FFT, KRON = "exact per frequency (FFT)", "Kronecker product"


def dense(operator: ca.Operator) -> np.ndarray:
    """Singular values by NumPy, of the dense matrix."""
    return np.linalg.svd(operator.to_numpy().astype(float), compute_uv=False)


def agrees(found: Any, expected: np.ndarray, tolerance: float = 1e-11) -> None:
    """Equal to a small part of the largest value."""
    assert_allclose(found, expected, rtol=0, atol=tolerance * max(float(np.max(expected)), 1e-300))


@given(layers())
def test_all_values_are_those_of_the_dense_matrix(drawn: Drawn) -> None:
    found = spectrum(drawn.operator)
    expected = np.linalg.svd(drawn.oracle.matrix(drawn.weights).astype(float), compute_uv=False)
    assert len(found) == min(drawn.operator.shape)
    agrees(found, expected)
    agrees(norm(drawn.operator), expected[0])


@given(trees())
def test_products_sums_and_kronecker_products(case: Case) -> None:
    expected = np.linalg.svd(case.matrix.astype(float), compute_uv=False)
    agrees(spectrum(case.operator), expected)
    agrees(norm(case.operator), expected[0])


@pytest.mark.parametrize("case", elementary().values(), ids=elementary())
def test_elementary_operators(case: Case) -> None:
    agrees(spectrum(case.operator), np.linalg.svd(case.matrix.astype(float), compute_uv=False))


@pytest.mark.parametrize(
    ("operator", "method"),
    [
        (ca.correlation(6, [1, 2, 3], padding="same", boundary="circular"), FFT),
        (ca.correlation(6, [1, 2, 3], stride=2, padding=((1, 0),), boundary="circular"), FFT),
        (-2 * ca.correlation(6, [1, 2, 3], padding=1, boundary="circular").T, FFT),
        (ca.shift((3, 4), 1, boundary="circular"), FFT),
        (ca.sum_pool(6, 2), FFT),
        (ca.correlation((7, 5), [[3]]), FFT),
        (ca.correlation(6, [1, 2, 3], padding=1), "dense"),
        (ca.correlation(5, [1, 2, 3], stride=2, padding=1, boundary="circular"), "dense"),
        (ca.correlation(4, [1, 2]).kron(ca.pad(2, 1)), KRON),
        (ca.diagonal([1, -7, 0]), "dense"),
    ],
    ids=str,
)
def test_the_method_is_said(operator: ca.Operator, method: str) -> None:
    found = spectrum(operator)
    assert found.method == method
    agrees(found, dense(operator))
    agrees(norm(operator), dense(operator)[0])


@pytest.mark.parametrize(("a", "b"), [(1, 2), (-3, 1), (2, 0)])
def test_symmetric_tridiagonal_toeplitz(a: int, b: int) -> None:
    n = 12
    angles = np.arange(1, n + 1) * math.pi / (n + 1)
    expected = np.sort(np.abs(b + 2 * a * np.cos(angles)))[::-1]
    agrees(spectrum(ca.correlation(n, [a, b, a], padding=1)), expected, 1e-14)
    agrees(norm(ca.correlation(n, [a, b, a], padding=1)), expected[0], 1e-14)


def test_padded_norms_grow_towards_the_supremum() -> None:
    kernel = [1, 2, -4, 1]
    waves = np.exp(2j * np.pi * np.outer(np.arange(4096) / 4096, np.arange(4)))
    supremum = np.abs(waves @ kernel).max()
    found = [norm(ca.correlation(n, kernel, padding="full")) for n in (4, 8, 16, 64, 256)]
    assert all(small < large for small, large in pairwise(found))
    assert found[-1] < supremum * (1 + 1e-12)
    assert found[-1] > 0.999 * supremum


def test_full_layer_has_the_autocorrelation_as_gram_matrix() -> None:
    gram = ca.correlation(5, [1, 2, 3], padding="full")
    first = [14, 8, 3, 0, 0]
    toeplitz = np.array([[first[abs(i - j)] for j in range(5)] for i in range(5)])
    assert (gram.T @ gram).to_numpy().tolist() == toeplitz.tolist()
    agrees(np.square(spectrum(gram)), np.sort(np.linalg.eigvalsh(toeplitz))[::-1])


def test_small_values_keep_their_digits_beside_large_ones() -> None:
    # The blocks are [[1, 1], [1, 1 + 1e-9]]: a Gram matrix alone would lose the small one.
    block = np.array([[1, 1], [1, 1 + 1e-9]])
    found = spectrum(ca.correlation(4, block[:, :, None], boundary="circular"))
    assert found.method == FFT
    assert_allclose(found[-1], np.linalg.svd(block, compute_uv=False)[-1], rtol=1e-6)


@pytest.mark.parametrize("many", [2, 3])
@pytest.mark.parametrize("small", [1.0, 1e-2, 1e-3, 2e-4, 1e-4, 5e-5, 1e-6, 1e-9, 0.0])
def test_every_value_is_accurate_to_a_part_of_the_largest(small: float, many: int) -> None:
    # Two taps, each a turned diag(1, small): below some ratio the Gram matrix would not do.
    turn = np.linalg.qr(RNG.standard_normal((many, many)))[0]
    block = turn @ np.diag([1.0] * (many - 1) + [small]) @ turn[::-1]
    kernel = np.stack([block, 0.5 * block], axis=-1)
    operator = ca.correlation(16, kernel, padding=((1, 0),), boundary="circular")
    found = spectrum(operator)
    assert found.method == FFT
    waves = np.abs(1 + 0.5 * np.exp(2j * np.pi * np.arange(16) / 16))
    expected = np.outer(waves, [1.0] * (many - 1) + [small])
    agrees(found, np.sort(expected, axis=None)[::-1], 2e-12)


# Iteration.


@pytest.fixture
def always_iterate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "DENSE", 0)


@given(layers())
def test_lanczos_finds_the_norm(drawn: Drawn) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "DENSE", 0)
        found = norm(drawn.operator)
    agrees(found, dense(drawn.operator)[0], 1e-8)


@given(trees())
def test_lanczos_finds_the_norm_of_any_tree(case: Case) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "DENSE", 0)
        found = norm(case.operator)
    agrees(found, np.linalg.svd(case.matrix.astype(float), compute_uv=False)[0], 1e-8)


DEGENERATE: dict[str, tuple[Callable[[], ca.Operator], float]] = {
    "zero": (lambda: ca.dense(np.zeros((3, 4))), 0),
    "zero kernel": (lambda: ca.correlation(900, [0, 0], padding=1), 0),
    "one by one": (lambda: ca.dense([[-3]]), 3),
    "one row": (lambda: ca.dense([[3, 4]]), 5),
    "one column": (lambda: ca.dense([[3], [4]]), 5),
    "one long row": (lambda: ca.dense(np.ones((1, 300_000))), math.sqrt(300_000)),
    "two long rows": (lambda: ca.dense(np.eye(2, 300_000)), 1),
    "all equal": (lambda: ca.identity(1000), 1),
    "all equal, signs mixed": (lambda: ca.diagonal([2, -2] * 500), 2),
    "two equal": (lambda: ca.diagonal([1, 5, 5, 2] * 300), 5),
    "nearly equal": (lambda: ca.diagonal(np.linspace(1, 1 + 1e-9, 1000)), 1 + 1e-9),
    "reshape": (lambda: ca.reshape((4, 6), (3, 8)), 1),
    "one sample": (lambda: ca.correlation(1, [7]), 7),
    "huge": (lambda: ca.diagonal([1e200, 1e199] * 300), 1e200),
    "tiny": (lambda: ca.diagonal([1e-200, 1e-201] * 300), 1e-200),
    "fraction": (lambda: Fraction(1, 3) * ca.correlation(2, [1, 1]), math.sqrt(2) / 3),
    # No wave of 1001 samples turns at every sample, so the guess is an exact vector too low.
    "a misleading guess": (
        lambda: ca.correlation(1001, [1, -2e-6, 1], padding=1),
        2 * math.cos(math.pi / 1002) + 2e-6,
    ),
    "a long smooth one": (
        lambda: ca.correlation(4_000, [1, 2, 1], padding=1),
        4 * math.cos(math.pi / 8_002) ** 2,
    ),
}


@pytest.mark.parametrize("name", DEGENERATE)
@pytest.mark.parametrize("limit", [0, DENSE])
def test_degenerate_norms(name: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    make, expected = DEGENERATE[name]
    monkeypatch.setattr(room, "DENSE", limit)
    assert_allclose(norm(make()), expected, rtol=1e-9, atol=0)


@pytest.mark.usefixtures("always_iterate")
def test_the_norm_is_the_same_each_time_and_leaves_random_numbers_alone() -> None:
    operator = ca.correlation((9, 9), DEEP, padding=1, stride=2)
    before = np.random.get_state()[1]
    assert norm(operator) == norm(operator)
    assert (np.random.get_state()[1] == before).all()


@pytest.mark.parametrize("size", [999, 16000])
def test_norms_of_long_layers_whose_values_lie_close(size: int) -> None:
    # The largest values are 2 + 2 cos(pi k / (n + 1)): they differ by about 1 / n^2.
    expected = 2 + 2 * math.cos(math.pi / (size + 1))
    assert norm(ca.correlation(size, [1, 2, 1], padding=1)) == pytest.approx(expected, rel=1e-11)


def test_the_norm_of_a_long_layer_of_random_weights() -> None:
    weights = np.random.default_rng(0).standard_normal(9).astype(np.float32)
    layer = ca.correlation(16000, weights, padding=4)
    found = norm(layer)
    # The circular layer that it is cut from, by its Fourier coefficients, and a part of it.
    padded = np.concatenate([weights.astype(float), np.zeros(2**20 - 9)])
    assert found <= np.abs(np.fft.rfft(padded)).max() * (1 + 1e-9)
    part = ca.correlation(600, weights, padding=4).to_numpy().astype(float)
    assert found >= np.linalg.norm(part, 2) * (1 - 1e-12)


def test_a_norm_that_does_not_settle_says_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "STEPS", 12)
    monkeypatch.setattr(room, "MOST_FACTORED", 0)
    operator = ca.diagonal(np.linspace(0, 3, 2000))
    with pytest.raises(
        ArgumentError, match="the norm did not converge to tolerance=1e-10"
    ) as caught:
        norm(operator)
    lower = float(re.findall(r"it is at least ([\d.]+):", str(caught.value))[0])
    assert 2.5 < lower <= 3
    assert 2.8 < norm(operator, tolerance=0.1) <= 3


def test_scipy_finds_the_same_norm_from_the_sparse_matrix() -> None:
    kernel = RNG.standard_normal((16, 8, 3, 3))
    operator = ca.correlation((16, 16), kernel, padding=1)
    start = RNG.standard_normal(min(operator.shape))
    expected = svds(operator.to_scipy(), k=1, return_singular_vectors=False, v0=start)
    assert_allclose(norm(operator), expected[0], rtol=1e-9)


def test_single_precision_is_computed_in_double() -> None:
    kernel = DEEP.astype(np.float32)
    single = ca.correlation((5, 5), kernel, padding=1)
    double = ca.correlation((5, 5), kernel.astype(float), padding=1)
    assert norm(single) == norm(double)
    assert spectrum(single).values.dtype == np.float64


@pytest.mark.usefixtures("always_iterate")
@pytest.mark.parametrize(
    "operator",
    [
        ca.correlation((7, 7), np.outer([1, 2, 1], [1, 2, 1]), padding=1),
        ca.correlation((6, 5), DEEP, padding=1),
        ca.diagonal([3] * 8 + [2] * 8 + [1] * 20),
        ca.diagonal([4] * 30),
        ca.dense(np.zeros((30, 40))),
    ],
    ids=["twice by symmetry", "channels", "many equal", "all equal", "zero"],
)
def test_the_largest_few_with_every_copy(operator: ca.Operator) -> None:
    for count in (1, 2, 5):
        found = spectrum(operator, count)
        assert found.method == "iterative"
        assert len(found) == count
        agrees(found, dense(operator)[:count], 1e-9)


@given(layers(), st.data())
def test_the_largest_few_of_any_layer(drawn: Drawn, data: st.DataObject) -> None:
    operator = drawn.operator
    count = data.draw(st.integers(1, min(operator.shape)))
    agrees(spectrum(operator, count), dense(operator)[:count])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(room, "DENSE", 0)
        agrees(spectrum(operator, count), dense(operator)[:count], 1e-7)


@pytest.mark.usefixtures("always_iterate")
def test_few_values_that_do_not_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "RESTARTS", 1)
    with pytest.raises(
        ArgumentError, match=r"of the count=\d+ largest values converged in 1 restarts"
    ):
        spectrum(ca.diagonal(np.linspace(1, 1.001, 4000)), 3)


# The result, and bad input.


def test_a_spectrum_is_an_array_to_numpy() -> None:
    found = spectrum(ca.diagonal([3, -5, 0]))
    assert np.asarray(found).tolist() == list(found) == [5, 3, 0]
    assert found[0] == 5.0
    assert isinstance(found[0], float)
    assert found[1:].tolist() == [3, 0]
    assert np.sum(found) == 8
    assert np.asarray(found, dtype=np.float32).dtype == np.float32
    assert repr(found) == "Spectrum(3 singular values, 5 to 0, dense)"
    assert repr(Spectrum(np.array([2.0]), "dense")) == "Spectrum(1 singular value, 2 to 2, dense)"


SYMBOLIC = ca.correlation(5, ca.kernel(3))
FAMILY = ca.correlation(ca.sizes("n")[0], [1, 2, 3])
BAD: list[tuple[Callable[[], Any], type[ConvalgError], str]] = [
    (
        lambda: norm([[1, 2]]),
        KindError,
        "norm takes an operator, not list: convert a matrix M with ca.dense(M)",
    ),
    (lambda: spectrum(ca.relu(3)), KindError, "spectrum takes an operator, not"),
    (lambda: norm(SYMBOLIC), SymbolicError, "norm needs numbers, but correlation"),
    (
        lambda: spectrum(ca.kernel(2)[0] * ca.identity(3)),
        SymbolicError,
        "has symbols as entries: replace",
    ),
    (lambda: norm(FAMILY), SymbolicError, "needs numbers for sizes, but this is a family"),
    (lambda: norm(ca.identity(2), tolerance=0), ArgumentError, "tolerance must be between 0 and 1"),
    (lambda: norm(ca.identity(2), tolerance=1), ArgumentError, "tolerance must be between 0 and 1"),
    (
        lambda: norm(ca.identity(2), tolerance=math.nan),
        ArgumentError,
        "tolerance must be between 0 and 1, not nan",
    ),
    (
        lambda: norm(ca.identity(2), tolerance="1"),  # type: ignore[arg-type]
        KindError,
        "tolerance must be a real number, not '1'",
    ),
    (
        lambda: norm(ca.identity(2), tolerance=True),
        KindError,
        "tolerance must be a real number, not",
    ),
    (lambda: spectrum(ca.identity(2), 0), ArgumentError, "count must be at least 1, not 0"),
    (lambda: spectrum(ca.identity(2), 1.5), KindError, "count must be an integer"),  # type: ignore[arg-type]
    (
        lambda: spectrum(ca.correlation(5, [1, 2]), 5),
        ArgumentError,
        "count=5 is more than the 4 singular values of a 4 x 5 matrix",
    ),
    (
        lambda: spectrum(ca.correlation((224, 224), [[1, 2], [3, 4]])),
        TooLargeError,
        "pass count= for the largest values, or use norm(A)",
    ),
    (
        lambda: spectrum(
            ca.correlation((224, 224), np.ones((64, 64, 1, 1)), boundary="circular"), max_bytes=100
        ),
        TooLargeError,
        "the frequencies of a layer of 64 x 64 channels on (224, 224)",
    ),
    (
        lambda: norm(ca.diagonal([1e300] * 2) @ ca.diagonal([1e300] * 2)),
        ArgumentError,
        "overflow double precision: divide its weights",
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD, ids=[case[2] for case in BAD])
@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_bad_input(call: Callable[[], Any], error: type[ConvalgError], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        call()
