"""What layers can be asked: the classes `Map` and `Operator`, doors to where the work stands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, final, overload

import numpy as np
import numpy.typing as npt

from convalg.engine import total as added
from convalg.engine import using
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError, shown
from convalg.kernels import batch_of, is_foreign, restored
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


class Map(ABC):
    """A layer: a function between arrays of fixed shapes, with its derivative at a point.

    `f(x)` applies it to x of shape `(*batch, *in_shape)`; `f.at(x)` is its Jacobian at one x, an
    operator; `f @ g` is first g then f; `f + g`, `f - g`, `2 * f`. If linear, it is an `Operator`.
    """

    # NumPy leaves `array * A` and `np.float64(2) * A` to the operator.
    __array_ufunc__ = None

    in_shape: tuple[Any, ...]
    """Shape of one input, channels first."""

    out_shape: tuple[Any, ...]
    """Shape of one output, channels first."""

    @abstractmethod
    def _apply(self, x: Array) -> Array:
        """y of shape (batch, *out_shape) from x of shape (batch, *in_shape)."""

    @abstractmethod
    def at(self, x: Any, /) -> Operator:
        """The Jacobian at one sample x of shape `in_shape`: back-propagation is its adjoint.

        Raises: ShapeError when x has another shape.

        >>> import convalg as ca
        >>> ca.relu(3).at([1, -2, 3])
        diagonal([1, 0, 1])
        """

    def __call__(self, x: Any) -> Array:
        """The layer applied to each sample.

        Shapes: x `(*batch, *in_shape)`, result `(*batch, *out_shape)`.
        Raises: ShapeError when x does not end in `in_shape`; KindError when it holds no numbers.

        >>> import convalg as ca
        >>> ca.relu(3)([1, -2, 3])
        array([1, 0, 3])
        """
        values, batch = batch_of(x, self.in_shape, "x")
        return self._apply(values).reshape((*batch, *self.out_shape))

    def __matmul__(self, other: Any) -> Map:
        from convalg.maps.chains import chain

        return chain(self, other)

    def __add__(self, other: Any) -> Map:
        from convalg.maps.chains import add

        return add(self, other)

    def __sub__(self, other: Any) -> Map:
        return self + (-other if isinstance(other, Map) else other)

    def __neg__(self) -> Map:
        return -1 * self

    def __mul__(self, factor: Any) -> Map:
        from convalg.maps.chains import scaled

        return scaled(factor, self)

    __rmul__ = __mul__

    __setstate__ = restored

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            from convalg.maps.chains import missing

            raise missing(self, name)

    @property
    def parameters(self) -> dict[str, Array]:
        """The trainable arrays by name.

        >>> import convalg as ca
        >>> ca.affine(ca.correlation(4, [1, 2]), [3, 4, 5]).parameters
        {'kernel': array([1, 2]), 'bias': array([3, 4, 5])}
        """
        return {}

    def by(self, name: str, x: Any) -> Operator:
        """The Jacobian with respect to a parameter at one sample x: parameter to output.

        Raises: ArgumentError for a name that is not among the `parameters`.

        >>> import convalg as ca
        >>> ca.affine(ca.correlation(3, [1, 2]), 7).by("kernel", [5, 6, 7]).to_numpy().tolist()
        [[5, 6], [6, 7]]
        """
        raise ArgumentError(
            f"{type(self).__name__.lower()} has no parameter {shown(name)}; it has "
            f"{', '.join(self.parameters) or 'none'}"
        )

    @final
    def gradient(self, x: Any, g: Any) -> Array:
        """dL/dx for every sample, from x and g = dL/dy: the adjoint of the Jacobian, applied to g.

        Shapes: x and result `(*batch, *in_shape)`, g `(*batch, *out_shape)`.

        >>> import convalg as ca
        >>> ca.max_pool(4, 2).gradient([1, 5, 7, 2], [10, 20]).tolist()
        [0, 10, 20, 0]
        """
        inputs, upstream, batch = self._samples(x, g)
        if not len(inputs):
            return np.zeros((*batch, *self.in_shape))
        found = [self.at(one).T(other) for one, other in zip(inputs, upstream, strict=True)]
        return np.stack(found).reshape((*batch, *self.in_shape))

    @final
    def parameter_gradients(self, x: Any, g: Any) -> dict[str, Array]:
        """dL/dp for every parameter p, summed over the batch: adjoints of `by`, applied to g.

        Shapes: x `(*batch, *in_shape)`, g `(*batch, *out_shape)`; each result as its parameter.

        >>> import convalg as ca
        >>> f = ca.affine(ca.correlation(3, [1, 2]), 7)
        >>> f.parameter_gradients([5, 6, 7], [1, 10])
        {'kernel': array([65, 76]), 'bias': array(11)}
        """
        inputs, upstream, _ = self._samples(x, g)
        found = {}
        for name, value in self.parameters.items():
            parts = [
                self.by(name, one).T(other) for one, other in zip(inputs, upstream, strict=True)
            ]
            total = added(parts) if parts else np.zeros(value.shape)
            found[name] = np.asarray(total)
        return found

    def _samples(self, x: Any, g: Any) -> tuple[Array, Array, tuple[int, ...]]:
        """x and g with one batch axis, and the batch axes they came with."""
        inputs, batch = batch_of(x, self.in_shape, "x")
        upstream, other = batch_of(g, self.out_shape, "g")
        if batch != other:
            raise ShapeError(
                f"x and g must have the same batch, but x has {batch or 'none'} and g has "
                f"{other or 'none'}"
            )
        return inputs, upstream, batch


class Operator(Map):
    """A linear map between arrays of fixed shapes.

    `A(x)` applies it to x of shape `(*batch, *in_shape)`, `A.T` is the adjoint (transpose),
    `A @ B` first B then A, `A + B`, `A - B`, `c * A`, and `A.kron(B)`.
    """

    @property
    @abstractmethod
    def T(self) -> Operator:  # noqa: N802 - the field's own letter
        """The adjoint: the transposed matrix.

        >>> import convalg as ca
        >>> ca.pad(3, 1).T
        crop(5, 1)
        """

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
    def __call__(self, x: Any, *, engine: str = "auto") -> Array:
        """The operator applied to each sample.

        Shapes: x `(*batch, *in_shape)`, result `(*batch, *out_shape)`. A floating-point tensor of
        PyTorch gives a tensor, an array of CuPy, JAX or another library with the array API one of
        that library: on its device, in its graph or trace. `engine` names how the layers inside
        are applied to NumPy's numbers (`convalg.engine.ENGINES`); "auto" takes the one with the
        least estimated time. The batch may lie innermost in the memory of x and of the result.
        Integers of any type are added up exactly: in int64, Python's own in arrays of objects.
        Raises: ShapeError when x does not end in `in_shape`; KindError when it holds no numbers;
        ArgumentError for an engine that cannot; ExactnessError beyond 64 bits (x.astype(object)).

        >>> import convalg as ca
        >>> ca.correlation(4, [1, 2])([1, 0, 0, 3])
        array([1, 0, 6])
        """
        self._need_numbers("A(x)")
        with using(engine):
            if is_foreign(x):
                from convalg.faces.arrays import apply

                return apply(self, x)
            return super().__call__(x)

    @overload
    def __matmul__(self, other: Operator) -> Operator: ...

    @overload
    def __matmul__(self, other: Map) -> Map: ...

    @final
    def __matmul__(self, other: Any) -> Map:
        if not isinstance(other, Operator):
            return super().__matmul__(other)
        from convalg.operators import compose

        return compose(self, other)

    @overload
    def __add__(self, other: Operator) -> Operator: ...

    @overload
    def __add__(self, other: Map) -> Map: ...

    @final
    def __add__(self, other: Any) -> Map:
        if isinstance(other, Map) and not isinstance(other, Operator):
            return super().__add__(other)
        from convalg.operators import add

        return add(self, other)

    @overload
    def __sub__(self, other: Operator) -> Operator: ...

    @overload
    def __sub__(self, other: Map) -> Map: ...

    @final
    def __sub__(self, other: Any) -> Map:
        return super().__sub__(other)

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

    @property
    def parameters(self) -> dict[str, Array]:
        """The trainable arrays by name: "kernel", or "weights" of a dense layer.

        An operator with several of a kind has none to name: chain maps instead.

        >>> import convalg as ca
        >>> (ca.downsample(3, 2) @ ca.correlation(4, [1, 2])).parameters
        {'kernel': array([1, 2])}
        """
        from convalg.gradients import parameters

        return parameters(self)

    def by(self, name: str, x: Any) -> Operator:
        """The operator from a parameter to the output at x; `by("kernel", x)` is `by_kernel(x)`.

        >>> import convalg as ca
        >>> ca.dense([[1, 2], [3, 4]]).by("weights", [5, 6]).to_numpy().tolist()
        [[5, 6, 0, 0], [0, 0, 5, 6]]
        """
        from convalg.gradients import by

        return by(self, name, x)

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
    def kernel_gradient(self, x: Any, g: Any, *, engine: str = "auto") -> Array:
        """dL/dw from the input x and g = dL/dy, summed over the batch: B(x)^T g.

        Shapes: x `(*batch, *in_shape)`, g `(*batch, *out_shape)`, result `kernel.shape`. For
        arrays of another library than NumPy the result is one of that library, on their device.

        >>> import convalg as ca
        >>> ca.correlation(4, ca.kernel(2)).kernel_gradient([1, 2, 3, 4], [1, 1, 0])
        array([3, 5])
        """
        from convalg.gradients import kernel_gradient

        self._need_numbers("kernel_gradient")
        with using(engine):
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
            from convalg.families import at_sizes

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
