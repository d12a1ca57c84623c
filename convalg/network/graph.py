"""The graph of a network: its nodes are layers, its edges carry the data between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt

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
FloatType: TypeAlias = "np.dtype[Any]"
"""A NumPy dtype of floating-point numbers."""


def _he(random: np.random.Generator, shape: Shape, fan: int, back: int) -> Array:
    values: Array = random.standard_normal(shape) * np.sqrt(2 / fan)
    return values


def _glorot(random: np.random.Generator, shape: Shape, fan: int, back: int) -> Array:
    values: Array = random.uniform(-1, 1, shape) * np.sqrt(6 / (fan + back))
    return values


def _uniform(random: np.random.Generator, shape: Shape, fan: int, back: int) -> Array:
    values: Array = random.uniform(-1, 1, shape) / np.sqrt(fan)
    return values


INITIAL = {"he": _he, "glorot": _glorot, "uniform": _uniform}


class Graph:
    """The base class of `Network`: a graph of layers with their shapes, weights and costs.

    Attributes:
        name: the title for tables and drawings.
        graph: the networkx graph of the nodes.
        weights: for each node, its arrays by name.
        output: the name of the output node.
    """

    def __init__(self, in_shape: object, *, name: str = "network") -> None:
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
        """The receptive fields that have been computed, by node; `reaches` computes the others.

        A node never changes after it has been added, so an entry stays valid.
        """

    def add(
        self, layer: Layer, inputs: str | Sequence[str] | None = None, *, name: str | None = None
    ) -> str:
        """Append a layer as a new node and return the name of the node.

        Args:
            layer: a layer of `ca.layers`.
            inputs: the name of the node whose data the layer reads, or a list of names for a
                layer with several inputs; by default the node that was added last.
            name: the name of the new node; by default the class of the layer in lower case with a
                number, such as "conv1".

        Raises:
            KindError: when `layer` is not a layer.
            ArgumentError: for an unknown input, the wrong number of inputs, or a name that is
                already used.
            ShapeError: when the layer does not accept the shapes of its inputs.

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
            raise ArgumentError(f"{layer!r} has one input, not the {len(sources)} nodes {sources}")
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
            raise ArgumentError(f"inputs must name at least one node, not {inputs!r}")
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
            raise ArgumentError(
                f"name must be a non-empty string that no other node has, not {name!r}"
            )
        return name

    def check_node(self, node: object) -> str:
        """Return `node` unchanged if it is the name of a node of the network.

        Args:
            node: the name to check.

        Raises:
            ArgumentError: when `node` is not the name of a node.

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
        """Return the number of layers."""
        return len(self.graph) - 1

    def __iter__(self) -> Iterator[str]:
        """Iterate over the nodes in the order in which data flow, the input first."""
        return iter(self.graph)

    def __getitem__(self, node: str) -> Layer:
        """Return the layer at a node.

        Raises:
            ArgumentError: for an unknown node, and for the input, which has no layer.
        """
        layer: Layer | None = self.graph.nodes[self.check_node(node)]["layer"]
        if layer is None:
            raise ArgumentError(
                f"node {node!r} is the input, which has no layer: name another node"
            )
        return layer

    def __repr__(self) -> str:
        outputs = self.graph.graph.get("outputs", [])
        several = f", outputs {', '.join(outputs)}" if len(outputs) > 1 else ""
        shapes = f"{self.in_shape} to {self.out_shape}{several}{self.hint}"
        return f"<{self.name}: {len(self)} layers, {shapes}>"

    @property
    def hint(self) -> str:
        """A note on how an `in_shape` of two sizes is interpreted, or an empty string.

        `in_shape` = (28, 28) is one axis of 28 samples in 28 channels, although an image may have
        been meant. Shapes that cannot be confused have no note.

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
        """The shape of one input sample, `(channels, *spatial)`."""
        return self.shapes[INPUT]

    @property
    def out_shape(self) -> Shape:
        """The shape of the output for one sample."""
        return self.shapes[self.output]

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The shape of the data of one sample at every node, by the name of the node.

        >>> import convalg as ca
        >>> n, = ca.sizes("n")
        >>> ca.sequential((1, n), [ca.layers.Conv(2, 3)]).shapes["conv1"]
        (2, n - 2)
        """
        return _NodeShapes(self.graph.nodes)

    def sources(self, node: str) -> list[str]:
        """Return the names of the nodes whose data a node reads, one for each input, in order.

        Args:
            node: the name of the node.

        Raises:
            ArgumentError: for an unknown node.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 8), [ca.layers.Conv(1, 3), ca.layers.ReLU()])
        >>> net.sources("relu1")
        ['conv1']
        """
        return list(self.graph.nodes[self.check_node(node)]["sources"])

    def input_shapes(self, node: str) -> tuple[Shape, ...]:
        """Return the shapes of the inputs of a node, in the order of `sources`.

        Args:
            node: the name of the node.

        Raises:
            ArgumentError: for an unknown node.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 8), [ca.layers.Conv(2, 3), ca.layers.ReLU()])
        >>> net.input_shapes("relu1")
        ((2, 6),)
        """
        nodes = self.graph.nodes
        return tuple([nodes[source]["shape"] for source in nodes[self.check_node(node)]["sources"]])

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """Yield the name and the layer of each node except the input, in data-flow order.

        >>> import convalg as ca
        >>> dict(ca.sequential((1, 8), [ca.layers.Conv(2, 3)]).layers())
        {'conv1': Conv(2, 3)}
        """
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
        """Return the number of trainable parameters of a node.

        An array that several nodes share is counted at the first of them.
        """
        counted = self.graph.nodes[node].get("parameters")
        if counted is not None:
            return counted
        return sum(map(size_product, layer.weights(*self.input_shapes(node)).values()))

    def cost(self, node: str) -> Cost:
        """Return the numbers of parameters, non-zeros and multiplications of one layer.

        Args:
            node: the name of the node.

        Returns:
            A `Cost` with the counts for one sample.

        Raises:
            ArgumentError: for an unknown node, and for the input.
            SymbolicError: when a size of the layer's input is symbolic.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 4), [ca.layers.Conv(1, 3, padding=1, bias=False)])
        >>> cost = net.cost("conv1")
        >>> cost.parameters, cost.nonzeros, cost.padded
        (3, 10, 12)
        """
        layer, shapes = self[node], self.input_shapes(node)
        symbols = [n for shape in shapes for n in shape if type(n) is not int and is_symbolic(n)]
        if symbols:
            raise SymbolicError(
                f"counts are computed only for integer sizes, not for the symbolic size "
                f"{symbols[0]} in the input of {node}: build the network with integers"
            )
        return replace(layer.cost(*shapes), parameters=self._parameters_at(node, layer))

    @property
    def counts(self) -> Cost:
        """The sum of the counts of all layers, as a `Cost`.

        Raises:
            SymbolicError: when a size is symbolic.

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
        dtype: npt.DTypeLike = np.float32,
    ) -> Self:
        """Fill every layer with random weights and return the network.

        With m inputs to each output and n outputs from each input, "he" draws from a normal
        distribution with variance 2 / m and "glorot" uniformly from -b to b, b = sqrt(6 / (m + n));
        both set biases to zero. "uniform" draws weights and biases uniformly from
        -1 / sqrt(m) to 1 / sqrt(m), as PyTorch does.

        Args:
            seed: the seed of the random generator, a non-negative integer; None draws different
                weights in each call.
            method: the distribution of the weights: "he", "glorot" or "uniform".
            dtype: the floating-point type of the arrays.

        Raises:
            ArgumentError: for an unknown method or a negative seed.
            KindError: when dtype is not a floating-point type.
            SymbolicError: when the shape of an array is symbolic.
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

    def _check_room(self, kind: FloatType) -> None:
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

    def set_weights(self, node: str, **arrays: object) -> None:
        """Set arrays of the layer at a node, such as `kernel`, `weights`, `bias` or `scale`.

        Args:
            node: the name of the node.
            **arrays: the arrays by name, with the shapes that `layer.weights` and `layer.buffers`
                return; they are copied.

        Raises:
            ArgumentError: for an unknown node, or the name of an array that the layer does not
                have.
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
                    f"{node} has no array {name!r}: its arrays are {', '.join(required) or 'none'}"
                )
            # A copy, since the caller may change the original afterwards.
            array = np.array(as_numbers(value, name))
            if array.shape != tuple(required[name]):
                raise ShapeError(
                    f"{name} of {node} must have shape {tuple(required[name])}, not {array.shape}"
                )
            self.weights.setdefault(node, {})[name] = array

    def map(self, node: str) -> Any:
        """Return the layer at a node with its weights, as a `ca.Map`.

        Args:
            node: the name of the node.

        Raises:
            ArgumentError: for an unknown node, and when arrays of the layer have not been set.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 3), [ca.layers.Conv(1, 2, bias=False)])
        >>> net.set_weights("conv1", kernel=[[[1, -1]]])
        >>> net.map("conv1").to_numpy().tolist()
        [[1, -1, 0], [0, 1, -1]]
        """
        layer, shapes = self[node], self.input_shapes(node)
        required = {**layer.weights(*shapes), **layer.buffers(*shapes)}
        have = self.weights.get(node, {})
        missing = [name for name in required if name not in have]
        if missing:
            raise ArgumentError(
                f"the arrays {', '.join(missing)} of node {node} have not been set: call "
                f"net.initialise(seed) or net.set_weights({node!r}, ...)"
            )
        return layer.map(shapes, have)

    def __call__(self, x: object, node: str | None = None) -> Array:
        """Return the output of the network, or the data at a node, for each sample.

        Args:
            x: the samples, of shape `(*batch, *in_shape)`.
            node: the name of the node whose data are returned; by default the output.

        Returns:
            An array of shape `(*batch, *net.shapes[node])`.

        Raises:
            ShapeError: when the shape of x does not end in `in_shape`.
            ArgumentError: for an unknown node, when weights have not been set, and when `node` is
                omitted although the network does not have exactly one output.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 3), [ca.layers.Pad(1), ca.layers.MaxPool(2)])
        >>> net([[2, 4, 6]]).tolist(), net([[2, 4, 6]], "pad1").tolist()
        ([[2, 6]], [[0, 2, 4, 6, 0]])
        """
        node = self.node_or_output(node)
        values, batch = batch_of(x, self.in_shape, "x")
        y = self.run(values, node)[node]
        return y.reshape((*batch, *self.shapes[node]))

    def node_or_output(self, node: str | None) -> str:
        """Return `node` if it is given, otherwise the name of the only output.

        Args:
            node: the name of a node, or None for the output.

        Raises:
            ArgumentError: for an unknown node, and for None if the network does not have exactly
                one output.
        """
        if node is not None:
            return self.check_node(node)
        attributes = self.graph.graph
        outputs = attributes.get("outputs", [self.output])
        if not outputs and attributes.get("left_out"):
            raise ArgumentError(
                f"the output of {self.name} is not in the network, which leaves out "
                f"{attributes['left_out'][0]}. Name one of its nodes, as in net(x, node)"
            )
        if len(outputs) > 1 or attributes.get("outputs_missing"):
            raise ArgumentError(
                f"{self.name} has several outputs, and the network has the nodes "
                f"{', '.join(outputs)} for them: name one, as in net(x, node)"
            )
        return self.output

    def run(self, x: Array, node: str, *, keep: bool = False) -> dict[str, Array]:
        """Compute the data at a node and return the data at it and earlier nodes, by name.

        Args:
            x: a batch of samples, of shape `(batch, *in_shape)`.
            node: the name of the last node to compute.
            keep: True returns the data at `node` and at all nodes on which it depends; False
                deletes data as soon as no later node needs them.

        Returns:
            An array of shape `(batch, *net.shapes[name])` for each name.

        Raises:
            ArgumentError: when weights have not been set.
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
    """A read-only view of the attribute `shape` of all nodes."""

    def __init__(self, nodes: nx.classes.reportviews.NodeView) -> None:
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


def float_type(dtype: npt.DTypeLike) -> FloatType:
    """Return a floating-point type as a NumPy dtype. Raises: KindError for any other type."""
    try:
        kind: np.dtype[Any] = np.dtype(dtype)
    except (TypeError, ValueError):
        kind = np.dtype(object)
    if kind.kind != "f" or dtype is None:
        raise KindError(f"dtype must be a floating-point type such as np.float32, not {dtype!r}")
    return kind


def _counts(cost: Cost) -> tuple[int, ...]:
    return (cost.parameters, cost.nonzeros, cost.padded, cost.unshared, cost.connected)
