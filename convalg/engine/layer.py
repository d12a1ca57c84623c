"""A layer in the form that the engines apply: a window that moves over an extended image.

Strides and dilations are positive, and the image is extended on both sides, by zeros or by the
samples of the boundary rule. The caller flips axes with a negative stride or dilation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import product
from typing import Any

import numpy as np

from convalg.axis import Axis, tight_size, transposed_size
from convalg.engine.arithmetic import Array
from convalg.geometry import Geometry

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class EngineLayer:
    """A correlation per group, for `groups`: y[o, i] = sum over c, t of w[o, c, t] X[c, s i + d t].

    X is the extended image; its sample at index `before` is the first of the image (if it is
    negative, the image is cropped). `boundaries` contains, for each axis, the `Axis` that extends
    the image by its boundary rule, or None for zeros.
    """

    groups: int
    outputs: int
    inputs: int
    sizes: Sizes
    taps: Sizes
    strides: Sizes
    dilations: Sizes
    before: Sizes
    out: Sizes
    boundaries: tuple[Axis | None, ...] = ()

    @cached_property
    def lengths(self) -> Sizes:
        """The sizes of the extended image, up to the last sample that is read."""
        columns = zip(self.out, self.taps, self.strides, self.dilations, strict=True)
        return tuple([int(transposed_size(o, k, s, d, 0, 0)) for o, k, s, d in columns])

    @cached_property
    def weights(self) -> int:
        """The number of products in each output."""
        return self.inputs * math.prod(self.taps)

    @cached_property
    def positions(self) -> int:
        """The number of outputs of one channel."""
        return math.prod(self.out)

    @cached_property
    def is_bare(self) -> bool:
        """Whether the extended image is a part of the image, so that it needs no copy."""
        if any(self.boundaries):
            return False
        columns = zip(self.before, self.lengths, self.sizes, strict=True)
        return all(b <= 0 and n - b <= size for b, n, size in columns)

    def overlap(self) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Return the slices of the image in the extended image, and those of the image copied."""
        there, here = [], []
        for b, n, size in zip(self.before, self.lengths, self.sizes, strict=True):
            first, last = max(b, 0), max(min(b + size, n), max(b, 0))
            there.append(slice(first, last))
            here.append(slice(first - b, last - b))
        return tuple(there), tuple(here)

    def read_by(self, tap: Sizes) -> tuple[Any, ...]:
        """Return the slices of the extended image that a tap of the first axes reads."""
        steps = zip(tap, self.dilations, self.strides, self.out, strict=False)
        return tuple(slice(d * t, d * t + tight_size(o, s), s) for t, d, s, o in steps)

    def extend(self, x: Array, first: int, out: Array | None = None) -> Array:
        """Return the extended image of x, whose spatial axes start at axis `first`.

        Without `out`, it is a view if the extended image is a part of x. `out` may be longer than
        the samples read; it must be zero outside the image, and stays zero there.
        """
        lead = (slice(None),) * first
        if any(self.boundaries):
            for k, axis in enumerate(self.boundaries):
                if axis is not None:
                    x = np.take(x, axis.columns()[:, 0], axis=first + k)
            inside = replace(self, sizes=self._extended_sizes, before=self._rest, boundaries=())
            return inside.extend(x, first, out)
        there, here = self.overlap()
        if out is None:
            if self.is_bare:
                return x[(*lead, *here)]
            trailing = x.shape[first + len(self.sizes) :]
            out = np.zeros((*x.shape[:first], *self.lengths, *trailing), dtype=x.dtype)
        out[(*lead, *there)] = x[(*lead, *here)]
        return out

    def shrink(self, extended: Array, first: int) -> Array:
        """Return the part of an extended array that belongs to the image: the adjoint of `extend`.

        Only for layers that are extended with zeros; see `fold_back` for boundary rules.
        """
        there, here = self.overlap()
        lead = (slice(None),) * first
        trailing = extended.shape[first + len(self.sizes) :]
        if all(s == slice(0, n) for s, n in zip(here, self.sizes, strict=True)):
            return extended[(*lead, *there)]
        x = np.zeros((*extended.shape[:first], *self.sizes, *trailing), dtype=extended.dtype)
        x[(*lead, *here)] = extended[(*lead, *there)]
        return x

    def fold_back(self, extended: Array, first: int) -> Array:
        """Return the adjoint of `extend` along the axes with a boundary rule, sums over reads."""
        for k, axis in enumerate(self.boundaries):
            if axis is None:
                continue
            moved = np.moveaxis(extended, first + k, 0)
            folded = np.zeros((self.sizes[k], *moved.shape[1:]), dtype=extended.dtype)
            np.add.at(folded, axis.columns()[:, 0], moved)
            extended = np.moveaxis(folded, 0, first + k)
        return extended

    @cached_property
    def _extended_sizes(self) -> Sizes:
        return tuple(
            size if axis is None else n
            for size, n, axis in zip(self.sizes, self.lengths, self.boundaries, strict=True)
        )

    @cached_property
    def _rest(self) -> Sizes:
        return tuple(
            b if axis is None else 0 for b, axis in zip(self.before, self.boundaries, strict=True)
        )

    def with_axis(self) -> EngineLayer:
        """Return the same layer with an additional first axis of one sample."""
        return replace(
            self,
            sizes=(1, *self.sizes),
            taps=(1, *self.taps),
            strides=(1, *self.strides),
            dilations=(1, *self.dilations),
            before=(0, *self.before),
            out=(1, *self.out),
            boundaries=self.boundaries and (None, *self.boundaries),
        )

    @lru_cache(maxsize=256)  # noqa: B019 - layers are small and hashable
    def phases(self) -> tuple[tuple[EngineLayer, tuple[slice, ...], tuple[slice, ...]], ...]:
        """Return the adjoint as correlations of stride one (phases).

        Each phase is (correlation, slices of x that it computes, slices of the kernel it uses).
        Rule: the samples x[r + s q] depend on the taps with d t = r + before modulo s, which are
        every s / gcd(s, d)-th tap, and these read outputs d / gcd(s, d) apart. `fold_back` applies
        the boundary rules afterwards.
        """
        phases = []
        for chosen in product(*(self._residues(k) for k in range(len(self.sizes)))):
            before, taps, gaps, out, positions, picks = zip(*chosen, strict=True)
            layer = EngineLayer(
                self.groups,
                self.inputs,
                self.outputs,
                sizes=self.out,
                taps=taps,
                strides=(1,) * len(taps),
                dilations=gaps,
                before=before,
                out=out,
                boundaries=(None,) * len(taps),
            )
            phases.append((layer, positions, picks))
        return tuple(phases)

    def _residues(self, k: int) -> list[tuple[int, int, int, int, slice, slice]]:
        """Return (before, taps, dilation, out, slice of x, slice of taps) for each residue."""
        stride, dilation, taps = self.strides[k], self.dilations[k], self.taps[k]
        extended = bool(self.boundaries) and self.boundaries[k] is not None
        size, offset = (self.lengths[k], 0) if extended else (self.sizes[k], self.before[k])
        common = math.gcd(stride, dilation)
        step, gap = stride // common, dilation // common
        residues = []
        for residue in range(min(stride, size)):
            first = next(
                (
                    t
                    for t in range(min(step, taps))
                    if (residue + offset - dilation * t) % stride == 0
                ),
                None,
            )
            if first is None:
                continue
            count = len(range(first, taps, step))
            last = first + (count - 1) * step
            # The taps are reversed: the last one reads the earliest sample.
            before = -((residue + offset - dilation * last) // stride)
            picked = slice(last, first - 1 if first else None, -step)
            outputs = len(range(residue, size, stride))
            residues.append((before, count, gap, outputs, slice(residue, None, stride), picked))
        return residues


@dataclass(frozen=True)
class TransposedKernel:
    """The layer of a geometry, and the axes along which its kernel and its output are flipped."""

    layer: EngineLayer
    kernel: Sizes
    output: Sizes

    def flip_kernel(self, kernel: Array) -> Array:
        """Convert a kernel of the geometry to one of the layer, or back; the last axes are taps."""
        return np.flip(kernel, tuple(k - len(self.layer.taps) for k in self.kernel))

    def flip_output(self, y: Array) -> Array:
        """Convert an output of the layer to one of the geometry, or back; last axes: spatial."""
        return np.flip(y, tuple(k - len(self.layer.out) for k in self.output))


@lru_cache(maxsize=1024)
def layer_of_geometry(geometry: Geometry) -> TransposedKernel:
    """Return the layer of a geometry whose sizes are numbers."""
    groups, outputs, inputs = geometry.channels
    kernel, output, columns = [], [], []
    for k, axis in enumerate(geometry.axes):
        stride, dilation = axis.numbers.stride, axis.numbers.dilation
        sizes = axis.numbers.in_size, axis.numbers.taps, axis.numbers.out_size
        if dilation < 0:
            kernel.append(k)
        if stride < 0:
            output.append(k)
        corner = (sizes[2] - 1 if stride < 0 else 0, sizes[1] - 1 if dilation < 0 else 0)
        before = -int(axis.raw(*corner))
        # With one output the stride does not matter, and with one tap the dilation does not.
        stride = abs(stride) if sizes[2] > 1 else 1
        dilation = abs(dilation) if sizes[1] > 1 else 1
        extension: Any = None
        if axis.boundary != "zeros":
            length = int(transposed_size(sizes[2], sizes[1], stride, dilation, 0, 0))
            extension = Axis(sizes[0], length, padding=before, boundary=axis.boundary)
            extension = None if extension.boundary == "zeros" else extension
        columns.append((*sizes, stride, dilation, before, extension))
    sizes, taps, out, strides, dilations, befores, extensions = zip(*columns, strict=True)
    layer = EngineLayer(
        groups,
        outputs,
        inputs,
        sizes=sizes,
        taps=taps,
        strides=strides,
        dilations=dilations,
        before=befores,
        out=out,
        boundaries=extensions,
    )
    return TransposedKernel(layer, tuple(kernel), tuple(output))
