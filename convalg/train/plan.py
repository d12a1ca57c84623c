"""Networks prepared for training, with all parameters in one vector and a stage for each layer."""

from __future__ import annotations

from typing import Literal, get_args

import networkx as nx
import numpy as np
import numpy.typing as npt

from convalg.arguments import one_of
from convalg.arrays import Array
from convalg.errors import ArgumentError, KindError
from convalg.maps import activations
from convalg.network import layers as L  # noqa: N812
from convalg.network.graph import INPUT
from convalg.network.layers.base import Layer
from convalg.network.network import Network
from convalg.operators.tree import Operator
from convalg.size import is_symbolic, size_product
from convalg.train import stages as S  # noqa: N812
from convalg.train.matrices import (
    SparseDropoutStage,
    SparseLayerStage,
    SparseMaxPoolStage,
    SparseReLUStage,
)
from convalg.train.stages import PlacedLayer, Stage
from convalg.train.tiles import TilesStage

Engine = Literal["auto", "sparse", "blas"]
MOST_SPARSE = 1024
"""The most weights of a transposed layer for which its sparse matrix is faster than tiles: 1.5 to 5
times faster below 500 weights, 2.2 times slower with 8,192. For correlations tiles are always
faster."""


def check_network(net: object, who: str) -> None:
    """Raise KindError unless `net` is a Network, or ArgumentError if it has symbolic sizes."""
    if not isinstance(net, Network):
        raise KindError(f"{who} needs a ca.Network, not an object of type {type(net).__name__}")
    if any(is_symbolic(n) for n in net.in_shape):
        raise ArgumentError(
            f"training needs a network with integer sizes, but its input shape {net.in_shape} is "
            f"symbolic: build it with numbers"
        )


class TrainingPlan:
    """The parameters of a network as one vector, and one program per batch size that runs it.

    `parameters` and `gradients` are vectors of the same length. `weights[node][name]` are views of
    `parameters`, and also the running statistics; `slopes[node][name]` are views of `gradients`.
    """

    def __init__(
        self, net: Network, *, engine: Engine = "auto", dtype: npt.DTypeLike = np.float32
    ) -> None:
        one_of(engine, get_args(Engine), "engine")
        check_network(net, "Plan")
        self.net, self.engine, self.dtype = net, engine, np.dtype(dtype)
        needed = nx.ancestors(net.graph, net.output) | {net.output}
        self.nodes = [(node, layer) for node, layer in net.layers() if node in needed]
        shapes = {
            (node, name): tuple(shape)
            for node, layer in self.nodes
            for name, shape in layer.weights(*net.input_shapes(node)).items()
        }
        self.parameters = np.empty(sum(map(size_product, shapes.values())), dtype=self.dtype)
        self.gradients = np.zeros_like(self.parameters)
        self.weights: dict[str, dict[str, Array]] = {node: {} for node, _ in self.nodes}
        self.slopes: dict[str, dict[str, Array]] = {node: {} for node, _ in self.nodes}
        start = 0
        for (node, name), shape in shapes.items():
            end = start + size_product(shape)
            self.weights[node][name] = self.parameters[start:end].reshape(shape)
            self.slopes[node][name] = self.gradients[start:end].reshape(shape)
            start = end
        self.trained = list(shapes)
        self._programs: dict[int, Program] = {}
        self.load()

    def load(self) -> None:
        """Copy the arrays of the network, or raise ArgumentError for a layer without weights."""
        for node, layer in self.nodes:
            self.net.map(node) if not layer.many else None
            for name, array in self.net.weights.get(node, {}).items():
                if name in self.weights[node]:
                    self.weights[node][name][...] = array
                else:
                    self.weights[node][name] = np.array(array, dtype=self.dtype)

    def store(self) -> None:
        """Store copies of all arrays in the network."""
        for node, arrays in self.weights.items():
            if arrays:
                self.net.weights[node] = {name: value.copy() for name, value in arrays.items()}

    def program(self, batch: int) -> Program:
        """Return the program for a batch size; programs are cached, because few sizes occur."""
        if batch not in self._programs:
            self._programs[batch] = Program(self, batch)
        return self._programs[batch]


