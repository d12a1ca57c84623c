"""Checks of plain arguments: what is accepted, and the message for everything else."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convalg.arguments import (
    MOST_SHOWN,
    a_function,
    a_kind,
    as_path,
    checked_number,
    one_of,
    plural,
    shown,
)
from convalg.errors import ArgumentError, ConvalgError, FileError, KindError


@given(st.one_of(st.text(), st.integers(), st.floats(), st.lists(st.text()), st.binary()))
def test_a_shown_value_is_one_short_line(value: Any) -> None:
    text = shown(value)
    assert len(text) <= MOST_SHOWN
    assert text.isprintable()
    assert "\n" not in text


@pytest.mark.parametrize("digits", [1, 70, 77, 78, 4000, 100_000])
def test_integers_of_any_length_are_shown(digits: int) -> None:
    number = 10**digits
    # Python itself refuses to write the longest of them.
    wanted = str(number) if digits < 78 else f"an integer of {number.bit_length()} bits"
    assert shown(number) == wanted


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("Same", "mode must be one of valid, same, full, not 'Same'"),
        (None, "mode must be one of valid, same, full, not None"),
        (["same"], "mode must be one of valid, same, full, not ['same']"),
        (np.array(["same", "full"]), "mode must be one of valid, same, full, not array("),
    ],
)
def test_one_of_several_strings(value: Any, message: str) -> None:
    assert one_of("same", ("valid", "same", "full"), "mode") == "same"
    with pytest.raises(ArgumentError) as caught:
        one_of(value, ("valid", "same", "full"), "mode")
    assert str(caught.value).startswith(message)


def test_one_of_two_strings_is_said_with_or() -> None:
    with pytest.raises(ArgumentError, match="order must be 'C' or 'F', not 'K'"):
        one_of("K", ("C", "F"), "order")


def test_an_instance_of_a_class() -> None:
    assert a_kind(Fraction(1, 2), Fraction, "a fraction is needed") == Fraction(1, 2)
    with pytest.raises(KindError, match=r"a fraction is needed, not 0\.5 \(float\)"):
        a_kind(0.5, Fraction, "a fraction is needed")


@pytest.mark.parametrize("function", [len, lambda x: x, lambda *x: x, print, np.sum, int])
def test_functions_of_one_argument(function: Any) -> None:
    assert a_function(function, 1, "f must be a function f(x)") is function


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (3, r"f must be a function f\(x\), not 3 \(int\)"),
        (lambda: 1, "but this function has other parameters: too many positional arguments"),
        (
            lambda x, y: 1,
            "but this function has other parameters: missing a required argument: 'y'",
        ),
        (lambda *, x: 1, "but this function has other parameters"),
    ],
)
def test_what_is_no_function_of_one_argument(value: Any, message: str) -> None:
    with pytest.raises(KindError, match=message):
        a_function(value, 1, "f must be a function f(x)")


def test_paths() -> None:
    assert as_path("a/b") == as_path(Path("a/b")) == Path("a/b")
    for value in (3, b"a", None, ["a"]):
        with pytest.raises(KindError, match="path must be a path, not"):
            as_path(value)
    for text in ("a\0b", "\ud800"):
        with pytest.raises(FileError, match="folder must be a valid file name, not"):
            as_path(text, "folder")


@given(st.integers(-100, 100), st.integers(-100, 100), st.integers(-100, 100))
def test_a_number_within_bounds(value: int, least: int, below: int) -> None:
    if least <= value < below:
        assert checked_number("rate", value, least=least, below=below) == value
        return
    with pytest.raises(ArgumentError) as caught:
        checked_number("rate", value, least=least, below=below)
    assert str(caught.value) == (
        f"rate must be finite and at least {least} and below {below}, not {value}"
    )


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_is_finite(value: float) -> None:
    with pytest.raises(ArgumentError, match="rate must be finite and above 0, not"):
        checked_number("rate", value, above=0)


@pytest.mark.parametrize("value", [True, np.True_, "1", None, 1j, [1]])
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(KindError, match="rate must be a number, not") as caught:
        checked_number("rate", value)
    assert isinstance(caught.value, ConvalgError)


@pytest.mark.parametrize(
    ("value", "kind"), [(2, int), (np.int8(2), int), (2.0, float), (Fraction(1, 2), float)]
)
def test_integers_stay_integers(value: Any, kind: type) -> None:
    number = checked_number("step", value)
    assert type(number) is kind
    assert number == value


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 taps"), (1, "1 tap"), (2, "2 taps"), (1000, "1000 taps")]
)
def test_plurals(count: int, text: str) -> None:
    assert plural(count, "tap") == text
