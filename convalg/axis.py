"""One axis of a layer, defined by the input i that tap t of output o reads:

    i = stride * o + dilation * t - padding

This is the only file that contains the formula. A negative dilation flips the kernel, as in a
convolution, and a negative padding crops the input. Sizes are integers or, for families of layers,
SymPy expressions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from convalg.arguments import shown
from convalg.errors import ArgumentError, SymbolicError
from convalg.limits import LARGEST_INTEGER, check_room

if TYPE_CHECKING:
    import numpy as np
    import sympy

Size: TypeAlias = "int | sympy.Expr"
Boundary: TypeAlias = Literal["zeros", "circular", "reflect", "symmetric", "edge"]
BOUNDARIES: tuple[Boundary, ...] = ("zeros", "circular", "reflect", "symmetric", "edge")
FOLDS_ONCE = "the border folds at most once"


def holds(condition: object) -> bool:
    """Return whether a comparison of sizes is true for all values of their symbols."""
    return condition if isinstance(condition, bool) else condition == True  # noqa: E712


@dataclass(frozen=True)
class Piece:
    """A piece of the boundary rule: raw indices `low <= j <= high` read `sign * j + constant`.

    A bound of None means that the piece is unbounded on this side.
    """

    sign: int
    constant: Size
    low: Size | None
    high: Size | None


@dataclass(frozen=True)
class AxisNumbers:
    """The sizes of an axis without symbols, as integers; the names are those of `Axis`."""

    in_size: int
    out_size: int
    taps: int
    stride: int
    dilation: int
    padding: int
    span: int
    tight_size: int
    before: int
    after: int


@dataclass(frozen=True)
class Axis:
    """The triples (o, i, t) of one axis: `0 <= o < out_size`, `0 <= t < taps`, `0 <= i < in_size`.

    The sizes of families are symbolic.

    Args:
        in_size: Number of input samples.
        out_size: Number of output samples.
        taps: Number of taps of the kernel.
        stride: Distance between the windows of neighbouring outputs, in samples.
        dilation: Distance between neighbouring taps in samples; negative for a flipped kernel.
        padding: Number of samples in front of the input, as in the formula; negative to crop. The
            padding after the input follows from `out_size`; see `after`.
        boundary: Rule that determines the values of the padding.

    Raises:
        ArgumentError: when an index of the axis could exceed 64 bits.

    >>> Axis(in_size=5, out_size=3, taps=3).raw(2, 1)
    3
    """

    in_size: Size
    out_size: Size
    taps: Size = 1
    stride: Size = 1
    dilation: Size = 1
    padding: Size = 0
    boundary: Boundary = "zeros"

    def __post_init__(self) -> None:
        # A boundary rule that is never used is dropped, so that axes with equal triples are equal.
        if self.boundary != "zeros" and holds(self.before <= 0) and holds(self.after <= 0):
            object.__setattr__(self, "boundary", "zeros")
        if self.is_concrete:
            self._check_indices()

    def _check_indices(self) -> None:
        """Raise ArgumentError for an axis whose indices exceed 64 bits."""
        furthest = abs(self.stride) * self.out_size + abs(self.dilation) * self.taps
        furthest += abs(self.padding) + self.in_size
        if furthest > LARGEST_INTEGER:
            raise ArgumentError(
                f"an axis of {shown(self.in_size)} samples with stride {shown(self.stride)}, "
                f"dilation {shown(self.dilation)} and padding {shown(self.padding)} has indices "
                f"beyond 64 bits: use smaller sizes"
            )

    def raw(self, output: Any, tap: Any) -> Any:
        """Return the index that a tap reads before the boundary rule is applied.

        Args:
            output: Index of the output: an integer, an array or a symbol.
            tap: Index of the tap: an integer, an array or a symbol.
        """
        return self.stride * output + self.dilation * tap - self.padding

    def formula(
        self, output: str, tap: str, write: Callable[[Size], str] = str, times: str = "*"
    ) -> str:
        """Return the formula of `raw` as text, for isl, LaTeX and printed output.

        Args:
            output: Name of the output index.
            tap: Name of the tap index.
            write: Function that formats a size.
            times: Multiplication sign between a factor and an index.

        >>> Axis(in_size=5, out_size=3, taps=3, stride=2, dilation=-1, padding=1).formula("o", "t")
        '2*o - t - 1'
        """
        constant = self.raw(0, 0)
        factors = ((self.raw(1, 0) - constant, output), (self.raw(0, 1) - constant, tap))
        text = "".join(_term(factor, index, write, times) for factor, index in factors)
        if constant != 0:
            size = write(constant)
            text += f" - {size[1:]}" if size.startswith("-") else f" + {size}"
        return text.removeprefix(" + ").strip()

    @cached_property
    def is_concrete(self) -> bool:
        """Whether all sizes are integers and not symbolic."""
        sizes = (self.in_size, self.out_size, self.taps, self.stride, self.dilation, self.padding)
        return set(map(type, sizes)) <= {int}

    @cached_property
    def numbers(self) -> AxisNumbers:
        """The sizes as integers.

        Raises: SymbolicError when a size is symbolic.
        """
        if not self.is_concrete:
            raise SymbolicError(f"the sizes of an axis must be numbers here, not symbols: {self}")
        names = [name.name for name in fields(AxisNumbers)]
        return AxisNumbers(**{name: getattr(self, name) for name in names})

    @property
    def span(self) -> Size:
        """The number of samples from the first to the last tap: |dilation| * (taps - 1) + 1."""
        return span(self.taps, abs(self.dilation))

    @property
    def tight_size(self) -> Size:
        """The number of samples from the first to the last read of tap 0."""
        return tight_size(self.out_size, self.stride)

    @property
    def is_backwards(self) -> bool:
        """Whether the kernel is flipped, as in a convolution."""
        if isinstance(self.dilation, int):
            return self.dilation < 0
        return bool(self.dilation.could_extract_minus_sign())

    @property
    def before(self) -> Size:
        """Samples that the first output reads in front of the input; negative if it is cropped."""
        return self.padding + (self.span - 1 if self.is_backwards else 0)

    @property
    def after(self) -> Size:
        """Samples that the last output reads after the input; negative if samples are not read."""
        return self.tight_size - 1 + self.span - self.before - self.in_size

    def pieces(self) -> tuple[Piece, ...]:
        """Return the affine pieces of the boundary rule for the raw indices that the axis reads.

        A raw index that is not in any piece is dropped, so that it reads zero.
        """
        n = self.in_size
        inside = Piece(1, 0, 0, n - 1)
        if self.boundary == "zeros":
            return (inside,)
        if self.boundary == "edge":
            return (Piece(0, 0, None, -1), inside, Piece(0, n - 1, n, None))
        first, last = self._periods()
        return tuple(self._piece(q) for q in range(first, last + 1))

    def _piece(self, q: int) -> Piece:
        """Return the piece of a periodic boundary in period q, where period 0 is the input."""
        n = self.in_size
        if self.boundary == "circular":
            return Piece(1, -q * n, q * n, (q + 1) * n - 1)
        if self.boundary == "symmetric":
            low, high = q * n, (q + 1) * n - 1
            return Piece(1, -q * n, low, high) if q % 2 == 0 else Piece(-1, high, low, high)
        # "reflect" does not repeat the border sample, so that adjacent pieces share it. Each piece
        # keeps the border sample that is nearer to piece 0.
        low, high = q * (n - 1), (q + 1) * (n - 1)
        sign, constant = (1, -low) if q % 2 == 0 else (-1, high)
        return Piece(sign, constant, low + int(q > 0), high - int(q < 0))

    def limits(self) -> tuple[tuple[Any, tuple[Any, ...], str], ...]:
        """Return the conditions for the axis to exist, each as (value, message, scope note).

        A condition holds if its value is not negative. A message is a template followed by the
        values to insert.
        """
        some = (
            (self.in_size - 1, ("an input of {} samples is empty", self.in_size), ""),
            (
                self.out_size - 1,
                (
                    "{} samples with a kernel of {} taps have no output ({})",
                    *(self.in_size, self.taps, self.out_size),
                ),
                "",
            ),
            (self.taps - 1, ("a kernel of {} taps is empty", self.taps), ""),
        )
        if self.boundary in ("zeros", "edge"):
            return some
        # With symbolic sizes, there is only one piece on each side, so that the padding must not
        # exceed one period.
        widest = self.in_size - int(self.boundary == "reflect")
        message = (
            "symbolic sizes fold the {} border at most once, by {} samples: give numbers for all "
            "sizes",
            *(self.boundary, widest),
        )
        return (
            *some,
            (widest - self.before, message, FOLDS_ONCE),
            (widest - self.after, message, FOLDS_ONCE),
        )

    def _periods(self) -> tuple[int, int]:
        """Return the first and last period that a tap reads; -1 and 1 for symbolic sizes."""
        if not self.is_concrete:
            return -1, 1
        corners = [
            self.raw(o, t) for o in (0, int(self.out_size) - 1) for t in (0, int(self.taps) - 1)
        ]
        period = max(int(self.in_size) - (self.boundary == "reflect"), 1)
        return min(corners) // period - 1, max(corners) // period + 1

    @cached_property
    def uses(self) -> tuple[int, ...]:
        """For each tap, the number of outputs at which it reads an input; needs integer sizes."""
        import numpy as np

        n, outputs, taps = int(self.in_size), int(self.out_size), int(self.taps)
        if self.boundary != "zeros":
            return (outputs,) * taps
        check_room(8 * taps, 8, f"the list of {taps} taps")
        # Solve 0 <= s o + offset < n for o; with a negative stride, outputs are counted backwards.
        step, offset = int(self.stride), self.raw(0, np.arange(taps))
        if step < 0:
            step, offset = -step, offset + step * (outputs - 1)
        first = np.maximum(-(offset // step), 0)
        last = np.minimum((n - 1 - offset) // step, outputs - 1)
        return tuple(np.maximum(last - first + 1, 0).tolist())

    def read_by(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the index of the input that each tap of some outputs reads, and its sign.

        Args:
            outputs: Indices of outputs, of shape (m,).

        Returns:
            Two int64 arrays of shape (m, taps). An index of -1 means that the tap is dropped. The
            sign is the change of the index when the raw index grows by 1, which is 0 for an edge
            that is repeated.
        """
        import numpy as np

        raw = self.raw(outputs[:, None], np.arange(self.taps)[None, :])
        indices, signs = np.full(raw.shape, -1, np.int64), np.zeros(raw.shape, np.int64)
        for piece in self.pieces():
            hit = np.ones(raw.shape, dtype=bool)
            if piece.low is not None:
                hit &= raw >= piece.low
            if piece.high is not None:
                hit &= raw <= piece.high
            np.copyto(indices, piece.sign * raw + piece.constant, where=hit)
            np.copyto(signs, piece.sign, where=hit)
        return indices, signs

    def columns(self) -> np.ndarray:
        """Return the index of the input that each tap of each output reads, or -1 if it is dropped.

        The result is a cached, read-only int64 array of shape (out_size, taps). All sizes of the
        axis must be integers.
        """
        return _columns(self)


