"""Pooling forward and backward: maximum, minimum, average, downsampling and global pooling."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, partial

import numpy as np

from convalg import draw
from convalg.faces.latex import layer_of
from convalg.maps.max_pooling import global_max_pool, max_pool, min_pool
from convalg.operators.pooling import average_pool, global_pool
from convalg.operators.sampling import downsample
from convalg.operators.tree import Map, Operator
from convalg.sheet import verify_numbers
from convalg.sheet.blocks import Block, Code, Formula, Section, Table, Text
from convalg.sheet.numeric_example import array_latex, exact
from convalg.sheet.pictures import pictured
from convalg.sheet.sections import all_sizes

SIDE, WINDOW = 4, 2
Values = list[Fraction]
Shares = Callable[[Values], list[Fraction]]


@dataclass(frozen=True)
class Pool:
    """A kind of pooling: its texts, its operator, and the share of each sample of a window."""

    name: str
    forward: str
    backward: str
    make: Callable[[tuple[int, ...]], Map]
    shares: Shares
    is_global: bool = False


def _winner(choose: Callable[[Values], Fraction]) -> Shares:
    def shares(values: Values) -> list[Fraction]:
        best = values.index(choose(values))
        return [Fraction(k == best) for k in range(len(values))]

    return shares


def _first(values: Values) -> list[Fraction]:
    return [Fraction(k == 0) for k in range(len(values))]


def _mean(values: Values) -> list[Fraction]:
    return [Fraction(1, len(values))] * len(values)


POOLS = (
    Pool(
        "maximum pooling",
        "the largest sample of each window",
        "entirely to the largest sample",
        lambda s: max_pool(s, WINDOW),
        _winner(max),
    ),
    Pool(
        "minimum pooling",
        "the smallest sample of each window",
        "entirely to the smallest sample",
        lambda s: min_pool(s, WINDOW),
        _winner(min),
    ),
    Pool(
        "average pooling",
        "the mean of each window",
        "in equal shares to the samples of the window",
        lambda s: average_pool(s, WINDOW),
        _mean,
    ),
    Pool(
        "downsampling",
        "the first sample of each window, as with a stride",
        "entirely to the sample that was kept",
        lambda s: downsample(s, WINDOW),
        _first,
    ),
    Pool(
        "global average pooling",
        "the mean of all samples",
        "in equal shares to all samples",
        global_pool,
        _mean,
        is_global=True,
    ),
    Pool(
        "global maximum pooling",
        "the largest of all samples",
        "entirely to the largest sample",
        global_max_pool,
        _winner(max),
        is_global=True,
    ),
)


def pooling_section(layer: Operator) -> Section:
    """Each kind of pooling on a small input, forward and backward, with its figure."""
    return _over(min(len(layer_of(layer)[0].axes), 2))


@cache
def _over(dims: int) -> Section:
    """The section for one or two axes; it depends on nothing else of the layer."""
    shape = (SIDE,) * dims
    # Multiples of 7 modulo 17: sixteen different numbers, so that no maximum is tied.
    x = exact(np.array([7 * (k + 1) % 17 for k in range(SIDE**dims)]).reshape(shape))
    blocks: list[Block] = [
        Text(
            f"A pooling often follows a layer. The windows in this section are adjacent, have "
            f"{' x '.join([str(WINDOW)] * dims)} samples and one output each. Average pooling and "
            f"downsampling are linear, so they have a matrix. Maximum and minimum pooling have a "
            f"matrix at a given input, which selects one sample of each window. The transposed "
            f"matrix propagates the gradient back."
        ),
        Formula(
            r"y = P(x)\, x, \qquad \frac{\partial L}{\partial x} = P(x)^{\mathsf{T}} "
            r"\frac{\partial L}{\partial y}"
        ),
        Formula(array_latex("x", x)),
        Table(
            ("pooling", "the output is", "the gradient goes"),
            tuple((pool.name, pool.forward, pool.backward) for pool in POOLS),
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
    layer = pool.make(shape)
    g = exact(np.arange(1, int(np.prod(layer.out_shape)) + 1).reshape(layer.out_shape))
    caption = (
        f"{pool.name.capitalize()}: x, y, a gradient of y and the resulting gradient of x. A "
        f"sample that contributes to an output has the colour of that output."
    )
    texts = (pool.name, pool.forward, pool.backward)
    side = SIDE if pool.is_global else WINDOW
    return [
        *pictured(pool.name.replace(" ", "-"), (caption, partial(draw.pooling, layer, x, g))),
        verify_numbers.pooling(layer, (x, g), texts, pool.shares, side),
    ]
