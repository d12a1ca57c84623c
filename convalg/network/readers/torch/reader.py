"""A network from a PyTorch module, which torch.fx traces and which is run once on zeros."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from convalg.errors import ArgumentError, KindError, MissingLibraryError, ShapeError
from convalg.network.graph import INPUT
from convalg.network.layers.opaque import Opaque
from convalg.network.network import Network
from convalg.network.readers.onnx.builder import ILL_FORMED, Builder, Data, Unread
from convalg.network.readers.torch.rules import (
    Context,
    Origins,
    array,
    function_layers,
    module_layers,
)
from convalg.size import as_shape, is_symbolic

if TYPE_CHECKING:
    import torch


def from_torch(module: Any, in_shape: Any) -> Network:
    """Return the network of a PyTorch module in evaluation mode, with its weights.

    The module is traced by torch.fx and run once on zeros; its mode and its buffers are not
    changed. Modules and functions without a layer become opaque nodes with the shape of their
    output.

    Args:
        module: a `torch.nn.Module`.
        in_shape: the shape of one sample, `(channels, *spatial)`, in integers.

    Raises:
        KindError: when `module` is not a module.
        ArgumentError: when torch.fx cannot trace a part of the module, which is named.
        ShapeError: when the module does not accept an input of this shape.
        MissingLibraryError: when PyTorch is not installed.

    >>> import convalg as ca
    >>> import torch  # doctest: +SKIP
    >>> ca.from_torch(torch.nn.Conv2d(1, 6, 5), (1, 28, 28))  # doctest: +SKIP
    <Conv2d: 1 layers, (1, 28, 28) to (6, 24, 24)>
    """
    try:
        import torch
    except ImportError as error:
        raise MissingLibraryError(
            f"modules of PyTorch need the torch package ({error}): pip install 'convalg[torch]'"
        ) from None
    if not isinstance(module, torch.nn.Module):
        raise KindError(f"module must be a torch.nn.Module, not {module!r}")
    shape = tuple(as_shape(in_shape, "in_shape"))
    if any(is_symbolic(n) for n in shape):
        raise ArgumentError(f"in_shape must be integers, since the module is run, not {shape}")
    net = Network(shape, name=type(module).__name__)
    with _evaluating(module):
        traced = _traced(module)
        x = _zeros(module, shape)
        try:
            _ModuleReader(traced, Builder(net, 1), module).read(x)
        except ShapeError:
            if not any(
                isinstance(part, (torch.nn.Embedding, torch.nn.EmbeddingBag))
                for part in module.modules()
            ):
                raise
            # Indices of an embedding are integers.
            net = Network(shape, name=type(module).__name__)
            _ModuleReader(traced, Builder(net, 1), module).read(x.long())
    return net


@contextmanager
def _evaluating(module: torch.nn.Module) -> Iterator[None]:
    """Set evaluation mode without gradients, and restore the mode of every part afterwards."""
    import torch

    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes:
            part.training = mode


def _zeros(module: torch.nn.Module, shape: tuple[Any, ...]) -> Any:
    import torch

    first = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    return torch.zeros((1, *shape), dtype=first.dtype, device=first.device)


def _traced(module: torch.nn.Module) -> Any:
    """Return the module as a graph. Raises: ArgumentError naming a part that cannot be traced."""
    import torch

    parts: list[str] = []

    class Tracer(torch.fx.Tracer):
        def call_module(self, m: Any, forward: Any, args: Any, kwargs: Any) -> Any:
            parts.append(self.path_of_module(m))
            result = super().call_module(m, forward, args, kwargs)
            parts.pop()
            return result

    tracer = Tracer()
    if tracer.is_leaf_module(module, ""):
        # The tracer does not enter a layer of PyTorch itself.
        module = torch.nn.Sequential(module)
    try:
        return torch.fx.GraphModule(module, tracer.trace(module))
    except (torch.fx.proxy.TraceError, RuntimeError, *ILL_FORMED) as error:
        part = parts[-1] if parts else "the outermost forward"
        raise ArgumentError(
            f"torch.fx cannot trace {part} of {type(module).__name__}: {error}; export it to ONNX "
            f"and use read_onnx, or make that part independent of the data"
        ) from None


class _ModuleReader:
    """Runs the graph node by node and converts each node to layers."""

    def __init__(self, traced: Any, builder: Builder, module: torch.nn.Module) -> None:
        self.traced, self.b = traced, builder
        # The value of each node of the graph: data, a list of them, or the data it depends on.
        self.values: dict[Any, Data | list[Any] | Origins] = {}
        self.names = {id(p): name for name, p in module.named_parameters()}
        # The parameters that a node of the graph uses and no layer has counted yet, by identity.
        self.used: dict[Any, dict[int, Any]] = {}
        self.counted: set[int] = set()
        # The output of each node with several tensors.
        self.several: dict[Any, Any] = {}

    def read(self, x: torch.Tensor) -> None:
        """Run and convert. Raises: ShapeError when the module does not accept the input."""
        import torch

        reader = self

        class Runner(torch.fx.Interpreter):
            def run_node(self, n: Any) -> Any:
                args, kwargs = self.fetch_args_kwargs_from_env(n)
                try:
                    result = super().run_node(n)
                except (RuntimeError, *ILL_FORMED) as error:
                    raise ShapeError(
                        f"{n.name} of the module cannot be run for one sample of shape "
                        f"{tuple(x.shape[1:])}: {error}"
                    ) from None
                reader.visit(n, args, kwargs, result)
                return result

        runner = Runner(self.traced)
        runner.extra_traceback = False
        runner.run(x)

    def visit(self, n: Any, args: Any, kwargs: Any, result: Any) -> None:
        """Convert a node that has just been run."""
        b = self.b
        added = len(b.added)
        self.used[n] = self._parameters(n, result)
        if n.op == "placeholder":
            if not self.values:
                self.values[n] = Data(INPUT)
        elif n.op == "output":
            self._finish(n)
            return
        elif n.op != "get_attr" and any(source in self.values for source in n.all_input_nodes):
            before, output = b.begin(n.name), b.net.output
            try:
                value = self._converted(n, args, kwargs, result)
                self._check(value, result)
            except Unread as error:
                b.undo(before, output)
                value = self._opaque(n, result, str(error))
            if value is not None:
                self.values[n] = value
                if isinstance(value, Data) and self._in_place(n, kwargs):
                    self.values[n.all_input_nodes[0]] = value
        if len(b.added) > added:
            self._count(b.added[added:], self.used.pop(n))

    def _parameters(self, n: Any, result: Any) -> dict[int, Any]:
        """Return the parameters that a node uses itself or through nodes without a layer."""
        import torch

        used: dict[int, Any] = {}
        for source in n.all_input_nodes:
            used.update(self.used.get(source, {}))
        if n.op == "call_module":
            used.update((id(p), p) for p in self.traced.get_submodule(n.target).parameters())
        elif n.op == "get_attr" and isinstance(result, torch.nn.Parameter):
            used[id(result)] = result
        return used

    def _count(self, nodes: list[str], used: dict[int, Any]) -> None:
        """Count each parameter of the module once, at the first layer that uses it."""
        graph = self.b.net.graph
        new = {key: p for key, p in used.items() if key not in self.counted}
        self.counted.update(new)
        for node in nodes:
            own = self.b.origins.get(node, [])
            counts = [new.pop(id(p)).numel() for p in own if id(p) in new]
            graph.nodes[node]["parameters"] = sum(counts)
        # Parameters that are not an array of a layer, such as the slope of a PReLU.
        rest = sum(p.numel() for p in new.values())
        graph.nodes[nodes[-1]]["parameters"] += rest

    def _finish(self, n: Any) -> None:
        b, nodes = self.b, []
        for source in n.all_input_nodes:
            value = self.values.get(source)
            if isinstance(value, Data):
                nodes.append(value.node)
            elif isinstance(value, list):
                nodes += [part.node for part in value if isinstance(part, Data)]
            elif isinstance(value, Origins):
                b.begin(source.name)
                reason = "one of several outputs"
                for part in _tensors(self.several[source]):
                    added = len(b.added)
                    node = self._opaque_node(source, list(value.data), part, reason)
                    self._count(b.added[added:], self.used[source])
                    nodes.append(node.node)
        if not nodes:
            raise ArgumentError(
                f"the output of {b.net.name} is {n.args[0]}, which does not depend on the numbers "
                f"of the input or is not a tensor, so there is no network to read"
            )
        b.net.output = nodes[0]
        unused = [name for key, name in self.names.items() if key not in self.counted]
        if unused:
            first = ", ".join(unused[:5])
            b.left_out.append(f"{len(unused)} parameters that no layer uses: {first}")
        b.net.graph.graph.update(outputs=nodes, left_out=b.left_out)

    def _converted(self, n: Any, args: Any, kwargs: Any, result: Any) -> Any:
        """Convert a node to layers. Raises: Unread where there is no layer for it."""
        import torch

        if not _has_tensors(result):
            return None
        values = torch.fx.map_arg((n.args, n.kwargs), self._argument)
        # Arguments that are not computed from the input, such as sizes, are used unchanged.
        given = _merged(values[0], args), _merged(values[1], kwargs)
        context = Context(self.b, result)
        if n.op == "call_module":
            part = self.traced.get_submodule(n.target)
            return module_layers(context, part, *given[0], **given[1])
        name = n.target if n.op == "call_method" else getattr(n.target, "__name__", "?")
        return function_layers(context, name, given[0], given[1])

    def _argument(self, source: Any) -> Any:
        value = self.values.get(source)
        if isinstance(value, Origins):
            raise Unread("it reads one of several opaque outputs")
        return value

    def _check(self, value: Any, result: Any) -> None:
        """Raise Unread unless a layer has the shape of the output of the module."""
        if isinstance(value, Data) and (1, *self.b.shape(value)) != tuple(result.shape):
            raise Unread(
                f"its output has the shape {tuple(result.shape)}, not (1, *{self.b.shape(value)})"
            )

    def _in_place(self, n: Any, kwargs: Any) -> bool:
        """Whether a node overwrites its input, so that later nodes read the new data."""
        if n.op == "call_module":
            return bool(getattr(self.traced.get_submodule(n.target), "inplace", False))
        name = n.target if n.op == "call_method" else getattr(n.target, "__name__", "?")
        in_place = name.endswith("_") and not name.endswith("__")
        return bool(kwargs.get("inplace", False)) or in_place

    def _opaque(self, n: Any, result: Any, reason: str) -> Any:
        """Convert a node of which only the shape is known."""
        import torch

        sources: list[Data] = []
        for source in n.all_input_nodes:
            value = self.values.get(source)
            if isinstance(value, Origins):
                sources.extend(value.data)
            elif value is not None:
                sources.extend(value if isinstance(value, list) else [value])
        if not isinstance(result, torch.Tensor):
            self.several[n] = result
            return Origins(tuple(sources))
        return self._opaque_node(n, sources, result, reason)

    def _opaque_node(self, n: Any, sources: list[Data], result: Any, reason: str) -> Data:
        """Add an opaque layer with the shape of a tensor and the parameters of a node."""
        b = self.b
        joined = b.joined(list(dict.fromkeys(sources)))
        shape = tuple(result.shape)
        kept = len(shape) > 1 and shape[0] == 1
        op = str(getattr(n.target, "__name__", n.target))
        if n.op == "call_module":
            op = type(self.traced.get_submodule(n.target)).__name__
        fresh = {k: p for k, p in self.used[n].items() if k not in self.counted}
        arrays = {
            self.names.get(k, f"parameter{i}"): array(p) for i, (k, p) in enumerate(fresh.items())
        }
        named_shapes = tuple((name, value.shape) for name, value in arrays.items())
        layer = Opaque(op, shape[1:] if kept else shape or (1,), reason, arrays=named_shapes)
        return Data(b.add(layer, joined, **arrays).node, kept)


def _tensors(value: Any) -> list[Any]:
    """Return the tensors in nested tuples, lists and dictionaries."""
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value
    is_nested = isinstance(value, (tuple, list, dict)) and not isinstance(value, torch.Size)
    return [tensor for part in parts for tensor in _tensors(part)] if is_nested else []


def _has_tensors(value: Any) -> bool:
    import torch

    if isinstance(value, torch.Size):
        return False
    if isinstance(value, (tuple, list)):
        return any(map(_has_tensors, value))
    return isinstance(value, torch.Tensor)


def _merged(data: Any, real: Any) -> Any:
    """Return `data` where it is computed from the input, and the real arguments elsewhere."""
    if isinstance(data, (tuple, list)) and isinstance(real, (tuple, list)):
        if len(data) == len(real):
            return type(data)(_merged(a, b) for a, b in zip(data, real, strict=True))
        return data
    if isinstance(data, dict) and isinstance(real, dict):
        return {key: _merged(data[key], real[key]) for key in data}
    return data if isinstance(data, Data) else real
