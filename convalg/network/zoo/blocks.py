"""Building blocks that several networks in the zoo share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from convalg.errors import ArgumentError
from convalg.network import layers as L  # noqa: N812 - used in every line
from convalg.network.layers.checks import Check, count, flag, real, text, tuple_of
from convalg.network.network import Network


def row(net: Network, source: str, layers: Mapping[str, L.Layer]) -> str:
    """Append named layers, each reading the one before it, and return the name of the last one."""
    for name, layer in layers.items():
        source = net.add(layer, source, name=name)
    return source


def conv_bn_relu(
    net: Network, source: str, name: str, out_channels: int, kernel_size: object, **options: Any
) -> str:
    """Append a convolution without a bias, the batch norm of the Inception networks, and a ReLU."""
    return row(
        net,
        source,
        {
            f"{name}.conv": L.Conv(out_channels, kernel_size, bias=False, **options),
            f"{name}.bn": L.BatchNorm(epsilon=1e-3),
            f"{name}.relu": L.ReLU(),
        },
    )


def dense_head(net: Network, source: str, hidden: int, classes: int) -> str:
    """Append the layers fc6, fc7 and fc8 of AlexNet and VGG: two hidden layers and the scores."""
    return row(
        net,
        source,
        {
            "fc6": L.Dense(hidden),
            "relu6": L.ReLU(),
            "drop6": L.Dropout(),
            "fc7": L.Dense(hidden),
            "relu7": L.ReLU(),
            "drop7": L.Dropout(),
            "fc8": L.Dense(classes),
        },
    )


def pooled_head(net: Network, source: str, classes: int, *, dropout: float | None = None) -> str:
    """Append the mean over all positions and a dense layer, for inputs of any spatial size."""
    drop = {} if dropout is None else {"dropout": L.Dropout(dropout)}
    return row(
        net,
        source,
        {"avgpool": L.GlobalAvgPool(), "flatten": L.Flatten(), **drop, "fc": L.Dense(classes)},
    )


def ceil_pool(net: Network, kernel_size: int) -> L.MaxPool:
    """Return a max pooling of stride 2 with the windows of ceil_mode, as in Caffe.

    For kernels of 2 and 3 samples, one sample of padding at the end has the same windows as
    ceil_mode. Unlike ceil_mode, it is also defined for symbolic sizes.
    """
    dims = len(net.in_shape) - 1
    return L.MaxPool(kernel_size, stride=2, padding=((0, 1),) * dims)


P = ParamSpec("P")
R = TypeVar("R")

ZOO_CHECKS: dict[str, Check] = {
    "classes": count,
    "width": count,
    "hidden": count,
    "depth": count,
    "groups": count,
    "latent": count,
    "channels": count,
    "patch": count,
    "size": count,
    "batch_norm": flag,
    "auxiliary": flag,
    "at": text,
    "regions": tuple_of(tuple_of(real)),
}
"""The check of each argument by its name; None also passes if it is the default."""


def published(**checks: Check) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for a function of the zoo, which checks the arguments by their names.

    Args:
        **checks: the checks of arguments that differ from ZOO_CHECKS.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature, table = inspect.signature(function), {**ZOO_CHECKS, **checks}
        optional = {k for k, p in signature.parameters.items() if "None" in str(p.annotation)}

        @functools.wraps(function)
        def checked_function(*args: P.args, **kwargs: P.kwargs) -> R:
            bound = signature.bind(*args, **kwargs)
            for name, value in bound.arguments.items():
                if name in table and not (value is None and name in optional):
                    bound.arguments[name] = table[name](value, name)
            return function(*bound.args, **bound.kwargs)

        return checked_function

    return decorate


def checked_choice(value: object, name: str, choices: tuple[object, ...]) -> None:
    """Raise ArgumentError for a value that is not one of the choices."""
    is_valid_type = isinstance(value, (str, int)) and not isinstance(value, bool)
    if not is_valid_type or value not in choices:
        names = ", ".join(map(repr, choices))
        raise ArgumentError(f"{name} must be one of {names}, not {value!r}")
