"""A model of the time of the engines in seconds, for choosing among them.

An engine counts its work (`Work`): calls into NumPy, entries copied, transposed and added, products
of matrices. Its time is the sum of these counts times the constants of `Rates`. Since only the
comparison of engines matters, the constants were chosen for the least time lost by wrong choices
over a grid of layers, jobs and batches; `benchmarks/engines.py` measures the quality of the
choices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import attrgetter, mul


@dataclass(frozen=True)
class Rates:
    """Seconds per unit of work in float32, on one core with AVX-512 and OpenBLAS."""

    calls: float = 3.6e-7
    """One call into NumPy."""
    copied: float = 1.7e-10
    """One entry copied."""
    strided: float = 1.7e-10
    """One entry copied from a strided array."""
    run: float = 2e-9
    """Starting another run of contiguous entries."""
    transposed: float = 4.7e-10
    """One entry copied where batch and image axes are exchanged."""
    streamed: float = 2.9e-9
    """One entry that does not stay in the cache between two steps."""
    added: float = 1.6e-10
    """One entry multiplied or added, in the cache."""
    stored: float = 2.2e-10
    """One entry of a stored matrix, times one sample."""
    gathered: float = 4.1e-10
    """One entry read by its index."""
    scattered: float = 2.2e-9
    """One entry added by its index."""
    transformed: float = 8.8e-11
    """One entry of a Fourier transform, times the binary logarithm of the number of entries."""
    product: float = 2.7e-8
    """Starting a product of matrices."""
    multiplied: float = 6.7e-12
    """One multiplication and addition of a large product."""
    vector: float = 1.3e-11
    """One multiplication and addition of a vector and a matrix."""
    rows: float = 1.4
    depth: float = 25
    columns: float = 9.6
    """A product with this number of rows (inner size, columns) runs at half of the full rate."""
    sides: float = 4.1
    """The same constant for the rows and columns of a product with a large inner size."""


MACHINE = Rates()
CACHE = 1 << 20
"""The number of entries that stay in the cache."""


@dataclass
class Work:
    """The counts of work of one application of an engine; `Rates` explains the fields."""

    calls: float = 0
    copied: float = 0
    strided: float = 0
    run: float = 0
    transposed: float = 0
    streamed: float = 0
    added: float = 0
    stored: float = 0
    gathered: float = 0
    scattered: float = 0
    transformed: float = 0
    multiplied: list[tuple[float, float, float, float]] = field(default_factory=list)
    folded: list[tuple[float, float, float, float]] = field(default_factory=list)

    def copy(self, entries: float, run: float, step: int = 1) -> None:
        """Count entries copied in runs of length `run`, read `step` entries apart in memory."""
        if step == 1:
            self.copied += entries
        else:
            self.strided += entries
        self.run += entries / max(run, 1)

    def keep(self, entries: float) -> None:
        """Count entries that are written and read again, unless they stay in the cache."""
        if entries > CACHE:
            self.streamed += entries

    def products(self, count: float, m: float, k: float, n: float, *, long: bool = False) -> None:
        """Count matrix products (m, k) by (k, n), or with `long` products (m, n) by (n, k)."""
        if long:
            self.folded.append((count, m, n, k))
        else:
            self.multiplied.append((count, m, k, n))

    def __add__(self, other: Work) -> Work:
        names = (*_LINEAR, "multiplied", "folded")
        return Work(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def seconds(self, rates: Rates = MACHINE) -> float:
        """Return the time in seconds on a machine with these rates."""
        seconds = sum(map(mul, attrgetter(*_LINEAR)(self), attrgetter(*_LINEAR)(rates)))
        for count, m, k, n in self.multiplied:
            waste = (1 + rates.rows / m) * (1 + rates.depth / k) * (1 + rates.columns / n)
            each = rates.vector if min(m, n) == 1 else rates.multiplied * waste
            seconds += count * (rates.product + m * k * n * each)
        for count, m, k, n in self.folded:
            waste = (1 + rates.sides / m) * (1 + rates.depth / k) * (1 + rates.sides / n)
            each = rates.vector if min(m, n) == 1 else rates.multiplied * waste
            seconds += count * (rates.product + m * k * n * each)
        return float(seconds)


_LINEAR = (
    "calls",
    "copied",
    "strided",
    "run",
    "transposed",
    "streamed",
    "added",
    "stored",
    "gathered",
    "scattered",
    "transformed",
)
