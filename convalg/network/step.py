"""One step of back-propagation, explained as a chain of transposed matrices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convalg import html
from convalg.arrays import Array, as_array
from convalg.errors import ArgumentError, TooLargeError
from convalg.maps.losses import Loss, loss_named
from convalg.network.graph import Graph
from convalg.network.jacobian import data_at, jacobian_between
from convalg.operators.tree import Operator, compose

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True, eq=False)
class TransposedFactor:
    """One transposed matrix of back-propagation.

    It is either A^T, the transposed Jacobian of a layer by its input, or B(x)^T, the transposed
    Jacobian of the layer by one of its parameter arrays.

    Attributes:
        node: the name of the node.
        layer: the layer as text.
        parameter: the name of the parameter array, or an empty string for A^T.
        operator: the transposed Jacobian.
        gradient: the operator applied to the gradient at the output of the layer.
    """

    node: str
    layer: str
    parameter: str
    operator: Operator
    gradient: Array

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns of the transposed matrix."""
        return self.operator.shape

    @property
    def nonzeros(self) -> int | None:
        """The number of non-zeros, or None if the matrix does not fit in memory."""
        try:
            return int(self.operator.to_scipy().count_nonzero())
        except TooLargeError:
            return None


@dataclass(frozen=True, eq=False)
class StepExplanation:
    """One step of back-propagation for one sample; it prints itself as a table.

    Attributes:
        net: the network.
        loss: the value L of the loss.
        loss_gradient: dL/dy, of the shape of the output y.
        back: the factor A^T of every layer, from the last layer to the first.
        parameters: the factor B(x)^T of every parameter array, in the same order.
        data: the data of the sample at every node.

    >>> import convalg as ca
    >>> net = ca.sequential((2,), [ca.layers.Dense(2, bias=False)])
    >>> net.set_weights("dense1", weights=[[1, 0], [0, 1]])
    >>> step = net.explain_step([1.0, 0.0], [0.0, 0.0], loss="mse")
    >>> step.loss, step.loss_gradient.tolist()
    (0.5, [1.0, 0.0])
    """

    net: Graph
    loss: float
    loss_gradient: Array
    back: tuple[TransposedFactor, ...]
    parameters: tuple[TransposedFactor, ...]
    data: dict[str, Array]

    def gradient(self, node: str, parameter: str) -> Array:
        """Return the gradient of the loss by a parameter array, with the shape of the array.

        Args:
            node: the name of the node.
            parameter: the name of the array, such as "kernel".

        Raises:
            ArgumentError: when the node does not have that parameter.

        >>> import convalg as ca
        >>> net = ca.sequential((2,), [ca.layers.Dense(2, bias=False)]).initialise(0)
        >>> step = net.explain_step([1.0, 0.0], 0, loss="mse")
        >>> bool(step.gradient("dense1", "weights")[1, 1] == 0)
        True
        """
        for row in self.parameters:
            if (row.node, row.parameter) == (node, parameter):
                return row.gradient
        names = ", ".join(f"{row.node}.{row.parameter}" for row in self.parameters)
        raise ArgumentError(f"there is no parameter {node}.{parameter}: the parameters are {names}")

    def product(self, node: str, parameter: str) -> Operator:
        """Return the operator B(x)^T A^T ... A^T that maps dL/dy to the gradient of an array.

        Args:
            node: the name of the node.
            parameter: the name of the array, such as "kernel".

        Raises:
            ArgumentError: when the node does not have that parameter.

        >>> import convalg as ca
        >>> import numpy as np
        >>> net = ca.sequential((1, 4), [ca.layers.Conv(1, 3), ca.layers.Dense(2)]).initialise(0)
        >>> step = net.explain_step([[1.0, 2.0, 3.0, 4.0]], 1)
        >>> chain = step.product("conv1", "kernel")
        >>> chain.shape, np.allclose(chain(step.loss_gradient), step.gradient("conv1", "kernel"))
        ((3, 2), True)
        """
        self.gradient(node, parameter)
        (source,) = self.net.sources(node)
        own = self.net.map(node).by(parameter, self.data[source])
        after = jacobian_between(self.net, self.data, node, self.net.output)
        return compose(after, own).T

    @property
    def table(self) -> Table:
        """The factors as a `rich.table.Table`, from the loss back to the first layer."""
        from rich.table import Table
        from rich.text import Text

        table = Table(title=f"one step of back-propagation, loss {self.loss:.6g}")
        for name in ("node", "layer", "product", "matrix", "non-zeros", "norm"):
            table.add_column(
                name, justify="left" if name in ("node", "layer", "product") else "right"
            )
        table.add_row(
            "loss", "", "g = dL/dy", f"{self.loss_gradient.size}", "", _norm(self.loss_gradient)
        )
        for row in self.back:
            own = [factor for factor in self.parameters if factor.node == row.node]
            for factor in (*own, row):
                product = f"dL/d{factor.parameter} = B^T g" if factor.parameter else "g <- A^T g"
                count = factor.nonzeros
                table.add_row(
                    Text(factor.node),
                    Text(factor.layer),
                    product,
                    f"{factor.shape[0]:,} x {factor.shape[1]:,}",
                    "-" if count is None else f"{count:,}",
                    _norm(factor.gradient),
                )
        return table

    def _repr_html_(self) -> str:
        columns = [str(column.header) for column in self.table.columns]
        cells = zip(*([str(c) for c in column.cells] for column in self.table.columns), strict=True)
        return html.table(str(self.table.title), columns, cells)

    def __str__(self) -> str:
        from rich.console import Console

        console = Console(width=120, color_system=None, force_jupyter=False)
        with console.capture() as capture:
            console.print(self.table)
        return capture.get()

    __repr__ = __str__


def explain_step(net: Graph, x: object, label: object, loss: str | Loss) -> StepExplanation:
    """Return one step of back-propagation; see `Network.explain_step`."""
    rule = loss_named(loss)
    data = data_at(net, x, net.output)
    targets = rule.check_targets(as_array(label, "label")[None], net.out_shape, 1)
    value, upstream = rule.value_and_gradient(
        np.asarray(data[net.output], dtype=float)[..., None], np.moveaxis(targets, 0, -1)
    )
    gradients: dict[str, Array] = {net.output: upstream[..., 0]}
    back: list[TransposedFactor] = []
    parameters: list[TransposedFactor] = []
    for node, layer in reversed(list(net.layers())):
        if node not in gradients:
            continue
        g, sources = gradients[node], net.sources(node)
        if layer.many:
            joins = layer.joins(net.input_shapes(node))
        else:
            here = net.map(node)
            joins = [here.at(data[sources[0]])]
            for name in layer.weights(*net.input_shapes(node)):
                factor = here.by(name, data[sources[0]]).T
                parameters.append(TransposedFactor(node, repr(layer), name, factor, factor(g)))
        for source, join in zip(sources, joins, strict=True):
            row = TransposedFactor(node, repr(layer), "", join.T, join.T(g))
            back.append(row)
            before = gradients.get(source)
            gradients[source] = row.gradient if before is None else before + row.gradient
    return StepExplanation(net, value, upstream[..., 0], tuple(back), tuple(parameters), data)


def _norm(array: Array) -> str:
    return f"{float(np.linalg.norm(np.asarray(array, dtype=float))):.4g}"
