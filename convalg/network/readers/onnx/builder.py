"""The values of ONNX nodes, and the network to which their layers are added."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from convalg.axis import Size
from convalg.errors import ConvalgError
from convalg.network.layers.base import Layer, Shape
from convalg.network.layers.rearrange import Expand
from convalg.network.layers.shape import Concat, Reshape
from convalg.network.network import Network
from convalg.network.readers.onnx.tensors import Constant, LazyArrays, shown
from convalg.size import is_symbolic, size_product

if TYPE_CHECKING:
    import onnx

FLOAT = 1
SMALL = 2**16
"""The largest number of entries of a constant whose values determine shapes."""

ILL_FORMED = (ArithmeticError, LookupError, TypeError, ValueError)
"""The errors that invalid attributes or inputs of a node may cause."""


class Unread(Exception):  # noqa: N818 - not an error of the user
    """Raised with the reason why a node has no layer and becomes opaque."""


@dataclass(frozen=True)
class Data:
    """The output of a node of the network; `batched` is True if its first axis is the batch."""

    node: str
    batched: bool = True


@dataclass(frozen=True)
class Outside:
    """A value that is neither a constant nor the output of a node of the network."""

    shape: tuple[Any, ...] | None = None


Value: TypeAlias = "Data | Outside | Constant"


@dataclass(frozen=True)
class Node:
    """A node of the model with its attributes as Python values and its input values."""

    proto: onnx.NodeProto
    name: str
    op: str
    version: int
    attributes: dict[str, Any]
    inputs: list[Value | None]

    def get(self, name: str, default: object = None) -> Any:
        """Return an attribute, or the default if it is missing; bytes are returned as str."""
        value = self.attributes.get(name, default)
        return shown(value) if isinstance(value, bytes) else value

    def given(self, index: int) -> Value | None:
        """Return an input, or None if it is missing."""
        return self.inputs[index] if index < len(self.inputs) else None

    def data(self, index: int = 0) -> Data:
        """Return an input that is the output of a node of the network. Raises: Unread otherwise."""
        value = self.given(index)
        if not isinstance(value, Data):
            raise Unread(f"input {index} is not computed from the network's input")
        if not value.batched:
            raise Unread("the first axis of its input is not the batch")
        return value

    def constant(self, index: int) -> Constant:
        """Return an input that is a constant. Raises: Unread otherwise."""
        value = self.given(index)
        if not isinstance(value, Constant):
            raise Unread(f"input {index} is not a constant of the model")
        return value

    def numbers(self, index: int) -> list[Any]:
        """Return the entries of a short constant input as a list. Raises: Unread otherwise."""
        value = self.constant(index)
        if value.size > SMALL:
            raise Unread(f"input {index} has {value.size} entries, more than the limit of {SMALL}")
        if value.absent:
            raise Unread(f"the entries of input {index} are not available: {value.absent}")
        return value.array().ravel().tolist()

    def optional_numbers(self, index: int) -> list[Any] | None:
        """Return the entries of a short constant input, or None if it is missing or empty."""
        if self.given(index) is None:
            return None
        return self.numbers(index) or None


class Builder:
    """A network to which layers are added, with the value of each name of the model.

    `batch` is the size of the batch in the arithmetic of shapes.
    """

    def __init__(self, net: Network, batch: object) -> None:
        self.net, self.batch = net, batch
        self.values: dict[str, Value] = {}
        self.types: dict[str, int] = {}
        self.left_out: list[str] = []
        self.added: list[str] = []
        """The nodes of the layers in the order in which they were added."""
        self._base = ""
        self._counted: dict[int, tuple[str, Constant]] = {}
        self._numbers: dict[str, int] = {}
        self.origins: dict[str, list[object]] = {}
        """The origins of the arrays of each layer, by node."""
        self.placed: set[int] = set()
        """The `id` of the origin of each array that is a weight of a layer."""

    def shape(self, data: Data) -> Shape:
        """Return the shape of one sample of data."""
        return self.net.shapes[data.node]

    def full_shape(self, data: Data) -> tuple[Any, ...]:
        """Return the shape of data as in ONNX, with the batch as the first axis."""
        shape = self.shape(data)
        return (self.batch, *shape) if data.batched else shape

    def begin(self, name: str) -> int:
        """Set the name of the next layers, and return the number of layers for `undo`."""
        self._base = name
        return len(self.added)

    def undo(self, before: int, output: str) -> None:
        """Remove all layers after the first `before`, and restore the output of the network."""
        removed = self.added[before:]
        del self.added[before:]
        self.net.graph.remove_nodes_from(removed)
        for node in removed:
            self.net.weights.pop(node, None)
        if removed:
            keys = [key for key, (node, _) in self._counted.items() if node in removed]
            for key in keys:
                del self._counted[key]
        self.net.output = output

    def add(self, layer: Layer, *sources: Data, **arrays: Constant) -> Data:
        """Append a layer with its arrays. Raises: Unread if a shape is invalid for the layer."""
        shapes = [self.shape(source) for source in sources]
        try:
            required = {**layer.weights(*shapes), **layer.buffers(*shapes)}
            for name, array in arrays.items():
                if tuple(required.get(name, ())) != array.shape:
                    raise Unread(f"{name} has shape {array.shape}, not {required.get(name)}")
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
        """Store the number of parameters of a layer, without arrays that earlier layers have."""
        shared = 0
        for name, array in arrays.items():
            self.placed.add(id(array.origin))
            self.origins.setdefault(node, []).append(array.origin)
            if name not in trained:
                continue
            first, _ = self._counted.setdefault(id(array.origin), (node, array))
            shared += array.size if first != node else 0
        if shared:
            total = sum(map(size_product, trained.values()))
            self.net.graph.nodes[node]["parameters"] = total - shared

    def fresh(self) -> str:
        """Return a new name for the next layer of a node of the model."""
        name, number = self._base, self._numbers.get(self._base, 1)
        while name in self.net.graph:
            number += 1
            name = f"{self._base}#{number}"
        self._numbers[self._base] = number
        return name

    def reshaped(self, data: Data, shape: Sequence[Size]) -> Data:
        """Append a Reshape, unless the samples already have the shape."""
        return data if tuple(shape) == self.shape(data) else self.add(Reshape(tuple(shape)), data)

    def joined(self, sources: list[Data]) -> Data:
        """Append the concatenation of several data to one vector, unless there is only one."""
        if len(sources) == 1:
            return sources[0]
        flat = [self.add(Reshape((product(self.shape(data)),)), data) for data in sources]
        return self.add(Concat(), *flat)

    def spread(self, data: Data, shape: Shape) -> Data:
        """Append an Expand, unless the samples already have the shape."""
        return data if shape == self.shape(data) else self.add(Expand(shape), data)


def dims_of(shape: Sequence[object]) -> int:
    """Return the number of spatial axes of a sample. Raises: Unread if there are none."""
    if len(shape) < 2:
        raise Unread(f"its input of shape {tuple(shape)} has no spatial axes")
    return len(shape) - 1


def product(shape: Sequence[Size]) -> Any:
    """Return the number of entries of an array of a given shape."""
    return size_product(tuple(shape))


def is_complete(shape: Sequence[object]) -> bool:
    """Return whether all sizes are known and at least 1."""
    return all(is_symbolic(n) or (isinstance(n, int) and n > 0) for n in shape)
