"""Options of the command line: sizes, and the layer of a sheet."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import typer

from convalg.arguments import plural
from convalg.errors import ArgumentError

if TYPE_CHECKING:
    from convalg.operators.tree import Operator

Boundary = Literal["zeros", "circular", "reflect", "symmetric", "edge"]

DEFAULT_SIDES = {1: 12, 2: 6, 3: 4}
MOST_WEIGHTS = 100_000
MOST_DIGITS = 15
"""The largest number of digits of a size."""


@dataclass(frozen=True)
class LayerOptions:
    """The options of `convalg explain` that describe the layer, as the user typed them."""

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
        """Return the layer that the options describe. Raises: ArgumentError for a wrong option."""
        from convalg.conventions import PADDING_WORDS
        from convalg.operators import convolution as constructors

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
        in_sizes = sizes or (DEFAULT_SIDES.get(dims, 3),) * dims
        if self.transposed:
            if self.flip or self.boundary != "zeros":
                given = "--flip" if self.flip else f"--boundary {self.boundary}"
                raise ArgumentError(
                    f"{given} cannot be combined with --transposed, which is the adjoint of a "
                    f"correlation with zero padding: omit one of them"
                )
            return constructors.transposed_correlation(in_sizes, weights, **options)
        constructor = constructors.convolution if self.flip else constructors.correlation
        return constructor(in_sizes, weights, boundary=self.boundary, **options)

    def _kernel(self, text: str, sizes: tuple[int, ...] | None) -> tuple[Any, int]:
        """Return the kernel for the text of `--kernel`, and the number of groups."""
        from convalg import kernels
        from convalg.size import as_size

        for value, option in ((self.out_channels, "--out-channels"), (self.groups, "--groups")):
            if value is None:
                continue
            as_size(value, option)
            if self.channels is None and (option, value) != ("--groups", 1):
                raise ArgumentError(
                    f"{option} {value} also needs the number of input channels: add --channels"
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
        """Return the two channel axes of a symbolic kernel."""
        outputs = self.out_channels or self.groups
        for value, option in ((count, "--channels"), (outputs, "--out-channels")):
            if value % self.groups:
                raise ArgumentError(
                    f"--groups {self.groups} does not divide {option} {value}: choose a divisor "
                    f"of {value}"
                )
        if self.transposed:
            return count, outputs // self.groups
        return outputs, count // self.groups

    def _named(self, name: str, count: int) -> tuple[Any, int]:
        """Return a named filter applied to each channel separately, or the channel average."""
        import numpy as np

        from convalg import kernels

        _check_weights((count, *kernels.named(name).shape), name)
        if name == "channel_average":
            weights = kernels.named(name, self.channels)
            weights = weights.swapaxes(0, 1) if self.transposed else weights
            made, groups = 1, 1
        else:
            weights, made, groups = kernels.named(name), count, count
            if self.channels is not None:
                weights = np.broadcast_to(weights, (count, 1, *weights.shape))
        if self.out_channels not in (None, made):
            raise ArgumentError(
                f"--out-channels {self.out_channels} does not fit the filter {name}, which has "
                f"{plural(made, 'output channel')} for {plural(count, 'input channel')}: "
                f"omit --out-channels"
            )
        if self.groups not in (1, groups):
            raise ArgumentError(
                f"--groups {self.groups} does not fit the filter {name}, which has "
                f"{plural(groups, 'group')} for {plural(count, 'input channel')}: omit --groups"
            )
        return weights, groups


def _check_weights(shape: tuple[int, ...], text: str) -> None:
    """Raises: ArgumentError for a kernel too large for a sheet, before it is created."""
    count = math.prod(shape)
    if count > MOST_WEIGHTS:
        raise ArgumentError(
            f"--kernel {text} with these channels has {count:,} weights, but the limit is "
            f"{MOST_WEIGHTS:,}: use a smaller kernel or fewer channels"
        )


def path(text: str | Path) -> Path:
    """Return the path of an option. Raises: typer.BadParameter for an empty text."""
    if not str(text):
        # pathlib takes an empty text, such as an unset shell variable, for the current folder.
        raise typer.BadParameter("the path is empty: pass a path")
    return Path(text)


def numbers(text: str, option: str) -> tuple[int, ...]:
    """Parse sizes joined by x. Raises: ArgumentError naming the option."""
    parts = text.lower().split("x")
    if not all(part.isascii() and part.removeprefix("-").isdigit() for part in parts):
        raise ArgumentError(f"{option} must be integers such as 3 or 6x6, not {text!r}")
    if any(len(part) > MOST_DIGITS for part in parts):
        raise ArgumentError(
            f"{option} must be integers of at most {MOST_DIGITS} digits, not {text}"
        )
    return tuple(int(part) for part in parts)


def one_or_more(text: str, option: str) -> int | tuple[int, ...]:
    """Parse one size, or one per axis. Raises: ArgumentError naming the option."""
    sizes = numbers(text, option)
    return sizes[0] if len(sizes) == 1 else sizes
