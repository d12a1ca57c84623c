"""All singular values of an operator, its largest singular values, and its norm.

The singular values of a circular layer are computed frequency by frequency, from one small matrix
each. Other operators are solved as dense matrices if they are small, otherwise by iteration, which
only uses A(x) and A.T(x).
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from convalg.arguments import plural
from convalg.arrays import Array
from convalg.errors import ArgumentError, KindError
from convalg.faces.support import nonzero_bound
from convalg.limits import check_memory
from convalg.linalg.circulant import circulant_norm, circulant_values, is_circulant, wave
from convalg.linalg.factors import certified_top
from convalg.linalg.numeric import as_float, check_overflow, dense
from convalg.operators.leaves import Adjoint, Convolution, Selection
from convalg.operators.tree import Kron, Operator, Scaled
from convalg.size import as_integer, size_product

DENSE = 2**18
"""The largest number of entries of a dense matrix; up to it, iteration is slower."""

STEPS = 5000
"""The largest number of Lanczos steps for the norm."""

FEW_STEPS = 100
"""The number of Lanczos steps after which a sparse Gram matrix is factored."""

MOST_FACTORED = 2**20
"""The largest number of non-zeros of a matrix whose Gram matrix may be factored."""

RESTARTS = 500
"""The largest number of ARPACK restarts for the largest singular values."""


@dataclass(frozen=True, eq=False, repr=False)
class Spectrum:
    """The singular values of an operator, a sequence that NumPy converts to an array.

    Attributes:
        values: The singular values as an array of shape (count,), the largest first.
        method: How they were computed: "exact per frequency (FFT)", "Kronecker product", "dense" or
            "iterative".

    >>> import convalg as ca
    >>> values = ca.spectrum(ca.diagonal([3, -5, 0]))
    >>> values, values[0], len(values)
    (Spectrum(3 singular values, 5 to 0, dense), 5.0, 3)
    """

    values: Array
    method: str

    def __len__(self) -> int:
        return len(self.values)

    @overload
    def __getitem__(self, index: int) -> float: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int] | Array) -> Array: ...

    def __getitem__(self, index: int | slice | Sequence[int] | Array) -> float | Array:
        item = self.values[index]
        return item if isinstance(item, np.ndarray) else float(item)

    def __iter__(self) -> Iterator[float]:
        return iter(self.values.tolist())

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        return np.array(self.values, dtype=dtype)

    def __repr__(self) -> str:
        ends = f"{self.values[0]:.6g} to {self.values[-1]:.6g}"
        many = plural(len(self), "singular value")
        return f"Spectrum({many}, {ends}, {self.method})"


def spectrum(A: object, count: int | None = None, *, max_bytes: int | None = None) -> Spectrum:  # noqa: N803
    """Return all min(rows, columns) singular values or the `count` largest, in decreasing order.

    A circular layer is block diagonal in the Fourier basis, with one (C_out, C_in) matrix per
    frequency; with a stride s that divides n, the matrix of a frequency also contains the blocks of
    its s aliases, side by side. The singular values of a Kronecker product are the products of the
    singular values of its factors. Other operators are solved as dense matrices. The `count`
    largest values of a large operator are computed by Lanczos iteration, to a relative accuracy of
    about 1e-10 for values above 1e-6 times the largest. All other results are accurate to about
    1e-12 times the largest value.

    Args:
        A: The operator.
        count: The number of largest singular values to compute; by default all.
        max_bytes: The largest allowed memory in bytes for computing all values; by default the
            memory limit of the package.

    Returns:
        A `Spectrum` of `count` or min(rows, columns) floats.

    Raises:
        KindError: when A is not an operator, or `count` is not an integer.
        SymbolicError: when a size or an entry is symbolic.
        ArgumentError: when `count` is out of range, or the iteration does not converge.
        TooLargeError: when all values need more than `max_bytes`; pass `count` then.

    Source: Sedghi, Gupta & Long (2019), The singular values of convolutional layers.

    >>> import convalg as ca
    >>> ca.spectrum(ca.correlation(4, [1, 2], padding=((0, 1),), boundary="circular"))
    Spectrum(4 singular values, 3 to 1, exact per frequency (FFT))
    """
    operator = as_float(A, "spectrum")
    most = min(operator.shape)
    if count is not None:
        number = as_integer(count, "count")
        if number > most:
            raise ArgumentError(
                f"count={count} is more than the {most} singular values of a "
                f"{operator.shape[0]} x {operator.shape[1]} matrix: pass at most {most}"
            )
    return _spectrum(operator, count, max_bytes)


def _spectrum(operator: Operator, count: int | None, max_bytes: int | None) -> Spectrum:
    match operator:
        case Scaled(factor=factor, operator=inner):
            unscaled = _spectrum(inner, count, max_bytes)
            values = abs(factor) * unscaled.values
            return Spectrum(values, unscaled.method)
        case Adjoint(operator=inner):
            return _spectrum(inner, count, max_bytes)
        case Kron(left=left, right=right):
            pair = [_spectrum(side, None, max_bytes).values for side in (left, right)]
            products = np.zeros(min(operator.shape))
            products[: pair[0].size * pair[1].size] = np.outer(*pair).ravel()
            return Spectrum(np.sort(products)[::-1][:count], "Kronecker product")
        case Convolution() | Selection() if is_circulant(operator):
            return Spectrum(
                circulant_values(operator, max_bytes)[:count], "exact per frequency (FFT)"
            )
    rows, columns = operator.shape
    if count is not None:
        _check_vectors(operator, f"{count} values of a {rows} x {columns} matrix")
    if count is not None and rows * columns > 4 * DENSE and 4 * count < min(rows, columns):
        return Spectrum(_largest(operator, count), "iterative")
    check_memory(
        3 * rows * columns * 8,
        max_bytes,
        what=f"all {min(rows, columns)} singular values of a {rows} x {columns} matrix",
        instead="pass count= for the largest values, or use norm(A)",
    )
    return Spectrum(np.linalg.svd(dense(operator), compute_uv=False)[:count], "dense")


def norm(A: object, *, tolerance: float = 1e-10) -> float:  # noqa: N803
    """Return the operator norm of an operator, its largest singular value.

    Circular layers are solved frequency by frequency and small matrices as dense matrices, both up
    to rounding. All other norms are computed by Lanczos iteration on the smaller of A^T A and
    A A^T, from a fixed starting vector; it only uses A(x) and A.T(x). It stops when the residual is
    below `tolerance`; some singular value is then within that relative distance of the result.
    Almost surely this is the largest one, or agrees with the largest one to about six digits. If
    the largest singular values are too close to each other for that and the matrix is sparse, the
    result is a lower bound |A v| / |v| whose square is certified to be within `tolerance` by a
    factorisation of t I - A^T A without a negative pivot.

    Args:
        A: The operator.
        tolerance: The relative tolerance, between 0 and 1.

    Raises:
        KindError: when A is not an operator, or `tolerance` is not a real number.
        SymbolicError: when a size or an entry is symbolic.
        ArgumentError: when `tolerance` is not between 0 and 1, or the iteration does not converge;
            the message contains the lower bound that it reached.
        TooLargeError: when a few inputs and outputs do not fit in memory.

    >>> import convalg as ca
    >>> round(ca.norm(ca.correlation(100, [1, 2, 1], padding=1)), 6)
    3.999033
    """
    operator = as_float(A, "norm")
    if not isinstance(tolerance, numbers.Real) or isinstance(tolerance, bool):
        raise KindError(f"tolerance must be a real number, not {tolerance!r}")
    if not 0 < tolerance < 1:
        raise ArgumentError(f"tolerance must be between 0 and 1, not {tolerance!r}")
    return _norm(operator, float(tolerance))


def _norm(operator: Operator, tolerance: float) -> float:
    match operator:
        case Scaled(factor=factor, operator=inner):
            return float(abs(factor)) * _norm(inner, tolerance)
        case Adjoint(operator=inner):
            return _norm(inner, tolerance)
        case Kron(left=left, right=right):
            return _norm(left, tolerance) * _norm(right, tolerance)
        case Convolution() | Selection() if is_circulant(operator):
            return circulant_norm(operator)
    rows, columns = operator.shape
    if rows * columns <= DENSE:
        return float(np.linalg.norm(dense(operator), 2))
    _check_vectors(operator, f"the norm of a {rows} x {columns} matrix")
    gram = _Gram(operator)
    if gram.size == 0:
        return 0.0
    is_sparse = nonzero_bound(operator) <= MOST_FACTORED
    settled = False
    if is_sparse:
        top, settled = _lanczos(gram, tolerance, FEW_STEPS)
        if not settled:
            top, settled = certified_top(operator, gram.size, top, tolerance)
    if not settled:
        top, settled = _lanczos(gram, tolerance, STEPS)
    value = gram.size * math.sqrt(top)
    if not settled:
        raise ArgumentError(
            f"the norm did not converge to tolerance={tolerance:g} in {STEPS} steps; it is at "
            f"least {value:.10g}: pass a larger tolerance, or use norm_bounds(A)"
        )
    return value


def _check_vectors(operator: Operator, what: str) -> None:
    """Raise TooLargeError when a few inputs and outputs of the operator do not fit in memory."""
    check_memory(
        6 * 8 * sum(operator.shape),
        None,
        what=f"{what}, computed with a few vectors as long as its rows and columns,",
        instead="use a smaller layer, or norm_bounds(A)",
        fixed=True,
    )


class _Gram:
    """The smaller of A^T A and A A^T as a function of a vector, scaled to avoid overflow."""

    def __init__(self, operator: Operator) -> None:
        self.first, self.last = operator, operator.T
        start = _start(size_product(operator.in_shape)).reshape(operator.in_shape)
        # Noise is added to the wave, since iteration from a start that is orthogonal to the top
        # singular vector does not reach it.
        guess = wave(operator) if isinstance(operator, Convolution) else None
        start = start if guess is None else guess + 1e-3 * start
        if operator.shape[0] < operator.shape[1]:
            self.first, self.last = self.last, self.first
            start = operator(start)
        self.length = min(operator.shape)
        self.start = start.ravel()
        self.size = float(np.abs(self.first(start)).max())
        check_overflow(self.size, operator)

    def __call__(self, v: Array) -> Array:
        middle = self.first(v.reshape(self.first.in_shape)) / self.size
        return self.last(middle).ravel() / self.size


def _start(length: int) -> Array:
    """Return a fixed random unit vector, almost surely not orthogonal to any singular vector."""
    v = np.random.default_rng(0).standard_normal(length)
    return v / np.linalg.norm(v)


def _lanczos(gram: _Gram, tolerance: float, steps: int) -> tuple[float, bool]:
    """Return a lower bound on the largest eigenvalue, and whether its residual is small.

    The vectors are not reorthogonalised. Copies of eigenvalues therefore appear, which do not
    affect the largest one, and the residual |beta s| stays valid (Paige 1980). This was measured to
    be three times as fast as ARPACK.
    """
    from scipy.linalg import eigh_tridiagonal

    v, previous, beta = gram.start / np.linalg.norm(gram.start), np.zeros(gram.length), 0.0
    diagonal: list[float] = []
    off_diagonal: list[float] = []
    for step in range(1, steps + 1):
        w = gram(v) - beta * previous
        # Faster than BLAS, whose threads mostly wait for each other on vectors of this length.
        diagonal.append(float(np.einsum("i,i", v, w)))
        w -= diagonal[-1] * v
        beta = math.sqrt(float(np.einsum("i,i", w, w)))
        if step < 10 or step % max(5, step // 20) == 0 or beta == 0 or step == steps:
            last = (step - 1, step - 1)
            (top,), ends = eigh_tridiagonal(diagonal, off_diagonal, select="i", select_range=last)
            residual = beta * abs(float(ends[-1, 0]))
            if residual <= tolerance * top:
                return float(top), True
        off_diagonal.append(beta)
        previous, v = v, w / beta
    return float(top), False


def _largest(operator: Operator, count: int) -> Array:
    """Return the `count` largest singular values, repeated ones as often as they occur."""
    gram = _Gram(operator)
    if gram.size == 0:
        return np.zeros(count)
    start = _start(gram.length)

    def rest(v: Array) -> Array:
        v = v - vectors @ (vectors.T @ v)
        w = gram(v)
        result: Array = w - vectors @ (vectors.T @ w)
        return result

    squares, vectors = _arpack(gram, count, start)
    # One starting vector finds one copy of a repeated value; further copies are found in the
    # orthogonal complement of the vectors so far.
    while len(squares) < gram.length:
        complement = rest(start)
        if np.linalg.norm(complement) <= 1e-14 * squares.max():
            break
        square, vector = _arpack(rest, 1, complement)
        if square[0] <= np.sort(squares)[-count] * (1 + 1e-9):
            break
        squares = np.append(squares, square)
        vectors = np.linalg.qr(np.column_stack([vectors, vector]))[0]
    values: Array = gram.size * np.sqrt(np.maximum(np.sort(squares)[::-1][:count], 0))
    return values


def _arpack(apply: Callable[[Array], Array], count: int, start: Array) -> tuple[Array, Array]:
    """Return the `count` largest eigenvalues of a symmetric matrix, and their eigenvectors."""
    from scipy.sparse.linalg import ArpackNoConvergence, LinearOperator, eigsh

    length = len(start)
    operator = LinearOperator((length, length), matvec=apply, dtype=float)
    for basis in (2 * count + 30, 4 * count + 150):
        size = min(length, basis)
        try:
            pair: tuple[Array, Array] = eigsh(
                operator, k=count, v0=start, ncv=size, tol=1e-10, maxiter=RESTARTS
            )
            return pair
        except ArpackNoConvergence as error:
            converged = len(error.eigenvalues)
    raise ArgumentError(
        f"only {converged} of the count={count} largest values converged in {RESTARTS} restarts of "
        f"{size} steps: pass a smaller count, or use norm(A)"
    )
