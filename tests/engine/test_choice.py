"""Every engine gives what the pattern says, on every layer that it takes."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Drawn, integers, layers

import convalg as ca
from convalg.axis import Axis
from convalg.engine import (
    ENGINES,
    arithmetic,
    bands,
    choice,
    estimates,
    fourier,
    im2col,
    taps,
    tiles,
    using,
)
from convalg.engine.choice import plan
from convalg.errors import ArgumentError
from convalg.geometry import Geometry
from convalg.operators.leaves import Convolution

ROUNDING = ("fft",)
EXACT = tuple(name for name in ENGINES if name not in ROUNDING)
SIZES = {"BLOCK": (im2col, tiles, bands, taps), "TOGETHER": (tiles, fourier)}


@contextmanager
def in_parts(entries: int) -> Iterator[None]:
    """Engines that hold no more than so many entries at a time, so that all work is in parts."""
    with pytest.MonkeyPatch.context() as patch:
        for name, modules in SIZES.items():
            for module in modules:
                patch.setattr(module, name, entries)
        patch.setattr(arithmetic, "CHUNK", entries)
        plan.cache_clear()
        yield
    plan.cache_clear()


def answers(operator: Any, x: Any, g: Any, engine: str) -> dict[str, Any]:
    """What an engine gives for the jobs that it can do."""
    jobs = {
        "forward": lambda: operator(x, engine=engine),
        "adjoint": lambda: operator.T(g, engine=engine),
        "gradient": lambda: operator.kernel_gradient(x, g, engine=engine),
    }
    found = {}
    for name, job in jobs.items():
        with suppress(ArgumentError):
            found[name] = job()
    return found


def expected(operator: Any, x: Any, g: Any) -> dict[str, Any]:
    """The same from the triples of the pattern."""
    rows, columns, labels = operator.pattern.triples().T
    weights = operator.kernel.ravel()
    flat_x, flat_g = x.reshape(len(x), -1), g.reshape(len(g), -1)
    y, back = np.zeros_like(flat_g), np.zeros_like(flat_x)
    np.add.at(y, (slice(None), rows), weights[labels] * flat_x[:, columns])
    np.add.at(back, (slice(None), columns), weights[labels] * flat_g[:, rows])
    slope = np.zeros_like(weights)
    np.add.at(slope, labels, (flat_g[:, rows] * flat_x[:, columns]).sum(axis=0))
    return {
        "forward": y.reshape(g.shape),
        "adjoint": back.reshape(x.shape),
        "gradient": slope.reshape(operator.kernel.shape),
    }


def hold(found: dict[str, Any], right: dict[str, Any], engine: str) -> None:
    for job, value in found.items():
        assert value.shape == right[job].shape
        if engine in ROUNDING:
            np.testing.assert_allclose(value, right[job], rtol=1e-9, atol=1e-7)
        else:
            assert np.array_equal(value, right[job]), job


@pytest.mark.parametrize("engine", [*ENGINES, "auto"])
@given(drawn=layers(), data=st.data(), batch=st.integers(1, 3), last=st.booleans())
def test_engines_agree_with_the_pattern(
    engine: str, drawn: Drawn, data: st.DataObject, batch: int, last: bool
) -> None:
    """In whole numbers exactly, in floats too where the engine only adds and multiplies."""
    operator = drawn.operator
    layer = operator.operator if not isinstance(operator, Convolution) else operator
    x = data.draw(integers((batch, *layer.in_shape)), label="x")
    g = data.draw(integers((batch, *layer.out_shape)), label="g")
    if last:
        x, g = (np.moveaxis(np.ascontiguousarray(np.moveaxis(a, 0, -1)), -1, 0) for a in (x, g))
    right = expected(layer, x, g)
    if engine not in ROUNDING:
        hold(answers(layer, x, g, engine), right, engine)
    floating = layer.refill(layer.kernel.astype(float))
    found = answers(floating, x.astype(float), g.astype(float), engine)
    hold(found, right, "fft" if engine == "auto" else engine)


@settings(max_examples=25)
@pytest.mark.parametrize("engine", [name for name in ENGINES if name != "csr"])
@given(drawn=layers(), data=st.data(), entries=st.sampled_from([1, 7, 60, 400]))
def test_work_in_parts(engine: str, drawn: Drawn, data: st.DataObject, entries: int) -> None:
    """However little is held at a time, the answers are the same."""
    operator = drawn.operator
    layer = operator.operator if not isinstance(operator, Convolution) else operator
    layer = layer.refill(layer.kernel.astype(float))
    x = data.draw(integers((3, *layer.in_shape)), label="x").astype(float)
    g = data.draw(integers((3, *layer.out_shape)), label="g").astype(float)
    with in_parts(entries):
        hold(answers(layer, x, g, engine), expected(layer, x, g), engine)


@settings(max_examples=20)
@given(drawn=layers(), data=st.data(), entries=st.sampled_from([1, 40, 200]))
def test_many_kernels_in_slices(drawn: Drawn, data: st.DataObject, entries: int) -> None:
    """B(x) takes a batch of kernels."""
    operator = drawn.operator
    turned = operator.by_kernel(data.draw(integers(operator.in_shape), label="x"))
    w = data.draw(integers((5, *drawn.weights.shape)), label="w")
    g = data.draw(integers((5, *operator.out_shape)), label="g")
    whole = turned(w), turned.T(g)
    with in_parts(entries):
        assert np.array_equal(turned(w), whole[0])
        assert np.array_equal(turned.T(g), whole[1])


THREE = np.arange(9.0).reshape(3, 3) - 4


@pytest.mark.parametrize("engine", [*ENGINES, "auto"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_stays_where_it_is_read(engine: str, value: float) -> None:
    """Engines that multiply by zeros must not spread an infinity to outputs that do not read it."""
    layer = ca.correlation((9, 12), np.abs(THREE) + 1)
    x, g = np.ones((2, 9, 12)), np.ones((2, *layer.out_shape))
    x[0, 4, 5] = g[1, 3, 3] = value
    read = (layer.to_scipy() @ (~np.isfinite(x)).reshape(2, -1).T).T.reshape(g.shape) != 0
    assert np.array_equal(~np.isfinite(layer(x, engine=engine)), read)
    back = (layer.to_scipy().T @ (~np.isfinite(g)).reshape(2, -1).T).T.reshape(x.shape) != 0
    assert np.array_equal(~np.isfinite(layer.T(g, engine=engine)), back)


@pytest.mark.parametrize("engine", [*ENGINES, "auto"])
@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "complex64", "complex128"])
def test_number_types(engine: str, kind: str) -> None:
    layer = ca.correlation((6, 7), THREE.astype(np.zeros(1, dtype=kind).real.dtype), padding=1)
    x = (np.arange(84) % 5 - 2).reshape(2, 6, 7).astype(kind)
    if engine == "fft" and kind.startswith("complex"):
        with pytest.raises(ArgumentError, match="it rounds, and supports only real numbers"):
            layer(x, engine=engine)
        return
    y = layer(x, engine=engine)
    assert y.dtype == kind
    right = np.reshape(x, (2, -1)) @ layer.to_numpy().astype(float).T
    np.testing.assert_allclose(y.reshape(2, -1), right, atol=1e-4)


def test_whole_numbers_beyond_floats_stay_exact() -> None:
    """Sums above 2**53 run as integers."""
    layer = ca.correlation(40, np.array([2**30 + 1, 1, 3]))
    x = np.arange(40) + 2**24
    right = np.correlate(x.astype(object), layer.kernel.astype(object), "valid")
    assert layer(x).tolist() == right.tolist()
    with pytest.raises(ArgumentError, match="sums of integers up to 2"):
        layer(x, engine="im2col")


BAD = {
    "no such engine": (
        lambda: ca.correlation(5, [1.0, 2])(np.ones(5), engine="gemm"),
        "engine must be one of auto, gather, csr",
    ),
    "symbols": (
        lambda: ca.correlation(5, ca.kernel(2))(np.ones(5), engine="im2col"),
        "needs a single kernel and machine numbers",
    ),
    "fft of whole numbers": (
        lambda: ca.correlation(9, [1, 2])(np.ones(9, dtype=int), engine="fft"),
        "does not support the forward pass of this layer on integers, since it rounds",
    ),
    "gradient of a matrix": (
        lambda: ca.correlation(3, [1.0]).kernel_gradient(np.ones(3), np.ones(3), engine="csr"),
        "no rule for the gradient of the kernel",
    ),
    "bands of two channels": (
        lambda: ca.correlation(9, np.ones((1, 2, 3)))(np.ones((2, 9)), engine="bands"),
        "supports only layers with one input channel per group",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_engines(name: str) -> None:
    call, message = BAD[name]
    with pytest.raises(ArgumentError, match=message):
        call()


def test_an_engine_is_for_every_layer_of_a_tree() -> None:
    """The name reaches the layers inside, and is forgotten afterwards."""
    layer = ca.correlation((6, 6), THREE)
    tree = 2 * (ca.downsample((4, 4), 2) @ layer)
    x = np.arange(36.0).reshape(6, 6)
    assert np.array_equal(tree(x, engine="im2col"), tree(x))
    thin = ca.correlation((6, 6), THREE[None, None])
    y = np.ones((1, 6, 6))
    assert np.array_equal(thin(y, engine="bands"), thin(y))
    with pytest.raises(ArgumentError, match="does not support the forward pass"):
        (thin @ ca.correlation((7, 7), np.ones((1, 2, 2, 2))))(np.ones((2, 7, 7)), engine="bands")
    with using("gather"):
        assert np.array_equal(layer(x, engine="gather"), layer(x))


def test_steps_backwards_and_gaps() -> None:
    """What the public constructors do not make: negative strides, crops beyond the image, gaps."""
    axes = [
        Axis(9, 4, taps=3, stride=-2, dilation=1, padding=-6),
        Axis(9, 3, taps=2, stride=3, dilation=-4, padding=-5),
        Axis(5, 3, taps=2, stride=1, dilation=2, padding=-7),
        Axis(4, 9, taps=3, stride=1, dilation=3, padding=8),
        Axis(6, 5, taps=4, stride=4, dilation=6, padding=3),
    ]
    for pair in product(axes, repeat=2):
        taps, before, after = (
            tuple(int(getattr(axis, name)) for axis in pair)
            for name in ("taps", "in_size", "out_size")
        )
        layer = Convolution(Geometry(pair), np.arange(1.0, 1 + math.prod(taps)).reshape(taps))
        x = np.arange(2.0 * math.prod(before)).reshape(2, *before)
        g = np.arange(2.0 * math.prod(after)).reshape(2, *after) - 7
        for engine in ENGINES:
            hold(answers(layer, x, g, engine), expected(layer, x, g), engine)


def test_what_engines_can_do() -> None:
    """No engine is left out of the tests above by refusing."""
    layer = ca.correlation((6, 6), THREE)
    found = {name: set(answers(layer, *two(layer), name)) for name in ENGINES}
    every = {"forward", "adjoint", "gradient"}
    assert found.pop("csr") == {"forward", "adjoint"}
    assert all(jobs == every for jobs in found.values())


def two(layer: Convolution) -> tuple[Any, Any]:
    return np.ones((2, *layer.in_shape)), np.ones((2, *layer.out_shape))


def test_a_thin_layer_of_a_long_signal_is_not_gathered() -> None:
    """The model prefers what it should by orders of magnitude."""
    long = ca.correlation(100_000, np.ones(9)).geometry
    wide = ca.correlation((56, 56), np.ones((64, 64, 3, 3)), padding=1).geometry
    large = ca.correlation((256, 256), np.ones((61, 61)), padding=30).geometry
    assert next(iter(estimates(long, batch=64))) == "bands"
    assert next(iter(estimates(wide, batch=8))) in ("im2col", "tiles")
    assert next(iter(estimates(large))) == "fft"
    assert set(estimates(long, "gradient")) == set(ENGINES) - {"csr"}


def test_a_small_layer_is_gathered_without_weighing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weighing takes longer than a small layer; a large one is weighed."""
    monkeypatch.setattr(choice, "_plans", lambda *arguments: pytest.fail("weighed"))
    kernel = np.arange(18).reshape(2, 1, 3, 3)
    small = ca.correlation((5, 7), kernel)
    x, g = np.arange(35).reshape(1, 5, 7), np.arange(30).reshape(2, 3, 5)
    assert np.array_equal(small(x).ravel(), small.to_numpy() @ x.ravel())
    assert np.array_equal(small.T(g).ravel(), small.to_numpy().T @ g.ravel())
    assert small.kernel_gradient(x, g).shape == kernel.shape
    with pytest.raises(pytest.fail.Exception, match="weighed"):
        ca.correlation((50, 70), kernel)(np.ones((1, 50, 70)))