def _term(factor: Size, index: str, write: Callable[[Size], str], times: str) -> str:
    """Return the text of a factor times an index, with its sign."""
    is_negative = factor < 0 if isinstance(factor, int) else factor.could_extract_minus_sign()
    size = write(-factor if is_negative else factor)
    if "+" in size or "-" in size:
        size = f"({size})"
    return f" {'-' if is_negative else '+'} {'' if size == '1' else size + times}{index}"


@lru_cache(maxsize=512)
def _columns(axis: Axis) -> np.ndarray:
    import numpy as np

    # The computation of the table needs up to four arrays of its size.
    entries = 4 * int(axis.out_size) * int(axis.taps)
    check_room(entries, 8, f"the table of {axis.out_size} outputs and {axis.taps} taps")
    table = axis.read_by(np.arange(axis.out_size))[0]
    table.setflags(write=False)
    return table


def span(taps: Size, dilation: Size) -> Any:
    """Return the number of samples from the first to the last tap of a window: d (k - 1) + 1.

    >>> span(3, 2)
    5
    """
    return dilation * (taps - 1) + 1


def tight_size(outputs: Size, stride: Size) -> Any:
    """Return the number of samples from the first to the last window start: s (o - 1) + 1.

    >>> tight_size(3, 2)
    5
    """
    return stride * (outputs - 1) + 1


