"""The graph of a network: its nodes are layers, its edges carry the data between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from convalg.arrays import Array, as_numbers, batch_of
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError
from convalg.limits import check_memory
from convalg.network.layers.base import Cost, Layer, Shape
from convalg.network.layers.checks import one_of
from convalg.size import as_integer, as_shape, is_symbolic, size_product

if TYPE_CHECKING:
    import networkx as nx

    from convalg.network.reach import Reach

INPUT = "input"


def _he(random: np.random.Generator, shape: Shape, fan: int, back: int) -> Array:
    return random.standard_normal(shape) * np.sqrt(2 / fan)


def _glorot(random: np.random.Generator, shape: Shape, fan: int, back: int) -> Array:
    return random.uniform(-1, 1, shape) * np.sqrt(6 / (fan + back))


def _uniform(random: np.random.Generator, shape: Shape, fan: int, back: int) -> Array:
    return random.uniform(-1, 1, shape) / np.sqrt(fan)


INITIAL = {"he": _he, "glorot": _glorot, "uniform": _uniform}


class Graph:
    """The base class of `Network`: a graph of layers with their shapes, weights and costs."""

    def __init__(self, in_shape: Any, *, name: str = "network") -> None:
        import networkx as nx

        shape = tuple(as_shape(in_shape, "in_shape"))
        if not isinstance(name, str):
            raise KindError(f"name must be a string, not {name!r}")
        self.name = name
        self.graph: nx.DiGraph = nx.DiGraph()
        self.graph.add_node(INPUT, layer=None, shape=shape, sources=())
        self.weights: dict[str, dict[str, Array]] = {}
        self.output = INPUT
        self._counts: dict[str, int] = {}
        self.reach_cache: dict[str, Reach] = {}
        """The receptive fields of the nodes, as far as computed; `reaches` completes it.

        Nodes are never changed once they are added, so an entry stays valid.
        """

    def add(
        self, layer: Layer, inputs: str | Sequence[str] | None = None, *, name: str | None = None
    ) -> str:
        """Append a layer and return the name of its node.

        Args:
            layer: a layer of `ca.layers`.
            inputs: the name of the node that feeds it, or a list of names for a layer with
                several inputs; by default the node that was added last.
            name: the name of the new node; by default the kind of the layer with a number.

        Raises:
            KindError: when `layer` is not a layer.
            ArgumentError: for an unknown input, or a name that is already used.
            ShapeError: when the layer does not accept the shape of its input.

        >>> import convalg as ca
        >>> net = ca.Network((4, 8, 8))
        >>> branch = net.add(ca.layers.Conv(4, 3, padding=1))
        >>> net.add(ca.layers.Add(), ["input", branch], name="sum")
        'sum'
        """
        if not isinstance(layer, Layer):
            raise KindError(f"layer must be a layer of ca.layers, not {layer!r}")
        sources = self._sources(inputs)
        if len(sources) != 1 and not layer.many:
            raise ArgumentError(f"{layer!r} takes one input, not {len(sources)}: {sources}")
        node = self._name(layer, name)
        nodes = self.graph.nodes
        try:
            shape = tuple(layer.out_shape(*[nodes[source]["shape"] for source in sources]))
        except ShapeError as error:
            hint = (
                self.hint and f"; the network has {self.hint[2:]}, an image is (1, height, width)"
            )
            raise ShapeError(
                f"{node} cannot be applied to {', '.join(sources)}: {error}{hint}"
            ) from None
        self.graph.add_node(node, layer=layer, shape=shape, sources=tuple(sources))
        for source in dict.fromkeys(sources):
            ports = tuple([k for k, other in enumerate(sources) if other == source])
            self.graph.add_edge(source, node, ports=ports)
        self.output = node
        return node

    def _sources(self, inputs: str | Sequence[str] | None) -> list[str]:
        if inputs is None:
            return [self.output]
        if not isinstance(inputs, (str, list, tuple)):
            raise KindError(f"inputs must be the name of a node or a list of names, not {inputs!r}")
        names = [inputs] if isinstance(inputs, str) else list(inputs)
        for name in names:
            self.check_node(name)
        if not names:
            raise ArgumentError(f"a layer needs at least one input, not {inputs!r}")
        return names

    def _name(self, layer: Layer, name: str | None) -> str:
        if name is None:
            kind = type(layer).__name__.lower()
            while True:
                self._counts[kind] = self._counts.get(kind, 0) + 1
                name = f"{kind}{self._counts[kind]}"
                if name not in self.graph:
                    return name
        if not isinstance(name, str) or not name or name in self.graph:
            raise ArgumentError(f"name must be a new, non-empty name, not {name!r}")
        return name

    def check_node(self, node: Any) -> str:
        """Return `node` if it is the name of a node.

        Raises:
            ArgumentError: when it is not.

        >>> import convalg as ca
        >>> ca.sequential((1, 8), [ca.layers.Conv(1, 3)]).check_node("conv1")
        'conv1'
        """
        if not isinstance(node, str) or node not in self.graph:
            first = ", ".join(list(self.graph)[:8])
            more = ", ..." if len(self.graph) > 8 else ""
            raise ArgumentError(f"{self.name} has no node {node!r}; its nodes are {first}{more}")
        return node

    def __len__(self) -> int:
        """The number of layers."""
        return len(self.graph) - 1

    def __iter__(self) -> Iterator[str]:
        """Iterate over the nodes in the order in which data flow, the input first."""
        return iter(self.graph)

    def __getitem__(self, node: str) -> Layer:
        """Return the layer at a node."""
        layer = self.graph.nodes[self.check_node(node)]["layer"]
        if layer is None:
            raise ArgumentError(f"{node!r} is the input, which has no layer")
        return layer

    def __repr__(self) -> str:
        outputs = self.graph.graph.get("outputs", [])
        several = f", outputs {', '.join(outputs)}" if len(outputs) > 1 else ""
        shapes = f"{self.in_shape} to {self.out_shape}{several}{self.hint}"
        return f"<{self.name}: {len(self)} layers, {shapes}>"

    @property
    def hint(self) -> str:
        """How an `in_shape` of two sizes is understood, if it may have been meant as an image.

        It is empty where there is no ambiguity.

        >>> import convalg as ca
        >>> ca.sequential((28, 28), [ca.layers.Conv(6, 5)])
        <network: 1 layers, (28, 28) to (6, 24), one axis of 28 samples in 28 channels>
        """
        if len(self.in_shape) != 2 or is_symbolic(self.in_shape[0]) or self.in_shape[0] <= 4:
            return ""
        channels, samples = self.in_shape
        return f", one axis of {samples} samples in {channels} channels"

    @property
    def in_shape(self) -> Shape:
        """The shape of one input, `(channels, *spatial)`."""
        return self.shapes[INPUT]

    @property
    def out_shape(self) -> Shape:
        """The shape of one output."""
        return self.shapes[self.output]

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of the data at every node.

        >>> import convalg as ca
        >>> n, = ca.sizes("n")
        >>> ca.sequential((1, n), [ca.layers.Conv(2, 3)]).shapes["conv1"]
        (2, n - 2)
        """
        return _NodeShapes(self.graph.nodes)

    def sources(self, node: str) -> list[str]:
        """Return the nodes that feed a node, one for each of its inputs, in order."""
        return list(self.graph.nodes[self.check_node(node)]["sources"])

    def input_shapes(self, node: str) -> tuple[Shape, ...]:
        """Return the shapes of the inputs of a node."""
        nodes = self.graph.nodes
        return tuple([nodes[source]["shape"] for source in nodes[self.check_node(node)]["sources"]])

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """Yield each node with its layer, without the input."""
        for node, layer in self.graph.nodes(data="layer"):
            if layer is not None:
                yield node, layer

    # Counts.

    @property
    def parameters(self) -> int:
        """The number of trainable parameters.

        >>> import convalg as ca
        >>> ca.sequential((1, 28, 28), [ca.layers.Conv(6, 5)]).parameters
        156
        """
        return sum(self._parameters_at(node, layer) for node, layer in self.layers())

    def _parameters_at(self, node: str, layer: Layer) -> Any:
        """Count the trainable parameters of a node; a shared array counts at its first node."""
        counted = self.graph.nodes[node].get("parameters")
        if counted is not None:
            return counted
        return sum(map(size_product, layer.weights(*self.input_shapes(node)).values()))

    def cost(self, node: str) -> Cost:
        """Count the parameters, non-zeros and multiplications of one layer; see `Cost`.

        Raises:
            SymbolicError: when a size of its input is symbolic.
        """
        layer, shapes = self[node], self.input_shapes(node)
        symbols = [n for shape in shapes for n in shape if type(n) is not int and is_symbolic(n)]
        if symbols:
            raise SymbolicError(
                f"counts need numbers for sizes, and the input of {node} has the symbolic size "
                f"{symbols[0]}: build the network with numbers"
            )
        return replace(layer.cost(*shapes), parameters=self._parameters_at(node, layer))

    @property
    def counts(self) -> Cost:
        """The totals over all layers; see `Cost`.

        Raises:
            SymbolicError: when sizes are symbolic.

        >>> import convalg as ca
        >>> ca.sequential((1, 4, 4), [ca.layers.Conv(1, 3, padding=1, bias=False)]).counts.nonzeros
        100
        """
        costs = [_counts(self.cost(node)) for node, _ in self.layers()]
        return Cost(*map(sum, zip(*costs, strict=True)))

    # Running.

    def initialise(
        self,
        seed: int | None = 0,
        *,
        method: Literal["he", "glorot", "uniform"] = "he",
        dtype: Any = np.float32,
    ) -> Self:
        """Fill every layer with random weights and return the network.

        With m inputs to each output and n outputs from each input, "he" draws from a normal
        distribution with variance 2 / m and "glorot" uniformly from -b to b, b = sqrt(6 / (m + n));
        both set biases to zero. "uniform" draws weights and biases uniformly from
        -1 / sqrt(m) to 1 / sqrt(m), as PyTorch does.

        Args:
            seed: the seed of the random generator; None for a different one in each call.
            method: the distribution of the weights.
            dtype: a floating-point type of NumPy.

        Raises:
            TooLargeError: when the weights would not fit in memory.

        Source: He et al. 2015, equation 10; Glorot & Bengio 2010, equation 16.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 8, 8), [ca.layers.Conv(2, 3)]).initialise(seed=1)
        >>> net.weights["conv1"]["kernel"].shape
        (2, 1, 3, 3)
        """
        one_of(*INITIAL)(method, "method")
        number = None if seed is None else as_integer(seed, "seed", least=0)
        kind = float_type(dtype)
        self._check_room(kind)
        random = np.random.default_rng(number)
        for node, layer in self.layers():
            shapes = self.input_shapes(node)
            arrays, fan = {}, 1
            for name, shape in layer.weights(*shapes).items():
                if name in ("kernel", "weights"):
                    fan = max(size_product(shape[1:]), 1)
                    back = shape[0] * size_product(shape[2:])
                    arrays[name] = INITIAL[method](random, shape, fan, back).astype(kind)
                elif name == "bias" and method == "uniform":
                    arrays[name] = _uniform(random, shape, fan, 1).astype(kind)
                else:
                    arrays[name] = np.full(shape, float(name == "scale"), dtype=kind)
            for name, shape in layer.buffers(*shapes).items():
                arrays[name] = np.full(shape, float(name == "variance"), dtype=kind)
            if arrays:
                self.weights[node] = arrays
        return self

    def _check_room(self, kind: np.dtype[Any]) -> None:
        """Raise TooLargeError if the arrays of all layers would not fit in memory."""
        counts = [
            size_product(shape)
            for node, layer in self.layers()
            for arrays in (layer.weights, layer.buffers)
            for shape in arrays(*self.input_shapes(node)).values()
        ]
        # Each array is drawn in float64 before it is converted.
        check_memory(
            sum(counts) * kind.itemsize + 8 * max(counts, default=0),
            None,
            what=f"{sum(counts):,} weights",
            instead="use smaller layers, or convolutions instead of dense layers",
            fixed=True,
        )

    def set_weights(self, node: str, **arrays: Any) -> None:
        """Set arrays of a layer: `kernel`, `weights`, `bias`, `scale`, ...

        Args:
            node: the name of the node.
            **arrays: the arrays by name, with the shapes of `layer.weights` and `layer.buffers`;
                they are copied.

        Raises:
            ArgumentError: for a name of an array that the layer does not have.
            ShapeError: when an array has another shape.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 3), [ca.layers.Conv(1, 2, bias=False)])
        >>> net.set_weights("conv1", kernel=[[[1, -1]]])
        >>> net([[4, 2, 1]]).tolist()
        [[2, 1]]
        """
        layer, shapes = self[node], self.input_shapes(node)
        required = {**layer.weights(*shapes), **layer.buffers(*shapes)}
        for name, value in arrays.items():
            if name not in required:
                raise ArgumentError(
                    f"{node} has no array {name!r}; it has {', '.join(required) or 'none'}"
                )
            # A copy, since the caller may change the original afterwards.
            array = np.array(as_numbers(value, name))
            if array.shape != tuple(required[name]):
                raise ShapeError(
                    f"{name} of {node} must have shape {tuple(required[name])}, not {array.shape}"
                )
            self.weights.setdefault(node, {})[name] = array

    def map(self, node: str) -> Any:
        """Return the layer at a node with its weights, as a map.

        Raises:
            ArgumentError: when arrays of the layer have not been set.
        """
        layer, shapes = self[node], self.input_shapes(node)
        required = {**layer.weights(*shapes), **layer.buffers(*shapes)}
        have = self.weights.get(node, {})
        missing = [name for name in required if name not in have]
        if missing:
            raise ArgumentError(
                f"{node} has no {', '.join(missing)}: fill the network with initialise(seed), "
                f"or set_weights({node!r}, ...)"
            )
        return layer.map(shapes, have)

    def __call__(self, x: Any, node: str | None = None) -> Array:
        """Return the output, or the data at a node, for each sample.

        Args:
            x: the samples, of shape `(*batch, *in_shape)`.
            node: the node whose data are returned; by default the output.

        Returns:
            An array of shape `(*batch, *shape)` with the shape at the node.

        Raises:
            ShapeError: when x does not end in `in_shape`.
            ArgumentError: for an unknown node, without weights, and without `node` where the
                network does not have exactly one output.
        """
        node = self.node_or_output(node)
        values, batch = batch_of(x, self.in_shape, "x")
        y = self.run(values, node)[node]
        return y.reshape((*batch, *self.shapes[node]))

    def node_or_output(self, node: str | None) -> str:
        """Return the node if one is named, otherwise the only output.

        Raises:
            ArgumentError: for an unknown node, or where there is not exactly one output.
        """
        if node is not None:
            return self.check_node(node)
        attributes = self.graph.graph
        outputs = attributes.get("outputs", [self.output])
        if not outputs and attributes.get("left_out"):
            raise ArgumentError(
                f"the output of {self.name} is not in the network, because "
                f"{attributes['left_out'][0]}: name one of the nodes, as in net(x, node)"
            )
        if len(outputs) > 1 or attributes.get("outputs_missing"):
            raise ArgumentError(
                f"{self.name} has several outputs, of which {', '.join(outputs)} are in the "
                f"network: name one, as in net(x, node)"
            )
        return self.output

    def run(self, x: Array, node: str, *, keep: bool = False) -> dict[str, Array]:
        """Return the data at the nodes that `node` depends on, by name.

        Args:
            x: a batch of samples, of shape `(batch, *in_shape)`.
            node: the last node to compute.
            keep: whether to return the data of all these nodes; otherwise data that no further
                node needs are dropped on the way.
        """
        import networkx as nx

        needed = nx.ancestors(self.graph, node) | {node}
        uses = {n: sum(1 for s in self.graph.successors(n) if s in needed) for n in needed}
        data: dict[str, Array] = {INPUT: x}
        for name, layer in self.layers():
            if name not in needed:
                continue
            sources = self.sources(name)
            inputs = [data[source] for source in sources]
            data[name] = layer.join(inputs) if layer.many else self.map(name)(inputs[0])
            for source in dict.fromkeys(sources):
                uses[source] -= 1
                if not (uses[source] or keep or source == node):
                    del data[source]
        return data


class _NodeShapes(Mapping[str, Shape]):
    """The shape of the data at every node."""

    def __init__(self, nodes: Any) -> None:
        self._nodes = nodes

    def __getitem__(self, node: str) -> Shape:
        shape: Shape = self._nodes[node]["shape"]
        return shape

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)

    def __repr__(self) -> str:
        return repr(dict(self))


def float_type(dtype: Any) -> np.dtype[Any]:
    """Return a floating-point type as a NumPy dtype. Raises: KindError for any other."""
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError):
        kind = np.dtype(object)
    if kind.kind != "f" or dtype is None:
        raise KindError(f"dtype must be a floating-point type such as np.float32, not {dtype!r}")
    return kind


def _counts(cost: Cost) -> tuple[int, ...]:
    return (cost.parameters, cost.nonzeros, cost.padded, cost.unshared, cost.connected)
