"""Layers as the engines apply them, drawn by Hypothesis, and their definition in Python loops."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from hypothesis import strategies as st

from convalg.engine.layer import EngineLayer


@dataclass(frozen=True)
class Problem:
    """A layer with a kernel, an input x and dL/dy, as floats that hold small integers."""

    layer: EngineLayer
    kernel: np.ndarray
    x: np.ndarray
    g: np.ndarray

    def output(self) -> np.ndarray:
        """The output by its definition: a sum over all taps within the image."""
        y = np.zeros((len(self.x), self.layer.groups, self.layer.outputs, *self.layer.out))
        for b, group, o, c, i, t, read in self._reads():
            y[(b, group, o, *i)] += self.kernel[(group, o, c, *t)] * self.x[(b, group, c, *read)]
        return y

    def slope(self) -> np.ndarray:
        """dL/dw by its definition: every weight sums g times the samples that it multiplied."""
        slope = np.zeros(self.kernel.shape)
        for b, group, o, c, i, t, read in self._reads():
            slope[(group, o, c, *t)] += self.g[(b, group, o, *i)] * self.x[(b, group, c, *read)]
        return slope

    def _reads(self) -> Iterator[tuple[Any, ...]]:
        """Every product within the image: batch, group, channels, output, tap and sample read."""
        layer = self.layer
        axes = [range(n) for n in (len(self.x), layer.groups, layer.outputs, layer.inputs)]
        outputs = list(product(*map(range, layer.out)))
        taps = list(product(*map(range, layer.taps)))
        for (b, group, o, c), i, t in product(product(*axes), outputs, taps):
            steps = zip(layer.strides, i, layer.dilations, t, layer.before, strict=True)
            read = tuple(s * out + d * tap - first for s, out, d, tap, first in steps)
            if all(0 <= k < n for k, n in zip(read, layer.sizes, strict=True)):
                yield b, group, o, c, i, t, read


@st.composite
def problems(draw: st.DrawFn, inputs: int = 2) -> Problem:
    """Draw a layer of one or two axes with up to `inputs` input channels, and its arrays."""

    def number(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    def sizes(low: int, high: int) -> tuple[int, ...]:
        return tuple(number(low, high) for _ in range(axes))

    axes = number(1, 2)
    layer = EngineLayer(
        groups=number(1, 2),
        outputs=number(1, 2),
        inputs=number(1, inputs),
        sizes=sizes(1, 5),
        taps=sizes(1, 3),
        strides=sizes(1, 3),
        dilations=sizes(1, 2),
        before=sizes(-1, 2),
        out=sizes(1, 4),
        boundaries=(None,) * axes,
    )
    rng, batch = np.random.default_rng(number(0, 2**32)), number(1, 3)

    def array(*shape: int) -> np.ndarray:
        return rng.integers(-9, 10, shape).astype(float)

    return Problem(
        layer,
        array(layer.groups, layer.outputs, layer.inputs, *layer.taps),
        array(batch, layer.groups, layer.inputs, *layer.sizes),
        array(batch, layer.groups, layer.outputs, *layer.out),
    )
