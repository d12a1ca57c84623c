"""Integers of every type, up to their limits: exact results, or an error that says why not.

The oracle is plain Python: nested loops over integers of any size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Drawn, layers

import convalg as ca
from convalg.arrays import as_numbers
from convalg.engine import ENGINES
from convalg.errors import ArgumentError, ExactnessError, KindError, SymbolicError

TYPES: tuple[Any, ...] = (
    *(np.int8, np.int16, np.int32, np.int64),
    *(np.uint8, np.uint16, np.uint32, np.uint64),
    *(np.bool_, object),
)
EDGES = (0, 1, 2, 3, 100, 2**11, 2**24, 2**26, 2**31, 2**32, 2**53, 2**62, 2**63, 2**64, 2**80)
NEAR = sorted({sign * (edge + step) for edge in EDGES for step in (-1, 0, 1) for sign in (1, -1)})
"""Where floats, half floats and machine integers end, and what is next to that."""
TOP = 2**63 - 1


def limits(kind: Any) -> tuple[int, int]:
    """The smallest and the largest integer of a type."""
    if kind is object:
        return NEAR[0], NEAR[-1]
    return (0, 1) if kind is np.bool_ else (int(np.iinfo(kind).min), int(np.iinfo(kind).max))


@st.composite
def whole(draw: st.DrawFn, shape: tuple[int, ...]) -> np.ndarray:
    """An array of some integer type, of values near a limit: of small ones in half of the draws."""
    kind = draw(st.sampled_from(TYPES))
    low, high = limits(kind)
    most = draw(st.sampled_from([3, 200, 2**24 + 1, 2**31, 2**53 + 1, 2**90]))
    values = [v for v in (*NEAR, low, high, low + 1, high - 1) if low <= v <= high]
    values = [v for v in values if abs(v) <= most] or [0]
    count = int(np.prod(shape))
    drawn = draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))
    return np.array(drawn, dtype=object).reshape(shape).astype(kind)


def plain(array: np.ndarray) -> np.ndarray:
    """The same integers as Python's."""
    return np.array([int(v) for v in array.flat] + [None], dtype=object)[:-1].reshape(array.shape)


def largest(array: np.ndarray) -> int:
    return max((abs(int(v)) for v in array.flat), default=0)


def agree(found: Any, right: np.ndarray) -> None:
    """The same integers, in a type that holds integers."""
    assert found.shape == right.shape
    assert found.dtype.kind in "iuO", found.dtype
    assert [int(v) for v in found.flat] == [int(v) for v in right.flat]
    assert not any(isinstance(v, (float, np.generic)) for v in found.flat if found.dtype == object)


@settings(max_examples=settings().max_examples // 4)
@given(drawn=layers(), data=st.data(), engine=st.sampled_from(["auto", *ENGINES]))
def test_layers(drawn: Drawn, data: st.DataObject, engine: str) -> None:
    """A(x), A^T g, dL/dw and B(x) on every engine, and the matrices."""
    oracle = drawn.oracle
    w = data.draw(whole(oracle.kernel_shape), label="w")
    x = data.draw(whole((2, *oracle.in_shape)), label="x")
    g = data.draw(whole((2, *oracle.out_shape)), label="g")
    w_in, x_in, g_in = (
        v.tolist() if data.draw(st.booleans(), label="list") else v for v in (w, x, g)
    )
    operator = getattr(ca, drawn.kind)(drawn.shape, w_in, **drawn.options)
    w, x, g = (plain(v) for v in (w, x, g))
    back = sum((oracle.kernel_back(*pair) for pair in zip(x, g, strict=True)), start=0)
    terms = 2 * max(len(oracle.terms), 1)
    jobs = {
        "A(x)": (
            lambda: operator(x_in, engine=engine),
            [oracle.apply(w, each) for each in x],
            largest(w) * largest(x),
        ),
        "A.T(g)": (
            lambda: operator.T(g_in, engine=engine),
            [oracle.back(w, each) for each in g],
            largest(w) * largest(g),
        ),
        "dL/dw": (
            lambda: operator.kernel_gradient(x_in, g_in, engine=engine),
            back,
            largest(x) * largest(g),
        ),
        "B(x) w": (
            lambda: operator.by_kernel(x_in[0])(w_in),
            oracle.apply(w, x[0]),
            largest(w) * largest(x),
        ),
        "B(x).T g": (
            lambda: operator.by_kernel(x_in[0]).T(g_in[0]),
            oracle.kernel_back(x[0], g[0]),
            largest(g) * largest(x),
        ),
        "to_numpy": (operator.to_numpy, oracle.matrix(w), largest(w)),
        "B to_numpy": (
            lambda: operator.by_kernel(x_in[0]).to_numpy(),
            oracle.kernel_matrix(x[0]),
            largest(x),
        ),
    }
    for name, (job, right, size) in jobs.items():
        try:
            found = job()
        except ExactnessError:
            assert size * terms > TOP, name
        except ArgumentError as error:
            # An engine asked for by name, which floats serve.
            words = str(error)
            assert engine not in ("auto", "gather"), name
            assert "does not support" in words or size * terms > 2**53 or "a single kernel" in words
        else:
            agree(found, np.array(right, dtype=object))


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: np.dtype(kind).name)
def test_the_ends_of_a_type(kind: Any) -> None:
    """Sums of a layer at the ends of the type."""
    low, high = limits(kind)
    w = np.array([[1, 0], [1, 1]]) if kind is np.bool_ else np.array([[1, -2], [3, 5]], np.int8)
    x = np.array([[high, low, high], [low, high, high - 1]] * 2, dtype=object).astype(kind)
    layer = ca.correlation((4, 3), w, padding=1)
    padded = np.zeros((6, 5), dtype=object)
    padded[1:5, 1:4] = plain(x)
    right = [
        [sum(int(w[a, b]) * padded[i + a, j + b] for a in (0, 1) for b in (0, 1)) for j in range(4)]
        for i in range(5)
    ]
    for engine in ("auto", "gather"):
        try:
            agree(layer(x, engine=engine), np.array(right, dtype=object))
        except ExactnessError:
            assert kind in (np.int64, np.uint64)
    if kind in (np.int64, np.uint64):
        agree(layer(x.astype(object)), np.array(right, dtype=object))


