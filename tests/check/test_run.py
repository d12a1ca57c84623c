"""Functions that keep what they computed: every answer must be that to its own call."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg import check
from convalg.check.problem import KINDS, answer
from convalg.check.sweep import configurations, other_numbers, problem

Key = Callable[..., Any]


def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def right(x: Any, w: Any, stride: Any, padding: Any) -> Any:
    return ca.correlation(x.shape[2:], w, stride=stride, padding=padding)(x)


def keeping(key: Key, most: int | None = None) -> Callable[..., Any]:
    """A right layer that keeps its answers by a key, the last `most` of them."""
    kept: dict[Any, Any] = {}

    def f(x: Any, w: Any, *, stride: Any, padding: Any) -> Any:
        name = key(x, w, stride, padding)
        if name not in kept:
            while most is not None and len(kept) >= most:
                kept.pop(next(iter(kept)))
            kept[name] = right(x, w, stride, padding)
        return kept[name].copy()

    return f


def shapes(x: Any, w: Any, stride: Any, padding: Any) -> Any:
    return x.shape, w.shape, stride, padding


STALE: dict[str, Callable[[], Callable[..., Any]]] = {
    "shapes and options": lambda: keeping(shapes),
    "the last call": lambda: keeping(shapes, most=1),
    "the last three calls": lambda: keeping(shapes, most=3),
    "options": lambda: keeping(lambda x, w, s, p: (s, p)),
    "the shape of x": lambda: keeping(lambda x, w, s, p: x.shape),
    "the shape of the output": lambda: keeping(lambda x, w, s, p: right(x, w, s, p).shape),
    "the numbers of w": lambda: keeping(lambda x, w, s, p: (w.tobytes(), *shapes(x, w, s, p))),
    "the numbers of x": lambda: keeping(lambda x, w, s, p: (x.tobytes(), *shapes(x, w, s, p))),
    "signs": lambda: keeping(lambda x, w, s, p: ((x > 0).tobytes(), *shapes(x, w, s, p))),
}


@pytest.mark.parametrize("make", STALE.values(), ids=STALE)
def test_answers_that_are_kept_are_found(make: Callable[[], Callable[..., Any]]) -> None:
    report = check.forward(make(), cases=64)
    assert not report
    assert report.diagnosis[0].code == "stale-answer", report.explain()
    assert report.smallest is not None
    assert "returns the result " in report.smallest.words


OPTIONS = configurations(KINDS["forward"], 2, ("stride", "padding"), 64)
SIZES = sorted({config.size for config in OPTIONS})


def sometimes(f: Callable[..., Any], when: Callable[..., bool]) -> Callable[..., Any]:
    """A function that is called where a condition holds; elsewhere the layer is right."""

    def g(x: Any, w: Any, *, stride: Any, padding: Any) -> Any:
        if when(x, w, stride, padding):
            return f(x, w, stride=stride, padding=padding)
        return right(x, w, stride, padding)

    return g


def assert_stale(f: Callable[..., Any]) -> None:
    report = check.forward(f, cases=64)
    assert not report
    assert report.diagnosis[0].code == "stale-answer", report.explain()


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(size, marks=[pytest.mark.thorough] * bool(k % 4))
        for k, size in enumerate(SIZES)
    ],
    ids=str,
)
def test_answers_that_are_kept_for_one_kernel_size_are_found(size: tuple[int, int]) -> None:
    f = sometimes(keeping(shapes, most=1), lambda x, w, s, p: w.shape[2:] == size)
    assert not check.forward(f, cases=64)


@pytest.mark.parametrize("name", ["stride", "padding"])
def test_answers_that_are_kept_for_one_value_are_found(name: str) -> None:
    values = sorted({getattr(config, name) for config in OPTIONS})
    for value in values[::3]:
        when = lambda x, w, s, p, value=value: pair({"stride": s, "padding": p}[name]) == value  # noqa: E731
        assert not check.forward(sometimes(keeping(shapes, most=1), when), cases=64), value


def returning(kept: int, start: int) -> Callable[..., Any]:
    """A layer that from one call of the same shapes on returns the answer to an earlier one."""
    given: dict[Any, list[Any]] = {}

    def f(x: Any, w: Any, *, stride: Any, padding: Any) -> Any:
        answers = given.setdefault(shapes(x, w, stride, padding), [])
        answers.append(right(x, w, stride, padding))
        return answers[kept if len(answers) >= start else -1].copy()

    return f


@pytest.mark.parametrize(("kept", "start"), [(0, 2), (0, 3), (1, 3)])
def test_earlier_answers_from_a_later_call_on_are_found(kept: int, start: int) -> None:
    assert not check.forward(returning(kept, start), cases=64)
    if kept == 0:
        assert_stale(returning(kept, start))
    # For one kernel size only.
    for size in SIZES[::4]:
        when = lambda x, w, s, p, size=size: w.shape[2:] == size  # noqa: E731
        assert not check.forward(sometimes(returning(kept, start), when), cases=64), size


@pytest.mark.parametrize("start", [2, 3, 50])
def test_the_first_answer_of_all_from_a_later_call_on_is_found(start: int) -> None:
    calls: list[Any] = []

    def f(x: Any, w: Any, *, stride: Any, padding: Any) -> Any:
        calls.append(right(x, w, stride, padding))
        return calls[0 if len(calls) >= start else -1].copy()

    assert not check.forward(f, cases=64)


def test_what_is_kept_by_all_that_it_depends_on_passes() -> None:
    key = lambda x, w, s, p: (x.tobytes(), w.tobytes(), *shapes(x, w, s, p))  # noqa: E731
    assert check.forward(keeping(key), cases=64)
    assert check.forward(keeping(key), cases=16, jobs=2)


def test_winners_that_are_kept_are_found() -> None:
    kept: dict[Any, Any] = {}

    def pool(x: Any, *, size: Any) -> Any:
        taps = np.broadcast_to(size, 2)
        cut = np.lib.stride_tricks.sliding_window_view(x, tuple(taps), axis=(2, 3))
        cut = cut[:, :, :: taps[0], :: taps[1]]
        flat = cut.reshape(*cut.shape[:4], -1)
        winners = kept.setdefault((x.shape, size), flat.argmax(-1))
        return np.take_along_axis(flat, winners[..., None], -1)[..., 0]

    assert not check.max_pool(pool, cases=64)


@pytest.mark.parametrize("part", ["dx", "dw"])
def test_one_gradient_that_is_kept_is_found(part: str) -> None:
    kept: dict[Any, Any] = {}

    def f(x: Any, w: Any, g: Any) -> Any:
        layer = ca.correlation(x.shape[2:], w)
        found = {"dx": layer.T(g), "dw": layer.kernel_gradient(x, g)}
        found[part] = kept.setdefault((x.shape, w.shape), found[part])
        return found["dx"], found["dw"]

    report = check.backward(f, cases=32)
    assert report.diagnosis[0].code == "stale-answer", report.explain()


def test_a_right_answer_that_turns_wrong_is_found() -> None:
    def turning(most: float) -> tuple[Callable[..., Any], list[int]]:
        calls = [0]

        def f(x: Any, w: Any) -> Any:
            calls[0] += 1
            return right(x, w, 1, 0) * (1 if calls[0] <= most else 2)

        return f, calls

    f, calls = turning(math.inf)
    assert check.forward(f, cases=32)
    # Right for every configuration's own calls.
    report = check.forward(turning(calls[0] - 3)[0], cases=32)
    assert not report
    assert report.diagnosis[0].code == "depends-on-order", report.explain()


def test_a_constant_answer_is_no_old_one() -> None:
    report = check.forward(lambda x, w: np.zeros_like(right(x, w, 1, 0)), cases=32)
    assert report.diagnosis[0].code == "all-zero"


@pytest.mark.parametrize("name", KINDS)
def test_the_second_answer_is_right(name: str) -> None:
    kind = KINDS[name]
    for number, config in enumerate(configurations(kind, 2, kind.options, 24)):
        p = problem(kind, config, number)
        expected = {part: answer(step, p) for part, step in kind.parts.items()}
        changed, told = other_numbers(kind, config, p, expected, number)  # type: ignore[arg-type]
        again = {part: answer(step, changed) for part, step in kind.parts.items()}
        assert any(
            not np.array_equal(getattr(p, one), getattr(changed, one))
            for one in kind.arrays
            if getattr(p, one).any()
        )
        assert told.keys() == again.keys()
        for part, value in told.items():
            np.testing.assert_allclose(value, again[part], rtol=1e-14)  # a mean rounds


def test_layers_that_keep_their_answers_are_found() -> None:
    torch = pytest.importorskip("torch")

    class Keeping(torch.nn.Conv2d):  # type: ignore[misc]
        def forward(self, x: Any) -> Any:
            self.kept = getattr(self, "kept", {})
            return self.kept.setdefault(x.shape, super().forward(x))

    forward, _ = check.layer(Keeping(2, 3, 2, bias=False), (2, 4, 4))
    assert forward.diagnosis[0].code == "stale-answer", forward.explain()
    assert all(check.layer(torch.nn.Conv2d(2, 3, 2), (2, 4, 4)))
