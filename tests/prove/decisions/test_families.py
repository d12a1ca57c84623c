"""Families: what is decided, about which sizes, and what is not; random pairs by brute force."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import brute
import islpy
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.axis import BOUNDARIES
from convalg.errors import ArgumentError, ShapeError, UndecidableError
from convalg.operators.leaves import Selection
from convalg.prove import equal
from convalg.prove.decisions import nonlinear
from convalg.prove.decisions.domain import Domain
from convalg.prove.equality import decide

n, m, K, L, p, q, s, d, C, D = ca.sizes("n m K L p q s d C D")
w = ca.kernel(K)
A = ca.correlation(n, w)
B = ca.correlation((n, m), ca.kernel(K, L))


def check(first: ca.Operator, second: ca.Operator, status: str, scope: str = "") -> Any:
    """The verdict, and brute force beside it."""
    verdict = equal(first, second)
    assert verdict.status == status, verdict
    assert not scope or verdict.scope == scope
    if status == "proved":
        found, compared = brute.violation((first, second))
        assert found is None
        assert compared >= 3
    if status == "refuted":
        brute.check_refuted((first, second), verdict)
    return verdict


# -- what is proved -------------------------------------------------------------------------

PROVED: dict[str, tuple[Any, Any, str]] = {
    "itself": (A, A, "all n >= K >= 1"),
    "double adjoint": (A, A.T.T, "all n >= K >= 1"),
    "sum": (A + A, 2 * A, "all n >= K >= 1"),
    "difference": (A - A, 0 * A, "all n >= K >= 1"),
    "fraction": (Fraction(1, 3) * A + Fraction(2, 3) * A, A, "all n >= K >= 1"),
    "letter times": (K * A + A, (K + 1) * A, "all n >= K >= 1"),
    "symbol factor": (
        sympy.Symbol("a") * A - A,
        (sympy.Symbol("a") - 1) * A,
        "all n >= K >= 1",
    ),
    "sum under a product": (
        ca.identity(n - K + 1) @ (A + A),
        A @ (2 * ca.identity(n)),
        "all n >= K >= 1",
    ),
    "adjoint of a product": (
        (A @ ca.flip_axes(n)).T,
        ca.flip_axes(n) @ A.T,
        "all n >= K >= 1",
    ),
    "numbers beside letters": (
        ca.correlation(n, [1, 0, -1]),
        ca.convolution(n, [-1, 0, 1]),
        "all n >= 3",
    ),
    "numbers added up": (
        ca.correlation(n, [1, 1]) @ ca.correlation(n + 1, [1, 1]),
        ca.correlation(n + 1, [1, 2, 1]),
        "all n >= 2",
    ),
    "floats": (ca.correlation(n, [0.5, 0.25]), ca.convolution(n, [0.25, 0.5]), "all n >= 2"),
    "pad and crop": (ca.crop(n + p + q, ((p, q),)) @ ca.pad(n, ((p, q),)), ca.identity(n), ""),
    "shift": (ca.shift(n, 1), ca.shift(n, -1).T, "all n >= 1"),
    "cyclic shifts": (
        ca.shift(n, p, boundary="circular") @ ca.shift(n, -p, boundary="circular"),
        ca.identity(n),
        "all n >= 1, n >= p >= 0; the border folds at most once",
    ),
    "flip twice": (ca.flip_axes((n, m)) @ ca.flip_axes((n, m)), ca.identity((n, m)), ""),
    "flip is its adjoint": (ca.flip_axes(n).T, ca.flip_axes(n), "all n >= 1"),
    "sampling": (ca.downsample(2 * n, 2).T, ca.upsample(n, 2, size=2 * n), "all n >= 1"),
    "downsample twice": (
        ca.downsample(2 * n, 2) @ ca.downsample(4 * n, 2),
        ca.downsample(4 * n, 4),
        "all n >= 1",
    ),
    "pooling": (ca.sum_pool(2 * n, 2), ca.correlation(2 * n, [1, 1], stride=2), "all n >= 1"),
    "average": (2 * ca.average_pool(2 * n, 2), ca.sum_pool(2 * n, 2), "all n >= 1"),
    "kron of identities": (
        ca.identity(n).kron(ca.identity(m)),
        ca.identity((n, m)),
        "all n >= 1, m >= 1",
    ),
    "kron of layers": (
        A.kron(ca.identity(m)) @ ca.identity(n).kron(ca.flip_axes(m)),
        A.kron(ca.flip_axes(m)),
        "all n >= K >= 1, m >= 1",
    ),
    "kron of adjoints": (A.kron(ca.flip_axes(m)).T, A.T.kron(ca.flip_axes(m)), ""),
    "two axes": (
        B,
        ca.convolution((n, m), ca.flip(ca.kernel(K, L))),
        "all n >= K >= 1, m >= L >= 1",
    ),
    "three axes": (
        ca.correlation((n, m, 3), ca.kernel(K, L, 2)),
        ca.convolution((n, m, 3), ca.flip(ca.kernel(K, L, 2), dims=3)),
        "all n >= K >= 1, m >= L >= 1",
    ),
    "channels as letters": (
        ca.correlation(n, ca.kernel(C, D, K)),
        ca.convolution(n, ca.flip(ca.kernel(C, D, K), dims=1)),
        "",
    ),
    "one channel": (
        ca.correlation((n, 1), ca.kernel(1, 1, K, 1)),
        ca.correlation((n, 1), ca.kernel(1, 1, K, 1), padding=0),
        "all n >= K >= 1",
    ),
    "groups as numbers": (
        ca.correlation(n, ca.kernel(4, 1, K), groups=2),
        ca.convolution(n, ca.flip(ca.kernel(4, 1, K), dims=1), groups=2),
        "all n >= K >= 1",
    ),
    "depthwise as letters": (
        ca.correlation(n, ca.kernel(C, 1, K), groups=C),
        ca.convolution(n, ca.flip(ca.kernel(C, 1, K), dims=1), groups=C),
        "",
    ),
    "diagonal beside letters": (
        ca.diagonal([1, 2]).kron(A),
        ca.diagonal([1, 0]).kron(A) + 2 * ca.diagonal([0, 1]).kron(A),
        "all n >= K >= 1",
    ),
    "dense beside letters": (
        ca.dense([[1, 2], [0, 3]]).kron(ca.identity(n)).T,
        ca.dense([[1, 0], [2, 3]]).kron(ca.identity(n)),
        "all n >= 1",
    ),
    "axes of one sample": (
        ca.reshape((n, 1), n) @ ca.reshape(n, (n, 1)),
        ca.identity(n),
        "all n >= 1",
    ),
    "one kernel twice": (
        ca.correlation(n - K + 1, w) @ A,
        ca.correlation(n - K + 1, w) @ ca.correlation(n, w),
        "",
    ),
    "one kernel twice, commuting": (
        ca.correlation(n - K + 1, w) @ ca.correlation(n, ca.flip(w)),
        ca.correlation(n - K + 1, ca.flip(w)) @ ca.correlation(n, w),
        "",
    ),
    "normal": (
        ca.correlation(n, ca.kernel(3), padding=1, boundary="circular").T
        @ ca.correlation(n, ca.kernel(3), padding=1, boundary="circular"),
        ca.correlation(n, ca.kernel(3), padding=1, boundary="circular")
        @ ca.correlation(n, ca.kernel(3), padding=1, boundary="circular").T,
        "all n >= 1",
    ),
}


@pytest.mark.parametrize("name", PROVED)
def test_proved(name: str) -> None:
    first, second, scope = PROVED[name]
    check(first, second, "proved", scope)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("padding", [p, 1, ((p, q),)], ids=["p", "1", "p, q"])
def test_each_boundary_with_letters(boundary: Any, padding: Any) -> None:
    layer = ca.correlation(n, w, padding=padding, boundary=boundary)
    padded = ca.pad(n, padding, boundary=boundary)
    check(layer, ca.correlation(padded.out_shape[0], w) @ padded, "proved")
    other = ca.correlation(n, w, padding=padding, boundary="edge")
    # One sample repeated is the sample at the edge.
    same = boundary == "edge" or (boundary, padding) == ("symmetric", 1)
    check(layer, other, "proved" if same else "refuted")


# -- what is refuted ------------------------------------------------------------------------

REFUTED: dict[str, tuple[Any, Any, dict[str, int]]] = {
    "no flip": (A.T, ca.correlation(n - K + 1, w, padding="full"), {"n": 2, "K": 2}),
    "one axis": (
        B,
        ca.convolution((n, m), ca.flip(ca.kernel(K, L), dims=1)),
        {"n": 2, "m": 1, "K": 2, "L": 1},
    ),
    "twice": (A, 2 * A, {"n": 1, "K": 1}),
    "letter times": (K * A, A, {"n": 2, "K": 2}),
    "one number": (ca.correlation(n, [1, 2]), ca.correlation(n, [1, 3]), {"n": 2}),
    "at the border only": (
        ca.correlation(n, [1, 1, 1], padding=1),
        ca.correlation(n, [1, 1, 1], padding=1, boundary="edge"),
        {"n": 1},
    ),
    "symmetric and reflect": (
        ca.pad(n, p, boundary="symmetric"),
        ca.pad(n, p, boundary="reflect"),
        {"n": 2, "p": 1},
    ),
    "channels": (
        ca.correlation(n, ca.kernel(C, C, K)),
        ca.correlation(n, ca.kernel(C, C, K).swapaxes(0, 1)),
        {"C": 2, "n": 1, "K": 1},
    ),
    "axes exchanged": (
        ca.correlation((n, n), ca.kernel(K, K)),
        ca.correlation((n, n), ca.kernel(K, K).swapaxes(0, 1)),
        {"n": 2, "K": 2},
    ),
    "far away": (
        ca.crop(n, ((0, n - 7),)) @ ca.flip_axes(n) @ ca.flip_axes(n),
        ca.crop(n, ((0, n - 7),)) @ ca.shift(n, 7) @ ca.shift(n, -7),
        {"n": 8},
    ),
    "a product": (
        ca.correlation(n, [1, -1]) @ ca.correlation(n + 1, [1, 1]),
        ca.correlation(n + 1, [1, 1, -1]),
        {"n": 2},
    ),
}


@pytest.mark.parametrize("name", REFUTED)
def test_refuted_by_the_smallest(name: str) -> None:
    first, second, sizes = REFUTED[name]
    verdict = check(first, second, "refuted")
    if name != "far away":
        assert verdict.counterexample.sizes == sizes


def test_the_smallest_is_by_the_sum_and_then_by_the_letters() -> None:
    """n = 1, m = 2 comes before n = 2, m = 1, which has the same sum."""
    first = ca.identity((n, m))
    second = ca.flip_axes((n, m))
    assert check(first, second, "refuted").counterexample.sizes == {"n": 1, "m": 2}
    turned = check(ca.identity((m, n)), ca.flip_axes((m, n)), "refuted")
    assert list(turned.counterexample.sizes.items()) == [("m", 1), ("n", 2)]


def test_a_factor_of_letters_counts_with_its_value() -> None:
    """K times a layer is the layer where K must be 1."""
    one = ca.correlation(1, w)
    verdict = equal(K * one, one)
    assert verdict
    assert verdict.scope == "all K >= 1 >= K"
    found, compared = brute.violation((K * one, one))
    assert found is None
    assert compared == 1


def test_a_kernel_of_letters_beside_symbols_of_its_name() -> None:
    """kernel(K) and kernel(1) share w0: in one claim the name would mean two things."""
    first = ca.correlation(n, w, padding=((0, K - 1),))
    second = ca.correlation(n, ca.kernel(1))
    with pytest.raises(ArgumentError, match="array of its symbols: give one of them"):
        equal(first, second)


def test_shapes_that_differ_are_refuted_with_both() -> None:
    verdict = equal(A, ca.correlation(n, w, padding=p))
    found = verdict.counterexample
    assert verdict.status == "refuted"
    assert found is not None
    assert found.sizes == {"n": 1, "K": 1, "p": 1}
    assert (found.row_index, found.claimed, found.actual) == (
        None,
        "shape (1,) to (3,)",
        "shape (1,) to (1,)",
    )
    brute.check_refuted((A, ca.correlation(n, w, padding=p)), verdict)


def test_shapes_that_are_the_same_number_in_other_words() -> None:
    half = ca.correlation(n, ca.kernel(3), stride=2)
    other = ca.downsample(n - 2, 2) @ ca.correlation(n, ca.kernel(3))
    check(half, other, "proved", "all n >= 3")


# -- domains --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operator", "scope"),
    [
        (A, "all n >= K >= 1"),
        (ca.correlation(n, ca.kernel(2 * K)), "all K >= 1, n >= 2K"),
        (ca.correlation(7, w), "all 7 >= K >= 1"),
        (ca.correlation(n, [1, 2, 3]), "all n >= 3"),
        (ca.correlation(n, [1, 2, 3], stride=4), "all n >= 3"),
        (ca.correlation(n, [1, 2, 3], dilation=4), "all n >= 9"),
        (ca.correlation(2 * n, [1, 2, 3]), "all n >= 2"),
        (ca.pad(n, p, boundary="reflect"), "all n >= p + 1, p >= 0"),
        (ca.downsample(n, 2, offset=p), "all n >= p + 1, p >= 0"),
    ],
)
def test_scope_in_words(operator: ca.Operator, scope: str) -> None:
    assert equal(operator, operator).scope == scope


@pytest.mark.parametrize(
    "operator",
    [
        ca.crop(7, p),
        ca.crop(7, ((0, 3 * p),)),
        ca.correlation(7, ca.kernel(3 * p)),
        ca.correlation(8, ca.kernel(2 * p), stride=3),
        ca.correlation(9, ca.kernel(3), padding=((p, 0),)),
        ca.pad(5, 2 * p, boundary="reflect"),
        ca.pad(5, 2 * p, boundary="circular"),
        ca.downsample(9, 2, offset=2 * p),
        ca.correlation((9, n), ca.kernel(2 * p, 2)),
        ca.correlation(n, ca.kernel(2 * p + 1), dilation=3),
        ca.correlation(n, ca.kernel(3), padding=((2 * p, 3),), stride=2),
        ca.crop(n, ((2 * p, 3 * q),)),
    ],
    ids=repr,
)
def test_the_domain_is_where_the_operator_exists(operator: ca.Operator) -> None:
    """The set that isl gets, against making the operator at numbers."""
    domain = Domain.of(operator)
    sides = (operator, operator)
    for sizes in brute.small_sizes(sides, 8 if len(operator.symbols) == 1 else 6):
        point = " and ".join(f"{name} = {value}" for name, value in sizes.items())
        here = islpy.Set(f"[{', '.join(sizes)}] -> {{ : {point} }}")
        exists = brute.both_exist(sides, sizes)
        assert domain.points.intersect(here).is_empty() != exists, sizes
        assert domain.holds_at({letter: sizes[letter.name] for letter in domain.symbols}) == exists


def test_a_negative_multiple_of_one_letter_bounds_from_above() -> None:
    """3 p taps fit 7 samples for p <= 2 only, and there a flip is no identity."""
    first, second = ca.correlation(7, ca.kernel(3 * p)), ca.convolution(7, ca.kernel(3 * p))
    verdict = check(first, second, "refuted")
    assert verdict.counterexample.sizes == {"p": 1}


# -- strides and dilations as letters -------------------------------------------------------


def test_a_stride_is_proved_for_all_values_unless_some_are_given() -> None:
    first, second = ca.correlation(n, w, stride=s), ca.downsample(n - K + 1, s) @ A
    assert equal(first, second).scope == "all s >= 1, n >= K >= 1"
    few = equal(first, second, ranges={"s": [5, 1, 3]})
    assert few
    assert few.scope == "all n >= K >= 1, for each s in [1, 3, 5]"
    one = equal(first, second, ranges={"s": range(2, 5)})
    assert one.scope.endswith("for each s in 2..4")


def test_a_dilation_is_proved_for_all_values() -> None:
    first = ca.correlation(n, ca.kernel(2), dilation=d)
    second = ca.correlation(n, ca.kernel(2), dilation=1)
    verdict = equal(first, ca.convolution(n, ca.flip(ca.kernel(2)), dilation=d))
    assert verdict.scope == "all d >= 1, n >= d + 1"
    refuted = equal(first, second, ranges={"d": range(1, 4)})
    assert refuted.counterexample is not None
    assert refuted.counterexample.sizes == {"n": 3, "d": 2}


def test_a_claim_that_z3_leaves_open_is_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ca.correlation(n, w, stride=s), ca.downsample(n - K + 1, s) @ A
    monkeypatch.setattr(nonlinear, "decide", lambda *_: nonlinear.FormulaAnswer("unknown", {}))
    verdict = equal(first, second)
    assert verdict.scope == "all n >= K >= 1, for each s in 1..8"
    assert verdict.method.startswith("Presburger arithmetic (isl)")


def test_a_refutation_is_the_smallest_over_all_strides() -> None:
    first = ca.correlation(n, w, stride=s)
    second = ca.correlation(n, ca.flip(w), stride=s)
    verdict = equal(first, second)
    brute.check_refuted((first, second), verdict)
    assert verdict.counterexample.sizes == {"n": 2, "K": 2, "s": 1}


def test_stride_and_dilation_together() -> None:
    layer = ca.correlation(n, ca.kernel(3), stride=s, dilation=d)
    ranges = {"s": range(1, 3), "d": range(1, 3)}
    verdict = equal(layer, layer, ranges=ranges)
    assert verdict.scope == "all n >= 2d + 1, for each d in 1..2, for each s in 1..2"


def test_values_without_sizes_leave_the_others() -> None:
    """Nothing exists at s = 1, and the claim falls at s = 2."""
    first = ca.identity(s - 1).kron(ca.downsample(n, s))
    second = ca.identity(s - 1).kron(ca.downsample(n, s) @ ca.flip_axes(n))
    verdict = equal(first, second, ranges={"s": range(1, 4)})
    assert verdict.status == "refuted"
    brute.check_refuted((first, second), verdict)


@pytest.mark.parametrize(("values", "words"), [([], "is empty: give at least"), ([0], "s must be")])
def test_ranges_that_are_none(values: list[int], words: str) -> None:
    layer = ca.correlation(n, w, stride=s)
    with pytest.raises(ArgumentError, match=words):
        equal(layer, layer, ranges={"s": values})


def test_a_range_for_a_letter_that_is_not_swept_is_refused() -> None:
    layer = ca.correlation(n, w, stride=s)
    with pytest.raises(ArgumentError, match="q"):
        equal(layer, layer, ranges={"q": [1]})


def test_an_adjoint_with_a_stride_as_a_letter_can_be_shown() -> None:
    layer = ca.correlation(n, w, stride=s)
    assert "stride=s" in repr(layer.T)
    assert equal(layer.T, layer.T)


# -- what is not decided --------------------------------------------------------------------

BEYOND_ISL: dict[str, tuple[Any, Any]] = {
    "a product of symbols": (ca.identity(n * m), ca.flip_axes(n * m) @ ca.flip_axes(n * m)),
    "a reshape": (
        ca.reshape(n * m, (n, m)) @ ca.reshape((n, m), n * m),
        ca.identity((n, m)),
    ),
    "many numbers": (
        ca.correlation(n, np.arange(1, 102)),
        ca.convolution(n, np.arange(101, 0, -1)),
    ),
    "a large matrix": (
        ca.dense(np.ones((11, 10))).kron(ca.identity(n)),
        ca.dense(np.ones((11, 10))).kron(ca.flip_axes(n) @ ca.flip_axes(n)),
    ),
    "groups as a symbol": (
        ca.correlation(n, ca.kernel(2 * C, 2, K), groups=C),
        ca.convolution(n, ca.flip(ca.kernel(2 * C, 2, K), dims=1), groups=C),
    ),
}
"""Claims that are not of Presburger arithmetic, or too large for isl."""


@pytest.mark.parametrize("name", BEYOND_ISL)
def test_z3_decides_what_isl_does_not(name: str) -> None:
    sides = BEYOND_ISL[name]
    verdict = equal(*sides)
    assert verdict, verdict
    assert "z3" in verdict.method
    assert brute.violation(sides, 3)[0] is None


UNKNOWN: dict[str, tuple[Any, Any, str]] = {
    "very many numbers": (
        ca.correlation(n, np.ones(201)),
        ca.correlation(n, np.ones(201)),
        "kernel of 201 numbers is too large for symbolic sizes",
    ),
    "a very large matrix": (
        ca.dense(np.ones((21, 10))).kron(ca.identity(n)),
        ca.dense(np.ones((21, 10))).kron(ca.identity(n)),
        "has 210 entries, more than the 100 that can be combined with symbolic sizes",
    ),
    "a sum over a symbol": (
        ca.sum_pool(n, n, stride=1) @ ca.sum_pool(n, n, stride=1).T,
        n * ca.identity(1),
        "added to one entry depends on",
    ),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_unknown_with_a_reason(name: str) -> None:
    first, second, words = UNKNOWN[name]
    verdict = equal(first, second)
    assert verdict.status == "unknown"
    assert not verdict
    assert verdict.counterexample is None
    assert re.search(words, verdict.reason)


def test_no_sizes_at_all_is_unknown() -> None:
    """A kernel longer than its input, for every n."""
    layer = ca.correlation(n, ca.kernel(2 * n + 1))
    verdict = equal(layer, layer)
    assert verdict.status == "unknown"
    assert verdict.reason == "there are no sizes at which both operators exist"


# -- bad input ------------------------------------------------------------------------------


def test_a_name_with_two_meanings_is_refused() -> None:
    with pytest.raises(
        ArgumentError, match=r"the kernel name 'w' is used for two shapes, \(K,\) and \(L,\)"
    ):
        equal(A, ca.correlation(n, ca.kernel(L)))


def test_a_kernel_and_a_size_may_share_a_name() -> None:
    h, width = ca.sizes("h w")
    layer = ca.correlation((h, width), ca.kernel(K, L))
    verdict = equal(layer, ca.correlation((h, width), ca.kernel(K, L), padding="valid"))
    assert verdict.scope == "all h >= K >= 1, w >= L >= 1"
    named = ca.correlation(n, ca.kernel(K, name="n"))
    assert equal(named, named).scope == "all n >= K >= 1"


def test_other_numbers_of_axes_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"different numbers of axes: one maps \(n,\) to"):
        equal(A, B)


@pytest.mark.parametrize("names", ["n n", "", "1a", "n-1", "é", "n, n"])
def test_bad_names(names: str) -> None:
    with pytest.raises(
        ArgumentError,
        match=r"names must contain at least one name|names must be ASCII identifiers",
    ):
        ca.sizes(names)


def test_names_are_words() -> None:
    assert [letter.name for letter in ca.sizes("n, K  p")] == ["n", "K", "p"]
    with pytest.raises(TypeError, match="names must be a string such as 'n K p', not 5"):
        ca.sizes(5)  # type: ignore[arg-type]


# -- random pairs ---------------------------------------------------------------------------


@st.composite
def layers(draw: st.DrawFn) -> tuple[ca.Operator, ca.Operator]:
    """A layer over one axis of n samples, written in two ways."""
    taps = draw(st.sampled_from([K, K, 2, 3]))
    weights = ca.kernel(taps, name=draw(st.sampled_from("wv")))
    if isinstance(taps, int) and draw(st.booleans()):
        weights = np.array(draw(st.lists(st.integers(-2, 2), min_size=taps, max_size=taps)))
    stride = draw(st.sampled_from([1, 1, 2, 3]))
    dilation = draw(st.sampled_from([1, 1, 2]))
    padding = draw(st.sampled_from([0, 1, p, ((0, p),), ((p, 1),)]))
    boundary = draw(st.sampled_from(BOUNDARIES))
    options = {"dilation": dilation, "boundary": boundary}
    layer = ca.correlation(n, weights, stride=stride, padding=padding, **options)
    match draw(st.sampled_from(["flip", "pad", "stride", "sum", "reverse"])):
        case "flip":
            other: ca.Operator = ca.convolution(
                n, ca.flip(weights), stride=stride, padding=padding, **options
            )
        case "pad":
            padded = ca.pad(n, padding, boundary=boundary)
            length = padded.out_shape[0]
            inner = ca.correlation(length, weights, stride=stride, dilation=dilation)
            other = inner @ padded
        case "stride":
            dense = ca.correlation(n, weights, padding=padding, **options)
            other = ca.downsample(dense.out_shape[0], stride) @ dense
        case "sum":
            other = 3 * layer + -1 * (layer + layer)
        case _:
            rows = layer.out_shape[0]
            other = ca.flip_axes(rows) @ (ca.flip_axes(rows) @ layer)
    return layer, other


@given(pair=layers(), choice=st.integers(0, 60), adjoint=st.booleans())
def test_random_families_are_equal_exactly_where_brute_force_says_so(
    pair: tuple[ca.Operator, ca.Operator], choice: int, adjoint: bool
) -> None:
    first, second = pair
    broken = list(brute.mutants(second))
    if choice < len(broken):
        second = broken[choice][1]
    if adjoint:
        first, second = first.T, second.T
    if first.out_shape != second.out_shape and not _same(first, second):
        second = first
    verdict = equal(first, second)
    agrees((first, second), verdict, 5)


def _same(first: ca.Operator, second: ca.Operator) -> bool:
    pairs = zip(first.out_shape, second.out_shape, strict=True)
    return all(sympy.simplify(a - b) == 0 for a, b in pairs)


@st.composite
def planes(draw: st.DrawFn) -> tuple[ca.Operator, ca.Operator]:
    """A product of moves over two axes, with its adjoint taken in two ways."""
    moves = [
        ca.flip_axes((n, m)),
        ca.flip_axes((n, m), axes=(0,)),
        ca.shift((n, m), (1, 0)),
        ca.shift((n, m), (0, -1)),
        ca.correlation((n, m), ca.kernel(3, 1), padding=((1, 1), (0, 0))),
        ca.correlation((n, m), [[1, 2, 0]], padding=((0, 0), (1, 1))),
        ca.identity(n).kron(ca.flip_axes(m)),
    ]
    chosen = draw(st.lists(st.sampled_from(moves), min_size=2, max_size=3))
    product, adjoint = chosen[0], chosen[0].T
    for move in chosen[1:]:
        product, adjoint = product @ move, move.T @ adjoint
    return product.T, adjoint


@given(pair=planes(), choice=st.integers(0, 40))
def test_random_products_over_two_axes(pair: tuple[ca.Operator, ca.Operator], choice: int) -> None:
    first, second = pair
    broken = list(brute.mutants(second))
    if choice < len(broken):
        second = broken[choice][1]
    verdict = equal(first, second)
    agrees((first, second), verdict, 4)


def agrees(sides: brute.Sides, verdict: Any, largest: int) -> None:
    """The verdict is what brute force says; unknown where no size was found either."""
    found, compared = brute.violation(sides, largest)
    if verdict.status == "proved":
        assert found is None
        assert compared
    elif verdict.status == "refuted":
        brute.check_refuted(sides, verdict)
    else:
        assert "no sizes" in verdict.reason
        assert compared == 0


def test_selections_of_negative_padding_are_crops() -> None:
    found = ca.pad(n, ((-1, -1),))
    assert isinstance(found, Selection)
    check(found, ca.crop(n, 1), "proved", "all n >= 3")


# -- names ----------------------------------------------------------------------------------

ODD_NAMES = ["o0", "i0", "l0", "a0", "a1", "b0", "g", "u", "floor", "mod", "and", "exists", "max"]


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("place", [0, 1])
def test_any_name_that_is_taken_is_a_name_like_others(name: str, place: int) -> None:
    """Names that isl, or its formulas here, use themselves decide as n and K do, or are refused."""
    words = ["n", "K"]
    words[place] = name
    if _is_refused(words):
        return
    size, taps = ca.sizes(" ".join(words))
    first, second = (make(size, ca.kernel(taps)) for make in (ca.correlation, ca.convolution))
    verdict = check(first, second, "refuted")
    assert list(verdict.counterexample.sizes.values()) == [2, 2]
    assert equal(first, first)


def _is_refused(words: list[str]) -> bool:
    try:
        ca.sizes(" ".join(words))
    except ArgumentError:
        return True
    return False


def test_a_kernel_that_occurs_very_often_ends_undecided() -> None:
    """Nine factors with one kernel have 362,880 orders of their weights."""
    layer = ca.correlation(n, w, padding="same")
    product = layer
    for _ in range(8):
        product = layer @ product
    verdict = decide(product, product, claim="nine factors", searching=False)
    assert verdict.status == "unknown"
    assert "have more than 4000 orders" in verdict.reason
    with pytest.raises(UndecidableError, match="have 362880 orders, more than 200"):
        nonlinear.formulas(product, product, Domain.of(product))
    three = layer @ layer @ layer
    assert decide(three, three, claim="three factors", searching=False)
