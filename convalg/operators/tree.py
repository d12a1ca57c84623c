"""Operators as a small immutable tree: `Map`, `Operator`, and the nodes of their algebra.

The nodes are Compose, Sum, Scaled and Kron; the leaves are in `leaves`. A node can be applied to
arrays. Every other representation of an operator, such as its matrix, its counts or its drawing, is
a face: a table with one rule per kind of node, evaluated by `fold`. Methods that need the faces are
in `methods`.
"""

# Long because the classes and the nodes that their operators return need each other.

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, TypeVar, final, overload

import numpy as np

from convalg import engine
from convalg.arguments import shown
from convalg.arrays import Array, batch_of, check_finite, restored
from convalg.errors import ArgumentError, KindError, NotLinearError, ShapeError, SymbolicError
from convalg.pattern.pattern import Pattern
from convalg.presburger import same_shape
from convalg.size import is_expression, is_symbolic, size_product

if TYPE_CHECKING:
    import sympy

    from convalg.faces.counts import Counts
    from convalg.operators import methods

Image = TypeVar("Image")
Order = Literal["C", "F"]


class Map(ABC):
    """A layer: a function between arrays of fixed shapes, with its derivative at each point.

    `f(x)` applies the map to x of shape `(*batch, *in_shape)`, and `f.at(x)` is its Jacobian at one
    sample x, an operator. `f @ g` applies g first and then f; `f + g`, `f - g` and `2 * f` are maps
    too. A linear map is an `Operator`.

    Attributes:
        in_shape: Shape of one input, channels first.
        out_shape: Shape of one output, channels first.
    """

    # NumPy leaves `array * A` and `np.float64(2) * A` to the operator.
    __array_ufunc__ = None

    if TYPE_CHECKING:
        # Some maps store their shapes and others compute them: read-only for both.
        @property
        def in_shape(self) -> tuple[Any, ...]:
            """The shape of one input, channels first."""

        @property
        def out_shape(self) -> tuple[Any, ...]:
            """The shape of one output, channels first."""

        # Attached by `methods`.
        __matmul__ = methods.compose_maps
        __add__ = methods.add_maps
        __mul__ = methods.scale_map
        __rmul__ = methods.scale_map

    @abstractmethod
    def _apply(self, x: Array) -> Array:
        """Return y of shape (batch, *out_shape) from x of shape (batch, *in_shape)."""

    @abstractmethod
    def at(self, x: object, /) -> Operator:
        """Return the Jacobian at one sample x; its adjoint is back-propagation.

        Args:
            x: One sample of shape `in_shape`.

        Returns:
            An operator from `in_shape` to `out_shape`.

        Raises:
            ShapeError: when x has another shape or batch axes.
            KindError: when x does not hold numbers.

        >>> import convalg as ca
        >>> ca.relu(3).at([1, -2, 3])
        diagonal([1, 0, 1])
        """

    def __call__(self, x: object) -> Array:
        """Apply the layer to each sample.

        Args:
            x: Input of shape `(*batch, *in_shape)`.

        Returns:
            The output of shape `(*batch, *out_shape)`.

        Raises:
            ShapeError: when the shape of x does not end in `in_shape`.
            KindError: when x does not hold numbers.

        >>> import convalg as ca
        >>> ca.relu(3)([1, -2, 3])
        array([1, 0, 3])
        """
        values, batch = batch_of(x, self.in_shape, "x")
        return self._apply(values).reshape((*batch, *self.out_shape))

    def __sub__(self, other: Map) -> Map:
        return self + (-other if isinstance(other, Map) else other)

    def __neg__(self) -> Map:
        return -1 * self

    def __truediv__(self, divisor: Any) -> Map:
        return self * _reciprocal(divisor, self)

    __setstate__ = restored

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            raise _missing(self, name)

    @property
    def parameters(self) -> dict[str, Array]:
        """The trainable arrays by name.

        >>> import convalg as ca
        >>> ca.affine(ca.correlation(4, [1, 2]), [3, 4, 5]).parameters
        {'kernel': array([1, 2]), 'bias': array([3, 4, 5])}
        """
        return {}

    def by(self, name: str, x: object) -> Operator:
        """Return the Jacobian of the output by a parameter at one sample x.

        Args:
            name: One of the names in `parameters`.
            x: One sample of shape `in_shape`.

        Returns:
            An operator from the shape of the parameter to `out_shape`.

        Raises:
            ArgumentError: when no parameter has this name.
            ShapeError: when x has another shape or batch axes.

        >>> import convalg as ca
        >>> ca.affine(ca.correlation(3, [1, 2]), 7).by("kernel", [5, 6, 7]).to_numpy().tolist()
        [[5, 6], [6, 7]]
        """
        raise ArgumentError(
            f"{self!r} has no parameter {shown(name)}; it has "
            f"{', '.join(self.parameters) or 'none'}"
        )

    @final
    def gradient(self, x: object, g: object) -> Array:
        """Return the gradient dL/dx of a loss L: the adjoint of the Jacobian at x, applied to g.

        Args:
            x: Input of shape `(*batch, *in_shape)`.
            g: The gradient dL/dy by the output, of shape `(*batch, *out_shape)`.

        Returns:
            The gradient by each sample, with the shape of x.

        Raises:
            ShapeError: when x or g has the wrong shape, or their batch axes differ.
            KindError: when x or g does not hold numbers.

        >>> import convalg as ca
        >>> ca.max_pool(4, 2).gradient([1, 5, 7, 2], [10, 20]).tolist()
        [0, 10, 20, 0]
        """
        inputs, upstream, batch = self._samples(x, g)
        if not len(inputs):
            return np.zeros((*batch, *self.in_shape))
        gradients = [self.at(one).T(other) for one, other in zip(inputs, upstream, strict=True)]
        return np.stack(gradients).reshape((*batch, *self.in_shape))

    @final
    def parameter_gradients(self, x: object, g: object) -> dict[str, Array]:
        """Return the gradient dL/dp of a loss L by each parameter p, summed over the batch.

        Each is the adjoint of `f.by(name, x)` applied to g.

        Args:
            x: Input of shape `(*batch, *in_shape)`.
            g: The gradient dL/dy by the output, of shape `(*batch, *out_shape)`.

        Returns:
            The gradients by the names of the parameters, each with the shape of its parameter.

        Raises:
            ShapeError: when x or g has the wrong shape, or their batch axes differ.
            KindError: when x or g does not hold numbers.

        >>> import convalg as ca
        >>> f = ca.affine(ca.correlation(3, [1, 2]), 7)
        >>> f.parameter_gradients([5, 6, 7], [1, 10])
        {'kernel': array([65, 76]), 'bias': array(11)}
        """
        inputs, upstream, _ = self._samples(x, g)
        gradients = {}
        for name, value in self.parameters.items():
            parts = [
                self.by(name, one).T(other) for one, other in zip(inputs, upstream, strict=True)
            ]
            total = engine.total(parts) if parts else np.zeros(value.shape)
            gradients[name] = np.asarray(total)
        return gradients

    def _samples(self, x: object, g: object) -> tuple[Array, Array, tuple[int, ...]]:
        """Return x and g with a single batch axis, and the shape of their batch axes.

        Raises: ShapeError when the batch axes differ.
        """
        inputs, batch = batch_of(x, self.in_shape, "x")
        upstream, other = batch_of(g, self.out_shape, "g")
        if batch != other:
            raise ShapeError(
                f"x and g must have the same batch axes, but x has {batch or 'none'} and g has "
                f"{other or 'none'}"
            )
        return inputs, upstream, batch


