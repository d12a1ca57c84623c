"""A network from a PyTorch module, traced by torch.fx and run once on zeros."""

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
    """The network of a PyTorch module in evaluation mode, with its weights.

    Shapes: `in_shape` is that of one sample, `(channels, *spatial)`, in numbers. The module is
    traced by torch.fx and run once, on zeros; its mode and its buffers stay as they are.
    Modules and functions that have no layer stay as opaque nodes with the shape they give.
    Raises: KindError for what is no module, ArgumentError naming the part that torch.fx cannot
    trace, ShapeError when the module does not take the input, MissingLibraryError without torch.

    >>> import convalg as ca
    >>> ca.errors.MissingLibraryError.__mro__[1].__name__
    'ConvalgError'
    """
    try:
        import torch
    except ImportError as error:
        raise MissingLibraryError(
            f"modules of PyTorch need the torch package ({error}): pip install 'convalg[torch]'"
        ) from None
    if not isinstance(module, torch.nn.Module):
        raise KindError(f"from_torch takes a torch.nn.Module, not {module!r}")
    shape = tuple(as_shape(in_shape, "in_shape"))
    if any(is_symbolic(n) for n in shape):
        raise ArgumentError(f"in_shape must be numbers, since the module is run, not {shape}")
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
    """Evaluation mode without gradients, and every part's own mode afterwards."""
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
    """The module as a graph. Raises: ArgumentError naming the part that cannot be traced."""
    import torch

    place: list[str] = []

    class Tracer(torch.fx.Tracer):
        def call_module(self, m: Any, forward: Any, args: Any, kwargs: Any) -> Any:
            place.append(self.path_of_module(m))
            found = super().call_module(m, forward, args, kwargs)
            place.pop()
            return found

    tracer = Tracer()
    if tracer.is_leaf_module(module, ""):
        # A layer of PyTorch itself is not looked into.
        module = torch.nn.Sequential(module)
    try:
        return torch.fx.GraphModule(module, tracer.trace(module))
    except (torch.fx.proxy.TraceError, RuntimeError, *ILL_FORMED) as error:
        part = place[-1] if place else "the outermost forward"
        raise ArgumentError(
            f"torch.fx cannot trace {part} of {type(module).__name__}: {error}; export it to ONNX "
            f"and use read_onnx, or make that part independent of the data"
        ) from None


