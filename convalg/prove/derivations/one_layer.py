"""Operators that are a single layer, as derivations need them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from convalg.axis import Axis
from convalg.errors import KindError
from convalg.geometry import Geometry
from convalg.operators.leaves import Adjoint, Selection, single_layer
from convalg.operators.tree import Operator, Scaled


@dataclass(frozen=True, eq=False)
class OneLayer:
    """A correlation, a convolution or a sum pooling times a factor, or the transpose of one.

    `operator`: the operator itself. `kernel_shape`: the shape of the weights; None for a pooling,
    whose weights are all equal to the factor.
    """

    operator: Operator
    geometry: Geometry
    transposed: bool
    kernel_shape: tuple[Any, ...] | None
    factor: Any = 1

    @property
    def kind(self) -> str:
        """The kind of the operator, such as "transposed correlation"."""
        return f"{'transposed ' if self.transposed else ''}{self.layer_kind}"

    @property
    def layer_kind(self) -> str:
        """The kind of the layer that is not transposed."""
        if self.kernel_shape is None:
            return "sum pooling" if self.factor == 1 else "average pooling"
        return kind_of(self.geometry)


def kind_of(geometry: Geometry) -> str:
    """Return "convolution" if the kernel is flipped on some axis, else "correlation"."""
    return "convolution" if any(axis.is_backwards for axis in geometry.axes) else "correlation"


def one_layer(operator: Operator, name: str) -> OneLayer:
    """Return the layer that an operator is.

    Raises: KindError for any other operator.
    """
    single = single_layer(operator)
    if single is not None:
        layer, transposed = single
        return OneLayer(operator, layer.geometry, transposed, layer.weights.shape)
    factor, inner = (
        (operator.factor, operator.operator) if isinstance(operator, Scaled) else (1, operator)
    )
    transposed = isinstance(inner, Adjoint)
    pool = inner.operator if isinstance(inner, Adjoint) else inner
    if isinstance(pool, Selection) and any(axis.taps != 1 for axis in pool.axes):
        return OneLayer(operator, _pool_geometry(pool), transposed, None, factor)
    raise KindError(
        f"{name} can be derived for a correlation, a convolution, a sum or average pooling with "
        f"one factor for all windows, the transpose of one, or a product of these, not for "
        f"{operator!r}: call simplify(), or use its factors"
    )


def _pool_geometry(pool: Selection) -> Geometry:
    """Return the geometry of a pooling; a first axis that is not pooled is the channel axis."""
    first, *rest = pool.axes
    if rest and first == Axis(first.in_size, first.in_size):
        channels: Any = first.in_size
        return Geometry(tuple(rest), channels, channels, channels)
    return Geometry(pool.axes)
