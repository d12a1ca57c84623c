"""The graph of a network: nodes are layers, edges are data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from convalg.arrays import Array, as_numbers, batch_of
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError
from convalg.limits import check_memory
from convalg.network.layers.base import Cost, Layer, Shape
from convalg.network.layers.checks import word
from convalg.size import as_integer, as_shape, is_symbolic, size_product

if TYPE_CHECKING:
    import networkx as nx

    from convalg.network.receptive import Reach

INPUT = "input"


def _he(random: np.random.Generator, shape: Shape, fan: int, back: int) -> Array:
    return random.standard_normal(shape) * np.sqrt(2 / fan)


def _glorot(random: np.random.Generator, shape: Shape, fan: int, back: int) -> Array:
    return random.uniform(-1, 1, shape) * np.sqrt(6 / (fan + back))


def _uniform(random: np.random.Generator, shape: Shape, fan: int, back: int) -> Array:
    return random.uniform(-1, 1, shape) / np.sqrt(fan)


INITIAL = {"he": _he, "glorot": _glorot, "uniform": _uniform}


class Graph:
    """Layers joined to a graph, with their shapes, weights and costs: what `Network` builds on."""

    def __init__(self, in_shape: Any, *, name: str = "network") -> None:
        import networkx as nx

        shape = tuple(as_shape(in_shape, "in_shape"))
        if not isinstance(name, str):
            raise KindError(f"name must be a text, not {name!r}")
        self.name = name
        self.graph: nx.DiGraph = nx.DiGraph()
        self.graph.add_node(INPUT, layer=None, shape=shape, sources=())
        self.weights: dict[str, dict[str, Array]] = {}
        self.output = INPUT
        self._counts: dict[str, int] = {}
        # A node never changes, so neither does what it reads.
        self._reaches: dict[str, Reach] = {}

    def add(
        self, layer: Layer, inputs: str | Sequence[str] | None = None, *, name: str | None = None
    ) -> str:
        """Put a layer behind `inputs` (by default behind the last one); its name is returned.

        Raises: KindError for what is no layer, ArgumentError for an unknown input or a name
        that is taken, ShapeError when the input does not fit.

        >>> import convalg as ca
        >>> net = ca.Network((4, 8, 8))
        >>> branch = net.add(ca.layers.Conv(4, 3, padding=1))
        >>> net.add(ca.layers.Add(), ["input", branch], name="sum")
        'sum'
        """
        if not isinstance(layer, Layer):
            raise KindError(f"a network takes layers of ca.layers, not {layer!r}")
        sources = self._sources(inputs)
        if len(sources) != 1 and not layer.many:
            raise ArgumentError(f"{layer!r} takes one input, not {len(sources)}: {sources}")
        node = self._name(layer, name)
        known = self.graph.nodes
        try:
            shape = tuple(layer.out_shape(*[known[source]["shape"] for source in sources]))
        except ShapeError as error:
            hint = (
                self.hint and f"; the network has {self.hint[2:]}, an image is (1, height, width)"
            )
            raise ShapeError(
                f"{node} does not fit behind {', '.join(sources)}: {error}{hint}"
            ) from None
        self.graph.add_node(node, layer=layer, shape=shape, sources=tuple(sources))
        for source in dict.fromkeys(sources):
            ports = tuple([k for k, one in enumerate(sources) if one == source])
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
            self._known(name)
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

    def _known(self, node: Any) -> str:
        if not isinstance(node, str) or node not in self.graph:
            near = ", ".join(list(self.graph)[:8])
            raise ArgumentError(f"{node!r} is no node of {self.name}, which has {near}, ...")
        return node

    def __len__(self) -> int:
        """The number of layers."""
        return len(self.graph) - 1

    def __iter__(self) -> Iterator[str]:
        """The nodes, the input first, in an order in which data flow."""
        return iter(self.graph)

    def __getitem__(self, node: str) -> Layer:
        """The layer at a node."""
        layer = self.graph.nodes[self._known(node)]["layer"]
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
        """How an input of two sizes is read, where it might be meant for an image of one channel.

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
        """Shape of one input."""
        return self.shapes[INPUT]

    @property
    def out_shape(self) -> Shape:
        """Shape of one output."""
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
        """The nodes that feed a node, one for each of its inputs, in order."""
        return list(self.graph.nodes[self._known(node)]["sources"])

    def input_shapes(self, node: str) -> tuple[Shape, ...]:
        """The shapes of the inputs of a node."""
        known = self.graph.nodes
        return tuple([known[source]["shape"] for source in known[self._known(node)]["sources"]])

    def layers(self) -> Iterator[tuple[str, Layer]]:
        """Nodes with their layers, without the input."""
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
        """The trainable parameters of a node; arrays that are shared count at the first only."""
        counted = self.graph.nodes[node].get("parameters")
        if counted is not None:
            return counted
        return sum(map(size_product, layer.weights(*self.input_shapes(node)).values()))

    def cost(self, node: str) -> Cost:
        """Parameters, non-zeros and multiplications of one layer; see `Cost`.

        Raises: SymbolicError when sizes are letters.
        """
        layer, shapes = self[node], self.input_shapes(node)
        letters = [n for shape in shapes for n in shape if type(n) is not int and is_symbolic(n)]
        if letters:
            raise SymbolicError(f"counts need numbers for sizes, and {node} has {letters[0]}")
        return replace(layer.cost(*shapes), parameters=self._parameters_at(node, layer))

    @property
    def counts(self) -> Cost:
        """The totals over all layers.

        >>> import convalg as ca
        >>> ca.sequential((1, 4, 4), [ca.layers.Conv(1, 3, padding=1, bias=False)]).counts.nonzeros
        100
        """
        every = [_numbers(self.cost(node)) for node, _ in self.layers()]
        return Cost(*map(sum, zip(*every, strict=True)))

    # Running.

    def initialise(
        self,
        seed: int | None = 0,
        *,
        method: Literal["he", "glorot", "uniform"] = "he",
        dtype: Any = np.float32,
    ) -> Self:
        """Fill every layer with random weights, None for an unknown seed; the network is returned.

        Rule: with m inputs to an output and n outputs to an input, "he" is normal with variance
        2 / m, "glorot" uniform within sqrt(6 / (m + n)), biases zero; "uniform" is within
        1 / sqrt(m), biases too, as PyTorch does it.
        Source: He et al. 2015, equation 10; Glorot & Bengio 2010, equation 16.

        Raises: TooLargeError before memory runs out.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 8, 8), [ca.layers.Conv(2, 3)]).initialise(seed=1)
        >>> net.weights["conv1"]["kernel"].shape
        (2, 1, 3, 3)
        """
        word(*INITIAL)(method, "method")
        number = None if seed is None else as_integer(seed, "seed", least=0)
        kind = float_type(dtype)
        self._check_room(kind)
        random = np.random.default_rng(number)
        for node, layer in self.layers():
            shapes = self.input_shapes(node)
            found, fan = {}, 1
            for name, shape in layer.weights(*shapes).items():
                if name in ("kernel", "weights"):
                    fan = max(size_product(shape[1:]), 1)
                    back = shape[0] * size_product(shape[2:])
                    found[name] = INITIAL[method](random, shape, fan, back).astype(kind)
                elif name == "bias" and method == "uniform":
                    found[name] = _uniform(random, shape, fan, 1).astype(kind)
                else:
                    found[name] = np.full(shape, float(name == "scale"), dtype=kind)
            for name, shape in layer.buffers(*shapes).items():
                found[name] = np.full(shape, float(name == "variance"), dtype=kind)
            if found:
                self.weights[node] = found
        return self

    def _check_room(self, kind: np.dtype[Any]) -> None:
        """Raises: TooLargeError where the arrays of all layers would not fit."""
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
        """Give a layer its arrays: `kernel`, `weights`, `bias`, `scale`, ...

        Raises: ArgumentError for a name that the layer has not, ShapeError for another shape.
        """
        layer, shapes = self[node], self.input_shapes(node)
        wanted = {**layer.weights(*shapes), **layer.buffers(*shapes)}
        for name, value in arrays.items():
            if name not in wanted:
                raise ArgumentError(
                    f"{node} has no array {name!r}; it has {', '.join(wanted) or 'none'}"
                )
            # A copy: the giver may go on changing his.
            array = np.array(as_numbers(value, name))
            if array.shape != tuple(wanted[name]):
                raise ShapeError(
                    f"{name} of {node} must have shape {tuple(wanted[name])}, not {array.shape}"
                )
            self.weights.setdefault(node, {})[name] = array

    def map(self, node: str) -> Any:
        """The layer at a node with its weights, as a map. Raises: ArgumentError without them."""
        layer, shapes = self[node], self.input_shapes(node)
        wanted = {**layer.weights(*shapes), **layer.buffers(*shapes)}
        have = self.weights.get(node, {})
        missing = [name for name in wanted if name not in have]
        if missing:
            raise ArgumentError(
                f"{node} has no {', '.join(missing)}: fill the network with initialise(seed), "
                f"or set_weights({node!r}, ...)"
            )
        return layer.map(shapes, have)

    def __call__(self, x: Any, node: str | None = None) -> Array:
        """The output (or the data at a node) for each sample.

        Shapes: x `(*batch, *in_shape)`, result `(*batch, *out_shape)`.
        """
        wanted = self._wanted(node)
        values, batch = batch_of(x, self.in_shape, "x")
        found = self._run(values, wanted)[wanted]
        return found.reshape((*batch, *self.shapes[wanted]))

    def _wanted(self, node: str | None) -> str:
        """The node to run, by default the output. Raises: ArgumentError where it is not one."""
        if node is not None:
            return self._known(node)
        facts = self.graph.graph
        outputs = facts.get("outputs", [self.output])
        if not outputs and facts.get("left_out"):
            raise ArgumentError(
                f"the output of {self.name} is not in the network, since {facts['left_out'][0]}: "
                f"ask for one of its nodes with net(x, node)"
            )
        if len(outputs) > 1 or facts.get("outputs_missing"):
            raise ArgumentError(
                f"{self.name} has several outputs, of which {', '.join(outputs)} are in the "
                f"network: ask for one with net(x, node)"
            )
        return self.output

    def _run(self, x: Array, wanted: str, *, keep: bool = False) -> dict[str, Array]:
        """The data at the nodes that `wanted` depends on; unless kept, let go when used."""
        import networkx as nx

        needed = nx.ancestors(self.graph, wanted) | {wanted}
        uses = {n: sum(1 for s in self.graph.successors(n) if s in needed) for n in needed}
        data: dict[str, Array] = {INPUT: x}
        for node, layer in self.layers():
            if node not in needed:
                continue
            sources = self.sources(node)
            inputs = [data[source] for source in sources]
            data[node] = layer.join(inputs) if layer.many else self.map(node)(inputs[0])
            for source in dict.fromkeys(sources):
                uses[source] -= 1
                if not (uses[source] or keep or source == wanted):
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
    """A type of floating point. Raises: KindError for another."""
    try:
        found = np.dtype(dtype)
    except (TypeError, ValueError):
        found = np.dtype(object)
    if found.kind != "f" or dtype is None:
        raise KindError(f"dtype must be a type of floating point, as np.float32, not {dtype!r}")
    return found


def _numbers(cost: Cost) -> tuple[int, ...]:
    return (cost.parameters, cost.nonzeros, cost.padded, cost.unshared, cost.connected)
