"""The configurations of a sweep: they hold every difficulty, exist for PyTorch, and shrink."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convalg import check
from convalg.check.candidate import candidate
from convalg.check.problem import KINDS, Kind, Problem
from convalg.check.run import run
from convalg.check.sweep import (
    Config,
    configurations,
    exists,
    option_value,
    output_of,
    problem,
    smaller,
)

NAMES = tuple(KINDS)
COUNT = check.CASES
TRANSPOSED = {"transposed", "transposed_backward"}
LAYERS = {"forward", "backward", *TRANSPOSED}
POOLS = set(NAMES) - LAYERS
MAXIMA = {"max_pool", "max_pool_backward"}


@cache
def sweep(name: str, dims: int = 2) -> list[Config]:
    kind = KINDS[name]
    return configurations(kind, dims, kind.options, COUNT)


def spans(c: Config) -> list[int]:
    return [d * (k - 1) + 1 for d, k in zip(c.dilation, c.size, strict=True)]


def remainders(c: Config) -> list[int]:
    rows = zip(c.shape, c.padding, spans(c), c.stride, strict=True)
    return [(n + 2 * p - span) % s for n, p, span, s in rows]


def differ(values: tuple[int, ...]) -> bool:
    return len(set(values)) > 1


# What the sweep must hold: of which kinds, and how to see it.
Holds = Callable[[Config], bool]
DIFFICULTIES: list[tuple[str, set[str], Holds]] = [
    ("non-square image", set(NAMES), lambda c: differ(c.shape)),
    ("square image", set(NAMES), lambda c: not differ(c.shape)),
    ("non-square kernel", set(NAMES), lambda c: differ(c.size)),
    ("even and odd kernels", set(NAMES), lambda c: {k % 2 for k in c.size} == {0, 1}),
    ("channels in and out differ", LAYERS, lambda c: c.in_channels != c.out_channels),
    ("more channels in", LAYERS, lambda c: c.in_channels > c.out_channels > 1),
    ("more channels out", LAYERS, lambda c: c.out_channels > c.in_channels > 1),
    ("several channels of a pool", POOLS, lambda c: c.in_channels > 1),
    ("two groups", LAYERS, lambda c: c.groups == 2),
    ("three groups", LAYERS, lambda c: c.groups == 3),
    (
        "groups with several channels each, in and out",
        LAYERS,
        lambda c: c.groups > 1 and min(c.in_channels, c.out_channels) >= 2 * c.groups,
    ),
    ("depthwise", LAYERS, lambda c: c.groups == c.in_channels == c.out_channels > 1),
    ("depthwise with multiplier", LAYERS, lambda c: 1 < c.groups == c.in_channels < c.out_channels),
    ("groups with stride", LAYERS, lambda c: c.groups > 1 and max(c.stride) > 1),
    ("stride larger than kernel", set(NAMES), lambda c: any(map(int.__gt__, c.stride, c.size))),
    ("stride smaller than kernel", set(NAMES), lambda c: any(map(int.__lt__, c.stride, c.size))),
    ("stride that does not divide", set(NAMES) - TRANSPOSED, lambda c: any(remainders(c))),
    (
        "stride that does not divide, without padding",
        set(NAMES) - TRANSPOSED,
        lambda c: any(remainders(c)) and not any(c.padding),
    ),
    ("stride by axis", set(NAMES), lambda c: differ(c.stride)),
    ("padding by axis", set(NAMES), lambda c: differ(c.padding)),
    ("padding larger than half of the kernel", LAYERS, lambda c: any(map(wide, c.padding, c.size))),
    ("padding as large as the kernel", LAYERS, lambda c: any(map(int.__ge__, c.padding, c.size))),
    ("dilation", LAYERS | MAXIMA, lambda c: max(c.dilation) > 1 and max(c.size) > 1),
    ("dilation by axis", LAYERS | MAXIMA, lambda c: differ(c.dilation)),
    (
        "dilation with stride",
        LAYERS | MAXIMA,
        lambda c: any(
            min(d, s, k) > 1 for d, s, k in zip(c.dilation, c.stride, c.size, strict=True)
        ),
    ),
    (
        "dilation with stride and padding",
        LAYERS | MAXIMA,
        lambda c: max(c.dilation) > 1 and max(c.stride) > 1 and max(c.padding) > 0,
    ),
    ("batch of two", set(NAMES), lambda c: c.batch == 2),
    ("batch of three", set(NAMES), lambda c: c.batch == 3),
    ("a single sample", set(NAMES), lambda c: c.batch == 1),
    ("kernel equal to the input", set(NAMES), lambda c: c.size == c.shape and max(c.shape) > 1),
    ("kernel of 1x1", set(NAMES), lambda c: set(c.size) == {1}),
    ("kernel of 1x1 with stride", set(NAMES), lambda c: set(c.size) == {1} and max(c.stride) > 1),
    ("everything plain", LAYERS, lambda c: set(c.stride + c.dilation) == {1} and c.groups == 1),
    ("output padding", TRANSPOSED, lambda c: any(c.output_padding)),
    ("output padding by axis", TRANSPOSED, lambda c: differ(c.output_padding)),
    (
        "output padding and padding",
        TRANSPOSED,
        lambda c: any(c.output_padding) and any(c.padding),
    ),
    (
        "output padding below the dilation, not the stride",
        TRANSPOSED,
        lambda c: any(map(int.__ge__, c.output_padding, c.stride)),
    ),
    ("windows side by side", POOLS, lambda c: c.stride == c.size and max(c.size) > 1),
    ("ceil mode", POOLS, lambda c: c.ceil_mode),
    ("floor mode", POOLS, lambda c: not c.ceil_mode and any(remainders(c))),
    ("ceil mode that matters", POOLS, lambda c: c.ceil_mode and any(remainders(c))),
    ("ceil mode with padding", POOLS, lambda c: c.ceil_mode and any(c.padding)),
    (
        "padding not counted",
        POOLS - MAXIMA,
        lambda c: not c.count_include_pad and any(c.padding),
    ),
    ("padding counted", POOLS - MAXIMA, lambda c: c.count_include_pad and any(c.padding)),
    (
        "padding not counted, in ceil mode with a remainder",
        POOLS - MAXIMA,
        lambda c: c.ceil_mode and not c.count_include_pad and any(remainders(c)),
    ),
]


def wide(p: int, k: int) -> bool:
    return 2 * p > k


@pytest.mark.parametrize("name", NAMES)
def test_every_difficulty_comes_up_more_than_once(name: str) -> None:
    counts = {
        words: sum(map(holds, sweep(name))) for words, names, holds in DIFFICULTIES if name in names
    }
    assert {words: count for words, count in counts.items() if count < 2} == {}
    # Half of the conventional mistakes hide behind a square image and a square kernel.
    assert counts["non-square image"] > COUNT / 3


@pytest.mark.parametrize("name", sorted(POOLS))
def test_pools_see_negative_windows_and_ties(name: str) -> None:
    configs = sweep(name)
    problems = [problem(KINDS[name], config, k) for k, config in enumerate(configs)]
    if name in MAXIMA:
        negative = [p for p in problems if (p.x < 0).all()]
        assert len(negative) > COUNT / 4
        assert any(max(pair) > 0 for p in negative for pair in p.padding)
        ties = [p for p in problems if len(np.unique(p.x)) < p.x.size and np.prod(p.size) > 1]
        assert len(ties) > COUNT / 4
    assert any((p.x < 0).any() and (p.x > 0).any() for p in problems)


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_sorted_different_and_the_same_each_time(name: str, dims: int) -> None:
    kind = KINDS[name]
    found = configurations(kind, dims, kind.options, 40)
    assert len(found) == len(set(found)) == 40
    assert [c.work for c in found] == sorted(c.work for c in found)
    assert found == configurations.__wrapped__(kind, dims, kind.options, 40)
    assert all(len(c.shape) == len(c.size) == len(c.stride) == dims for c in found)
    assert all(exists(kind, config) for config in found)


@pytest.mark.parametrize("name", NAMES)
def test_problems_are_small_integers_and_the_same_each_time(name: str) -> None:
    kind = KINDS[name]
    for number, config in enumerate(sweep(name)[::8]):
        p, again, other = (problem(kind, config, k) for k in (number, number, number + 1))
        for array in kind.arrays:
            values = getattr(p, array)
            assert np.array_equal(values, getattr(again, array))
            assert values.dtype == np.float64
            assert np.array_equal(values, np.round(values))
            # Sums of products of these are exact in float32.
            assert np.abs(values).max(initial=0) < 400
        assert p.x.shape == (config.batch, config.in_channels, *config.shape)
        if p.w is not None:
            assert p.w.all()
            assert p.w.size < 8 or len(np.unique(p.w)) == p.w.size
        if config.batch * config.in_channels * np.prod(config.shape) > 20:
            assert not np.array_equal(p.x, other.x)
        for part, compute in kind.parts.items():
            y = np.asarray(compute(p), dtype=float)
            assert np.abs(y).max(initial=0) < 2**24, part


# They exist for PyTorch too, with the same sizes.


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_every_configuration_is_one_of_pytorch(name: str, dims: int) -> None:
    functional = pytest.importorskip("torch").nn.functional
    for config in sweep(name, dims) if dims == 2 else sweep(name, dims)[::5]:
        expected = output_of(KINDS[name], config)
        assert expected is not None
        found = by_torch(functional, name, dims, problem(KINDS[name], config, 3), config)
        np.testing.assert_allclose(found, expected_with(name, config), rtol=1e-12)


def expected_with(name: str, config: Config) -> np.ndarray:
    forward = {"backward": "forward"}.get(name, name.removesuffix("_backward"))
    (compute,) = KINDS[forward].parts.values()
    return np.asarray(compute(problem(KINDS[name], config, 3)), dtype=float)


def by_torch(functional: Any, name: str, dims: int, p: Problem, config: Config) -> np.ndarray:
    import torch

    x = torch.tensor(p.x)
    if name in LAYERS:
        call = "conv_transpose" if name in TRANSPOSED else "conv"
        options = ["stride", "padding", "dilation", "groups"]
        options += ["output_padding"] if name in TRANSPOSED else []
        kind = getattr(functional, f"{call}{dims}d")
        return kind(x, torch.tensor(p.w), **{n: getattr(config, n) for n in options}).numpy()
    options = ["stride", "padding", "ceil_mode"]
    options += ["dilation"] if name in MAXIMA else ["count_include_pad"]
    kind = getattr(functional, f"{'max' if name in MAXIMA else 'avg'}_pool{dims}d")
    return kind(x, config.size, **{n: getattr(config, n) for n in options}).numpy()


# Options as they are passed, and options that a function does not have.


@given(values=st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple))
def test_options_are_an_int_while_equal(values: tuple[int, ...]) -> None:
    found = option_value(values)
    assert np.array_equal(np.broadcast_to(found, len(values)), values)
    assert isinstance(found, int) == (len(set(values)) == 1)


def test_options_that_are_no_tuple_stay() -> None:
    config = sweep("average_pool")[0]
    options = config.options(("ceil_mode", "count_include_pad", "groups"))
    assert options == {
        "ceil_mode": config.ceil_mode,
        "count_include_pad": config.count_include_pad,
        "groups": config.groups,
    }


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(data=st.data())
def test_options_that_a_function_lacks_stay_at_their_defaults(name: str, data: Any) -> None:
    kind = KINDS[name]
    known = set(data.draw(st.lists(st.sampled_from(kind.options), unique=True)))
    # A pool is always told the size of its window.
    known |= {"size"} & set(kind.options)
    for config in configurations(kind, 2, tuple(known), 12):
        assert exists(kind, config)
        for option, usual in usual_options(kind, config).items():
            if option not in known:
                assert getattr(config, option) == usual, option


def usual_options(kind: Kind, config: Config) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "stride": (1, 1),
        "padding": (0, 0),
        "dilation": (1, 1),
        "output_padding": (0, 0),
        "groups": 1,
        "ceil_mode": False,
        "count_include_pad": True,
    }
    return {name: value for name, value in usual.items() if name in kind.options} | (
        {"stride": config.size} if "size" in kind.options else {}
    )


# Which configurations exist.


def plainest(**options: Any) -> Config:
    return replace(Config((4, 4), (2, 2), (1, 1), (0, 0), (1, 1), (0, 0)), **options)


@pytest.mark.parametrize(
    ("name", "config", "found"),
    [
        ("forward", plainest(), True),
        ("forward", plainest(size=(4, 4)), True),
        ("forward", plainest(size=(5, 4)), False),
        ("forward", plainest(size=(5, 4), padding=(1, 0)), True),
        ("forward", plainest(dilation=(3, 3)), True),
        ("forward", plainest(dilation=(4, 1)), False),
        ("forward", plainest(groups=2), False),
        ("forward", plainest(groups=2, in_channels=2, out_channels=2), True),
        ("forward", plainest(groups=2, in_channels=2, out_channels=3), False),
        ("transposed", plainest(output_padding=(1, 0)), False),
        ("transposed", plainest(output_padding=(1, 0), stride=(2, 1)), True),
        ("transposed", plainest(output_padding=(1, 0), dilation=(2, 1)), True),
        ("transposed", plainest(shape=(1, 1), padding=(1, 1)), False),
        ("max_pool", plainest(padding=(1, 1)), True),
        ("max_pool", plainest(padding=(2, 1)), False),
        ("max_pool", plainest(size=(5, 5)), False),
        ("average_pool", plainest(size=(3, 3), padding=(1, 1)), True),
        ("average_pool", plainest(size=(3, 3), padding=(2, 1)), False),
    ],
)
def test_which_configurations_exist(name: str, config: Config, found: bool) -> None:
    assert exists(KINDS[name], config) is found


# Steps towards a smaller failure.


@st.composite
def drawn(draw: Any) -> Config:
    sizes, counts = st.tuples(*[st.integers(1, 5)] * 2), st.tuples(*[st.integers(0, 3)] * 2)
    groups = draw(st.integers(1, 3))
    return Config(
        draw(sizes),
        draw(sizes),
        draw(sizes),
        draw(counts),
        draw(sizes),
        draw(counts),
        draw(st.integers(1, 4)),
        groups * draw(st.integers(1, 3)),
        groups * draw(st.integers(1, 3)),
        groups,
        draw(st.booleans()),
        draw(st.booleans()),
    )


LEAST = Config((1, 1), (1, 1), (1, 1), (0, 0), (1, 1), (0, 0))


@given(config=drawn())
def test_steps_go_down_and_end_at_the_plainest(config: Config) -> None:
    steps = list(smaller(config))
    for step in steps:
        for field in fields(Config):
            least = getattr(LEAST, field.name)
            if field.name != "count_include_pad":
                assert getattr(step, field.name) >= least, field.name
    assert (steps == []) == (config == LEAST)
    # What is taken is smaller by `work`, an order without endless descent.
    lower = [step for step in steps if step.work < config.work]
    assert lower or config == LEAST


@given(config=drawn())
@settings(max_examples=30)
def test_always_going_down_terminates(config: Config) -> None:
    count = 0
    while lower := [step for step in smaller(config) if step.work < config.work]:
        config, count = lower[-1], count + 1
        assert count < 500
    assert config == LEAST


def test_no_step_from_the_plainest() -> None:
    assert list(smaller(LEAST)) == []


# The smallest failure, for failures that are known.


def failing_where(condition: Callable[..., bool]) -> Callable[..., np.ndarray]:
    """A right layer by PyTorch's definition in NumPy, with an error where the condition holds."""

    def f(x: Any, w: Any, *, stride: Any, padding: Any, dilation: Any, groups: Any) -> np.ndarray:
        import convalg as ca

        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        y = np.array(ca.correlation(x.shape[2:], w, **options)(x), dtype=float)
        if condition(x=x, w=w, **options):
            y[(0,) * y.ndim] += 17
        return y

    return f