def output_size(
    in_size: Size, taps: Size, stride: int, dilation: int, before: Size, after: Size
) -> Any:
    """Return the number of outputs of a layer along one axis.

    Rule: floor((i + p_before + p_after - (d (k - 1) + 1)) / s) + 1.

    Source: Dumoulin & Visin, A guide to convolution arithmetic, relationship 15.

    >>> output_size(5, 3, 2, 1, 1, 1)
    3
    """
    total = in_size + before + after - span(taps, dilation)
    if not isinstance(total, int) and stride != 1:
        total = _unrounded(total, stride)
    return floored(total, stride) + 1


def floored(above: Size, below: Size) -> Any:
    """Return floor(above / below) of two sizes.

    SymPy does not know that quotients of symbols are integers, and would round them once more.

    >>> floored(7, 2), floored(7, 1)
    (3, 7)
    """
    return above if isinstance(below, int) and below == 1 else above // below


def _unrounded(total: object, stride: object) -> Any:
    """Return a symbolic size without its floor if it is then divided and rounded down again.

    Rule: floor((floor(a) + j) / s) = floor((a + j) / s) for integers j and s >= 1.
    """
    if not hasattr(total, "free_symbols") or not isinstance(stride, int):
        return total
    import sympy

    floors = [term for term in sympy.Add.make_args(total) if isinstance(term, sympy.floor)]
    if stride < 1 or len(floors) != 1 or not (total - floors[0]).is_integer:
        return total
    return total - floors[0] + floors[0].args[0]


