"""The options of the command line: sizes joined by x, paths, and the layer that they describe."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.cli.options import LayerOptions, numbers, one_or_more, path
from convalg.errors import ArgumentError

SIZES = st.lists(st.integers(-(10**13), 10**13), min_size=1, max_size=4)


@given(SIZES, st.sampled_from(["x", "X"]))
def test_sizes_that_are_joined_are_parsed_again(sizes: list[int], mark: str) -> None:
    text = mark.join(map(str, sizes))
    assert numbers(text, "--shape") == tuple(sizes)
    assert one_or_more(text, "--shape") == (sizes[0] if len(sizes) == 1 else tuple(sizes))


@given(st.text("017xX-+., a", max_size=6).filter(lambda text: set(text) & set("+., a")))
def test_any_other_text_is_refused_with_the_name_of_the_option(text: str) -> None:
    with pytest.raises(ArgumentError, match="--stride must be integers such as 3 or 6x6, not "):
        numbers(text, "--stride")


def test_a_size_has_a_limited_number_of_digits() -> None:
    assert numbers("9" * 15, "--shape") == (10**15 - 1,)
    with pytest.raises(ArgumentError, match="--shape must be integers of at most 15 digits, not 9"):
        numbers("9" * 16, "--shape")


def test_a_path_is_not_empty() -> None:
    assert path("a/b") == Path("a/b")
    with pytest.raises(typer.BadParameter, match="the path is empty"):
        path("")


def test_options_describe_the_layer_of_the_same_call() -> None:
    options = LayerOptions(
        shape="7x6", kernel="3x2", channels=4, groups=2, stride="2x1", padding="1x0", flip=True
    )
    layer = ca.convolution((7, 6), ca.kernel(2, 2, 3, 2), stride=(2, 1), padding=(1, 0), groups=2)
    assert options.layer().to_sympy() == layer.to_sympy()
    adjoint = LayerOptions(shape="5", kernel="3", stride="2", padding="1", transposed=True).layer()
    layer = ca.transposed_correlation(5, ca.kernel(3), stride=2, padding=1)
    assert adjoint.to_sympy() == layer.to_sympy()