class Operator(Map):
    """A linear map between arrays of fixed shapes.

    `A(x)` applies the operator to x of shape `(*batch, *in_shape)`, and `A.T` is its adjoint (the
    transposed matrix). `A @ B` applies B first and then A; `A + B`, `A - B`, `c * A` and
    `A.kron(B)` are operators too.

    Attributes:
        in_shape: Shape of one input, channels first.
        out_shape: Shape of one output, channels first.
    """

    if TYPE_CHECKING:
        # Attached by `methods`, which imports modules built on top of this file.
        __call__ = methods.call
        by = methods.by
        by_kernel = methods.by_kernel
        kernel_gradient = methods.kernel_gradient
        refill = methods.refill
        simplify = methods.simplify
        structure = methods.structure
        to_isl = methods.to_isl
        to_linear_operator = methods.to_linear_operator
        to_numpy = methods.to_numpy
        to_scipy = methods.to_scipy
        to_sympy = methods.to_sympy
        _at_sizes = methods.at_sizes

        @property
        def counts(self) -> Counts:
            """The numbers of entries, non-zeros, parameters, multiplications and shared weights."""

        @property
        def kernel(self) -> Array:
            """The kernel that was passed to the constructor."""

    @property
    @abstractmethod
    def T(self) -> Operator:  # noqa: N802 - the usual notation
        """The adjoint operator, whose matrix is the transpose.

        >>> import convalg as ca
        >>> ca.pad(3, 1).T
        crop(5, 1)
        """

    @property
    def children(self) -> tuple[Operator, ...]:
        """The operators from which this node is built; () for a leaf."""
        return ()

    def rebuild(self, children: tuple[Operator, ...]) -> Operator:
        """Return the same kind of node with other children."""
        return self

    @final
    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns of the matrix.

        >>> import convalg as ca
        >>> ca.correlation((4, 4), ca.kernel(3, 3)).shape
        (4, 16)
        """
        return size_product(self.out_shape), size_product(self.in_shape)

    @overload
    def __matmul__(self, other: Operator) -> Operator: ...

    @overload
    def __matmul__(self, other: Map) -> Map: ...

    def __matmul__(self, other: Map) -> Map:
        if not isinstance(other, Operator):
            return super().__matmul__(other)
        return compose(self, other)

    @overload
    def __add__(self, other: Operator) -> Operator: ...

    @overload
    def __add__(self, other: Map) -> Map: ...

    def __add__(self, other: Map) -> Map:
        if isinstance(other, Map) and not isinstance(other, Operator):
            return super().__add__(other)
        return add(self, other)

    @overload
    def __sub__(self, other: Operator) -> Operator: ...

    @overload
    def __sub__(self, other: Map) -> Map: ...

    @final
    def __sub__(self, other: Map) -> Map:
        return super().__sub__(other)

    @final
    def __neg__(self) -> Operator:
        return -1 * self

    def __mul__(self, factor: object) -> Operator:
        return scale(factor, self)

    def __rmul__(self, factor: object) -> Operator:
        return scale(factor, self)

    def __truediv__(self, divisor: Any) -> Operator:
        return self * _reciprocal(divisor, self)

    @final
    def kron(self, other: Operator) -> Operator:
        """Return the Kronecker product: this operator on the first axes, `other` on the last axes.

        Args:
            other: An operator.

        Returns:
            An operator from `(*in_shape, *other.in_shape)` to `(*out_shape, *other.out_shape)`.

        Raises:
            KindError: when `other` is not an operator.

        >>> import convalg as ca
        >>> ca.correlation(3, [1, 2]).kron(ca.identity(2)).to_numpy().tolist()[0]
        [1, 0, 2, 0, 0, 0]
        """
        return kron(self, other)

    @property
    def pattern(self) -> Pattern:
        """The labelled pattern of a single layer: its triples (row, column, index of the weight).

        Raises:
            KindError: when the operator is not a single layer, such as a product or a sum.
            SymbolicError: when the operator has symbolic sizes.

        >>> import convalg as ca
        >>> ca.correlation(3, [5, 6]).pattern.triples().tolist()
        [[0, 0, 0], [0, 1, 1], [1, 1, 0], [1, 2, 1]]
        """
        raise KindError(
            f"only a single layer has a pattern, not an operator of type {type(self).__name__}: "
            f"use the pattern of a single layer, or try simplify(), which merges layers if it can"
        )

    @final
    def at(self, x: object = None, /, **sizes: int) -> Operator:
        """Return the Jacobian at x, which is the operator itself, or a family at given sizes.

        Args:
            x: Input whose shape ends in `in_shape`, or None.
            sizes: A number for each symbol to replace, as keyword arguments such as n=4.

        Raises:
            ArgumentError: when a name is not a symbol of the operator, or the operator does not
                exist at these sizes.
            ShapeError: when x has another shape.

        >>> import convalg as ca
        >>> n, K = ca.sizes("n K")
        >>> ca.correlation(n, ca.kernel(K)).at(n=4, K=2)
        correlation(4, [w0, w1])
        """
        if sizes:
            return self._at_sizes(sizes)
        if x is not None:
            batch_of(x, self.in_shape, "x")
        return self

    @property
    def is_identity(self) -> bool:
        """Whether the operator is the identity by its geometry; weights are not compared.

        >>> import convalg as ca
        >>> ca.pad(3, 0).is_identity, ca.flip_axes(3).is_identity
        (True, False)
        """
        return False

    @final
    @property
    def symbols(self) -> tuple[sympy.Symbol, ...]:
        """The symbols of a family: first of input sizes, then of kernel sizes, then all others.

        >>> import convalg as ca
        >>> n, K = ca.sizes("n K")
        >>> ca.correlation(n, ca.kernel(K)).T.symbols
        (n, K)
        """
        return symbols_of(self)

    @final
    def _need_numbers(self, face: str) -> None:
        """Raise SymbolicError when some size is symbolic."""
        if not self.is_concrete:
            names = ", ".join(f"{symbol}=..." for symbol in self.symbols)
            raise SymbolicError(
                f"{face} needs numbers for sizes, but this is a family: use A.at({names})"
            )

    @property
    def is_concrete(self) -> bool:
        """Whether every size is a number, not a symbol."""
        return all(child.is_concrete for child in self.children)


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
        return engine.total(
            [term._apply(x).reshape(len(x), *self.out_shape) for term in self.terms]
        )


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
        if x.dtype == np.float16:
            # A mean may fit into a half float although its sum does not.
            wide = engine.scaled(self.factor, self.operator._apply(x.astype(np.float32)))
            return wide.astype(self.operator._apply(x[:0]).dtype)
        return engine.scaled(self.factor, self.operator._apply(x))


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
        (rows_left, columns_left), (rows_right, _) = self.left.shape, self.right.shape
        y = self.right._apply(x.reshape(len(x) * columns_left, *self.right.in_shape))
        y = y.reshape(len(x), columns_left, rows_right).swapaxes(1, 2)
        y = self.left._apply(y.reshape(len(x) * rows_right, *self.left.in_shape))
        return y.reshape(len(x), rows_right, rows_left).swapaxes(1, 2)


def compose(*operators: Operator) -> Operator:
    """Return the product of operators as one flat product without identities.

    Raises: ShapeError when the output shape of a factor is not the input shape of the factor on its
    left.
    """
    factors: list[Operator] = []
    for operator in operators:
        factors.extend(operator.factors if isinstance(operator, Compose) else [operator])
    check_factors(factors)
    kept = [factor for factor in factors if not factor.is_identity] or factors[:1]
    return kept[0] if len(kept) == 1 else Compose(tuple(kept))


def add(*operators: object) -> Operator:
    """Return the sum of operators as one flat sum.

    Raises: KindError when an argument is not an operator, ShapeError when the shapes differ.
    """
    terms: list[Operator] = []
    for operator in operators:
        if not isinstance(operator, Operator):
            raise KindError(
                f"+ adds two operators, but one operand is {shown(operator)} "
                f"({type(operator).__name__}): add a bias with ca.affine(A, b)"
            )
        terms.extend(operator.terms if isinstance(operator, Sum) else [operator])
    check_terms(terms)
    return terms[0] if len(terms) == 1 else Sum(tuple(terms))


def check_factors(factors: Sequence[Map]) -> None:
    """Raise ShapeError unless the output of each factor fits the factor on its left."""
    for left, right in pairwise(factors):
        if not same_shape(left.in_shape, right.out_shape):
            raise ShapeError(
                f"the output of the right layer must have the input shape of the left layer in "
                f"left @ right, but it has shape {right.out_shape} and the left layer needs "
                f"{left.in_shape}"
            )


def check_terms(terms: Sequence[Map]) -> None:
    """Raise ShapeError unless all terms of a sum have the same shapes."""
    first = terms[0]
    for term in terms[1:]:
        if not (
            same_shape(term.in_shape, first.in_shape)
            and same_shape(term.out_shape, first.out_shape)
        ):
            raise ShapeError(
                f"layers must have the same shapes to be added, but one maps {first.in_shape} "
                f"to {first.out_shape} and another {term.in_shape} to {term.out_shape}"
            )


def scale(factor: object, operator: Operator) -> Operator:
    """Return a number times an operator; the factor of a scaled operator is multiplied by it.

    Raises: KindError when the factor is not one real number or expression, ArgumentError when it
    is not finite.
    """
    is_number = isinstance(factor, numbers.Real) or is_expression(factor)
    if not is_number or isinstance(factor, bool):
        raise KindError(
            f"an operator can be scaled by one real number or symbol, not by {factor!r}: "
            f"use @ to compose operators and A(x) to apply one"
        )
    if isinstance(factor, np.integer):
        factor = int(factor)
    check_finite(np.array(factor), "factor")
    if isinstance(operator, Scaled) and not _has_pole(factor) and not _has_pole(operator.factor):
        factor, operator = factor * operator.factor, operator.operator
    return operator if factor == 1 else Scaled(factor, operator)


def _reciprocal(divisor: Any, divided: Map) -> object:
    """Return the factor 1 / divisor; an integer or a fraction gives an exact one.

    Raises: KindError unless the divisor is one real number or expression, ArgumentError for zero.
    """
    if isinstance(divisor, np.number):
        divisor = divisor.item()
    if isinstance(divisor, bool) or not (
        isinstance(divisor, numbers.Real) or is_expression(divisor)
    ):
        raise KindError(f"{divided!r} can be divided by one real number or symbol, not {divisor!r}")
    check_finite(np.array(divisor), "divisor")
    if divisor == 0:
        raise ArgumentError(f"{divided!r} cannot be divided by zero")
    return Fraction(1, divisor) if isinstance(divisor, int) else 1 / divisor


def _has_pole(factor: object) -> bool:
    """Return whether a factor may be undefined, such as 1 / (K - 1), which a product could hide."""
    if not is_symbolic(factor):
        return False
    import sympy

    powers = factor.atoms(sympy.Pow)
    return any(power.base.free_symbols and not power.exp.is_positive for power in powers)


def kron(left: Operator, right: Operator) -> Operator:
    """Return the Kronecker product. Raises: KindError when `right` is not an operator."""
    if not isinstance(right, Operator):
        raise KindError(f"other must be an operator in A.kron(other), not {shown(right)}")
    return Kron(left, right)


def symbols_of(operator: Operator) -> tuple[Any, ...]:
    """Return the symbols of a family, in the order of `Operator.symbols`."""
    if operator.is_concrete:
        return ()
    layers: list[Any] = [leaf for leaf in leaves(operator) if hasattr(leaf, "geometry")]
    values: list[Any] = list(operator.in_shape)
    for layer in layers:
        values.extend(layer.geometry.in_shape)
    for layer in layers:
        values.extend(layer.geometry.kernel_shape)
    for layer in layers:
        for axis in layer.geometry.axes:
            values.extend((axis.padding, axis.out_size, axis.stride, axis.dilation))
        values.append(layer.geometry.groups)
    expressions = [value for value in values if is_symbolic(value)]
    # First the symbols that are a size themselves, then the symbols inside expressions.
    symbols = dict.fromkeys(value for value in expressions if value.is_Symbol)
    for value in expressions:
        symbols.update(dict.fromkeys(sorted(value.free_symbols, key=lambda s: s.name)))
    return tuple(symbols)


def leaves(operator: Operator) -> list[Operator]:
    """Return the leaves of a tree, from left to right."""
    if not operator.children:
        return [operator]
    return [leaf for child in operator.children for leaf in leaves(child)]


def _missing(owner: Map, name: str) -> AttributeError:
    """Return the error for an attribute that a map does not have."""
    if name in vars(Operator).keys() - vars(Map).keys() and not isinstance(owner, Operator):
        what = "the adjoint" if name == "T" else "that"
        return NotLinearError(
            f"{owner!r} is not linear; f.at(x).{name} is {what} of its Jacobian at x"
        )
    return AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}")


def fold(
    operator: Operator,
    rules: Mapping[type, Callable[..., Image]],
    leaf: Callable[[Any], Image],
) -> Image:
    """Return the value of a tree, computed from the leaves upwards.

    The value of a node is `rules[type(node)](node, *values of its children)`; the value of a leaf
    without a rule is `leaf(node)`.

    Raises: KindError for a node without a rule.
    """
    images = [fold(child, rules, leaf) for child in operator.children]
    rule = rules.get(type(operator))
    if rule is not None:
        return rule(operator, *images)
    if images:
        raise KindError(f"rules must contain the node {type(operator).__name__}, but do not")
    return leaf(operator)