class Program:
    """The stages of a plan for one batch size, in the order of the forward pass."""

    def __init__(self, plan: TrainingPlan, batch: int) -> None:
        self.plan, self.batch = plan, batch
        self.steps: list[tuple[str, tuple[str, ...], Stage]] = []
        merged: set[str] = set()
        for node, layer in plan.nodes:
            if node in merged:
                continue
            chain = self._merged(node, layer)
            merged.update(chain)
            last = chain[-1] if chain else node
            sources = tuple(plan.net.sources(node))
            placed = self._place(node, layer, last)
            self.steps.append((last, sources, self._stage(placed, chain)))

    def _place(self, node: str, layer: Layer, last: str) -> PlacedLayer:
        net = self.plan.net
        return PlacedLayer(
            node=node,
            layer=layer,
            shapes=net.input_shapes(node),
            out_shape=net.shapes[last],
            batch=self.batch,
            dtype=self.plan.dtype,
            weights=self.plan.weights[node],
            gradients=self.plan.slopes[node],
            first=net.sources(node) == [INPUT],
        )

    def _merged(self, node: str, layer: Layer) -> list[str]:
        """Return the nodes after a convolution that its tiles also compute: a pooling, a ReLU."""
        if self.plan.engine == "sparse" or not _tiled(layer):
            return []
        net, chain = self.plan.net, []
        mergeable = {"pool", "relu"}
        while mergeable and node != net.output:
            users = [n for n in net.graph.successors(node) if n in self.plan.weights]
            kind = _mergeable(net, users[0]) if len(users) == 1 else ""
            if kind not in mergeable:
                break
            mergeable.discard(kind)
            node = users[0]
            chain.append(node)
        return chain

    def _stage(self, placed: PlacedLayer, chain: list[str]) -> Stage:
        net, layer = self.plan.net, placed.layer
        if chain or (self.plan.engine != "sparse" and _tiled(layer)):
            kinds = {_mergeable(net, node): net[node] for node in chain}
            pool, sizes = kinds.get("pool"), []
            if isinstance(pool, L.MaxPool):
                sizes = [axis.numbers.taps for axis in pool.axes(layer.out_shape(*placed.shapes))]
            return TilesStage(placed, pool=sizes, relu="relu" in kinds)
        return _stage(placed, self.plan.engine)

    def forward(self, x: Array, random: np.random.Generator | None = None) -> Array:
        """Return the output for a batch `(*in_shape, batch)`.

        If `random` is given, the pass is in training mode, and dropouts draw from this generator.
        """
        data = {INPUT: x}
        for node, sources, stage in self.steps:
            stage.begin(random)
            data[node] = stage.output = stage.forward(*(data[source] for source in sources))
        return data[self.plan.net.output]

    def first_not_finite(self) -> str:
        """Return the first node whose last output, or whose arrays, are not finite."""
        for node, _, stage in self.steps:
            arrays = [stage.output, *stage.placed.weights.values()]
            if not all(np.isfinite(array).all() for array in arrays):
                return node
        return self.plan.net.output

    def backward(self, g: Array) -> None:
        """Compute the gradients of all parameters from g = dL/d(output)."""
        pending: dict[str, Array] = {self.plan.net.output: g}
        for node, sources, stage in reversed(self.steps):
            back = stage.backward(pending.pop(node))
            for source, gradient in zip(sources, back, strict=True):
                if gradient is None or source == INPUT:
                    continue
                old = pending.get(source)
                pending[source] = gradient if old is None else old + gradient


def _tiled(layer: Layer) -> bool:
    return isinstance(layer, L.Conv) and layer.boundary == "zeros"


def _mergeable(net: Network, node: str) -> str:
    """Return "relu", "pool" for a max-pooling of small adjacent windows, or an empty text."""
    layer = net[node]
    if isinstance(layer, L.ReLU):
        return "relu"
    if isinstance(layer, L.MaxPool):
        axes = layer.axes(net.input_shapes(node)[0])
        fits = all(
            axis.taps == axis.stride
            and axis.dilation == 1
            and axis.before == 0
            and axis.taps * axis.out_size <= axis.in_size
            for axis in axes
        )
        sizes = np.prod([axis.numbers.taps for axis in axes])
        return "pool" if fits and 1 < sizes <= 9 else ""
    return ""


def _stage(placed: PlacedLayer, engine: Engine) -> Stage:
    """Return the stage for the type of a layer, or a stage that uses its map."""
    layer, shape, sparse = placed.layer, placed.shapes[0], engine == "sparse"
    match layer:
        case L.Conv() | L.ConvTranspose() if sparse:
            return SparseLayerStage(placed)
        case L.ConvTranspose() if engine == "auto" and placed.weights["kernel"].size <= MOST_SPARSE:
            return SparseLayerStage(placed)
        case L.Dense():
            return S.DenseStage(placed)
        case L.Project():
            return S.ProjectStage(placed)
        case L.ReLU():
            return SparseReLUStage(placed) if sparse else S.ReLUStage(placed)
        case L.MaxPool():
            return (SparseMaxPoolStage if sparse else S.MaxPoolStage)(placed, layer.axes(shape))
        case L.GlobalMaxPool():
            axes = [link.axis for link in layer.links(shape)]
            return (SparseMaxPoolStage if sparse else S.MaxPoolStage)(placed, axes)
        case L.AvgPool() | L.GlobalAvgPool():
            axes = [link.axis for link in layer.links(shape)]
            operator = layer.map(placed.shapes, {})
            assert isinstance(operator, Operator)
            return S.AveragePoolStage(placed, axes, operator)
        case L.Dropout():
            return (SparseDropoutStage if sparse else S.DropoutStage)(placed, layer.rate)
        case L.BatchNorm():
            return S.BatchNormStage(placed, layer.epsilon)
        case L.Scale() | L.Shift():
            return S.SpreadStage(placed, multiplied=isinstance(layer, L.Scale))
        case L.Add():
            return S.AddStage(placed)
        case L.Concat():
            return S.ConcatStage(placed)
        case L.Flatten() | L.Reshape() | L.Identity():
            return S.SelectionStage(placed)
    if layer.many:
        raise ArgumentError(
            f"training does not support {placed.node}, {layer!r}, which joins several inputs: use "
            f"Add or Concat"
        )
    if isinstance(layer, L.Opaque):
        layer.map(placed.shapes, {})
    if not (layer.weights(*placed.shapes) or layer.buffers(*placed.shapes)):
        layer_map = layer.map(placed.shapes, {})
        if isinstance(layer_map, activations.ElementwiseMap):
            return S.ElementwiseStage(placed, layer_map.function, layer_map.slope)
    return S.MapStage(placed)
