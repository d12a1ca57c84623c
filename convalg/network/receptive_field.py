"""The receptive field of a node: its size in closed form, and the exact set of pixels read."""

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
    """The part of the network's input on which an output of a node depends.

    `size`, `stride` and `padding` are tuples with one entry for each spatial axis. On one axis,
    output u reads positions from -padding + stride u to -padding + stride u + size - 1. These
    formulas ignore borders: they continue the image and every feature map beyond their ends.

    If `exact` is True, both end positions are read. Otherwise (after upsampling, transposed or
    opaque layers) the formulas are bounds, printed as "at most". `mask`, `positions` and
    `box(u, clip=True)` return the pixels of the image that are actually read.

    Attributes:
        net: the network.
        node: the name of the node whose outputs are described.
        reach: the result of the recurrence from which `size`, `stride` and `padding` are computed.

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
        """The size of the field along each axis in pixels, including holes and padding.

        It is an upper bound if `exact` is False.

        Raises:
            KindError: when branches with different strides meet, since the size then depends on u.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 9), [ca.layers.Conv(1, 3, dilation=2)])
        >>> net.receptive_field().size
        (5,)
        """
        return tuple(span.size for span in self.reach.spans)

    @property
    def stride(self) -> tuple[Any, ...]:
        """The distance in pixels between the fields of outputs u and u + 1, along each axis.

        It is a fraction after upsampling.

        Raises:
            KindError: when branches with different strides meet.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 9), [ca.layers.Conv(1, 3, stride=2), ca.layers.AvgPool(2)])
        >>> net.receptive_field().stride
        (4,)
        """
        return tuple(span.stride for span in self.reach.spans)

    @property
    def padding(self) -> tuple[Any, ...]:
        """The number of positions by which the field of output 0 begins before pixel 0.

        There is one entry for each axis; it is negative where the field begins inside the image.

        Raises:
            KindError: when branches with different strides meet.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 9), [ca.layers.Conv(1, 3, padding=1)] * 2)
        >>> net.receptive_field().padding
        (2,)
        """
        return tuple(-span.start for span in self.reach.spans)

    @property
    def exact(self) -> bool:
        """Whether an output that depends on no padding reads both end positions of `box(u)`.

        If False, `box(u)` and `size` are bounds, and the pixels that are read may begin later or
        end earlier.

        >>> import convalg as ca
        >>> layers = [ca.layers.Conv(1, 3), ca.layers.Upsample(2)]
        >>> net = ca.sequential((1, 9), layers)
        >>> net.receptive_field("conv1").exact, net.receptive_field("upsample1")
        (True, <receptive field of upsample1: at most 3, u reads within [-1/2 + 1/2u, 2 + 1/2u]>)
        """
        return self.reach.exact

    def center(self, u: object = 0) -> tuple[Any, ...]:
        """Return the centre of the field of output u: one position in pixels for each axis.

        Args:
            u: the index of the output, one for all axes or one for each; integers or symbols.

        Raises:
            ArgumentError: when u is not the index of an output of the node.
            KindError: when branches with different strides meet.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 9), [ca.layers.Conv(1, 3, dilation=2)])
        >>> net.receptive_field().center(1)
        (3,)
        """
        return tuple(
            span.middle + span.stride * index
            for span, index in zip(self.reach.spans, self._unit(u), strict=True)
        )

    def box(self, u: object = 0, *, clip: bool = False) -> tuple[tuple[Any, Any], ...]:
        """Return the pair (first position, last position) that output u reads, for each axis.

        Args:
            u: the index of the output, one for all axes or one for each; integers or symbols.
            clip: if False, the positions of the recurrence, which may be in the padding and ignore
                the rule of every boundary; they are bounds unless `exact` is True. If True, the
                first and the last pixel of the image that are actually read, also with reflecting
                and circular boundaries, and (0, -1) where no pixel is read. For symbolic sizes,
                True intersects the positions of the recurrence with the image.

        Raises:
            ArgumentError: when u is not the index of an output of the node.
            KindError: when clip is neither True nor False.
            SymbolicError: when clip is True, a size or u is symbolic, and a boundary on the path
                is not "zeros".
            TooLargeError: when clip is True and the list of positions does not fit in memory.

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
                f"the pixels read at a {self.reach.border_text()} are computed only for integer "
                f"sizes and indices, not for u = {u} of {self!r}: use clip=False"
            )
        hulls = self.reach.hull(unit)
        return tuple(
            (largest(low, 0), smallest(high, n - 1))
            for (low, high), n in zip(hulls, sizes, strict=True)
        )

    def positions(self, u: object = 0) -> tuple[list[int], ...]:
        """Return the sorted list of positions that output u actually reads, for each axis.

        These lists are the projections of the set of pixels onto the axes; `mask` returns the set
        itself. After an opaque layer, the lists contain all positions that may be read.

        Args:
            u: the index of the output, one for all axes or one for each.

        Raises:
            ArgumentError: when u is not the index of an output of the node.
            SymbolicError: when a size is symbolic.
            TooLargeError: when the lists of positions do not fit in memory.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 9), [ca.layers.Conv(1, 3, dilation=2)])
        >>> net.receptive_field().positions(1)
        ([1, 3, 5],)
        """
        return dependence.positions(self._read(u), len(self.net.in_shape) - 1)

    def holes(self, u: object = 0) -> tuple[list[int], ...]:
        """Return the positions between the first and the last one read that are skipped, by axis.

        Holes are caused by dilation, and by strides larger than the kernel.

        Args:
            u: the index of the output, one for all axes or one for each.

        Raises:
            ArgumentError: when u is not the index of an output of the node.
            SymbolicError: when a size is symbolic.
            TooLargeError: when the lists of positions do not fit in memory.

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
        """Return a boolean array of the image's spatial shape: True where output u reads the pixel.

        The mask is exact unless weights happen to cancel; after an opaque layer, it is True for
        every pixel that may be read.

        Args:
            u: the index of the output, one for all axes or one for each.

        Raises:
            ArgumentError: when u is not the index of an output of the node.
            SymbolicError: when a size is symbolic.
            TooLargeError: when the mask does not fit in memory.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 5), [ca.layers.Conv(1, 2, dilation=2)])
        >>> net.receptive_field().mask(1).tolist()
        [False, True, False, True, False]
        """
        read = self._read(u)
        return dependence.mask(read, tuple(int(n) for n in self.net.in_shape[1:]))

    def readers(self, i: object) -> tuple[list[int], ...]:
        """Return the sorted list of outputs that read pixel i, for each axis.

        Args:
            i: the index of the pixel, one for all axes or one for each.

        Raises:
            KindError: when the outputs of the node are not indexed by position.
            ArgumentError: when the pixel is not in the image.
            SymbolicError: when a size is symbolic.
            TooLargeError: when the lists of outputs do not fit in memory.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 9), [ca.layers.Conv(1, 3, dilation=2)])
        >>> net.receptive_field().readers(4)
        ([0, 2, 4],)
        """
        if self.reach.kind != "lattice":
            raise KindError(
                f"the outputs of {self.node} are not indexed by position, so it is undefined which "
                f"of them read a pixel: pass an earlier node to receptive_field"
            )
        sizes = self.net.in_shape[1:]
        self._check_sizes()
        pixel = _indices(i, "i", sizes, "the image")
        parts = dependence.outputs_reading(self.net, self.node, pixel)
        return dependence.positions(parts, len(sizes))

    def channels(self, channel: int = 0) -> list[int]:
        """Return the sorted list of input channels that an output channel reads.

        Args:
            channel: the index of the output channel.

        Raises:
            ArgumentError: when the node does not have that channel.

        >>> import convalg as ca
        >>> net = ca.sequential((4, 9), [ca.layers.Conv(2, 3, groups=2)])
        >>> net.receptive_field().channels(1)
        [2, 3]
        """
        count = self.net.shapes[self.node][0]
        channel = as_size(channel, "channel", least=None)
        if not 0 <= channel < count:
            raise ArgumentError(
                f"channel must be from 0 to {count - 1} at node {self.node}, not {channel}"
            )
        return np.flatnonzero(_channels(self.net, self.node, int(channel))).tolist()

    def relation(self, axis: int = 0) -> islpy.Map:
        """Return the relation {[output] -> [position]} along one axis as an `islpy.Map`.

        It contains exactly the pairs of an output and a position that this output reads; sizes may
        be symbolic.

        Args:
            axis: the index of the spatial axis.

        Raises:
            KindError: when the outputs are not indexed by position along this axis, or when a
                layer drops channels of branches with different fields.
            TooLargeError: for more than 10,000 windows of unequal sizes.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 9), [ca.layers.Conv(1, 3, dilation=2)])
        >>> print(net.receptive_field().relation().domain())
        { [o] : 0 <= o <= 4 }
        """
        from convalg.network.relations import relation

        axis = as_size(axis, "axis", least=None)
        if not 0 <= axis < self._lattice_axes():
            raise KindError(
                f"axis must be a spatial axis along which the outputs of {self.node} are indexed, "
                f"not {axis}: this node has {self._lattice_axes()} such axes"
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
        """All sizes that must be integers so that sets can be listed."""
        return (*self.net.in_shape, *self.net.shapes[self.node], *self.reach.sizes)

    def _unit(self, u: object) -> tuple[Any, ...]:
        """Return the index of an output on the lattice of its last layer with spatial axes."""
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
        """Return the index of an output at its own node, with or without spatial axes."""
        shape = self.net.shapes[self.node]
        if len(shape) > 1:
            return _indices(u, "u", shape[1:], self.node)
        return () if u in ((), []) else _indices(u, "u", shape, self.node)

    def _lattice_axes(self) -> int:
        """Return the number of axes along which the outputs are indexed by position."""
        return len(self.reach.fans) if self.reach.kind == "lattice" else 0

    def _check_sizes(self) -> None:
        """Raise SymbolicError if a size is symbolic."""
        if any(is_symbolic(n) for n in self._sizes):
            raise SymbolicError(
                f"sets of positions are computed only for integer sizes, not for {self!r}: build "
                f"the network with integers, or use relation()"
            )

    def _read(self, u: object) -> list[Indices]:
        """Return the entries of the network's input that an output reads."""
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
    """Return a tuple with one index for each axis, from one index for all axes or a sequence.

    Raises: ArgumentError for an index outside `sizes`.
    """
    dims = len(sizes)
    given = tuple(u) if isinstance(u, (tuple, list)) else (u,) * dims
    if len(given) != dims:
        raise ArgumentError(
            f"{name} must be one index for all axes, or {dims} indices for {where}, not {u!r}"
        )
    if not dims:
        as_size(u, name, least=None) if not isinstance(u, (tuple, list)) else None
    indices = []
    for axis, (value, n) in enumerate(zip(given, sizes, strict=True)):
        index = as_size(value, name, least=None)
        beyond = not is_symbolic(index) and (index < 0 or (not is_symbolic(n) and index >= n))
        if beyond:
            most = n - 1 if not is_symbolic(n) else size_text(n - 1)
            raise ArgumentError(
                f"{name} must be from 0 to {most} on axis {axis} of {where}, not {index}"
            )
        indices.append(index)
    return tuple(indices)


def receptive_field(net: Graph, node: str) -> ReceptiveField:
    """Return the receptive field of a node; see `Network.receptive_field`."""
    return ReceptiveField(net, node, reaches(net)[node])


def _channels(net: Graph, node: str, channel: int) -> Array:
    """Return a boolean for each input channel: whether a channel of a node reads it."""
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
    """Return False for each channel of a node."""
    return np.zeros(int(net.shapes[node][0]), dtype=bool)
