"""The receptive field of a node: its closed form, and the exact sets of pixels read."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError, KindError, SymbolicError
from convalg.network import dependence
from convalg.network.graph import INPUT, Graph
from convalg.network.layers.base import Indices, Shape, all_indices
from convalg.network.layers.shape import Concat
from convalg.network.reach import Reach, largest, reaches, smallest
from convalg.size import as_size, is_symbolic, size_text

if TYPE_CHECKING:
    import islpy


@dataclass(frozen=True, eq=False)
class ReceptiveField:
    """The part of the network's input that an output at a node reads.

    `size`, `stride` and `padding` have one number for each axis: output u reads positions
    -padding + stride u to -padding + stride u + size - 1, as if the data of the image and of
    every layer continued beyond their borders. If `exact`, it reads the first and the last of
    them; otherwise (after upsampling, transposed or opaque layers) they are bounds, printed as
    "at most". `mask`, `positions` and `box(u, clip=True)` give the pixels that are actually read.

    >>> import convalg as ca
    >>> net = ca.sequential((1, 9), [ca.layers.Conv(1, 3, dilation=2)])
    >>> net.receptive_field()
    <receptive field of conv1: 5, u reads [u, 4 + u]>
    """

    net: Graph
    node: str
    reach: Reach

    @property
    def size(self) -> tuple[Any, ...]:
        """Pixels along each axis, with holes and padding; an upper bound where not `exact`.

        Raises:
            KindError: where branches with different strides meet, so that it varies with u.
        """
        return tuple(span.size for span in self.reach.spans)

    @property
    def stride(self) -> tuple[Any, ...]:
        """Pixels between the fields of neighbouring outputs; a fraction after upsampling.

        Raises:
            KindError: as for `size`.
        """
        return tuple(span.stride for span in self.reach.spans)

    @property
    def padding(self) -> tuple[Any, ...]:
        """Pixels by which the field of output 0 begins before the image.

        Raises:
            KindError: as for `size`.
        """
        return tuple(-span.start for span in self.reach.spans)

    @property
    def exact(self) -> bool:
        """Whether an output whose path involves no padding reads both ends of its box.

        >>> import convalg as ca
        >>> layers = [ca.layers.Conv(1, 3), ca.layers.Upsample(2)]
        >>> net = ca.sequential((1, 9), layers)
        >>> net.receptive_field("conv1").exact, net.receptive_field("upsample1")
        (True, <receptive field of upsample1: at most 3, u reads within [-1/2 + 1/2u, 2 + 1/2u]>)
        """
        return self.reach.exact

    def center(self, u: object = 0) -> tuple[Any, ...]:
        """Return the centre of the field of an output, by axis.

        Args:
            u: the index of the output, one for all axes or one for each; integers or symbols.

        Raises:
            ArgumentError: when u is not an output of the node.
            KindError: as for `size`.
        """
        return tuple(
            span.middle + span.stride * index
            for span, index in zip(self.reach.spans, self._unit(u), strict=True)
        )

    def box(self, u: object = 0, *, clip: bool = False) -> tuple[tuple[Any, Any], ...]:
        """Return the first and the last position that an output reads, by axis.

        Args:
            u: the index of the output, one for all axes or one for each; integers or symbols.
            clip: False for the result of the recurrence, which includes padding and continues
                the data beyond every border: the exact ends if `exact`, otherwise bounds. True
                for the first and the last pixel of the image that are actually read, also under
                reflecting and circular boundaries; (0, -1) where none is read. If sizes are
                symbolic, True intersects the box with the image.

        Raises:
            ArgumentError: when u is not an output of the node.
            SymbolicError: with symbols and `clip`, for a boundary other than zeros.

        >>> import convalg as ca
        >>> around = ca.layers.Conv(1, 3, padding=1, boundary="circular")
        >>> field = ca.sequential((1, 9), [around]).receptive_field()
        >>> field.box(0), field.positions(0), field.box(0, clip=True)
        (((-1, 1),), ([0, 1, 8],), ((0, 8),))
        """
        if not isinstance(clip, bool):
            raise KindError(f"clip must be True or False, not {clip!r}")
        unit = self._unit(u)
        if not clip:
            return self.reach.hull(unit)
        sizes = self.net.in_shape[1:]
        if not any(is_symbolic(n) for n in (*self._sizes, *unit)):
            lines = dependence.positions(self._read(u), len(sizes))
            return tuple((line[0], line[-1]) if line else (0, -1) for line in lines)
        if self.reach.borders:
            raise SymbolicError(
                f"the pixels read under a {self.reach.border_text()} need numbers for sizes and "
                f"u, not u = {u} of {self!r}: use clip=False"
            )
        hulls = self.reach.hull(unit)
        return tuple(
            (largest(low, 0), smallest(high, n - 1))
            for (low, high), n in zip(hulls, sizes, strict=True)
        )

    def positions(self, u: object = 0) -> tuple[list[int], ...]:
        """Return the positions of the image that an output actually reads, by axis, without holes.

        These are the projections onto the axes; `mask` is the set itself. After an opaque layer
        they are all positions that may be read.

        Args:
            u: the index of the output, one for all axes or one for each.

        Raises:
            ArgumentError: when u is not an output of the node.
            SymbolicError: when sizes are symbolic.
            TooLargeError: for too many positions.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 9), [ca.layers.Conv(1, 3, dilation=2)])
        >>> net.receptive_field().positions(1)
        ([1, 3, 5],)
        """
        return dependence.positions(self._read(u), len(self.net.in_shape) - 1)

    def holes(self, u: object = 0) -> tuple[list[int], ...]:
        """Return the positions between the first and the last that are not read, by axis.

        Raises: as `positions`.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 9), [ca.layers.Conv(1, 3, dilation=2)])
        >>> net.receptive_field().holes(1)
        ([2, 4],)
        """
        return tuple(
            sorted(set(range(line[0], line[-1] + 1)) - set(line)) if line else []
            for line in self.positions(u)
        )

    def mask(self, u: object = 0) -> Array:
        """Return which pixels an output depends on, as booleans of the image's spatial shape.

        This is exact for generic weights; after an opaque layer, it is all that may be read.

        Args:
            u: the index of the output, one for all axes or one for each.

        Raises:
            ArgumentError: when u is not an output of the node.
            SymbolicError: when sizes are symbolic.
            TooLargeError: for too many pixels.
        """
        read = self._read(u)
        return dependence.mask(read, tuple(int(n) for n in self.net.in_shape[1:]))

    def readers(self, i: object) -> tuple[list[int], ...]:
        """Return the outputs that read a pixel, by axis.

        Args:
            i: the index of the pixel, one for all axes or one for each.

        Raises:
            KindError: when the outputs of the node are not indexed by position.
            ArgumentError: when the pixel is not in the image.
            SymbolicError: when sizes are symbolic.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 9), [ca.layers.Conv(1, 3, dilation=2)])
        >>> net.receptive_field().readers(4)
        ([0, 2, 4],)
        """
        if self.reach.kind != "lattice":
            raise KindError(
                f"the outputs of {self.node} are not indexed by position: each reads a whole "
                f"region, so choose an earlier node"
            )
        sizes = self.net.in_shape[1:]
        self._check_sizes()
        pixel = _indices(i, "i", sizes, "the image")
        parts = dependence.outputs_reading(self.net, self.node, pixel)
        return dependence.positions(parts, len(sizes))

    def channels(self, channel: int = 0) -> list[int]:
        """Return the input channels that an output channel reads.

        Raises:
            ArgumentError: when the node does not have that channel.
        """
        count = self.net.shapes[self.node][0]
        channel = as_size(channel, "channel", least=None)
        if not 0 <= channel < count:
            raise ArgumentError(f"channel must be 0 to {count - 1} at {self.node}, not {channel}")
        return np.flatnonzero(_channels(self.net, self.node, int(channel))).tolist()

    def relation(self, axis: int = 0) -> islpy.Map:
        """Return the exact relation {[output] -> [input]} along one axis, for symbolic sizes too.

        Raises:
            KindError: after a flattening, where channels of one branch are dropped again, and for
                an axis that does not exist.
        """
        from convalg.network.relations import relation

        axis = as_size(axis, "axis", least=None)
        if self.reach.kind != "lattice" or not 0 <= axis < len(self.reach.fans):
            raise KindError(
                f"{self.node} does not have an axis {axis} along which outputs read positions"
            )
        return relation(self.net, self.node, axis)

    def __repr__(self) -> str:
        border = self.reach.border_text()
        tail = f", {border}" if border else ""
        size = self.reach.size_text()
        return f"<receptive field of {self.node}: {size}, {self.reach.window_text()}{tail}>"

    # Units.

    @property
    def _sizes(self) -> Shape:
        """All sizes that must be numbers where sets are listed."""
        return (*self.net.in_shape, *self.net.shapes[self.node], *self.reach.sizes)

    def _unit(self, u: object) -> tuple[Any, ...]:
        """Return the index of a unit on the lattice that it reads from."""
        shape, kind = self.net.shapes[self.node], self.reach.kind
        if kind == "lattice":
            return _indices(u, "u", self.reach.sizes, self.node)
        if kind == "flat":
            if isinstance(u, (tuple, list)):
                return _indices(u, "u", self.reach.sizes, self.node)
            (index,) = _indices(u, "u", shape, self.node)
            inner = math.prod(self.reach.sizes)
            return tuple(int(k) for k in np.unravel_index(index % inner, self.reach.sizes))
        self._own(u)
        return (0,) * len(self.reach.fans)

    def _own(self, u: object) -> tuple[Any, ...]:
        """Return the index of a unit of a node with or without spatial axes."""
        shape = self.net.shapes[self.node]
        if len(shape) > 1:
            return _indices(u, "u", shape[1:], self.node)
        return () if u in ((), []) else _indices(u, "u", shape, self.node)

    def _check_sizes(self) -> None:
        """Raise SymbolicError where sizes are symbolic."""
        if any(is_symbolic(n) for n in self._sizes):
            raise SymbolicError(
                f"sets of positions need numbers for sizes: for symbolic sizes use "
                f"relation() of {self!r}"
            )

    def _read(self, u: object) -> list[Indices]:
        """Return the entries of the input that a unit reads."""
        self._check_sizes()
        shape = tuple(int(n) for n in self.net.shapes[self.node])
        channels = all_indices(shape[0])
        if len(shape) > 1:
            own = _indices(u, "u", shape[1:], self.node)
            units: Indices = (channels, *(np.array([int(k)]) for k in own))
        elif self.reach.kind == "flat" and isinstance(u, (tuple, list)) and len(u):
            inner = math.prod(self.reach.sizes)
            index = np.ravel_multi_index(self._unit(u), self.reach.sizes)
            units = (channels[channels % inner == index],)
        else:
            own = self._own(u)
            units = (np.array([int(k) for k in own]),) if own else (channels,)
        return dependence.inputs_read(self.net, self.node, units)


def _indices(u: object, name: str, sizes: Shape, where: str) -> tuple[Any, ...]:
    """Return an index for each axis, from one for all or a sequence.

    Raises: ArgumentError for an index outside `sizes`.
    """
    dims = len(sizes)
    given = tuple(u) if isinstance(u, (tuple, list)) else (u,) * dims
    if len(given) != dims:
        raise ArgumentError(f"{name} must be one index or {dims} of them, not {u!r}")
    if not dims:
        as_size(u, name, least=None) if not isinstance(u, (tuple, list)) else None
    indices = []
    for axis, (value, n) in enumerate(zip(given, sizes, strict=True)):
        index = as_size(value, name, least=None)
        beyond = not is_symbolic(index) and (index < 0 or (not is_symbolic(n) and index >= n))
        if beyond:
            most = n - 1 if not is_symbolic(n) else size_text(n - 1)
            raise ArgumentError(
                f"{name} must be 0 to {most} on axis {axis} of {where}, not {index}"
            )
        indices.append(index)
    return tuple(indices)


def receptive_field(net: Graph, node: str) -> ReceptiveField:
    """See `Network.receptive_field`."""
    return ReceptiveField(net, node, reaches(net)[node])


def _channels(net: Graph, node: str, channel: int) -> Array:
    """Return which input channels a channel of a node reads."""
    pending: dict[str, Array] = {node: np.arange(len(_flags(net, node))) == channel}
    for name in reversed(dependence.ordered(net, node)):
        here = pending.pop(name, None)
        if name == INPUT or here is None:
            return here if here is not None else _flags(net, INPUT)
        layer, shapes = net[name], net.input_shapes(name)
        start = 0
        for port, source in enumerate(net.sources(name)):
            count = int(shapes[port][0])
            if isinstance(layer, Concat):
                back = here[start : start + count]
                start += count
            elif layer.many:
                back = here
            else:
                back = _flags(net, source)
                back[layer.read_channels(shapes[port], np.flatnonzero(here))] = True
            old = pending.get(source)
            pending[source] = back if old is None else old | back
    return pending[INPUT]


def _flags(net: Graph, node: str) -> Array:
    return np.zeros(int(net.shapes[node][0]), dtype=bool)
