"""The result of `identify`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from convalg.arrays import Array
from convalg.operators.tree import Map


@dataclass(frozen=True, eq=False)
class Identification:
    """The layer or other kind that a function or matrix was identified as.

    `kind`: "correlation", "transposed correlation", "adjoint of a correlation",
    "average pooling", "sum pooling", "max pooling", "min pooling", "nearest resampling",
    "linear resampling", "identity", "reshape", "permutation of axes",
    "permutation of channels", "reversal of axes", "circular shift", "pixel shuffle",
    "pixel unshuffle", "permutation", "diagonal", "zero", "affine" (with `bias`; `linear` identifies
    the linear part), "not shift-invariant", "not linear" (`linear` identifies the function without
    its rounding, clipping or other distortion, if that was recovered), "not deterministic" or
    "depends on the dtype" (`linear` identifies the function on float64 arrays).
    `sampled`: whether it was a function, called on the inputs that `basis` names: the kind then
    holds on those inputs and is not proved for others.
    `padding_value`, `offset`: for an affine layer with padding, the value of the padding and the
    constant added to all outputs (of each channel); None if the two cannot be separated.
    `operator`: the equivalent convalg operator or map, if there is one.
    `boundary`: one name for all axes, or one per axis if they differ.
    `flip`: whether the given kernel appears flipped.
    `witness`: rows or inputs that rule out the other kinds.
    `words`: a description in one phrase.
    `basis`: the evidence for the answer.
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
        """The kind, qualified for functions, which were only tried on some inputs."""
        is_shown = self.kind.startswith(("not ", "depends "))
        return f"{self.kind} on the inputs tried" if self.sampled and not is_shown else self.kind

    def explain(self) -> str:
        """Return a description in a few lines.

        >>> import convalg as ca
        >>> print(ca.identify(ca.correlation(4, [1, 2])).explain())
        correlation, from (4,) to (3,)
        correlation(4, [1, 2])
        stride: (1,)
        padding: ((0, 0),)
        dilation: (1,)
        kernel: [1, 2]
        groups: 1, boundary: zeros
        based on every entry of the matrix
        """
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
            lines.append(f"the given kernel is {'flipped' if self.flip else 'not flipped'}")
        for name in ("padding_value", "offset"):
            if (value := getattr(self, name)) is not None:
                lines.append(f"{name}: {value}")
        if self.linear is not None:
            lines.append(f"its linear part: {self.linear!r}")
        lines.extend(f"{name}: {value}" for name, value in self.witness.items())
        if self.basis:
            lines.append(f"based on {self.basis}")
        return "\n".join(lines)
