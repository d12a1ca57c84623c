"""One battery over all faces of an operator."""

from __future__ import annotations

import re

import naive
import numpy as np
import sympy
from cases import Case

import convalg as ca


def of(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and upstream gradients of a batch of three, made from the sizes alone."""
    inputs, outputs = case.operator.in_shape, case.operator.out_shape
    x = (7 * np.arange(3 * np.prod(inputs)) ** 2 % 11 - 5).reshape(3, *inputs)
    g = (5 * np.arange(3 * np.prod(outputs)) ** 2 % 13 - 6).reshape(3, *outputs)
    return x, g


def columns_of(operator: ca.Operator, shape: tuple[int, ...], order: str) -> np.ndarray:
    """Where each row-major place goes in another order, by counting."""
    return np.array([naive.place(index, shape, order) for index in np.ndindex(*shape)])


def ordered(case: Case, order: str) -> np.ndarray:
    """The matrix between vec()s of an order."""
    rows = columns_of(case.operator, case.operator.out_shape, order)
    columns = columns_of(case.operator, case.operator.in_shape, order)
    found = np.zeros_like(case.matrix)
    found[np.ix_(rows, columns)] = case.matrix
    return found


def check_applied(case: Case) -> None:
    """A(x) and A.T(g), alone and in batches, and <g, A x> = <A^T g, x>."""
    operator, matrix = case.operator, case.matrix
    x, g = of(case)
    y, back = operator(x), operator.T(g)
    assert operator.shape == matrix.shape
    assert y.shape == (3, *operator.out_shape)
    assert back.shape == (3, *operator.in_shape)
    assert np.array_equal(y.reshape(3, -1), x.reshape(3, -1) @ matrix.T)
    assert np.array_equal(back.reshape(3, -1), g.reshape(3, -1) @ matrix)
    assert np.array_equal(operator(x[0]), y[0])
    nested = operator(x.reshape(3, 1, *operator.in_shape))
    assert np.array_equal(nested, y.reshape(3, 1, *operator.out_shape))
    assert (g * y).sum() == (back * x).sum()


def check_matrices(case: Case) -> None:
    """The sparse, dense, exact and lazy matrices, in both orders of vec()."""
    operator, matrix = case.operator, case.matrix
    sparse = operator.to_scipy()
    assert np.array_equal(sparse.toarray(), matrix)
    assert np.array_equal(operator.T.to_scipy().toarray(), matrix.T)
    assert np.array_equal(operator.to_numpy(), matrix)
    assert operator.to_numpy().dtype.kind == "i"
    assert operator.to_sympy() == sympy.Matrix(matrix.tolist())
    columns = ordered(case, "F")
    assert np.array_equal(operator.to_scipy(order="F").toarray(), columns)
    assert np.array_equal(operator.to_numpy(order="F"), columns)
    assert operator.to_sympy(order="F") == sympy.Matrix(columns.tolist())
    for format in ("csc", "coo"):
        other = operator.to_scipy(format=format)
        assert other.format == format
        assert np.array_equal(other.toarray(), matrix)


def check_stored(sparse: object, order: str = "C") -> None:
    """What SciPy relies on: sorted, no duplicates, 32-bit indices; the flags must be true."""
    for row in range(sparse.shape[0]):
        line = sparse.indices[sparse.indptr[row] : sparse.indptr[row + 1]]
        assert np.all(np.diff(line) > 0)
    assert sparse.has_sorted_indices
    assert sparse.has_canonical_format
    assert sparse.indices.dtype == sparse.indptr.dtype == np.int32


def check_lazy(case: Case) -> None:
    """SciPy's LinearOperator: one vector, columns of vectors, and the adjoint of both."""
    lazy, matrix = case.operator.to_linear_operator(), case.matrix
    x, g = (values.reshape(3, -1).T for values in of(case))
    assert lazy.shape == matrix.shape
    assert np.array_equal(lazy.matvec(x[:, 0]), matrix @ x[:, 0])
    assert np.array_equal(lazy.matvec(x[:, :1]), matrix @ x[:, :1])
    assert np.array_equal(lazy.rmatvec(g[:, 0]), matrix.T @ g[:, 0])
    assert np.array_equal(lazy.matmat(x), matrix @ x)
    assert np.array_equal(lazy.rmatmat(g), matrix.T @ g)
    assert np.array_equal((lazy.T @ g), matrix.T @ g)


def check_support(case: Case) -> None:
    """The counts, and the points of the integer relation."""
    operator, support = case.operator, case.support
    assert operator.counts.dense == support.size
    assert operator.counts.nonzeros == support.sum()
    found = np.zeros_like(support)
    outputs = len(operator.out_shape)

    def visit(point: object) -> None:
        index = [int(n) for n in re.findall(r"-?\d+", point.to_str())]
        row = naive.place(tuple(index[:outputs]), operator.out_shape)
        found[row, naive.place(tuple(index[outputs:]), operator.in_shape)] = True

    operator.to_isl().wrap().foreach_point(visit)
    assert np.array_equal(found, support)


def check_all(case: Case) -> None:
    check_applied(case)
    check_matrices(case)
    check_lazy(case)
    check_support(case)
