"""Every formula that a derivation prints, evaluated with numbers: against the naive loops.

The formulas are parsed from their LaTeX by `printed`, which shares no code with convalg. The
operator A of each derivation, made from its printed sum, must have the matrix of the loops, and
sizes and receptive fields must be those of the loops.
"""

from __future__ import annotations

from typing import Any

import naive
import numpy as np
import pytest
from hypothesis import given, settings
from printed import Lines
from strategies import Drawn, layers

import convalg as ca

n, K, p, s, d = ca.sizes("n K p s d")
KINDS = ("linearity", "adjoint", "kernel_gradient", "output_size", "receptive_field")
FEW, MANY, PROVED = 30, 200, 60


def check(
    operator: ca.Operator, oracle: naive.Layer, numbers: dict[str, int], boundary: str = "zeros"
) -> None:
    """All derivations of an operator, at some sizes, against the loops."""
    kernel = np.random.default_rng(len(oracle.terms)).integers(-4, 5, oracle.kernel_shape)
    matrix = oracle.matrix(kernel).astype(np.int64)
    for kind in KINDS:
        found = getattr(ca.derive, kind)(operator)
        lines = Lines(numbers, kernel)
        for step in found.steps:
            lines.check(step.formula)
        if kind == "output_size":
            assert tuple(lines.sizes.values()) == oracle.out_shape[-len(lines.sizes) :]
        elif kind == "receptive_field":
            if boundary == "zeros":
                check_field(lines, oracle)
        else:
            assert (lines.reading.matrix("A") == matrix).all(), kind
        assert lines.checked >= len(found.steps)


def check_field(lines: Lines, oracle: naive.Layer) -> None:
    """The inputs that an output reads are those of its printed set that there are."""
    dims = len(lines.intervals)
    assert dims
    for axis in range(dims):
        place = len(oracle.in_shape) - dims + axis
        size = oracle.in_shape[place]
        found: dict[int, set[int]] = {}
        for output, source in oracle.support():
            own = output[len(oracle.out_shape) - dims + axis]
            found.setdefault(own, set()).add(source[place])
        bounds, reads = lines.intervals[axis]
        for u, sources in found.items():
            low, high = bounds(u)
            assert sources == {i for i in reads(u) if 0 <= i < size}
            assert all(low <= i <= high for i in sources)


def checked(drawn: Drawn) -> None:
    options = {**drawn.options}
    kernel = ca.kernel(*drawn.weights.shape)
    operator = getattr(ca, drawn.kind)(drawn.shape, kernel, **options)
    check(operator, drawn.oracle, {}, drawn.options.get("boundary", "zeros"))


DRAWN = layers(dims=(1, 1, 1, 2))


@settings(max_examples=FEW)
@given(DRAWN)
def test_the_printed_formulas_hold(drawn: Drawn) -> None:
    checked(drawn)


@pytest.mark.thorough
@settings(max_examples=MANY)
@given(DRAWN)
def test_the_printed_formulas_of_many_layers_hold(drawn: Drawn) -> None:
    checked(drawn)


@pytest.mark.thorough
@settings(max_examples=PROVED)
@given(layers())
def test_every_step_of_many_layers_is_proved(drawn: Drawn) -> None:
    for kind in KINDS:
        verdict = getattr(ca.derive, kind)(drawn.operator).verify()
        assert verdict, (kind, verdict)


FAMILIES: list[tuple[str, Any, dict[str, Any], list[dict[str, int]]]] = [
    ("correlation", n, {"stride": 2, "padding": "same"}, [{"n": 7}, {"n": 1}, {"n": 6}]),
    ("correlation", n, {"stride": 3, "padding": "same_lower"}, [{"n": 7}, {"n": 8}]),
    ("correlation", n, {"stride": 2, "padding": p}, [{"n": 5, "p": 2}, {"n": 6, "p": 0}]),
    ("convolution", n, {"dilation": 2, "padding": "full"}, [{"n": 4}]),
    ("convolution", n, {"padding": "same"}, [{"n": 5}]),
    ("correlation", n, {"padding": p, "boundary": "circular"}, [{"n": 4, "p": 3}]),
    ("correlation", n, {"padding": p, "boundary": "reflect"}, [{"n": 4, "p": 3}]),
    ("convolution", n, {"padding": p, "boundary": "symmetric"}, [{"n": 3, "p": 3}]),
    ("correlation", n, {"padding": p, "boundary": "edge", "stride": 2}, [{"n": 3, "p": 4}]),
    ("transposed_correlation", n, {"stride": 2, "padding": p}, [{"n": 4, "p": 1}]),
    ("transposed_correlation", n, {"stride": 3, "output_padding": 2}, [{"n": 3}]),
    ("transposed_correlation", n, {"stride": 2, "padding": "same"}, [{"n": 4}]),
    ("transposed_correlation", n, {"dilation": 3, "stride": 2}, [{"n": 4}]),
    ("correlation", n, {"stride": s, "padding": p}, [{"n": 6, "p": 1, "s": 4}, {"n": 5, "s": 1}]),
    ("convolution", n, {"stride": s, "dilation": d}, [{"n": 9, "s": 2, "d": 3}]),
    ("correlation", n, {"stride": s, "padding": "same"}, [{"n": 7, "s": 3}, {"n": 4, "s": 2}]),
    ("correlation", n, {"dilation": d, "padding": "causal"}, [{"n": 5, "d": 2}]),
    (
        "correlation",
        n,
        {"stride": s, "padding": p, "boundary": "circular"},
        [{"n": 4, "p": 2, "s": 3}],
    ),
    (
        "transposed_correlation",
        n,
        {"stride": s, "dilation": d, "output_padding": s - 1},
        [{"n": 3, "s": 3, "d": 2}, {"n": 2, "s": 1, "d": 4}],
    ),
]


