"""What a sheet can say for all sizes: the same layer with letters, and what is proved of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from convalg.axis import Axis
from convalg.base import Operator
from convalg.errors import ConvalgError
from convalg.faces.latex import layer_of
from convalg.faces.text import one_line, padding_after
from convalg.gradients import only_convolution
from convalg.kernels import LetterKernel, flip
from convalg.linear import convolution, correlation, crop, downsample
from convalg.operators import Convolution
from convalg.prove import derive
from convalg.prove.claims import decide, equivariant
from convalg.prove.derivation import Derivation
from convalg.prove.theorems import theorems
from convalg.prove.verdict import Verdict
from convalg.sheet.blocks import Claim, Steps
from convalg.sheet.checks import FAILED, Check
from convalg.spec import is_symbolic, sizes

PROVED, PROVED_HERE = "proved for all sizes", "proved at this size"
REFUTED = "shown by a counterexample"
LONGEST_LINE = 80
SPATIAL, TAPS = ("n", "m", "l"), ("K", "L", "M")


def family_of(operator: Operator) -> Convolution | None:
    """The layer with letters for its sizes, stride and dilation kept; None where there is none.

    Kernels of symbols get letters for their sizes too; kernels of numbers stay as they are.

    >>> import convalg as ca
    >>> family_of(ca.correlation(6, ca.kernel(3), stride=2, padding=1))
    correlation(n, kernel(K), stride=2, padding=1)
    """
    geometry, _ = layer_of(operator)
    axes = geometry.axes
    if len(axes) > len(SPATIAL):
        return None
    letters = sizes(" ".join(SPATIAL[: len(axes)]))
    weights: Any = only_convolution(operator).weights
    taps: tuple[Any, ...] = geometry.taps
    if all(is_symbolic(value) for value in weights.flat):
        taps = sizes(" ".join(TAPS[: len(axes)]))
        shape = (*weights.shape[: weights.ndim - len(axes)], *taps)
        places = tuple(range(len(shape)))
        weights = LetterKernel("w", shape, places, (False,) * len(shape))
    pairs = [_padding(axis, size) for axis, size in zip(axes, taps, strict=True)]
    make = convolution if axes[0].is_backwards else correlation
    try:
        return make(
            letters,
            weights,
            stride=tuple(axis.stride for axis in axes),
            padding=pairs,
            dilation=tuple(abs(axis.dilation) for axis in axes),
            groups=geometry.groups,
            boundary=axes[0].boundary,
        )
    except ConvalgError:
        return None


def _padding(axis: Axis, taps: Any) -> tuple[Any, Any]:
    """Full and same stay what they are; any other padding stays a number."""
    reach, given = abs(axis.dilation) * (taps - 1), axis.span - 1
    before = axis.before
    after = max(axis.after, 0)
    if axis.stride == 1 and before == after == given:
        return reach, reach
    if axis.stride == 1 and before == given // 2 and before + axis.after == given:
        return reach // 2, reach - reach // 2
    return before, before if axis.after <= before < axis.after + axis.stride else after


def size_claims(operator: Operator) -> list[Claim]:
    """The output size, counted for every size; a transposed layer has another formula."""
    family = family_of(operator)
    if family is None or layer_of(operator)[1]:
        return []
    counted = derive.output_size(family).verify()
    return proved(f"The formula counts the outputs of {told(family)}.", counted)


def flip_claims(operator: Operator) -> list[Claim]:
    """A convolution is the correlation with the flipped kernel, and the other way round."""
    family = family_of(operator)
    if family is None:
        return []
    axes = family.geometry.axes
    turned = flip(family.weights, dims=len(axes))
    make = correlation if axes[0].is_backwards else convolution
    other = _made(family, make, turned)
    words = (
        ("convolution", "correlation") if axes[0].is_backwards else ("correlation", "convolution")
    )
    verdict = decide(family, other, claim="a convolution flips")
    return proved(f"The {words[0]} with w is the {words[1]} with the flipped kernel.", verdict)


def _made(family: Convolution, make: Any, weights: Any) -> Convolution:
    """The same family made by another function, which may walk the kernel the other way."""
    axes = family.geometry.axes
    found: Convolution = make(
        family.geometry.in_spatial,
        weights,
        stride=tuple(axis.stride for axis in axes),
        padding=[(axis.before, padding_after(axis)) for axis in axes],
        dilation=tuple(abs(axis.dilation) for axis in axes),
        groups=family.geometry.groups,
        boundary=axes[0].boundary,
    )
    return found


def adjoint_steps(operator: Operator) -> tuple[list[Steps], list[Claim]]:
    """The derivation of the adjoint as a correlation, for every size."""
    family = family_of(operator)
    if family is None:
        return [], []
    try:
        derived = once(derive.adjoint(family))
        lines, verdict = steps_of(derived), derived.verify()
    except ConvalgError:
        return [], []
    statement = (
        f"The adjoint of {told(family)} is the correlation with the flipped kernel, of the "
        f"gradient stretched by the stride and padded by d (k - 1) - p."
    )
    return [lines], proved(statement, verdict)


def once(derived: Derivation) -> Derivation:
    """The derivation with every step proved once, however often its verdict is asked for."""
    return replace(
        derived,
        steps=tuple(replace(step, check=cache(step.check)) for step in derived.steps),
    )


def steps_of(derived: Derivation) -> Steps:
    """A derivation line by line, each with its own verdict."""
    lines = []
    for step in derived.steps:
        verdict = step.verdict
        words = f"{verdict.status} for {verdict.scope}" if verdict else repr(verdict)
        lines.append((step.formula, f"{step.reason[:1].upper()}{step.reason[1:]}.", words))
    return Steps(tuple(lines))


def shift_claims(operator: Operator) -> list[Claim]:
    """A shift of the input is one of the output away from the border; by the stride only."""
    family = family_of(operator)
    if family is None:
        return []
    name, steps = told(family), {int(axis.stride) for axis in family.geometry.axes}
    if len(steps) != 1:
        return []
    (stride,) = steps
    by = "one sample" if stride == 1 else f"{stride} samples, its stride,"
    moved = equivariant(family, stride, out_shift=1, interior=True)
    found = proved(
        f"{name}: an input shifted by {by} gives the output shifted by one, away from the border.",
        moved,
    )
    if stride > 1:
        found += refuted(
            f"{name}: an input shifted by one sample gives no output shifted by one.",
            equivariant(family, 1, interior=True),
        )
    if all(axis.boundary == "circular" for axis in family.geometry.axes):
        return found
    return found + refuted(
        f"{name}: at the border it does not hold, since what the shift brings in is not what "
        f"was there.",
        equivariant(family, stride, out_shift=1),
    )


def told(family: Convolution) -> str:
    """A family in one line, or in words where the line is long."""
    line = one_line(family)
    return line if len(line) <= LONGEST_LINE else "the layer with letters for its sizes"


def drop_claims(operator: Operator) -> list[Claim]:
    """A stride is a layer without one whose outputs are dropped: along the last axis, for all n."""
    axis = layer_of(operator)[0].axes[-1]
    n, taps = sizes("n K")
    make: Any = convolution if axis.is_backwards else correlation
    options: Any = {"dilation": abs(axis.dilation), "padding": axis.before}
    weights = LetterKernel("w", (taps,), (0,), (False,))
    dense = make(n, weights, **options)
    strided = make(n, weights, stride=axis.stride, **options)
    product = downsample(dense.out_shape, axis.stride) @ dense
    verdict = decide(product, strided, claim="convolve and drop")
    statement = f"Convolving everywhere and dropping is {told(strided)}."
    return proved(statement, verdict)


@cache
def _theorem(name: str) -> Verdict:
    return theorems[name].prove()


def theorem_claims(*names: str) -> list[Claim]:
    """Theorems of the catalogue, proved where they have not been in this process."""
    found = []
    for name in names:
        statement = f"Theorem {name}, for {theorems[name].domain}."
        found += proved(statement, _theorem(name))
    return found


def linear_claims(operator: Operator) -> list[Claim]:
    """Linearity, for every size."""
    family = family_of(operator)
    if family is None or layer_of(operator)[1]:
        return []
    return proved(
        f"{told(family)} is linear: A(a x + b z) = a A x + b A z.",
        derive.linearity(family).verify(),
    )


def mode_claims(operator: Operator) -> list[Claim]:
    """Valid as rows of full, for every size (stride 1, zeros outside)."""
    family = family_of(operator)
    if family is None:
        return []
    axes = family.geometry.axes
    dilation = tuple(abs(axis.dilation) for axis in axes)
    groups = family.geometry.groups
    make = convolution if axes[0].is_backwards else correlation
    spatial = family.geometry.in_spatial
    full = make(spatial, family.weights, padding="full", dilation=dilation, groups=groups)
    valid = make(spatial, family.weights, dilation=dilation, groups=groups)
    margins = [(axis.span - 1, axis.span - 1) for axis in axes]
    rows = crop(full.geometry.out_spatial, margins, channels=family.geometry.out_channels)
    verdict = decide(valid, rows @ full, claim="valid is rows of full")
    return proved("Valid is full without d (k - 1) outputs at either end of each axis.", verdict)


def proved(statement: str, verdict: Verdict) -> list[Claim]:
    """The claim where it is decided; nothing where it is not."""
    if verdict.status == "unknown":
        return []
    here = verdict.scope == "this size" or verdict.scope.startswith("inputs of shape")
    if not verdict:
        where = "at this size" if here else "for all sizes"
        return [Claim(statement, Check(FAILED, where, str(verdict.counterexample)))]
    word = PROVED_HERE if here else PROVED
    return [Claim(statement, Check(word, "", f"{verdict.scope}; {verdict.method}"))]


def refuted(statement: str, verdict: Verdict) -> list[Claim]:
    """The claim that something does not hold, with the counterexample; failed where it holds."""
    if verdict.status == "unknown":
        return []
    if verdict:
        return [Claim(statement, Check(FAILED, "", f"it holds for {verdict.scope}"))]
    return [Claim(statement, Check(REFUTED, "", f"{verdict.counterexample}; {verdict.method}"))]