def test_wide_layers_hold_little() -> None:
    """What an application allocates beside its result stays small, for each engine of choice."""
    import tracemalloc

    layer = ca.correlation((28, 28), np.ones((128, 128, 3, 3), dtype=np.float32), padding=1)
    x = np.ones((64, *layer.in_shape), dtype=np.float32)
    for job in (lambda: layer(x), lambda: layer.T(x), lambda: layer.kernel_gradient(x, x)):
        job()
        tracemalloc.start()
        job()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < x.nbytes + 150e6


def test_an_adjoint_of_floats_needs_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only whole numbers ask who reads a sample most: that is a table as long as the signal."""
    layer = ca.correlation(5000, np.ones(9))
    g = np.ones(layer.out_shape)
    right = layer.T(g)

    def refuse(axes: Any) -> int:
        raise AssertionError(axes)

    monkeypatch.setattr("convalg.engine.most_readers", refuse)
    assert np.array_equal(layer.T(g), right)
    with pytest.raises(AssertionError):
        layer.refill(np.ones(9, dtype=int)).T(g.astype(int))


def test_numpy_is_enough_for_what_is_not_large() -> None:
    """To choose among the engines loads no SciPy: that takes longer than the layer."""
    code = (
        "import sys, numpy as np, convalg as ca; "
        "A = ca.correlation((20, 20), np.ones((4, 2, 3, 3))); "
        "y = A(np.ones((8, 2, 20, 20))); A.T(y); print('scipy' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