def test_uint64_next_to_int64_is_exact() -> None:
    """The case in which NumPy's common type is float64."""
    weights, x = np.ones((16, 3, 5, 5), int), np.full((3, 32, 32), 2**53 + 1, np.uint64)
    layer = ca.correlation((32, 32), weights, padding=1)
    assert layer(x)[0, 5, 5] == 75 * (2**53 + 1) == 675539944105574475
    assert layer(x).dtype == np.int64
    assert layer(x.astype(object))[0, 5, 5] == 675539944105574475
    with pytest.raises(
        ExactnessError,
        match=r"which does not fit in a signed 64-bit integer: pass x.astype\(object\)",
    ):
        layer(np.full((3, 32, 32), 2**62, np.uint64))


OPERATORS = {
    "sum pool": lambda n: ca.sum_pool(n, 2, stride=1),
    "its adjoint": lambda n: ca.sum_pool(n + 1, 2, stride=1).T,
    "circular pad": lambda n: ca.pad(n, 2, boundary="circular"),
    "its adjoint too": lambda n: ca.pad(n - 2, 1, boundary="circular").T,
    "upsample": lambda n: ca.upsample(n, 2),
    "dense": lambda n: ca.dense(np.arange(2 * n, dtype=np.uint64).reshape(2, n)),
    "diagonal": lambda n: ca.diagonal(np.arange(n, dtype=np.int8) - 3),
    "large diagonal": lambda n: ca.diagonal(np.full(n, 2**53 + 1, np.uint64)),
    "resize": lambda n: ca.resize(n, 2 * n),
    "adaptive": lambda n: ca.adaptive_pool(n, 3, reduce="sum"),
    "product": lambda n: ca.dense(np.full((2, n), 5, np.int8)) @ ca.diagonal([100] * n),
    "difference": lambda n: ca.diagonal([2**53 + 1] * n) - ca.diagonal([2**53] * n),
    "multiple": lambda n: 2**40 * ca.identity(n),
    "large multiple": lambda n: 2**70 * ca.identity(n),
    "kron": lambda n: (
        ca.diagonal(np.array([120], np.int8)).kron(ca.identity(n)) @ ca.reshape(n, (1, n))
    ),
    "branches": lambda n: ca.concat([ca.identity(n), ca.diagonal([-1] * n)]),
}


