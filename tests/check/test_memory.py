"""Functions that keep what they computed: every answer must be that to its own call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg import check
from convalg.check.problem import KINDS, answer
from convalg.check.sweep import configurations, other_numbers, problem

Key = Callable[..., Any]


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
    assert "returns the answer to " in report.smallest.words


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
    calls = [0]

    def f(x: Any, w: Any) -> Any:
        calls[0] += 1
        # Right for every configuration's own calls.
        return right(x, w, 1, 0) * (1 if calls[0] <= 69 else 2)

    report = check.forward(f, cases=32)
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
        for part, value in (told or {}).items():
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
