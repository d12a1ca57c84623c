"""The derivation of the output size of a layer."""

from __future__ import annotations

from convalg.axis import Axis, Size, same_padding
from convalg.prove.derivations.derivation import Step, step
from convalg.prove.derivations.indices import Index, expanded, read_at
from convalg.prove.derivations.layer_sums import Subject
from convalg.prove.derivations.statements import (
    Compared,
    Equivalent,
    Extreme,
    Rounded,
    Setting,
    SizeOf,
    Together,
    Written,
)
from convalg.size import is_symbolic


def size_steps(subject: Subject) -> list[Step]:
    """Return the steps to the output size of a layer on each axis."""
    axes = subject.geometry.axes
    make = _transposed_steps if subject.transposed else _size_steps
    steps: list[Step] = []
    for number, axis in enumerate(axes):
        where = f" on axis {number}" if len(axes) > 1 else ""
        steps += make(axis, where, subject)
    return steps


def _size_steps(axis: Axis, where: str, subject: Subject) -> list[Step]:
    setting = subject.setting
    j, t = subject.names("j"), subject.names("t")
    before, after = axis.before, _after(axis, setting)
    first = Index(((axis.stride, j),), expanded(-before))
    last = first.moved(axis.span - 1)
    room = expanded(axis.in_size + before + after - axis.span)
    end = Index((), expanded(axis.in_size - 1 + after))
    taps, outputs = ((t, axis.taps),), ((j, axis.out_size),)
    output = Index(((1, j),))
    exists = Compared(output, Index((), axis.out_size), strict=True)
    fits = Compared(last, end)
    solved = Compared(output, Index((), room), divisor=axis.stride)
    counted = Rounded(room, axis.stride)
    border = "" if axis.boundary == "zeros" else ", before the boundary rule is applied"
    ends = (
        Extreme("min", taps, read_at(axis, j, t), first, outputs),
        Extreme("max", taps, read_at(axis, j, t), last, outputs),
    )
    return [
        step(
            Together(ends, setting.abbreviations(axis.padding)),
            f"the first and last indices that output {j} reads{where}{border}",
            setting,
        ),
        step(
            Equivalent(j, exists, fits),
            f"an output exists if and only if its last tap is within the padded input{where}",
            setting,
        ),
        step(Equivalent(j, fits, solved), f"solved for {j}{where}", setting),
        step(
            SizeOf(subject.names("o"), axis.out_size, (counted, axis.out_size)),
            f"{j} starts at 0{where}",
            setting,
        ),
    ]


def _after(axis: Axis, setting: Setting) -> Size:
    """Return the padding after the input as a user would have given it.

    With a stride, several paddings have the same number of outputs. The first of these that fits is
    returned: the padding in front of the input, the padding of "same", the padding that is read.
    """
    # If the total padding is abbreviated, the candidate is the part after the input.
    used = getattr(axis.padding, "free_symbols", ())
    rest = [expanded(symbol - axis.before) for symbol, _ in setting.named if symbol in used]
    candidates = [*rest, axis.before]
    for lower in (False, True):
        pair = same_padding(
            axis.in_size,
            axis.taps,
            axis.stride,
            abs(axis.dilation),
            lower=lower,
        )
        if pair[0] == axis.before:
            candidates.append(pair[1])
    for after in candidates:
        room = expanded(axis.in_size + axis.before + after - axis.span)
        count = Rounded(room, axis.stride)
        if SizeOf("o", axis.out_size, (count,)).decide(setting):
            return after
    return axis.after


def _transposed_steps(axis: Axis, where: str, subject: Subject) -> list[Step]:
    setting = subject.setting
    i, t = subject.names("i"), subject.names("t")
    inputs, before = axis.out_size, axis.before
    crop, extra = _cropped(axis)
    written = read_at(axis, i, t)
    over = ((i, inputs), (t, axis.taps))
    last = expanded(axis.tight_size + axis.span - 2 - before)
    length = [(1, axis.stride, inputs, 1), (1, abs(axis.dilation), axis.taps, 1), (1, 1, 1, 0)]
    length += [(-1, 1, value, 0) for value in (before, crop) if value != 0]
    length += [(1, 1, extra, 0)] if extra != 0 else []
    ends = (
        Extreme("min", over, written, Index((), expanded(-before))),
        Extreme("max", over, written, Index((), last)),
    )
    folded = axis.boundary != "zeros"
    cropped = (
        "samples beyond the border are folded back"
        if folded
        else "samples beyond the border are cropped"
    )
    if is_symbolic(crop) and not crop.is_nonnegative:
        cropped += ", or added where their number is negative"
    tail = (
        f", and {_samples(extra)} {'is' if extra == 1 else 'are'} added at the end"
        if extra != 0
        else ""
    )
    return [
        step(
            Together(ends, setting.abbreviations(axis.padding)),
            f"the first and last indices that the inputs are written to{where}",
            setting,
        ),
        step(
            SizeOf(subject.names("o"), axis.in_size, (Written(tuple(length)), axis.in_size)),
            f"count from the first index to the last; {cropped}{tail}{where}",
            setting,
        ),
    ]


def _cropped(axis: Axis) -> tuple[Size, Size]:
    """Return the numbers of samples cropped and added at the end.

    As many samples as at the start are cropped, where that is possible.
    """
    after = axis.after
    added = expanded(axis.before - after)
    if any(map(is_symbolic, (after, added, axis.stride, axis.dilation))):
        steps = axis.stride, abs(axis.dilation)
        is_small = is_symbolic(added) or (
            added >= 0 and any(is_symbolic(step) or added < step for step in steps)
        )
        is_extra = getattr(added, "is_nonnegative", True)
        return (axis.before, added) if is_small and is_extra else (after, 0)
    if 0 <= added < max(axis.stride, abs(axis.dilation)):
        return axis.before, added
    return (after, 0) if after >= 0 else (0, -after)


def _samples(value: object) -> str:
    """Return a number of samples as text."""
    return f"{value} sample{'' if value == 1 else 's'}"
