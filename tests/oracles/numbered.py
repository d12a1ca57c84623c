"""Claims at numbers: both sides are applied to integers, with integers for their weights."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import brute
import numpy as np

import convalg as ca
from convalg.prove.theorems.theorem import Equality, Theorem


def claims(theorems: Iterable[Theorem]) -> list[tuple[str, Equality]]:
    """Every claim about operators, with the name of its theorem."""
    return [(theorem.name, claim) for theorem in theorems for claim in theorem.claims()]


def named(case: tuple[str, Equality]) -> str:
    return f"{case[0]}: {case[1].claim}"


def weight(name: str) -> int:
    """A number from -9 to 9 for a weight, the same wherever the weight occurs."""
    return zlib.crc32(name.encode()) % 19 - 9


def valued(values: Any) -> np.ndarray:
    """An array of expressions with a number for each weight."""
    flat = [
        int(value.subs({s: weight(s.name) for s in value.free_symbols}))
        if hasattr(value, "free_symbols")
        else int(value)
        for value in np.asarray(values, dtype=object).ravel()
    ]
    return np.array(flat, dtype=object).reshape(np.shape(values))


def kernel(*shape: int, name: str = "w") -> np.ndarray:
    """A kernel of numbers, the one that the symbolic kernel of this name has here."""
    return valued(ca.kernel(*shape, name=name))


def matrix(side: ca.Operator, sizes: Mapping[str, int]) -> np.ndarray:
    """The matrix of one side at sizes of which it may have only some."""
    return valued(np.array(brute.at(side, sizes).to_sympy().tolist(), dtype=object))


def check_applied(claim: Equality) -> None:
    """Both sides map the same array of integers to the same array, which is not zero."""
    sides = claim.sides()
    names = brute.symbols_of(sides)
    most = {1: 6, 2: 5, 3: 4}.get(len(names), 3 if len(names) < 6 else 2)
    largest_first = [v for v in brute.small_sizes(sides, most) if brute.both_exist(sides, v)][::-1]
    assert any(_checked(sides, sizes) for sizes in largest_first)


def _checked(sides: brute.Sides, sizes: Mapping[str, int]) -> bool:
    """Compare both sides, and say whether an output is not zero."""
    first, second = (brute.at(side, sizes) for side in sides)
    count = int(np.prod(first.in_shape))
    x = (np.arange(count) * 7 % 11 - 5).reshape(first.in_shape).astype(object)
    left, right = valued(first(x)), valued(second(x))
    assert left.shape == right.shape
    assert (left == right).all()
    return bool((left != 0).any())
