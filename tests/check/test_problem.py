"""The correct results of a check are those of loops, for every kind of function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import right as loops

from convalg.check.problem import KINDS, Answers, Kind, Problem, answer, with_array
from convalg.check.sweep import configurations, problem

CASES = 12
LOOPS: dict[str, Callable[..., Any]] = {
    "forward": loops.seven_nested_loops,
    "backward": loops.every_product_scattered,
    "transposed": loops.scattered,
    "average_pool": loops.mean_by_loops,
    "average_pool_backward": loops.spread_evenly,
    "max_pool": loops.greatest_of_windows,
    "max_pool_backward": loops.to_the_first_winner,
}


def problems(kind: Kind) -> list[tuple[Problem, dict[str, Any]]]:
    """Problems of two spatial axes with the options that a call passes."""
    configs = configurations(kind, 2, kind.options, CASES)
    return [(problem(kind, config), config.options(kind.options)) for config in configs]


@pytest.mark.parametrize("name", LOOPS)
def test_correct_results_are_those_of_loops(name: str) -> None:
    kind = KINDS[name]
    for p, options in problems(kind):
        results = LOOPS[name](*(getattr(p, array) for array in kind.arrays), **options)
        expected = results if isinstance(results, tuple) else (results,)
        got = [answer(compute, p) for compute in kind.parts.values()]
        for one, other in zip(got, expected, strict=True):
            assert one is not None
            assert one.shape == np.shape(other)
            assert np.allclose(one, other, rtol=1e-12, atol=1e-9)


def test_the_gradients_of_a_transposed_layer_are_adjoint_to_it() -> None:
    for p, _ in problems(KINDS["transposed_backward"]):
        dx, dw = (step(p) for step in KINDS["transposed_backward"].parts.values())
        loss = float((KINDS["transposed"].parts["y"](p) * p.gradient).sum())
        # Small integers: the sums are exact. The layer is linear in x, and in w.
        assert float((dx * p.x).sum()) == loss
        assert float((dw * p.kernel).sum()) == loss


def test_a_problem_without_an_array_refuses_it() -> None:
    p = Problem(np.zeros((1, 1, 2)))
    with pytest.raises(TypeError, match="no kernel w"):
        _ = p.kernel
    with pytest.raises(TypeError, match="no output gradient g"):
        _ = p.gradient
    for name in ("x", "w", "g"):
        assert getattr(with_array(p, name, np.ones((1, 1, 3))), name).shape == (1, 1, 3)


def test_a_layer_that_does_not_exist_has_no_result() -> None:
    p = Problem(np.zeros((1, 1, 2)), np.zeros((1, 1, 5)), stride=(1,), padding=((0, 0),))
    assert answer(KINDS["forward"].parts["y"], p) is None


def test_equal_problems_are_computed_once() -> None:
    calls = []

    def compute(p: Problem) -> np.ndarray:
        calls.append(p)
        return p.x + 1

    answers = Answers()
    first = Problem(np.arange(6.0).reshape(1, 1, 6))
    doubled = Problem(first.x.copy(), after=(lambda y: 2 * y,))
    assert np.array_equal(answers(compute, first), first.x + 1)
    assert np.array_equal(answers(compute, doubled), 2 * (first.x + 1))
    assert len(calls) == 1
    assert np.array_equal(answers(compute, Problem(first.x + 1)), first.x + 2)
    assert len(calls) == 2
