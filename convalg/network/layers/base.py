"""The interface of all layers: shapes, trainable arrays, dependence of outputs on inputs, map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, ClassVar, TypeAlias

import numpy as np

from convalg.arrays import Array
from convalg.axis import Axis, Size, holds
from convalg.errors import KindError, ShapeError
from convalg.limits import check_memory, check_room
from convalg.network.layers.checks import LAYER_CHECKS
from convalg.network.layers.grids import Windows
from convalg.operators.tree import Map, Operator
from convalg.size import size_product

Shape: TypeAlias = "tuple[Size, ...]"
"""The shape of one sample, `(channels, *spatial)`, or a part of it: integers or symbols."""
Indices = tuple[Array, ...]
"""A set of entries of an array: the product of sorted arrays of indices, one for each axis."""


@dataclass(frozen=True)
class Link:
    """The inputs that each output reads along one axis.

    They are the inputs read by a layer with the windows `axis`, or by its adjoint if `transposed`.
    """

    axis: Axis
    transposed: bool = False
    table: Windows | None = None
    """The exact windows if their step is a fraction; `axis` is then a hull of them."""

    @cached_property
    def reach(self) -> tuple[Any, Any]:
        """The padding before the input, and the length of a window minus 1."""
        return self.axis.before, self.axis.span - 1

    @property
    def is_tight(self) -> bool:
        """Whether every output reads the first and the last input of its window."""
        return self.table is None and (not self.transposed or holds(self.axis.stride == 1))

    def reads(self, outputs: Array) -> Array:
        """Return the sorted indices of the inputs that given outputs read; sizes are integers."""
        if self.table is not None:
            return index_union([self.table.window(int(o)) for o in outputs])
        return _inverse(self.axis, outputs) if self.transposed else _forward(self.axis, outputs)

    def readers(self, inputs: Array) -> Array:
        """Return the sorted indices of the outputs that read given inputs; sizes are integers."""
        if self.table is not None:
            check_indices(self.table.out_size, "the windows of all outputs", each=BYTES_A_WINDOW)
            hits = (len(np.intersect1d(inputs, row)) > 0 for row in self.table)
            return np.flatnonzero(np.fromiter(hits, bool, len(self.table)))
        return _forward(self.axis, inputs) if self.transposed else _inverse(self.axis, inputs)


BYTES_AN_INDEX = 40
"""The approximate memory per pair (output, tap) while inputs are listed, in bytes."""
BYTES_A_WINDOW = 500
"""The approximate memory per window while the outputs that read an input are listed, in bytes."""
MOST_BYTES = 2**30
"""The largest memory for the indices of one axis, in bytes."""


def check_indices(count: int, what: str, *, each: int = BYTES_AN_INDEX) -> None:
    """Raise TooLargeError if a list of indices does not fit in memory."""
    what = f"a list of {what}"
    check_memory(count * each, MOST_BYTES, what=what, instead="use smaller sizes", fixed=True)


def all_indices(size: int) -> Array:
    """Return all indices of an axis of a given size."""
    check_indices(size, f"{size} indices", each=8)
    return np.arange(size)


def index_union(windows: list[range]) -> Array:
    """Return the sorted indices that are in at least one of the windows."""
    if not windows:
        return np.arange(0)
    check_indices(sum(map(len, windows)), "the indices that are read", each=8)
    return np.unique(np.concatenate([np.arange(w.start, w.stop) for w in windows]))


def _forward(axis: Axis, outputs: Array) -> Array:
    """Return the inputs that given outputs of an axis read."""
    taps, count = int(axis.taps), len(outputs)
    if count == 1 and axis.boundary == "zeros" and axis.dilation == 1:
        first = int(axis.raw(int(outputs[0]), 0))
        return index_union([range(max(first, 0), min(first + taps, int(axis.in_size)))])
    check_indices(count * taps, f"{count} outputs with {taps} taps")
    inputs = axis.read_by(outputs)[0]
    return np.unique(inputs[inputs >= 0])


def _inverse(axis: Axis, inputs: Array) -> Array:
    """Return the outputs of an axis that read at least one of the given inputs."""
    taps, count = int(axis.taps), len(inputs)
    size = int(axis.out_size)
    if axis.boundary != "zeros":
        check_indices(size * taps, f"{size} outputs with {taps} taps")
        return np.flatnonzero(np.isin(axis.columns(), inputs).any(axis=1))
    check_indices(count * taps, f"{count} inputs with {taps} taps")
    # Tap t of output o reads input i if stride * o = i - (the position tap t of output 0 reads).
    steps = inputs[:, None] - np.asarray(axis.raw(0, np.arange(taps)))[None, :]
    outputs = steps[steps % axis.stride == 0] // axis.stride
    return np.unique(outputs[(outputs >= 0) & (outputs < size)])


@dataclass(frozen=True)
class Cost:
    """The cost of a layer (`Network.cost`) or of a network (`Network.counts`) for one sample.

    Attributes:
        parameters: the number of trainable parameters.
        nonzeros: the number of non-zeros of the matrix.
        padded: the number of multiplications if products with padding zeros are included.
        unshared: the number of parameters if no weights were shared between positions.
        connected: the number of parameters if every output read every input.
    """

    parameters: int = 0
    nonzeros: int = 0
    padded: int = 0
    unshared: int = 0
    connected: int = 0


@dataclass(frozen=True)
class Layer(ABC):
    """The base class of all layers.

    A layer is immutable, so the same object can be added to networks several times. It does not
    store the shape of its input, which is an argument of its methods. Shapes are
    `(channels, *spatial)`, without a batch axis.

    >>> import convalg as ca
    >>> isinstance(ca.layers.ReLU(), ca.layers.Layer)
    True
    """

    def __post_init__(self) -> None:
        # Arguments are checked here, by name, so that a layer with invalid arguments cannot exist.
        for entry in fields(self):
            value, check = getattr(self, entry.name), LAYER_CHECKS.get(entry.name)
            if check is not None and not (value is None and entry.default is None):
                object.__setattr__(self, entry.name, check(value, entry.name))

    many: ClassVar[bool] = False
    """Whether the layer may have several inputs."""
    linear: ClassVar[bool] = False
    """Whether the layer is a linear or affine function of its input."""

    @abstractmethod
    def out_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the output, `(channels, *spatial)`.

        Args:
            *shapes: the shape of each input.

        Raises:
            ShapeError: when the layer does not accept inputs of these shapes.
        """

    @abstractmethod
    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        """Return the layer as a map.

        Args:
            shapes: the shape of each input.
            weights: the arrays by name, with the shapes of `weights` and `buffers`.
        """

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        """Return the shapes of the trainable arrays by name.

        Args:
            *shapes: the shape of each input.

        >>> import convalg as ca
        >>> ca.layers.Conv(8, 3).weights((1, 28, 28))
        {'kernel': (8, 1, 3, 3), 'bias': (8,)}
        """
        return {}

    def buffers(self, *shapes: Shape) -> dict[str, Shape]:
        """Return by name the shapes of the arrays that are not trained, such as running means.

        Args:
            *shapes: the shape of each input.

        >>> import convalg as ca
        >>> ca.layers.BatchNorm().buffers((8, 4, 4))
        {'mean': (8,), 'variance': (8,)}
        """
        return {}

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        """Return one `Link` for each spatial axis: the inputs that each output reads along it.

        The result is None if outputs and inputs are not related axis by axis.

        Args:
            shape: the shape of the input.
        """
        return tuple(map(_same, shape[1:]))

    def channels(self, shape: Shape) -> Array | None:
        """Return a boolean array `(output channels, input channels)`: which channels are read.

        The result is None if each output channel reads only the input channel of the same index.

        Args:
            shape: the shape of the input.
        """
        return None

    def read_channels(self, shape: Shape, outputs: Array) -> Array:
        """Return the sorted indices of the input channels that given output channels read.

        Args:
            shape: the shape of the input.
            outputs: the indices of the output channels.
        """
        own = self.channels(shape)
        return outputs if own is None else np.flatnonzero(own[outputs].any(axis=0))

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        """Return the exact set of entries of one input that given entries of the output read.

        Args:
            units: the entries of the output: one sorted array of indices for each axis, channels
                first, whose product is the set.
            shapes: the shapes of all inputs.
            port: the index of the input.

        Returns:
            A list of products of the same form over the axes of the input, whose union is the
            set; some of them may be empty.
        """
        shape = shapes[port]
        links = self.links(shape)
        if links is None:
            spatial = tuple(map(all_indices, shape[1:]))
        else:
            spatial = tuple(k.reads(u) for k, u in zip(links, units[1:], strict=True))
        return [(self.read_channels(shape, units[0]), *spatial)]

    def reads_all(self, shape: Shape) -> bool:
        """Return whether each output reads all entries of the input if `links` returns None.

        Args:
            shape: the shape of the input.
        """
        return False

    def join(self, inputs: list[Array]) -> Array:
        """Return the output of a layer with several inputs.

        Args:
            inputs: for each input, a batch of shape `(batch, *shape)`.

        Raises:
            KindError: when the layer has only one input.
        """
        raise KindError(f"{self!r} has one input, not {len(inputs)}: apply its map instead")

    def joins(self, shapes: tuple[Shape, ...]) -> list[Operator]:
        """Return one operator for each input; the output is the sum of their results.

        Args:
            shapes: the shape of each input.

        Raises:
            KindError: when the layer has only one input.
        """
        raise KindError(f"{self!r} has one input, not {len(shapes)}: use its map instead")

    def cost(self, *shapes: Shape) -> Cost:
        """Return the counts of the layer for one sample as a `Cost`.

        Args:
            *shapes: the shape of each input, in integers.

        >>> import convalg as ca
        >>> ca.layers.Conv(1, 3, padding=1, bias=False).cost((1, 4)).nonzeros
        10
        """
        return Cost(parameters=sum(size_product(s) for s in self.weights(*shapes).values()))

    def __repr__(self) -> str:
        shown = []
        for entry in fields(self):
            value = getattr(self, entry.name)
            if value != entry.default:
                name = "" if entry.name in ("out_channels", "kernel_size") else f"{entry.name}="
                shown.append(f"{name}{value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


@lru_cache(maxsize=512, typed=True)
def _same(size: object) -> Link:
    """Return the link of an axis along which each output reads the input of the same index."""
    return Link(Axis(size, size))


def only_shape(shapes: tuple[Shape, ...]) -> Shape:
    """Return the shape of the only input. Raises: ShapeError unless there is exactly one."""
    if len(shapes) != 1:
        raise ShapeError(f"this layer has one input, not {len(shapes)} inputs of shapes {shapes}")
    return shapes[0]


def channels_of(shape: Shape) -> Any:
    """Return the number of channels of a shape. Raises: ShapeError when it has no axes."""
    if not shape:
        raise ShapeError(f"the shape of a layer's input must be (channels, *spatial), not {shape}")
    return shape[0]


def grouped(outputs: int, inputs: Size, groups: int) -> Array:
    """Return `Layer.channels` of a layer with groups of channels."""
    check_room(outputs * int(inputs), 1, f"a table of {outputs} by {inputs} channels")
    block = np.ones((outputs // groups, int(inputs) // groups), dtype=bool)
    return np.kron(np.eye(groups, dtype=bool), block)


def grouped_channels(outputs: int, inputs: Size, groups: int, units: Array) -> Array:
    """Return `Layer.read_channels` of a layer with groups of channels."""
    # Computed without the array of `grouped`, which may be large.
    each = int(inputs) // groups
    blocks = np.unique(units // (outputs // groups))
    return (blocks[:, None] * each + np.arange(each)).ravel()


def regrouped(units: Indices, shape: Shape, wanted: Shape) -> list[Indices]:
    """Return the set of the same entries after a row-major reshape from `shape` to `wanted`."""
    sizes, after = tuple(map(int, shape)), tuple(map(int, wanted))
    if all(len(u) == n for u, n in zip(units, sizes, strict=True)):
        return [tuple(map(all_indices, after))]
    check_indices(size_product(sizes), f"{size_product(sizes)} entries", each=2)
    mask = np.zeros(sizes, dtype=bool)
    mask[np.ix_(*units)] = True
    return products(mask.reshape(after))


def products(mask: Array) -> list[Indices]:
    """Return the set of entries where a mask is True, as a union of products.

    >>> [[list(map(int, k)) for k in p] for p in products(np.array([[1, 1, 0], [1, 1, 0]]) > 0)]
    [[[0, 1], [0, 1]]]
    """
    if mask.ndim == 1:
        return [(np.flatnonzero(mask),)] if mask.any() else []
    alike: dict[bytes, list[int]] = {}
    for k, part in enumerate(mask):
        if part.any():
            alike.setdefault(part.tobytes(), []).append(k)
    return [(np.array(rows), *rest) for rows in alike.values() for rest in products(mask[rows[0]])]
