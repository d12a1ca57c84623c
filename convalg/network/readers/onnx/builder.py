"""What nodes of an ONNX model become: values, and the network that grows by layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from convalg.errors import ConvalgError
from convalg.network.layers.base import Layer, Shape
from convalg.network.layers.rearrange import Expand
from convalg.network.layers.shape import Concat, Reshape
from convalg.network.network import Network
from convalg.network.readers.onnx.tensors import Constant, LazyArrays, shown
from convalg.size import is_symbolic, size_product

FLOAT = 1
SMALL = 2**16
"""Numbers that a constant may have where its values decide shapes."""

ILL_FORMED = (ArithmeticError, LookupError, TypeError, ValueError)
"""What a node leads to whose attributes or inputs are not what its operator takes."""


class Unread(Exception):  # noqa: N818 - it is a reason, not an error of the user
    """Why a node becomes opaque."""


@dataclass(frozen=True)
class Data:
    """What a node of the network gives. Unbatched where its first axis is not the batch."""

    node: str
    batched: bool = True


@dataclass(frozen=True)
class Outside:
    """Neither a constant nor computed from the input: what is not folded, an unread output."""

    shape: tuple[Any, ...] | None = None


Value: TypeAlias = "Data | Outside | Constant"


@dataclass(frozen=True)
class Node:
    """A node of the model with its attributes as Python values and what it reads."""

    proto: Any
    name: str
    op: str
    version: int
    attributes: dict[str, Any]
    inputs: list[Value | None]

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute; texts as str."""
        found = self.attributes.get(name, default)
        return shown(found) if isinstance(found, bytes) else found

    def given(self, place: int) -> Value | None:
        """An optional input."""
        return self.inputs[place] if place < len(self.inputs) else None

    def data(self, place: int = 0) -> Data:
        """An input that is computed from the network's. Raises: Unread when it is not."""
        found = self.given(place)
        if not isinstance(found, Data):
            raise Unread(f"input {place} is not computed from the network's input")
        if not found.batched:
            raise Unread("the first axis of its input is not the batch")
        return found

    def constant(self, place: int) -> Constant:
        """An input that is a constant. Raises: Unread when it is not."""
        found = self.given(place)
        if not isinstance(found, Constant):
            raise Unread(f"input {place} is no constant of the model")
        return found

    def numbers(self, place: int) -> list[Any]:
        """A constant list of numbers. Raises: Unread when it is none, or long."""
        found = self.constant(place)
        if found.size > SMALL:
            raise Unread(f"input {place} has {found.size} numbers")
        if found.absent:
            raise Unread(f"the numbers of input {place} are not there: {found.absent}")
        return found.array().ravel().tolist()

    def optional_numbers(self, place: int) -> list[Any] | None:
        """A constant list that may be missing or empty."""
        if self.given(place) is None:
            return None
        return self.numbers(place) or None


class Builder:
    """A network that grows, and what every name of the model stands for."""

    def __init__(self, net: Network, batch: Any) -> None:
        self.net, self.batch = net, batch
        self.values: dict[str, Value] = {}
        self.types: dict[str, int] = {}
        self.left_out: list[str] = []
        self.added: list[str] = []
        """The layers in the order in which they were added, so that none has to be looked for."""
        self._base = ""
        self._counted: dict[int, tuple[str, Constant]] = {}
        self._numbers: dict[str, int] = {}
        self.origins: dict[str, list[Any]] = {}
        """What the arrays of each layer were made of."""
        self.placed: set[int] = set()
        """Origins of the arrays that are weights of a layer."""

    def shape(self, data: Data) -> Shape:
        """The shape of one sample."""
        return self.net.shapes[data.node]

    def full_shape(self, data: Data) -> tuple[Any, ...]:
        """The shape as ONNX has it, with the batch."""
        shape = self.shape(data)
        return (self.batch, *shape) if data.batched else shape

    def begin(self, name: str) -> int:
        """Name the layers that follow; what to undo them is returned."""
        self._base = name
        return len(self.added)

    def undo(self, before: int, output: str) -> None:
        """Take away the layers that were added since."""
        gone = self.added[before:]
        del self.added[before:]
        self.net.graph.remove_nodes_from(gone)
        for node in gone:
            self.net.weights.pop(node, None)
        if gone:
            lost = [key for key, (node, _) in self._counted.items() if node in gone]
            for key in lost:
                del self._counted[key]
        self.net.output = output

    def add(self, layer: Layer, *sources: Data, **arrays: Constant) -> Data:
        """A layer behind others, with its arrays. Raises: Unread when something does not fit."""
        shapes = [self.shape(source) for source in sources]
        try:
            wanted = {**layer.weights(*shapes), **layer.buffers(*shapes)}
            for name, array in arrays.items():
                if tuple(wanted.get(name, ())) != array.shape:
                    raise Unread(f"{name} has shape {array.shape}, not {wanted.get(name)}")
            node = self.net.add(layer, [s.node for s in sources], name=self.fresh())
        except ConvalgError as error:
            raise Unread(str(error)) from None
        self.added.append(node)
        makers = {name: array.array for name, array in arrays.items() if not array.absent}
        if makers:
            self.net.weights[node] = LazyArrays(makers)  # type: ignore[assignment]  # a lazy dict
        self._count(node, layer.weights(*shapes), arrays)
        return Data(node)

    def _count(self, node: str, trained: dict[str, Shape], arrays: dict[str, Constant]) -> None:
        """Count an array that several layers share at the first of them only."""
        again = 0
        for name, array in arrays.items():
            self.placed.add(id(array.origin))
            self.origins.setdefault(node, []).append(array.origin)
            if name not in trained:
                continue
            first, _ = self._counted.setdefault(id(array.origin), (node, array))
            again += array.size if first != node else 0
        if again:
            whole = sum(map(size_product, trained.values()))
            self.net.graph.nodes[node]["parameters"] = whole - again

    def fresh(self) -> str:
        """The name of the next layer of a node."""
        name, number = self._base, self._numbers.get(self._base, 1)
        while name in self.net.graph:
            number += 1
            name = f"{self._base}#{number}"
        self._numbers[self._base] = number
        return name

    def reshaped(self, data: Data, shape: Sequence[Any]) -> Data:
        """The same numbers in another shape of a sample; nothing where it is the same."""
        return data if tuple(shape) == self.shape(data) else self.add(Reshape(tuple(shape)), data)

    def joined(self, sources: list[Data]) -> Data:
        """Several data in one vector, so that what reads all of them has one input."""
        if len(sources) == 1:
            return sources[0]
        flat = [self.add(Reshape((product(self.shape(one)),)), one) for one in sources]
        return self.add(Concat(), *flat)

    def spread(self, data: Data, shape: Shape) -> Data:
        """A sample repeated to a shape, as NumPy broadcasts."""
        return data if shape == self.shape(data) else self.add(Expand(shape), data)


def dims_of(shape: Sequence[Any]) -> int:
    """The number of spatial axes of a sample. Raises: Unread where there are none."""
    if len(shape) < 2:
        raise Unread(f"its input {tuple(shape)} has no spatial axes")
    return len(shape) - 1


def product(shape: Sequence[Any]) -> Any:
    """The number of entries."""
    return size_product(tuple(shape))


def whole_numbers(shape: Sequence[Any]) -> bool:
    """Whether all sizes are known and of at least 1."""
    return all(is_symbolic(n) or (isinstance(n, int) and n > 0) for n in shape)
