"""The conversion of a PyTorch module to a network, by torch.fx and one run on zeros."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from convalg.errors import ArgumentError, KindError, MissingLibraryError, ShapeError
from convalg.network.graph import INPUT
from convalg.network.layers.base import Shape
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
    import torch.fx


def from_torch(module: object, in_shape: object) -> Network:
    """Return the network of a PyTorch module in evaluation mode, with copies of its weights.

    torch.fx traces the module, and the module is run once on zeros; its mode and its buffers do not
    change. A module or function for which there is no layer becomes an opaque layer with the shape
    of its output.

    Args:
        module: a `torch.nn.Module`.
        in_shape: the shape of one sample, `(channels, *spatial)`, in integers.

    Raises:
        KindError: when module is not a `torch.nn.Module`.
        ArgumentError: when in_shape has symbols, when torch.fx cannot trace a part of the module,
            and when the output does not depend on the input.
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
        raise ArgumentError(
            f"in_shape must have integer sizes, since the module is run, not {shape}"
        )
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
            # The input of an embedding is an array of integers.
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


def _zeros(module: torch.nn.Module, shape: Shape) -> torch.Tensor:
    """Return a sample of zeros of the type and on the device of the module's parameters."""
    import torch

    first = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(()))
    return torch.zeros((1, *shape), dtype=first.dtype, device=first.device)


def _traced(module: torch.nn.Module) -> torch.fx.GraphModule:
    """Return the module as a graph. Raises: ArgumentError that names a part without a trace."""
    import torch

    parts: list[str] = []

    class Tracer(torch.fx.Tracer):
        def call_module(
            self,
            m: torch.nn.Module,
            forward: Callable[..., object],
            args: tuple[object, ...],
            kwargs: dict[str, object],
        ) -> Any:
            parts.append(self.path_of_module(m))
            result = super().call_module(m, forward, args, kwargs)
            parts.pop()
            return result

    tracer = Tracer()
    if tracer.is_leaf_module(module, ""):
        # The tracer does not enter a layer of PyTorch that is the whole module.
        module = torch.nn.Sequential(module)
    try:
        return torch.fx.GraphModule(module, tracer.trace(module))
    except (torch.fx.proxy.TraceError, RuntimeError, *ILL_FORMED) as error:
        part = parts[-1] if parts else "the top-level forward method"
        raise ArgumentError(
            f"torch.fx cannot trace {part} of {type(module).__name__}: {error}. Export the module "
            f"to ONNX and use read_onnx, or remove control flow that depends on the data"
        ) from None


