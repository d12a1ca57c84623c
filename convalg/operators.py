"""Operators: a small immutable tree of leaves (patterns) and nodes (algebra).

Leaves: Convolution, Patches (B(x)), Selection, Diagonal, Matrix. Nodes: Compose, Sum, Scaled,
Adjoint, Kron. Each can be applied to arrays; every other question about one (its matrix, its
counts, its drawing) is a face: a table of rules, one per node, walked by `fold`.
"""

from __future__ import annotations

import math
import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, final

import numpy as np
import numpy.typing as npt

from convalg import engine
from convalg.axis import Axis
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.kernels import as_kernel, as_numbers, check_finite
from convalg.pattern import Pattern
from convalg.spec import Geometry, is_symbolic, size_product

if TYPE_CHECKING:
    import islpy
    import scipy.sparse
    import scipy.sparse.linalg
    import sympy

    from convalg.faces.support import Counts

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

    @property
    @abstractmethod
    def in_shape(self) -> tuple[Any, ...]:
        """Shape of one input, channels first."""

    @property
    @abstractmethod
    def out_shape(self) -> tuple[Any, ...]:
        """Shape of one output, channels first."""

    @property
    @abstractmethod
    def T(self) -> Operator:  # noqa: N802 - the field's own letter
        """The adjoint: the transposed matrix."""

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
        """Rows and columns of the matrix."""
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
        return compose(self, other)

    @final
    def __add__(self, other: Any) -> Operator:
        return add(self, other)

    @final
    def __sub__(self, other: Any) -> Operator:
        return add(self, -other)

    @final
    def __neg__(self) -> Operator:
        return scale(-1, self)

    @final
    def __mul__(self, factor: Any) -> Operator:
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
        return kron(self, other)

    @property
    def pattern(self) -> Pattern:
        """The labelled pattern. Raises: KindError for products and sums, which have several."""
        raise KindError(
            f"{type(self).__name__} has no single pattern: take the pattern of one of its "
            f"children, or try simplify()"
        )

    @final
    @property
    def kernel(self) -> Array:
        """The kernel, as it was given. Raises: KindError unless there is exactly one."""
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
        from convalg.faces.support import counts

        return counts(self)

    @final
    def at(self, x: Any = None) -> Operator:
        """The Jacobian at x: a linear operator is its own."""
        if x is not None:
            batch_of(x, self.in_shape, "x")
        return self

    @final
    def to_scipy(
        self,
        dtype: npt.DTypeLike | None = None,
        format: str = "csr",  # noqa: A002 - SciPy's own word
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

        return to_linear_operator(self)


@dataclass(frozen=True, eq=False, repr=False)
class Convolution(Operator):
    """A correlation or convolution layer: a geometry and a kernel."""

    geometry: Geometry
    weights: Array

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.geometry.in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.geometry.out_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return Adjoint(self)

    @property
    def pattern(self) -> Pattern:
        return Pattern(self.geometry)

    def _apply(self, x: Array) -> Array:
        return engine.correlate(self.geometry, self.weights, x)

    def _apply_adjoint(self, g: Array) -> Array:
        return engine.correlate_adjoint(self.geometry, self.weights, g)


@dataclass(frozen=True, eq=False, repr=False)
class Patches(Operator):
    """B(x): the operator from a kernel to the output, for one input ("im2col").

    With `transposed`, for the adjoint layer: `values` is then its input, of `out_shape`.
    """

    geometry: Geometry
    values: Array
    transposed: bool = False

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.geometry.kernel_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.geometry.in_shape if self.transposed else self.geometry.out_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return Adjoint(self)

    def _apply(self, x: Array) -> Array:
        step = engine.correlate_adjoint if self.transposed else engine.correlate
        return step(self.geometry, x, self.values[None])

    def _apply_adjoint(self, g: Array) -> Array:
        pair = (g, self.values[None]) if self.transposed else (self.values[None], g)
        return engine.kernel_gradients(self.geometry, *pair)


@dataclass(frozen=True, eq=False, repr=False)
class Selection(Operator):
    """Entries moved, repeated or dropped: one axis of one tap for each axis of the array.

    Pads, crops, flips, shifts, sampling and identities are selections; so is a reshape, with
    one axis over the flat array. `axes` cover the channel axis too.
    """

    axes: tuple[Axis, ...]
    from_shape: tuple[Any, ...]
    to_shape: tuple[Any, ...]

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.from_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.to_shape

    @property
    def geometry(self) -> Geometry:
        """The selection as a layer of one tap."""
        return Geometry(self.axes)

    @property
    def T(self) -> Operator:  # noqa: N802
        turned = [transposed_axis(axis) for axis in self.axes]
        if any(axis is None for axis in turned):
            return Adjoint(self)
        return Selection(tuple(a for a in turned if a), self.to_shape, self.from_shape)

    @property
    def pattern(self) -> Pattern:
        return Pattern(self.geometry)

    def _apply(self, x: Array) -> Array:
        sizes = (axis.in_size for axis in self.axes)
        return engine.unfold(self.axes, x.reshape(len(x), *sizes)).reshape(len(x), *self.to_shape)

    def _apply_adjoint(self, g: Array) -> Array:
        (spread,) = engine.prepared(engine.most_readers(self.axes), g)
        x = engine.fold(self.axes, spread.reshape(len(g), 1, -1))
        return x.reshape(len(g), *self.from_shape)


@dataclass(frozen=True, eq=False, repr=False)
class Diagonal(Operator):
    """Each entry times its own factor."""

    values: Array

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.values.shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.values.shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return self

    def _apply(self, x: Array) -> Array:
        factors, x = engine.prepared(1, self.values, x)
        return factors * x


@dataclass(frozen=True, eq=False, repr=False)
class Matrix(Operator):
    """A dense matrix, of (outputs, inputs)."""

    values: Array
    from_shape: tuple[Any, ...]
    to_shape: tuple[Any, ...]

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.from_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.to_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return Matrix(self.values.T, self.to_shape, self.from_shape)

    def _apply(self, x: Array) -> Array:
        weights, x = engine.prepared(self.values.shape[1], self.values, x)
        return x.reshape(len(x), -1) @ weights.T


@dataclass(frozen=True, eq=False, repr=False)
class Compose(Operator):
    """A product of operators; the last one is applied first."""

    factors: tuple[Operator, ...]

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.factors[-1].in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.factors[0].out_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return compose(*(factor.T for factor in reversed(self.factors)))

    @property
    def children(self) -> tuple[Operator, ...]:
        return self.factors

    def rebuild(self, children: tuple[Operator, ...]) -> Operator:
        return compose(*children)

    def _apply(self, x: Array) -> Array:
        for factor in reversed(self.factors):
            x = factor._apply(x).reshape(len(x), *factor.out_shape)
        return x


@dataclass(frozen=True, eq=False, repr=False)
class Sum(Operator):
    """A sum of operators of the same shapes."""

    terms: tuple[Operator, ...]

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.terms[0].in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.terms[0].out_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return add(*(term.T for term in self.terms))

    @property
    def children(self) -> tuple[Operator, ...]:
        return self.terms

    def rebuild(self, children: tuple[Operator, ...]) -> Operator:
        return add(*children)

    def _apply(self, x: Array) -> Array:
        return engine.total([term._apply(x).reshape(len(x), -1) for term in self.terms])


@dataclass(frozen=True, eq=False, repr=False)
class Scaled(Operator):
    """A number times an operator."""

    factor: Any
    operator: Operator

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.operator.in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.operator.out_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return scale(self.factor, self.operator.T)

    @property
    def children(self) -> tuple[Operator, ...]:
        return (self.operator,)

    def rebuild(self, children: tuple[Operator, ...]) -> Operator:
        return scale(self.factor, children[0])

    def _apply(self, x: Array) -> Array:
        return engine.scaled(self.factor, self.operator._apply(x))


@dataclass(frozen=True, eq=False, repr=False)
class Adjoint(Operator):
    """The adjoint of a leaf; the adjoint of a node is built from its children instead."""

    operator: Convolution | Patches | Selection

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.operator.out_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.operator.in_shape

    @property
    def T(self) -> Operator:  # noqa: N802
        return self.operator

    @property
    def children(self) -> tuple[Operator, ...]:
        return (self.operator,)

    def rebuild(self, children: tuple[Operator, ...]) -> Operator:
        return children[0].T

    def _apply(self, x: Array) -> Array:
        return self.operator._apply_adjoint(x)


@dataclass(frozen=True, eq=False, repr=False)
class Kron(Operator):
    """The Kronecker product: `left` on the first axes, `right` on the last."""

    left: Operator
    right: Operator

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return (*self.left.in_shape, *self.right.in_shape)

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return (*self.left.out_shape, *self.right.out_shape)

    @property
    def T(self) -> Operator:  # noqa: N802
        return kron(self.left.T, self.right.T)

    @property
    def children(self) -> tuple[Operator, ...]:
        return (self.left, self.right)

    def rebuild(self, children: tuple[Operator, ...]) -> Operator:
        return kron(*children)

    def _apply(self, x: Array) -> Array:
        (rows_left, columns_left), (rows_right, columns_right) = self.left.shape, self.right.shape
        y = self.right._apply(x.reshape(-1, *self.right.in_shape))
        y = y.reshape(len(x), columns_left, rows_right).swapaxes(1, 2)
        y = self.left._apply(y.reshape(-1, *self.left.in_shape))
        return y.reshape(len(x), rows_right, rows_left).swapaxes(1, 2)


def compose(*operators: Operator) -> Operator:
    """The product, flattened, identities dropped.

    Raises: ShapeError when one factor's output is not the next one's input.
    """
    factors: list[Operator] = []
    for operator in operators:
        factors.extend(operator.factors if isinstance(operator, Compose) else [operator])
    for left, right in zip(factors, factors[1:], strict=False):
        if left.in_shape != right.out_shape:
            raise ShapeError(
                f"these do not compose: the right operator gives {right.out_shape}, "
                f"the left one takes {left.in_shape}"
            )
    kept = [factor for factor in factors if not is_identity(factor)] or factors[:1]
    return kept[0] if len(kept) == 1 else Compose(tuple(kept))


def add(*operators: Any) -> Operator:
    """The sum, flattened.

    Raises: KindError unless all are operators, ShapeError unless all have the same shapes.
    """
    terms: list[Operator] = []
    for operator in operators:
        if not isinstance(operator, Operator):
            raise KindError(f"+ adds two operators, not an operator and {operator!r}")
        terms.extend(operator.terms if isinstance(operator, Sum) else [operator])
    first = terms[0]
    for term in terms[1:]:
        if (term.in_shape, term.out_shape) != (first.in_shape, first.out_shape):
            raise ShapeError(
                f"these do not add: one maps {first.in_shape} to {first.out_shape}, "
                f"the other {term.in_shape} to {term.out_shape}"
            )
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def scale(factor: Any, operator: Operator) -> Operator:
    """A number times an operator; nested factors are multiplied.

    Raises: KindError unless the factor is one real number or expression.
    """
    is_number = isinstance(factor, numbers.Real) or is_symbolic(factor)
    if not is_number or isinstance(factor, bool):
        raise KindError(
            f"an operator is scaled by one real number or symbol, not {factor!r}: "
            f"use @ to compose operators and A(x) to apply one"
        )
    check_finite(np.array(factor), "factor")
    if isinstance(operator, Scaled):
        factor, operator = factor * operator.factor, operator.operator
    return operator if factor == 1 else Scaled(factor, operator)


def kron(left: Operator, right: Operator) -> Operator:
    """The Kronecker product. Raises: KindError unless both are operators."""
    if not isinstance(right, Operator):
        raise KindError(f"kron takes an operator, not {type(right).__name__}")
    return Kron(left, right)


def is_identity(operator: Operator) -> bool:
    """Whether an operator is the identity by its geometry, with the same shape on both sides."""
    return (
        isinstance(operator, Selection)
        and operator.from_shape == operator.to_shape
        and all(axis == Axis(axis.in_size, axis.in_size) for axis in operator.axes)
    )


def transposed_axis(axis: Axis) -> Axis | None:
    """The axis that reads what this one writes, or None where no single axis does.

    Rule: for s = 1 and s = -1, o = s i - s d t + s p.
    """
    kept = axis.boundary == "zeros" or (
        axis.boundary == "circular" and axis.in_size == axis.out_size
    )
    if abs(axis.stride) != 1 or not kept:
        return None
    s = axis.stride
    return Axis(
        in_size=axis.out_size,
        out_size=axis.in_size,
        taps=axis.taps,
        stride=s,
        dilation=-s * axis.dilation,
        padding=-s * axis.padding,
        boundary=axis.boundary,
    )


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


def checked_kernel(kernel: Any, shape: tuple[Any, ...]) -> Array:
    """A kernel of a given shape. Raises: ShapeError when it has another."""
    weights = as_kernel(kernel)
    if weights.shape != shape:
        raise ShapeError(f"kernel must have shape {shape}, not {weights.shape}")
    return weights
