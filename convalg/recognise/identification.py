"""The result of `identify`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from convalg.arrays import Array
from convalg.operators.tree import Map


@dataclass(frozen=True, eq=False)
class Identification:
    """The layer or other kind that a function or matrix was identified as.

    Attributes:
        kind: "correlation", "transposed correlation", "adjoint of a correlation",
            "average pooling", "sum pooling", "max pooling", "min pooling", "nearest resampling",
            "linear resampling", "identity", "reshape", "permutation of axes",
            "permutation of channels", "reversal of axes", "circular shift", "pixel shuffle",
            "pixel unshuffle", "permutation", "diagonal", "zero", "affine" (with `bias`; `linear`
            identifies the linear part), "not shift-invariant", "not linear" (`linear` identifies
            the function without its rounding, clipping or other distortion, if that was recovered),
            "not deterministic" or "depends on the dtype" (`linear` identifies the function on
            float64 arrays).
        in_shape: the shape of one input.
        out_shape: the shape of one output.
        operator: the equivalent operator or map of convalg, or None.
        kernel: the kernel of a layer, or None.
        stride: the stride of each axis; empty if the kind has none, as the next five attributes.
        padding: the padding (before, after) of each axis.
        dilation: the dilation of each axis.
        output_padding: the output padding of each axis of a transposed layer.
        groups: the number of groups.
        boundary: one boundary for all axes, or one per axis if they differ.
        flip: whether the kernel that was passed appears flipped; None if it does not appear.
        size: the window of a pooling.
        ceil_mode: whether the output size of a pooling is rounded up.
        count_include_pad: whether an average pooling counts the padding.
        bias: the bias of an affine function, of shape `out_shape`, or None.
        padding_value: the value of the padding of an affine layer; None if it cannot be separated
            from the offset.
        offset: the constant added to all outputs of an affine layer (or of each channel); None if
            it cannot be separated from the padding value.
        linear: the identification of the linear part, or None.
        witness: the rows or inputs that rule out other kinds, by name.
        words: a description in one phrase.
        basis: the evidence for the answer.
        sampled: whether a function was called on the inputs that `basis` names. The kind then holds
            on those inputs and is not proved for others.

    >>> import convalg as ca
    >>> ca.identify([[1, 2, 0], [0, 1, 2]])
    <correlation: correlation(3, [1, 2])>
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
        """The kind, qualified for a function, which is called on some inputs only."""
        is_shown = self.kind.startswith(("not ", "depends "))
        return f"{self.kind} on the inputs tried" if self.sampled and not is_shown else self.kind

    def explain(self) -> str:
        """Return a description of the kind, its options and its evidence, one to a line.

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
