"""Theorems about the matrix of a layer: norms, ranks, and the checkerboard of its adjoint."""

from __future__ import annotations

from convalg.kernels import kernel
from convalg.operators.convolution import convolution, correlation
from convalg.prove.theorems.bounds import Contributions, Rank, RowAndColumnSums
from convalg.prove.theorems.chapters import COUNTING, NORMS
from convalg.prove.theorems.theorem import Theorem
from convalg.size import sizes

n, K, L, m, p, q, s, r, d = sizes("n K L m p q s r d")

GOLUB = "Golub & Van Loan, Matrix Computations, 2013"
ODENA = "Odena, Dumoulin & Olah, Deconvolution and Checkerboard Artifacts, Distill 2016"

THEOREMS = (
    Theorem(
        "norm-bound",
        (
            RowAndColumnSums(
                "the sums of rows and columns of |A| are at most the sum of the absolute weights",
                lambda: correlation(n, kernel(K), padding=p, stride=s, dilation=d),
            ),
            RowAndColumnSums(
                "in two dimensions too",
                lambda: correlation((n, m), kernel(K, L), padding=p, stride=s, dilation=d),
            ),
        ),
        source=GOLUB,
        counter=RowAndColumnSums(
            "that holds for a layer with edge padding",
            lambda: correlation(n, kernel(K), padding=p, boundary="edge"),
        ),
        chapter=NORMS,
        sentence=(
            "The absolute values in each row and in each column of the matrix of a layer that pads "
            "with zeros sum to at most the sum of the absolute weights, at any stride, dilation "
            "and padding."
        ),
        idea=(
            "Each weight is at most once in a row and at most once in a column; since the square "
            "of the spectral norm is at most the product of both sums, it has the same bound."
        ),
    ),
    Theorem(
        "full-rank-valid",
        (
            Rank(
                "the rank of a valid layer is the number of its outputs",
                lambda: correlation(n, kernel(K), stride=s, dilation=d),
                (n - d * (K - 1) - 1) // s + 1,
                row=lambda j, a: j,
                column=lambda j, a: s * j + d * a,
            ),
            Rank(
                "at stride 1, the null space has K - 1 dimensions",
                lambda: correlation(n, kernel(K)),
                n - K + 1,
                row=lambda j, a: j,
                column=lambda j, a: j + a,
            ),
        ),
        counter=Rank(
            "the rank of a layer with 3 taps and padding 1 is the number of its outputs",
            lambda: correlation(n, kernel(3), padding=1),
            n,
            row=lambda j, a: j,
            column=lambda j, a: j + a,
        ),
        chapter=NORMS,
        sentence=(
            "A valid layer whose kernel is not zero is surjective at any stride and dilation; at "
            "stride 1 without dilation, its null space has K - 1 dimensions."
        ),
        idea=(
            "The first weight that is not zero is in a new column in each row: these columns form "
            "a triangular matrix with this weight on its diagonal."
        ),
    ),
    Theorem(
        "full-rank-full",
        (
            Rank(
                "the rank of a full convolution is the number of its inputs",
                lambda: convolution(n, kernel(K), padding="full"),
                n,
                row=lambda j, a: j + a,
                column=lambda j, a: j,
            ),
        ),
        counter=Rank(
            "the rank of a same-padded convolution with 3 taps is the number of its inputs",
            lambda: convolution(n, kernel(3), padding=1),
            n,
            row=lambda j, a: j + a,
            column=lambda j, a: j,
        ),
        chapter=NORMS,
        sentence="A full convolution whose kernel is not zero is injective.",
        idea=(
            "In polynomials, a product with a polynomial other than zero is zero only for zero: "
            "the rows from the first non-zero weight on form a triangular matrix."
        ),
    ),
    Theorem(
        "checkerboard",
        (
            Contributions(
                "if the stride divides the kernel size, as many products in every output",
                q * s,
                q,
                limits=(q - 1,),
            ),
            Contributions(
                "if it does not, one more in the first r of s outputs",
                q * s + r,
                q + 1,
                end=r,
                limits=(r - 1, s - r - 1),
            ),
            Contributions(
                "and not in the other s - r outputs",
                q * s + r,
                q,
                first=r,
                limits=(r - 1, s - r - 1),
            ),
        ),
        source=ODENA,
        counter=Contributions(
            "if it does not divide it, as many products in every output too",
            q * s + r,
            q,
            limits=(q - 1, r - 1, s - r - 1),
        ),
        chapter=COUNTING,
        sentence=(
            "Away from the border, all outputs of a transposed layer are sums of equally many "
            "products exactly if its stride divides its kernel size; otherwise the numbers differ "
            "by one."
        ),
        idea=(
            "Output s a + c sums the taps c, c + s, c + 2 s, and so on below K; with K = q s + r, "
            "these are q + 1 for c < r and q for c >= r."
        ),
    ),
)
