"""`identify` on known operators, as they are and with one small fault: no fault may be missed.

The operators and the faults are drawn; what is expected of each answer is known from how it was
made. Run this file with `--thorough` for many draws and a table.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.recognise.identification import Identification

Function = Callable[[np.ndarray], Any]
LAYERS = ("correlation", "convolution", "strided", "dilated", "channels", "grouped", "transposed")
MOVES = ("average pool", "sum pool", "pad", "shift", "flip", "permutation", "downsample", "crop")


@dataclass(frozen=True)
class Base:
    """A known operator as a function, and the kinds by which it may be named."""

    name: str
    operator: ca.Operator
    kinds: frozenset[str]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.operator(x), dtype=float)


def weights(random: np.random.Generator, *shape: int) -> np.ndarray:
    """Small integers, none of them zero and none alike where that is possible."""
    count = math.prod(shape)
    found = random.permutation(np.arange(2, count + 2)) * random.choice([-1, 1], count)
    return found.reshape(shape)


def base(name: str, random: np.random.Generator) -> Base:
    """An operator of one kind, drawn."""
    n = int(random.integers(6, 10))
    boundary = str(random.choice(["zeros", "circular", "reflect", "edge"]))
    layer = {"correlation"}
    match name:
        case "correlation":
            kernel = weights(random, int(random.integers(2, 4)))
            made = ca.correlation(n, kernel, padding=int(random.integers(0, 2)), boundary=boundary)
        case "convolution":
            made = ca.convolution(
                (5, 6),
                weights(random, 2, 3),
                padding=str(random.choice(["valid", "same", "full", "causal"])),
            )
        case "strided":
            made = ca.correlation(n + 4, weights(random, 3), stride=2, padding=1)
        case "dilated":
            made = ca.correlation(n + 4, weights(random, 3), dilation=2)
        case "channels":
            made = ca.correlation((5, 5), weights(random, 2, 3, 2, 2), padding=1)
        case "grouped":
            made = ca.correlation((5, 5), weights(random, 4, 1, 3, 3), groups=4)
        case "transposed":
            made = ca.transposed_correlation((4, 4), weights(random, 2, 1, 3, 3), stride=2)
            layer = {"transposed correlation"}
        case "average pool":
            made = ca.average_pool((6, 6), 2, channels=2)
            layer = {"average pooling"}
        case "sum pool":
            made = ca.sum_pool(8, 3, stride=1, dilation=int(random.integers(1, 3)))
            layer = {"sum pooling"}
        case "pad":
            made, layer = ca.pad(n, 2, boundary=boundary), {"correlation"}
        case "shift":
            made, layer = ca.shift(n, 2, boundary="circular"), {"circular shift"}
        case "flip":
            made, layer = ca.flip_axes((3, 4), (1,)), {"reversal of axes"}
        case "permutation":
            order = random.permutation(n)
            made = ca.dense(np.eye(n, dtype=int)[order])
            layer = {"permutation", "identity", "reversal of axes", "circular shift"}
        case "downsample":
            made = ca.downsample(n, 2)
        case "crop":
            made = ca.crop(n, ((1, 2),))
    return Base(name, made, frozenset(layer))


def level(random: np.random.Generator, low: float, high: float) -> float:
    """A number between two, of any size."""
    return float(np.exp(random.uniform(np.log(low), np.log(high))))


def one_wrong(y: np.ndarray, change: Callable[[Any], Any], outputs: int, place: Any) -> np.ndarray:
    """The outputs of one input or of a batch, with one entry of each changed.

    Shapes: y `(*batch, *out_shape)` with `outputs` entries a sample; `change` maps numbers, or an
    array with one number a sample.
    """
    found = y.reshape(-1, outputs).copy()
    found[:, place] = change(found[:, place])
    return found.reshape(y.shape)


def faults(f: Base, random: np.random.Generator) -> dict[str, Function]:
    """The function with each fault; none of them is the operator."""
    digits, bound = int(random.integers(-1, 9)), level(random, 3, 1e6)
    step, small = level(random, 1e-6, 10), level(random, 1e-7, 10)
    # An output that reads something: one of padding alone is 0, rounded or not.
    reading = np.flatnonzero(f.operator.to_numpy().any(axis=1))
    count, inputs = f.operator.shape
    place, large = int(random.choice(reading)), level(random, 20, 1e8)
    read = int(np.argmax(np.abs(f.operator.to_numpy()).sum(axis=0)))
    return {
        "outputs rounded to digits": lambda x: np.round(f(x), digits),
        "inputs rounded to digits": lambda x: f(np.round(x, digits)),
        "outputs in steps": lambda x: step * np.rint(f(x) / step),
        "truncated": lambda x: np.trunc(f(x) * 10**digits) / 10**digits,
        "floored": lambda x: np.floor(f(x)),
        "outputs clipped": lambda x: np.clip(f(x), -bound, bound),
        "clipped above": lambda x: np.minimum(f(x), bound),
        "inputs clipped": lambda x: f(np.clip(x, -bound, bound)),
        "bytes": lambda x: np.clip(np.rint(f(x)), 0, 255),
        "int8": lambda x: np.clip(np.trunc(f(x)), -128, 127),
        "int8 wrapped": lambda x: np.trunc(f(x)).astype(np.int64).astype(np.int8),
        "relu": lambda x: np.maximum(f(x), 0),
        "relu6": lambda x: np.clip(f(x), 0, 6),
        "float16": lambda x: f(x).astype(np.float16),
        "dead zone of outputs": lambda x: np.where(np.abs(f(x)) < small, 0, f(x)),
        "dead zone of inputs": lambda x: f(np.where(np.abs(x) < small, 0, x)),
        "zero above a threshold": lambda x: np.where(np.abs(x).max() > large, 0 * f(x), f(x)),
        "doubled above a threshold": lambda x: f(np.where(np.abs(x) > large, 2 * x, x)),
        "one output clipped": lambda x: one_wrong(
            f(x), lambda v: np.minimum(v, bound), count, place
        ),
        "one output rounded": lambda x: one_wrong(f(x), np.rint, count, place),
        "one output scaled": lambda x: one_wrong(f(x), lambda v: 1.001 * v, count, place),
        "one output added to": lambda x: one_wrong(f(x), lambda v: v + 0.5, count, place),
        "one entry more": lambda x: one_wrong(
            f(x), lambda v: v + 1e-3 * x.reshape(len(v), inputs)[:, read], count, place
        ),
        "wrong for fractions": lambda x: f(x) if (x == np.rint(x)).all() else f(x) + 1,
        "wrong for negative numbers": lambda x: f(np.where(x < -large, 0.9 * x, x)),
        "wrong for one large sample": lambda x: (
            f(x) if abs(x.flat[read]) < large else f(x) * (1 + 1e-3)
        ),
        "offset": lambda x: f(x) - bound,
        "small offset": lambda x: f(x) + 1e-3,
        "slightly scaled": lambda x: f(x) * (1 + 1e-6),
        "small square": lambda x: f(x) + 1e-6 * f(x) ** 2,
        "absolute value": lambda x: np.abs(f(x)),
        "leaky": lambda x: np.where(f(x) < 0, 0.1 * f(x), f(x)),
        "saturated by tanh": lambda x: bound * np.tanh(f(x) / bound),
        "random": lambda x: f(x) + random.random() * 1e-3,
        "float32 wrong": lambda x: f(x) if x.dtype == float else f(x) + 1,
        "not a number replaced": lambda x: f(np.nan_to_num(x)),
    }


def claims(found: Identification, operator: ca.Operator) -> bool:
    """Whether an answer claims, without a word more, that the function is the operator."""
    if not isinstance(found.operator, ca.Operator) or found.bias is not None:
        return False
    if found.kind.startswith(("not ", "depends ")) or ";" in found.words:
        return False
    return bool(np.array_equal(found.operator.to_numpy(), operator.to_numpy()))


def is_named_right(found: Identification, known: Base) -> bool:
    """Whether an answer has the kind and the matrix of the operator, and says that it tried."""
    return (
        found.kind in known.kinds
        and isinstance(found.operator, ca.Operator)
        and bool(
            np.allclose(
                found.operator.to_numpy().astype(float),
                known.operator.to_numpy().astype(float),
                rtol=1e-12,
            )
        )
        and "on the inputs tried" in repr(found)
        and ";" not in found.words
    )


@dataclass
class Table:
    """How many functions of each sort there were, and which were answered wrongly."""

    counts: Counter[str]
    wrong: list[str]

    def __str__(self) -> str:
        rows = [f"{name:30} {count}" for name, count in sorted(self.counts.items())]
        return "\n".join([*rows, f"{'all':30} {sum(self.counts.values())}", *self.wrong])


def run(seeds: range, names: tuple[str, ...] = LAYERS + MOVES, share: float = 1) -> Table:
    """All operators of some seeds, pure, and each with a share of the faults."""
    table = Table(Counter(), [])
    for seed in seeds:
        for name in names:
            random = np.random.default_rng([seed, len(name), ord(name[0]), ord(name[-1])])
            known = base(name, random)
            found = ca.identify(known, known.operator.in_shape)
            table.counts["pure"] += 1
            if not is_named_right(found, known):
                table.wrong.append(f"pure {known.operator!r}: {found!r}")
            for fault, f in faults(known, random).items():
                if random.random() > share:
                    continue
                table.counts[fault] += 1
                found = ca.identify(f, known.operator.in_shape)
                if claims(found, known.operator):
                    table.wrong.append(f"{fault} (seed {seed}) of {known.operator!r}: {found!r}")
    return table


def test_no_fault_is_missed() -> None:
    table = run(range(1), names=("correlation", "average pool", "pad"), share=0.3)
    assert table.wrong == []


@pytest.mark.thorough
def test_no_fault_is_missed_in_many() -> None:
    table = run(range(7), share=0.35)
    print(table)
    assert table.counts["pure"] >= 100
    assert sum(table.counts.values()) - table.counts["pure"] >= 200
    assert table.wrong == []
