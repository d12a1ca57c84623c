"""Parts of theorems that are not equalities: a wrong one is not proved."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import convalg as ca
from convalg.prove.theorems import activations, matrices, sizes, transforms
from convalg.prove.theorems.parts import Decided, Length, Positions
from convalg.prove.theorems.theorem import Part

CLAIMS = [(theorem.name, claim) for theorem in ca.theorems for claim in theorem.claims()]


def _changed(part: Any, **changes: Any) -> Part:
    """A part with something wrong in it."""
    changed: Part = replace(part, **changes)
    return changed


N, K, P, S, D, H, L = ca.sizes("n K p s d h L")


WRONG: dict[str, Part] = {
    "linearity": Decided("with a constant", lambda: ca.prove.linear(lambda x: x + 1, 2)),
    **{
        f"relationship-{k}": Positions("wrong", count, taps, padding, stride, dilation)
        for k, (count, taps, padding, stride, dilation) in {
            1: (N - K, K, 0, 1, 1),
            2: (N - K + P + 1, K, P, 1, 1),
            3: (N + 1, 2 * H + 1, H, 1, 1),
            4: (N + K, K, K - 1, 1, 1),
            5: (-(-(N - K) // S) + 1, K, 0, S, 1),
            6: ((N + P - K) // S + 1, K, P, S, 1),
            7: ((N - K) // S, K, 0, S, 1),
            15: ((N + 2 * P - K - (K - 1) * D) // S + 1, K, P, S, D),
        }.items()
    },
    **{
        f"relationship-{k}": Length("wrong", claimed, padding, stride)
        for k, (claimed, padding, stride) in {
            8: (lambda o, a: o + K, 0, 1),
            9: (lambda o, a: o + K - 1 - P, P, 1),
            11: (lambda o, a: o - K, K - 1, 1),
            12: (lambda o, a: S * o + K + a, 0, S),
            14: (lambda o, a: S * (o - 1) + K - 2 * P + 2 * a, P, S),
        }.items()
    },
    "transposed-output-padding": Length("wrong", lambda o, a: S * (o - 1) + K - 2 * P, P, S),
    "circular-dft": _changed(ca.theorems["circular-dft"].parts[0], exponent=lambda t, p: t + p),
    "average-pooling-adjoint": _changed(ca.theorems["average-pooling-adjoint"].parts[0], factor=K),
    "max-pooling-adjoint": replace(
        ca.theorems["max-pooling-adjoint"].parts[0], weight=lambda o, t: (o, 0, 0)
    ),
    "sum-of-random-variables": _changed(ca.theorems["sum-of-random-variables"].parts[0], sign=-1),
    "difference-of-random-variables": replace(
        ca.theorems["difference-of-random-variables"].parts[0], value=lambda k: k - K
    ),
    **{
        theorem.name: theorem.counter
        for room in (sizes, transforms, matrices, activations)
        for theorem in room.THEOREMS
        if theorem.counter
    },
    **{
        theorem.name: _changed(theorem.parts[0], count=theorem.parts[0].count + 1)
        for theorem in ca.theorems.chapters()["Counting"]
        if hasattr(theorem.parts[0], "count")
    },
    **{
        theorem.name: _changed(theorem.parts[0], width=theorem.parts[0].width + 1)
        for theorem in ca.theorems.chapters()["Receptive fields"]
        if hasattr(theorem.parts[0], "width")
    },
}
"""A wrong part for each theorem that is not about two operators."""


OTHER_WRONG: list[tuple[str, Part]] = [
    *WRONG.items(),
    (
        "average-pooling-adjoint",
        _changed(ca.theorems["average-pooling-adjoint"].parts[0], column=lambda i: (i // K + 1,)),
    ),
    (
        "max-pooling-adjoint",
        _changed(ca.theorems["max-pooling-adjoint"].parts[0], column=lambda o, t: (t, 0)),
    ),
    (
        "receptive-field",
        _changed(ca.theorems["receptive-field"].parts[0], start=lambda u: S * u - P),
    ),
    *(
        (name, _changed(ca.theorems[name].parts[0], exponent=lambda t, p: t + p))
        for name in ("convolution-theorem", "circulant-eigenvalues")
    ),
    (
        "circular-dft",
        replace(
            ca.theorems["circular-dft"].parts[0],
            layer=lambda: ca.correlation(N, ca.kernel(K), padding=((P, K - 1 - P),)),
        ),
    ),
]


@pytest.mark.parametrize(
    ("name", "part"), OTHER_WRONG, ids=lambda v: v if isinstance(v, str) else ""
)
def test_a_wrong_part_is_not_proved(name: str, part: Part) -> None:
    verdict = part.decide()
    assert not verdict
    theorem = replace(ca.theorems[name], parts=(*ca.theorems[name].parts, part))
    assert not theorem.prove()
    if verdict.counterexample is not None:
        assert verdict.counterexample.claimed != verdict.counterexample.actual


def test_every_theorem_has_a_wrong_version() -> None:
    """Those with two operators are broken in many ways above."""
    assert {t.name for t in ca.theorems} == {name for name, _ in CLAIMS} | set(WRONG)
