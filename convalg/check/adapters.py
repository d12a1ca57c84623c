"""Functions of other libraries in the form that the checks take: arrays in, arrays out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from convalg.arguments import one_of, shown
from convalg.arrays import Array
from convalg.check.processes import empty_folder
from convalg.check.program import array_of, run_program
from convalg.errors import ArgumentError, KindError

Function = Callable[..., Any]
TIMEOUT = 20.0
"""Seconds that one run of a program may take."""

# Options of the checks by the names that PyTorch gives them.
_TORCH = {"size": "kernel_size"}
_ONNX = {
    "Conv": ("dilation", "groups"),
    "ConvTranspose": ("dilation", "groups", "output_padding"),
    "AveragePool": ("ceil_mode", "count_include_pad"),
    "MaxPool": ("dilation", "ceil_mode"),
}
_ATTRIBUTES = {
    "dilation": "dilations",
    "groups": "group",
    "output_padding": "output_padding",
    "ceil_mode": "ceil_mode",
    "count_include_pad": "count_include_pad",
}


def from_torch(function: Function) -> Function:
    """A function of PyTorch tensors as one of arrays, such as `F.conv2d` or `F.max_pool2d`.

    The options of the checks are passed by PyTorch's names (`size` as `kernel_size`).

    >>> import convalg as ca
    >>> def mine(x, w, stride, padding): ...
    >>> adapted = ca.check.from_torch(mine)  # then ca.check.forward(adapted)
    """

    def adapted(*arrays: Array, **options: Any) -> Any:
        import torch

        named = {_TORCH.get(name, name): value for name, value in options.items()}
        found = function(*(torch.tensor(a) for a in arrays), **named)
        if isinstance(found, (tuple, list)):
            return tuple(part.detach().numpy() for part in found)
        return found.detach().numpy()

    return _named(adapted, function)


def from_torch_backward(function: Function) -> Function:
    """The gradients of a function of PyTorch tensors, by its own autograd: (dx, dw) from x, w, g.

    With one tensor besides g (a pooling), dx alone.

    >>> import convalg as ca
    >>> def mine(x, w, stride, padding): ...
    >>> adapted = ca.check.from_torch_backward(mine)  # then ca.check.backward(adapted)
    """

    def adapted(*arrays: Array, **options: Any) -> Any:
        import torch

        named = {_TORCH.get(name, name): value for name, value in options.items()}
        *inputs, upstream = (torch.tensor(a) for a in arrays)
        for tensor in inputs:
            tensor.requires_grad_()
        found = torch.autograd.grad(function(*inputs, **named), inputs, upstream)
        gradients = tuple(gradient.numpy() for gradient in found)
        return gradients if len(gradients) > 1 else gradients[0]

    return _with_upstream(_named(adapted, function))


def from_jax(function: Function) -> Function:
    """A function of JAX arrays as one of NumPy arrays.

    >>> import convalg as ca
    >>> def mine(x, w, stride, padding): ...
    >>> adapted = ca.check.from_jax(mine)  # then ca.check.forward(adapted)
    """

    def adapted(*arrays: Array, **options: Any) -> Any:
        import jax.numpy as jnp

        found = function(*(jnp.asarray(a) for a in arrays), **options)
        if isinstance(found, (tuple, list)):
            return tuple(np.asarray(part) for part in found)
        return np.asarray(found)

    return _named(adapted, function)


def from_onnxruntime(operator: str, *, opset: int = 19) -> Function:
    """An ONNX operator, run by onnxruntime as a model of one node in float32.

    `operator`: "Conv", "ConvTranspose", "AveragePool" or "MaxPool".
    Raises: ArgumentError for another.

    >>> import convalg as ca
    >>> conv = ca.check.from_onnxruntime("Conv")  # then ca.check.forward(conv)
    """
    one_of(operator, _ONNX, "operator")

    def run(x: Array, w: Array | None, options: dict[str, Any]) -> Array:
        dims = x.ndim - 2
        size = w.shape[2:] if w is not None else _per_axis(options["size"], dims)
        attributes: dict[str, Any] = {
            "kernel_shape": list(size),
            "strides": _per_axis(options["stride"], dims),
            "pads": _per_axis(options["padding"], dims) * 2,
        }
        for name in _ONNX[operator]:
            value = options[name]
            listed = name in ("dilation", "output_padding")
            attributes[_ATTRIBUTES[name]] = _per_axis(value, dims) if listed else int(value)
        return _run_node(operator, [x] if w is None else [x, w], attributes, opset)

    if operator == "Conv":

        def conv(
            x: Array, w: Array, *, stride: Any, padding: Any, dilation: Any, groups: int
        ) -> Array:
            options = {"stride": stride, "padding": padding}
            return run(x, w, {**options, "dilation": dilation, "groups": groups})

        return conv
    if operator == "ConvTranspose":

        def conv_transpose(
            x: Array,
            w: Array,
            *,
            stride: Any,
            padding: Any,
            output_padding: Any,
            dilation: Any,
            groups: int,
        ) -> Array:
            options = {"stride": stride, "padding": padding, "output_padding": output_padding}
            return run(x, w, {**options, "dilation": dilation, "groups": groups})

        return conv_transpose
    if operator == "AveragePool":

        def average_pool(
            x: Array,
            *,
            size: Any,
            stride: Any,
            padding: Any,
            ceil_mode: bool,
            count_include_pad: bool,
        ) -> Array:
            options = {"size": size, "stride": stride, "padding": padding}
            more = {"ceil_mode": ceil_mode, "count_include_pad": count_include_pad}
            return run(x, None, {**options, **more})

        return average_pool

    def max_pool(
        x: Array, *, size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
    ) -> Array:
        options = {"size": size, "stride": stride, "padding": padding}
        return run(x, None, {**options, "dilation": dilation, "ceil_mode": ceil_mode})

    return max_pool


def from_command(
    command: Sequence[str],
    arrays: Sequence[str] = ("x", "w"),
    *,
    timeout: float = TIMEOUT,
    memory: int | None = None,
) -> Function:
    """A program that reads and writes `.npy` files, as a function; run without a shell.

    `command`: the program and its arguments, with placeholders: `{x}`, `{w}`, `{g}` for the files
    it reads (those of `arrays`), `{y}` (or `{dx}` and `{dw}`) for those it writes, and
    `{stride}` and so on for options; a tuple is written as "2,1". It runs in an empty folder that
    goes with it, so words that name existing files are passed as absolute paths. It may take
    `timeout` seconds and `memory` bytes of address space (None for no limit), write files of
    256 MiB and 64 MiB of output, and have 64 processes; none of them is left.
    Raises: ArgumentError for a command without an output; what the program does wrong is
    raised when it is called.

    >>> import convalg as ca
    >>> run = ca.check.from_command(["./conv", "{x}", "{w}", "{y}", "--stride", "{stride}"])
    """
    words = list(command) if isinstance(command, (list, tuple)) else []
    if not words or not all(isinstance(word, str) for word in words):
        raise KindError(f"command must be a list of texts, the program first, not {shown(command)}")
    outputs = [name for name in ("y", "dx", "dw") if any(f"{{{name}}}" in w for w in words)]
    if not outputs:
        raise ArgumentError(f"command has no place for an output such as {{y}}: {words}")

    # Relative to this folder: it runs in another one.
    words = [str(Path(word).absolute()) if os.path.exists(word) else word for word in words]

    def run(*given: Array, **options: Any) -> Any:
        if shutil.which(words[0]) is None:
            raise FileNotFoundError(f"there is no program {words[0]}")
        with empty_folder() as folder:
            places = {name: folder / f"{name}.npy" for name in (*arrays, *outputs)}
            for name, array in zip(arrays, given, strict=True):
                np.save(places[name], array)
            values = {name: _written(value) for name, value in options.items()}
            texts = {**values, **{name: str(place) for name, place in places.items()}}
            filled = [_filled(word, texts) for word in words]
            status, said = run_program(filled, folder, timeout=timeout, memory=memory)
            if status:
                raise RuntimeError(f"exit status {status}: {said[-200:] or 'no message'}")
            found = [array_of(places[name]) for name in outputs]
        return found[0] if len(found) == 1 else tuple(found)

    run.__name__ = Path(words[0]).name
    options = [n for n in _OPTIONS if any(f"{{{n}}}" in word for word in words)]
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
    """The function with a signature that tells which options it has."""
    import inspect

    kinds = inspect.Parameter
    parameters = [kinds(name, kinds.POSITIONAL_ONLY) for name in arrays]
    parameters += [kinds(name, kinds.KEYWORD_ONLY) for name in options]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions take attributes
    return function


def _written(value: Any) -> str:
    """An option as a word of a command line."""
    if isinstance(value, (tuple, list)):
        return ",".join(map(_written, value))
    return str(int(value))


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word


def _per_axis(value: Any, dims: int) -> list[int]:
    return [int(v) for v in value] if isinstance(value, (tuple, list)) else [int(value)] * dims


def _named(adapted: Function, function: Function) -> Function:
    """The adapted function with the name and signature of the original."""
    import inspect

    adapted.__name__ = getattr(function, "__name__", "function")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        # Functions in C do not always tell; they get every option.
        return adapted
    back = {torch: own for own, torch in _TORCH.items()}
    adapted.__signature__ = signature.replace(  # type: ignore[attr-defined]  # functions take attributes
        parameters=[p.replace(name=back.get(p.name, p.name)) for p in signature.parameters.values()]
    )
    return adapted


def _with_upstream(adapted: Function) -> Function:
    """The gradient of a function, whose signature has g behind the arrays."""
    import inspect

    signature = getattr(adapted, "__signature__", None)
    if signature is None:
        return adapted
    known = list(signature.parameters.values())
    arrays = [
        p
        for p in known
        if p.default is p.empty and p.kind <= p.POSITIONAL_OR_KEYWORD and p.name not in _OPTIONS
    ]
    if arrays:
        upstream = inspect.Parameter("g", arrays[-1].kind)
        known.insert(known.index(arrays[-1]) + 1, upstream)
        adapted.__signature__ = signature.replace(parameters=known)  # type: ignore[attr-defined]  # functions take attributes
    return adapted


def _run_node(operator: str, arrays: list[Array], attributes: dict[str, Any], opset: int) -> Array:
    """One node of ONNX, built and run."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    names = ["x", "w"][: len(arrays)]
    node = helper.make_node(operator, names, ["y"], **attributes)
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
    quiet = onnxruntime.SessionOptions()
    quiet.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), quiet, providers=["CPUExecutionProvider"]
    )
    feed = {name: a.astype(np.float32) for name, a in zip(names, arrays, strict=True)}
    (found,) = session.run(None, feed)
    return found
