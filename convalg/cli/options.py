"""What options of the command line describe: sizes, and the layer of a sheet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import typer

from convalg.errors import ArgumentError

if TYPE_CHECKING:
    from convalg.operators.tree import Operator

Boundary = Literal["zeros", "circular", "reflect", "symmetric", "edge"]

DEFAULT_SIDES = {1: 12, 2: 6, 3: 4}
MOST_WEIGHTS = 100_000
MOST_DIGITS = 15
"""Of a size: sums and products of such numbers stay within 64 bits."""


@dataclass(frozen=True)
class LayerOptions:
    """The options of `convalg explain` that say which layer is meant, as they were given."""

    shape: str | None = None
    kernel: str | None = None
    channels: int | None = None
    out_channels: int | None = None
    groups: int = 1
    stride: str = "1"
    padding: str = "valid"
    dilation: str = "1"
    boundary: Boundary = "zeros"
    flip: bool = False
    transposed: bool = False

    def layer(self) -> Operator:
        """The layer. Raises: ArgumentError naming the option at fault."""
        from convalg.conventions import PADDING_WORDS
        from convalg.operators import make

        sizes = None if self.shape is None else numbers(self.shape, "--shape")
        name = self.kernel
        if name is None:
            name = "sobel_x" if sizes is None or len(sizes) == 2 else "3"
        weights, groups = self._kernel(name, sizes)
        has_channels = self.channels is not None or name == "channel_average"
        dims = len(sizes) if sizes else weights.ndim - 2 * has_channels
        padding = self.padding
        options: dict[str, Any] = {
            "stride": one_or_more(self.stride, "--stride"),
            "padding": padding if padding in PADDING_WORDS else one_or_more(padding, "--padding"),
            "dilation": one_or_more(self.dilation, "--dilation"),
            "groups": groups,
        }
        place = sizes or (DEFAULT_SIDES.get(dims, 3),) * dims
        if self.transposed:
            if self.flip or self.boundary != "zeros":
                given = "--flip" if self.flip else f"--boundary {self.boundary}"
                raise ArgumentError(
                    f"{given} does not go with --transposed, which is the adjoint of a "
                    f"correlation over zeros: leave it out"
                )
            return make.transposed_correlation(place, weights, **options)
        constructor = make.convolution if self.flip else make.correlation
        return constructor(place, weights, boundary=self.boundary, **options)

    def _kernel(self, text: str, sizes: tuple[int, ...] | None) -> tuple[Any, int]:
        """The kernel, and the number of groups."""
        from convalg import kernels
        from convalg.size import as_size

        for value, option in ((self.out_channels, "--out-channels"), (self.groups, "--groups")):
            if value is None:
                continue
            as_size(value, option)
            if self.channels is None and (option, value) != ("--groups", 1):
                raise ArgumentError(
                    f"{option} {value} needs the input channels too: add --channels"
                )
        count = 1 if self.channels is None else cast(int, as_size(self.channels, "--channels"))
        if text in kernels.NAMES:
            return self._named(text, count)
        if not text[:1].isdigit() and not text.startswith("-"):
            raise ArgumentError(
                f"--kernel must be a size such as 3 or 3x3, or one of {', '.join(kernels.NAMES)}, "
                f"not {text!r}"
            )
        taps = numbers(text, "--kernel")
        if len(taps) == 1:
            taps *= len(sizes) if sizes else 2
        lead = () if self.channels is None else self._lead(count)
        _check_weights((*lead, *taps), text)
        return kernels.kernel(*lead, *taps), self.groups

    def _lead(self, count: int) -> tuple[int, int]:
        """The two channel axes of a kernel of letters."""
        outputs = self.out_channels or self.groups
        for value, option in ((count, "--channels"), (outputs, "--out-channels")):
            if value % self.groups:
                raise ArgumentError(
                    f"--groups {self.groups} does not divide {option} {value}: take a divisor"
                )
        if self.transposed:
            return count, outputs // self.groups
        return outputs, count // self.groups

    def _named(self, name: str, count: int) -> tuple[Any, int]:
        """A named filter, on each channel by itself; or the average over them."""
        import numpy as np

        from convalg import kernels

        _check_weights((count, *kernels.named(name).shape), name)
        if name == "channel_average":
            found = kernels.named(name, self.channels)
            found = found.swapaxes(0, 1) if self.transposed else found
            made, groups = 1, 1
        else:
            found, made, groups = kernels.named(name), count, count
            if self.channels is not None:
                found = np.broadcast_to(found, (count, 1, *found.shape))
        if self.out_channels not in (None, made):
            raise ArgumentError(
                f"--out-channels {self.out_channels} does not fit the filter {name}, which makes "
                f"{made} of its input: leave it out"
            )
        if self.groups not in (1, groups):
            raise ArgumentError(
                f"--groups {self.groups} does not fit the filter {name}, which has {groups} here: "
                f"leave it out"
            )
        return found, groups


def _check_weights(shape: tuple[int, ...], text: str) -> None:
    """Raises: ArgumentError for a kernel that no sheet could hold, before it is made."""
    count = math.prod(shape)
    if count > MOST_WEIGHTS:
        raise ArgumentError(
            f"--kernel {text} with these channels makes {count:,} weights, the most is "
            f"{MOST_WEIGHTS:,}: use a smaller kernel or fewer channels"
        )


def path(text: str | Path) -> Path:
    """The path that an option gives. Raises: typer.BadParameter for an empty text."""
    if not str(text):
        # pathlib reads an empty text, such as an unset shell variable, as the current folder.
        raise typer.BadParameter("give a path, which cannot be an empty text")
    return Path(text)


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Sizes joined by x. Raises: ArgumentError naming the option."""
    parts = text.lower().split("x")
    if not all(part.isascii() and part.removeprefix("-").isdigit() for part in parts):
        raise ArgumentError(f"{option} must be whole numbers such as 3 or 6x6, not {text!r}")
    if any(len(part) > MOST_DIGITS for part in parts):
        raise ArgumentError(f"{option} must be numbers of at most {MOST_DIGITS} digits, not {text}")
    return tuple(int(part) for part in parts)


def one_or_more(text: str, option: str) -> int | tuple[int, ...]:
    """One number, or one for each axis. Raises: ArgumentError naming the option."""
    found = numbers(text, option)
    return found[0] if len(found) == 1 else found
