"""The geometry of a layer: its axes, channels and groups."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property

from convalg.axis import (
    Axis,
    Size,
)
from convalg.size import (
    Condition,
    Numbers,
    check_conditions,
    conditions_at,
    is_symbolic,
    substituted,
)


@dataclass(frozen=True)
class Geometry:
    """The axes and channels of a correlation; hashable, so that patterns can be cached.

    The input has the shape `(in_channels, *in)`, the output `(out_channels, *out)`, and the kernel
    `(out_channels, in_channels // groups, *taps)`. If the numbers of channels are None, the three
    shapes do not have channel axes.

    Args:
        axes: The spatial axes.
        in_channels: Number of input channels, or None.
        out_channels: Number of output channels, or None.
        groups: Number of groups of channels.
        conditions: Preconditions of the constructor that contain symbols. They are ignored when two
            geometries are compared.
    """

    axes: tuple[Axis, ...]
    in_channels: int | None = None
    out_channels: int | None = None
    groups: int = 1
    conditions: tuple[Condition, ...] = field(default=(), compare=False, repr=False)

    @property
    def has_channels(self) -> bool:
        """Whether the shapes have channel axes."""
        return self.in_channels is not None

    @cached_property
    def channels(self) -> tuple[int, int, int]:
        """The numbers of groups, of output channels per group, and of input channels per group."""
        outputs, inputs = self.out_channels or 1, self.in_channels or 1
        return self.groups, outputs // self.groups, inputs // self.groups

    @cached_property
    def in_spatial(self) -> tuple[Size, ...]:
        """The shape of the input without the channel axis."""
        return tuple([axis.in_size for axis in self.axes])

    @cached_property
    def out_spatial(self) -> tuple[Size, ...]:
        """The shape of the output without the channel axis."""
        return tuple([axis.out_size for axis in self.axes])

    @cached_property
    def taps(self) -> tuple[Size, ...]:
        """The shape of the kernel without the channel axes."""
        return tuple([axis.taps for axis in self.axes])

    @cached_property
    def in_shape(self) -> tuple[Size, ...]:
        """The shape of one input, with its channel axis if there is one."""
        return self.in_spatial if self.in_channels is None else (self.in_channels, *self.in_spatial)

    @cached_property
    def out_shape(self) -> tuple[Size, ...]:
        """The shape of one output, with its channel axis if there is one."""
        if self.out_channels is None:
            return self.out_spatial
        return (self.out_channels, *self.out_spatial)

    @cached_property
    def kernel_shape(self) -> tuple[Size, ...]:
        """The shape of the kernel, with its channel axes if there are any."""
        if self.out_channels is None:
            return self.taps
        return (self.out_channels, self.channels[2], *self.taps)

    @cached_property
    def is_concrete(self) -> bool:
        """Whether all sizes and numbers of channels are integers and not symbolic."""
        numbers = isinstance(self.in_channels or 1, int) and isinstance(self.out_channels or 1, int)
        return numbers and all(axis.is_concrete for axis in self.axes)

    @cached_property
    def existence(self) -> tuple[Condition, ...]:
        """All conditions on symbols under which the layer exists, of its axes and constructor."""
        conditions = list(self.conditions)
        for number, axis in enumerate(self.axes):
            conditions += [
                Condition(value, (f"axis {number}: {message[0]}", *message[1:]), note=note)
                for value, message, note in axis.limits()
                if is_symbolic(value)
            ]
        counts = (("input", self.in_channels), ("output", self.out_channels))
        for name, count in counts:
            if count is not None and is_symbolic(count):
                conditions.append(Condition(count - 1, ("a layer needs an {} channel", name)))
        return tuple(conditions)

    def at(self, numbers: Numbers) -> Geometry:
        """Return the geometry with some symbols replaced by numbers.

        Raises: ArgumentError when the layer does not exist at these sizes, for example because it
        has no output.
        """
        check_conditions(self.existence, numbers)
        axes = []
        for axis in self.axes:
            values = {f.name: substituted(getattr(axis, f.name), numbers) for f in fields(axis)}
            axes.append(Axis(**values))
        return Geometry(
            tuple(axes),
            substituted(self.in_channels, numbers),
            substituted(self.out_channels, numbers),
            substituted(self.groups, numbers),
            conditions_at(self.conditions, numbers),
        )
