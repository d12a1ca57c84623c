"""Adapters that turn functions from other libraries into functions of NumPy arrays."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, SupportsInt

import numpy as np

from convalg.arguments import one_of, shown
from convalg.arrays import Array
from convalg.check.processes import empty_folder
from convalg.check.program import array_of, run_program
from convalg.errors import ArgumentError, KindError

Function = Callable[..., Any]
TIMEOUT = 20.0
"""Most seconds for one run of a program."""

# The names of PyTorch for options of the checks.
_TORCH = {"size": "kernel_size"}


class _Node(NamedTuple):
    """The signature of an ONNX operator as a function: its name, arrays and options."""

    name: str
    arrays: tuple[str, ...]
    options: tuple[str, ...]


_LAYER = ("stride", "padding", "dilation", "groups")
_POOL = ("size", "stride", "padding", "ceil_mode")
_NODES = {
    "Conv": _Node("conv", ("x", "w"), _LAYER),
    "ConvTranspose": _Node("conv_transpose", ("x", "w"), (*_LAYER, "output_padding")),
    "AveragePool": _Node("average_pool", ("x",), (*_POOL, "count_include_pad")),
    "MaxPool": _Node("max_pool", ("x",), (*_POOL, "dilation")),
}
_ATTRIBUTES = {
    "size": "kernel_shape",
    "stride": "strides",
    "padding": "pads",
    "dilation": "dilations",
    "groups": "group",
    "output_padding": "output_padding",
    "ceil_mode": "ceil_mode",
    "count_include_pad": "count_include_pad",
}
_PER_AXIS = ("size", "stride", "padding", "dilation", "output_padding")


def from_torch(function: Function) -> Function:
    """Return a function of PyTorch tensors, such as `F.conv2d`, as a function of NumPy arrays.

    The options of the checks are passed under their names in PyTorch (`size` as `kernel_size`).

    Args:
        function: a function of tensors that returns a tensor or a tuple of tensors.

    >>> import convalg as ca
    >>> def mine(x, w, stride, padding): ...
    >>> adapted = ca.check.from_torch(mine)  # then ca.check.forward(adapted)
    """

    def adapted(*arrays: Array, **options: object) -> Any:
        import torch

        named = {_TORCH.get(name, name): value for name, value in options.items()}
        result = function(*(torch.tensor(a) for a in arrays), **named)
        if isinstance(result, (tuple, list)):
            return tuple(part.detach().numpy() for part in result)
        return result.detach().numpy()

    return _named(adapted, function)


def from_torch_backward(function: Function) -> Function:
    """Return the autograd gradients of a function of PyTorch tensors, as a function of arrays.

    The adapted function returns (dx, dw) when it is called with x, w and g, and dx when it is
    called with x and g (for a pooling).

    Args:
        function: the forward function, of the tensors x and w, or of x alone.

    >>> import convalg as ca
    >>> def mine(x, w, stride, padding): ...
    >>> adapted = ca.check.from_torch_backward(mine)  # then ca.check.backward(adapted)
    """

    def adapted(*arrays: Array, **options: object) -> Any:
        import torch

        named = {_TORCH.get(name, name): value for name, value in options.items()}
        *inputs, upstream = (torch.tensor(a) for a in arrays)
        for tensor in inputs:
            tensor.requires_grad_()
        tensors = torch.autograd.grad(function(*inputs, **named), inputs, upstream)
        gradients = tuple(tensor.numpy() for tensor in tensors)
        return gradients if len(gradients) > 1 else gradients[0]

    return _with_upstream(_named(adapted, function))


def from_jax(function: Function) -> Function:
    """Return a function of JAX arrays as a function of NumPy arrays.

    Args:
        function: a function of JAX arrays that returns an array or a tuple of arrays.

    >>> import convalg as ca
    >>> def mine(x, w, stride, padding): ...
    >>> adapted = ca.check.from_jax(mine)  # then ca.check.forward(adapted)
    """

    def adapted(*arrays: Array, **options: object) -> Any:
        import jax.numpy as jnp

        result = function(*(jnp.asarray(a) for a in arrays), **options)
        if isinstance(result, (tuple, list)):
            return tuple(np.asarray(part) for part in result)
        return np.asarray(result)

    return _named(adapted, function)


def from_onnxruntime(operator: str, *, opset: int = 19) -> Function:
    """Return an ONNX operator as a function of NumPy arrays.

    onnxruntime runs the operator as a model of one node, in float32.

    Args:
        operator: "Conv", "ConvTranspose", "AveragePool" or "MaxPool".
        opset: the version of the ONNX operator set.

    Raises:
        ArgumentError: when `operator` is not one of these four.

    >>> import convalg as ca
    >>> conv = ca.check.from_onnxruntime("Conv")  # then ca.check.forward(conv)
    """
    one_of(operator, _NODES, "operator")
    node = _NODES[operator]
    run = partial(_run_operator, operator, opset)
    run.__name__ = node.name  # type: ignore[attr-defined]  # partial objects take attributes
    return _with_signature(run, list(node.arrays), list(node.options))


def _run_operator(operator: str, opset: int, *arrays: Array, **options: object) -> Array:
    """Return the output of an ONNX operator, with the options of the checks as attributes."""
    names = _NODES[operator].options
    if set(options) != set(names):
        raise TypeError(
            f"{operator} must be called with the options {', '.join(names)}, not "
            f"{', '.join(options) or 'without options'}"
        )
    dims = arrays[0].ndim - 2
    attributes: dict[str, int | list[int]] = {
        _ATTRIBUTES[name]: _per_axis(value, dims) if name in _PER_AXIS else _integer(value)
        for name, value in options.items()
    }
    # ONNX lists the padding before all axes, and then the padding after all axes.
    attributes["pads"] = _per_axis(options["padding"], dims) * 2
    if "size" not in options:
        attributes["kernel_shape"] = list(arrays[1].shape[2:])
    return _run_node(operator, list(arrays), attributes, opset)


def from_command(
    command: Sequence[str],
    arrays: Sequence[str] = ("x", "w"),
    *,
    timeout: float = TIMEOUT,
    memory: int | None = None,
) -> Function:
    """Return a program that reads and writes `.npy` files as a function of NumPy arrays.

    No shell parses the command. The program runs in an empty folder that is removed afterwards, so
    arguments that name existing files are passed as absolute paths. The program may write files of
    up to 256 MiB each, print up to 64 MiB, and have 64 processes at a time, which are all ended
    together with it. Errors of the program are raised when the function is called.

    Args:
        command: the program and its arguments. The placeholders `{x}`, `{w}` and `{g}` are
            replaced by the paths of the files to read, `{y}` (or `{dx}` and `{dw}`) by the paths
            of the files to write, and `{stride}` and the names of other options by their values,
            of which a tuple is written as "2,1".
        arrays: the names of the arrays that the program reads.
        timeout: the maximum time in seconds for one run.
        memory: the maximum address space in bytes, or None for no limit.

    Raises:
        KindError: when `command` is not a list of strings.
        ArgumentError: when `command` has no placeholder for an output.

    >>> import convalg as ca
    >>> run = ca.check.from_command(["./conv", "{x}", "{w}", "{y}", "--stride", "{stride}"])
    """
    arguments = list(command) if isinstance(command, (list, tuple)) else []
    if not arguments or not all(isinstance(argument, str) for argument in arguments):
        raise KindError(
            f"command must be a list of strings that starts with the program, not {shown(command)}"
        )
    outputs = [name for name in ("y", "dx", "dw") if any(f"{{{name}}}" in w for w in arguments)]
    if not outputs:
        raise ArgumentError(
            f"command must have a placeholder for an output, such as {{y}}, not {arguments}"
        )

    # A relative path would not be valid in the folder in which the program runs.
    arguments = [
        str(Path(argument).absolute()) if os.path.exists(argument) else argument
        for argument in arguments
    ]

    def run(*given: Array, **options: object) -> Any:
        if shutil.which(arguments[0]) is None:
            raise FileNotFoundError(f"the program does not exist: {arguments[0]}")
        with empty_folder() as folder:
            paths = {name: folder / f"{name}.npy" for name in (*arrays, *outputs)}
            for name, array in zip(arrays, given, strict=True):
                np.save(paths[name], array)
            values = {name: _written(value) for name, value in options.items()}
            texts = {**values, **{name: str(path) for name, path in paths.items()}}
            filled = [_filled(argument, texts) for argument in arguments]
            status, output = run_program(filled, folder, timeout=timeout, memory=memory)
            if status:
                raise RuntimeError(
                    f"the program ended with exit status {status}: {output[-200:] or 'no message'}"
                )
            results = [array_of(paths[name]) for name in outputs]
        return results[0] if len(results) == 1 else tuple(results)

    run.__name__ = Path(arguments[0]).name
    options = [n for n in _OPTIONS if any(f"{{{n}}}" in argument for argument in arguments)]
    return _with_signature(run, list(arrays), options)


_OPTIONS = (
    "size",
    "stride",
    "padding",
    "output_padding",
    "dilation",
    "groups",
    "ceil_mode",
    "count_include_pad",
)


def _with_signature(function: Function, arrays: list[str], options: list[str]) -> Function:
    """Return the function with a signature of the given arrays and options."""
    import inspect

    kinds = inspect.Parameter
    parameters = [kinds(name, kinds.POSITIONAL_ONLY) for name in arrays]
    parameters += [kinds(name, kinds.KEYWORD_ONLY) for name in options]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions take attributes
    return function


def _written(value: object) -> str:
    """Return the value of an option as an argument of a command line."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(_written, value))
    return str(_integer(value))


