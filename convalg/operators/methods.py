"""The methods of `Map` and `Operator` that need modules built on top of these classes.

They are attached to the classes here, so that the tree of operators does not import these modules.
Each method imports its module when it is called, so that SymPy, SciPy and isl are loaded on first
use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy.typing as npt

from convalg.arrays import Array, is_foreign
from convalg.engine import using
from convalg.operators.tree import Map, Operator, Order

if TYPE_CHECKING:
    import islpy
    import scipy.sparse
    import scipy.sparse.linalg
    import sympy

    from convalg.faces.counts import Counts


def compose_maps(self: Map, other: Map) -> Map:
    """Return the composition that applies `other` first, and then this map."""
    from convalg.maps.chains import chain

    return chain(self, other)


def add_maps(self: Map, other: Map) -> Map:
    """Return the map whose output is the sum of the outputs of two maps."""
    from convalg.maps.chains import add

    return add(self, other)


def scale_map(self: Map, factor: object) -> Map:
    """Return the map whose output is a number times the output of this map."""
    from convalg.maps.chains import scaled

    return scaled(factor, self)


def call(self: Operator, x: object, *, engine: str = "auto") -> Array:
    """Apply the operator to each sample.

    Integers of any type are summed exactly: in int64, or as Python integers in arrays of objects.

    Args:
        x: Input of shape `(*batch, *in_shape)`: an array-like of numbers, or an array of PyTorch,
            CuPy, JAX or another library with the array API.
        engine: The algorithm that applies the layers to NumPy arrays, one of
            `convalg.engine.ENGINES`; "auto" chooses the one with the least estimated time.

    Returns:
        The output, of shape `(*batch, *out_shape)`. For an array of another library it is an array
        of that library, on the same device and in the same graph or trace. The batch axis may be
        the innermost one in memory.

    Raises:
        ShapeError: when the shape of x does not end in `in_shape`.
        KindError: when x does not hold numbers.
        ArgumentError: when the engine does not exist or cannot apply the layer.
        ExactnessError: when integers could exceed 64 bits; pass x.astype(object).
        SymbolicError: when the operator has symbolic sizes.

    >>> import convalg as ca
    >>> ca.correlation(4, [1, 2])([1, 0, 0, 3])
    array([1, 0, 6])
    """
    self._need_numbers("A(x)")
    with using(engine):
        if is_foreign(x):
            from convalg.devices.array_api import apply

            y: Array = apply(self, x)
            return y
        return Map.__call__(self, x)


def to_text(self: Operator) -> str:
    """Return the Python expression that creates the operator, as one line of text."""
    from convalg.faces.text import one_line

    return one_line(self)


def to_latex(self: Operator) -> str:
    """Return the operator as LaTeX, which notebooks show."""
    from convalg.faces.latex import notebook

    return notebook(self)


def at_sizes(self: Operator, numbers: dict[str, int]) -> Operator:
    """Return the operator with some symbols replaced by numbers, given by the names of symbols."""
    from convalg.operators.families import at_sizes

    return at_sizes(self, numbers)


def parameters(self: Operator) -> dict[str, Array]:
    """The trainable arrays by name: "kernel" for a kernel, "weights" for a dense layer.

    The kernels of an operator with several kernels are not listed, nor are the weights of an
    operator with several dense layers. A chain of maps lists the parameters of all its layers.

    >>> import convalg as ca
    >>> (ca.downsample(3, 2) @ ca.correlation(4, [1, 2])).parameters
    {'kernel': array([1, 2])}
    """
    from convalg.operators.gradients import parameters

    return parameters(self)


def by(self: Operator, name: str, x: object) -> Operator:
    """Return the operator that maps a parameter to the output at one sample x.

    `A.by("kernel", x)` equals `A.by_kernel(x)`.

    Args:
        name: One of the names in `parameters`.
        x: One sample of shape `in_shape`.

    Returns:
        An operator from the shape of the parameter to `out_shape`.

    Raises:
        ArgumentError: when no parameter has this name.
        ShapeError: when x has another shape or batch axes.

    >>> import convalg as ca
    >>> ca.dense([[1, 2], [3, 4]]).by("weights", [5, 6]).to_numpy().tolist()
    [[5, 6, 0, 0], [0, 0, 5, 6]]
    """
    from convalg.operators.gradients import by

    return by(self, name, x)


def kernel(self: Operator) -> Array:
    """The kernel as it was passed to the constructor, which for a convolution is not flipped.

    Raises:
        KindError: when the operator does not have exactly one kernel.

    >>> import convalg as ca
    >>> (ca.downsample(3, 2) @ ca.convolution(4, ca.kernel(2))).kernel
    array([w0, w1], dtype=object)
    """
    from convalg.operators.gradients import only_convolution

    weights: Array = only_convolution(self).weights
    return weights


def refill(self: Operator, kernel: object) -> Operator:
    """Return the same operator with another kernel.

    The pattern of the matrix stays the same, so that `A.refill(w).to_scipy(out=M)` can overwrite
    the values of M, the matrix of A.

    Args:
        kernel: The new kernel, in the shape of `A.kernel`.

    Raises:
        ShapeError: when the kernel has another shape.
        KindError: when the operator does not have exactly one kernel, or the weights are not real
            numbers.
        SymbolicError: when the operator has symbolic sizes.

    >>> import convalg as ca
    >>> ca.correlation(4, ca.kernel(2)).refill([1, 5])
    correlation(4, [1, 5])
    """
    from convalg.operators.gradients import refill

    self._need_numbers("refill")
    return refill(self, kernel)


def by_kernel(self: Operator, x: object) -> Operator:
    """Return B(x), the operator that maps the kernel to the output: `A.by_kernel(x)(w) == A(x)`.

    Args:
        x: One sample of shape `in_shape`.

    Returns:
        An operator from `kernel.shape` to `out_shape`.

    Raises:
        ShapeError: when x has another shape or batch axes.
        KindError: when the operator does not have exactly one kernel.

    >>> import convalg as ca
    >>> ca.correlation(4, ca.kernel(2)).by_kernel([1, 2, 3, 4]).to_numpy().tolist()
    [[1, 2], [2, 3], [3, 4]]
    """
    from convalg.operators.gradients import by_kernel

    return by_kernel(self, x)


def kernel_gradient(self: Operator, x: object, g: object, *, engine: str = "auto") -> Array:
    """Return the gradient dL/dw of a loss L by the kernel w: B(x)^T g, summed over the batch.

    Args:
        x: Input of shape `(*batch, *in_shape)`.
        g: The gradient dL/dy by the output, of shape `(*batch, *out_shape)`.
        engine: The algorithm for NumPy arrays, one of `convalg.engine.ENGINES`; "auto" chooses the
            one with the least estimated time.

    Returns:
        The gradient in the shape of the kernel. For arrays of another library than NumPy it is an
        array of that library, on the same device.

    Raises:
        ShapeError: when x or g has the wrong shape, or their batch axes differ.
        KindError: when the operator does not have exactly one kernel.
        ArgumentError: when the engine does not exist or cannot apply the layer.
        ExactnessError: when integers could exceed 64 bits.
        SymbolicError: when the operator has symbolic sizes.

    >>> import convalg as ca
    >>> ca.correlation(4, ca.kernel(2)).kernel_gradient([1, 2, 3, 4], [1, 1, 0])
    array([3, 5])
    """
    from convalg.operators.gradients import kernel_gradient

    self._need_numbers("kernel_gradient")
    with using(engine):
        return kernel_gradient(self, x, g)


def simplify(self: Operator) -> Operator:
    """Return an equal operator with fewer nodes: one convolution if the expression equals one.

    The result is exact: two operators are merged only if the pattern of the merged operator equals
    the composition of their patterns.

    Raises:
        SymbolicError: when the operator has symbolic sizes.

    >>> import convalg as ca
    >>> ca.correlation(5, ca.kernel(3)).T.simplify()
    correlation(3, [w2, w1, w0], padding='full')
    """
    from convalg.operators.simplify import simplify

    self._need_numbers("simplify")
    return simplify(self)


def structure(self: Operator) -> str:
    """Return the name of the structure of the matrix, such as "Toeplitz" or "circulant".

    >>> import convalg as ca
    >>> ca.correlation((4, 4), ca.kernel(3, 3)).structure()
    'doubly block Toeplitz: 2 x 4 Toeplitz blocks of 2 x 4'
    """
    from convalg.operators.structure import structure

    return structure(self)


def counts(self: Operator) -> Counts:
    """Counts of the entries, non-zeros, parameters, multiplications, and uses of each weight.

    For a family they are expressions in the sizes, which depend on a condition where the padding
    may be wider than the input.

    Raises:
        UndecidableError: for a family without closed forms, such as a product whose outputs read
            inputs with gaps, a sum whose patterns overlap, or symbolic taps with a stride and a
            dilation that are unrelated symbols.

    >>> import convalg as ca
    >>> ca.correlation(5, ca.kernel(3)).counts
    Counts(dense=15, nonzeros=9, parameters=3, multiplications=9, each weight used 3 times)
    >>> n, K = ca.sizes("n K")
    >>> ca.correlation(n, ca.kernel(K), padding="full").counts.nonzeros
    K*n
    >>> A = ca.correlation(n, ca.kernel(K))
    >>> (ca.correlation(A.out_shape, ca.kernel(K)) @ A).counts.nonzeros
    (2*K - 1)*(-2*K + n + 2)
    """
    from convalg.faces.counts import counts

    return counts(self)


def to_scipy(
    self: Operator,
    dtype: npt.DTypeLike | None = None,
    format: str = "csr",
    order: Order = "C",
    *,
    out: object = None,
    max_bytes: int | None = None,
) -> scipy.sparse.sparray:
    """Return the matrix as a SciPy sparse array; weights of 0 are stored too.

    Args:
        dtype: Type of the values; the type of the kernel by default.
        format: Sparse format of SciPy, such as "csr" or "coo".
        order: Order of the entries of the input and of the output in the vectors that the matrix
            multiplies: "C" for row-major, "F" for column-major.
        out: A matrix that this method returned for an operator with the same pattern. Its values
            are overwritten and it is returned; None for a new matrix.
        max_bytes: Largest size of the matrix in bytes; None for `convalg.limits.MEMORY_LIMIT`.

    Raises:
        SymbolicError: for symbolic sizes or weights, and for exact objects unless `dtype` converts
            them to machine numbers.
        TooLargeError: when the matrix would be larger than `max_bytes`; nothing is allocated.

    >>> import convalg as ca
    >>> ca.correlation(4, [1, 2]).to_scipy().toarray().tolist()
    [[1, 2, 0, 0], [0, 1, 2, 0], [0, 0, 1, 2]]
    """
    from convalg.faces.sparse import to_scipy

    self._need_numbers("to_scipy()")
    return to_scipy(self, dtype, format, order, out=out, max_bytes=max_bytes)


def to_sympy(self: Operator, order: Order = "C", *, max_bytes: int | None = None) -> sympy.Matrix:
    """Return the exact matrix as a SymPy matrix.

    Args:
        order: Order of the entries of the input and of the output in the vectors that the matrix
            multiplies: "C" for row-major, "F" for column-major.
        max_bytes: Largest size of the matrix in bytes; None for `convalg.limits.MEMORY_LIMIT`.

    Raises:
        SymbolicError: when the operator has symbolic sizes.
        TooLargeError: when the matrix would be larger than `max_bytes`; nothing is allocated.

    >>> import convalg as ca
    >>> ca.correlation(3, ca.kernel(2)).to_sympy()
    Matrix([
    [w0, w1,  0],
    [ 0, w0, w1]])
    """
    from convalg.faces.exact import to_sympy

    self._need_numbers("to_sympy()")
    return to_sympy(self, order, max_bytes=max_bytes)


def to_numpy(self: Operator, order: Order = "C", *, max_bytes: int | None = None) -> Array:
    """Return the dense matrix of shape `shape`; exact objects and symbols give an array of objects.

    Args:
        order: Order of the entries of the input and of the output in the vectors that the matrix
            multiplies: "C" for row-major, "F" for column-major.
        max_bytes: Largest size of the matrix in bytes; None for `convalg.limits.MEMORY_LIMIT`.

    Raises:
        SymbolicError: when the operator has symbolic sizes.
        TooLargeError: when the matrix would be larger than `max_bytes`; nothing is allocated.

    >>> import convalg as ca
    >>> ca.flip_axes(3).to_numpy().tolist()
    [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
    """
    from convalg.faces.sparse import to_numpy

    self._need_numbers("to_numpy()")
    matrix: Array = to_numpy(self, order, max_bytes=max_bytes)
    return matrix


def to_isl(self: Operator) -> islpy.Map:
    """Return the support of the matrix as an integer relation of isl, from outputs to inputs.

    The relation contains a pair for each output and each input that it reads. There is one index
    per axis of the output and of the input.

    >>> import convalg as ca
    >>> ca.downsample(5, 2).to_isl()
    Map("{ [o0] -> [i0 = 2o0] : 0 <= o0 <= 2 }")
    """
    from convalg.faces.relation import to_isl

    return to_isl(self)


def to_linear_operator(self: Operator) -> scipy.sparse.linalg.LinearOperator:
    """Return a SciPy `LinearOperator` for the solvers of SciPy, without building the matrix.

    It multiplies vectors with the entries of the input in row-major order.

    Raises:
        SymbolicError: when the operator has symbolic sizes.

    >>> import convalg as ca
    >>> ca.correlation(3, [1, 2]).to_linear_operator().matvec([1, 1, 1])
    array([3, 3])
    """
    from convalg.faces.sparse import to_linear_operator

    self._need_numbers("to_linear_operator()")
    return to_linear_operator(self)


_OPERATOR = {
    "__call__": call,
    "__repr__": to_text,
    "_repr_latex_": to_latex,
    "_at_sizes": at_sizes,
    **{
        function.__name__: function
        for function in (
            by,
            by_kernel,
            kernel_gradient,
            refill,
            simplify,
            structure,
            to_isl,
            to_linear_operator,
            to_numpy,
            to_scipy,
            to_sympy,
        )
    },
    **{function.__name__: property(function) for function in (counts, kernel, parameters)},
}
_MAP = {
    "__add__": add_maps,
    "__matmul__": compose_maps,
    "__mul__": scale_map,
    "__rmul__": scale_map,
}
for _owner, _methods in ((Map, _MAP), (Operator, _OPERATOR)):
    for _name, _method in _methods.items():
        setattr(_owner, _name, _method)