def ceil_size(in_size: int, taps: int, stride: int, dilation: int, before: int, after: int) -> int:
    """Return the number of outputs of a pooling with `ceil_mode`, as PyTorch and ONNX define it.

    The last window may extend beyond the padding if it starts inside the input or inside the
    padding in front of it.

    >>> ceil_size(6, 3, 2, 1, 0, 0), output_size(6, 3, 2, 1, 0, 0)
    (3, 2)
    """
    outputs: int = -(-(in_size + before + after - span(taps, dilation)) // stride) + 1
    is_outside: bool = (outputs - 1) * stride >= in_size + before
    return outputs - int(is_outside)


def transposed_size(
    in_size: Size, taps: Size, stride: int, dilation: int, before: Size, after: Size
) -> Any:
    """Return the smallest output size of a transposed layer.

    Rule: s (i - 1) + d (k - 1) + 1 - p_before - p_after.
    Source: Dumoulin & Visin, relationship 13; larger outputs differ by `output_padding`.

    >>> transposed_size(3, 3, 2, 1, 1, 1)
    5
    """
    return stride * (in_size - 1) + dilation * (taps - 1) + 1 - before - after


def same_padding(
    in_size: Size, taps: Size, stride: int, dilation: int, *, lower: bool = False
) -> tuple[Any, Any]:
    """Return the padding (before, after) with which a layer has ceil(i / s) outputs.

    If the total is odd, the additional sample is after the input, or in front of it with
    `lower=True` (SAME_LOWER of ONNX).
    Source: TensorFlow's SAME: max(k^ - s, 0) if s divides i, else max(k^ - i mod s, 0).

    >>> same_padding(7, 4, 1, 1), same_padding(7, 4, 1, 1, lower=True)
    ((1, 2), (2, 1))
    """
    outputs = -floored(-in_size, stride)
    total = transposed_size(outputs, taps, stride, dilation, in_size, 0)
    if isinstance(total, int):
        total = max(total, 0)
    elif stride != 1:
        import sympy

        total = sympy.Max(total, 0)
    smaller = total // 2
    return (total - smaller, smaller) if lower else (smaller, total - smaller)
