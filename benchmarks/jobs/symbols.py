"""Matrices of symbols, compared with `sympy.Matrix`.

With new symbols in every call no cached result is timed; with the same symbols SymPy uses its
cache, and convalg what it stores for a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import cycle
from typing import Any

import numpy as np

from benchmarks.harness import Array, Job
from benchmarks.jobs.layers import Maker

POOL = 100
"""The number of sets of symbols: more than SymPy and convalg cache of one kind of result."""

Sizes = tuple[int, ...]


def new_symbols(shape: Sizes, name: str) -> Array:
    """An array of symbols."""
    import sympy

    count = int(np.prod(shape))
    return np.array(sympy.symbols(f"{name}:{count}"), dtype=object).reshape(shape)


def dense(spatial: Sizes, kernel: Array) -> Any:
    """The correlation's `sympy.Matrix`, entry by entry."""
    import sympy

    out = tuple(n - k + 1 for n, k in zip(spatial, kernel.shape, strict=True))

    def entry(row: int, column: int) -> Any:
        here = np.unravel_index(int(row), out)
        there = np.unravel_index(int(column), spatial)
        tap = tuple(int(j) - int(i) for i, j in zip(here, there, strict=True))
        inside = all(0 <= t < k for t, k in zip(tap, kernel.shape, strict=True))
        return kernel[tap] if inside else sympy.S.Zero

    return sympy.Matrix(int(np.prod(out)), int(np.prod(spatial)), entry)


def filled(spatial: Sizes, kernel: Array) -> Any:
    """The same matrix by a loop over outputs and taps, which writes only the non-zeros."""
    import sympy

    out = tuple(n - k + 1 for n, k in zip(spatial, kernel.shape, strict=True))
    matrix = sympy.zeros(int(np.prod(out)), int(np.prod(spatial)))
    strides = [int(np.prod(spatial[axis + 1 :])) for axis in range(len(spatial))]
    taps = [
        (sum(t * s for t, s in zip(tap, strides, strict=True)), kernel[tap])
        for tap in np.ndindex(kernel.shape)
    ]
    for row, output in enumerate(np.ndindex(out)):
        first = sum(i * s for i, s in zip(output, strides, strict=True))
        for offset, weight in taps:
            matrix[row, first + offset] = weight
    return matrix


def composed(second: Array, first: Array) -> Array:
    """The kernel of one correlation after another: the full convolution of their kernels."""
    import sympy

    shape = tuple(a + b - 1 for a, b in zip(second.shape, first.shape, strict=True))
    kernel = np.full(shape, sympy.S.Zero, dtype=object)
    for here in np.ndindex(second.shape):
        for there in np.ndindex(first.shape):
            kernel[tuple(a + b for a, b in zip(here, there, strict=True))] += (
                second[here] * first[there]
            )
    return kernel


def _cycled(make_one: Callable[[int], Callable[[], Any]], pool: int) -> Maker:
    """A call that cycles through the pool; the first call always has the first symbols."""

    def make() -> Callable[[], Any]:
        # The pool is built in advance, so that building it is not timed.
        turns: Iterator[Callable[[], Any]] = cycle([make_one(number) for number in range(pool)])
        return lambda: next(turns)()

    return make


def entries(result: Any) -> Array:
    """The expanded entries as text in a flat array; lists of rows come from the exact face."""
    import sympy

    if isinstance(result, list):
        width = 1 + max(max(row, default=0) for row in result)
        result = [[row.get(column, 0) for column in range(width)] for row in result]
    flat = np.array(result, dtype=object).reshape(-1)
    return np.array([str(sympy.expand(value)) for value in flat])


def pool_text(pool: int) -> str:
    """The part of a job's name that tells whether its symbols are new in every call."""
    return "new symbols" if pool > 1 else "same symbols"


