"""Pooling forward and backward: the largest, the smallest, the mean, one of each, all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial
from typing import Any

import numpy as np

from convalg import draw
from convalg.faces.latex import layer_of
from convalg.maps.max_pooling import global_max_pool, max_pool, min_pool
from convalg.operators.make import downsample
from convalg.operators.pooling import average_pool, global_pool
from convalg.operators.tree import Map, Operator
from convalg.sheet import verify_numbers
from convalg.sheet.blocks import Block, Code, Formula, Section, Table, Text
from convalg.sheet.numeric_example import array_latex, exact
from convalg.sheet.pictures import pictured
from convalg.sheet.sections.definition import all_sizes

SIDE, WINDOW = 4, 2
Shares = Callable[[list[Any]], list[Any]]


@dataclass(frozen=True)
class Pool:
    """A pooling: its name, how it is made, and the share of each sample of a window, by hand."""

    name: str
    words: str
    back: str
    make: Callable[[tuple[int, ...]], Map]
    shares: Shares
    whole: bool = False


def _winner(choose: Callable[[list[Any]], Any]) -> Shares:
    def shares(values: list[Any]) -> list[Any]:
        best = values.index(choose(values))
        return [int(k == best) for k in range(len(values))]

    return shares


def _first(values: list[Any]) -> list[Any]:
    return [int(k == 0) for k in range(len(values))]


def _mean(values: list[Any]) -> list[Any]:
    return [Fraction(1, len(values))] * len(values)


POOLS = (
    Pool(
        "maximum",
        "the largest of each window",
        "all to the winner",
        lambda s: max_pool(s, WINDOW),
        _winner(max),
    ),
    Pool(
        "minimum",
        "the smallest of each window",
        "all to the winner",
        lambda s: min_pool(s, WINDOW),
        _winner(min),
    ),
    Pool(
        "average",
        "the mean of each window",
        "an equal share to each",
        lambda s: average_pool(s, WINDOW),
        _mean,
    ),
    Pool(
        "dropping",
        "the first of each window, as a stride does",
        "all to the one that stayed",
        lambda s: downsample(s, WINDOW),
        _first,
    ),
    Pool(
        "global average",
        "the mean of all",
        "an equal share to all",
        global_pool,
        _mean,
        whole=True,
    ),
    Pool(
        "global maximum",
        "the largest of all",
        "all to the winner",
        global_max_pool,
        _winner(max),
        whole=True,
    ),
)


def pooling_section(layer: Operator) -> Section:
    """Pooling of a small input forward and backward, each kind with its figure."""
    return _over(min(len(layer_of(layer)[0].axes), 2))


@cache
def _over(dims: int) -> Section:
    """The section over one or two axes, which is all that it takes from a layer."""
    shape = (SIDE,) * dims
    # Multiples of 7 modulo 17: sixteen different numbers, so that no maximum is tied.
    x = exact(np.array([7 * (k + 1) % 17 for k in range(SIDE**dims)]).reshape(shape))
    blocks: list[Block] = [
        Text(
            f"Pooling often follows a layer: windows of {' x '.join([str(WINDOW)] * dims)} side "
            f"by side, one output each. Where it is linear (average, dropping) it is a matrix; a "
            f"maximum is one at the input at hand, where it selects the winners. Back goes the "
            f"transposed matrix."
        ),
        Formula(
            r"y = P(x)\, x, \qquad \frac{\partial L}{\partial x} = P(x)^{\mathsf{T}} "
            r"\frac{\partial L}{\partial y}"
        ),
        Formula(array_latex("x", x)),
        Table(
            ("pooling", "forward", "backward, the gradient goes"),
            tuple((pool.name, pool.words, pool.back) for pool in POOLS),
            "Kinds of pooling.",
        ),
    ]
    for pool in POOLS:
        blocks += _pool_blocks(pool, shape, x)
    blocks += all_sizes.pooling_claims(dims)
    make = f"ca.max_pool({shape}, {WINDOW})"
    blocks.append(Code(f"f = {make}\nf.at({x.tolist()}).T.to_numpy()", runs=True))
    return Section("Pooling", tuple(blocks))


def _pool_blocks(pool: Pool, shape: tuple[int, ...], x: np.ndarray) -> list[Block]:
    found = pool.make(shape)
    g = exact(np.arange(1, int(np.prod(found.out_shape)) + 1).reshape(found.out_shape))
    name = pool.name.replace(" ", "-")
    caption = (
        f"Pooling by {pool.name}: x, y, a gradient of y and the gradient of x. Samples have the "
        f"colour of the output that they reach."
    )
    side = SIDE if pool.whole else WINDOW
    return [
        *pictured(f"pool-{name}", (caption, partial(draw.pooling, found, x, g))),
        verify_numbers.pooling(
            found, (x, g), (pool.name, pool.words, pool.back), pool.shares, side
        ),
    ]