@pytest.mark.parametrize("name", OPERATORS)
@settings(max_examples=settings().max_examples // 15)
@given(data=st.data())
def test_operators(name: str, data: st.DataObject) -> None:
    """Every leaf and node, forward and adjoint, against its exact matrix."""
    operator = OPERATORS[name](5)
    matrix = np.array(operator.to_sympy().tolist(), dtype=object)
    for step, dense in ((operator, matrix), (operator.T, matrix.T)):
        x = data.draw(whole(step.in_shape), label="x")
        for given_x in (x, x.tolist()):
            try:
                found = step(given_x)
            except ExactnessError:
                # Both sides of the difference count, though little is left of them.
                size = 2**54 if name == "difference" else largest(dense)
                bound = size * largest(x) * step.shape[1]
                assert bound > TOP // 3
                assert x.dtype != object or given_x is not x
            else:
                agree(found, np.dot(dense, plain(x).ravel()).reshape(step.out_shape))


@pytest.mark.parametrize("name", OPERATORS)
def test_matrices(name: str) -> None:
    operator = OPERATORS[name](5)
    exact = operator.to_sympy().tolist()
    assert [[int(v) for v in row] for row in operator.to_numpy()] == exact
    try:
        sparse = operator.to_scipy()
    except SymbolicError:
        assert name == "large multiple"
    else:
        assert sparse.dtype.kind in "iu"
        assert sparse.toarray().tolist() == exact
        assert operator.to_linear_operator().dtype.kind in "iu"
    # Rounded once, from the exact entries.
    rounded = operator.to_scipy(dtype=np.float32).toarray()
    assert rounded.tolist() == [[float(np.float32(float(v))) for v in row] for row in exact]


def test_weights_that_meet_on_an_entry() -> None:
    """Circular borders that read one sample twice add weights, or inputs, up."""
    layer = ca.correlation(2, np.array([100, 100, 100], np.int8), padding=1, boundary="circular")
    assert layer.to_scipy().toarray().tolist() == [[100, 200], [200, 100]]
    assert layer.to_scipy(dtype=np.int16).toarray().tolist() == [[100, 200], [200, 100]]
    by = layer.T.by_kernel(np.array([100, 100], np.int8))
    assert by.to_scipy().toarray().tolist() == by.to_numpy().tolist() == by.to_sympy().tolist()
    large = ca.correlation(2, [2**24 + 1, 0, -(2**24)], padding=1, boundary="circular")
    assert large.to_scipy(dtype=np.float32).toarray().tolist() == [[0, 1], [1, 0]]


MAPS = {
    "relu": (lambda: ca.relu(4), lambda v: max(v, 0)),
    "leaky": (lambda: ca.leaky_relu(4, 3), lambda v: v if v > 0 else 3 * v),
    "max": (lambda: ca.max_pool(4, 1), lambda v: v),
    "absolute": (lambda: ca.lp_pool(4, 1, 1), abs),
    "affine": (lambda: ca.affine(ca.identity(4), -7), lambda v: v - 7),
    "sum": (lambda: ca.relu(4) + ca.relu(4), lambda v: 2 * max(v, 0)),
    "multiple": (lambda: -2 * ca.relu(4), lambda v: -2 * max(v, 0)),
}


@pytest.mark.parametrize("name", MAPS)
@settings(max_examples=settings().max_examples // 15)
@given(x=whole((4,)))
def test_maps(name: str, x: np.ndarray) -> None:
    make, rule = MAPS[name]
    try:
        found = make()(x)
    except ExactnessError:
        assert 3 * largest(x) + 7 > TOP
    else:
        agree(found, np.array([rule(int(v)) for v in x], dtype=object))


@pytest.mark.parametrize(
    "values",
    [
        [2**63, -1],
        [[2**63, -1], [0, 2**70]],
        [np.uint64(2**53 + 1), np.int64(-1)],
        (np.uint64(5), -1),
        [np.array([2**63], np.uint64), np.array([-1])],
        [True, 2**63, -5],
        np.array([np.int8(100), np.uint64(2**63)], dtype=object),
        [2**63],
        [2**100],
    ],
    ids=repr,
)
def test_lists_of_integers_stay_integers(values: Any) -> None:
    """NumPy makes floats of some of them."""
    found = as_numbers(values, "x")
    leaves = np.array([np.asarray(v, dtype=object) for v in values], dtype=object)
    assert [int(v) for v in found.flat] == [int(v) for v in leaves.flat]
    assert found.dtype.kind in "iuO"
    assert all(type(v) is int for v in found.flat if found.dtype == object)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: (10**400 * ca.identity(2))([1.0, 2.0]), ExactnessError),
        (lambda: ca.diagonal([0.5, 1.5])([10**400, 1]), ExactnessError),
        (lambda: ca.dense([[0.5, 10**400]]), ExactnessError),
        (lambda: ca.identity(2)([0.5, 10**400]), ExactnessError),
        (lambda: ca.correlation(2, [10**400])(np.array([1.0, 2.0])), ExactnessError),
        (lambda: ca.correlation(2, [10**400]).to_scipy(dtype=float), ExactnessError),
        (lambda: ca.correlation(1, [2**40]).to_scipy(dtype=np.int32), ExactnessError),
        (lambda: ca.identity(2)(np.array([1 + 2j, None])), KindError),
    ],
)
def test_numbers_that_no_type_holds_are_refused(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()


def test_floats_are_floats() -> None:
    """NumPy's rule where one side holds floats; small floats stay small."""
    layer = ca.correlation(3, np.array([1, 2], np.int8))
    for kind in (np.float16, np.float32, np.float64):
        assert layer(np.ones(3, kind)).dtype == kind
    assert ca.correlation(3, [1, 2])(np.ones(3, np.float32)).dtype == np.float64


@pytest.mark.filterwarnings("ignore:.*masked element")
@pytest.mark.parametrize("values", [[1, np.ma.masked], [[0.5, 1.0], [2.0, np.ma.masked]]])
def test_masked_entries_of_lists(values: Any) -> None:
    with pytest.raises(KindError, match=r"x must hold only numbers, not the masked entry"):
        as_numbers(values, "x")
