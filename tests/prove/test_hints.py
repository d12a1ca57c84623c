"""Hints: each on the mistake that it names, confirmed; none where no known mistake explains it."""

from __future__ import annotations

from typing import Any

import pytest

import convalg as ca
from convalg.prove import equal

n, m, K, L, p, C = ca.sizes("n m K L p C")
A = ca.correlation(n, ca.kernel(K))
B = ca.correlation((n, m), ca.kernel(K, L))
PADDED = ca.correlation(n, ca.kernel(K), padding=p)
STRIDED = ca.correlation(n, ca.kernel(K), stride=2)
SQUARE = ca.correlation(n, ca.kernel(C, C, K))
FULL = {"padding": "full"}
REMAINDER = (
    "the remainder (i + 2p - d (k - 1) - 1) mod s is lost: add that many samples at the end "
    "(output_padding)"
)

MISTAKES: dict[str, tuple[Any, Any, str]] = {
    "no flip": (A.T, ca.correlation(A.out_shape, A.kernel, **FULL), "flip the kernel"),
    "a flip too many": (A, ca.correlation(n, ca.flip(A.kernel)), "flip the kernel"),
    "convolution": (B, ca.convolution((n, m), B.kernel), "flip the kernel"),
    "last axis only": (
        B.T,
        ca.correlation(B.out_shape, ca.flip(B.kernel, dims=1), **FULL),
        "flip the kernel on axis 0 only",
    ),
    "first axis only": (
        B,
        ca.correlation((n, m), B.kernel.flip((1,))),
        "flip the kernel on axis 1 only",
    ),
    "channels": (
        SQUARE,
        ca.correlation(n, SQUARE.kernel.swapaxes(0, 1)),
        "exchange the kernel's input and output channels",
    ),
    "channels and no flip": (
        SQUARE.T,
        ca.correlation(n - K + 1, SQUARE.kernel, **FULL),
        "exchange the kernel's input and output channels and flip it",
    ),
    "padding": (
        PADDED.T,
        ca.correlation(PADDED.out_shape, ca.flip(PADDED.kernel), padding=p),
        "the padding should be d (k - 1) - p",
    ),
    "padding and no flip": (
        PADDED.T,
        ca.correlation(PADDED.out_shape, PADDED.kernel, padding=p),
        "the padding should be d (k - 1) - p, with the kernel flipped",
    ),
    "remainder": (
        STRIDED.T,
        ca.transposed_correlation(STRIDED.out_shape, STRIDED.kernel, stride=2),
        REMAINDER,
    ),
}
CONCRETE: dict[str, tuple[Any, Any, str]] = {
    "no flip": (
        ca.correlation(5, ca.kernel(3)),
        ca.convolution(5, ca.kernel(3)),
        "flip the kernel",
    ),
    "one axis": (
        ca.correlation((5, 5), ca.kernel(3, 3)).T,
        ca.correlation((3, 3), ca.flip(ca.kernel(3, 3), dims=1), padding="full"),
        "flip the kernel on axis 0 only",
    ),
    "padding": (
        ca.correlation(6, ca.kernel(5), padding=1).T,
        ca.correlation(4, ca.flip(ca.kernel(5)), padding=1),
        "the padding should be d (k - 1) - p",
    ),
    "remainder": (
        ca.correlation(8, ca.kernel(3), stride=2).T,
        ca.transposed_correlation(3, ca.kernel(3), stride=2),
        REMAINDER,
    ),
}
NO_HINT: dict[str, tuple[Any, Any]] = {
    "twice": (A, 2 * A),
    "another kernel": (A, ca.correlation(n, ca.kernel(K, name="v"))),
    "a product": (A.T, ca.correlation(A.out_shape, A.kernel, **FULL) @ ca.flip_axes(n - K + 1)),
    "a stride not undone": (STRIDED.T, ca.correlation(STRIDED.out_shape, STRIDED.kernel, **FULL)),
    "a border": (PADDED, ca.correlation(n, ca.kernel(K), padding=p, boundary="edge")),
    "a selection": (ca.flip_axes(n), ca.identity(n)),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_hint_for_all_sizes(name: str) -> None:
    actual, claimed, hint = MISTAKES[name]
    verdict = equal(actual, claimed)
    assert verdict.status == "refuted"
    assert verdict.hint == hint
    assert repr(verdict).endswith(f"(hint: {hint})")


@pytest.mark.parametrize("name", CONCRETE)
def test_hint_for_numbers(name: str) -> None:
    actual, claimed, hint = CONCRETE[name]
    assert equal(actual, claimed).hint == hint


@pytest.mark.parametrize("name", NO_HINT)
def test_no_hint_where_none_mends_the_claim(name: str) -> None:
    verdict = equal(*NO_HINT[name])
    assert verdict.status == "refuted"
    assert verdict.hint == ""
    assert "hint" not in repr(verdict)


def test_no_hint_for_what_holds() -> None:
    assert equal(A, A).hint == ""


def test_a_stride_as_a_letter_gets_its_hint() -> None:
    s = ca.sizes("s")[0]
    layer = ca.correlation(n, ca.kernel(K), stride=s)
    wrong = ca.correlation(n, ca.flip(ca.kernel(K)), stride=s)
    assert equal(layer, wrong, ranges={"s": range(1, 4)}).hint == "flip the kernel"


def test_no_hint_that_holds_at_one_size_only() -> None:
    n, m, k = ca.sizes("n m K")
    square = ca.kernel(k, k)
    pairs = [
        (ca.correlation((n, m), square), ca.correlation((n, m), square.swapaxes(0, 1))),
        (ca.correlation(n, ca.kernel(k), dilation=2), ca.correlation(n, ca.kernel(k))),
        (
            ca.correlation(n, ca.kernel(k), padding="same"),
            ca.correlation(n, ca.kernel(k), padding=k // 2),
        ),
    ]
    for first, second in pairs:
        verdict = ca.prove.equal(first, second)
        assert verdict.status == "refuted"
        assert verdict.hint == ""