@pytest.mark.parametrize(("kind", "shape", "options", "at"), FAMILIES)
def test_the_printed_formulas_of_families_hold(
    kind: str, shape: Any, options: dict[str, Any], at: list[dict[str, int]]
) -> None:
    family = getattr(ca, kind)(shape, ca.kernel(K), **options)
    for numbers in at:
        sizes = {"p": 0, **numbers, "K": 3}
        given = {name: at_numbers(option, sizes) for name, option in options.items()}
        oracle = Drawn(kind, sizes["n"], [0] * 3, given).oracle
        check(family, oracle, sizes, options.get("boundary", "zeros"))
        assert family.at(**{k: v for k, v in sizes.items() if k in map(str, family.symbols)})


def at_numbers(option: Any, sizes: dict[str, int]) -> Any:
    """An option with numbers for its symbols."""
    if not hasattr(option, "free_symbols"):
        return option
    return int(option.subs({symbol: sizes[symbol.name] for symbol in option.free_symbols}))


@pytest.mark.parametrize(
    ("pool", "sizes"),
    [
        (ca.sum_pool(7, 3, stride=2, padding=1), {}),
        (ca.sum_pool((3, 4), 2, channels=2), {}),
        (ca.sum_pool(8, 2, stride=3).T, {}),
        (ca.sum_pool(n, K, stride=s, padding=p), {"n": 8, "K": 3, "s": 2, "p": 1}),
        (ca.sum_pool(n, K, stride=s).T, {"n": 9, "K": 2, "s": 3}),
    ],
)
def test_the_printed_formulas_of_poolings_hold(pool: ca.Operator, sizes: dict[str, int]) -> None:
    numbers = pool.at(**sizes) if sizes else pool
    for kind in KINDS:
        if kind == "kernel_gradient":
            continue
        lines = Lines(sizes, np.ones(1, dtype=int))
        for step in getattr(ca.derive, kind)(pool).steps:
            lines.check(step.formula)
        if kind in ("linearity", "adjoint"):
            assert (lines.reading.matrix("A") == numbers.to_numpy()).all()


def test_d1_a_transposed_layer_reads_where_it_is_written() -> None:
    layer = ca.transposed_correlation(9, [1, 1, 1], stride=2)
    found = ca.derive.receptive_field(layer)
    assert found.verify()
    assert found.steps[-1].pieces[1] == (
        r"\operatorname{hull} R_{0}(u) = [\left\lceil \frac{u}{2} \right\rceil - 1,"
        r"\ \left\lfloor \frac{u}{2} \right\rfloor]"
    )
    lines = Lines({}, np.ones(3, dtype=int))
    lines.check(found.steps[-1].formula)
    bounds, reads = lines.intervals[0]
    assert (bounds(4), reads(4)) == ((1, 2), {1, 2})
    assert (bounds(3), reads(3)) == ((1, 1), {1})


def test_the_fields_of_products_of_layers() -> None:
    layer = ca.correlation(12, [1, 1, 1], stride=2, padding=1)
    back = ca.transposed_correlation(6, [1, 1], stride=3, dilation=2)
    dilated = ca.correlation(back.out_shape, [1, 1, 1], dilation=2)
    product = dilated @ back @ layer
    found = ca.derive.receptive_field(product)
    assert found.verify()
    lines = Lines({}, np.ones(3, dtype=int))
    for step in found.steps:
        lines.check(step.formula)
    reads = lines.intervals[-1][1]
    matrix = product.to_numpy()
    for u, row in enumerate(matrix):
        assert set(np.flatnonzero(row)) == {i for i in reads(u) if 0 <= i < 12}
    # A transposed layer with a dilation reads no interval: a bound, called so.
    assert any("subseteq" in step.formula for step in found.steps)
