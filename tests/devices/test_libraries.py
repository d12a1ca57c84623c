"""Arrays of other libraries through operators: the same numbers, library, device and type.

array-api-strict has the standard's functions and no others. For CuPy, which needs a GPU, a
stand-in keeps what matters: its module's name, no namespace, and no way to NumPy but `get`.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from cases import NAMED, Case, trees
from hypothesis import given, settings
from strategies import Drawn, integers, layers

import convalg as ca
from convalg.devices import array_api
from convalg.operators.leaves import SparseMatrix

strict = pytest.importorskip("array_api_strict")


class Cupy(ModuleType):
    """A stand-in for CuPy: arrays on two devices that only `get` brings to the host."""

    int64 = np.dtype(np.int64)
    iinfo = staticmethod(np.iinfo)

    def __init__(self) -> None:
        super().__init__("cupy")
        self.current, self.placed = 0, 0
        self.before: list[int] = []

    def asarray(self, values: np.ndarray, dtype: Any = None) -> Foreign:
        assert isinstance(values, np.ndarray)
        self.placed += 1
        return Foreign(np.array(values, dtype=dtype))

    def concatenate(self, parts: list[Foreign], axis: int) -> Foreign:
        return Foreign(np.concatenate([part.get() for part in parts], axis=axis))

    def __getattr__(self, name: str) -> Callable[..., Foreign]:
        if name not in (
            "max",
            "min",
            "take",
            "zeros_like",
            "reshape",
            "transpose",
            "sum",
            "matmul",
        ):
            raise AttributeError(name)
        return lambda *found, **options: Foreign(
            getattr(np, name)(*(v.get() if isinstance(v, Foreign) else v for v in found), **options)
        )


cupy = Cupy()


@dataclass(frozen=True)
class Device:
    """Made the current one by `with`, as in CuPy."""

    number: int

    def __enter__(self) -> None:
        cupy.before.append(cupy.current)
        cupy.current = self.number

    def __exit__(self, *_: object) -> None:
        cupy.current = cupy.before.pop()


class Foreign:
    """An array of the stand-in; NumPy cannot read it, and devices do not mix."""

    __array_ufunc__ = None

    def __init__(self, values: Any) -> None:
        self.values, self.device = np.asarray(values), Device(cupy.current)

    def get(self) -> np.ndarray:
        assert self.device.number == cupy.current
        return self.values

    def __array__(self, *_: Any, **__: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    shape = property(lambda self: self.values.shape)
    dtype = property(lambda self: self.values.dtype)

    def __int__(self) -> int:
        return int(self.get())

    def astype(self, kind: Any) -> Foreign:
        return Foreign(self.get().astype(kind))

    def __getitem__(self, place: Any) -> Foreign:
        return Foreign(self.get()[place])

    def __mul__(self, other: Any) -> Foreign:
        return Foreign(self.get() * (other.get() if isinstance(other, Foreign) else other))

    def __add__(self, other: Foreign) -> Foreign:
        return Foreign(self.get() + other.get())


Foreign.__module__, Foreign.__name__ = "cupy", "ndarray"


@pytest.fixture(autouse=True, scope="module")
def with_cupy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", cupy)
        yield


def whole(operator: ca.Operator, *batch: int) -> np.ndarray:
    shape = (*batch, *operator.in_shape)
    return np.random.default_rng(0).integers(-4, 5, size=shape)


CPU, OTHER = strict.Device("CPU_DEVICE"), strict.Device("device1")
"""The second is pretended, and NumPy cannot read from it."""


def host(x: Any) -> np.ndarray:
    return np.asarray(x.to_device(CPU))


def held(operator: ca.Operator, matrix: np.ndarray, *batch: int) -> None:
    """A(x) is the matrix times x in the strict library, in the type and on the device of x."""
    x = whole(operator, *batch)
    product = (x.reshape(-1, matrix.shape[1]) @ matrix.T).reshape(*batch, *operator.out_shape)
    for kind in (strict.int64, strict.float32):
        for device in (CPU, OTHER):
            y = operator(strict.asarray(x, dtype=kind, device=device))
            assert (type(y), y.dtype, y.device) == (type(strict.zeros(1)), kind, device)
            np.testing.assert_array_equal(host(y), product)


@given(layers())
def test_layers(drawn: Drawn) -> None:
    matrix = drawn.oracle.matrix(drawn.weights).astype(np.int64)
    held(drawn.operator, matrix, 2)
    held(drawn.operator.T, matrix.T)


@given(trees())
def test_trees(case: Case) -> None:
    held(case.operator, case.matrix, 2, 1)


@pytest.mark.parametrize("name", sorted(NAMED))
def test_named_operators(name: str) -> None:
    case = NAMED[name]()
    held(case.operator, case.matrix, 1)
    held(case.operator.T, case.matrix.T, 0)


@given(layers())
def test_patches(drawn: Drawn) -> None:
    """B(x), the operator from the kernel to the output, and its adjoint."""
    patches = drawn.operator.by_kernel(whole(drawn.operator))
    held(patches, patches.to_numpy(), 2)
    held(patches.T, patches.to_numpy().T, 2)


@given(integers((5, 7), size=2))
def test_sparse_rows_of_any_length(values: np.ndarray) -> None:
    values[0] = 1
    matrix = scipy.sparse.csr_array(values)
    operator = SparseMatrix(matrix.indptr, matrix.indices, matrix.data, (7,), (5,))
    held(operator, values, 2)
    held(operator.T, values.T, 2)


def test_rows_that_start_like_the_identity() -> None:
    ring = np.eye(4, dtype=int) + np.roll(np.eye(4, dtype=int), 1, axis=1)
    matrix = scipy.sparse.csr_array(ring)
    indices = np.array([0, 1, 1, 2, 2, 3, 3, 0])
    operator = SparseMatrix(matrix.indptr, indices, np.ones(8), (4,), (4,))
    np.testing.assert_array_equal(host(operator(strict.eye(4))), ring.T)


@pytest.mark.parametrize("batch", [(), (7,), (2, 3)])
def test_large_batches_go_in_slices(batch: tuple[int, ...], monkeypatch: Any) -> None:
    monkeypatch.setattr(array_api, "CHUNK", 100)
    case = NAMED["channels"]()
    held(case.operator, case.matrix, *batch)
    held(case.operator.T, case.matrix.T, *batch)
    patches = case.operator.by_kernel(whole(case.operator))
    held(patches.T, patches.to_numpy().T, *batch)


# Types.


def product(x: np.ndarray) -> np.ndarray:
    return ca.correlation(4, [1, -2])(x)


# The kernel's gradient.


def gradient_held(operator: ca.Operator, *batch: int) -> None:
    x, g = whole(operator, *batch), whole(operator.T, *batch)
    expected = operator.kernel_gradient(x, g)
    found = operator.kernel_gradient(
        *(strict.asarray(v, dtype=strict.float64, device=OTHER) for v in (x, g))
    )
    assert (found.dtype, found.device) == (strict.float64, OTHER)
    np.testing.assert_array_equal(host(found), expected)
    with Device(1):
        there = [Foreign(v.astype(float)) for v in (x, g)]
    np.testing.assert_array_equal(operator.kernel_gradient(*there).values, expected)


@given(layers())
def test_kernel_gradients(drawn: Drawn) -> None:
    gradient_held(drawn.operator, 2)


@pytest.mark.parametrize("batch", [(), (0,), (7,)])
def test_kernel_gradients_through_the_tree(batch: tuple[int, ...], monkeypatch: Any) -> None:
    monkeypatch.setattr(array_api, "CHUNK", 100)
    layer = ca.correlation((6, 6), np.ones((2, 3, 3, 3)), stride=2, padding=1)
    tree = 2 * ca.identity((3, 3), channels=2) @ layer @ ca.pad((4, 4), 1, channels=3)
    gradient_held(Fraction(1, 2) * tree + ca.dense(np.ones((18, 48)), **shapes(tree)), *batch)
    gradient_held(-1 * layer.T, *batch)


def shapes(operator: ca.Operator) -> dict[str, tuple[int, ...]]:
    return {"in_shape": operator.in_shape, "out_shape": operator.out_shape}


BIG = 2**31
GROWING = {
    "compose": lambda: ca.diagonal([BIG, 1]) @ ca.diagonal([BIG, 1]),
    "kron": lambda: ca.diagonal([BIG]).kron(ca.diagonal([BIG, 1])),
    "scaled": lambda: BIG * ca.diagonal([BIG, 1]),
    "sum": lambda: ca.diagonal([BIG**2 // 2, 1]) + ca.diagonal([BIG**2 // 2, 1]),
    "adjoint": lambda: ca.correlation((1, 2), [[[[BIG**2 // 2]]]] * 2).T,
    "adjoint of patches": lambda: ca.correlation(3, [1, 2]).by_kernel([BIG**2 // 2] * 3).T,
    "matrix": lambda: ca.dense([[BIG**2 // 2] * 2]),
    "sparse": lambda: ca.max_pool(4, 2).at([1, 2, 3, 4]) @ ca.pad(2, 1) * BIG**2,
    "selection": lambda: BIG**2 // 2 * ca.sum_pool(2, 2),
}


@pytest.mark.parametrize("name", sorted(GROWING))
def test_whole_numbers_never_overflow(name: str) -> None:
    operator = GROWING[name]()
    x = np.ones(operator.in_shape, dtype=np.int64)
    np.testing.assert_array_equal(host(operator(strict.asarray(x))), operator(x))
    with pytest.raises(ca.errors.ExactnessError, match="beyond array_api_strict"):
        operator(strict.asarray(2 * x))


# Devices.


@given(trees())
def test_cupy(case: Case) -> None:
    x = whole(case.operator, 2)
    with Device(1):
        there = Foreign(x)
    y = case.operator(there)
    assert (y.device.number, cupy.current) == (1, 0)
    product = x.reshape(2, -1) @ case.matrix.T
    np.testing.assert_array_equal(y.values.reshape(2, -1), product)


def test_tables_and_kernels_go_to_a_device_once() -> None:
    layer = ca.correlation((8, 8), np.ones((4, 2, 3, 3)), padding=1, boundary="edge")
    x = Foreign(np.ones((3, 2, 8, 8), dtype=np.float32))
    layer(x), layer.T(layer(x))
    before = cupy.placed
    assert layer.T(layer(x)).dtype == np.float32
    assert cupy.placed == before
    with Device(1):
        other = Foreign(np.ones((3, 2, 8, 8)))
    layer(other)
    assert cupy.placed > before


def test_what_is_placed_goes_with_the_operator() -> None:
    gc.collect()
    before = len(array_api._HELD)
    layer = ca.correlation(8, [1, 2])
    layer(strict.ones(8))
    assert len(array_api._HELD) == before + 1
    del layer
    gc.collect()
    assert len(array_api._HELD) == before


# JAX.


@pytest.fixture(scope="module")
def jnp() -> Any:
    return pytest.importorskip("jax.numpy")


# Each new shape is compiled.
@settings(max_examples=15)
@given(layers())
def test_jax_traces_and_differentiates(jnp: Any, drawn: Drawn) -> None:
    import jax

    operator = drawn.operator
    x, g = whole(operator, 2), whole(operator.T, 2)

    @jax.jit
    def both(x: Any, g: Any) -> Any:
        y, back = jax.vjp(operator, x)
        return y, *back(g)

    y, gradient = both(jnp.asarray(x, jnp.float32), jnp.asarray(g, jnp.float32))
    np.testing.assert_array_equal(y, operator(x))
    np.testing.assert_array_equal(gradient, operator.T(g))


def test_jax_transforms(jnp: Any) -> None:
    import jax

    layer = ca.correlation((6, 6), ca.kernels.sobel_x, stride=2, padding=1, boundary="reflect")
    x = whole(layer, 3)
    for kind in (jnp.float32, jnp.bfloat16, jnp.int32, jnp.int8):
        found = jax.jit(layer)(jnp.asarray(x, kind)) if kind != jnp.int32 else layer(jnp.asarray(x))
        assert isinstance(found, jax.Array)
        assert found.dtype == (jnp.int32 if kind == jnp.int8 else kind)
        np.testing.assert_array_equal(np.asarray(found, np.int64), layer(x))
    np.testing.assert_array_equal(jax.vmap(layer)(jnp.asarray(x, jnp.float32)), layer(x))
    with pytest.raises(ca.errors.ExactnessError, match="beyond int32: cast the array"):
        jax.jit(layer)(jnp.asarray(x, jnp.int32))


# Bad input.


LAYER = ca.correlation(3, [1, 2])

BAD: list[tuple[Callable[[], Any], str]] = [
    (lambda: ca.identity(3)(strict.ones(4)), r"the array must have shape \(\*batch, 3\)"),
    (
        lambda: ca.correlation(3, ca.kernel(2))(strict.ones(3)),
        "has symbols, which no array can hold",
    ),
    (
        lambda: ca.diagonal([1, 0.5])(strict.asarray([1, 2])),
        "the operator holds 1.0, which is not an integer",
    ),
    (
        lambda: ca.diagonal([1, Fraction(1, 3)])(strict.asarray([1, 2])),
        "holds 1/3, which is not an integer, but the array holds",
    ),
    (
        lambda: (0.5 * ca.pad(2, 1))(strict.asarray([1, 2])),
        "but the array holds integers: cast the array",
    ),
    (
        lambda: LAYER.kernel_gradient(strict.ones(3), np.ones(2)),
        "x and g must be arrays of the same library",
    ),
    (
        lambda: LAYER.kernel_gradient(strict.ones(3), strict.asarray([1, 2])),
        "x and g must hold floating-point numbers, not array_api_strict.int64",
    ),
    (
        lambda: LAYER.kernel_gradient(strict.ones((2, 3)), strict.ones(2)),
        r"must have the same batch, but x has \(2,\) and g has none",
    ),
    (
        lambda: LAYER(strict.ones(3), engine="im2col"),
        "needs NumPy arrays, but x is an array of type Array",
    ),
    (lambda: ca.relu(3)(Foreign([1, 2, 3])), "x cannot be converted to a NumPy array: Implicit"),
    (lambda: ca.dense(strict.ones((2, 2), device=OTHER)), "cannot be converted to a NumPy array"),
]


@pytest.mark.parametrize(("call", "words"), BAD, ids=[words[:20] for _, words in BAD])
def test_bad_arrays(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(ca.errors.ConvalgError, match=words):
        call()
