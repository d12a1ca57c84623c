"""Naming mistakes: each known one, made on purpose, is found and named; a right function never."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from built import CASES, Where, assert_in_order, built, checked, of_code
from made_up import made, right

from convalg import check
from convalg.check.diagnose import _both
from convalg.check.mistakes.mistake import Mistake
from convalg.check.problem import KINDS
from convalg.check.sweep import Config, configurations

# Two mistakes at once.


PAIRS = [
    ("forward", "y", "flipped-kernel", "padding-ignored"),
    ("forward", "y", "flipped-kernel", "stride-ignored"),
    ("forward", "y", "flipped-one-axis", "dilation-ignored"),
    ("forward", "y", "kernel-transposed", "strides-swapped"),
    ("forward", "y", "padding-doubled", "groups-ignored"),
    ("forward", "y", "stride-dilation-swapped", "padding-ignored"),
    ("forward", "y", "strides-swapped", "paddings-swapped"),
    ("backward", "dx", "flipped-kernel", "batch-averaged"),
    ("backward", "dw", "flipped-kernel", "batch-averaged"),
    ("backward", "dw", "padding-ignored", "kernel-transposed"),
    ("transposed", "y", "flipped-kernel", "output-padding-ignored"),
    ("transposed", "y", "flipped-kernel", "groups-ignored"),
    ("average_pool", "y", "ceil-mode-ignored", "divisor-counts-padding"),
    ("max_pool", "y", "ceil-mode-ignored", "dilation-ignored"),
]


@pytest.mark.parametrize(("name", "part", "one", "other"), PAIRS, ids=lambda word: word)
def test_two_mistakes_at_once_are_both_named(name: str, part: str, one: str, other: str) -> None:
    first, second = of_code(name, part, one), of_code(name, part, other)
    both = Mistake("both", "both", _both(first, second))
    report = checked(name, built(name, part, both, 0, refuses=True), cases=100)
    found = report.diagnosis[0].code
    assert set(found.split("+")) == {one, other}, list(map(str, report.diagnosis))
    assert report.diagnosis[0].confidence > 0.9
    label = report.diagnosis[0].message.removeprefix(f"{part}: ")
    assert set(label.split("; and ")) == {first.message, second.message}


def test_a_mistake_in_each_gradient_is_named_for_each() -> None:
    dx = of_code("backward", "dx", "flipped-kernel")
    dw = of_code("backward", "dw", "batch-averaged")
    f = built("backward", "dx", dx, 0)
    g = built("backward", "dw", dw, 0)
    report = check.backward(lambda *arrays, **o: (f(*arrays, **o)[0], g(*arrays, **o)[1]))
    assert {d.code for d in report.diagnosis[:2]} == {"flipped-kernel", "batch-averaged"}
    messages = {d.code: d.message for d in report.diagnosis}
    assert messages["flipped-kernel"].startswith("dx: ")
    assert messages["batch-averaged"].startswith("dw: ")


# Mistakes made under some condition only.

CONDITIONS: list[tuple[str, str, str, Where]] = [
    ("forward", "y", "flipped-kernel", lambda p: max(p.stride) > 1),
    ("forward", "y", "flipped-kernel", lambda p: p.groups > 1),
    ("forward", "y", "padding-ignored", lambda p: max(p.dilation) > 1),
    ("forward", "y", "stride-ignored", lambda p: p.groups > 1),
    ("forward", "y", "dilation-ignored", lambda p: max(p.stride) > 1),
    ("backward", "dx", "remainder-lost", lambda p: p.groups > 1),
    ("backward", "dw", "batch-not-summed", lambda p: max(p.stride) > 1),
    ("transposed", "y", "output-padding-ignored", lambda p: max(p.dilation) > 1),
    ("average_pool", "y", "divisor-counts-padding", lambda p: p.ceil_mode),
    ("max_pool", "y", "max-padding-zero", lambda p: p.ceil_mode),
    ("max_pool_backward", "dx", "ties-all", lambda p: max(p.stride) > 1),
]


@pytest.mark.parametrize(("name", "part", "code", "where"), CONDITIONS)
def test_a_mistake_under_a_condition_is_named_with_less_confidence(
    name: str, part: str, code: str, where: Where
) -> None:
    report = checked(name, built(name, part, of_code(name, part, code), 0, where), cases=80)
    found = {d.code: d for d in report.diagnosis}
    assert code in found, list(map(str, report.diagnosis))
    assert_in_order(report.diagnosis)
    assert found[code].confidence <= 1.0
    # Always made, it is certain.
    always = checked(name, built(name, part, of_code(name, part, code), 0), cases=80)
    assert always.diagnosis[0].code == code
    assert always.diagnosis[0].confidence >= found[code].confidence


def wrong_where(where: Where) -> Callable[..., Any]:
    """A layer with an error of no kind where a condition holds."""

    def f(x: Any, w: Any, *, stride: Any, padding: Any, dilation: Any, groups: Any) -> np.ndarray:
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        p = made("forward", (x, w), options)
        (y,) = right("forward", p)
        if where(p):
            y.flat[0] += 5
            y.flat[-1] += 7
        return y

    return f


@pytest.mark.parametrize(
    ("where", "code"),
    [
        (lambda p: len(set(p.spatial)) > 1, "square-only"),
        (lambda p: len(set(p.w.shape[2:])) > 1, "square-only"),
        (lambda p: p.x.shape[1] > 1, "single-channel-only"),
        (lambda p: len(p.w) > 1, "single-channel-only"),
        (lambda p: p.w.shape[1] > 1, "single-channel-only"),
        (lambda p: len(p.x) > 1, "single-sample-only"),
        (lambda p: True, "unknown"),
        (lambda p: p.spatial[0] > 3, "unknown"),
        (lambda p: max(p.stride) > 1, "unknown"),
    ],
)
def test_what_is_right_only_in_a_plain_case_is_told(where: Where, code: str) -> None:
    report = check.forward(wrong_where(where), cases=80)
    assert report.diagnosis[0].code == code, list(map(str, report.diagnosis))
    assert_in_order(report.diagnosis)


def test_an_unknown_mistake_tells_the_places() -> None:
    report = check.forward(wrong_where(lambda p: True))
    (found,) = report.diagnosis
    assert found.code == "unknown"
    assert found.confidence == 0
    assert "no known mistake explains this: " in found.message
    assert " entries of y are wrong in the smallest case, at (0, 0, 0, 0)" in found.message
    # Without a share, which would be nought.
    assert str(found).startswith("unknown: no known mistake")


def test_a_wrong_shape_without_a_name_tells_the_shapes() -> None:
    def longer(x: np.ndarray, w: np.ndarray, **options: Any) -> np.ndarray:
        (y,) = right("forward", made("forward", (x, w), options))
        return np.pad(y, ((0, 0), (0, 0), (0, 3), (1, 0)), constant_values=9)

    found = check.forward(longer).diagnosis[0]
    assert found.code == "wrong-shape"
    assert "y has shape (2, 1, 5, 2) instead of (2, 1, 2, 1)" in found.message


@pytest.mark.parametrize(
    ("error", "where", "words"),
    [
        (ValueError, lambda p: p.groups > 1, "exactly when there are groups"),
        (IndexError, lambda p: max(p.dilation) > 1, "exactly when the dilation is not 1"),
        (
            KeyError,
            lambda p: max(pair[0] for pair in p.padding) > 0,
            "exactly when there is padding",
        ),
    ],
)
def test_raising_under_a_condition_tells_it(
    error: type[Exception], where: Where, words: str
) -> None:
    def f(x: np.ndarray, w: np.ndarray, **options: Any) -> np.ndarray:
        p = made("forward", (x, w), options)
        if where(p):
            raise error("not done yet")
        return right("forward", p)[0]

    report = check.forward(f)
    assert report.diagnosis[0].code == "raises"
    assert words in report.diagnosis[0].message
    assert report.diagnosis[0].confidence == 1


@pytest.mark.parametrize(
    ("where", "code"),
    [
        (lambda p: len(p.x) > 1, "single-sample-only"),
        (lambda p: p.x.shape[1] > 1, "single-channel-only"),
        (lambda p: len(set(p.spatial)) > 1, "square-only"),
    ],
)
def test_raising_beyond_the_plain_case_tells_it(where: Where, code: str) -> None:
    def f(x: np.ndarray, w: np.ndarray, **options: Any) -> np.ndarray:
        p = made("forward", (x, w), options)
        if where(p):
            raise ValueError("cannot do this")
        return right("forward", p)[0]

    report = check.forward(f)
    assert [d.code for d in report.diagnosis] == [code, "raises"]
    assert "it fails exactly when " in report.diagnosis[0].message


# Nobody who is right is accused.

TORCH = {
    "forward": "conv",
    "transposed": "conv_transpose",
    "average_pool": "avg_pool",
    "max_pool": "max_pool",
}


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("name", list(KINDS))
def test_pytorch_is_never_accused(name: str, dims: int) -> None:
    functional = pytest.importorskip("torch").nn.functional
    forward = "forward" if name == "backward" else name.removesuffix("_backward")
    function = getattr(functional, f"{TORCH[forward]}{dims}d")
    adapt = check.from_torch if forward == name else check.from_torch_backward
    report = checked(name, adapt(function), cases=CASES, dims=dims)
    assert report.passed, report.explain()
    assert report.cases == CASES
    assert report.options == KINDS[name].options
    assert report.notes == ()


@pytest.mark.parametrize("dims", [1, 3])
@pytest.mark.parametrize(
    ("name", "part", "code"),
    [
        ("forward", "y", "flipped-kernel"),
        ("forward", "y", "dilation-ignored"),
        ("backward", "dx", "remainder-lost"),
        ("transposed", "y", "output-padding-ignored"),
        ("average_pool", "y", "divisor-counts-padding"),
        ("max_pool", "y", "max-padding-zero"),
    ],
)
def test_mistakes_over_one_axis_and_three_are_named(
    name: str, part: str, code: str, dims: int
) -> None:
    f = built(name, part, of_code(name, part, code), 0)
    report = checked(name, f, cases=60, dims=dims)
    assert report.diagnosis[0].code == code, list(map(str, report.diagnosis))


def test_configurations_of_a_report_are_those_of_its_failures() -> None:
    report = check.forward(wrong_where(lambda p: max(p.stride) > 1), cases=40)
    configs = configurations(KINDS["forward"], 2, report.options, 40)
    failing: list[Config] = [config for config in configs if max(config.stride) > 1]
    assert [failure.config for failure in report.failures] == failing