class _ModuleReader:
    """Runs the graph node by node, and makes layers beside it."""

    def __init__(self, traced: Any, builder: Builder, module: torch.nn.Module) -> None:
        self.traced, self.b = traced, builder
        # What a node of the graph stands for: data, several, or the data that it depends on.
        self.known: dict[Any, Data | list[Any] | Origins] = {}
        self.names = {id(p): name for name, p in module.named_parameters()}
        # Parameters that a node of the graph uses and no layer has counted yet, by identity.
        self.used: dict[Any, dict[int, Any]] = {}
        self.counted: set[int] = set()
        # What was given by a node that stands for several data.
        self.several: dict[Any, Any] = {}

    def read(self, x: torch.Tensor) -> None:
        """Run and translate. Raises: ShapeError when the module does not take the input."""
        import torch

        reader = self

        class Runner(torch.fx.Interpreter):
            def run_node(self, n: Any) -> Any:
                args, kwargs = self.fetch_args_kwargs_from_env(n)
                try:
                    found = super().run_node(n)
                except (RuntimeError, *ILL_FORMED) as error:
                    raise ShapeError(
                        f"{n.name} of the module does not run for one sample of shape "
                        f"{tuple(x.shape[1:])}: {error}"
                    ) from None
                reader.visit(n, args, kwargs, found)
                return found

        runner = Runner(self.traced)
        runner.extra_traceback = False
        runner.run(x)

    def visit(self, n: Any, args: Any, kwargs: Any, found: Any) -> None:
        """What a node that was just run stands for."""
        b = self.b
        added = len(b.added)
        self.used[n] = self._parameters(n, found)
        if n.op == "placeholder":
            if not self.known:
                self.known[n] = Data(INPUT)
        elif n.op == "output":
            self._finish(n)
            return
        elif n.op != "get_attr" and any(one in self.known for one in n.all_input_nodes):
            before, output = b.begin(n.name), b.net.output
            try:
                value = self._understood(n, args, kwargs, found)
                self._check(value, found)
            except Unread as error:
                b.undo(before, output)
                value = self._opaque(n, found, str(error))
            if value is not None:
                self.known[n] = value
                if isinstance(value, Data) and self._in_place(n, kwargs):
                    self.known[n.all_input_nodes[0]] = value
        if len(b.added) > added:
            self._count(b.added[added:], self.used.pop(n))

    def _parameters(self, n: Any, found: Any) -> dict[int, Any]:
        """The parameters that a node uses itself or through nodes without a layer."""
        import torch

        used: dict[int, Any] = {}
        for one in n.all_input_nodes:
            used.update(self.used.get(one, {}))
        if n.op == "call_module":
            used.update((id(p), p) for p in self.traced.get_submodule(n.target).parameters())
        elif n.op == "get_attr" and isinstance(found, torch.nn.Parameter):
            used[id(found)] = found
        return used

    def _count(self, nodes: list[str], used: dict[int, Any]) -> None:
        """Count each parameter of the module once, at the first layer that is made with it."""
        graph = self.b.net.graph
        new = {key: p for key, p in used.items() if key not in self.counted}
        self.counted.update(new)
        for node in nodes:
            own = self.b.origins.get(node, [])
            counts = [new.pop(id(p)).numel() for p in own if id(p) in new]
            graph.nodes[node]["parameters"] = sum(counts)
        # Those without an array of a layer, as the slope of a PReLU.
        rest = sum(p.numel() for p in new.values())
        graph.nodes[nodes[-1]]["parameters"] += rest

    def _finish(self, n: Any) -> None:
        b, nodes = self.b, []
        for one in n.all_input_nodes:
            value = self.known.get(one)
            if isinstance(value, Data):
                nodes.append(value.node)
            elif isinstance(value, list):
                nodes += [part.node for part in value if isinstance(part, Data)]
            elif isinstance(value, Origins):
                b.begin(one.name)
                for part in _tensors(self.several[one]):
                    added = len(b.added)
                    node = self._opaque_node(one, list(value.data), part, "one of several outputs")
                    self._count(b.added[added:], self.used[one])
                    nodes.append(node.node)
        if not nodes:
            raise ArgumentError(
                f"the output of {b.net.name} is {n.args[0]}, which does not depend on the numbers "
                f"of the input, or is no tensor: there is no network to read"
            )
        b.net.output = nodes[0]
        unused = [name for key, name in self.names.items() if key not in self.counted]
        if unused:
            some = ", ".join(unused[:5])
            b.left_out.append(f"{len(unused)} parameters that no layer here uses: {some}")
        b.net.graph.graph.update(outputs=nodes, left_out=b.left_out)

    def _understood(self, n: Any, args: Any, kwargs: Any, found: Any) -> Any:
        """Raises: Unread where there is no layer for a node."""
        import torch

        if not _has_tensors(found):
            return None
        values = torch.fx.map_arg((n.args, n.kwargs), lambda one: self._argument(one, n))
        # What is not computed from the input comes as it is: sizes, constants.
        given = _merged(values[0], args), _merged(values[1], kwargs)
        context = Context(self.b, found)
        if n.op == "call_module":
            part = self.traced.get_submodule(n.target)
            return module_layers(context, part, *given[0], **given[1])
        name = n.target if n.op == "call_method" else getattr(n.target, "__name__", "?")
        return function_layers(context, name, given[0], given[1])

    def _argument(self, one: Any, n: Any) -> Any:
        found = self.known.get(one)
        if isinstance(found, Origins):
            raise Unread("it reads one of several opaque outputs")
        return found

    def _check(self, value: Any, found: Any) -> None:
        """A layer must have the shape that the module gave. Raises: Unread when it has not."""
        if isinstance(value, Data) and (1, *self.b.shape(value)) != tuple(found.shape):
            raise Unread(f"its output {tuple(found.shape)} is not {self.b.shape(value)}")

    def _in_place(self, n: Any, kwargs: Any) -> bool:
        """Whether a node writes over its input, which is then seen by whoever reads that."""
        if n.op == "call_module":
            return bool(getattr(self.traced.get_submodule(n.target), "inplace", False))
        name = n.target if n.op == "call_method" else getattr(n.target, "__name__", "?")
        in_place = name.endswith("_") and not name.endswith("__")
        return bool(kwargs.get("inplace", False)) or in_place

    def _opaque(self, n: Any, found: Any, reason: str) -> Any:
        """A node that is known by its shape alone."""
        import torch

        sources: list[Data] = []
        for one in n.all_input_nodes:
            value = self.known.get(one)
            if isinstance(value, Origins):
                sources.extend(value.data)
            elif value is not None:
                sources.extend(value if isinstance(value, list) else [value])
        if not isinstance(found, torch.Tensor):
            self.several[n] = found
            return Origins(tuple(sources))
        return self._opaque_node(n, sources, found, reason)

    def _opaque_node(self, n: Any, sources: list[Data], found: Any, reason: str) -> Data:
        """A layer that is known by its shape and its parameters alone."""
        b = self.b
        joined = b.joined(list(dict.fromkeys(sources)))
        shape = tuple(found.shape)
        kept = len(shape) > 1 and shape[0] == 1
        op = str(getattr(n.target, "__name__", n.target))
        if n.op == "call_module":
            op = type(self.traced.get_submodule(n.target)).__name__
        fresh = {k: p for k, p in self.used[n].items() if k not in self.counted}
        arrays = {
            self.names.get(k, f"parameter{i}"): array(p) for i, (k, p) in enumerate(fresh.items())
        }
        named = tuple((name, value.shape) for name, value in arrays.items())
        layer = Opaque(op, shape[1:] if kept else shape or (1,), reason, arrays=named)
        return Data(b.add(layer, joined, **arrays).node, kept)


def _tensors(found: Any) -> list[Any]:
    """The tensors in nested tuples, lists and dictionaries."""
    import torch

    if isinstance(found, torch.Tensor):
        return [found]
    parts = found.values() if isinstance(found, dict) else found
    inner = isinstance(found, (tuple, list, dict)) and not isinstance(found, torch.Size)
    return [tensor for part in parts for tensor in _tensors(part)] if inner else []


def _has_tensors(found: Any) -> bool:
    import torch

    if isinstance(found, torch.Size):
        return False
    if isinstance(found, (tuple, list)):
        return any(map(_has_tensors, found))
    return isinstance(found, torch.Tensor)


def _merged(data: Any, real: Any) -> Any:
    """Arguments with data where they are computed from the input, the real ones elsewhere."""
    if isinstance(data, (tuple, list)) and isinstance(real, (tuple, list)):
        if len(data) == len(real):
            return type(data)(_merged(a, b) for a, b in zip(data, real, strict=True))
        return data
    if isinstance(data, dict) and isinstance(real, dict):
        return {key: _merged(data[key], real[key]) for key in data}
    return data if isinstance(data, Data) else real
