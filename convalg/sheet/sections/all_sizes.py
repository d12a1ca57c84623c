"""Claims for all sizes: the same layer with symbols for its sizes, and its proved properties."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

from convalg.arguments import plural
from convalg.axis import Axis, Size, holds, span
from convalg.errors import ConvalgError
from convalg.faces.latex import expression, layer_of
from convalg.faces.text import padding_after, transposed_padding
from convalg.geometry import Geometry
from convalg.kernels import SymbolicKernel, flip
from convalg.operators.convolution import convolution, correlation, transposed_correlation
from convalg.operators.gradients import only_convolution
from convalg.operators.leaves import Convolution
from convalg.operators.padding import crop, pad
from convalg.operators.pooling import average_pool
from convalg.operators.sampling import downsample, upsample
from convalg.operators.shifts import shift
from convalg.operators.tree import Operator, compose
from convalg.prove import derive
from convalg.prove.derivations.derivation import Derivation
from convalg.sheet.blocks import Claim, Code, Formula, Steps
from convalg.sheet.calls import layer_name, written
from convalg.sheet.claims import compared, equal, steps
from convalg.size import sizes

SPATIAL, TAPS = ("n", "m", "l"), ("K", "L", "M")


def family_of(operator: Operator) -> Operator | None:
    """Return the family of a layer: symbols for input and kernel sizes, same stride and dilation.

    The kernel has a symbol for each weight, whatever the layer's own weights are. Return None
    when no such family equals the layer at the layer's sizes.

    >>> import convalg as ca
    >>> family_of(ca.correlation(6, [1, 2, 1], stride=2, padding=1))
    correlation(n, kernel(K), stride=2, padding=1)
    """
    return _family(*layer_of(operator))


@lru_cache(maxsize=64)
def _family(geometry: Geometry, transposed: bool) -> Operator | None:
    axes = geometry.axes
    if len(axes) > len(SPATIAL):
        return None
    lengths = sizes(" ".join(SPATIAL[: len(axes)]))
    taps = sizes(" ".join(TAPS[: len(axes)]))
    shape = (*geometry.kernel_shape[: -len(axes)], *taps)
    weights = SymbolicKernel("w", shape, tuple(range(len(shape))), (False,) * len(shape))
    # Only zero-padded correlations have a transposed call; other adjoints are families' adjoints.
    named = transposed and not any(a.is_backwards or a.boundary != "zeros" for a in axes)
    samples = geometry.out_spatial if named else geometry.in_spatial
    numbers = {
        str(name): int(value)
        for names, values in ((lengths, samples), (taps, geometry.taps))
        for name, value in zip(names, values, strict=True)
    }
    try:
        if named:
            family: Operator = _transposed_family(geometry, lengths, weights)
        else:
            pairs = [_padding(axis, size) for axis, size in zip(axes, taps, strict=True)]
            layer = remade(geometry, lengths, weights, padding=pairs)
            family = layer.T if transposed else layer
        if only_convolution(family).geometry.at(numbers) != geometry:
            return None
    except ConvalgError:
        return None
    return family


def _transposed_family(geometry: Geometry, shape: object, weights: object) -> Operator:
    """Return a transposed layer over an input of this shape, with the same (output) padding.

    Raises ConvalgError when the layer does not exist.
    """
    padding, more = transposed_padding(geometry.axes)
    return transposed_correlation(
        shape,
        weights,
        stride=tuple(axis.stride for axis in geometry.axes),
        padding=tuple(padding),
        output_padding=tuple(more),
        dilation=tuple(abs(axis.dilation) for axis in geometry.axes),
        groups=geometry.groups,
    )


def _padding(axis: Axis, taps: object) -> tuple[Any, Any]:
    """Express full and same padding by the kernel size; keep any other padding as a number."""
    reach, given = span(taps, abs(axis.dilation)) - 1, axis.span - 1
    before = axis.before
    after = max(axis.after, 0)
    if axis.stride == 1 and before == after == given:
        return reach, reach
    if axis.stride == 1 and before == given // 2 and before + axis.after == given:
        return reach // 2, reach - reach // 2
    return before, before if axis.after <= before < axis.after + axis.stride else after


def boundary_of(geometry: Geometry) -> Any:
    """Return the boundary of a layer; axes that never read beyond their ends have "zeros"."""
    names = (axis.boundary for axis in geometry.axes if axis.boundary != "zeros")
    return next(names, "zeros")


def remade(geometry: Geometry, shape: object, weights: object, **options: object) -> Convolution:
    """Return the layer over another shape and with another kernel; `options` replace its own.

    Raises ConvalgError when the layer does not exist.
    """
    make: Any = convolution if holds(geometry.axes[0].is_backwards) else correlation
    given: dict[str, Any] = {
        "stride": tuple(axis.stride for axis in geometry.axes),
        "padding": [(axis.before, padding_after(axis)) for axis in geometry.axes],
        "dilation": tuple(abs(axis.dilation) for axis in geometry.axes),
        "groups": geometry.groups,
        "boundary": boundary_of(geometry),
    }
    layer: Convolution = make(shape, weights, **(given | options))
    return layer


def forms(operator: Operator) -> list[Operator]:
    """Return the family of a layer, or the layer itself if it has none, as a list of one."""
    family = family_of(operator)
    return [operator if family is None else family]


def size_steps(operator: Operator) -> list[Steps]:
    """Derive the output size of each axis, for every size."""
    return _derived(operator, derive.output_size)


def linear_steps(operator: Operator) -> list[Steps]:
    """Derive linearity line by line, for every size."""
    return _derived(operator, derive.linearity)


def adjoint_steps(operator: Operator) -> list[Steps]:
    """Derive the adjoint line by line, for every size."""
    return _derived(operator, derive.adjoint, first=1)


def kernel_steps(operator: Operator) -> list[Steps]:
    """Derive the gradient of the kernel line by line, for every size."""
    return _derived(operator, derive.kernel_gradient, first=1)


def field_steps(operator: Operator) -> list[Steps]:
    """Derive the receptive field line by line, at this size."""
    try:
        return steps(derive.receptive_field(operator))
    except ConvalgError:
        return []


def _derived(
    operator: Operator, make: Callable[[Operator], Derivation], first: int = 0
) -> list[Steps]:
    """Return the steps from index `first` on: only linearity repeats the definition."""
    family = family_of(operator)
    if family is None:
        return []
    try:
        derived: Derivation = make(family)
        return steps(replace(derived, steps=derived.steps[first:]))
    except ConvalgError:
        return []


def flip_claims(operator: Operator) -> list[Claim]:
    """Claim that a convolution is the correlation with the flipped kernel, or vice versa."""
    (first,) = forms(operator)
    geometry, transposed = layer_of(first)
    layer = only_convolution(first)
    if any(holds(padding_after(axis) < 0) for axis in geometry.axes):
        # An output_padding beyond the window cannot be written as the padding of a call.
        return []
    make: Any = correlation if geometry.axes[0].is_backwards else convolution
    other: Operator = make(
        geometry.in_spatial,
        flip(layer.weights, dims=len(geometry.axes)),
        stride=tuple(axis.stride for axis in geometry.axes),
        padding=[(axis.before, padding_after(axis)) for axis in geometry.axes],
        dilation=tuple(abs(axis.dilation) for axis in geometry.axes),
        groups=geometry.groups,
        boundary=boundary_of(geometry),
    )
    second = other.T if transposed else other
    sentence = f"The {layer_name(first)} is the {layer_name(second)} with the flipped kernel."
    return equal(sentence, first, second)


def adjoint_claims(operator: Operator) -> list[Claim]:
    """Claim that the adjoint of a family is a layer, after inserting zeros if it has a stride."""
    family = family_of(operator)
    if not isinstance(family, Convolution):
        return []
    try:
        adjoint = adjoint_of(family)
    except ConvalgError:
        return []
    if adjoint is None:
        return []
    inner = only_convolution(adjoint)
    kept = inner.weights.flipped == family.weights.flipped
    kernel = "the same kernel" if kept else "the flipped kernel"
    text = f"a {layer_name(inner)} with {kernel}"
    if inner is not adjoint:
        text += ", composed with the other factors of this product"
    sentence = f"The adjoint of the {layer_name(family)} is {text}."
    return equal(sentence, family.T, adjoint, about=family)


def adjoint_of(layer: Convolution) -> Operator | None:
    """Return the adjoint as a product: upsampling, padding, a layer, the adjoint of the border.

    Return None for groups of several channels, whose kernel has no simple transpose.
    """
    geometry = layer.geometry
    axes, lead = geometry.axes, 2 if geometry.has_channels else 0
    groups, outputs, inputs = geometry.channels
    weights: Any = layer.weights
    if groups > 1 and (outputs, inputs) != (1, 1):
        return None
    if lead and groups == 1:
        weights = weights.swapaxes(0, 1)
    forward = tuple(lead + k for k, axis in enumerate(axes) if not axis.is_backwards)
    weights = weights.flip(forward)
    boundary, factors = boundary_of(geometry), []
    inner_sizes = [axis.in_size for axis in axes]
    before = [axis.before for axis in axes]
    if boundary != "zeros":
        pairs = [(axis.before, padding_after(axis)) for axis in axes]
        inner_sizes = [n + a + b for n, (a, b) in zip(inner_sizes, pairs, strict=True)]
        before = [0] * len(axes)
        border = pad(geometry.in_spatial, pairs, boundary=boundary, channels=geometry.in_channels)
        factors.append(border.T)
    source, lengths = None, list(geometry.out_spatial)
    if any(axis.stride != 1 for axis in axes):
        lengths = [axis.tight_size for axis in axes]
        steps_between = tuple(axis.stride for axis in axes)
        source = upsample(geometry.out_spatial, steps_between, channels=geometry.out_channels)
    around = []
    for axis, first, wanted, length in zip(axes, before, inner_sizes, lengths, strict=True):
        start = axis.span - 1 - first
        around.append((start, wanted + axis.span - 1 - start - length))
    options: Any = {"dilation": tuple(abs(a.dilation) for a in axes), "groups": groups}
    if source is None:
        padding = [_expanded(pair) for pair in around]
        factors.append(correlation(lengths, weights, padding=padding, **options))
    else:
        widened = pad(lengths, around, channels=geometry.out_channels)
        wide = [n + a + b for n, (a, b) in zip(lengths, around, strict=True)]
        factors += [correlation(wide, weights, **options), widened, source]
    return compose(*factors)


def _expanded(pair: tuple[Size, Size]) -> tuple[Size, Size]:
    """Return the same padding with symbolic products expanded."""
    before, after = (size.expand() if hasattr(size, "expand") else size for size in pair)
    return before, after


def toeplitz_claims(operator: Operator) -> list[Claim]:
    """Claim for each axis that one output further the row is the same, shifted by the stride.

    For a transposed layer: one input further the column is the same, shifted by the stride.
    """
    claims = []
    for form in dict.fromkeys([operator, *forms(operator)]):
        for number in range(len(layer_of(form)[0].axes)):
            try:
                claims += _stepped(form, number)
            except ConvalgError:
                # Fewer than two outputs, or a stride longer than the input.
                continue
    return claims


def _stepped(form: Operator, number: int) -> list[Claim]:
    geometry, transposed = layer_of(form)
    layer = only_convolution(form)
    axis, s = geometry.axes[number], geometry.axes[number].stride
    low, tail = margins(axis) if axis.boundary != "zeros" else (0, 0)
    sides: list[Operator] = []
    for output, column in ((low + 1, s), (low, 0)):
        rows = _cut(geometry, number, (output, tail + low + 1 - output), outputs=True)
        columns = _cut(geometry, number, (column, s - column), outputs=False)
        side = compose(rows, layer, columns.T)
        sides.append(side.T if transposed else side)
    entries = []
    for pair in (_indices(geometry, number, 1, s), _indices(geometry, number, 0, 0)):
        index = r",\,".join(reversed(pair) if transposed else pair)
        entries.append(f"A_{{{index}}}")
    o, i = (f"{name}{_sub(geometry, number)}" for name in "oi")
    last, end = axis.out_size - 1 - tail, axis.in_size - s
    ranges = rf"{expression(low)} \le {o} < {expression(last)},\ 0 \le {i} < {expression(end)}"
    sample, line, other = ("input", "column", "row") if transposed else ("output", "row", "column")
    where = "" if len(geometry.axes) == 1 else f" along axis {number}"
    inside = ", as long as the windows are inside the input" if axis.boundary != "zeros" else ""
    sentence = (
        f"The {line} of the next {sample}{where} is the same {line}, shifted by {plural(s, other)}"
        f"{inside}."
    )
    formula = Formula(f"{entries[0]} = {entries[1]},\\quad {ranges}")
    first, second = sides
    return equal(sentence, first, second, Code(f"A = {written(form)}"), formula, about=form)


def _sub(geometry: Geometry, number: int) -> str:
    return "" if len(geometry.axes) == 1 else f"_{number + 1}"


def _indices(geometry: Geometry, number: int, output: object, column: object) -> list[str]:
    """The indices of a row and of a column of A in LaTeX, moved along one axis."""
    indices = []
    for name, channel, move in (("o", "k", output), ("i", "c", column)):
        parts = [channel] if geometry.has_channels else []
        for k in range(len(geometry.axes)):
            moved = f"+{move}" if k == number and move else ""
            parts.append(f"{name}{_sub(geometry, k)}{moved}")
        joined = r",\,".join(parts)
        indices.append(f"({joined})" if len(parts) > 1 else joined)
    return indices


def _cut(geometry: Geometry, number: int, pair: tuple[Size, Size], *, outputs: bool) -> Operator:
    """A crop of one axis of the outputs or of the inputs."""
    pairs = [(0, 0)] * len(geometry.axes)
    pairs[number] = pair
    if outputs:
        return crop(geometry.out_spatial, pairs, channels=geometry.out_channels)
    return crop(geometry.in_spatial, pairs, channels=geometry.in_channels)


def margins(axis: Axis) -> tuple[Size, Size]:
    """Return the numbers of outputs at both ends whose windows may reach beyond the input."""
    return _rounded_up(axis.before, axis.stride), _rounded_up(padding_after(axis), axis.stride)


def _rounded_up(size: Size, stride: int) -> Size:
    if holds(size <= 0):
        return 0
    return size if stride == 1 else -(-size // stride)


def shift_claims(operator: Operator) -> list[Claim]:
    """Claim that shifting the input by the stride shifts the output by 1, away from the border."""
    (form,) = forms(operator)
    strides = tuple(axis.stride for axis in layer_of(form)[0].axes)
    try:
        sides = shifted(form, strides, inner=True)
    except ConvalgError:
        # No output is that far from the border.
        return []
    return equal(f"Away from the border, {_shift_text(form, strides)}.", *sides, about=form)


def shift_limits(row: Operator) -> list[Claim]:
    """Compare, for a layer of one axis, shifts by 1 despite a stride, and shifts at the border."""
    (form,) = forms(row)
    strides = tuple(axis.stride for axis in layer_of(form)[0].axes)
    claims: list[Claim] = []
    if strides != (1,):
        with contextlib.suppress(ConvalgError):
            claims += compared(
                f"Away from the border, {_shift_text(form, (1,), 'also shifts')}.",
                f"Away from the border, {_shift_text(form, (1,), 'does not always shift')}.",
                *shifted(form, (1,), inner=True),
                about=form,
            )
    claims += compared(
        f"At the border, too, {_shift_text(form, strides)}.",
        f"At the border, {_shift_text(form, strides, 'does not always shift')}.",
        *shifted(form, strides, inner=False),
        about=form,
    )
    return claims


def _shift_text(form: Operator, strides: tuple[int, ...], shifts: str = "shifts") -> str:
    """The clause that shifting the input shifts the output, with `shifts` as its verb."""
    step = str(strides[0]) if len(set(strides)) == 1 else f"({', '.join(map(str, strides))})"
    if layer_of(form)[1]:
        return f"shifting the input back by 1 {shifts} the output back by {step}"
    return f"shifting the input by {step} {shifts} the output by 1"


def shifted(form: Operator, strides: tuple[int, ...], *, inner: bool) -> tuple[Operator, Operator]:
    """Return C A S_s and C S_1 A, or their transposes; C crops the outputs near the border."""
    geometry, transposed = layer_of(form)
    layer = only_convolution(form)
    circular = all(axis.boundary == "circular" for axis in geometry.axes)
    boundary: Any = "circular" if circular and not inner else "zeros"
    ones = (1,) * len(strides)
    before = shift(geometry.in_spatial, strides, boundary=boundary, channels=geometry.in_channels)
    after = shift(geometry.out_spatial, ones, boundary=boundary, channels=geometry.out_channels)
    sides = [compose(layer, before), compose(after, layer)]
    if inner:
        cuts = []
        for axis in geometry.axes:
            low, tail = margins(axis)
            cuts.append((1 + (low if axis.boundary != "zeros" else 0), tail))
        kept = crop(geometry.out_spatial, cuts, channels=geometry.out_channels)
        sides = [compose(kept, side) for side in sides]
    left, right = ((side.T if transposed else side) for side in sides)
    return left, right


def operator_claims(row: Convolution) -> list[Claim]:
    """Claim stride as downsampling and padding as an operator, for every size of one axis."""
    (form,) = forms(row)
    if form is row:
        return []
    layer = only_convolution(form)
    geometry = layer.geometry
    try:
        dense = remade(geometry, geometry.in_spatial, layer.weights, stride=1)
        drop = downsample(dense.out_shape, geometry.axes[0].stride)
        padding = [(axis.before, padding_after(axis)) for axis in geometry.axes]
        border = pad(geometry.in_spatial, padding, boundary=boundary_of(geometry))
        valid = remade(geometry, border.out_shape, layer.weights, padding=0)
    except ConvalgError:
        return []
    claims = equal(
        "A strided layer is the layer with stride 1, followed by downsampling.",
        drop @ dense,
        form,
    )
    if any(map(any, padding)):
        claims += equal(
            "A layer with padding is the layer without padding, applied to the padded input.",
            valid @ border,
            form,
        )
    return claims


def mode_claims(operator: Operator) -> list[Claim]:
    """Claim that same and valid are rows of full, for every size (stride 1, zeros outside)."""
    family = family_of(operator)
    if family is None:
        return []
    return modes_as_rows(only_convolution(family))


def mode_outputs(layer: Convolution) -> list[int]:
    """Return the outputs along the last axis in the modes full, same, valid (zeros outside)."""
    shape, options = layer.geometry.in_spatial, {"stride": 1, "boundary": "zeros"}
    modes = ("full", "same", "valid")
    layers = [remade(layer.geometry, shape, layer.weights, padding=m, **options) for m in modes]
    return [int(each.out_shape[-1]) for each in layers]


def modes_as_rows(layer: Convolution) -> list[Claim]:
    """Claim that same and valid of the kernel of a layer are rows of full, over its input."""
    geometry = layer.geometry
    options: dict[str, Any] = {"stride": 1, "boundary": "zeros"}
    claims = []
    try:
        full = remade(geometry, geometry.in_spatial, layer.weights, padding="full", **options)
    except ConvalgError:
        return []
    for mode in ("same", "valid"):
        try:
            part = remade(geometry, geometry.in_spatial, layer.weights, padding=mode, **options)
            # A mode lacks as many outputs of full at each end as it lacks padding there.
            cuts = [
                (most.before - kept.before, most.after - kept.after)
                for most, kept in zip(full.geometry.axes, part.geometry.axes, strict=True)
            ]
            rows = crop(full.geometry.out_spatial, cuts, channels=geometry.out_channels)
        except ConvalgError:
            continue
        claims += equal(f"The rows of {mode} are rows of full.", part, compose(rows, full))
    return claims


def pooling_claims(dims: int) -> list[Claim]:
    """Claim that average pooling and downsampling are layers of stride 2, for every size."""
    shape = sizes(" ".join(SPATIAL[:dims]))
    side = 2
    share: Any = Fraction(1, side**dims)
    for _ in range(dims):
        share = [share] * side
    one: Any = 1
    for _ in range(dims):
        one = [one]
    return [
        *equal(
            "Average pooling is a correlation with equal weights and a stride.",
            average_pool(shape, side),
            correlation(shape, share, stride=side),
        ),
        *equal(
            "Downsampling is a correlation with one tap and a stride.",
            downsample(shape, side),
            correlation(shape, one, stride=side),
        ),
    ]


def with_stride(layer: Convolution, stride: int) -> Convolution | None:
    """Return the same layer with another stride; None if no such layer exists."""
    try:
        return remade(layer.geometry, layer.geometry.in_spatial, layer.weights, stride=stride)
    except ConvalgError:
        return None
