"""ONE axis of a layer: which input does tap `t` of output `o` read?

    i = stride * o + dilation * t - padding

This is the only file that contains the formula. With a negative dilation the kernel is flipped
(a convolution instead of a correlation), and a negative padding crops. Sizes may be integers or,
for families of layers, symbolic (SymPy expressions).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from convalg.arguments import shown
from convalg.errors import ArgumentError
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

    None means unbounded.
    """

    sign: int
    constant: Size
    low: Size | None
    high: Size | None


@dataclass(frozen=True)
class Axis:
    """The triples (o, i, t) of one axis: `0 <= o < out_size`, `0 <= t < taps`, `0 <= i < in_size`.

    Sizes are in samples. `padding` is in front of the first sample; the padding after the last one
    follows from `out_size`, see `after`. The sizes of families are symbolic.

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
        # A border that is never read is dropped, so that axes with equal triples compare equal.
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
        """Return the index that a tap reads before the boundary rule; takes arrays and symbols."""
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
        """Whether every size is a number."""
        sizes = (self.in_size, self.out_size, self.taps, self.stride, self.dilation, self.padding)
        return set(map(type, sizes)) <= {int}

    @property
    def span(self) -> Size:
        """The inputs that one output covers, gaps included: |dilation| * (taps - 1) + 1."""
        return span(self.taps, abs(self.dilation))

    @property
    def tight_size(self) -> Size:
        """The distance spanned by the reads of tap 0, in samples: stride * (out_size - 1) + 1."""
        return tight_size(self.out_size, self.stride)

    @property
    def is_backwards(self) -> bool:
        """Whether the kernel is flipped, as in a convolution."""
        if isinstance(self.dilation, int):
            return self.dilation < 0
        return bool(self.dilation.could_extract_minus_sign())

    @property
    def before(self) -> Size:
        """Samples that the first output reads in front of the input (negative: cropped)."""
        return self.padding + (self.span - 1 if self.is_backwards else 0)

    @property
    def after(self) -> Size:
        """Samples that the last output reads after the input (negative: samples never read)."""
        return self.tight_size - 1 + self.span - self.before - self.in_size

    def pieces(self) -> tuple[Piece, ...]:
        """Return the boundary rule as affine pieces that cover every raw index this axis reads.

        Raw indices in no piece are dropped (they read zero).
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
        """Return piece number q of a periodic boundary; number 0 is the input itself."""
        n = self.in_size
        if self.boundary == "circular":
            return Piece(1, -q * n, q * n, (q + 1) * n - 1)
        if self.boundary == "symmetric":
            low, high = q * n, (q + 1) * n - 1
            return Piece(1, -q * n, low, high) if q % 2 == 0 else Piece(-1, high, low, high)
        # Reflect does not repeat the border sample, so neighbouring pieces share it: each
        # piece keeps the end that is nearer to piece 0.
        low, high = q * (n - 1), (q + 1) * (n - 1)
        sign, constant = (1, -low) if q % 2 == 0 else (-1, high)
        return Piece(sign, constant, low + int(q > 0), high - int(q < 0))

    def limits(self) -> tuple[tuple[Any, tuple[Any, ...], str], ...]:
        """Return what must not be negative for the axis to exist: (value, message, scope note).

        A message is a template followed by the values that fill it.
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
        # With symbolic sizes there is one piece on each side, so the padding is at most one period.
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
        """Return the first and last piece with a raw index; -1 and 1 for symbolic sizes."""
        if not self.is_concrete:
            return -1, 1
        corners = [
            self.raw(o, t) for o in (0, int(self.out_size) - 1) for t in (0, int(self.taps) - 1)
        ]
        period = max(int(self.in_size) - (self.boundary == "reflect"), 1)
        return min(corners) // period - 1, max(corners) // period + 1

    @cached_property
    def uses(self) -> tuple[int, ...]:
        """The number of outputs that read an input with each tap. Needs concrete sizes."""
        import numpy as np

        n, outputs, taps = int(self.in_size), int(self.out_size), int(self.taps)
        if self.boundary != "zeros":
            return (outputs,) * taps
        check_room(8 * taps, 8, f"the list of {taps} taps")
        # 0 <= s o + offset < n, solved for o; a negative stride is counted from its end.
        step, offset = int(self.stride), self.raw(0, np.arange(taps))
        if step < 0:
            step, offset = -step, offset + step * (outputs - 1)
        first = np.maximum(-(offset // step), 0)
        last = np.minimum((n - 1 - offset) // step, outputs - 1)
        return tuple(np.maximum(last - first + 1, 0).tolist())

    def read_by(self, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the input index that each tap of some outputs reads, and the sign of its piece.

        Shapes: outputs (m,), both results (m, taps), int64. An index of -1: the tap is dropped. The
        sign is by how much the index changes when the raw index grows by 1; 0 on an edge.
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
        """Return the input index read by each (output, tap), -1 where the tap is dropped.

        Shapes: (out_size, taps), int64, read-only, cached. Needs concrete sizes.
        """
        return _columns(self)


def _term(factor: Size, index: str, write: Callable[[Size], str], times: str) -> str:
    """Return a factor times an index as text, with its sign in front."""
    is_negative = factor < 0 if isinstance(factor, int) else factor.could_extract_minus_sign()
    size = write(-factor if is_negative else factor)
    if "+" in size or "-" in size:
        size = f"({size})"
    return f" {'-' if is_negative else '+'} {'' if size == '1' else size + times}{index}"


@lru_cache(maxsize=512)
def _columns(axis: Axis) -> np.ndarray:
    import numpy as np

    # Computing the table takes up to four arrays of its size.
    entries = 4 * int(axis.out_size) * int(axis.taps)
    check_room(entries, 8, f"the table of {axis.out_size} outputs and {axis.taps} taps")
    table = axis.read_by(np.arange(axis.out_size))[0]
    table.setflags(write=False)
    return table


def span(taps: Size, dilation: Size) -> Any:
    """Return the samples from the first tap of a window to the last: d (k - 1) + 1.

    >>> span(3, 2)
    5
    """
    return dilation * (taps - 1) + 1


def tight_size(outputs: Size, stride: Size) -> Any:
    """Return the samples from the start of the first window to that of the last: s (o - 1) + 1.

    >>> tight_size(3, 2)
    5
    """
    return stride * (outputs - 1) + 1


def output_size(
    in_size: Size, taps: Size, stride: int, dilation: int, before: Size, after: Size
) -> Any:
    """Return the number of outputs: floor((i + p_before + p_after - (d (k - 1) + 1)) / s) + 1.

    Source: Dumoulin & Visin, A guide to convolution arithmetic, relationship 15.

    >>> output_size(5, 3, 2, 1, 1, 1)
    3
    """
    total = in_size + before + after - span(taps, dilation)
    if not isinstance(total, int):
        total = _unrounded(total, stride)
    return total // stride + 1


def _unrounded(total: object, stride: object) -> Any:
    """Remove the floor of a symbolic size that is divided and rounded down once more.

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
    """Return the padding (before, after) that gives ceil(i / s) outputs.

    An odd sample is added after the input; with `lower=True`, in front of it (ONNX SAME_LOWER).
    Source: TensorFlow's SAME: max(k^ - s, 0) if s divides i, else max(k^ - i mod s, 0).

    >>> same_padding(7, 4, 1, 1), same_padding(7, 4, 1, 1, lower=True)
    ((1, 2), (2, 1))
    """
    outputs = -(-in_size // stride)
    total = transposed_size(outputs, taps, stride, dilation, in_size, 0)
    if isinstance(total, int):
        total = max(total, 0)
    elif stride != 1:
        import sympy

        total = sympy.Max(total, 0)
    smaller = total // 2
    return (total - smaller, smaller) if lower else (smaller, total - smaller)
