"""Find levels of Toeplitz structure, by comparing codes with the codes one step of blocks away."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from convalg.arrays import Array
from convalg.errors import ShapeError
from convalg.recognise.codes import EntryCodes, divisors
from convalg.size import as_shape

Step = tuple[int, int]

LARGEST_STRIDE, LARGEST_SEARCHED = 64, 8
"""Largest stride that is tried for given blocks, and in a search for blocks."""


@dataclass(frozen=True)
class Level:
    """m x n blocks, each of `height` x `width` entries, inside a larger block.

    `step`: the numbers (down, right) of blocks after which the blocks are equal; None without
    structure. `cyclic`: whether the steps wrap around.
    """

    height: int
    width: int
    m: int
    n: int
    step: Step | None = None
    cyclic: bool = False

    @property
    def free(self) -> int:
        """The number of blocks that can be chosen freely."""
        if self.step is None:
            return self.m * self.n
        down, right = self.step
        if self.cyclic:
            orders = self.m // math.gcd(down, self.m), self.n // math.gcd(right, self.n)
            return self.m * self.n // math.lcm(*orders)
        return self.m * self.n - (self.m - down) * (self.n - right)

    @property
    def kind(self) -> str:
        """The name of the structure: "Toeplitz", "strided circulant", "unstructured" and so on."""
        if self.step is None:
            return "unstructured"
        kind = "circulant" if self.cyclic else "Toeplitz"
        if self.step == (1, 1):
            return kind
        return f"strided {kind}" if self.step[0] == 1 else f"transposed strided {kind}"


Chain = tuple[Level, ...]


def broken(
    entries: EntryCodes, level: Level, step: Step, *, cyclic: bool = False
) -> tuple[Array, Array, Array, Array]:
    """Return the pairs of entries that a step requires to be equal but that differ.

    Four arrays of shape (pairs,): row, column, other row and other column. A pair with a zero is
    found from its non-zero entry.
    """
    rows, columns, codes = entries.rows, entries.columns, entries.codes
    o, i = rows // level.height % level.m, columns // level.width % level.n
    mismatches = []
    for sign in (1, -1):
        p, q = o + sign * step[0], i + sign * step[1]
        if cyclic:
            p, q = p % level.m, q % level.n
            inside = np.ones(len(rows), dtype=bool)
        else:
            inside = (p >= 0) & (p < level.m) & (q >= 0) & (q < level.n)
        near = rows[inside], columns[inside]
        far = (
            near[0] + (p - o)[inside] * level.height,
            near[1] + (q - i)[inside] * level.width,
        )
        wrong = entries.at(*far) != codes[inside]
        pair = (*near, *far) if sign == 1 else (*far, *near)
        mismatches.append(np.stack([part[wrong] for part in pair]))
    row, column, other_row, other_column = np.concatenate(mismatches, axis=1)
    return row, column, other_row, other_column


def _possible(entries: EntryCodes, level: Level, steps: list[Step]) -> list[Step]:
    """Return the steps that a sample of the entries does not rule out."""
    which = entries.sample
    rows, columns, codes = entries.rows[which], entries.columns[which], entries.codes[which]
    o, i = rows // level.height % level.m, columns // level.width % level.n
    down, right = np.array(steps).T
    wrong = np.zeros(len(steps), dtype=bool)
    for sign in (1, -1):
        p, q = o + sign * down[:, None], i + sign * right[:, None]
        inside = (p >= 0) & (p < level.m) & (q >= 0) & (q < level.n)
        step, index = np.nonzero(inside)
        far = entries.at(
            rows[index] + sign * down[step] * level.height,
            columns[index] + sign * right[step] * level.width,
        )
        wrong[step[far != codes[index]]] = True
    return [step for step, is_wrong in zip(steps, wrong, strict=True) if not is_wrong]


def _holds(entries: EntryCodes, level: Level, step: Step, *, cyclic: bool = False) -> bool:
    """Whether all entries equal the entries one step of blocks away."""
    return not len(broken(entries, level, step, cyclic=cyclic)[0])


def _shares(entries: EntryCodes, level: Level, step: Step) -> bool:
    """Whether a step that holds maps a non-zero entry to another entry."""
    o, i = entries.rows // level.height % level.m, entries.columns // level.width % level.n
    return bool(((o + step[0] < level.m) & (i + step[1] < level.n)).any())


def _fitted(entries: EntryCodes, level: Level, most: int, *, sharing: bool) -> Level:
    """Return a level with its step: Toeplitz, else the smallest stride that holds, else None.

    `most`: the largest stride to try. `sharing`: whether a Toeplitz step counts only if it maps a
    non-zero entry to another.
    """
    m, n = level.m, level.n
    if min(m, n) == 1:
        return level
    steps = [(1, s) for s in range(2, min(n, most + 1))]
    steps += [(s, 1) for s in range(2, min(m, most + 1))]
    steps.sort(key=lambda step: -(m - step[0]) * (n - step[1]))
    for step in _possible(entries, level, [(1, 1), *steps]):
        if _holds(entries, level, step) and (
            _shares(entries, level, step) or (step == (1, 1) and not sharing)
        ):
            is_cyclic = m * step[1] == n * step[0] and _holds(entries, level, step, cyclic=True)
            return Level(level.height, level.width, m, n, step, is_cyclic)
    return level


def block_sizes(
    shape: tuple[int, int], in_shape: object, out_shape: object
) -> list[tuple[int, int]] | None:
    """Return the block sizes (m, n) that the shapes imply, outermost first.

    None if the shapes imply none, so that the sizes must be searched for.
    Raises: ShapeError when a shape does not fit the matrix.
    """
    given = []
    for name, sizes, count in (
        ("out_shape", out_shape, shape[0]),
        ("in_shape", in_shape, shape[1]),
    ):
        if sizes is None:
            continue
        axes = as_shape(sizes, name)
        if math.prod(axes) != count:
            side = "rows" if name == "out_shape" else "columns"
            raise ShapeError(
                f"{name}={axes} has {math.prod(axes)} entries, but the matrix has {count} {side}"
            )
        given.append(axes)
    if len(given) < 2 or len(given[0]) != len(given[1]):
        return None
    return list(zip(*given, strict=True))


def by_axes(entries: EntryCodes, sizes: list[tuple[int, int]] | None) -> list[Chain]:
    """Return the axes of the shapes as levels, in up to two chains.

    The first chain has the axes of more than one sample. The second has all axes, if each has
    structure, where a single row or column of blocks counts as structure.
    """
    large = [pair for pair in sizes or [] if pair != (1, 1)]
    chain = _merged(list(_levels(entries, large))) if len(large) > 1 else ()
    every = _every_level(_levels(entries, sizes or []))
    return [candidate for candidate in (chain, every) if any(level.step for level in candidate)]


def _every_level(chain: Chain) -> Chain:
    """Return the levels, with the structure of the others for a single row or column of blocks.

    Empty if another level has no structure, or if there are fewer than two levels.
    """
    kinds = {level.kind for level in chain if level.step} or {"Toeplitz"}
    if len(chain) < 2 or any(level.step is None and min(level.m, level.n) > 1 for level in chain):
        return ()
    # A single row or column of blocks has every step; a single block is also circulant.
    alike = next((level for level in chain if level.step), None)
    step = alike.step if alike and len(kinds) == 1 else (1, 1)
    is_cyclic = all(level.cyclic or (level.m, level.n) == (1, 1) for level in chain)
    return tuple(
        level if level.step else replace(level, step=step, cyclic=is_cyclic) for level in chain
    )


def _levels(entries: EntryCodes, sizes: list[tuple[int, int]]) -> Chain:
    """Return the levels for given block sizes, outermost first."""
    chain: list[Level] = []
    height = width = 1
    for m, n in reversed(sizes):
        level = Level(height, width, m, n)
        chain.insert(0, _fitted(entries, level, LARGEST_STRIDE, sharing=False))
        height, width = height * m, width * n
    return tuple(chain)


def structure_of(entries: EntryCodes, sizes: list[tuple[int, int]] | None) -> tuple[Chain, bool]:
    """Return the levels of the matrix, outermost first, and whether the shapes imply them.

    Axes with one input and one output sample are omitted.
    """
    single = _fitted(entries, Level(1, 1, *entries.shape), LARGEST_STRIDE, sharing=False)
    if min(entries.shape) == 1:
        single = Level(1, 1, *entries.shape, (1, 1), entries.shape == (1, 1))
    if single.step == (1, 1):
        return (single,), False
    chains: list[Chain] = [(single,)] if single.step else []
    sizes = [pair for pair in sizes if pair != (1, 1)] if sizes else sizes
    if sizes and len(sizes) > 1:
        chain = _levels(entries, sizes)
        if any(level.step for level in chain):
            chains.append(_merged(list(chain)))
        return (_best(chains), True) if chains else (chain, True)
    searched = _searched(entries)
    if searched:
        chains.append(searched)
    return (_best(chains), False) if chains else ((single,), False)


def _cost(chain: Chain) -> tuple[bool, int, int, int]:
    """Return a sort key: structure at every level, few free values, few levels, small steps."""
    return (
        any(level.step is None for level in chain),
        math.prod(level.free for level in chain),
        len(chain),
        sum(sum(level.step) for level in chain if level.step),
    )


def _best(chains: list[Chain]) -> Chain:
    """Return the chain of lowest cost."""
    return min(chains, key=_cost)


def _merged(chain: list[Level]) -> Chain:
    """Return the levels with adjacent levels without structure merged."""
    merged: list[Level] = []
    for level in chain:
        if merged and merged[-1].step is None and level.step is None:
            outer = merged.pop()
            level = Level(level.height, level.width, outer.m * level.m, outer.n * level.n)
        merged.append(level)
    return tuple(merged)


def _searched(entries: EntryCodes) -> Chain | None:
    """Return the best chain of two or three levels with sizes among the divisors, or None."""
    shape = entries.shape
    cells = [(r, c) for r in divisors(shape[0]) for c in divisors(shape[1])]
    cells = cells[1:-1]
    levels: dict[tuple[int, int, int, int], Level] = {}

    def fitted(small: tuple[int, int], large: tuple[int, int]) -> Level:
        key = (*small, *large)
        if key not in levels:
            level = Level(*small, large[0] // small[0], large[1] // small[1])
            levels[key] = _fitted(entries, level, LARGEST_SEARCHED, sharing=True)
        return levels[key]

    best: Chain | None = None
    pairs = [(fitted(cell, shape), fitted((1, 1), cell)) for cell in cells]
    for pair in pairs:
        if any(level.step for level in pair):
            best = _best([pair] if best is None else [best, pair])
    outer = dict(zip(cells, pairs, strict=True))
    bounds = []
    for large in cells:
        for small in cells:
            middle = Level(*small, large[0] // small[0], large[1] // small[1])
            if large[0] % small[0] or large[1] % small[1] or min(middle.m, middle.n) == 1:
                continue
            ends = outer[large][0], outer[small][1]
            if ends[0].step or ends[1].step:
                # No structure has fewer free values than a circulant.
                least = ends[0].free * max(middle.m, middle.n) * ends[1].free
                is_partial = ends[0].step is None or ends[1].step is None
                bounds.append(((is_partial, least, 3, 0), small, large))
    for bound, small, large in sorted(bounds):
        if best is not None and bound >= _cost(best):
            break
        chain = outer[large][0], fitted(small, large), outer[small][1]
        if chain[1].step:
            best = _best([chain] if best is None else [best, chain])
    if best is None:
        return None
    is_partial, free, *_ = _cost(best)
    return best if not is_partial or free <= math.prod(shape) // 2 else None
