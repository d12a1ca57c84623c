"""What `identify` answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convalg.base import Array, Map


@dataclass(frozen=True, eq=False)
class Identification:
    """What a function or matrix is.

    `kind`: "correlation", "transposed correlation", "average pooling", "sum pooling",
    "max pooling", "min pooling", "permutation of axes", "permutation of channels",
    "reversal of axes", "permutation", "identity", "zero",
    "affine" (with `bias`; `linear` is what the rest of it is), "not shift-invariant" or
    "not linear". `operator`: the convalg operator or map that does the same, where there is one.
    `witness`: the entries or inputs that rule the others out.
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
    boundary: str = "zeros"
    flip: bool | None = None
    size: tuple[int, ...] = ()
    bias: Array | None = None
    linear: Identification | None = None
    witness: dict[str, Any] = field(default_factory=dict)
    words: str = ""

    def __repr__(self) -> str:
        return f"<{self.kind}: {self.words}>" if self.words else f"<{self.kind}>"

    def explain(self) -> str:
        """What it is, in a few lines."""
        lines = [f"{self.kind} from {self.in_shape} to {self.out_shape}"]
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
        if self.linear is not None:
            lines.append(f"its linear part: {self.linear!r}")
        lines.extend(f"{name}: {value}" for name, value in self.witness.items())
        return "\n".join(lines)


def contained(values: Array, other: Array) -> bool:
    """Whether a row has the entries of the other, or, cut at the border, a run of them."""
    if len(values) > len(other):
        return False
    return any(
        np.array_equal(values, other[k : k + len(values)])
        for k in range(len(other) - len(values) + 1)
    )


def entries(row: Array, shape: tuple[int, ...]) -> str:
    """The entries of a row by the place that they read."""
    places = np.flatnonzero(row)[:8]
    found = [f"{row[k]:g} x{list(map(int, np.unravel_index(int(k), shape)))}" for k in places]
    return " + ".join(found) if found else "0"
