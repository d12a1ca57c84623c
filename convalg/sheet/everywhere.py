"""What a sheet can say for all sizes: the same layer with letters, and what is proved of it."""

from __future__ import annotations

from typing import Any

from convalg.axis import Axis
from convalg.base import Operator
from convalg.errors import ConvalgError
from convalg.faces.latex import layer_of
from convalg.faces.text import one_line
from convalg.gradients import only_convolution
from convalg.kernels import LetterKernel
from convalg.linear import convolution, correlation, crop
from convalg.operators import Convolution
from convalg.prove import derive
from convalg.prove.claims import decide
from convalg.prove.verdict import Verdict
from convalg.sheet.checks import FAILED, Check
from convalg.sheet.document import Claim
from convalg.spec import is_symbolic, sizes

PROVED = "proved for all sizes"
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
    return _claim(f"The formula counts the outputs of {one_line(family)}.", counted)


def adjoint_claims(operator: Operator) -> list[Claim]:
    """The adjoint as a correlation, derived and proved for every size."""
    family = family_of(operator)
    if family is None:
        return []
    try:
        verdict = derive.adjoint(family).verify()
    except ConvalgError:
        return []
    statement = (
        f"The adjoint of {one_line(family)} is the correlation with the flipped kernel, of the "
        f"gradient stretched by the stride and padded by d (k - 1) - p."
    )
    return _claim(statement, verdict)


def linear_claims(operator: Operator) -> list[Claim]:
    """Linearity, for every size."""
    family = family_of(operator)
    if family is None or layer_of(operator)[1]:
        return []
    return _claim(
        f"{one_line(family)} is linear: A(a x + b z) = a A x + b A z.",
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
    return _claim("Valid is full without d (k - 1) outputs at either end of each axis.", verdict)


def _claim(statement: str, verdict: Verdict) -> list[Claim]:
    """The claim where it is decided; nothing where it is not."""
    if verdict.status == "unknown":
        return []
    if not verdict:
        return [Claim(statement, Check(FAILED, "for all sizes", str(verdict.counterexample)))]
    return [Claim(statement, Check(PROVED, "", f"{verdict.scope}; {verdict.method}"))]
