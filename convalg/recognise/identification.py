"""What `identify` answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from convalg.arrays import Array
from convalg.operators.tree import Map


@dataclass(frozen=True, eq=False)
class Identification:
    """What a function or matrix is.

    `kind`: "correlation", "transposed correlation", "adjoint of a correlation",
    "average pooling", "sum pooling", "max pooling", "min pooling", "nearest resampling",
    "linear resampling", "identity", "reshape", "permutation of axes",
    "permutation of channels", "reversal of axes", "circular shift", "pixel shuffle",
    "pixel unshuffle", "permutation", "diagonal", "zero", "affine" (with `bias`; `linear` is what
    the rest of it is), "not shift-invariant", "not linear" (`linear` is what it is apart from a
    rounding, a clipping or the like, where that is known), "not deterministic" or "depends on the
    dtype" (`linear` is what it is on arrays of float64).
    `sampled`: whether it was a function, called on the inputs that `basis` names: the kind is then
    what it is on those, and is not proved for others.
    `padding_value`, `offset`: of an affine layer with padding, the number that its padding reads
    and what is added to all outputs (of each channel); None where they cannot be told apart.
    `operator`: the convalg operator or map that does the same, where there is one.
    `boundary`: one word for all axes, or one for each where they differ.
    `flip`: whether the kernel that was given is found turned round.
    `witness`: rows or inputs that rule the other kinds out.
    `basis`: what the answer rests on.
    """

    kind: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    operator: Map | None = None
    kernel: Array | None = None
    stride: tuple[int, ...] = ()
    padding: tuple[tuple[int, int], ...] = ()
    dilation: tuple[int, ...] = ()
    output_padding: tuple[int, ...] = ()
    groups: int = 1
    boundary: str | tuple[str, ...] = "zeros"
    flip: bool | None = None
    size: tuple[int, ...] = ()
    ceil_mode: bool = False
    count_include_pad: bool = True
    bias: Array | None = None
    padding_value: float | None = None
    offset: Array | None = None
    linear: Identification | None = None
    witness: dict[str, Any] = field(default_factory=dict)
    words: str = ""
    basis: str = ""
    sampled: bool = False

    def __repr__(self) -> str:
        return f"<{self._headline}: {self.words}>" if self.words else f"<{self._headline}>"

    @property
    def _headline(self) -> str:
        """The kind; what a function was only tried for is said with that."""
        is_shown = self.kind.startswith(("not ", "depends "))
        return f"{self.kind} on the inputs tried" if self.sampled and not is_shown else self.kind

    def explain(self) -> str:
        """What it is, in a few lines."""
        lines = [f"{self._headline}, from {self.in_shape} to {self.out_shape}"]
        if self.words:
            lines.append(self.words)
        for name in ("stride", "padding", "dilation", "output_padding", "size"):
            value = getattr(self, name)
            if value:
                lines.append(f"{name}: {value}")
        if self.kernel is not None:
            lines.append(f"kernel: {self.kernel.tolist()}")
            lines.append(f"groups: {self.groups}, boundary: {self.boundary}")
        if self.flip is not None:
            lines.append(f"the kernel given is {'flipped' if self.flip else 'not flipped'}")
        for name in ("padding_value", "offset"):
            if (value := getattr(self, name)) is not None:
                lines.append(f"{name}: {value}")
        if self.linear is not None:
            lines.append(f"its linear part: {self.linear!r}")
        lines.extend(f"{name}: {value}" for name, value in self.witness.items())
        if self.basis:
            lines.append(f"this rests on {self.basis}")
        return "\n".join(lines)