def _filled(argument: str, values: dict[str, str]) -> str:
    """Return an argument with each placeholder `{name}` replaced by its value."""
    for name, value in values.items():
        argument = argument.replace(f"{{{name}}}", value)
    return argument


def _per_axis(value: object, dims: int) -> list[int]:
    """Return the value of an option as one integer per axis."""
    values = value if isinstance(value, (tuple, list)) else [value] * dims
    return [_integer(one) for one in values]


def _integer(value: object) -> int:
    """Return an option that a check passes as an int or a bool as an int."""
    if not isinstance(value, SupportsInt):
        raise TypeError(f"an option must be an integer or a bool, not {shown(value)}")
    return int(value)


def _named(adapted: Function, function: Function) -> Function:
    """Return the adapted function with the name and the signature of the original."""
    import inspect

    adapted.__name__ = getattr(function, "__name__", "function")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Functions in C do not always have a signature; they are called with all options.
        return adapted
    back = {torch: own for own, torch in _TORCH.items()}
    adapted.__signature__ = signature.replace(  # type: ignore[attr-defined]  # functions take attributes
        parameters=[p.replace(name=back.get(p.name, p.name)) for p in signature.parameters.values()]
    )
    return adapted


def _with_upstream(adapted: Function) -> Function:
    """Return the adapted function with g inserted after the arrays in its signature."""
    import inspect

    signature = getattr(adapted, "__signature__", None)
    if signature is None:
        return adapted
    parameters = list(signature.parameters.values())
    arrays = [
        p
        for p in parameters
        if p.default is p.empty and p.kind <= p.POSITIONAL_OR_KEYWORD and p.name not in _OPTIONS
    ]
    if arrays:
        upstream = inspect.Parameter("g", arrays[-1].kind)
        parameters.insert(parameters.index(arrays[-1]) + 1, upstream)
        adapted.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # functions take attributes
    return adapted


def _run_node(
    operator: str, arrays: list[Array], attributes: dict[str, int | list[int]], opset: int
) -> Array:
    """Return the output of a model of one ONNX node."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    names = ["x", "w"][: len(arrays)]
    node = helper.make_node(operator, names, ["y"])
    node.attribute.extend(helper.make_attribute(*pair) for pair in sorted(attributes.items()))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)
        for name, array in zip(names, arrays, strict=True)
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    model = helper.make_model(
        helper.make_graph([node], operator, inputs, [output]),
        opset_imports=[helper.make_opsetid("", opset)],
        ir_version=min(onnx.IR_VERSION, 9),
    )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = {name: a.astype(np.float32) for name, a in zip(names, arrays, strict=True)}
    (result,) = session.run(None, feed)
    return np.asarray(result)
