"""What every layer of a network can be asked: shapes, arrays, what it reads, the map that it is."""

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
"""A set of entries of an array as a product: one sorted array of indices for each axis."""


@dataclass(frozen=True)
class Link:
    """What an output reads along one axis: the axis of a layer, or with `turned` its adjoint."""

    axis: Axis
    turned: bool = False
    table: Windows | None = None
    """What each output really reads, where the step is a fraction: then the axis covers it."""

    @cached_property
    def reach(self) -> tuple[Any, Any]:
        """How far output 0 reaches before the input, and how far it reaches from there."""
        return self.axis.before, self.axis.span - 1

    @property
    def is_tight(self) -> bool:
        """Whether the first and the last input in the bounds of a window are read themselves."""
        return self.table is None and (not self.turned or holds(self.axis.stride == 1))

    def reads(self, outputs: Array) -> Array:
        """The inputs that some outputs read, sorted. Needs numbers for all sizes."""
        if self.table is not None:
            return joined([self.table.window(int(o)) for o in outputs])
        return _inverse(self.axis, outputs) if self.turned else _forward(self.axis, outputs)

    def readers(self, inputs: Array) -> Array:
        """The outputs that read some inputs, sorted. Needs numbers for all sizes."""
        if self.table is not None:
            check_indices(self.table.out_size, "the windows of all outputs", each=BYTES_A_WINDOW)
            hits = (len(np.intersect1d(inputs, row)) > 0 for row in self.table)
            return np.flatnonzero(np.fromiter(hits, bool, len(self.table)))
        return _forward(self.axis, inputs) if self.turned else _inverse(self.axis, inputs)


BYTES_AN_INDEX = 40
"""About what one (output, tap) takes while the inputs that are read are listed."""
BYTES_A_WINDOW = 500
MOST_BYTES = 2**30
"""What the indices of one axis may take."""


def check_indices(count: int, what: str, *, each: int = BYTES_AN_INDEX) -> None:
    """Raises: TooLargeError for indices that cannot be listed, before they are."""
    what = f"a list of {what}"
    check_memory(count * each, MOST_BYTES, what=what, instead="take smaller sizes", fixed=True)


def everything(size: int) -> Array:
    """All indices of an axis."""
    check_indices(size, f"{size} indices", each=8)
    return np.arange(size)


def joined(windows: list[range]) -> Array:
    """The indices in any of some windows, sorted."""
    if not windows:
        return np.arange(0)
    check_indices(sum(map(len, windows)), "the indices that are read", each=8)
    return np.unique(np.concatenate([np.arange(w.start, w.stop) for w in windows]))


def _forward(axis: Axis, outputs: Array) -> Array:
    """The inputs that outputs of an axis read."""
    taps, count = int(axis.taps), len(outputs)
    if count == 1 and axis.boundary == "zeros" and axis.dilation == 1:
        first = int(axis.raw(int(outputs[0]), 0))
        return joined([range(max(first, 0), min(first + taps, int(axis.in_size)))])
    check_indices(count * taps, f"{count} outputs with {taps} taps")
    found = axis.read_by(outputs)[0]
    return np.unique(found[found >= 0])


def _inverse(axis: Axis, inputs: Array) -> Array:
    """The outputs of an axis that read inputs."""
    taps, count = int(axis.taps), len(inputs)
    outputs = int(axis.out_size)
    if axis.boundary != "zeros":
        check_indices(outputs * taps, f"{outputs} outputs with {taps} taps")
        return np.flatnonzero(np.isin(axis.columns(), inputs).any(axis=1))
    check_indices(count * taps, f"{count} inputs with {taps} taps")
    # stride * output = input - what tap t of output 0 reads.
    steps = inputs[:, None] - np.asarray(axis.raw(0, np.arange(taps)))[None, :]
    found = steps[steps % axis.stride == 0] // axis.stride
    return np.unique(found[(found >= 0) & (found < outputs)])


@dataclass(frozen=True)
class Cost:
    """What a layer costs; see `Network.counts`."""

    parameters: int = 0
    nonzeros: int = 0
    padded: int = 0
    unshared: int = 0
    connected: int = 0