def build(name: str, spatial: Sizes, taps: Sizes, pool: int) -> Job:
    """The matrix with symbolic entries."""

    def rows(number: int) -> Callable[[], Any]:
        import convalg as ca
        from convalg.faces.exact import exact_rows

        kernel = new_symbols(taps, f"w{number}_")
        return lambda: exact_rows(ca.correlation(spatial, kernel))

    def ours(number: int) -> Callable[[], Any]:
        import convalg as ca

        kernel = new_symbols(taps, f"w{number}_")
        return lambda: ca.correlation(spatial, kernel).to_sympy()

    def theirs(number: int) -> Callable[[], Any]:
        kernel = new_symbols(taps, f"w{number}_")
        return lambda: filled(spatial, kernel)

    return Job(
        f"symbolic build {name}, {pool_text(pool)}",
        "sympy.Matrix",
        {
            "convalg, rows": _cycled(rows, pool),
            "convalg, to_sympy()": _cycled(ours, pool),
            "sympy.Matrix": _cycled(theirs, pool),
        },
        aim=0.02,
        answer=entries,
    )


def _pair(
    name: str,
    pool: int,
    aim: float,
    ours: Callable[[int], Callable[[], Any]],
    theirs: Callable[[int], Callable[[], Any]],
) -> Job:
    return Job(
        f"{name}, {pool_text(pool)}",
        "sympy.Matrix",
        {"convalg": _cycled(ours, pool), "sympy.Matrix": _cycled(theirs, pool)},
        aim=aim,
        answer=entries,
    )


def apply(name: str, spatial: Sizes, taps: Sizes, pool: int) -> Job:
    """A x with symbols in both."""

    def ours(number: int) -> Callable[[], Any]:
        import convalg as ca

        operator = ca.correlation(spatial, new_symbols(taps, f"w{number}_"))
        x = new_symbols(spatial, f"x{number}_")
        return lambda: operator(x)

    def theirs(number: int) -> Callable[[], Any]:
        import sympy

        matrix = filled(spatial, new_symbols(taps, f"w{number}_"))
        x = sympy.Matrix(new_symbols(spatial, f"x{number}_").reshape(-1).tolist())
        return lambda: matrix * x

    return _pair(f"symbolic A x {name}", pool, 0.2, ours, theirs)


def gram(name: str, spatial: Sizes, taps: Sizes, pool: int) -> Job:
    """The matrix A^T A."""

    def ours(number: int) -> Callable[[], Any]:
        import convalg as ca

        operator = ca.correlation(spatial, new_symbols(taps, f"w{number}_"))
        return lambda: (operator.T @ operator).to_sympy()

    def theirs(number: int) -> Callable[[], Any]:
        matrix = filled(spatial, new_symbols(taps, f"w{number}_"))
        return lambda: matrix.T * matrix

    return _pair(f"symbolic A^T A {name}", pool, 0.35, ours, theirs)


def proof(name: str, spatial: Sizes, taps: Sizes, pool: int) -> Job:
    """The proof that two layers in sequence equal the layer with the composed kernel."""
    between = tuple(n - k + 1 for n, k in zip(spatial, taps, strict=True))

    def ours(number: int) -> Callable[[], Any]:
        import convalg as ca

        first, second = new_symbols(taps, f"w{number}_"), new_symbols(taps, f"v{number}_")
        chain = ca.correlation(between, second) @ ca.correlation(spatial, first)
        single = ca.correlation(spatial, composed(second, first))
        return lambda: [bool(ca.prove.equal(chain, single))]

    def theirs(number: int) -> Callable[[], Any]:
        first, second = new_symbols(taps, f"w{number}_"), new_symbols(taps, f"v{number}_")
        one, two = filled(spatial, first), filled(between, second)
        single = filled(spatial, composed(second, first))
        return lambda: [(two * one - single).expand().is_zero_matrix]

    job = _pair(f"symbolic proof of L2 L1 {name}", pool, 0.15, ours, theirs)
    return replace(job, answer=np.array)


def jobs(quick: bool) -> list[Job]:
    """A layer of one axis, and one of two."""
    cases: tuple[tuple[str, Sizes, Sizes], ...] = (
        ("1-D n=32 k5", (32,), (5,)),
        ("8x8 k3", (8, 8), (3, 3)),
    )
    pools = (POOL, 1)
    kinds = (build, apply, gram, proof)
    return [kind(*case, pool) for kind in kinds for case in cases for pool in pools]
