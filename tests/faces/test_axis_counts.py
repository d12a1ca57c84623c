"""The counts of one axis: at every size they are the numbers of pairs that a loop finds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import convalg as ca
from convalg.axis import BOUNDARIES, Axis
from convalg.errors import ArgumentError
from convalg.faces.axis_counts import axis_nonzeros, axis_triples, is_at_most_zero
from convalg.operators.tree import Operator
from convalg.size import substituted

n, K, p, q, s = ca.sizes("n K p q s")
w = ca.kernel(K)

STEPS: dict[str, dict[str, Any]] = {
    "stride 2, dilation 3": {"stride": 2, "dilation": 3},
    "stride 6, dilation 4": {"stride": 6, "dilation": 4},
    "stride 2 s, dilation 3 s": {"stride": 2 * s, "dilation": 3 * s},
    "stride s, dilation 2": {"stride": s, "dilation": 2},
    "stride 3, dilation s": {"stride": 3, "dilation": s},
    "stride s": {"stride": s},
}
LAYERS: dict[str, Operator] = {
    **{name: ca.correlation(n, w, padding=((p, q),), **steps) for name, steps in STEPS.items()},
    **{
        f"{boundary}, stride s": ca.correlation(
            n, w, padding=((p, q),), stride=s, boundary=boundary
        )
        for boundary in BOUNDARIES[1:]
    },
    **{
        f"{boundary}, flipped": ca.convolution(n, w, padding=((p, q),), boundary=boundary)
        for boundary in BOUNDARIES[1:]
    },
    "circular, dilation 6": ca.correlation(n, w, padding=p, dilation=6, boundary="circular"),
}
COUNTS = {
    name: (axis_triples(layer.geometry.axes[0]), axis_nonzeros(layer.geometry.axes[0]))  # type: ignore[attr-defined]  # a layer
    for name, layer in LAYERS.items()
}


def pairs(axis: Axis) -> tuple[int, int]:
    """The pairs of an output and a tap, and of an output and an input, found by a loop."""
    taps, inputs = 0, set()
    for o, row in enumerate(axis.columns().tolist()):
        for column in row:
            if column >= 0:
                taps += 1
                inputs.add((o, column))
    return taps, len(inputs)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(sorted(LAYERS)),
    st.tuples(
        st.integers(1, 9),
        st.integers(1, 12),
        st.integers(0, 9),
        st.integers(0, 9),
        st.integers(1, 5),
    ),
)
def test_counts_of_an_axis(name: str, values: tuple[int, ...]) -> None:
    """Windows may be larger than the input, and the padding larger than the window."""
    numbers = dict(zip((n, K, p, q, s), values, strict=True))
    layer = LAYERS[name]
    try:
        member = layer.at(**{symbol.name: numbers[symbol] for symbol in layer.symbols})
    except ArgumentError:
        return
    found = tuple(substituted(value, numbers) for value in COUNTS[name])
    assert found == pairs(member.geometry.axes[0])  # type: ignore[attr-defined]  # a layer


def test_substitution_by_sympy() -> None:
    """SymPy 1.14 takes Max(0, 6 x - 4) / 6 for an integer, so that no maximum is divided."""
    value = COUNTS["stride 6, dilation 4"][0]
    assert value.subs({n: 1, K: 1, p: 2, q: 4}) == 0


SIGNS = [
    (n - K, (K - n,), True),
    (1 - s, (s - 1,), True),
    (1 - s, (), False),
    (n // s - n, (s - 1,), True),
    (1 + (K - n - 1) // s, (n - K, s - 1), True),
    (2 + (K - n - 1) // s, (n - K, s - 1), False),
    (1 - n // s, (n - s, s - 1), True),
    (K * n, (), False),
]


@pytest.mark.parametrize(("value", "premises", "expected"), SIGNS, ids=str)
def test_signs_of_sizes(value: Any, premises: tuple[Any, ...], expected: bool) -> None:
    assert is_at_most_zero(premises, value) is expected
