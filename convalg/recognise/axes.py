"""One axis of a matrix: the stride, taps, dilation, padding and boundary that it shows.

Every output reads the axis at first + stride * output + dilation * tap. Which numbers those are
is proposed from where the entries lie, and accepted when the axis of that geometry has them.
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
"""Samples of an axis whose folded borders may cover all of it; every geometry is then tried."""

MIDDLE = 3
"""Rows in the middle of a longer axis that are taken to read no border."""

Picks: TypeAlias = list[dict[tuple[int, int], int]]
"""For each tap, factors of the entries (output, input) whose sum it is."""


@dataclass(frozen=True)
class AxisMatch:
    """The geometry of one axis; `lead` and `trail` taps at its ends are zero."""

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
        """Samples from the first tap to the last."""
        return span(self.taps, self.dilation)

    @property
    def least(self) -> int:
        """Samples that the last output reaches behind the input."""
        return tight_size(self.out_size, self.stride) - 1 + self.span + self.first - self.in_size

    @property
    def padding(self) -> tuple[int, int]:
        """Before and behind: behind as before where the stride leaves that free, else the least."""
        before, least = -self.first, self.least
        return before, min(max(before, least, 0), least + self.stride - 1)

    @property
    def is_padded(self) -> bool:
        """Whether some output reads beyond the input."""
        return self.first < 0 or self.least > 0

    @property
    def axis(self) -> Axis:
        """The same as an axis of a layer."""
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
        """With taps of zero added, or a longer stride, where the padding would be negative."""
        lead = max(-(-self.first // self.dilation), 0)
        line = replace(
            self, first=self.first - lead * self.dilation, taps=self.taps + lead, lead=lead
        )
        if line.out_size == 1:
            # One output leaves the stride open: the rest of the input is less than one step.
            return replace(line, stride=max(line.stride, 1 - line.least))
        trail = max(-((line.least + line.stride - 1) // line.dilation), 0)
        return replace(line, taps=line.taps + trail, trail=trail)

    def spread(self, places: list[int], taps: int) -> AxisMatch | None:
        """The same line with so many taps, of which those at `places` are not zero."""
        first, count = self.first + self.lead * self.dilation, self.taps - self.lead - self.trail
        reach = places[-1] - places[0]
        dilations = range(1, self.in_size + 1)
        if reach:
            dilation, rest = divmod((count - 1) * self.dilation, reach)
            dilations = range(dilation, dilation + 1) if dilation and not rest else range(0)
        for dilation in dilations:
            line = replace(
                self,
                first=first - dilation * places[0],
                dilation=dilation,
                taps=taps,
                lead=places[0],
                trail=taps - 1 - places[-1],
            )
            if (reach or count == 1) and min(line.padding) >= 0:
                return line
        return None


def plain(profile: Profile, *, loose: bool = False) -> AxisMatch | None:
    """The line with zeros around the input and the fewest taps.

    Some tap must be read twice, so that the shift shows; `loose` lets it pass where each is
    read once, and the kernel is no longer than the input.
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
    """Whether three rows are their followers shifted: a quick no to most strides."""
    values = profile.values
    last = len(values) - 1
    return all(
        profile.alike(values[o, : max(values.shape[1] - stride, 0)], values[o + 1, stride:])
        for o in {0, last // 2, last - 1}
        if 0 <= o < last
    )


def _shifted(profile: Profile, stride: int, loose: bool) -> AxisMatch | None:
    """The line of a stride, where all entries with one offset are equal."""
    values, (outputs, inputs) = profile.values, profile.values.shape
    low = -stride * (outputs - 1)
    offsets = (np.arange(inputs)[None] - stride * np.arange(outputs)[:, None] - low).ravel()
    count = int(offsets.max()) + 1
    high, least = np.full(count, values.min()), np.full(count, values.max())
    np.maximum.at(high, offsets, values.ravel())
    np.minimum.at(least, offsets, values.ravel())
    seen = np.bincount(offsets, minlength=count)
    if not profile.alike(high[seen > 0], least[seen > 0]):
        return None
    used = (seen > 0) & (np.maximum(np.abs(high), np.abs(least)) > profile.slack)
    places = np.flatnonzero(used) + low
    if not len(places):
        return None
    line = _spanning(places, inputs, outputs, stride)
    shows = outputs == 1 or inputs == 1 or bool((seen[used] > 1).any())
    return line if shows or (loose and line.taps <= inputs) else None


def _spanning(
    places: Array, inputs: int, outputs: int, stride: int, boundary: Boundary = "zeros"
) -> AxisMatch:
    """The line whose taps are at these offsets, and as few others as a dilation allows."""
    first = int(places[0])
    step = math.gcd(*(int(p) - first for p in places)) or 1
    taps = (int(places[-1]) - first) // step + 1
    return AxisMatch(inputs, outputs, stride, first, step, taps, boundary).widened()


def circular(profile: Profile) -> AxisMatch | None:
    """The line that goes round, with the fewest taps; one output alone does not show it."""
    values, (outputs, inputs) = profile.values, profile.values.shape
    if outputs == 1:
        return None
    for stride in range(1, inputs + 1):
        turned = [np.roll(values[0], stride * o) for o in range(outputs)]
        if profile.alike(np.array(turned), values):
            break
    else:
        return None
    places = np.flatnonzero(profile.used[0])
    if not len(places):
        return None
    lines = []
    for k in range(len(places)):
        # The circle is cut before its k-th place, and what lies from there on is the border.
        cut = np.concatenate([places[k:] - inputs, places[:k]])
        lines.append(_spanning(cut, inputs, outputs, stride, "circular"))
    lines.append(_spanning(places, inputs, outputs, stride, "circular"))
    return min(lines, key=_plainness)


def folded(profile: Profile, boundary: Boundary) -> AxisMatch | None:
    """The line with samples of the border read again, and the fewest taps."""
    totals = profile.tidy(profile.values.sum(axis=1))
    width = replace(profile, slack=profile.slack * profile.values.shape[1])
    if not width.alike(totals, np.broadcast_to(totals[:1], totals.shape)):
        # Every output sums the whole kernel, wherever its taps fall.
        return None
    found = _first_fit(profile, _from_rows(profile, boundary))
    if found is None and profile.values.shape[1] <= SMALL:
        found = _first_fit(profile, _small(profile, boundary))
    return found


def _first_fit(profile: Profile, lines: Iterator[AxisMatch]) -> AxisMatch | None:
    order = sorted(set(lines), key=_plainness)
    return next((line for line in order if fits(profile, line)), None)


def _plainness(line: AxisMatch) -> tuple[int, ...]:
    """What to sort by: the fewest taps, the nearest together, with as much padding on each side."""
    before, behind = line.padding
    return line.taps, line.dilation, line.stride, abs(before - behind), before + behind


def _from_rows(profile: Profile, boundary: Boundary) -> Iterator[AxisMatch]:
    """Lines in which one row reads every tap where it lies."""
    outputs, inputs = profile.values.shape
    rows = range(outputs)
    if outputs > 16:
        rows = range(outputs // 2 - MIDDLE // 2, outputs // 2 + MIDDLE // 2 + 1)
    for o in rows:
        places = np.flatnonzero(profile.used[o])
        for stride in range(1, inputs + 1 if outputs > 1 else 2):
            if len(places):
                line = _spanning(places - stride * o, inputs, outputs, stride, boundary)
                if _is_foldable(line):
                    yield line


def _small(profile: Profile, boundary: Boundary) -> Iterator[AxisMatch]:
    """Every geometry over a few samples."""
    outputs, inputs = profile.values.shape
    widest = inputs - 1 if boundary == "reflect" else inputs + 1
    strides = range(1, inputs + 1 if outputs > 1 else 2)
    ranges = product(strides, range(widest + 1), (1, 2, 3), range(2, inputs + 3))
    for stride, before, dilation, taps in ranges:
        line = AxisMatch(inputs, outputs, stride, -before, dilation, taps, boundary)
        if _is_foldable(line) and -stride < line.least <= widest:
            yield line


def _is_foldable(line: AxisMatch) -> bool:
    """Whether the padding is one that the boundary allows."""
    return line.boundary != "reflect" or max(line.padding) < line.in_size


def picks(line: AxisMatch) -> Picks:
    """Where each tap of a line is read alone, or what is left when the others are taken away.

    A tap that is never read, or only together with another one, is left at zero.
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
    found: Picks = [{} for _ in range(line.taps)]
    open_taps = {tap for taps in readers.values() for tap in taps}
    while open_taps:
        solved = False
        for place, taps in readers.items():
            missing = [tap for tap in taps if tap in open_taps]
            if len(missing) != 1:
                continue
            sums = {place: 1}
            for tap in taps:
                for other, factor in found[tap].items():
                    sums[other] = sums.get(other, 0) - factor
            found[missing[0]] = sums
            open_taps.discard(missing[0])
            solved = True
        if not solved:
            open_taps.discard(max(open_taps))
    return found


def fits(profile: Profile, line: AxisMatch) -> bool:
    """Whether the axis of this geometry has these numbers."""
    columns = line.axis.columns()
    values = profile.values
    taps = [
        profile.tidy(np.asarray(sum(factor * values[place] for place, factor in one.items())))
        for one in picks(line)
    ]
    found = np.zeros_like(values)
    for tap, weight in enumerate(taps):
        rows = np.flatnonzero(columns[:, tap] >= 0)
        np.add.at(found, (rows, columns[rows, tap]), weight)
    return profile.alike(profile.tidy(found), values)
