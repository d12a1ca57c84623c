"""Bad input: each call raises one class whose message names the argument, what came, what is right.

The table is bad_input.txt.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy
from bad_rows import check_refused, rows

import convalg as ca
from convalg import errors
from convalg.errors import (
    ConvalgError,
    ExactnessError,
    KindError,
    ShapeError,
    TooLargeError,
)
from convalg.operators.tree import fold

TABLE = Path(__file__).parent / "tables" / "bad_input.txt"
KERNEL = [1, 2, 3]
A = ca.correlation(5, KERNEL)
HUGE = 10**12
NAMES: dict[str, Any] = {
    "np": np,
    "ca": ca,
    "sympy": sympy,
    "Decimal": Decimal,
    "Fraction": Fraction,
    "NAN": float("nan"),
    "KERNEL": KERNEL,
    "A": A,
    "SHIFTED": ca.correlation(5, KERNEL, padding=((1, 0),)),
    "SYMBOLIC": ca.correlation(5, ca.kernel(3)),
    "IDENTITY": ca.identity(5),
    "LAYER": np.ones((4, 1, 3, 3), dtype=int),
    "VGG": ca.correlation((224, 224), np.zeros((64, 64, 3, 3), dtype=np.float32), padding=1),
    "n": ca.sizes("n")[0],
    "NET": ca.sequential((1, 6), [ca.layers.Conv(1, 3)]),
    "HUGE": HUGE,
    # No address space holds this many samples: an allocation fails at once instead of swapping.
    "UNMAPPABLE": 10**16,
}


@pytest.mark.parametrize(("call", "error", "parts"), list(rows(TABLE)))
def test_bad_input_is_refused_in_words(call: str, error: str, parts: list[str]) -> None:
    check_refused(call, error, parts, NAMES)


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ArgumentError", ValueError),
        ("ShapeError", ValueError),
        ("FileError", ValueError),
        ("UndecidableError", ValueError),
        ("KindError", TypeError),
        ("SymbolicError", TypeError),
        ("ExactnessError", OverflowError),
        ("TooLargeError", MemoryError),
    ],
)
def test_each_error_is_of_its_builtin_kind(name: str, builtin: type[Exception]) -> None:
    assert issubclass(getattr(errors, name), ConvalgError)
    assert issubclass(getattr(errors, name), builtin)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda n: ca.correlation(n, KERNEL), id="layer"),
        pytest.param(lambda n: ca.transposed_correlation(n, KERNEL, stride=2), id="transposed"),
        pytest.param(lambda n: ca.correlation(n, KERNEL, dilation=n // 3), id="dilated"),
        pytest.param(
            lambda n: ca.convolution(n, KERNEL, padding="same", boundary="circular"), id="same"
        ),
        pytest.param(lambda n: ca.pad(3, n, boundary="symmetric"), id="pad"),
        pytest.param(lambda n: ca.crop(n, 3), id="crop"),
        pytest.param(lambda n: ca.flip_axes(n), id="flip"),
        pytest.param(lambda n: ca.shift(n, n - 1), id="shift"),
        pytest.param(lambda n: ca.downsample(n, 2), id="downsample"),
        pytest.param(lambda n: ca.upsample(3, n), id="upsample"),
        pytest.param(lambda n: ca.identity((n, n)), id="identity"),
        pytest.param(lambda n: ca.reshape((10**6, n), 10**6 * n), id="reshape"),
        pytest.param(
            lambda n: ca.correlation(n - 2, KERNEL) @ ca.correlation(n, KERNEL), id="product"
        ),
    ],
)
def test_huge_sizes_cost_nothing_until_a_matrix_is_asked_for(
    make: Callable[[int], ca.Operator],
) -> None:
    start = time.perf_counter()
    operator = make(HUGE)
    rows, columns = operator.shape
    assert operator.T.shape == (columns, rows)
    assert max(rows, columns) >= HUGE
    assert str(HUGE) in repr(operator) + repr(operator.T)
    assert operator.structure()
    with pytest.raises(ShapeError, match=r"x must have shape \(\*batch"):
        operator([1, 2])
    assert time.perf_counter() - start < 5


def test_the_memory_limit_can_be_raised() -> None:
    needed = 9 * (8 + 4) + 4 * 4  # nine values with 32-bit columns, four row starts
    words = f"needs {needed} bytes, over the limit of {needed - 1}"
    with pytest.raises(TooLargeError, match=words):
        A.to_scipy(max_bytes=needed - 1)
    assert A.to_scipy(max_bytes=needed).nnz == 9
    with pytest.raises(TooLargeError, match="the dense 3 x 5 matrix needs 120 bytes"):
        A.to_numpy(max_bytes=3 * 5 * 8 - 1)
    assert A.to_numpy(max_bytes=1000).shape == (3, 5)


def test_integers_at_the_edge_of_64_bits_stay_exact() -> None:
    top = 2**63 - 1
    assert ca.correlation(1, [top])([1]).tolist() == [top]
    with pytest.raises(
        ExactnessError,
        match=r"could sum to 1\.84e\+19, which does not fit in a signed 64-bit integer",
    ):
        ca.correlation(1, [top])([2])
    assert ca.correlation(1, [top])(np.array([2], dtype=object)).tolist() == [2 * top]
    assert ca.correlation(2, [1, 1])([2**62 - 1] * 2).tolist() == [2**63 - 2]
    assert (ca.correlation(3, [2**62]) + ca.correlation(3, [2**62])).to_sympy()[0, 0] == 2**63


def test_small_integer_types_do_not_wrap() -> None:
    small = ca.correlation(3, np.array([100], dtype=np.int8))
    assert small(np.array([100] * 3, dtype=np.int8)).tolist() == [10_000] * 3
    for expression, entry in ((small + small, 200), (small @ small, 10_000), (100 * small, 10_000)):
        assert expression([1, 0, 0])[0] == entry
        assert expression.to_scipy().toarray()[0, 0] == entry
        assert expression.to_numpy()[0, 0] == entry


@pytest.mark.parametrize("operation", ["a + a", "a @ a", "100 * a"])
@pytest.mark.parametrize(("weight", "kind"), [(100, np.int8), (2**62, np.int64)])
def test_simplify_does_not_wrap(operation: str, weight: int, kind: type) -> None:
    expression = eval(operation, {"a": ca.correlation(3, np.array([weight], dtype=kind))})
    try:
        found: Any = expression.simplify().to_sympy()[0, 0]
    except ExactnessError:
        return
    assert found == expression.to_sympy()[0, 0]


@pytest.mark.parametrize(
    "move",
    [
        "A",
        "A.T",
        "ca.pad(5, 1)",
        "ca.pad(5, 1, boundary='edge').T",
        "A.kron(IDENTITY)",
        "ca.dense([[1]])",
    ],
)
def test_an_empty_batch_is_a_batch(move: str) -> None:
    operator = eval(move, NAMES)
    assert operator(np.zeros((0, *operator.in_shape))).shape == (0, *operator.out_shape)


def test_an_empty_batch_has_no_gradient() -> None:
    assert A.kernel_gradient(np.zeros((0, 5)), np.zeros((0, 3))).tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("call", "factor"),
    [
        ("np.uint8(200) * (np.uint8(2) * IDENTITY)", 400),
        ("np.int8(100) * (np.int8(100) * IDENTITY)", 10_000),
        ("-(np.int8(-128) * IDENTITY)", 128),
        ("np.int64(2**62) * (np.int64(4) * IDENTITY)", 2**64),
    ],
)
def test_factors_do_not_wrap(call: str, factor: int) -> None:
    with np.errstate(over="ignore"):
        assert eval(call, NAMES).to_sympy()[0, 0] == factor


@pytest.mark.parametrize(("weight", "kind"), [(2**70, int), (1e300, np.float32)])
def test_what_does_not_fit_a_type_is_refused(weight: float, kind: type) -> None:
    with pytest.raises(ExactnessError, match="does not fit into"):
        ca.correlation(5, [weight]).to_scipy(kind)


def test_a_linear_operator_gives_the_type_it_names() -> None:
    pool = ca.average_pool(4, 2).to_linear_operator()
    assert pool.matvec(np.array([1, 2, 3, 4])).dtype == pool.dtype


def test_a_face_without_a_rule_says_so() -> None:
    with pytest.raises(KindError, match="rules must contain the node Sum"):
        fold(A + A, {}, lambda leaf: leaf)


@pytest.mark.parametrize("call", ["A // 2", "A**2", "1 + A", "np.ones(3) @ A", "A(1, 2)"])
def test_what_has_no_meaning_is_left_to_python(call: str) -> None:
    with pytest.raises(TypeError):
        eval(call, NAMES)
