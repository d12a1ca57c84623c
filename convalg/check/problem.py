"""The arguments of a checked function, and the correct result for them.

A `Problem` holds the arrays and options of one call. Every correct result is the output of an
operator of convalg, or of its adjoint; this module itself computes no numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from convalg.arrays import Array, as_kernel
from convalg.axis import Boundary
from convalg.conventions import correlation_geometry
from convalg.errors import ConvalgError
from convalg.maps.max_pooling import Extremum, max_pool
from convalg.operators.convolution import transposed_correlation
from convalg.operators.leaves import Convolution
from convalg.operators.pooling import average_pool
from convalg.operators.tree import Operator

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, eq=False)
class Problem:
    """The arrays and options of one call.

    Shapes: x `(N, C, *spatial)`; w `(C_out, C_in // groups, *taps)`, or for a transposed layer
    `(C_in, C_out // groups, *taps)`; g as the output. `padding` is (before, after) for each axis,
    and `after` are the functions that a mistake applies to the result.
    """

    x: Array
    w: Array | None = None
    g: Array | None = None
    size: tuple[int, ...] = ()
    stride: tuple[int, ...] = ()
    padding: Pairs = ()
    dilation: tuple[int, ...] = ()
    output_padding: tuple[int, ...] = ()
    groups: int = 1
    ceil_mode: bool = False
    count_include_pad: bool = True
    boundary: Boundary = "zeros"
    after: tuple[Callable[[Array], Array], ...] = field(default=())

    @property
    def kernel(self) -> Array:
        """The kernel w. Raises: TypeError for a problem without a kernel."""
        if self.w is None:
            raise TypeError("this problem has no kernel w")
        return self.w

    @property
    def gradient(self) -> Array:
        """The output gradient g. Raises: TypeError for a problem without a gradient."""
        if self.g is None:
            raise TypeError("this problem has no output gradient g")
        return self.g

    @property
    def spatial(self) -> tuple[int, ...]:
        """The spatial sizes of x."""
        return self.x.shape[2:]

    @property
    def dims(self) -> int:
        """The number of spatial axes."""
        return len(self.spatial)


def with_array(p: Problem, name: str, array: Array) -> Problem:
    """Return a problem with another array for x, w or g."""
    match name:
        case "x":
            return replace(p, x=array)
        case "w":
            return replace(p, w=array)
        case _:
            return replace(p, g=array)


def layer(p: Problem) -> Convolution:
    """Return the correlation layer of a forward or backward problem."""
    weights = as_kernel(p.w)
    geometry = _geometry(
        p.spatial,
        weights.shape,
        stride=p.stride,
        padding=p.padding,
        dilation=p.dilation,
        groups=p.groups,
        boundary=p.boundary,
    )
    return Convolution(geometry, weights)


# Many mistakes share a geometry, which is therefore computed once.
_geometry = lru_cache(maxsize=4096)(correlation_geometry)


def forward(p: Problem) -> Array:
    """Return y of a correlation layer."""
    return layer(p)(p.x)


def input_gradient(p: Problem) -> Array:
    """Return dL/dx of a correlation layer."""
    return layer(p).T(p.g)


def kernel_gradient(p: Problem) -> Array:
    """Return dL/dw of a correlation layer, summed over the batch."""
    return layer(p).kernel_gradient(p.x, p.g)


def transposed_layer(p: Problem) -> Operator:
    """Return the transposed layer of a problem."""
    return transposed_correlation(
        p.spatial,
        p.w,
        stride=p.stride,
        padding=p.padding,
        output_padding=p.output_padding,
        dilation=p.dilation,
        groups=p.groups,
    )


def transposed(p: Problem) -> Array:
    """Return y of a transposed layer."""
    return transposed_layer(p)(p.x)


def transposed_input_gradient(p: Problem) -> Array:
    """Return dL/dx of a transposed layer."""
    return transposed_layer(p).T(p.g)


def transposed_kernel_gradient(p: Problem) -> Array:
    """Return dL/dw of a transposed layer, summed over the batch."""
    return transposed_layer(p).kernel_gradient(p.x, p.g)


def averaging(p: Problem) -> Operator:
    """Return the average pooling of a problem."""
    return average_pool(
        p.spatial,
        p.size,
        stride=p.stride,
        padding=p.padding,
        ceil_mode=p.ceil_mode,
        count_include_pad=p.count_include_pad,
        channels=p.x.shape[1],
    )


def average(p: Problem) -> Array:
    """Return y of an average pooling."""
    return averaging(p)(p.x)


def average_gradient(p: Problem) -> Array:
    """Return dL/dx of an average pooling."""
    return averaging(p).T(p.g)


def maximum(p: Problem) -> Array:
    """Return y of a max pooling."""
    return _maxima(p)(p.x)


def maximum_gradient(p: Problem) -> Array:
    """Return dL/dx of a max pooling, which goes to the first of equal maxima."""
    return _maxima(p).gradient(p.x, p.g)


def _maxima(p: Problem) -> Extremum:
    """Return the max pooling of a problem."""
    return max_pool(
        p.spatial,
        p.size,
        stride=p.stride,
        padding=p.padding,
        dilation=p.dilation,
        ceil_mode=p.ceil_mode,
        channels=p.x.shape[1],
    )


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of function that can be checked.

    `arrays`, `options`: the names of its arguments. `parts`: the correct computation of each part
    of its result, by name. `description`: the kind with an article, such as "a max pooling".
    """

    name: str
    arrays: tuple[str, ...]
    options: tuple[str, ...]
    parts: dict[str, Callable[[Problem], Array]]
    description: str


