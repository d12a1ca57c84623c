"""Theorems about the discrete Fourier transform: its inverse, circular layers, and the FFT."""

from __future__ import annotations

import numpy as np

from convalg.kernels import kernel
from convalg.operators.convolution import correlation
from convalg.operators.leaves import Convolution
from convalg.operators.shifts import shift
from convalg.prove.theorems.chapters import BORDERS, FAST
from convalg.prove.theorems.parts import Decided
from convalg.prove.theorems.roots import (
    Diagonalised,
    Orthogonality,
    Parseval,
    SplitTransform,
    Transformed,
)
from convalg.prove.theorems.theorem import Theorem
from convalg.prove.verdict import IDENTITY, Counterexample, Verdict
from convalg.size import sizes

n, m, K, p, r = sizes("n m K p r")


def _circular() -> Convolution:
    """Return a circular layer with as many outputs as inputs."""
    return correlation(n, kernel(K), padding=((p, K - 1 - p),), boundary="circular")


def _split(*, is_rotated: bool = True) -> SplitTransform:
    return SplitTransform(
        "a transform of r m samples is r transforms of m samples, rotated and summed",
        r,
        m,
        position=lambda c, j: r * j + c,
        twiddle=lambda h, k, c: (m * h + k) * c if is_rotated else 0,
        inner=lambda k, j: r * k * j,
        quotient=lambda h, k, c, j: h * j,
    )


def _not_multiplied() -> Verdict:
    """A delay by one sample that loses the last one; (1, 1) has the transform 0 at z = -1."""
    claim = "the transform of a layer that pads with zeros is a multiple of that of its input"
    delayed = shift(2, 1)([1, 1])
    powers = np.array([1, -1])
    claimed, actual = int(powers @ [1, 1]), int(powers @ delayed)
    if actual == claimed:
        return Verdict("proved", claim, "this size", IDENTITY)
    example = Counterexample({"n": 2}, None, None, claimed, actual)
    return Verdict("refuted", claim, "this size", IDENTITY, example)


GRAY = "Gray, Toeplitz and Circulant Matrices: A Review, 2006"
OPPENHEIM = "Oppenheim & Schafer, Discrete-Time Signal Processing, 2010"
COOLEY = "Cooley & Tukey, An Algorithm for the Machine Calculation of Complex Fourier Series, 1965"

THEOREMS = (
    Theorem(
        "dft-inverse",
        (Orthogonality("the inverse of F is its conjugate transpose divided by n"),),
        source=GRAY,
        counter=Orthogonality("that holds for every z with z^n = 1", is_primitive=False),
        chapter=BORDERS,
        sentence=(
            "The columns of the DFT matrix are orthogonal, so that its inverse is its conjugate "
            "transpose divided by n."
        ),
        idea=(
            "An entry off the diagonal is a geometric series of a root of unity other than one, "
            "whose sum is zero."
        ),
    ),
    Theorem(
        "parseval",
        (Parseval("the inner product of two transforms is n times that of the signals"),),
        source=OPPENHEIM,
        counter=Parseval("that holds for every z with z^n = 1", is_primitive=False),
        chapter=BORDERS,
        sentence=(
            "The inner product of the discrete Fourier transforms of two signals is n times that "
            "of the signals, so that the transform keeps energy up to the factor n."
        ),
        idea="The inner product of F x and F y is that of x and F^* F y, and F^* F is n times I.",
    ),
    Theorem(
        "convolution-theorem",
        (
            Transformed(
                "the transform of the output is the transform of the input times that of the "
                "flipped kernel, whose tap t is at index p - t",
                _circular,
                lambda t, p: t - p,
            ),
        ),
        source=OPPENHEIM,
        counter=Decided(
            "the transform of a layer that pads with zeros is a multiple of that of its input",
            _not_multiplied,
        ),
        chapter=BORDERS,
        sentence=(
            "At each frequency, the discrete Fourier transform of the output of a circular layer "
            "is that of its input times a number that depends on the kernel only."
        ),
        idea="A cyclic shift by t multiplies the transform by the power t of a root of unity.",
    ),
    Theorem(
        "circulant-eigenvalues",
        (
            Diagonalised(
                "the columns of F are eigenvectors, and D is the DFT of the kernel",
                _circular,
                lambda t, p: t - p,
            ),
            Orthogonality("the n eigenvectors are orthogonal, so that they are a basis"),
        ),
        source=GRAY,
        counter=Orthogonality(
            "the powers of every z with z^n = 1 lead to n orthogonal eigenvectors",
            is_primitive=False,
        ),
        chapter=BORDERS,
        sentence=(
            "The DFT matrix diagonalises every circular layer, whose eigenvalues are the values of "
            "the discrete Fourier transform of its kernel."
        ),
        idea=(
            "The n powers of a primitive root are roots of unity, each of which leads to an "
            "eigenvector; these are orthogonal, hence a basis."
        ),
    ),
    Theorem(
        "fft-step",
        (_split(),),
        source=COOLEY,
        counter=_split(is_rotated=False),
        chapter=FAST,
        sentence=(
            "A discrete Fourier transform of r m samples is the sum of r transforms of m samples, "
            "those of every r-th sample, each multiplied by powers of the root of unity."
        ),
        idea=(
            "With i = r j + c, the power z^(k i) is z^(k c) times (z^r)^(k j), and z^r is a root "
            "of unity of order m."
        ),
    ),
    Theorem(
        "fft-butterfly",
        (
            SplitTransform(
                "two transforms of m samples, added and subtracted",
                2,
                m,
                position=lambda c, j: 2 * j + c,
                twiddle=lambda h, k, c: k * c,
                inner=lambda k, j: 2 * k * j,
                quotient=lambda h, k, c, j: h * j,
                sign=lambda h, c: h * c,
            ),
        ),
        source=COOLEY,
        counter=SplitTransform(
            "the second half of the outputs is added too",
            2,
            m,
            position=lambda c, j: 2 * j + c,
            twiddle=lambda h, k, c: k * c,
            inner=lambda k, j: 2 * k * j,
            quotient=lambda h, k, c, j: h * j,
        ),
        chapter=FAST,
        sentence=(
            "Outputs k and m + k of a discrete Fourier transform of 2 m samples are the sum and "
            "the difference of the transform of the even samples and that of the odd samples "
            "times z^k."
        ),
        idea="The root z of order 2 m has z^m = -1, so that row m + k differs in signs only.",
    ),
)
