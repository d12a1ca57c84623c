"""The interface of all layers: shapes, arrays, which inputs each output reads, the map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, ClassVar

import numpy as np

from convalg.arrays import Array
from convalg.axis import Axis, holds
from convalg.errors import KindError, ShapeError
from convalg.limits import check_memory, check_room
from convalg.network.layers.checks import LAYER_CHECKS
from convalg.network.layers.grids import Windows
from convalg.operators.tree import Map, Operator
from convalg.size import size_product

Shape = tuple[Any, ...]
Indices = tuple[Array, ...]
"""A set of entries of an array: the product of one sorted array of indices for each axis."""


@dataclass(frozen=True)
class Link:
    """Which inputs an output reads along one axis: by `axis`, or by its adjoint if `transposed`."""

    axis: Axis
    transposed: bool = False
    table: Windows | None = None
    """The exact windows where the step is a fraction; `axis` then covers them."""

    @cached_property
    def reach(self) -> tuple[Any, Any]:
        """The padding before the input, and the length of a window less 1."""
        return self.axis.before, self.axis.span - 1

    @property
    def is_tight(self) -> bool:
        """Whether the first and the last input within the bounds of a window are always read."""
        return self.table is None and (not self.transposed or holds(self.axis.stride == 1))

    def reads(self, outputs: Array) -> Array:
        """Return the inputs that some outputs read, sorted; all sizes must be integers."""
        if self.table is not None:
            return index_union([self.table.window(int(o)) for o in outputs])
        return _inverse(self.axis, outputs) if self.transposed else _forward(self.axis, outputs)

    def readers(self, inputs: Array) -> Array:
        """Return the outputs that read some inputs, sorted; all sizes must be integers."""
        if self.table is not None:
            check_indices(self.table.out_size, "the windows of all outputs", each=BYTES_A_WINDOW)
            hits = (len(np.intersect1d(inputs, row)) > 0 for row in self.table)
            return np.flatnonzero(np.fromiter(hits, bool, len(self.table)))
        return _forward(self.axis, inputs) if self.transposed else _inverse(self.axis, inputs)


BYTES_AN_INDEX = 40
"""The approximate memory for one (output, tap) while the inputs that are read are listed."""
BYTES_A_WINDOW = 500
"""The approximate memory for one window while the outputs that read an input are listed."""
MOST_BYTES = 2**30
"""The largest memory for the indices of one axis."""


def check_indices(count: int, what: str, *, each: int = BYTES_AN_INDEX) -> None:
    """Raise TooLargeError if a list of indices would take too much memory."""
    what = f"a list of {what}"
    check_memory(count * each, MOST_BYTES, what=what, instead="use smaller sizes", fixed=True)


def all_indices(size: int) -> Array:
    """Return all indices of an axis."""
    check_indices(size, f"{size} indices", each=8)
    return np.arange(size)


def index_union(windows: list[range]) -> Array:
    """Return the indices in any of the windows, sorted."""
    if not windows:
        return np.arange(0)
    check_indices(sum(map(len, windows)), "the indices that are read", each=8)
    return np.unique(np.concatenate([np.arange(w.start, w.stop) for w in windows]))


def _forward(axis: Axis, outputs: Array) -> Array:
    """Return the inputs that outputs of an axis read."""
    taps, count = int(axis.taps), len(outputs)
    if count == 1 and axis.boundary == "zeros" and axis.dilation == 1:
        first = int(axis.raw(int(outputs[0]), 0))
        return index_union([range(max(first, 0), min(first + taps, int(axis.in_size)))])
    check_indices(count * taps, f"{count} outputs with {taps} taps")
    inputs = axis.read_by(outputs)[0]
    return np.unique(inputs[inputs >= 0])


def _inverse(axis: Axis, inputs: Array) -> Array:
    """Return the outputs of an axis that read any of some inputs."""
    taps, count = int(axis.taps), len(inputs)
    size = int(axis.out_size)
    if axis.boundary != "zeros":
        check_indices(size * taps, f"{size} outputs with {taps} taps")
        return np.flatnonzero(np.isin(axis.columns(), inputs).any(axis=1))
    check_indices(count * taps, f"{count} inputs with {taps} taps")
    # stride * output = input - (the position that tap t of output 0 reads).
    steps = inputs[:, None] - np.asarray(axis.raw(0, np.arange(taps)))[None, :]
    outputs = steps[steps % axis.stride == 0] // axis.stride
    return np.unique(outputs[(outputs >= 0) & (outputs < size)])


@dataclass(frozen=True)
class Cost:
    """The cost of a layer, or of a network (`Network.counts`), for one sample.

    `parameters` are the trainable ones. `nonzeros` are those of the matrix, `padded` the
    multiplications if padding zeros are multiplied too. `unshared` and `connected` are the
    parameters without weight sharing, and if every output read every input.
    """

    parameters: int = 0
    nonzeros: int = 0
    padded: int = 0
    unshared: int = 0
    connected: int = 0


@dataclass(frozen=True)
class Layer(ABC):
    """The base class of all layers; immutable, so one can be used several times in a network.

    A layer does not store the shape of its input: methods take it. Shapes are
    `(channels, *spatial)`, without a batch axis.

    >>> import convalg as ca
    >>> isinstance(ca.layers.ReLU(), ca.layers.Layer)
    True
    """

    def __post_init__(self) -> None:
        # Arguments are checked by name, so that no layer with invalid arguments can be built.
        for entry in fields(self):
            value, check = getattr(self, entry.name), LAYER_CHECKS.get(entry.name)
            if check is not None and not (value is None and entry.default is None):
                object.__setattr__(self, entry.name, check(value, entry.name))

    many: ClassVar[bool] = False
    """Whether the layer takes several inputs."""
    linear: ClassVar[bool] = False
    """Whether the layer is linear, or affine, in its input."""

    @abstractmethod
    def out_shape(self, *shapes: Shape) -> Shape:
        """Return the shape of the output, `(channels, *spatial)`, from those of the inputs."""

    @abstractmethod
    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        """Return the layer as a map, for inputs of these shapes and with these arrays."""

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        """Return the shapes of the trainable arrays by name."""
        return {}

    def buffers(self, *shapes: Shape) -> dict[str, Shape]:
        """Return the shapes of the arrays that are set but not trained, such as running means."""
        return {}

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        """Return which inputs an output reads along each spatial axis; None for all of them."""
        return tuple(map(_same, shape[1:]))

    def channels(self, shape: Shape) -> Array | None:
        """Return which input channels each output channel reads, as booleans; None for its own."""
        return None

    def read_channels(self, shape: Shape, outputs: Array) -> Array:
        """Return the input channels that some output channels read, sorted."""
        own = self.channels(shape)
        return outputs if own is None else np.flatnonzero(own[outputs].any(axis=0))

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        """Return exactly those entries of input number `port` that entries of the output read.

        Args:
            units: a product of index sets over the axes of the output, channels first.
            shapes: the shapes of all inputs.
            port: the index of the input.

        Returns:
            A union of such products over the axes of the input, some of which may be empty.
        """
        shape = shapes[port]
        links = self.links(shape)
        if links is None:
            spatial = tuple(map(all_indices, shape[1:]))
        else:
            spatial = tuple(k.reads(u) for k, u in zip(links, units[1:], strict=True))
        return [(self.read_channels(shape, units[0]), *spatial)]

    def reads_all(self, shape: Shape) -> bool:
        """Return whether each output reads all entries of the input, where there are no links."""
        return False

    def join(self, inputs: list[Array]) -> Array:
        """Return the output of a layer with several inputs, for a batch of each.

        Raises:
            KindError: for a layer with one input.
        """
        raise KindError(f"{self!r} takes one input, not {len(inputs)}")

    def joins(self, shapes: tuple[Shape, ...]) -> list[Operator]:
        """Return an operator for each of several inputs; the output is the sum of their results.

        Raises:
            KindError: for a layer with one input.
        """
        raise KindError(f"{self!r} takes one input, not {len(shapes)}")

    def cost(self, *shapes: Shape) -> Cost:
        """Return the numbers of parameters, non-zeros and multiplications."""
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
    """Return the link by which each output reads the input at its own position."""
    return Link(Axis(size, size))


def only_shape(shapes: tuple[Shape, ...]) -> Shape:
    """Return the shape of the only input. Raises: ShapeError when there are more, or none."""
    if len(shapes) != 1:
        raise ShapeError(f"this layer takes one input, not {len(shapes)} of shapes {shapes}")
    return shapes[0]


def channels_of(shape: Shape) -> Any:
    """Return the number of channels of a shape. Raises: ShapeError when it has no axes."""
    if not shape:
        raise ShapeError(f"the shape of a layer's input is (channels, *spatial), not {shape}")
    return shape[0]


def grouped(outputs: int, inputs: Any, groups: int) -> Array:
    """Return which input channels each output channel of a grouped layer reads."""
    check_room(outputs * int(inputs), 1, f"a table of {outputs} by {inputs} channels")
    block = np.ones((outputs // groups, int(inputs) // groups), dtype=bool)
    return np.kron(np.eye(groups, dtype=bool), block)


def grouped_channels(outputs: int, inputs: Any, groups: int, units: Array) -> Array:
    """Return the input channels that some output channels of a grouped layer read."""
    # Without the table of all channels, which may be large.
    each = int(inputs) // groups
    blocks = np.unique(units // (outputs // groups))
    return (blocks[:, None] * each + np.arange(each)).ravel()


def regrouped(units: Indices, shape: Shape, wanted: Shape) -> list[Indices]:
    """Return the same entries of an array after a reshape to `wanted`, in row-major order."""
    sizes, after = tuple(map(int, shape)), tuple(map(int, wanted))
    if all(len(u) == n for u, n in zip(units, sizes, strict=True)):
        return [tuple(map(all_indices, after))]
    check_indices(size_product(sizes), f"{size_product(sizes)} entries", each=2)
    mask = np.zeros(sizes, dtype=bool)
    mask[np.ix_(*units)] = True
    return products(mask.reshape(after))


def products(mask: Array) -> list[Indices]:
    """Return the set of entries where a mask is true, as a union of products.

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