_LAYER = ("stride", "padding", "dilation", "groups")
_POOL = ("size", "stride", "padding")

KINDS = {
    kind.name: kind
    for kind in (
        Kind("forward", ("x", "w"), _LAYER, {"y": forward}, "a correlation layer"),
        Kind(
            "backward",
            ("x", "w", "g"),
            _LAYER,
            {"dx": input_gradient, "dw": kernel_gradient},
            "the gradients of a correlation layer",
        ),
        Kind(
            "transposed",
            ("x", "w"),
            ("stride", "padding", "output_padding", "dilation", "groups"),
            {"y": transposed},
            "a transposed correlation layer",
        ),
        Kind(
            "transposed_backward",
            ("x", "w", "g"),
            ("stride", "padding", "output_padding", "dilation", "groups"),
            {"dx": transposed_input_gradient, "dw": transposed_kernel_gradient},
            "the gradients of a transposed correlation layer",
        ),
        Kind(
            "average_pool",
            ("x",),
            (*_POOL, "ceil_mode", "count_include_pad"),
            {"y": average},
            "an average pooling",
        ),
        Kind(
            "average_pool_backward",
            ("x", "g"),
            (*_POOL, "ceil_mode", "count_include_pad"),
            {"dx": average_gradient},
            "the gradient of an average pooling",
        ),
        Kind(
            "max_pool",
            ("x",),
            (*_POOL, "dilation", "ceil_mode"),
            {"y": maximum},
            "a max pooling",
        ),
        Kind(
            "max_pool_backward",
            ("x", "g"),
            (*_POOL, "dilation", "ceil_mode"),
            {"dx": maximum_gradient},
            "the gradient of a max pooling",
        ),
    )
}


BACKWARD = {
    "forward": "backward",
    "transposed": "transposed_backward",
    "average_pool": "average_pool_backward",
    "max_pool": "max_pool_backward",
}
"""The kind of the gradients, by the kind of the forward function."""


def answer(compute: Callable[[Problem], Array], p: Problem) -> Array | None:
    """Return the result of a computation as floats, or None if the layer does not exist."""
    try:
        result = compute(p)
        for step in p.after:
            result = step(result)
    # A mistake may lead to arrays that do not fit together, which have no result.
    except (ConvalgError, ValueError, IndexError):
        return None
    return np.asarray(result, dtype=float)


class Answers:
    """A cache of results, since several mistakes change a problem in the same way."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Hashable, ...], Array | None] = {}

    def __call__(self, compute: Callable[[Problem], Array], p: Problem) -> Array | None:
        """Return the result of `answer`, computed once for equal problems."""
        unprocessed = replace(p, after=()) if p.after else p
        key = (compute, *map(_hashable, vars(unprocessed).values()))
        if key not in self._kept:
            self._kept[key] = answer(compute, unprocessed)
        result = self._kept[key]
        if result is None or not p.after:
            return result
        return answer(lambda _: result, p)


def _hashable(value: Array | Hashable) -> Hashable:
    """Return a key that is equal for equal values."""
    if isinstance(value, np.ndarray):
        return value.shape, value.dtype.char, value.tobytes()
    return value
