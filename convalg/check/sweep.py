"""The configurations on which a function is checked, from the smallest to the largest.

Configurations are drawn from a fixed seed. They have non-square sizes, different numbers of
channels, groups, strides larger than the kernel and strides that do not divide evenly, dilation
with stride, options that differ between axes, batches, kernels as large as the input, and single
taps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.check.problem import KINDS, Kind, Problem, answer, with_array
from convalg.errors import ArgumentError
from convalg.size import as_size

SEED = 20250101
"""Seed of all random numbers of a check."""
CASES = 160
"""Default number of configurations of a check."""
MOST_CASES = 10_000
"""Largest number of configurations of a check."""


@dataclass(frozen=True)
class Config:
    """The sizes and options of one call, the options per axis.

    `shape`: the spatial sizes of the input. `size`: the sizes of the kernel or the window.
    """

    shape: tuple[int, ...]
    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    output_padding: tuple[int, ...]
    batch: int = 1
    in_channels: int = 1
    out_channels: int = 1
    groups: int = 1
    ceil_mode: bool = False
    count_include_pad: bool = True

    @property
    def work(self) -> tuple[int, int]:
        """A sort key: the count of numbers in the arrays, then the distance from the defaults."""
        numbers = self.batch * self.in_channels * math.prod(self.shape)
        numbers += self.in_channels * self.out_channels * math.prod(self.size)
        steps = sum(map(sum, (self.stride, self.padding, self.dilation, self.output_padding)))
        return numbers, steps + self.groups + self.ceil_mode + (not self.count_include_pad)

    def options(self, names: tuple[str, ...]) -> dict[str, object]:
        """Return options as a call passes them: an int if equal on all axes, else a tuple."""
        return {name: option_value(getattr(self, name)) for name in names}


def option_value(value: object) -> object:
    """Return the single value of an option that is equal on all axes, else the option."""
    if isinstance(value, tuple):
        return value[0] if len(set(value)) == 1 else value
    return value


def counts(dims: object, cases: object) -> tuple[int, int]:
    """Return the numbers of spatial axes and of configurations as checked integers.

    Raises: ArgumentError for numbers out of range, KindError for another type.
    """
    axes, count = as_size(dims, "dims"), as_size(cases, "cases")
    if not isinstance(axes, int) or axes > 4 or not isinstance(count, int):
        raise ArgumentError(f"dims must be 1 to 4 and cases an integer, not {dims!r} and {cases!r}")
    if count > MOST_CASES:
        raise ArgumentError(f"cases must be at most {MOST_CASES:,}, not {count:,}")
    return axes, count


@lru_cache(maxsize=32)
def configurations(kind: Kind, dims: int, names: tuple[str, ...], count: int) -> tuple[Config, ...]:
    """Return at most `count` different configurations, the smallest first.

    Options that are not in `names` keep their defaults.
    """
    random = np.random.default_rng(SEED)
    configs: dict[Config, None] = {}
    for _ in range(count * 40):
        if len(configs) == count:
            break
        config = _limited(_drawn(random, kind, dims), names)
        if exists(kind, config):
            configs[config] = None
    return tuple(sorted(configs, key=lambda config: config.work))


def _drawn(random: np.random.Generator, kind: Kind, dims: int) -> Config:
    """Draw a configuration, from a distribution in which each kind of difficulty is frequent."""
    pooling = "size" in kind.options
    choose = random.choice
    shape = tuple(int(n) for n in random.integers(1, 8, dims))
    if random.random() < 0.25:
        shape = (shape[0],) * dims
    size = _axes(random, (1, 2, 3, 4), dims)
    if random.random() < 0.08:
        size = shape
    stride = _axes(random, (1, 1, 2, 2, 3, 4), dims)
    dilation = _axes(random, (1, 1, 1, 2, 3), dims)
    padding = _axes(random, (0, 0, 1, 1, 2), dims)
    if pooling:
        # A window that is entirely in the padding has no largest sample.
        padding = tuple(min(p, k // 2) for p, k in zip(padding, size, strict=True))
        if random.random() < 0.3:
            stride = size
    if "dilation" not in kind.options or random.random() < 0.4:
        dilation = (1,) * dims
    groups = 1 if pooling else int(choose((1, 1, 1, 2, 3)))
    channels = [int(groups * choose((1, 1, 2, 3))) for _ in range(2)]
    extra = (0,) * dims
    if "output_padding" in kind.options and random.random() < 0.6:
        tops = [max(s, d) for s, d in zip(stride, dilation, strict=True)]
        extra = tuple(int(random.integers(0, top)) for top in tops)
    return Config(
        shape=shape,
        size=size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        output_padding=extra,
        batch=int(choose((1, 1, 2, 3))),
        in_channels=channels[0],
        out_channels=1 if pooling else channels[1],
        groups=groups,
        ceil_mode="ceil_mode" in kind.options and bool(random.random() < 0.5),
        count_include_pad="count_include_pad" not in kind.options or bool(random.random() < 0.5),
    )


def _axes(random: np.random.Generator, values: tuple[int, ...], dims: int) -> tuple[int, ...]:
    """Draw a value for each axis; with probability 1/2, the same value for all axes."""
    drawn = tuple(int(v) for v in random.choice(values, dims))
    return (drawn[0],) * dims if random.random() < 0.5 else drawn


def _limited(config: Config, names: tuple[str, ...]) -> Config:
    """Return a configuration with defaults for the options that are not in `names`."""
    dims = len(config.shape)
    ones, zeros = (1,) * dims, (0,) * dims
    usual: dict[str, Any] = {
        # The default stride of a pooling is its window size.
        "stride": config.size if "size" in names else ones,
        "padding": zeros,
        "dilation": ones,
        "output_padding": zeros,
        "groups": 1,
        "ceil_mode": False,
        "count_include_pad": True,
    }
    left = {name: value for name, value in usual.items() if name not in names}
    return replace(config, **left)


def exists(kind: Kind, config: Config) -> bool:
    """Whether a layer of this configuration exists, in convalg and in the frameworks."""
    if config.in_channels % config.groups or config.out_channels % config.groups:
        return False
    if any(
        o >= max(s, d)
        for o, s, d in zip(config.output_padding, config.stride, config.dilation, strict=True)
    ):
        return False
    if "size" in kind.options and any(
        p > k // 2 for p, k in zip(config.padding, config.size, strict=True)
    ):
        return False
    # PyTorch's avg_pool3d, unlike avg_pool1d and avg_pool2d, needs an input as large as the window.
    wants_more = kind.name.startswith("average_pool") and len(config.shape) == 3
    if wants_more and any(n < k for n, k in zip(config.shape, config.size, strict=True)):
        return False
    output = output_of(kind, config)
    # A window that is entirely in the padding has no sample that could receive a gradient.
    return output is not None and bool(np.isfinite(output).all())


def output_of(kind: Kind, config: Config, number: int = 0) -> Array | None:
    """Return the output of a configuration for the inputs of a number, or None if none exists."""
    forward = {"backward": "forward"}.get(kind.name, kind.name.removesuffix("_backward"))
    part = next(iter(KINDS[forward].parts.values()))
    return answer(part, _inputs(kind, config, number))


def problem(kind: Kind, config: Config, number: int = 0) -> Problem:
    """Return the problem of a configuration, with small integers determined by `number`.

    Inputs of poolings have negative samples and ties. Kernels have no zeros, so that every tap
    counts.
    """
    p = _inputs(kind, config, number)
    if "g" not in kind.arrays:
        return p
    random = np.random.default_rng([SEED, number, 1])
    return replace(p, g=_integers(random, _output_shape(kind, config), 4))


@lru_cache(maxsize=4096)
def _output_shape(kind: Kind, config: Config) -> tuple[int, ...]:
    """Return the shape of the output of a configuration that exists."""
    output = output_of(kind, config)
    if output is None:
        raise ValueError(f"config must describe a layer that exists, not {config}")
    return output.shape


FACTORS = {"x": 3.0, "w": -3.0, "g": 2.0}
"""Factors for a second set of numbers, larger by one at odd turns. The factor of x is positive for
max pooling. No factor is -1, whose effect an absolute value would hide."""

OTHER = 10**6
"""Offset of the seed for numbers that are drawn again."""

ANEW = 8
"""One turn in this many draws all arrays again."""

OPTIONS = tuple(name for name in Config.__dataclass_fields__ if name != "shape")
"""Sizes and options of which a single value may reveal that a function is wrong."""

REDRAWN = 8
"""Most attempts to draw numbers with a non-zero result."""


@lru_cache(maxsize=64)
def covering(kind: Kind, configs: tuple[Config, ...], names: tuple[str, ...]) -> tuple[int, ...]:
    """Return indices of configurations that together have every value of the named options.

    They detect a function that caches its results for a single kernel size or stride.
    Configurations in which every window is in the padding are left out, since their results are
    all zero.
    """
    seen: set[tuple[str, object]] = set()
    indices = []
    for number, config in enumerate(configs):
        values = {(name, getattr(config, name)) for name in names}
        if not values <= seen and _is_seen(kind, config):
            indices.append(number)
            seen |= values
    return tuple(indices)


@lru_cache(maxsize=4096)
def _is_seen(kind: Kind, config: Config) -> bool:
    """Whether a window of a configuration reads a sample, so that the output is not always zero."""
    return any(np.any(output_of(kind, config, number)) for number in range(REDRAWN))


def other_numbers(
    kind: Kind, config: Config, p: Problem, right: dict[str, Array], turn: int
) -> tuple[Problem, dict[str, Array]]:
    """Return a second set of numbers for a configuration, and its correct result.

    Each turn multiplies one of the arrays by a factor, and some turns draw all arrays again. A
    function that caches results by the contents of the other arrays then returns an outdated
    result. Each result is homogeneous of degree one in every array but its own (dx in w and g, y in
    x and w; for max pooling, with positive factors), so the second correct result is a multiple of
    the first. The inputs of a max pooling are always drawn again, since a factor does not move the
    maxima.
    """
    name = kind.arrays[turn % len(kind.arrays)]
    changes = any(value.any() for part, value in right.items() if part != f"d{name}")
    winners = name == "x" and kind.name.startswith("max_pool")
    if winners or not changes or turn % ANEW == ANEW - 1:
        return _drawn_anew(kind, config, turn + OTHER)
    factor = FACTORS[name] + turn % 2
    changed = with_array(p, name, factor * getattr(p, name))
    return changed, {
        part: value if part == f"d{name}" else factor * value for part, value in right.items()
    }


def _drawn_anew(kind: Kind, config: Config, number: int) -> tuple[Problem, dict[str, Array]]:
    """Draw numbers with a non-zero result, if possible within the allowed attempts."""
    for seed in range(number, number + REDRAWN * OTHER, OTHER):
        p = problem(kind, config, seed)
        results = {part: answer(step, p) for part, step in kind.parts.items()}
        right = {part: value for part, value in results.items() if value is not None}
        if all(value.any() for value in right.values()):
            break
    return p, right


def _inputs(kind: Kind, config: Config, number: int) -> Problem:
    """Return the problem of a configuration without g."""
    random = np.random.default_rng([SEED, number])
    shape = (config.batch, config.in_channels, *config.shape)
    weights = None
    if "w" in kind.arrays:
        first, second = config.out_channels, config.in_channels
        if kind.name.startswith("transposed"):
            first, second = second, first
        weights = _nonzero(random, (first, second // config.groups, *config.size))
    if kind.name.startswith("max_pool") and number % 2:
        # With few values, all negative, ties occur, and padding with zeros changes the result.
        x = -(_integers(random, shape, 2) ** 2) - 1.0
    else:
        x = _integers(random, shape, 6)
    return Problem(
        x=x,
        w=weights,
        size=config.size,
        stride=config.stride,
        padding=tuple((p, p) for p in config.padding),
        dilation=config.dilation,
        output_padding=config.output_padding,
        groups=config.groups,
        ceil_mode=config.ceil_mode,
        count_include_pad=config.count_include_pad,
    )


def _integers(random: np.random.Generator, shape: tuple[int, ...], top: int) -> Array:
    """Draw integers from -top to top, as floats."""
    return random.integers(-top, top + 1, shape).astype(float)


def _nonzero(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draw non-zero integers, all different, as floats."""
    count = math.prod(shape)
    pool = np.array([v for v in range(-max(count, 4), max(count, 4) + 1) if v])
    return random.permutation(pool)[:count].reshape(shape).astype(float)


