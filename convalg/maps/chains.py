"""Maps built from other maps: compositions, sums, concatenations, and operators with a bias."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from convalg import engine
from convalg.arguments import shown
from convalg.arrays import Array, as_numbers, check_finite, one_sample
from convalg.axis import Axis, Size
from convalg.conventions import Shape
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.operators import windows
from convalg.operators.leaves import Convolution, Selection, gathering
from convalg.operators.tree import (
    Map,
    Operator,
    Scaled,
    Sum,
    check_factors,
    check_terms,
    compose,
    leaves,
    scale,
)
from convalg.operators.tree import add as add_operators
from convalg.size import as_shape, as_size, require_numbers, size_product


@dataclass(frozen=True, eq=False)
class Chain(Map):
    """A composition of maps.

    Attributes:
        factors: The maps from left to right, as in f @ g; the last one is applied first.
    """

    factors: tuple[Map, ...]

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.factors[-1].in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.factors[0].out_shape

    def _apply(self, x: Array) -> Array:
        for factor in reversed(self.factors):
            x = factor(x)
        return x

    def _steps(self, x: object) -> list[tuple[Map, Array]]:
        """Return each map with its input, in the order in which the maps are applied."""
        value = one_sample(x, self.in_shape)
        steps = []
        for factor in reversed(self.factors):
            steps.append((factor, value))
            value = factor(value)
        return steps

    def at(self, x: object, /) -> Operator:
        return compose(*(factor.at(value) for factor, value in reversed(self._steps(x))))

    @property
    def parameters(self) -> dict[str, Array]:
        return _named(tuple(reversed(self.factors)))

    def by(self, name: str, x: object) -> Operator:
        number, own = _split(name, len(self.factors), self)
        steps = self._steps(x)
        factor, value = steps[number]
        after = [step.at(x_k) for step, x_k in reversed(steps[number + 1 :])]
        return compose(*after, factor.by(own, value))

    def __repr__(self) -> str:
        return _line("", " @ ", self.factors)


@dataclass(frozen=True, eq=False)
class Branches(Map):
    """Maps with the same input, whose outputs are added or concatenated.

    Attributes:
        parts: The maps.
        axis: The axis along which the outputs are concatenated; None for their sum.
    """

    parts: tuple[Map, ...]
    axis: int | None = None

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.parts[0].in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self._joins[0].out_shape

    @property
    def _joins(self) -> list[Operator]:
        """The operators that embed the output of each part in the common output."""
        if self.axis is None:
            from convalg.operators.dense import identity

            return [identity(self.parts[0].out_shape)] * len(self.parts)
        return embeddings([part.out_shape for part in self.parts], self.axis)

    def _apply(self, x: Array) -> Array:
        outputs = [part(x) for part in self.parts]
        if self.axis is None:
            return engine.total(outputs)
        if all(y.dtype.kind in "iu" for y in outputs) and np.result_type(*outputs).kind == "f":
            # NumPy has no integer type for uint64 together with int64.
            outputs = [engine.total([y]) for y in outputs]
        return np.concatenate(outputs, self.axis + 1)

    def at(self, x: object, /) -> Operator:
        value = one_sample(x, self.in_shape)
        pairs = zip(self._joins, self.parts, strict=True)
        return add_operators(*(compose(join, part.at(value)) for join, part in pairs))

    @property
    def parameters(self) -> dict[str, Array]:
        return _named(self.parts)

    def by(self, name: str, x: object) -> Operator:
        number, own = _split(name, len(self.parts), self)
        return compose(self._joins[number], self.parts[number].by(own, x))

    def __repr__(self) -> str:
        if self.axis is None:
            return _line("", " + ", self.parts)
        tail = f", axis={self.axis}" if self.axis else ""
        return _line("concat([", ", ", self.parts, f"]{tail})")


@dataclass(frozen=True, eq=False)
class Affine(Map):
    """An operator plus a bias, y = A x + b; see `affine`.

    Attributes:
        operator: The operator A.
        bias: The bias b, as it was passed.
    """

    operator: Operator
    bias: Array

    @property
    def in_shape(self) -> tuple[Any, ...]:
        return self.operator.in_shape

    @property
    def out_shape(self) -> tuple[Any, ...]:
        return self.operator.out_shape

    def _apply(self, x: Array) -> Array:
        y = self.operator(x)
        spread = spread_over(self.bias, self.out_shape)
        return engine.total([y, np.broadcast_to(spread, y.shape)])

    def at(self, x: object, /) -> Operator:
        one_sample(x, self.in_shape)
        return self.operator

    @property
    def parameters(self) -> dict[str, Array]:
        return {**self.operator.parameters, "bias": self.bias}

    def by(self, name: str, x: object) -> Operator:
        if not isinstance(name, str) or name != "bias":
            return self.operator.by(name, x)
        one_sample(x, self.in_shape)
        return spreading(self.bias.shape, self.out_shape)

    def __repr__(self) -> str:
        from convalg.faces.text import array_text

        return f"affine({self.operator!r}, {array_text(self.bias)})"


def affine(operator: Operator, bias: object) -> Affine:
    """Return the layer y = A x + b: an operator plus a bias, which is not linear unless b = 0.

    Args:
        operator: The operator A.
        bias: The bias b: one number for all outputs, one number per channel, or an array of shape
            `operator.out_shape`. Channels are the first axis of the output; a layer whose kernel
            does not have channel axes has only spatial axes, so one number per channel is not
            accepted for it.

    Raises:
        KindError: when `operator` is not an operator, or the bias is not real.
        ShapeError: when the bias has another shape.
        ArgumentError: when the bias is not finite.

    >>> import convalg as ca
    >>> layer = ca.affine(ca.correlation(3, [1, 2]), 10)
    >>> layer([1, 2, 3]).tolist(), layer.at([1, 2, 3])
    ([15, 18], correlation(3, [1, 2]))
    """
    if not isinstance(operator, Operator):
        raise KindError(
            f"operator must be an operator such as ca.correlation(...), not {shown(operator)} "
            f"({type(operator).__name__})"
        )
    values = as_numbers(bias, "bias")
    check_finite(values, "bias")
    if values.dtype.kind == "c":
        raise KindError(f"bias must be real, not {values.dtype}")
    has_channels = len(operator.out_shape) > 1 and not _is_spatial(operator)
    allowed = [(), operator.out_shape[:1], operator.out_shape]
    if values.shape not in (allowed if has_channels else [(), operator.out_shape]):
        wanted = f"{operator.out_shape[:1]}, one per channel, or " if has_channels else ""
        raise ShapeError(
            f"bias must be one number or an array of shape {wanted}{operator.out_shape}, "
            f"not of shape {values.shape}"
        )
    return Affine(operator, _frozen(values))


def _is_spatial(operator: Operator) -> bool:
    """Return whether the first axis of the output is spatial instead of the channels."""
    layers = [leaf.geometry for leaf in leaves(operator) if isinstance(leaf, Convolution)]
    dims = len(operator.out_shape)
    return any(not layer.has_channels and len(layer.axes) == dims for layer in layers)


@overload
def concat(branches: Sequence[Operator], axis: int = 0) -> Operator: ...


@overload
def concat(branches: Sequence[Map], axis: int = 0) -> Map: ...


def concat(branches: Sequence[Map], axis: int = 0) -> Map:
    """Return the layer that applies several branches to one input and concatenates their outputs.

    If all branches are operators, the result is an operator too: the sum of E_k A_k, where E_k
    embeds the output of branch k in the concatenation and fills the other entries with zeros.

    Args:
        branches: A list of operators or maps with the same `in_shape`, whose output shapes may
            differ only on `axis`.
        axis: The axis along which the outputs are concatenated: an int, counted from the last axis
            if negative. The first axis by default: the channels, or the first spatial axis of
            layers without channels.

    Returns:
        An operator if all branches are operators, otherwise a map.

    Raises:
        ShapeError: when the input shapes differ, or the output shapes differ on another axis.
        KindError: when `branches` is not a list of operators and maps.
        ArgumentError: for an empty list, or an axis out of range.

    >>> import convalg as ca
    >>> ca.concat([ca.identity(2), ca.correlation(2, [1, 1])])([3, 4]).tolist()
    [3, 4, 7]
    """
    try:
        parts = tuple(branches)
    except TypeError:
        raise KindError(
            f"branches must be a list of operators or maps, not {shown(branches)} "
            f"({type(branches).__name__})"
        ) from None
    for part in parts:
        if not isinstance(part, Map):
            raise KindError(
                f"branches must contain only operators and maps, not {shown(part)} "
                f"({type(part).__name__})"
            )
    if not parts:
        raise ArgumentError(f"branches must contain at least one operator or map, not {branches!r}")
    _check_inputs(parts)
    number = _checked_axis(axis, [part.out_shape for part in parts])
    operators = [part for part in parts if isinstance(part, Operator)]
    if len(operators) < len(parts):
        return Branches(parts, number)
    joins = embeddings([part.out_shape for part in parts], number)
    return add_operators(*(compose(e, a) for e, a in zip(joins, operators, strict=True)))


def embeddings(shapes: Sequence[Shape], axis: int = 0) -> list[Operator]:
    """Return the operators that place each part in a concatenation: y = sum of E_k x_k.

    Operator E_k writes part k at its position and zeros elsewhere; its adjoint extracts part k.

    Args:
        shapes: The shapes of the parts, channels included; they may differ only on `axis`.
        axis: The axis along which the parts are concatenated: an int, counted from the last axis
            if negative.

    Returns:
        A list of operators; operator k maps from `shapes[k]` to the shape of the concatenation.

    Raises:
        ShapeError: when the shapes differ on another axis.
        KindError: when `shapes` is not a list of shapes.
        ArgumentError: for an empty list, or an axis out of range.

    >>> import convalg as ca
    >>> first, second = ca.embeddings([(1, 2), (2, 2)])
    >>> second.T([[1, 2], [3, 4], [5, 6]]).tolist()
    [[3, 4], [5, 6]]
    """
    if not isinstance(shapes, Collection) or getattr(shapes, "ndim", 1) == 0:
        raise KindError(f"shapes must be a list of shapes, not {shapes!r}")
    if not len(shapes):
        raise ArgumentError(f"shapes must contain at least one shape, not {shapes!r}")
    parts = [as_shape(shape, f"shapes[{k}]") for k, shape in enumerate(shapes)]
    axis = _checked_axis(axis, parts)
    total, embedded, start = sum(shape[axis] for shape in parts), [], 0
    for shape in parts:
        axes = [Axis(n, n) for n in shape]
        axes[axis] = Axis(shape[axis], total, padding=start)
        out = tuple(a.out_size for a in axes)
        embedded.append(Selection(tuple(axes), tuple(shape), out))
        start += shape[axis]
    return list(embedded)


def scaled(factor: object, one: Map) -> Map:
    """Return a number times a map.

    Raises: KindError when the factor is not one real number or symbol.
    """
    from convalg.operators.dense import identity

    return chain(scale(factor, identity(one.out_shape)), one)


def chain(*maps: object) -> Map:
    """Return the composition of maps as one flat chain, the last one applied first.

    Operators next to each other are not merged, so that their parameters keep their names.

    Raises: KindError when an argument is not a map, ShapeError when the output shape of a map is
    not the input shape of the map on its left.
    """
    factors: list[Map] = []
    for one in maps:
        if not isinstance(one, Map):
            raise KindError(
                f"@ composes operators and maps, but the right operand is a "
                f"{type(one).__name__}: write A(x) to apply A to an array"
            )
        factors.extend(one.factors if isinstance(one, Chain) else [one])
    check_factors(factors)
    return Chain(tuple(factors))


def add(*maps: object) -> Map:
    """Return the sum of maps of one input as one flat sum.

    Raises: KindError when an argument is not a map, ShapeError when the shapes differ.
    """
    parts: list[Map] = []
    for one in maps:
        if not isinstance(one, Map):
            raise KindError(
                f"+ adds two operators or maps, but one operand is {shown(one)} "
                f"({type(one).__name__}): add a bias with ca.affine(A, b)"
            )
        nested = isinstance(one, Branches) and one.axis is None
        parts.extend(one.parts if nested else [one])  # type: ignore[attr-defined]  # narrowed by `nested`
    check_terms(parts)
    return Branches(tuple(parts))


def spread_over(values: Array, shape: tuple[Size, ...]) -> Array:
    """Return values reshaped to broadcast to `shape`.

    `values` is one number, one number per channel, or one per entry.
    """
    if values.shape == shape or not values.ndim:
        return values
    return values.reshape(values.shape + (1,) * (len(shape) - values.ndim))


def spreading(before: tuple[Size, ...], after: tuple[Size, ...]) -> Operator:
    """Return the operator that copies values of shape `before` to all entries of `after`.

    The values are broadcast as by `spread_over`; the adjoint sums over the copies of each value.
    """
    windows.check_places(size_product(after), f"entries of {after}", windows.BYTES_PER_ENTRY)
    indices = np.arange(size_product(before)).reshape(before)
    table = np.broadcast_to(spread_over(indices, after), after)
    return gathering(table, before, after)


def _checked_axis(axis: object, shapes: list[tuple[Size, ...]]) -> int:
    """Return the axis, counted from 0.

    Raises: ArgumentError when it is out of range, ShapeError when the shapes differ on another
    axis.
    """
    first = shapes[0]
    number = as_size(axis, "axis", least=-len(first))
    require_numbers([number], "axis")
    if number >= len(first):
        raise ArgumentError(
            f"axis must be between {-len(first)} and {len(first) - 1} for a shape of {first}, not "
            f"{axis}"
        )
    number %= len(first)
    for shape in shapes[1:]:
        rest = [(*s[:number], *s[number + 1 :]) for s in (first, shape)]
        if len(shape) != len(first) or rest[0] != rest[1]:
            raise ShapeError(
                f"shapes must agree on all axes but axis {number} to be concatenated along it, but "
                f"{first} and {shape} do not"
            )
    return number


def _check_inputs(parts: Sequence[Map]) -> None:
    for part in parts[1:]:
        if part.in_shape != parts[0].in_shape:
            raise ShapeError(
                f"branches must have the same input shape, but one has {parts[0].in_shape} and "
                f"another {part.in_shape}"
            )


def _line(start: str, mark: str, parts: Sequence[Map], end: str = "") -> str:
    """Return the parts as one line of bounded length.

    If there are many parts, only the first ones and the last one are listed.
    """
    from convalg.faces.text import LONGEST_LINE, MOST_PARTS

    left_out = 0 if len(parts) <= MOST_PARTS else len(parts) - MOST_PARTS + 1
    shown = [*parts[: MOST_PARTS - 2], parts[-1]] if left_out else parts
    texts = [f"({part!r})" if mark == " @ " and _is_sum(part) else repr(part) for part in shown]
    if left_out:
        texts.insert(-1, f"<{left_out} more>")
    line = f"{start}{mark.join(texts)}{end}"
    return line if len(line) <= LONGEST_LINE else f"{line[:200]} ... {line[-80:]}"


def _is_sum(part: Map) -> bool:
    return isinstance(part, (Sum, Scaled)) or (isinstance(part, Branches) and part.axis is None)


def _named(parts: tuple[Map, ...]) -> dict[str, Array]:
    """Return the parameters of all parts; each name starts with the number of its part."""
    numbered = ((f"{k}.{name}", v) for k, p in enumerate(parts) for name, v in p.parameters.items())
    return dict(numbered)


def _split(name: str, count: int, owner: Map) -> tuple[int, str]:
    """Return the number of a part and the name of its parameter, from a name such as "1.kernel".

    Raises: ArgumentError when no parameter has this name.
    """
    number, dot, own = str(name).partition(".")
    if not dot or not number.isdecimal() or int(number) >= count:
        raise ArgumentError(
            f"name must be one of the parameters {', '.join(owner.parameters) or '(none)'}, not "
            f"{shown(name)}"
        )
    return int(number), own


def _frozen(values: Array) -> Array:
    copy = values.copy()
    copy.setflags(write=False)
    return copy
