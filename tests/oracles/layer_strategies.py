"""What the tests of layers draw: windows in one to three axes, inputs without ties, batches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from naive_layers import Window

import convalg as ca

# Largest input, window, stride, dilation and padding per number of axes.
LIMITS = {1: (8, 4, 3, 3, 3), 2: (5, 3, 3, 2, 2), 3: (4, 2, 2, 2, 1)}
STEP = 10
"""Inputs without ties are multiples of this: a change of up to 4 keeps their order."""


@st.composite
def windows(draw: st.DrawFn, *, ceil: bool = True, full: bool = False) -> Window:
    """Any window that exists; with `full`, none of them in the padding alone."""
    dims = draw(st.sampled_from([1, 1, 2, 2, 3]))
    longest, size, stride, dilation, padding = LIMITS[dims]

    def each(low: int, high: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    pads = tuple(zip(each(0, padding), each(0, padding), strict=True))
    found = Window(
        shape=each(1, longest),
        size=each(1, size),
        stride=each(1, stride),
        padding=pads,
        dilation=each(1, dilation),
        ceil_mode=ceil and draw(st.booleans()),
    )
    assume(min(found.out_shape) > 0)
    assume(not full or all(found.inside().values()))
    return found


@st.composite
def calls(draw: st.DrawFn, window: Window, *, ceil: bool = True) -> dict[str, Any]:
    """The options of a window as people write them: one number where all axes agree."""

    def loose(values: tuple[Any, ...]) -> Any:
        alike = len(set(values)) == 1 and not isinstance(values[0], tuple)
        return values[0] if alike and draw(st.booleans()) else values

    padding: Any = window.padding
    if all(before == after for before, after in padding):
        padding = loose(tuple(before for before, _ in padding))
    options = {"stride": loose(window.stride), "dilation": loose(window.dilation)}
    if window.stride == window.size and draw(st.booleans()):
        options["stride"] = None
    options["padding"] = padding
    return {**options, "ceil_mode": window.ceil_mode} if ceil else options


channels = st.sampled_from([None, 1, 2, 3])
batches = st.sampled_from([(), (1,), (2,), (2, 1)])


def lead(count: int | None) -> tuple[int, ...]:
    """The channel axis, where there is one."""
    return () if count is None else (count,)


@st.composite
def distinct(draw: st.DrawFn, shape: tuple[int, ...]) -> np.ndarray:
    """Different multiples of STEP, none of them zero, of both signs."""
    count = math.prod(shape)
    order = draw(st.permutations(range(count)))
    values = [n - count // 2 + (n >= count // 2) for n in order]
    return STEP * np.array(values).reshape(shape)


def check_slope(layer: ca.Map, x: np.ndarray, step: np.ndarray) -> None:
    """f(x + e) - f(x) = J(x) e exactly, where f is linear between the two."""
    assert np.array_equal(layer(x + step) - layer(x), layer.at(x)(step))


def check_adjoint(operator: ca.Operator, g: np.ndarray, v: np.ndarray) -> None:
    """<g, J v> = <J^T g, v> exactly."""
    pairs = zip(g.ravel().tolist(), operator(v).ravel().tolist(), strict=True)
    back = zip(operator.T(g).ravel().tolist(), v.ravel().tolist(), strict=True)
    assert sum(a * b for a, b in pairs) == sum(a * b for a, b in back)


def columns(operator: ca.Operator) -> np.ndarray:
    """The dense matrix, by applying the operator to every unit vector.

    SciPy's sparse matrices have no half floats.
    """
    units = np.eye(operator.shape[1]).reshape(-1, *operator.in_shape)
    return operator(units).reshape(len(units), -1).astype(float).T


def slopes(layer: ca.Map, x: np.ndarray, step: float = 1e-6) -> np.ndarray:
    """The Jacobian at x by central differences."""
    columns = []
    for unit in np.eye(x.size):
        move = step * unit.reshape(x.shape)
        columns.append((layer(x + move) - layer(x - move)).ravel() / (2 * step))
    return np.stack(columns, axis=1)