class _ModuleReader:
    """Run a traced module node by node, and convert each node to layers."""

    def __init__(
        self, traced: torch.fx.GraphModule, builder: Builder, module: torch.nn.Module
    ) -> None:
        self.traced, self.b = traced, builder
        # The value of each node of the graph: data, a list of data, or the data it depends on.
        self.values: dict[torch.fx.Node, Data | list[Any] | Origins] = {}
        self.names = {id(p): name for name, p in module.named_parameters()}
        # For each node of the graph, the parameters that it uses, by `id`, until they are counted.
        self.used: dict[torch.fx.Node, dict[int, torch.nn.Parameter]] = {}
        self.counted: set[int] = set()
        # The output of each opaque node with several tensors.
        self.several: dict[torch.fx.Node, object] = {}

    def read(self, x: torch.Tensor) -> None:
        """Run the module and convert it. Raises: ShapeError if it does not accept the input."""
        import torch

        reader = self

        class Runner(torch.fx.Interpreter):
            def run_node(self, n: torch.fx.Node) -> Any:
                args, kwargs = self.fetch_args_kwargs_from_env(n)
                try:
                    result = super().run_node(n)
                except (RuntimeError, *ILL_FORMED) as error:
                    raise ShapeError(
                        f"node {n.name} of the module cannot be run for one sample of shape "
                        f"{tuple(x.shape[1:])}, given by in_shape: {error}"
                    ) from None
                reader.visit(n, args, kwargs, result)
                return result

        runner = Runner(self.traced)
        runner.extra_traceback = False
        runner.run(x)

    def visit(
        self,
        n: torch.fx.Node,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        result: object,
    ) -> None:
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

    def _parameters(self, n: torch.fx.Node, result: object) -> dict[int, torch.nn.Parameter]:
        """Return the parameters that a node uses directly or through nodes without a layer."""
        import torch

        used: dict[int, torch.nn.Parameter] = {}
        for source in n.all_input_nodes:
            used.update(self.used.get(source, {}))
        if n.op == "call_module":
            used.update((id(p), p) for p in self._part(n).parameters())
        elif n.op == "get_attr" and isinstance(result, torch.nn.Parameter):
            used[id(result)] = result
        return used

    def _part(self, n: torch.fx.Node) -> torch.nn.Module:
        """Return the module that a node calls."""
        return self.traced.get_submodule(str(n.target))

    def _count(self, nodes: list[str], used: dict[int, torch.nn.Parameter]) -> None:
        """Store the numbers of parameters of layers; a shared one counts at its first layer."""
        graph = self.b.net.graph
        new = {key: p for key, p in used.items() if key not in self.counted}
        self.counted.update(new)
        for node in nodes:
            own = self.b.origins.get(node, [])
            counts = [new.pop(id(p)).numel() for p in own if id(p) in new]
            graph.nodes[node]["parameters"] = sum(counts)
        # The last layer gets parameters that are not arrays of layers, such as a PReLU's slope.
        rest = sum(p.numel() for p in new.values())
        graph.nodes[nodes[-1]]["parameters"] += rest

    def _finish(self, n: torch.fx.Node) -> None:
        """Set the outputs of the network. Raises: ArgumentError if none depends on the input."""
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
                f"the output of {b.net.name} is {n.args[0]}, which does not depend on the entries "
                f"of the input or is not a tensor, so there is no network to read"
            )
        b.net.output = nodes[0]
        unused = [name for key, name in self.names.items() if key not in self.counted]
        if unused:
            first = ", ".join(unused[:5])
            b.left_out.append(f"{len(unused)} parameters that no layer uses: {first}")
        b.net.graph.graph.update(outputs=nodes, left_out=b.left_out)

    def _converted(
        self,
        n: torch.fx.Node,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        result: object,
    ) -> Any:
        """Convert a node to layers. Raises: Unread if there are no layers for it."""
        import torch

        if not _has_tensors(result):
            return None
        values = torch.fx.map_arg((n.args, n.kwargs), self._argument)
        # Arguments that do not depend on the input, such as sizes, have the values of the run.
        given = _merged(values[0], args), _merged(values[1], kwargs)
        context = Context(self.b, result)
        if n.op == "call_module":
            return module_layers(context, self._part(n), *given[0], **given[1])
        return function_layers(context, _function_name(n), given[0], given[1])

    def _argument(self, source: torch.fx.Node) -> Any:
        """Return the value of a node, or None. Raises: Unread for one of several outputs."""
        value = self.values.get(source)
        if isinstance(value, Origins):
            raise Unread("it reads one of several outputs of an opaque layer")
        return value

    def _check(self, value: object, result: Any) -> None:
        """Raise Unread unless the output of a layer has the shape of the module's output."""
        if isinstance(value, Data) and (1, *self.b.shape(value)) != tuple(result.shape):
            raise Unread(
                f"its output has shape {tuple(result.shape)}, not (1, *{self.b.shape(value)})"
            )

    def _in_place(self, n: torch.fx.Node, kwargs: Mapping[str, object]) -> bool:
        """Return whether a node overwrites its input, so that later nodes read the new data."""
        if n.op == "call_module":
            return bool(getattr(self._part(n), "inplace", False))
        name = _function_name(n)
        in_place = name.endswith("_") and not name.endswith("__")
        return bool(kwargs.get("inplace", False)) or in_place

    def _opaque(self, n: torch.fx.Node, result: object, reason: str) -> Data | Origins:
        """Convert a node of which only the shape of the output is known."""
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

    def _opaque_node(
        self, n: torch.fx.Node, sources: list[Data], result: torch.Tensor, reason: str
    ) -> Data:
        """Add an opaque layer with the shape of a tensor and the parameters of a node."""
        b = self.b
        joined = b.joined(list(dict.fromkeys(sources)))
        shape = tuple(result.shape)
        kept = len(shape) > 1 and shape[0] == 1
        op = str(getattr(n.target, "__name__", n.target))
        if n.op == "call_module":
            op = type(self._part(n)).__name__
        fresh = {k: p for k, p in self.used[n].items() if k not in self.counted}
        arrays = {
            self.names.get(k, f"parameter{i}"): array(p) for i, (k, p) in enumerate(fresh.items())
        }
        named_shapes = tuple((name, value.shape) for name, value in arrays.items())
        layer = Opaque(op, shape[1:] if kept else shape or (1,), reason, arrays=named_shapes)
        return Data(b.add(layer, joined, **arrays).node, kept)


def _function_name(n: torch.fx.Node) -> str:
    """Return the name of the function or method that a node calls."""
    return str(n.target if n.op == "call_method" else getattr(n.target, "__name__", "?"))


def _tensors(value: object) -> list[torch.Tensor]:
    """Return the tensors in nested tuples, lists and dictionaries."""
    import torch

    if isinstance(value, torch.Tensor):
        return [value]
    if not isinstance(value, (tuple, list, dict)) or isinstance(value, torch.Size):
        return []
    parts = value.values() if isinstance(value, dict) else value
    return [tensor for part in parts for tensor in _tensors(part)]


def _has_tensors(value: object) -> bool:
    """Return whether a value is a tensor, or a nested tuple or list that contains one."""
    import torch

    if isinstance(value, torch.Size):
        return False
    if isinstance(value, (tuple, list)):
        return any(map(_has_tensors, value))
    return isinstance(value, torch.Tensor)


def _merged(data: object, real: object) -> Any:
    """Return nested arguments with the `Data` of one structure and other values of the other."""
    if isinstance(data, (tuple, list)) and isinstance(real, (tuple, list)):
        if len(data) == len(real):
            return type(data)(_merged(a, b) for a, b in zip(data, real, strict=True))
        return data
    if isinstance(data, dict) and isinstance(real, dict):
        return {key: _merged(data[key], real[key]) for key in data}
    return data if isinstance(data, Data) else real
