"""Layers of PyTorch with the options of drawn layers."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")


functional = torch.nn.functional


CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}


TRANSPOSED = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}


PAD_MODES = {"zeros": "constant", "circular": "circular", "reflect": "reflect", "edge": "replicate"}


def per_axis(value: Any, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


def sides(padding: Any, dims: int) -> list[tuple[int, int]]:
    """(before, after) for each axis, from anything but a word."""
    return [(p, p) if isinstance(p, int) else p for p in per_axis(padding, dims)]


def padded(inputs: Any, pairs: list[tuple[int, int]], boundary: str) -> Any:
    """PyTorch's own padding, which counts from the last axis."""
    amounts = [width for pair in reversed(pairs) for width in pair]
    return functional.pad(inputs, amounts, mode=PAD_MODES[boundary])
