"""The public class for networks: a graph of layers with its derivatives and receptive fields."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from convalg import html
from convalg.errors import KindError
from convalg.network.graph import Graph
from convalg.network.layers.base import Layer
from convalg.operators.tree import Operator
from convalg.size import is_symbolic

if TYPE_CHECKING:
    from convalg.maps.losses import Loss
    from convalg.network.effective import EffectiveField
    from convalg.network.reach import Misalignment
    from convalg.network.receptive_field import ReceptiveField
    from convalg.network.step import StepExplanation
    from convalg.network.summary import Summary


class Network(Graph):
    """A graph of layers with one input and one or several outputs.

    `add` appends a layer that reads existing nodes and returns the name of the new node, so the
    nodes are always sorted in data-flow order. `net(x)` runs the network; `net.receptive_field()`,
    `net.jacobian(x)`, `net.summary()` and `net.counts` analyse it. `net.graph` is a networkx
    graph: each node has the attributes `layer`, `shape` and `sources` (the nodes whose data it
    reads), and each edge has `ports` (the indices of the inputs of the layer that it feeds).

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`; spatial sizes may be
            symbols of `ca.sizes`.
        name: a title for tables and drawings.

    Raises:
        ArgumentError: when a size is less than 1.
        KindError: when a size is neither an integer nor a symbol, or name is not a string.

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
        """Return the Jacobian of the network at one sample as an operator.

        It is the product of the Jacobians of the layers. Its adjoint is back-propagation;
        `.to_scipy()` returns its matrix.

        Args:
            x: the sample, of shape `in_shape`.
            node: the name of the node whose data are differentiated; by default the output.

        Returns:
            An operator from `in_shape` to `net.shapes[node]`.

        Raises:
            ShapeError: when the shape of x is not `in_shape`.
            ArgumentError: for an unknown node, when weights have not been set, and when `node` is
                omitted although the network does not have exactly one output.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 3), [ca.layers.Conv(1, 2, bias=False), ca.layers.ReLU()])
        >>> net.set_weights("conv1", kernel=[[[1, -2]]])
        >>> net.jacobian([[3, 1, 2]]).to_numpy().tolist()
        [[1, -2, 0], [0, 0, 0]]
        """
        from convalg.network.jacobian import jacobian

        return jacobian(self, x, self.node_or_output(node))

    def explain_step(
        self, x: object, label: object, *, loss: str | Loss = "cross_entropy"
    ) -> StepExplanation:
        """Return one step of back-propagation as a chain of transposed matrices.

        Args:
            x: one sample, of shape `in_shape`.
            label: the index of the class of the sample, or a target of the shape of the output.
            loss: the name of a loss, or a loss of `ca.train`.

        Returns:
            A `StepExplanation` with the loss, its gradients and the matrices; it prints itself as
            a table.

        Raises:
            ShapeError: when the shape of x is not `in_shape`.
            ArgumentError: for an unknown loss, a label that the loss does not accept, and when
                weights have not been set.

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
        """Return the receptive field of a node as a `ReceptiveField`.

        Args:
            node: the name of the node; by default the output.

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
        """The pairs of joined branches whose receptive fields are at different positions.

        The list is empty for a network without branches.

        >>> import convalg as ca
        >>> net = ca.Network((1, 16))
        >>> left = net.add(ca.layers.Conv(1, 3, padding=1), "input")
        >>> right = net.add(ca.layers.Conv(1, 2, padding=((0, 1),)), "input")
        >>> joined = net.add(ca.layers.Add(), [left, right])
        >>> [(pair.node, pair.ends, str(pair.difference[0])) for pair in net.misalignments]
        [('add1', ('conv1', 'conv2'), '1/2')]
        """
        from convalg.network.reach import misalignments

        return misalignments(self)

    def effective_receptive_field(
        self, node: str | None = None, x: object = None
    ) -> EffectiveField:
        """Return how strongly an output depends on each pixel, as an `EffectiveField`.

        Args:
            node: the name of the node of the output; by default the output of the network.
            x: one sample, of shape `in_shape`, at which the gradient of the central output is
                computed. If None, the exact profile is computed as if all kernels were uniform,
                for a stack of layers without branches.

        Raises:
            KindError: when x is None and branches meet, or a layer is neither a convolution, an
                average pooling nor elementwise.
            ArgumentError: for an unknown node, and when x is given but weights have not been set.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 64), [ca.layers.Conv(1, 3)] * 2)
        >>> print(*net.effective_receptive_field().profile[0])
        1/9 2/9 1/3 2/9 1/9
        """
        from convalg.network.effective import effective_field

        return effective_field(self, self.check_node(self.output if node is None else node), x)

    def summary(self) -> Summary:
        """Return a `Summary`: a table of the shapes, counts and receptive fields of all layers.

        Raises:
            SymbolicError: when a size is symbolic.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 8), [ca.layers.Conv(2, 3)])
        >>> [(row.node, row.shape, row.parameters) for row in net.summary().rows]
        [('conv1', '2 x 6', 8)]
        """
        from convalg.network.summary import summary

        return summary(self)


def sequential(in_shape: object, layers: Sequence[Layer], *, name: str = "network") -> Network:
    """Return a network in which each layer reads the output of the layer before it.

    Args:
        in_shape: the shape of one input sample, `(channels, *spatial)`; spatial sizes may be
            symbols of `ca.sizes`.
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
        raise KindError(f"layers must be a list of layers, not one layer: pass [{layers!r}]")
    net = Network(in_shape, name=name)
    if not isinstance(layers, Iterable):
        raise KindError(f"layers must be a list of layers, not {layers!r}")
    for layer in layers:
        net.add(layer)
    return net