@pytest.mark.parametrize(
    ("condition", "smallest"),
    [
        (lambda **o: True, LEAST),
        (lambda **o: o["x"].shape[2] >= 3, replace(LEAST, shape=(3, 1))),
        (lambda **o: o["w"].shape[3] >= 2, replace(LEAST, size=(1, 2), padding=(0, 1))),
        (lambda **o: np.max(o["stride"]) >= 2, replace(LEAST, stride=(1, 2))),
        (lambda **o: np.max(o["padding"]) >= 1, replace(LEAST, padding=(0, 1))),
        (lambda **o: o["padding"] == 1, replace(LEAST, padding=(1, 1))),
        (lambda **o: len(o["x"]) >= 2, replace(LEAST, batch=2)),
        (lambda **o: o["x"].shape[1] >= 2, replace(LEAST, in_channels=2)),
        (lambda **o: o["groups"] >= 2, replace(LEAST, in_channels=2, out_channels=2, groups=2)),
        (lambda **o: isinstance(o["stride"], tuple), replace(LEAST, stride=(1, 2))),
    ],
)
def test_the_smallest_failure_is_the_least_where_it_is_known(
    condition: Callable[..., bool], smallest: Config
) -> None:
    report = check.forward(failing_where(condition), cases=48)
    assert report.smallest is not None
    found = report.smallest.config
    # By axis either will do.
    turned = replace(
        found, **{n: getattr(found, n)[::-1] for n in ("shape", "size", "stride", "padding")}
    )
    assert smallest in (found, turned)
    assert report.smallest.index == (0,) * 4
    assert report.smallest.got is not None
    assert report.smallest.expected is not None
    assert report.smallest.got[0, 0, 0, 0] == report.smallest.expected[0, 0, 0, 0] + 17


@settings(max_examples=5)
@given(data=st.data())
def test_no_step_below_the_smallest_failure_fails(data: Any) -> None:
    numbers = [data.draw(st.integers(1, 3), label=name) for name in ("h", "kw", "sh", "batch")]

    def condition(**o: Any) -> bool:
        seen = [o["x"].shape[2], o["w"].shape[3], np.broadcast_to(o["stride"], 2)[0], len(o["x"])]
        return all(map(int.__ge__, map(int, seen), numbers))

    f = failing_where(condition)
    report = check.forward(f, cases=48)
    if report.passed:
        return
    assert report.smallest is not None
    tested, config = candidate(f, report.kind), report.smallest.config
    assert run(tested, config, 0).wrong
    for step in smaller(config):
        if step.work < config.work and exists(report.kind, step):
            assert not run(tested, step, 0).wrong
