"""The families of inputs on which a function is tried, each with the deviations that it reveals.

Linearity is claimed only for the inputs tried, so they must be diverse: fractions for rounding,
small numbers for dead zones and steps, and large numbers of both signs for clipping, saturation and
thresholds. Every sample is exact in float32, so that a function of float32 tensors receives the
same numbers as its matrix.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from convalg.arrays import Array

COUNT = 4
"""Number of inputs of each family."""

SIZES = tuple(float(f"1e{power}") for power in range(-9, 10) if power)
"""The orders of magnitude that are tried, each in a family of its own."""

SIZED = "numbers of size "
"""Start of the names of these families."""

Draw = Callable[[np.random.Generator, tuple[int, ...]], Array]


@dataclass(frozen=True)
class Family:
    """Inputs of one kind.

    `reveals`: the deviations from A x + b that the inputs can reveal. `least`, `largest`: the
    smallest and the largest magnitude of their numbers. `draw`: the function that draws a batch of
    shape `(count, *in_shape)`.
    """

    name: str
    reveals: str
    least: float
    largest: float
    draw: Draw

    def samples(self, in_shape: tuple[int, ...], seed: int, count: int = COUNT) -> Array:
        """Return inputs of shape `(count, *in_shape)`, as floats that are exact in float32."""
        # The name is in the seed, so that no family has multiples of the numbers of another family.
        own = np.random.default_rng([seed, crc32(self.name.encode())])
        drawn = self.draw(own, (count, *in_shape))
        return drawn.astype(np.float32).astype(float)


def _signs(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw 1 or -1 for each number."""
    return random.choice([-1.0, 1.0], shape)


def _in_both_signs(x: Array) -> Array:
    """Replace every second input by the negative of the previous input, and return the inputs.

    Every entry, and every linear output, is then large with both signs.
    """
    x[1::2] = -x[: len(x) - len(x) % 2 : 2]
    return x


def _of_size(size: float) -> Draw:
    """Return the function that draws numbers from size to 10 * size, of both signs."""
    return lambda random, shape: _in_both_signs(
        _signs(random, shape) * size * random.uniform(1, 10, shape)
    )


def _equal_samples(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return inputs whose samples are all equal, to 0.3, -70, 1300 or -250000."""
    numbers = np.array([0.3, -70.0, 1300.0, -2.5e5])[np.arange(shape[0]) % 4]
    return np.broadcast_to(numbers.reshape(-1, *(1,) * (len(shape) - 1)), shape)


def _one_sample(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw inputs with one non-zero sample, of sizes from 1e-3 to 1e6."""
    x = np.zeros(shape).reshape(shape[0], -1)
    indices = random.integers(0, x.shape[1], shape[0])
    sizes = np.geomspace(1e-3, 1e6, shape[0])
    x[np.arange(shape[0]), indices] = _signs(random, shape[:1]) * sizes
    return x.reshape(shape)


def _mixed(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw inputs that mix numbers of sizes from 1e-6 to 1e6."""
    sizes = random.permutation(np.geomspace(1e6, 1e-6, math.prod(shape[1:]) * -(-shape[0] // 2)))
    x = np.repeat(sizes.reshape(-1, *shape[1:]), 2, axis=0)[: shape[0]]
    return _in_both_signs(_signs(random, x.shape) * x)


INTEGERS = Family(
    "integers from -9 to 9",
    "products, powers and branches",
    1,
    9,
    lambda random, shape: random.integers(-9, 10, shape).astype(float),
)

FAMILIES: tuple[Family, ...] = (
    INTEGERS,
    Family(
        "fractions between -1 and 1",
        "rounding and truncation",
        1e-3,
        1,
        lambda random, shape: random.uniform(-1, 1, shape),
    ),
    Family(
        "halves of odd integers",
        "rounding of ties",
        0.5,
        9.5,
        lambda random, shape: random.integers(-9, 10, shape) + 0.5,
    ),
    Family(
        "integers from 0 to 255",
        "saturation of bytes",
        1,
        255,
        lambda random, shape: random.integers(0, 256, shape).astype(float),
    ),
    Family(
        "negative numbers down to -300",
        "saturation of bytes, and special treatment of negative numbers",
        1,
        300,
        lambda random, shape: -random.uniform(1, 300, shape),
    ),
    Family("equal samples", "normalisation and saturation", 0.3, 2.5e5, _equal_samples),
    Family("one sample alone", "saturation of one entry", 1e-3, 1e6, _one_sample),
    Family("numbers of mixed sizes", "thresholds and loss of precision", 1e-6, 1e6, _mixed),
    *(
        Family(
            f"{SIZED}{size:g}",
            "dead zones and steps" if size < 1 else "clipping, saturation and overflow",
            size,
            10 * size,
            _of_size(size),
        )
        for size in SIZES
    ),
)


def families(least: float, largest: float) -> Iterator[Family]:
    """Yield the families whose numbers are all between two magnitudes."""
    return (family for family in FAMILIES if family.least >= least and family.largest <= largest)


def listed(chosen: list[Family]) -> str:
    """Return the names of families in one phrase, with their sizes combined.

    >>> from convalg.recognise.inputs import FAMILIES, listed
    >>> listed([FAMILIES[0], FAMILIES[-3], FAMILIES[-2], FAMILIES[-1]])
    'integers from -9 to 9, numbers of the sizes 1e+07, 1e+08, ..., 1e+09'
    """
    sized = [family.least for family in chosen if family.name.startswith(SIZED)]
    names = [family.name for family in chosen if not family.name.startswith(SIZED)]
    if len(sized) == 1:
        names.append(f"{SIZED}{sized[0]:g}")
    elif sized:
        first = SIZES.index(sized[0])
        is_run = tuple(sized) == SIZES[first : first + len(sized)] and len(sized) > 2
        shown = [f"{size:g}" for size in sized]
        shown = [*shown[:2], "...", shown[-1]] if is_run else shown
        names.append(f"numbers of the sizes {', '.join(shown)}")
    return ", ".join(names)
