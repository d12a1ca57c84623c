"""Check a layer object: a `torch.nn` module with its own weights and options."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.axis import Boundary, Size, same_padding
from convalg.check.candidate import Candidate
from convalg.check.diagnose import diagnose
from convalg.check.problem import BACKWARD, KINDS, Kind, Problem, answer
from convalg.check.report import Report
from convalg.check.run import CheckRun, as_stale, failure_of, judged
from convalg.check.sweep import SEED, Config
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.size import as_shape

BOUNDARIES: dict[str, Boundary] = {
    "zeros": "zeros",
    "circular": "circular",
    "reflect": "reflect",
    "replicate": "edge",
}
"""The boundary for each padding mode of PyTorch."""
BATCHES = (1, 2, 3)
"""The batch sizes on which a layer is checked."""
FORWARD = {backward: forward for forward, backward in BACKWARD.items()}
"""The kind of the forward function, by the kind of its gradients."""


def layer(module: object, in_shape: object) -> tuple[Report, ...]:
    """Check the output and the gradients of a `torch.nn` layer.

    A copy of the layer is called with its own weights, in float64, and with inputs of small
    integers. The kind of layer is recognised by its attributes (`kernel_size`, `stride`, `padding`,
    ..., `weight`, `bias`) and its class name.

    Args:
        module: the layer, or an object with the same attributes: a convolution, a transposed
            convolution, or an average or max pooling.
        in_shape: the shape of one input, `(channels, *spatial)`.

    Returns:
        One report on the output, and one on the gradients.

    Raises:
        KindError: when the layer is of another kind, or has a `divisor_override`.
        ShapeError: when `in_shape` does not fit the layer.
        ArgumentError: when the padding of the layer is a string other than "valid" or "same".

    >>> import convalg as ca
    >>> ca.check.layer(object(), (1, 4, 4))
    Traceback (most recent call last):
    convalg.errors.KindError: module must be a convolution or pooling with kernel_size, not object
    """
    name = type(module).__name__
    if not hasattr(module, "kernel_size"):
        raise KindError(f"module must be a convolution or pooling with kernel_size, not {name}")
    shape = tuple(as_shape(in_shape, "in_shape"))
    kind = _kind(module, name)
    config = _config(module, kind, shape)
    steps = [(kind, _forward(module)), (BACKWARD[kind], _backward(module))]
    return tuple(_report(KINDS[step], run, config, module, name) for step, run in steps)


def _kind(module: object, name: str) -> str:
    """Return the name of the check for a layer."""
    # The name of a subclass alone may not reveal the kind, so those of its bases are read too.
    names = " ".join(base.__name__ for base in type(module).__mro__)
    if hasattr(module, "weight"):
        return "transposed" if "Transpose" in names else "forward"
    for fragment, kind in (
        ("Avg", "average_pool"),
        ("Average", "average_pool"),
        ("Max", "max_pool"),
    ):
        if fragment in names:
            return kind
    raise KindError(f"module must be a convolution or an average or max pooling, not {name}")


def _config(module: Any, kind: str, shape: tuple[Size, ...]) -> Config:
    """Return the sizes and options of a layer, per axis."""
    dims = len(shape) - 1
    if dims < 1:
        raise ShapeError(f"in_shape must be (channels, *spatial), not {shape}")

    def each(name: str, usual: int) -> tuple[int, ...]:
        value = getattr(module, name, usual)
        value = usual if value is None else value
        return tuple(value) if isinstance(value, (tuple, list)) else (int(value),) * dims

    size = each("kernel_size", 1)
    if len(size) != dims:
        raise ShapeError(
            f"in_shape {shape} has {dims} spatial {'axis' if dims == 1 else 'axes'}, but the "
            f"kernel_size of the layer is {size}"
        )
    pools = kind.endswith("pool")
    stride = each("stride", 1) if getattr(module, "stride", None) is not None else size
    padding = getattr(module, "padding", 0)
    if isinstance(padding, str):
        if padding not in ("valid", "same"):
            raise ArgumentError(f"padding must be integers, 'valid' or 'same', not {padding!r}")
        widths = (0,) * dims
    else:
        widths = each("padding", 0)
    if getattr(module, "divisor_override", None) is not None:
        raise KindError(
            f"divisor_override must be None, not {module.divisor_override}: averages with another "
            f"divisor cannot be checked"
        )
    channels = int(shape[0])
    expected = channels if pools else int(module.in_channels)
    if expected != channels:
        raise ShapeError(
            f"in_shape {shape} has {channels} channels, but in_channels of the layer is {expected}"
        )
    return Config(
        shape=tuple(int(n) for n in shape[1:]),
        size=size,
        stride=stride,
        padding=widths,
        dilation=each("dilation", 1),
        output_padding=each("output_padding", 0),
        in_channels=channels,
        out_channels=1 if pools else int(module.out_channels),
        groups=1 if pools else int(getattr(module, "groups", 1)),
        ceil_mode=bool(getattr(module, "ceil_mode", False)),
        count_include_pad=bool(getattr(module, "count_include_pad", True)),
    )


def _problem(module: object, config: Config, batch: int, draw: int) -> Problem:
    """Return the arrays and options of a call, with random integers determined by `draw`."""
    random = np.random.default_rng([SEED, batch, *[draw] * bool(draw)])
    weight = getattr(module, "weight", None)
    padding = getattr(module, "padding", 0)
    pairs = tuple((p, p) for p in config.padding)
    if padding == "same":
        # PyTorch puts the odd sample of "same" padding at the end.
        each = zip(config.shape, config.size, config.dilation, strict=True)
        pairs = tuple(same_padding(n, k, 1, d) for n, k, d in each)
    return Problem(
        x=random.integers(-6, 7, (batch, config.in_channels, *config.shape)).astype(float),
        w=None if weight is None else weight.detach().double().numpy(),
        size=config.size,
        stride=config.stride,
        padding=pairs,
        dilation=config.dilation,
        output_padding=config.output_padding,
        groups=config.groups,
        ceil_mode=config.ceil_mode,
        count_include_pad=config.count_include_pad,
        boundary=BOUNDARIES.get(getattr(module, "padding_mode", "zeros"), "zeros"),
    )


def _prepared(module: object) -> Any:
    """Return a copy of a layer in float64, in evaluation mode, whose weights have gradients."""
    own: Any = copy.deepcopy(module)
    return own.double().eval().requires_grad_(True)


def _forward(module: object) -> Callable[..., Array]:
    """Return the output of a layer, without its bias, as a function of arrays."""
    own = _prepared(module)

    def forward(x: Array, *weights: Array, **options: object) -> Array:
        import torch

        y: Array = own(torch.tensor(x)).detach().numpy()
        bias = getattr(own, "bias", None)
        if bias is not None and y.shape[1:2] == bias.shape:
            # The linear part alone is compared, so the bias of each channel is subtracted.
            y = y - bias.detach().numpy().reshape(-1, *(1,) * (y.ndim - 2))
        return y

    return forward


def _backward(module: object) -> Callable[..., object]:
    """Return the autograd gradients of a layer as a function of arrays."""
    own = _prepared(module)

    def backward(x: Array, *rest: Array, **options: object) -> list[Array] | Array:
        import torch

        *weights, g = rest
        inputs = [torch.tensor(x, requires_grad=True), *([own.weight] if weights else [])]
        gradients: list[Array] = [
            d.numpy() for d in torch.autograd.grad(own(inputs[0]), inputs, torch.tensor(g))
        ]
        return gradients if weights else gradients[0]

    return backward


def _judged(tested: Candidate, module: object, config: Config, batch: int, draw: int) -> CheckRun:
    """Return the run of a layer on a batch of random integers determined by `draw`."""
    kind = tested.kind
    p = _problem(module, config, batch, draw)
    output = answer(KINDS[FORWARD.get(kind.name, kind.name)].parts["y"], p)
    if output is None:
        raise ShapeError(
            f"in_shape must have spatial sizes for which the layer has an output, not "
            f"{config.shape}"
        )
    if "g" in kind.arrays:
        random = np.random.default_rng([SEED, batch, 1 + draw])
        p = replace(p, g=random.integers(-4, 5, output.shape).astype(float))
    return judged(tested, replace(config, batch=batch), p)


def _report(
    kind: Kind, function: Callable[..., object], config: Config, module: object, name: str
) -> Report:
    """Return the report on the output or the gradients of a layer."""
    tested = Candidate(function, kind, kind.options, f"{name} ({', '.join(kind.parts)})")
    runs = []
    for batch in BATCHES:
        result = _judged(tested, module, config, batch, 0)
        if not result.fails:
            # Call with other numbers in the same shapes, since a layer may cache its results.
            other = _judged(tested, module, config, batch, 1)
            result = as_stale(result, other) if other.fails else result
        runs.append(result)
    failing = [result for result in runs if result.wrong or result.outcome.code]
    failures = tuple(map(failure_of, failing))
    return Report(
        kind,
        tested.name,
        kind.options,
        len(runs),
        failures,
        failures[0] if failures else None,
        diagnose(kind, runs) if failing else (),
    )
