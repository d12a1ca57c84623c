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
    """Axes and channels of a correlation; hashable, so that patterns can be cached.

    Shapes: input `(in_channels, *in)`, output `(out_channels, *out)`, kernel
    `(out_channels, in_channels // groups, *taps)`; without channels (None) the shapes are only
    spatial and the kernel is `taps` alone.

    `conditions`: preconditions of the constructor that contain symbols; two geometries are
    compared without them.
    """

    axes: tuple[Axis, ...]
    in_channels: int | None = None
    out_channels: int | None = None
    groups: int = 1
    conditions: tuple[Condition, ...] = field(default=(), compare=False, repr=False)

    @property
    def has_channels(self) -> bool:
        """Whether shapes have a channel axis."""
        return self.in_channels is not None

    @cached_property
    def channels(self) -> tuple[int, int, int]:
        """(groups, output channels per group, input channels per group)."""
        outputs, inputs = self.out_channels or 1, self.in_channels or 1
        return self.groups, outputs // self.groups, inputs // self.groups

    @cached_property
    def in_spatial(self) -> tuple[Size, ...]:
        """Input sizes without the channel axis."""
        return tuple([axis.in_size for axis in self.axes])

    @cached_property
    def out_spatial(self) -> tuple[Size, ...]:
        """Output sizes without the channel axis."""
        return tuple([axis.out_size for axis in self.axes])

    @cached_property
    def taps(self) -> tuple[Size, ...]:
        """Kernel sizes without channel axes."""
        return tuple([axis.taps for axis in self.axes])

    @cached_property
    def in_shape(self) -> tuple[Size, ...]:
        """Shape of one input."""
        return self.in_spatial if self.in_channels is None else (self.in_channels, *self.in_spatial)

    @cached_property
    def out_shape(self) -> tuple[Size, ...]:
        """Shape of one output."""
        if self.out_channels is None:
            return self.out_spatial
        return (self.out_channels, *self.out_spatial)

    @cached_property
    def kernel_shape(self) -> tuple[Size, ...]:
        """Shape of the kernel."""
        if self.out_channels is None:
            return self.taps
        return (self.out_channels, self.channels[2], *self.taps)

    @cached_property
    def is_concrete(self) -> bool:
        """Whether every size is a number."""
        numbers = isinstance(self.in_channels or 1, int) and isinstance(self.out_channels or 1, int)
        return numbers and all(axis.is_concrete for axis in self.axes)

    @cached_property
    def existence(self) -> tuple[Condition, ...]:
        """All conditions for the layer to exist, of its axes and of its constructor."""
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
        """Return the geometry with symbols replaced by numbers, by symbol or by name.

        Raises: ArgumentError when it does not exist at these sizes (no output, no kernel, ...).
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