@dataclass(frozen=True)
class Layer(ABC):
    """A layer of a network; frozen, so that one can stand at several places."""

    def __post_init__(self) -> None:
        # Each argument is checked by its name, so that no layer can be made of nonsense.
        for entry in fields(self):
            value, check = getattr(self, entry.name), LAYER_CHECKS.get(entry.name)
            if check is not None and not (value is None and entry.default is None):
                object.__setattr__(self, entry.name, check(value, entry.name))

    many: ClassVar[bool] = False
    """Whether it takes several inputs."""
    linear: ClassVar[bool] = False
    """Whether it is linear, or affine, in its input."""

    @abstractmethod
    def out_shape(self, *shapes: Shape) -> Shape:
        """The shape of the output, `(channels, *spatial)`, from those of the inputs."""

    @abstractmethod
    def map(self, shapes: tuple[Shape, ...], weights: dict[str, Array]) -> Map:
        """The layer for inputs of these shapes; for several inputs, of them one behind another."""

    def weights(self, *shapes: Shape) -> dict[str, Shape]:
        """The shapes of its trainable arrays by name."""
        return {}

    def buffers(self, *shapes: Shape) -> dict[str, Shape]:
        """The shapes of arrays that are set but not trained: running statistics."""
        return {}

    def links(self, shape: Shape) -> tuple[Link, ...] | None:
        """What an output reads along each spatial axis; None where it reads all of them."""
        return tuple(map(_same, shape[1:]))

    def channels(self, shape: Shape) -> Array | None:
        """Which input channels each output channel reads, as booleans; None: its own only."""
        return None

    def read_channels(self, shape: Shape, outputs: Array) -> Array:
        """The input channels that some output channels read, sorted."""
        own = self.channels(shape)
        return outputs if own is None else np.flatnonzero(own[outputs].any(axis=0))

    def reads(self, units: Indices, shapes: tuple[Shape, ...], port: int = 0) -> list[Indices]:
        """Exactly the entries of input number `port` that entries of the output read.

        Shapes: `units` a product of index sets over the axes of the output, channels first; the
        result a union of such products over the axes of the input, some of which may be empty.
        """
        shape = shapes[port]
        links = self.links(shape)
        if links is None:
            spatial = tuple(map(everything, shape[1:]))
        else:
            spatial = tuple(k.reads(u) for k, u in zip(links, units[1:], strict=True))
        return [(self.read_channels(shape, units[0]), *spatial)]

    def reads_all(self, shape: Shape) -> bool:
        """Whether each output reads all samples of the input, where it has no links."""
        return False

    def join(self, inputs: list[Array]) -> Array:
        """The output of a layer with several inputs, from batches of them.

        Raises: KindError for a layer with one input.
        """
        raise KindError(f"{self!r} takes one input, and joins none of {len(inputs)}")

    def joins(self, shapes: tuple[Shape, ...]) -> list[Operator]:
        """What takes each of several inputs to the output, which is their sum."""
        raise KindError(f"{self!r} takes one input, and joins none of {len(shapes)}")

    def cost(self, *shapes: Shape) -> Cost:
        """Parameters and multiplications."""
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
def _same(size: Any) -> Link:
    """The axis along which each output reads its own input."""
    return Link(Axis(size, size))


def one(shapes: tuple[Shape, ...]) -> Shape:
    """The shape of the only input. Raises: ShapeError when there are more, or none."""
    if len(shapes) != 1:
        raise ShapeError(f"this layer takes one input, not {len(shapes)} of shapes {shapes}")
    return shapes[0]


def channels_of(shape: Shape) -> Any:
    """The number of channels of a shape. Raises: ShapeError when it has no axes."""
    if not shape:
        raise ShapeError(f"a layer's input is (channels, *spatial), not {shape}")
    return shape[0]


def grouped(outputs: int, inputs: Any, groups: int) -> Array:
    """Which input channels each output channel reads."""
    check_room(outputs * int(inputs), 1, f"a table of {outputs} by {inputs} channels")
    block = np.ones((outputs // groups, int(inputs) // groups), dtype=bool)
    return np.kron(np.eye(groups, dtype=bool), block)


def grouped_channels(outputs: int, inputs: Any, groups: int, units: Array) -> Array:
    """The input channels that some output channels read, without the table of all of them."""
    each = int(inputs) // groups
    blocks = np.unique(units // (outputs // groups))
    return (blocks[:, None] * each + np.arange(each)).ravel()


def regrouped(units: Indices, shape: Shape, wanted: Shape) -> list[Indices]:
    """Entries of an array as those of the same numbers in another shape, in row-major order."""
    sizes, after = tuple(map(int, shape)), tuple(map(int, wanted))
    if all(len(u) == n for u, n in zip(units, sizes, strict=True)):
        return [tuple(map(everything, after))]
    check_indices(size_product(sizes), f"{size_product(sizes)} entries", each=2)
    mask = np.zeros(sizes, dtype=bool)
    mask[np.ix_(*units)] = True
    return products(mask.reshape(after))


def products(mask: Array) -> list[Indices]:
    """A set of entries as a union of products, from the mask.

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
