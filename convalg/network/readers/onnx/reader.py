"""The conversion of an ONNX file to a network."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convalg.errors import ArgumentError, FileError, KindError, MissingLibraryError, ShapeError
from convalg.limits import format_bytes
from convalg.network.graph import INPUT
from convalg.network.layers.base import Shape
from convalg.network.layers.dropout import Identity
from convalg.network.layers.opaque import Opaque
from convalg.network.network import Network
from convalg.network.readers.onnx import layer_rules, norm_rules, shape_rules
from convalg.network.readers.onnx.builder import (
    FLOAT,
    ILL_FORMED,
    Builder,
    Data,
    Node,
    Outside,
    Unread,
    Value,
    is_complete,
    product,
)
from convalg.network.readers.onnx.folding import MOVES, fold
from convalg.network.readers.onnx.tensors import Constant, absent, constant, shown, stored
from convalg.network.readers.onnx.wire import Skeleton, scan
from convalg.size import as_shape, is_symbolic

if TYPE_CHECKING:
    import onnx

RULES = {**layer_rules.RULES, **norm_rules.RULES, **shape_rules.RULES}
OLDEST = 7
MOST_NODES = 50_000
DEEPEST = 8
LARGEST_SIZE = 2**31 - 1
MOST_FOLDED = 2**24
"""The largest total number of entries of the constants that are computed from others."""
POINTWISE = {
    *("QuantizeLinear", "DequantizeLinear", "Cast", "CastLike", "Round", "Floor", "Ceil", "Sign"),
    *("Not", "IsNaN", "IsInf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh"),
    *("Asinh", "Acosh", "Atanh", "Selu", "Celu", "Mish", "Softsign", "ThresholdedRelu", "Shrink"),
    *("Gelu", "Pow", "BitShift", "BitwiseNot", "Swish"),
}
"""Operators of which each output depends only on the input entry at the same index."""
WITHOUT_WEIGHTS = {
    *("Resize", "Upsample", "Clip", "Pad", "Dropout", "Range", "NonMaxSuppression", "OneHot"),
    *("RoiAlign", "MaxRoiPool", "QuantizeLinear", "DequantizeLinear", "Reshape", "Expand"),
}
"""Operators whose constant inputs are options, not trained arrays."""
STANDARD = ("", "ai.onnx")
TENSOR, GRAPH, GRAPHS = 4, 5, 10


def read_onnx(path: object, in_shape: object = None) -> Network:
    """Return the network of an ONNX file, with one or several layers for each operator.

    Weights are loaded when they are first used. The first axis of all data is the batch, and the
    first input of the model is the input of the network. An operator for which there is no layer
    becomes an opaque layer with the output shape that ONNX infers: receptive fields and counts are
    computed across it, but running it raises an error. Operators whose output shape is unknown
    are left out and listed in `net.graph.graph["left_out"]`.

    Args:
        path: the path of the file, a string or a `pathlib.Path`.
        in_shape: the shape of one sample, `(channels, *spatial)`; required if the file does not
            specify all sizes.

    Raises:
        KindError: when path is not a path.
        FileError: when the file cannot be read or is not a valid ONNX model.
        ShapeError: when in_shape does not match the input of the model.
        ArgumentError: when in_shape is omitted although the file does not specify all sizes.
        MissingLibraryError: when the onnx package is not installed.

    >>> import convalg as ca
    >>> ca.read_onnx("missing.onnx")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    convalg.errors.FileError: cannot read 'missing.onnx' ...
    """
    if not isinstance(path, (str, PathLike)):
        raise KindError(f"path must be the path of a file, not {path!r} ({type(path).__name__})")
    skeleton = scan(Path(path))
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingLibraryError(
            f"ONNX files need the onnx package ({error}): pip install 'convalg[onnx]'"
        ) from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(skeleton.model)
        return _ModelReader(model, skeleton).read(in_shape)
    except (DecodeError, UnicodeDecodeError) as error:
        raise FileError(f"{skeleton.path} is not an ONNX model: {error}") from None


class _ModelReader:
    def __init__(self, model: onnx.ModelProto, skeleton: Skeleton) -> None:
        self.model, self.skeleton, self.path = model, skeleton, skeleton.path
        if not model.HasField("graph") or not model.graph.node:
            raise FileError(
                f"{self.path} is not an ONNX model: it does not contain a graph with nodes"
            )
        versions = {o.domain: o.version for o in model.opset_import}
        self.opset = int(versions.get("", versions.get("ai.onnx", 0)))
        if self.opset < OLDEST:
            raise FileError(
                f"the opset of {self.path} must be {OLDEST} or later, not {self.opset}: convert "
                f"the file with onnx.version_converter"
            )
        self.nodes = 0
        self.folded = 0
        self._names_read: set[str] = set()
        self.builder: Builder

    def read(self, in_shape: object) -> Network:
        graph = self.model.graph
        constants = {t.name: constant(t, self.skeleton) for t in graph.initializer}
        inputs = [proto for proto in graph.input if proto.name not in constants]
        if not inputs:
            raise FileError(f"{self.path} does not contain a network: the model has no input")
        shape, batch = self._input(inputs[0], in_shape)
        net = Network(shape, name=shown(graph.name) or "network")
        b = self.builder = Builder(net, batch)
        self._describe(graph)
        self._others = [proto.name for proto in inputs[1:]]
        b.values.update({name: self._outside(name) for name in self._others})
        b.values.update({k: v if v else Outside() for k, v in constants.items()})
        b.values[inputs[0].name] = Data("input")
        self._run(graph.node, depth=0)
        self._finish(net, shown(inputs[0].name))
        return net

    def _finish(self, net: Network, given: str) -> None:
        """Set the outputs of the network. Raises: FileError if none depends on the input."""
        b, graph = self.builder, self.model.graph
        nodes = []
        for proto in graph.output:
            value = b.values.get(proto.name)
            if isinstance(value, Data):
                nodes.append(value.node)
                continue
            reason = "is a constant" if isinstance(value, Constant) else "is not computed"
            if not b.left_out and len(graph.output) == 1:
                raise FileError(
                    f"output {shown(proto.name)} of {self.path} {reason}: it does not depend on "
                    f"the entries of the input {given}, so there is no network to read"
                )
            if len(graph.output) > 1:
                b.left_out.append(f"output {shown(proto.name)}, which {reason}")
                net.graph.graph["outputs_missing"] = True
        if not graph.output:
            raise FileError(f"{self.path} does not contain a network: the model has no output")
        for name in self._others:
            value = b.values[name]
            is_weight = isinstance(value, Constant) and id(value.origin) in b.placed
            if not is_weight and name in self._names_read:
                b.left_out.append(f"input {shown(name)}, since a network has only one input")
        net.output = nodes[0] if nodes else (b.added or [INPUT])[-1]
        net.graph.graph.update(left_out=b.left_out, outputs=nodes, opset=self.opset)

    # Inputs and shapes declared in the file.

    def _input(self, proto: onnx.ValueInfoProto, in_shape: object) -> tuple[tuple[Any, ...], Any]:
        """Return the shape of one sample, and the batch size for shape arithmetic."""
        name = shown(proto.name)
        sizes = _sizes(proto)
        if sizes is not None and any(n is not None and n > LARGEST_SIZE for n in sizes):
            raise FileError(
                f"the size of each axis of input {name} of {self.path} must be at most "
                f"{LARGEST_SIZE}, but the sizes are {sizes}"
            )
        if sizes is not None and len(sizes) < 2:
            raise ShapeError(
                f"the shape of input {name} must be (batch, channels, *spatial), not {tuple(sizes)}"
            )
        batch = sizes[0] if sizes and sizes[0] else 1
        if in_shape is None:
            if sizes is None or not all(sizes[1:]):
                raise ArgumentError(
                    f"the shape {_shape_text(proto)} of input {name} has unknown sizes: pass "
                    f"in_shape=, the shape of one sample without the batch, such as (3, 224, 224)"
                )
            return tuple(sizes[1:]), batch
        shape = tuple(as_shape(in_shape, "in_shape"))
        fits = sizes is None or (
            len(shape) == len(sizes) - 1
            and all(not n or n == m for n, m in zip(sizes[1:], shape, strict=True))
        )
        if not fits:
            raise ShapeError(
                f"in_shape must match input {name} of shape {_shape_text(proto)}, not "
                f"{shape}: the first axis of the input is the batch"
            )
        return shape, batch

    def _describe(self, graph: onnx.GraphProto) -> None:
        """Store the shapes and types that the file declares for names."""
        self.described: dict[str, tuple[Any, ...] | None] = {}
        for proto in (*graph.input, *graph.value_info, *graph.output):
            sizes = _sizes(proto)
            complete = sizes is not None and all(n and n <= LARGEST_SIZE for n in sizes)
            self.described[proto.name] = tuple(sizes) if complete and sizes is not None else None
            self.builder.types[proto.name] = proto.type.tensor_type.elem_type or FLOAT

    def _outside(self, name: str) -> Value:
        """Return the value of a second or later input: absent weights if its shape is known."""
        shape = self.described.get(name)
        if shape is None:
            return Outside()
        return absent(shape, "f4", f"{shown(name)} is an input of the model")

    # Nodes.

    def _run(self, nodes: Iterable[onnx.NodeProto], depth: int) -> None:
        """Convert all nodes in data-flow order."""
        for proto in self._sorted(list(nodes)):
            self.nodes += 1
            if self.nodes > MOST_NODES:
                raise FileError(
                    f"{self.path} has more than {MOST_NODES} nodes, the most that convalg reads"
                )
            values = self._inlined(proto, depth) or self._values(proto)
            # Marked, so that nodes that read such an output do not treat it as an omitted input.
            for name, value in zip_longest(proto.output, values, fillvalue=Outside()):
                if isinstance(name, str) and name:
                    self.builder.values[name] = value

    def _sorted(self, nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
        """Sort nodes topologically. Raises: FileError for cycles and unknown names."""
        makers: dict[str, int] = {}
        for k, proto in enumerate(nodes):
            for name in proto.output:
                if name and (name in makers or name in self.builder.values):
                    raise FileError(
                        f"{self.path} has two values with the name {shown(name)}: export it again"
                    )
                if name:
                    makers[name] = k
        waiting = [0] * len(nodes)
        readers: list[list[int]] = [[] for _ in nodes]
        for k, proto in enumerate(nodes):
            for name in set(_read_by(proto)):
                self._names_read.add(name)
                if name in makers:
                    waiting[k] += 1
                    readers[makers[name]].append(k)
                elif name in proto.input and name not in self.builder.values:
                    raise FileError(
                        f"node {_label(proto)} of {self.path} reads {shown(name)}, which no node "
                        f"or input of the model defines"
                    )
        ready = [k for k, count in enumerate(waiting) if not count][::-1]
        order = []
        while ready:
            k = ready.pop()
            order.append(nodes[k])
            for reader in readers[k]:
                waiting[reader] -= 1
                if not waiting[reader]:
                    ready.append(reader)
        if len(order) < len(nodes):
            stuck = next(proto for k, proto in enumerate(nodes) if waiting[k])
            raise FileError(
                f"the graph of {self.path} has a cycle: node {_label(stuck)} depends on its own "
                f"output"
            )
        return order

    def _inlined(self, proto: onnx.NodeProto, depth: int) -> list[Value] | None:
        """Return the outputs of an If whose condition is a constant; None for other nodes."""
        condition = self.builder.values.get(proto.input[0]) if proto.input else None
        if proto.op_type != "If" or not isinstance(condition, Constant) or condition.size != 1:
            return None
        name = "then_branch" if condition.array().any() else "else_branch"
        branches = [a.g for a in proto.attribute if a.name == name]
        if not branches or depth >= DEEPEST:
            return None
        b, branch = self.builder, branches[0]
        constants = {t.name: constant(t, self.skeleton) for t in branch.initializer}
        inner = {*constants, *(name for node in branch.node for name in node.output)}
        before = {name: b.values[name] for name in inner if name in b.values}
        b.values.update({k: v if v else Outside() for k, v in constants.items()})
        self._run(branch.node, depth + 1)
        values = [b.values.get(output.name, Outside()) for output in branch.output]
        for name in inner:
            b.values.pop(name, None)
        b.values.update(before)
        return values

    def _values(self, proto: onnx.NodeProto) -> list[Value]:
        """Return the outputs of a node: constants, or outputs of layers, which may be opaque."""
        b = self.builder
        name = shown(proto.name) or (shown(proto.output[0]) if proto.output else "")
        before, output = b.begin(name or shown(proto.op_type) or "node"), b.net.output
        try:
            node = self._node(proto, name)
            return self._converted(node)
        except (Unread, *ILL_FORMED) as error:
            if isinstance(error, FileError):
                raise
            b.undo(before, output)
            reason = str(error) if isinstance(error, Unread) else f"it is ill-formed: {error}"
        return self._opaque(proto, shown(reason, 200))

    def _converted(self, node: Node) -> list[Value]:
        """Return the outputs of a node. Raises: Unread or an ILL_FORMED error without a layer."""
        first = node.given(0)
        if node.op == "Shape" and isinstance(first, Data):
            sizes = self.builder.full_shape(first)[node.get("start", 0) : node.get("end")]
            symbolic = any(is_symbolic(n) for n in sizes)
            return [stored(np.array(sizes, dtype=object if symbolic else np.int64))]
        if node.op == "Size" and isinstance(first, Data):
            return [stored(np.array(product(self.builder.full_shape(first))))]
        if all(value is None or isinstance(value, Constant) for value in node.inputs):
            return list(self._folded(node))
        if node.op not in RULES:
            raise Unread("this operator has no layer")
        versions, rule = RULES[node.op]
        if node.version not in versions:
            raise Unread(f"version {node.version} of this operator is not supported")
        result = rule(self.builder, node)
        return result if isinstance(result, list) else [result]

    def _folded(self, node: Node) -> list[Constant]:
        """Compute constants from constants. Raises: FileError for too many numbers in total."""
        constants = fold(node)
        if node.op not in MOVES and node.op != "Constant":
            self.folded += sum(array.size for array in constants)
        if self.folded > MOST_FOLDED:
            needed = format_bytes(8 * self.folded)
            raise FileError(
                f"the constants that {self.path} defines by other constants take {needed} or more, "
                f"over the limit of {format_bytes(8 * MOST_FOLDED)}: fold the constants of the "
                f"model with another tool first"
            )
        return constants

    def _node(self, proto: onnx.NodeProto, name: str) -> Node:
        """Return a node with its attributes and inputs. Raises: Unread if it is not valid."""
        from onnx import defs, helper

        if proto.domain not in STANDARD:
            raise Unread(f"it belongs to the domain {shown(proto.domain)}")
        inputs = [self.builder.values.get(name) if name else None for name in proto.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        try:
            version = defs.get_schema(proto.op_type, self.opset).since_version
        except defs.SchemaError:
            raise Unread("ONNX does not have this operator") from None
        attributes = {
            a.name: constant(a.t, self.skeleton)
            if a.type == TENSOR
            else helper.get_attribute_value(a)
            for a in proto.attribute
            if a.type not in (GRAPH, GRAPHS)
        }
        if proto.op_type in RULES:
            self._check(proto)
        return Node(proto, name, proto.op_type, version, attributes, inputs)

    def _check(self, proto: onnx.NodeProto) -> None:
        """Raise Unread unless the inputs and attributes are valid for the operator."""
        from onnx import checker

        context = checker.C.CheckerContext()
        context.ir_version = checker.DEFAULT_CONTEXT.ir_version
        context.opset_imports = {"": self.opset}
        try:
            checker.check_node(proto, context)
        except checker.ValidationError as error:
            raise Unread(f"it is ill-formed: {error}") from None

    # Opaque nodes.

    def _opaque(self, proto: onnx.NodeProto, reason: str) -> list[Value]:
        """Return the outputs of a node without a layer, with the shapes that ONNX infers."""
        from convalg.network.readers.onnx.inference import inferred

        b = self.builder
        sources = [
            v for n in dict.fromkeys(_read_by(proto)) if isinstance(v := b.values.get(n), Data)
        ]
        shapes = inferred(b, proto, self.model.opset_import)
        values: list[Value] = []
        joined: Data | None = None
        arrays = self._arrays(proto)
        for name in proto.output:
            elem, shape = shapes.get(name, (b.types.get(name, FLOAT), None))
            shape = shape or self.described.get(name)
            b.types[name] = elem
            if not sources:
                values.append(Outside(shape))
            elif shape is None or not is_complete(shape):
                if name:
                    b.left_out.append(f"{_label(proto)} without a shape: {reason}")
                values.append(Outside())
            elif not name:
                values.append(Outside())
            else:
                joined = joined or b.joined(sources)
                values.append(self._opaque_layer(joined, proto, shape, reason, sources, arrays))
                arrays = {}
        return values

    def _opaque_layer(
        self,
        source: Data,
        proto: onnx.NodeProto,
        shape: Shape,
        reason: str,
        sources: list[Data],
        arrays: dict[str, Constant],
    ) -> Data:
        b, op = self.builder, shown(proto.op_type)
        batched = all(data.batched for data in sources) and len(shape) > 1 and shape[0] == b.batch
        own = tuple(shape[1:] if batched else shape or (1,))
        named_shapes = tuple((name, array.shape) for name, array in arrays.items())
        same_shape = len(sources) == 1 and own == b.shape(source)
        like = Identity() if op in POINTWISE and same_shape and not named_shapes else None
        node = b.add(Opaque(op, own, reason, like, named_shapes), source, **arrays).node
        return Data(node, batched)

    def _arrays(self, proto: onnx.NodeProto) -> dict[str, Constant]:
        """Return the weights of a node without a layer: its floating-point constants."""
        if proto.op_type in WITHOUT_WEIGHTS:
            return {}
        arrays = {}
        for name in dict.fromkeys(_read_by(proto)):
            value = self.builder.values.get(name)
            if not isinstance(value, Constant) or value.absent:
                continue
            if value.dtype.kind == "f" and value.size > 1:
                arrays[shown(name)] = value
        return arrays


def _sizes(proto: onnx.ValueInfoProto) -> list[int | None] | None:
    """Return the declared sizes of a value, None for each unknown one; None without a shape."""
    if not proto.type.HasField("tensor_type") or not proto.type.tensor_type.HasField("shape"):
        return None
    dims = proto.type.tensor_type.shape.dim
    return [int(d.dim_value) if d.dim_value > 0 else None for d in dims]


def _shape_text(proto: onnx.ValueInfoProto) -> str:
    """Return the declared shape of a value as text, such as "(n, 3, 224, 224)"."""
    if _sizes(proto) is None:
        return "(unknown)"
    dims = proto.type.tensor_type.shape.dim
    sizes = [str(d.dim_value) if d.dim_value > 0 else shown(d.dim_param) or "?" for d in dims]
    return f"({', '.join(sizes)})"


def _label(proto: onnx.NodeProto) -> str:
    """Return the operator of a node with its name, or with the names of its outputs."""
    return f"{shown(proto.op_type)} {shown(proto.name) or ', '.join(map(shown, proto.output))}"


def _read_by(proto: onnx.NodeProto) -> list[str]:
    """Return the names that a node reads, including outer names that its subgraphs read."""
    names = [name for name in proto.input if name]
    for attribute in proto.attribute:
        for graph in [attribute.g] if attribute.type == GRAPH else attribute.graphs:
            inside = {value.name for value in (*graph.input, *graph.initializer)}
            inner: list[str] = []
            for node in graph.node:
                inner.extend(_read_by(node))
                inside.update(node.output)
            inner.extend(value.name for value in graph.output)
            names.extend(name for name in inner if name not in inside)
    return names
