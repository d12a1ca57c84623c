"""The public class for networks: a graph of layers with its derivatives and receptive fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from convalg import html
from convalg.errors import KindError
from convalg.network.graph import Graph
from convalg.network.layers.base import Layer
from convalg.operators.tree import Operator
from convalg.size import is_symbolic

if TYPE_CHECKING:
    from convalg.network.effective import EffectiveField
    from convalg.network.reach import Misalignment
    from convalg.network.receptive_field import ReceptiveField
    from convalg.network.step import StepExplanation
    from convalg.network.summary import Summary


class Network(Graph):
    """A graph of layers, from one input to one or several outputs.

    `add` appends a layer to nodes that exist and returns the name of the new node, so the nodes
    are always in an order in which data can flow. `graph` is the networkx graph: a node has the
    attributes `layer`, `shape` and `sources` (the nodes that feed it), an edge has `ports` (which
    inputs of the layer it feeds).

    Args:
        in_shape: the shape of one input, `(channels, *spatial)`; spatial sizes may be symbols of
            `ca.sizes`.
        name: a title for tables and drawings.

    >>> import convalg as ca
    >>> net = ca.Network((1, 28, 28))
    >>> first = net.add(ca.layers.Conv(6, 5))
    >>> net.add(ca.layers.ReLU(), first), net.shapes[first], net.parameters
    ('relu1', (6, 24, 24), 156)
    """

    def _repr_html_(self) -> str:
        if any(is_symbolic(n) for n in self.in_shape):
            return html.text(repr(self))
        return self.summary()._repr_html_()

    def jacobian(self, x: object, node: str | None = None) -> Operator:
        """Return the Jacobian at one sample, as a product of the Jacobians of the layers.

        Its adjoint is back-propagation; `.to_scipy()` returns its matrix.

        Args:
            x: the sample, of shape `in_shape`.
            node: the node whose data are differentiated; by default the output.

        Returns:
            An operator from `in_shape` to the shape at the node.

        Raises:
            ShapeError: when x is not of shape `in_shape`.
            ArgumentError: for an unknown node, without weights, and without `node` where the
                network does not have exactly one output.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 3), [ca.layers.Conv(1, 2, bias=False), ca.layers.ReLU()])
        >>> net.set_weights("conv1", kernel=[[[1, -2]]])
        >>> net.jacobian([[3, 1, 2]]).to_numpy().tolist()
        [[1, -2, 0], [0, 0, 0]]
        """
        from convalg.network.jacobian import jacobian

        return jacobian(self, x, self.node_or_output(node))

    def explain_step(self, x: Any, label: Any, *, loss: Any = "cross_entropy") -> StepExplanation:
        """Explain one step of back-propagation as a chain of transposed matrices.

        See `StepExplanation`, which prints itself as a table.

        Args:
            x: one sample, of shape `in_shape`.
            label: the index of its class, or a target of the shape of the output.
            loss: the name of a loss, or a loss of `ca.train`.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 4), [ca.layers.Conv(1, 3), ca.layers.Dense(2)])
        >>> step = net.initialise(0).explain_step([[1.0, 2.0, 3.0, 4.0]], 1)
        >>> [(row.node, row.shape) for row in step.back]
        [('dense1', (2, 2)), ('conv1', (4, 2))]
        """
        from convalg.network.step import explain_step

        return explain_step(self, x, label, loss)

    # Receptive fields.

    def receptive_field(self, node: str | None = None) -> ReceptiveField:
        """Return the receptive field of a node, by default of the output; see `ReceptiveField`.

        Raises:
            ArgumentError: for an unknown node.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 32, 32), [ca.layers.Conv(6, 5), ca.layers.AvgPool(2)])
        >>> field = net.receptive_field()
        >>> field.size, field.stride, field.padding
        ((6, 6), (2, 2), (0, 0))
        """
        from convalg.network.receptive_field import receptive_field

        return receptive_field(self, self.check_node(self.output if node is None else node))

    @property
    def misalignments(self) -> list[Misalignment]:
        """The pairs of joined branches whose receptive fields are at different positions."""
        from convalg.network.reach import misalignments

        return misalignments(self)

    def effective_receptive_field(
        self, node: str | None = None, x: object = None
    ) -> EffectiveField:
        """Return how strongly an output depends on each pixel; see `EffectiveField`.

        Args:
            node: the node of the output; by default the output of the network.
            x: an input of shape `in_shape`, for the gradient of the central output at it; without
                one, the exact profile of a stack of layers with uniform kernels.

        Raises:
            KindError: without x, where branches meet or a layer is neither a convolution, an
                average pooling nor elementwise.
            ArgumentError: for an unknown node, or with x but without weights.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 64), [ca.layers.Conv(1, 3)] * 2)
        >>> print(*net.effective_receptive_field().profile[0])
        1/9 2/9 1/3 2/9 1/9
        """
        from convalg.network.effective import effective_field

        return effective_field(self, self.check_node(self.output if node is None else node), x)

    def summary(self) -> Summary:
        """Return a table of all layers: shapes, counts and receptive fields.

        Raises:
            SymbolicError: when sizes are symbolic.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 8), [ca.layers.Conv(2, 3)])
        >>> [(row.node, row.shape, row.parameters) for row in net.summary().rows]
        [('conv1', '2 x 6', 8)]
        """
        from convalg.network.summary import summary

        return summary(self)


def sequential(in_shape: object, layers: Sequence[Layer], *, name: str = "network") -> Network:
    """Return a network whose layers are applied one after another.

    Args:
        in_shape: the shape of one input, `(channels, *spatial)`.
        layers: the layers, from the first to the last.
        name: a title for tables and drawings.

    Raises:
        KindError: when `layers` is not a list of layers.
        ShapeError: when a layer does not accept the output of the one before it.

    >>> import convalg as ca
    >>> ca.sequential((1, 28, 28), [ca.layers.Conv(6, 5), ca.layers.MaxPool(2)])
    <network: 2 layers, (1, 28, 28) to (6, 12, 12)>
    """
    if isinstance(layers, Layer):
        raise KindError(f"layers must be a list of layers, not {layers!r}: write [{layers!r}]")
    net = Network(in_shape, name=name)
    if not isinstance(layers, Iterable):
        raise KindError(f"layers must be a list of layers, not {layers!r}")
    for layer in layers:
        net.add(layer)
    return net
