"""A network from an ONNX file."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from convalg.errors import ArgumentError, FileError, KindError, MissingLibraryError, ShapeError
from convalg.limits import format_bytes
from convalg.network.graph import INPUT
from convalg.network.layers.elementwise import Identity
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
    product,
    whole_numbers,
)
from convalg.network.readers.onnx.folding import MOVES, fold
from convalg.network.readers.onnx.tensors import Constant, absent, constant, known, shown
from convalg.network.readers.onnx.wire import Skeleton, scan
from convalg.size import as_shape, is_symbolic

RULES = {**layer_rules.RULES, **norm_rules.RULES, **shape_rules.RULES}
OLDEST = 7
MOST_NODES = 50_000
DEEPEST = 8
LARGEST_SIZE = 2**31 - 1
MOST_FOLDED = 2**24
"""Numbers that constants may have together that are computed from others."""
POINTWISE = {
    *("QuantizeLinear", "DequantizeLinear", "Cast", "CastLike", "Round", "Floor", "Ceil", "Sign"),
    *("Not", "IsNaN", "IsInf", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh"),
    *("Asinh", "Acosh", "Atanh", "Selu", "Celu", "Mish", "Softsign", "ThresholdedRelu", "Shrink"),
    *("Gelu", "Pow", "BitShift", "BitwiseNot", "Swish"),
}
"""Operators of which each output reads its own entry of the one input with data."""
WITHOUT_WEIGHTS = {
    *("Resize", "Upsample", "Clip", "Pad", "Dropout", "Range", "NonMaxSuppression", "OneHot"),
    *("RoiAlign", "MaxRoiPool", "QuantizeLinear", "DequantizeLinear", "Reshape", "Expand"),
}
"""Operators whose constants are options, and not trained."""
STANDARD = ("", "ai.onnx")
TENSOR, GRAPH, GRAPHS = 4, 5, 10


def read_onnx(path: Any, in_shape: Any = None) -> Network:
    """The network of an ONNX file, layer by layer; weights are loaded when they are first used.

    Shapes: `in_shape` is that of one sample, `(channels, *spatial)`; it is needed where the
    file leaves sizes open. ONNX's first axis is the batch; the first input is the network's.
    Operators that have no layer stay as opaque nodes with the shape that ONNX gives them:
    receptive fields and counts go on around them, running them raises an error.
    What has no shape is left out and listed in `net.graph.graph["left_out"]`.
    Raises: FileError for a file that is no sound ONNX model, ShapeError and ArgumentError where
    the shape of the input does not fit or is open, MissingLibraryError without onnx.

    >>> read_onnx("missing.onnx")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    convalg.errors.FileError: 'missing.onnx' cannot be read as a file: ...
    """
    if not isinstance(path, (str, PathLike)):
        raise KindError(f"path must be that of a file, not {path!r} ({type(path).__name__})")
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
        raise FileError(f"{skeleton.path} is no ONNX model: {error}") from None


class _ModelReader:
    def __init__(self, model: Any, skeleton: Skeleton) -> None:
        self.model, self.skeleton, self.path = model, skeleton, skeleton.path
        if not model.HasField("graph") or not model.graph.node:
            raise FileError(f"{self.path} holds no graph with nodes: it is no ONNX model")
        versions = {o.domain: o.version for o in model.opset_import}
        self.opset = int(versions.get("", versions.get("ai.onnx", 0)))
        if self.opset < OLDEST:
            raise FileError(
                f"{self.path} has opset {self.opset}, and {OLDEST} or later is read: convert it "
                f"with onnx.version_converter"
            )
        self.nodes = 0
        self.folded = 0
        self._names_read: set[str] = set()
        self.builder: Builder

    def read(self, in_shape: Any) -> Network:
        graph = self.model.graph
        constants = {t.name: constant(t, self.skeleton) for t in graph.initializer}
        inputs = [one for one in graph.input if one.name not in constants]
        if not inputs:
            raise FileError(f"{self.path} has no input: it is no network")
        shape, batch = self._input(inputs[0], in_shape)
        net = Network(shape, name=shown(graph.name) or "network")
        b = self.builder = Builder(net, batch)
        self._describe(graph)
        b.values.update({one.name: self._outside(one.name) for one in inputs[1:]})
        self._others = [one.name for one in inputs[1:]]
        b.values.update({k: v if v else Outside() for k, v in constants.items()})
        b.values[inputs[0].name] = Data("input")
        self._run(graph.node, depth=0)
        self._finish(net, shown(inputs[0].name))
        return net

    def _finish(self, net: Network, given: str) -> None:
        """Set the output. Raises: FileError where none depends on the data of the input."""
        b, graph = self.builder, self.model.graph
        nodes = []
        for one in graph.output:
            value = b.values.get(one.name)
            if isinstance(value, Data):
                nodes.append(value.node)
                continue
            what = "is a constant" if isinstance(value, Constant) else "is not computed here"
            if not b.left_out and len(graph.output) == 1:
                raise FileError(
                    f"output {shown(one.name)} of {self.path} {what}: it does not depend on the "
                    f"numbers of the input {given}, so that there is no network to read"
                )
            if len(graph.output) > 1:
                b.left_out.append(f"output {shown(one.name)}, which {what}")
                net.graph.graph["outputs_missing"] = True
        if not graph.output:
            raise FileError(f"{self.path} has no output: it is no network")
        for name in self._others:
            value = b.values[name]
            unplaced = not isinstance(value, Constant) or id(value.origin) not in b.placed
            if unplaced and name in self._names_read:
                b.left_out.append(f"input {shown(name)}, since a network here has one input")
        net.output = nodes[0] if nodes else (b.added or [INPUT])[-1]
        net.graph.graph.update(left_out=b.left_out, outputs=nodes, opset=self.opset)

    # Inputs and shapes that the file gives.

    def _input(self, proto: Any, in_shape: Any) -> tuple[tuple[Any, ...], Any]:
        """The shape of one sample, and the batch that shape arithmetic sees."""
        name = shown(proto.name)
        sizes = _sizes(proto)
        if sizes is not None and any(n is not None and n > LARGEST_SIZE for n in sizes):
            raise FileError(f"input {name} of {self.path} has the sizes {sizes}: that is no size")
        if sizes is not None and len(sizes) < 2:
            raise ShapeError(
                f"input {name} has the shape {tuple(sizes)}: a network's is (batch, channels, "
                f"*spatial)"
            )
        batch = sizes[0] if sizes and sizes[0] else 1
        if in_shape is None:
            if sizes is None or not all(sizes[1:]):
                words = _shape_words(proto)
                raise ArgumentError(
                    f"input {name} has the shape {words} with open sizes: pass in_shape=, that "
                    f"of one sample without the batch, as in (3, 224, 224)"
                )
            return tuple(sizes[1:]), batch
        wanted = tuple(as_shape(in_shape, "in_shape"))
        fits = sizes is None or (
            len(wanted) == len(sizes) - 1
            and all(not n or n == m for n, m in zip(sizes[1:], wanted, strict=True))
        )
        if not fits:
            raise ShapeError(
                f"in_shape {wanted} does not fit input {name} of shape {_shape_words(proto)}, "
                f"whose first axis is the batch"
            )
        return wanted, batch

    def _describe(self, graph: Any) -> None:
        """The shapes and types that the file gives to names."""
        self.described: dict[str, tuple[Any, ...] | None] = {}
        for one in (*graph.input, *graph.value_info, *graph.output):
            sizes = _sizes(one)
            whole = sizes is not None and all(n and n <= LARGEST_SIZE for n in sizes)
            self.described[one.name] = tuple(sizes) if whole and sizes is not None else None
            self.builder.types[one.name] = one.type.tensor_type.elem_type or FLOAT

    def _outside(self, name: str) -> Value:
        """Another input: the weights of a layer where it is read as such, else left out."""
        shape = self.described.get(name)
        if shape is None:
            return Outside()
        return absent(shape, "f4", f"{shown(name)} is an input of the model")

    # Nodes.

    def _run(self, nodes: Iterable[Any], depth: int) -> None:
        """Every node in an order in which data can flow."""
        for proto in self._sorted(list(nodes)):
            self.nodes += 1
            if self.nodes > MOST_NODES:
                raise FileError(f"{self.path} has over {MOST_NODES} nodes: no network has so many")
            found = self._inlined(proto, depth) or self._values(proto)
            # An output that the reader does not make is no missing input to who reads it.
            for name, value in zip_longest(proto.output, found, fillvalue=Outside()):
                if isinstance(name, str) and name:
                    self.builder.values[name] = value

    def _sorted(self, nodes: list[Any]) -> list[Any]:
        """Nodes behind those that they read. Raises: FileError for cycles and unknown names."""
        makers: dict[str, int] = {}
        for k, proto in enumerate(nodes):
            for name in proto.output:
                if name and (name in makers or name in self.builder.values):
                    raise FileError(f"{self.path} gives the name {shown(name)} to two values")
                if name:
                    makers[name] = k
        waiting, readers = [0] * len(nodes), [[] for _ in nodes]  # type: ignore[var-annotated]  # lists of node numbers
        for k, proto in enumerate(nodes):
            for name in set(_read_by(proto)):
                self._names_read.add(name)
                if name in makers:
                    waiting[k] += 1
                    readers[makers[name]].append(k)
                elif name in proto.input and name not in self.builder.values:
                    raise FileError(
                        f"{self.path} has a node {_label(proto)} that reads {shown(name)}, which "
                        f"nothing gives"
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
            raise FileError(f"{self.path} has a cycle: {_label(stuck)} waits for its own output")
        return order

    def _inlined(self, proto: Any, depth: int) -> list[Value] | None:
        """The outputs of the branch that a constant condition takes."""
        condition = self.builder.values.get(proto.input[0]) if proto.input else None
        if proto.op_type != "If" or not isinstance(condition, Constant) or condition.size != 1:
            return None
        name = "then_branch" if condition.array().any() else "else_branch"
        branches = [a.g for a in proto.attribute if a.name == name]
        if not branches or depth >= DEEPEST:
            return None
        b, branch = self.builder, branches[0]
        found = {t.name: constant(t, self.skeleton) for t in branch.initializer}
        inner = {*found, *(name for node in branch.node for name in node.output)}
        before = {name: b.values[name] for name in inner if name in b.values}
        b.values.update({k: v if v else Outside() for k, v in found.items()})
        self._run(branch.node, depth + 1)
        values = [b.values.get(one.name, Outside()) for one in branch.output]
        for name in inner:
            b.values.pop(name, None)
        b.values.update(before)
        return values

    def _values(self, proto: Any) -> list[Value]:
        """What a node gives: constants, layers, or opaque nodes."""
        b = self.builder
        name = shown(proto.name) or (shown(proto.output[0]) if proto.output else "")
        before, output = b.begin(name or shown(proto.op_type) or "node"), b.net.output
        try:
            node = self._node(proto, name)
            return self._understood(node)
        except (Unread, *ILL_FORMED) as error:
            if isinstance(error, FileError):
                raise
            b.undo(before, output)
            reason = str(error) if isinstance(error, Unread) else f"it is ill-formed: {error}"
        return self._opaque(proto, shown(reason, 200))

    def _understood(self, node: Node) -> list[Value]:
        """Raises: Unread, or what is ILL_FORMED, where there is no layer for it."""
        first = node.given(0)
        if node.op == "Shape" and isinstance(first, Data):
            sizes = self.builder.full_shape(first)[node.get("start", 0) : node.get("end")]
            letters = any(is_symbolic(n) for n in sizes)
            return [known(np.array(sizes, dtype=object if letters else np.int64))]
        if node.op == "Size" and isinstance(first, Data):
            return [known(np.array(product(self.builder.full_shape(first))))]
        if all(value is None or isinstance(value, Constant) for value in node.inputs):
            return list(self._folded(node))
        if node.op not in RULES:
            raise Unread("this operator has no layer")
        versions, rule = RULES[node.op]
        if node.version not in versions:
            raise Unread(f"version {node.version} of this operator is not read")
        found = rule(self.builder, node)
        return found if isinstance(found, list) else [found]

    def _folded(self, node: Node) -> list[Constant]:
        """Constants of constants. Raises: FileError where all of them together are too many."""
        found = fold(node)
        if node.op not in MOVES and node.op != "Constant":
            self.folded += sum(one.size for one in found)
        if self.folded > MOST_FOLDED:
            needed = format_bytes(8 * self.folded)
            raise FileError(
                f"{self.path} computes constants of over {needed}, more than any network needs: "
                f"fold them with another tool first"
            )
        return found

    def _node(self, proto: Any, name: str) -> Node:
        from onnx import defs, helper

        if proto.domain not in STANDARD:
            raise Unread(f"it is of the domain {shown(proto.domain)}")
        inputs = [self.builder.values.get(one) if one else None for one in proto.input]
        while inputs and inputs[-1] is None:
            inputs.pop()
        try:
            version = defs.get_schema(proto.op_type, self.opset).since_version
        except defs.SchemaError:
            raise Unread("no such operator is in ONNX") from None
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

    def _check(self, proto: Any) -> None:
        """Raises: Unread unless inputs and attributes are those that the operator takes."""
        from onnx import checker

        context = checker.C.CheckerContext()
        context.ir_version = checker.DEFAULT_CONTEXT.ir_version
        context.opset_imports = {"": self.opset}
        try:
            checker.check_node(proto, context)
        except checker.ValidationError as error:
            raise Unread(f"it is ill-formed: {error}") from None

    # What is opaque.

    def _opaque(self, proto: Any, reason: str) -> list[Value]:
        """The outputs of a node that has no layer, with the shapes that ONNX gives."""
        from convalg.network.readers.onnx.inference import inferred

        b = self.builder
        sources = [
            v for n in dict.fromkeys(_read_by(proto)) if isinstance(v := b.values.get(n), Data)
        ]
        shapes = inferred(b, proto, self.model.opset_import)
        found: list[Value] = []
        joined: Data | None = None
        arrays = self._arrays(proto)
        for name in proto.output:
            elem, shape = shapes.get(name, (b.types.get(name, FLOAT), None))
            shape = shape or self.described.get(name)
            b.types[name] = elem
            if not sources:
                found.append(Outside(shape))
            elif shape is None or not whole_numbers(shape):
                if name:
                    b.left_out.append(f"{_label(proto)} without a shape: {reason}")
                found.append(Outside())
            elif not name:
                found.append(Outside())
            else:
                joined = joined or b.joined(sources)
                found.append(self._placed(joined, proto, shape, reason, sources, arrays))
                arrays = {}
        return found

    def _placed(
        self,
        source: Data,
        proto: Any,
        shape: tuple[Any, ...],
        reason: str,
        sources: list[Data],
        arrays: dict[str, Constant],
    ) -> Data:
        b, op = self.builder, shown(proto.op_type)
        batched = all(one.batched for one in sources) and len(shape) > 1 and shape[0] == b.batch
        own = tuple(shape[1:] if batched else shape or (1,))
        named = tuple((name, array.shape) for name, array in arrays.items())
        alone = len(sources) == 1 and own == b.shape(source)
        like = Identity() if op in POINTWISE and alone and not named else None
        node = b.add(Opaque(op, own, reason, like, named), source, **arrays).node
        return Data(node, batched)

    def _arrays(self, proto: Any) -> dict[str, Constant]:
        """The weights of a node without a layer: its constants of floating point."""
        if proto.op_type in WITHOUT_WEIGHTS:
            return {}
        found = {}
        for name in dict.fromkeys(_read_by(proto)):
            value = self.builder.values.get(name)
            if not isinstance(value, Constant) or value.absent:
                continue
            if value.dtype.kind == "f" and value.size > 1:
                found[shown(name)] = value
        return found


def _sizes(proto: Any) -> list[int | None] | None:
    """The sizes of a described value, None for open ones; None where there is no shape."""
    if not proto.type.HasField("tensor_type") or not proto.type.tensor_type.HasField("shape"):
        return None
    dims = proto.type.tensor_type.shape.dim
    return [int(d.dim_value) if d.dim_value > 0 else None for d in dims]


def _shape_words(proto: Any) -> str:
    if _sizes(proto) is None:
        return "none at all"
    dims = proto.type.tensor_type.shape.dim
    words = [str(d.dim_value) if d.dim_value > 0 else shown(d.dim_param) or "?" for d in dims]
    return f"({', '.join(words)})"


def _label(proto: Any) -> str:
    return f"{shown(proto.op_type)} {shown(proto.name) or ', '.join(map(shown, proto.output))}"


def _read_by(proto: Any) -> list[str]:
    """The names that a node reads, also those that its subgraphs take from outside."""
    found = [name for name in proto.input if name]
    for attribute in proto.attribute:
        for graph in [attribute.g] if attribute.type == GRAPH else attribute.graphs:
            inside = {one.name for one in (*graph.input, *graph.initializer)}
            names = []
            for node in graph.node:
                names.extend(_read_by(node))
                inside.update(node.output)
            names.extend(one.name for one in graph.output)
            found.extend(name for name in names if name not in inside)
    return found
