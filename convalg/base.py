"""What every operator can be asked: the class `Operator`, thin doors to where the work stands."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, final

import numpy.typing as npt

from convalg.errors import KindError, ShapeError, SymbolicError
from convalg.kernels import as_numbers
from convalg.pattern import Pattern
from convalg.spec import size_product

if TYPE_CHECKING:
    import islpy
    import scipy.sparse
    import scipy.sparse.linalg
    import sympy

    from convalg.faces.counts import Counts

Array = npt.NDArray[Any]
Image = TypeVar("Image")
Order = Literal["C", "F"]


class Operator(ABC):
    """A linear map between arrays of fixed shapes.

    `A(x)` applies it to x of shape `(*batch, *in_shape)`, `A.T` is the adjoint (transpose),
    `A @ B` first B then A, `A + B`, `A - B`, `c * A`, and `A.kron(B)`.
    """

    # NumPy leaves `array * A` and `np.float64(2) * A` to the operator.
    __array_ufunc__ = None

    in_shape: tuple[Any, ...]
    """Shape of one input, channels first."""

    out_shape: tuple[Any, ...]
    """Shape of one output, channels first."""

    @property
    @abstractmethod
    def T(self) -> Operator:  # noqa: N802 - the field's own letter
        """The adjoint: the transposed matrix.

        >>> import convalg as ca
        >>> ca.pad(3, 1).T
        crop(5, 1)
        """

    @abstractmethod
    def _apply(self, x: Array) -> Array:
        """y of shape (batch, *out_shape) from x of shape (batch, *in_shape)."""

    @property
    def children(self) -> tuple[Operator, ...]:
        """The operators this one is made of."""
        return ()

    def rebuild(self, children: tuple[Operator, ...]) -> Operator:
        """The same node over other children."""
        return self

    @final
    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the matrix.

        >>> import convalg as ca
        >>> ca.correlation((4, 4), ca.kernel(3, 3)).shape
        (4, 16)
        """
        return size_product(self.out_shape), size_product(self.in_shape)

    @final
    def __call__(self, x: Any) -> Array:
        """The operator applied to each sample.

        Shapes: x `(*batch, *in_shape)`, result `(*batch, *out_shape)`.
        Raises: ShapeError when x does not end in `in_shape`; KindError when it holds no numbers.

        >>> import convalg as ca
        >>> ca.correlation(4, [1, 2])([1, 0, 0, 3])
        array([1, 0, 6])
        """
        self._need_numbers("A(x)")
        values, batch = batch_of(x, self.in_shape, "x")
        y = self._apply(values)
        return y.reshape(*batch, *self.out_shape)

    @final
    def __matmul__(self, other: Any) -> Operator:
        if not isinstance(other, Operator):
            raise KindError(
                f"@ composes two operators, and the right one is a {type(other).__name__}: "
                f"write A(x) to apply A to an array"
            )
        from convalg.operators import compose

        return compose(self, other)

    @final
    def __add__(self, other: Any) -> Operator:
        from convalg.operators import add

        return add(self, other)

    @final
    def __sub__(self, other: Any) -> Operator:
        return self + (-other if isinstance(other, Operator) else other)

    @final
    def __neg__(self) -> Operator:
        return -1 * self

    @final
    def __mul__(self, factor: Any) -> Operator:
        from convalg.operators import scale

        return scale(factor, self)

    __rmul__ = __mul__

    @final
    def __repr__(self) -> str:
        from convalg.faces.text import one_line

        return one_line(self)

    @final
    def _repr_latex_(self) -> str:
        from convalg.faces.latex import notebook

        return notebook(self)

    @final
    def kron(self, other: Operator) -> Operator:
        """The Kronecker product: this operator on the first axes, `other` on the last.

        >>> import convalg as ca
        >>> ca.correlation(3, [1, 2]).kron(ca.identity(2)).to_numpy().tolist()[0]
        [1, 0, 2, 0, 0, 0]
        """
        from convalg.operators import kron

        return kron(self, other)

    @property
    def pattern(self) -> Pattern:
        """The labelled pattern. Raises: KindError for products and sums, which have several.

        >>> import convalg as ca
        >>> ca.correlation(3, [5, 6]).pattern.triples().tolist()
        [[0, 0, 0], [0, 1, 1], [1, 1, 0], [1, 2, 1]]
        """
        raise KindError(
            f"{type(self).__name__} has no single pattern: take the pattern of one of its "
            f"children, or try simplify()"
        )

    @final
    @property
    def kernel(self) -> Array:
        """The kernel, as it was given. Raises: KindError unless there is exactly one.

        >>> import convalg as ca
        >>> (ca.downsample(3, 2) @ ca.convolution(4, ca.kernel(2))).kernel
        array([w0, w1], dtype=object)
        """
        from convalg.gradients import only_convolution

        return only_convolution(self).weights

    @final
    def refill(self, kernel: Any) -> Operator:
        """The same operator with another kernel; the pattern stays.

        Shapes: kernel as `A.kernel`. `A.refill(w).to_scipy(out=M)` rewrites the values of M.

        >>> import convalg as ca
        >>> ca.correlation(4, ca.kernel(2)).refill([1, 5])
        correlation(4, [1, 5])
        """
        from convalg.gradients import refill

        self._need_numbers("refill")
        return refill(self, kernel)

    @final
    def by_kernel(self, x: Any) -> Operator:
        """B(x), the operator from the kernel to the output: `A.by_kernel(x)(w) == A(x)`.

        Shapes: x `in_shape` (one sample); the result maps `kernel.shape` to `out_shape`.

        >>> import convalg as ca
        >>> ca.correlation(4, ca.kernel(2)).by_kernel([1, 2, 3, 4]).to_numpy().tolist()
        [[1, 2], [2, 3], [3, 4]]
        """
        from convalg.gradients import by_kernel

        return by_kernel(self, x)

    @final
    def kernel_gradient(self, x: Any, g: Any) -> Array:
        """dL/dw from the input x and g = dL/dy, summed over the batch: B(x)^T g.

        Shapes: x `(*batch, *in_shape)`, g `(*batch, *out_shape)`, result `kernel.shape`.

        >>> import convalg as ca
        >>> ca.correlation(4, ca.kernel(2)).kernel_gradient([1, 2, 3, 4], [1, 1, 0])
        array([3, 5])
        """
        from convalg.gradients import kernel_gradient

        self._need_numbers("kernel_gradient")
        return kernel_gradient(self, x, g)

    @final
    def simplify(self) -> Operator:
        """One convolution where the expression is one, else the expression, tidied.

        Exact: a merged form is accepted only when its pattern equals the composed patterns.

        >>> import convalg as ca
        >>> ca.correlation(5, ca.kernel(3)).T.simplify()
        correlation(3, [w2, w1, w0], padding='full')
        """
        from convalg.structure import simplify

        self._need_numbers("simplify")
        return simplify(self)

    @final
    def structure(self) -> str:
        """The kind of matrix in the field's words, read off the geometry.

        >>> import convalg as ca
        >>> ca.correlation((4, 4), ca.kernel(3, 3)).structure()
        'doubly block Toeplitz: 2 x 4 Toeplitz blocks of 2 x 4'
        """
        from convalg.structure import structure

        return structure(self)

    @final
    @property
    def counts(self) -> Counts:
        """Dense entries, non-zeros, parameters, multiplications and weight sharing.

        >>> import convalg as ca
        >>> ca.correlation(5, ca.kernel(3)).counts
        Counts(dense=15, nonzeros=9, parameters=3, multiplications=9, each weight used 3 times)
        """
        from convalg.faces.counts import counts

        self._need_numbers("counts")
        return counts(self)

    @final
    def at(self, x: Any = None, /, **sizes: int) -> Operator:
        """The Jacobian at x (a linear operator is its own), or a family at given sizes.

        Raises: ArgumentError for a letter that the family has not, or where it does not exist.

        >>> import convalg as ca
        >>> n, K = ca.sizes("n K")
        >>> ca.correlation(n, ca.kernel(K)).at(n=4, K=2)
        correlation(4, [w0, w1])
        """
        if sizes:
            from convalg.operators import at_sizes

            return at_sizes(self, sizes)
        if x is not None:
            batch_of(x, self.in_shape, "x")
        return self

    @final
    @property
    def letters(self) -> tuple[sympy.Symbol, ...]:
        """The letters of a family: those of its input sizes, then kernels, then the rest.

        >>> import convalg as ca
        >>> n, K = ca.sizes("n K")
        >>> ca.correlation(n, ca.kernel(K)).T.letters
        (n, K)
        """
        from convalg.operators import letters_of

        return letters_of(self)

    @final
    def _need_numbers(self, face: str) -> None:
        """Raises: SymbolicError when some size is a letter."""
        if not self.is_concrete:
            names = ", ".join(f"{letter}=..." for letter in self.letters)
            raise SymbolicError(
                f"{face} needs numbers for sizes, and this is a family: take A.at({names})"
            )

    @property
    def is_concrete(self) -> bool:
        """Whether every size is a number, and not a letter."""
        return all(child.is_concrete for child in self.children)

    @final
    def to_scipy(
        self,
        dtype: npt.DTypeLike | None = None,
        format: str = "csr",
        order: Order = "C",
        *,
        out: Any = None,
        max_bytes: int | None = None,
    ) -> scipy.sparse.sparray:
        """The matrix as a SciPy sparse array; every triple of the pattern is stored.

        `order` is that of vec(): "C" row-major or "F" column-major, on both sides. With `out`,
        a matrix that this method made for the same pattern, only its values are rewritten.

        Raises: SymbolicError for symbols and exact objects (unless `dtype` turns the latter
        into numbers), TooLargeError before anything over `max_bytes` is allocated.

        >>> import convalg as ca
        >>> ca.correlation(4, [1, 2]).to_scipy().toarray().tolist()
        [[1, 2, 0, 0], [0, 1, 2, 0], [0, 0, 1, 2]]
        """
        from convalg.faces.sparse import to_scipy

        self._need_numbers("to_scipy()")
        return to_scipy(self, dtype, format, order, out=out, max_bytes=max_bytes)

    @final
    def to_sympy(self, order: Order = "C", *, max_bytes: int | None = None) -> sympy.Matrix:
        """The exact matrix.

        Raises: TooLargeError before anything over `max_bytes` is allocated.

        >>> import convalg as ca
        >>> ca.correlation(3, ca.kernel(2)).to_sympy()
        Matrix([
        [w0, w1,  0],
        [ 0, w0, w1]])
        """
        from convalg.faces.exact import to_sympy

        self._need_numbers("to_sympy()")
        return to_sympy(self, order, max_bytes=max_bytes)

    @final
    def to_numpy(self, order: Order = "C", *, max_bytes: int | None = None) -> Array:
        """The dense matrix; of objects where the entries are exact objects or symbols.

        Raises: TooLargeError before anything over `max_bytes` is allocated.

        >>> import convalg as ca
        >>> ca.flip_axes(3).to_numpy().tolist()
        [[0, 0, 1], [0, 1, 0], [1, 0, 0]]
        """
        from convalg.faces.sparse import to_numpy

        self._need_numbers("to_numpy()")
        return to_numpy(self, order, max_bytes=max_bytes)

    @final
    def to_isl(self) -> islpy.Map:
        """The support as an integer relation {row -> column}, for proofs and receptive fields.

        >>> import convalg as ca
        >>> ca.downsample(5, 2).to_isl()
        Map("{ [o0] -> [i0 = 2o0] : 0 <= o0 <= 2 }")
        """
        from convalg.faces.relation import to_isl

        return to_isl(self)

    @final
    def to_linear_operator(self) -> scipy.sparse.linalg.LinearOperator:
        """SciPy's LinearOperator over vec(): for its solvers, without building the matrix.

        >>> import convalg as ca
        >>> ca.correlation(3, [1, 2]).to_linear_operator().matvec([1, 1, 1])
        array([3, 3])
        """
        from convalg.faces.sparse import to_linear_operator

        self._need_numbers("to_linear_operator()")
        return to_linear_operator(self)


def batch_of(x: Any, shape: tuple[Any, ...], name: str) -> tuple[Array, tuple[int, ...]]:
    """x as (samples, *shape), and its batch axes.

    Raises: ShapeError when x does not end in `shape`, KindError when it holds no numbers.
    """
    values = as_numbers(x, name)
    split = values.ndim - len(shape)
    if split < 0 or values.shape[split:] != shape:
        raise ShapeError(
            f"{name} must have shape (*batch, {', '.join(map(str, shape))}), not {values.shape}"
        )
    batch = values.shape[:split]
    return values.reshape(math.prod(batch), *shape), batch


def fold(
    operator: Operator,
    rules: Mapping[type, Callable[..., Image]],
    leaf: Callable[[Any], Image],
) -> Image:
    """The image of a tree: `rules[type](node, *images of its children)`, `leaf(node)` at leaves."""
    images = [fold(child, rules, leaf) for child in operator.children]
    rule = rules.get(type(operator))
    if rule is not None:
        return rule(operator, *images)
    if images:
        raise KindError(f"this face has no rule for {type(operator).__name__}")
    return leaf(operator)
