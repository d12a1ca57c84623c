"""Events of lines tell as much as instructions do, in code whose only jumps are those of loops."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from convalg.prove.functions.instructions import Codes, Observed, difference, is_branching, observe


def nested(n: int, m: int) -> Any:
    return [a + b for a in range(n) for b in range(m)]


def of_a_generator(n: int, m: int) -> Any:
    return sum(a * m for a in range(n)), max((b for b in range(m)), default=0)


def loops(n: int, m: int) -> Any:
    total = 0
    for a in range(n):
        for b in range(m):
            total += a * b
    return total


# fmt: off
def loops_in_one_line(n: int, m: int) -> Any:
    for _ in range(n): np.add(n, m)  # noqa: E701
    for _ in range(m): pass  # noqa: E701
# fmt: on


def unpacked(n: int, m: int) -> Any:
    pairs = [(a, *b) for a, b in enumerate([(k,) for k in range(n)])]
    return pairs, [*range(m), *[0 for _ in range(m)]]


def inner(n: int, m: int) -> Any:
    def square(a: int) -> int:
        return a * a

    return [square(a) for a in range(n)], list(map(square, range(m)))


def handed_on(n: int, m: int) -> Any:
    def first() -> Any:
        yield from range(n)

    return list(first()), {b: b for b in range(m)}


STRAIGHT = [nested, of_a_generator, loops, loops_in_one_line, unpacked, inner]


def run(f: Callable[..., Any], codes: Codes, *args: Any) -> Observed:
    return observe(f, list(args), codes, symbolic=False)


@pytest.mark.parametrize("f", [*STRAIGHT, handed_on])
def test_other_numbers_of_iterations_are_another_way(f: Callable[..., Any]) -> None:
    codes = Codes()
    sizes = list(product(range(1, 4), repeat=2))
    seen = {size: run(f, codes, *size) for size in sizes}
    for left, right in product(sizes, repeat=2):
        assert (difference(seen[left], seen[right]) is None) == (left == right), (left, right)


@pytest.mark.parametrize("f", STRAIGHT)
def test_loops_are_followed_by_lines(f: Callable[..., Any]) -> None:
    assert not is_branching(f.__code__)
    assert run(f, Codes(), 2, 3).lines


def chosen(x: Any) -> Any:
    return x + 1 if x > 0 else x - 1


def either(x: Any) -> Any:
    return (x > 0 and x) or -x


def until(x: Any) -> Any:
    while x > 0: x -= 1  # fmt: skip  # noqa: E701
    return x


def filtered(x: Any) -> Any:
    return [v for v in (x, -x) if v > 0]


def caught(x: Any) -> Any:
    try:
        return 1 / max(x, 0)
    except ZeroDivisionError:
        return 0


def matched(x: Any) -> Any:
    match x > 0:
        case True:
            return 1
    return 2


def asserted(x: Any) -> Any:
    try:
        assert x > 0
    except AssertionError:
        return x


def chained(x: Any) -> Any:
    return -1 < x < 1


@pytest.mark.parametrize("f", [chosen, either, until, caught, matched, asserted, chained])
def test_code_that_branches_is_followed_by_instructions(f: Callable[..., Any]) -> None:
    assert is_branching(f.__code__)
    codes = Codes()
    assert difference(run(f, codes, 2), run(f, codes, -2)) is not None
    assert difference(run(f, codes, 2), run(f, codes, 2)) is None


def test_code_within_code_is_judged_by_itself() -> None:
    codes = Codes()
    assert difference(run(filtered, codes, 0), run(filtered, codes, 2)) is not None


def test_code_without_lines_is_followed_by_instructions() -> None:
    code = loops.__code__.replace(co_linetable=b"")
    assert is_branching(code)
