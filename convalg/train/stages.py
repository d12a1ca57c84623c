"""Stages: the forward and backward passes of the layers of a network over a batch, in own buffers.

Arrays have the batch as their last axis, `(*shape, batch)`, so that the samples that one weight
multiplies are contiguous in memory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from convalg.arrays import Array
from convalg.axis import Axis
from convalg.engine.layer import layer_of_geometry
from convalg.geometry import Geometry
from convalg.maps.chains import Affine
from convalg.network.layers.base import Layer, Shape
from convalg.operators.tree import Map, Operator

Arrays = dict[str, Array]


@dataclass
class PlacedLayer:
    """A layer at a node of a network, from which its stage is built."""

    node: str
    layer: Layer
    shapes: tuple[Shape, ...]
    out_shape: Shape
    batch: int
    dtype: np.dtype
    weights: Arrays = field(default_factory=dict)
    """The trained arrays and the running statistics, which training changes in place."""
    gradients: Arrays = field(default_factory=dict)
    """The arrays to which `backward` writes dL/dp, one for each trained array."""
    first: bool = False
    """Whether the layer reads the images, whose gradient is not needed."""

    def empty(self, *shape: int) -> Array:
        """Allocate a buffer of this shape for one batch."""
        return np.empty((*shape, self.batch), dtype=self.dtype)

    def zeros(self, *shape: int) -> Array:
        """Allocate a buffer of zeros of this shape for one batch."""
        return np.zeros((*shape, self.batch), dtype=self.dtype)


class Stage(ABC):
    """The forward and backward pass of one node, or of several merged nodes, over a batch."""

    def __init__(self, placed: PlacedLayer) -> None:
        self.placed = placed
        self.output = np.empty(0)

    @abstractmethod
    def forward(self, *inputs: Array) -> Array:
        """Return the output, and keep the arrays that `backward` needs."""

    @abstractmethod
    def backward(self, g: Array) -> Sequence[Array | None]:
        """Return dL/dx for each input, given g = dL/dy, and write the gradients of the arrays."""

    def begin(self, random: np.random.Generator | None) -> None:
        """Set the random generator before a step of training; None in inference."""
        return


class ElementwiseStage(Stage):
    """A function applied to every entry, and its slope."""

    def __init__(
        self,
        placed: PlacedLayer,
        function: Callable[[Array], Array],
        slope: Callable[[Array], Array],
    ) -> None:
        super().__init__(placed)
        self.function, self.slope = function, slope
        self.x = np.empty(0)

    def forward(self, *inputs: Array) -> Array:
        (self.x,) = inputs
        return self.function(self.x).astype(self.placed.dtype, copy=False)

    def backward(self, g: Array) -> Sequence[Array | None]:
        return (g * self.slope(self.x).astype(g.dtype, copy=False),)


class ReLUStage(Stage):
    """max(x, 0)."""

    def __init__(self, placed: PlacedLayer) -> None:
        super().__init__(placed)
        self.y = placed.empty(*placed.out_shape)

    def forward(self, *inputs: Array) -> Array:
        return np.maximum(inputs[0], 0, out=self.y)

    def backward(self, g: Array) -> Sequence[Array | None]:
        return (g * (self.y > 0),)


class SpreadStage(Stage):
    """The input times an array, or plus an array, broadcast as in NumPy."""

    def __init__(self, placed: PlacedLayer, *, multiplied: bool) -> None:
        super().__init__(placed)
        self.multiplied = multiplied
        self.name = "scale" if multiplied else "bias"
        self.x = np.empty(0)

    def forward(self, *inputs: Array) -> Array:
        (self.x,) = inputs
        array = self.placed.weights[self.name][..., None]
        return self.x * array if self.multiplied else self.x + array

    def backward(self, g: Array) -> Sequence[Array | None]:
        array = self.placed.weights[self.name]
        if self.name in self.placed.gradients:
            each = (g * self.x if self.multiplied else g).sum(axis=-1)
            each = each.sum(axis=tuple(range(each.ndim - array.ndim)))
            over = tuple(k for k, n in enumerate(array.shape) if n == 1)
            self.placed.gradients[self.name][...] = each.sum(axis=over, keepdims=True)
        return (g * array[..., None] if self.multiplied else g,)


class DropoutStage(Stage):
    """Dropout: random zeros, the other entries scaled up; the identity in inference."""

    def __init__(self, placed: PlacedLayer, rate: float) -> None:
        super().__init__(placed)
        self.rate = rate
        self.random: np.random.Generator | None = None
        self.mask: Array | None = None

    def begin(self, random: np.random.Generator | None) -> None:
        self.random = random

    def draw(self, x: Array) -> Array | None:
        """Draw the factors of one batch: 0, or 1 / (1 - rate)."""
        if self.random is None or not self.rate:
            return None
        is_kept = self.random.random(x.shape, dtype=np.float32) >= self.rate
        scale = x.dtype.type(1 / (1 - self.rate) if self.rate < 1 else 0)
        factors: Array = is_kept.astype(x.dtype) * scale
        return factors

    def forward(self, *inputs: Array) -> Array:
        (x,) = inputs
        self.mask = self.draw(x)
        return x if self.mask is None else x * self.mask

    def backward(self, g: Array) -> Sequence[Array | None]:
        return (g if self.mask is None else g * self.mask,)


class SelectionStage(Stage):
    """A reshape."""

    def forward(self, *inputs: Array) -> Array:
        (x,) = inputs
        return x.reshape((*self.placed.out_shape, x.shape[-1]))

    def backward(self, g: Array) -> Sequence[Array | None]:
        return (g.reshape((*self.placed.shapes[0], g.shape[-1])),)


class AddStage(Stage):
    """The sum of branches."""

    def forward(self, *inputs: Array) -> Array:
        return sum(inputs[1:], start=inputs[0])

    def backward(self, g: Array) -> Sequence[Array | None]:
        return [g] * len(self.placed.shapes)


class ConcatStage(Stage):
    """Branches concatenated along the channels."""

    def forward(self, *inputs: Array) -> Array:
        return np.concatenate(inputs)

    def backward(self, g: Array) -> Sequence[Array | None]:
        ends = np.cumsum([shape[0] for shape in self.placed.shapes])
        return np.split(g, ends[:-1])


class DenseStage(Stage):
    """A dense matrix and a bias: one product each for y, dL/dx and the gradient of the weights."""

    def __init__(self, placed: PlacedLayer) -> None:
        super().__init__(placed)
        self.y = placed.empty(*placed.out_shape)
        self.dx = placed.empty(*placed.shapes[0])
        self.x = self.dx

    def forward(self, *inputs: Array) -> Array:
        weights = self.placed.weights["weights"]
        self.x = inputs[0].reshape(weights.shape[1], -1)
        np.matmul(weights, self.x, out=self.y)
        if "bias" in self.placed.weights:
            self.y += self.placed.weights["bias"][:, None]
        return self.y

    def backward(self, g: Array) -> Sequence[Array | None]:
        gradients = self.placed.gradients
        np.matmul(g, self.x.T, out=gradients["weights"])
        if "bias" in gradients:
            np.sum(g, axis=1, out=gradients["bias"])
        if self.placed.first:
            return (None,)
        np.matmul(self.placed.weights["weights"].T, g, out=self.dx.reshape(-1, g.shape[-1]))
        return (self.dx,)


class ProjectStage(Stage):
    """One matrix applied along the last axis of the input."""

    def __init__(self, placed: PlacedLayer) -> None:
        super().__init__(placed)
        self.x = np.empty(0)

    def forward(self, *inputs: Array) -> Array:
        (self.x,) = inputs
        y: Array = np.matmul(self.placed.weights["weights"], self.x)
        return y

    def backward(self, g: Array) -> Sequence[Array | None]:
        weights = self.placed.weights["weights"]
        each = np.matmul(g, np.swapaxes(self.x, -1, -2))
        self.placed.gradients["weights"][...] = each.reshape(-1, *weights.shape).sum(axis=0)
        return (None if self.placed.first else np.matmul(weights.T, g),)


class BatchNormStage(Stage):
    """Batch norm with the statistics of the batch in training, else with the running statistics.

    Rule: the running statistics move by a tenth towards those of the batch, with the unbiased
    variance, as in PyTorch.
    """

    momentum = 0.1

    def __init__(self, placed: PlacedLayer, epsilon: float) -> None:
        super().__init__(placed)
        self.epsilon = epsilon
        self.training = False
        self.normal = self.deviation = np.empty(0)

    def begin(self, random: np.random.Generator | None) -> None:
        self.training = random is not None

    def _spread(self, values: Array) -> Array:
        return values.reshape((-1,) + (1,) * len(self.placed.out_shape))

    def forward(self, *inputs: Array) -> Array:
        (x,) = inputs
        arrays, axes = self.placed.weights, tuple(range(1, x.ndim))
        if self.training:
            mean = x.mean(axis=axes)
            centred = x - self._spread(mean)
            variance = np.square(centred).mean(axis=axes)
            count = x[0].size
            unbiased = variance * (count / max(count - 1, 1))
            for name, value in (("mean", mean), ("variance", unbiased)):
                arrays[name] += self.momentum * (value - arrays[name])
        else:
            centred, variance = x - self._spread(arrays["mean"]), arrays["variance"]
        self.deviation = np.sqrt(variance + variance.dtype.type(self.epsilon))
        self.normal = centred / self._spread(self.deviation)
        scaled = self.normal * self._spread(arrays["scale"])
        return scaled + self._spread(arrays["offset"])

    def backward(self, g: Array) -> Sequence[Array | None]:
        axes = tuple(range(1, g.ndim))
        gradients, scale = self.placed.gradients, self.placed.weights["scale"]
        np.sum(g * self.normal, axis=axes, out=gradients["scale"])
        np.sum(g, axis=axes, out=gradients["offset"])
        rate = self._spread(scale / self.deviation)
        if not self.training:
            return (g * rate,)
        count = g[0].size
        mean = self._spread(gradients["offset"] / count)
        along = self._spread(gradients["scale"] / count)
        return (rate * (g - mean - self.normal * along),)


class PoolWindows:
    """The windows of a padded input as strided views, one for each tap, without copies."""

    def __init__(self, placed: PlacedLayer, axes: Sequence[Axis], fill: float) -> None:
        self.layer = layer_of_geometry(Geometry(tuple(axes))).layer
        shape = placed.shapes[0]
        self.padded = np.full((shape[0], *self.layer.lengths, placed.batch), fill, placed.dtype)
        self.back = np.zeros_like(self.padded)

    def read(self, x: Array) -> Array:
        """Return the input with the padding of the windows."""
        if self.layer.is_bare:
            return self.layer.extend(x, 1)
        self.layer.extend(x, 1, self.padded)
        return self.padded

    def taps(self) -> Iterator[tuple[slice, ...]]:
        """Yield the slices that each tap reads over all windows, in row-major order of the taps."""
        for tap in product(*(range(k) for k in self.layer.taps)):
            yield (slice(None), *self.layer.read_by(tap))

    def given_back(self) -> Array:
        """Return the gradient of the input from `back`, the gradient of the padded input."""
        return self.layer.shrink(self.back, 1)


class MaxPoolStage(Stage):
    """A max-pooling; the gradient goes to the first of several equal maxima of a window."""

    def __init__(self, placed: PlacedLayer, axes: Sequence[Axis]) -> None:
        super().__init__(placed)
        self.windows = PoolWindows(placed, axes, -np.inf)
        self.y = placed.empty(*placed.out_shape)
        taps = len(list(self.windows.taps()))
        self.hits = np.zeros((taps, *self.y.shape), dtype=bool)
        """For each tap, a mask of the windows in which this tap is the maximum."""
        self.left = np.zeros(self.y.shape, dtype=bool)

    def forward(self, *inputs: Array) -> Array:
        x = self.windows.read(inputs[0])
        first, *others = (x[tap] for tap in self.windows.taps())
        self.y[...] = first
        for value in others:
            np.maximum(self.y, value, out=self.y)
        self.left.fill(True)
        for value, hit in zip((first, *others), self.hits, strict=True):
            np.equal(value, self.y, out=hit)
            np.logical_and(hit, self.left, out=hit)
            np.logical_xor(self.left, hit, out=self.left)
        return self.y

    def backward(self, g: Array) -> Sequence[Array | None]:
        back = self.windows.back
        back.fill(0)
        for hit, tap in zip(self.hits, self.windows.taps(), strict=True):
            back[tap] += g * hit
        return (self.windows.given_back(),)


class AveragePoolStage(Stage):
    """The mean of each window: its sum times a weight, which the operator computes from ones."""

    def __init__(self, placed: PlacedLayer, axes: Sequence[Axis], operator: Operator) -> None:
        super().__init__(placed)
        self.windows = PoolWindows(placed, axes, 0.0)
        ones = np.ones(placed.shapes[0], dtype=np.float64)
        counts = np.zeros(placed.out_shape)
        padded = self.windows.layer.extend(ones, 1)
        for tap in self.windows.taps():
            counts += padded[tap]
        share = np.divide(operator(ones), counts, out=np.zeros_like(counts), where=counts > 0)
        self.share = share.astype(placed.dtype)[..., None]

    def forward(self, *inputs: Array) -> Array:
        x = self.windows.read(inputs[0])
        y = self.placed.zeros(*self.placed.out_shape)
        for tap in self.windows.taps():
            y += x[tap]
        y *= self.share
        return y

    def backward(self, g: Array) -> Sequence[Array | None]:
        back, shared = self.windows.back, g * self.share
        back.fill(0)
        for tap in self.windows.taps():
            back[tap] += shared
        return (self.windows.given_back(),)


class MapStage(Stage):
    """Any layer, by its map; back-propagation by the adjoint of the Jacobian at each sample."""

    def __init__(self, placed: PlacedLayer) -> None:
        super().__init__(placed)
        self.map: Map | None = None
        self.x = np.empty(0)

    def forward(self, *inputs: Array) -> Array:
        placed = self.placed
        self.map = placed.layer.map(placed.shapes, placed.weights)
        self.x = np.moveaxis(inputs[0], -1, 0)
        y = np.moveaxis(self.map(self.x), 0, -1)
        return np.ascontiguousarray(y, dtype=placed.dtype)

    def backward(self, g: Array) -> Sequence[Array | None]:
        assert self.map is not None
        upstream = np.moveaxis(g, -1, 0)
        if self.placed.gradients:
            computed = self._parameter_gradients(upstream)
            for name, gradient in self.placed.gradients.items():
                gradient[...] = computed[name]
        if self.placed.first:
            return (None,)
        operator = self.map.operator if isinstance(self.map, Affine) else self.map
        if isinstance(operator, Operator):
            back = operator.T(upstream)
        else:
            back = self.map.gradient(self.x, upstream)
        return (np.ascontiguousarray(np.moveaxis(back, 0, -1), dtype=self.placed.dtype),)

    def _parameter_gradients(self, upstream: Array) -> Arrays:
        assert self.map is not None
        if type(self.map) is Affine and set(self.map.parameters) == {"kernel", "bias"}:
            # One product for the entire batch is faster than one per sample.
            axes = tuple(k for k in range(upstream.ndim) if k != 1)
            kernel = self.map.operator.kernel_gradient(self.x, upstream)
            return {"kernel": kernel, "bias": upstream.sum(axis=axes)}
        return self.map.parameter_gradients(self.x, upstream)