def smaller(config: Config) -> Iterator[Config]:
    """Yield the configurations that are one step simpler, to search for a smaller failure."""
    plainest = {"batch": 1, "in_channels": 1, "out_channels": 1, "groups": 1}
    for name, low in plainest.items():
        value = getattr(config, name)
        for simpler in sorted({low, value // 2, value - 1}):
            if low <= simpler < value:
                yield _with(config, **{name: simpler})
    if config.groups > 1:
        each = (config.in_channels // config.groups, config.out_channels // config.groups)
        for fewer in range(1, config.groups):
            counts = (fewer * each[0], fewer * each[1])
            yield replace(config, groups=fewer, in_channels=counts[0], out_channels=counts[1])
        yield replace(config, in_channels=config.groups, out_channels=config.groups)
    lows = {"shape": 1, "size": 1, "stride": 1, "padding": 0, "dilation": 1, "output_padding": 0}
    for name, low in lows.items():
        values = getattr(config, name)
        yield from (_with(config, **{name: changed}) for changed in _reduced(values, low))
    if config.ceil_mode:
        yield replace(config, ceil_mode=False)
    if not config.count_include_pad:
        yield replace(config, count_include_pad=True)
    yield from _smaller_together(config)


def _smaller_together(config: Config) -> Iterator[Config]:
    """Yield the configurations in which two dependent options are one step simpler."""
    for size in _reduced(config.size, 1):
        # The padding is at most half the window, and the stride often equals the window size.
        halves = tuple(min(p, k // 2) for p, k in zip(config.padding, size, strict=True))
        shorter = tuple(
            max(n - old + new, 1)
            for n, old, new in zip(config.shape, config.size, size, strict=True)
        )
        tied = tuple(
            new if s == old else s
            for s, old, new in zip(config.stride, config.size, size, strict=True)
        )
        yield replace(config, size=size, padding=halves)
        yield replace(config, size=size, padding=halves, stride=tied)
        yield replace(config, size=size, padding=halves, shape=shorter)
        yield replace(config, size=size, padding=halves, stride=tied, shape=shorter)
    for shape in _reduced(config.shape, 1):
        for lower in _reduced(config.stride, 1):
            yield replace(config, shape=shape, stride=lower)
        for more in (
            tuple(p + (n > m) for p, n, m in zip(config.padding, config.shape, shape, strict=True)),
        ):
            yield replace(config, shape=shape, padding=more)


def _with(config: Config, **options: Any) -> Config:
    """Return a configuration with some options replaced by name."""
    return replace(config, **options)


def _reduced(values: tuple[int, ...], low: int) -> Iterator[tuple[int, ...]]:
    """Yield the values with all of them reduced by one, then with one of them reduced."""
    if any(value > low for value in values):
        yield tuple(max(value - 1, low) for value in values)
    for k, value in enumerate(values):
        for simpler in sorted({low, value - 1}):
            if low <= simpler < value:
                yield (*values[:k], simpler, *values[k + 1 :])
