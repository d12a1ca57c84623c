"""Recover the stride, taps, dilation, padding and boundary of one axis of a matrix.

Each output reads the axis at first + stride * output + dilation * tap. These numbers are proposed
from the positions of the entries, and accepted if the axis of that geometry has the same entries.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

import numpy as np

from convalg.arrays import Array
from convalg.axis import Axis, Boundary, span, tight_size
from convalg.recognise.entries import Profile

SMALL = 12
"""Most samples of an axis on which every geometry is tried, since borders may cover all of it."""

MIDDLE = 3
"""Number of rows in the middle of a longer axis that are assumed to read no border."""

Picks: TypeAlias = list[dict[tuple[int, int], int]]
"""For each tap, the factors of the entries (output, input) whose sum is the tap."""


@dataclass(frozen=True)
class AxisMatch:
    """The geometry of one axis.

    `first`: the sample that the first tap of the first output reads. `lead`, `trail`: the numbers
    of taps at the start and at the end that are zero.
    """

    in_size: int
    out_size: int
    stride: int
    first: int
    dilation: int
    taps: int
    boundary: Boundary = "zeros"
    lead: int = 0
    trail: int = 0

    @property
    def span(self) -> int:
        """The number of samples from the first tap to the last."""
        samples: int = span(self.taps, self.dilation)
        return samples

    @property
    def least(self) -> int:
        """The number of samples by which the last output reads past the end of the input."""
        least: int = tight_size(self.out_size, self.stride) - 1 + self.span + self.first
        return least - self.in_size

    @property
    def padding(self) -> tuple[int, int]:
        """The padding (before, after): equal if the stride allows it, else the least after."""
        before, least = -self.first, self.least
        return before, min(max(before, least, 0), least + self.stride - 1)

    @property
    def is_padded(self) -> bool:
        """Whether an output reads beyond the input."""
        return self.first < 0 or self.least > 0

    @property
    def axis(self) -> Axis:
        """The axis of a layer with this geometry."""
        return Axis(
            self.in_size,
            self.out_size,
            self.taps,
            self.stride,
            self.dilation,
            -self.first,
            self.boundary,
        )

    def widened(self) -> AxisMatch:
        """Return the geometry without negative padding, with zero taps added or a longer stride."""
        lead = max(-(-self.first // self.dilation), 0)
        line = replace(
            self, first=self.first - lead * self.dilation, taps=self.taps + lead, lead=lead
        )
        if line.out_size == 1:
            # With one output, the stride is arbitrary: it exceeds the unread samples at the end.
            return replace(line, stride=max(line.stride, 1 - line.least))
        trail = max(-((line.least + line.stride - 1) // line.dilation), 0)
        return replace(line, taps=line.taps + trail, trail=trail)

    def spread(self, used: list[int], taps: int) -> AxisMatch | None:
        """Return the same axis with `taps` taps, non-zero at `used`; None if that is impossible."""
        first, count = self.first + self.lead * self.dilation, self.taps - self.lead - self.trail
        reach = used[-1] - used[0]
        dilations = range(1, self.in_size + 1)
        if reach:
            dilation, rest = divmod((count - 1) * self.dilation, reach)
            dilations = range(dilation, dilation + 1) if dilation and not rest else range(0)
        for dilation in dilations:
            line = replace(
                self,
                first=first - dilation * used[0],
                dilation=dilation,
                taps=taps,
                lead=used[0],
                trail=taps - 1 - used[-1],
            )
            if (reach or count == 1) and min(line.padding) >= 0:
                return line
        return None


def zero_padded(profile: Profile, *, loose: bool = False) -> AxisMatch | None:
    """Return the axis with zero padding and the fewest taps, or None.

    Two entries must have the same tap, as evidence of the shift. With `loose`, an axis on which
    each tap has one entry is accepted too, if the kernel is not longer than the input.
    """
    outputs, inputs = profile.values.shape
    strides = range(1, 2) if outputs == 1 else range(1, max(inputs + loose, 2))
    best = None
    for stride in strides:
        if not _might_shift(profile, stride):
            continue
        line = _shifted(profile, stride, loose)
        if line is not None and (best is None or line.taps < best.taps):
            best = line
    return best


def _might_shift(profile: Profile, stride: int) -> bool:
    """Whether three rows are shifted copies of the next rows, which excludes most strides."""
    values = profile.values
    last = len(values) - 1
    return all(
        profile.alike(values[o, : max(values.shape[1] - stride, 0)], values[o + 1, stride:])
        for o in {0, last // 2, last - 1}
        if 0 <= o < last
    )


def _shifted(profile: Profile, stride: int, loose: bool) -> AxisMatch | None:
    """Return the axis with a stride if all entries with the same offset are equal, or None."""
    values, (outputs, inputs) = profile.values, profile.values.shape
    low = -stride * (outputs - 1)
    offsets = (np.arange(inputs)[None] - stride * np.arange(outputs)[:, None] - low).ravel()
    count = int(offsets.max()) + 1
    largest, smallest = np.full(count, values.min()), np.full(count, values.max())
    np.maximum.at(largest, offsets, values.ravel())
    np.minimum.at(smallest, offsets, values.ravel())
    seen = np.bincount(offsets, minlength=count)
    if not profile.alike(largest[seen > 0], smallest[seen > 0]):
        return None
    used = (seen > 0) & (np.maximum(np.abs(largest), np.abs(smallest)) > profile.slack)
    tap_offsets = np.flatnonzero(used) + low
    if not len(tap_offsets):
        return None
    line = _spanning(tap_offsets, inputs, outputs, stride)
    shows = outputs == 1 or inputs == 1 or bool((seen[used] > 1).any())
    return line if shows or (loose and line.taps <= inputs) else None


def _spanning(
    offsets: Array, inputs: int, outputs: int, stride: int, boundary: Boundary = "zeros"
) -> AxisMatch:
    """Return the axis with taps at the offsets, and as few other taps as a dilation allows."""
    first = int(offsets[0])
    step = math.gcd(*(int(p) - first for p in offsets)) or 1
    taps = (int(offsets[-1]) - first) // step + 1
    return AxisMatch(inputs, outputs, stride, first, step, taps, boundary).widened()


def circular(profile: Profile) -> AxisMatch | None:
    """Return the axis with circular boundary and the fewest taps; None for a single output."""
    values, (outputs, inputs) = profile.values, profile.values.shape
    if outputs == 1:
        return None
    for stride in range(1, inputs + 1):
        rolled = [np.roll(values[0], stride * o) for o in range(outputs)]
        if profile.alike(np.array(rolled), values):
            break
    else:
        return None
    columns = np.flatnonzero(profile.used[0])
    if not len(columns):
        return None
    lines = []
    for k in range(len(columns)):
        # The circle is cut before its k-th tap, and the taps from there on are in the padding.
        cut = np.concatenate([columns[k:] - inputs, columns[:k]])
        lines.append(_spanning(cut, inputs, outputs, stride, "circular"))
    lines.append(_spanning(columns, inputs, outputs, stride, "circular"))
    return min(lines, key=_complexity)


def folded(profile: Profile, boundary: Boundary) -> AxisMatch | None:
    """Return the axis with a boundary that repeats samples, and with the fewest taps, or None."""
    totals = profile.tidy(profile.values.sum(axis=1))
    width = replace(profile, slack=profile.slack * profile.values.shape[1])
    if not width.alike(totals, np.broadcast_to(totals[:1], totals.shape)):
        # With such a boundary, the sum of each row is the sum of the kernel.
        return None
    line = _first_fit(profile, _from_rows(profile, boundary))
    if line is None and profile.values.shape[1] <= SMALL:
        line = _first_fit(profile, _small(profile, boundary))
    return line


def _first_fit(profile: Profile, lines: Iterator[AxisMatch]) -> AxisMatch | None:
    """Return the simplest axis that has the entries of a profile, or None."""
    order = sorted(set(lines), key=_complexity)
    return next((line for line in order if fits(profile, line)), None)


def _complexity(line: AxisMatch) -> tuple[int, ...]:
    """Return a sort key: few taps, close together, with equal and small padding on both sides."""
    before, after = line.padding
    return line.taps, line.dilation, line.stride, abs(before - after), before + after


def _from_rows(profile: Profile, boundary: Boundary) -> Iterator[AxisMatch]:
    """Yield the axes on which some row reads every tap inside the input."""
    outputs, inputs = profile.values.shape
    rows = range(outputs)
    if outputs > 16:
        rows = range(outputs // 2 - MIDDLE // 2, outputs // 2 + MIDDLE // 2 + 1)
    for o in rows:
        columns = np.flatnonzero(profile.used[o])
        for stride in range(1, inputs + 1 if outputs > 1 else 2):
            if len(columns):
                line = _spanning(columns - stride * o, inputs, outputs, stride, boundary)
                if _is_foldable(line):
                    yield line


def _small(profile: Profile, boundary: Boundary) -> Iterator[AxisMatch]:
    """Yield every axis over a few samples."""
    outputs, inputs = profile.values.shape
    widest = inputs - 1 if boundary == "reflect" else inputs + 1
    strides = range(1, inputs + 1 if outputs > 1 else 2)
    ranges = product(strides, range(widest + 1), (1, 2, 3), range(2, inputs + 3))
    for stride, before, dilation, taps in ranges:
        line = AxisMatch(inputs, outputs, stride, -before, dilation, taps, boundary)
        if _is_foldable(line) and -stride < line.least <= widest:
            yield line


def _is_foldable(line: AxisMatch) -> bool:
    """Whether the boundary allows the padding."""
    return line.boundary != "reflect" or max(line.padding) < line.in_size


def picks(line: AxisMatch) -> Picks:
    """Return each tap as a sum of entries: one entry, or an entry minus the other taps in it.

    A tap that no output reads is zero, and so is one of several taps that outputs read only
    together.
    """
    columns = line.axis.columns()
    if line.boundary == "zeros":
        rows = [np.flatnonzero(columns[:, tap] >= 0) for tap in range(line.taps)]
        middles = [int(o[len(o) // 2]) if len(o) else -1 for o in rows]
        return [{(o, int(columns[o, tap])): 1} if o >= 0 else {} for tap, o in enumerate(middles)]
    readers: dict[tuple[int, int], list[int]] = {}
    order = sorted(range(line.out_size), key=lambda o: abs(o - line.out_size // 2))
    for o in order:
        for tap, i in enumerate(columns[o].tolist()):
            if i >= 0:
                readers.setdefault((o, i), []).append(tap)
    solution: Picks = [{} for _ in range(line.taps)]
    open_taps = {tap for taps in readers.values() for tap in taps}
    while open_taps:
        solved = False
        for entry, taps in readers.items():
            missing = [tap for tap in taps if tap in open_taps]
            if len(missing) != 1:
                continue
            sums = {entry: 1}
            for tap in taps:
                for other, factor in solution[tap].items():
                    sums[other] = sums.get(other, 0) - factor
            solution[missing[0]] = sums
            open_taps.discard(missing[0])
            solved = True
        if not solved:
            open_taps.discard(max(open_taps))
    return solution


def fits(profile: Profile, line: AxisMatch) -> bool:
    """Whether an axis has the entries of a profile."""
    columns = line.axis.columns()
    values = profile.values
    taps = [
        profile.tidy(np.asarray(sum(factor * values[entry] for entry, factor in one.items())))
        for one in picks(line)
    ]
    rebuilt = np.zeros_like(values)
    for tap, weight in enumerate(taps):
        rows = np.flatnonzero(columns[:, tap] >= 0)
        np.add.at(rebuilt, (rows, columns[rows, tap]), weight)
    return profile.alike(profile.tidy(rebuilt), values)
