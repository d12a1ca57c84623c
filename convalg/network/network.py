"""The network that users meet: a graph of layers with all that can be asked of it."""

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
    from convalg.network.field import ReceptiveField
    from convalg.network.receptive import Misalignment
    from convalg.network.step import StepExplanation
    from convalg.network.summary import Summary


class Network(Graph):
    """Layers joined to a graph, from one input to one output or several.

    `add` puts a layer behind others and gives the name of its node; layers come in an order in
    which data can flow. `graph` is the networkx graph: nodes carry `layer`, `shape` and `sources`
    (the nodes that feed them), edges `ports` (which inputs of the layer they feed).

    Shapes: `in_shape` is `(channels, *spatial)`; spatial sizes may be letters of `ca.sizes`.

    >>> import convalg as ca
    >>> net = Network((1, 28, 28))
    >>> first = net.add(ca.layers.Conv(6, 5))
    >>> net.add(ca.layers.ReLU(), first), net.shapes[first], net.parameters
    ('relu1', (6, 24, 24), 156)
    """

    def _repr_html_(self) -> str:
        if any(is_symbolic(n) for n in self.in_shape):
            return html.text(repr(self))
        return self.summary()._repr_html_()

    def jacobian(self, x: Any, node: str | None = None) -> Operator:
        """The Jacobian at one sample, as the product of the layers' operators.

        Shapes: x `in_shape`; the operator maps `in_shape` to the shape at the node. Its adjoint
        is back-propagation; `.to_scipy()` is the matrix.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 3), [ca.layers.Conv(1, 2, bias=False), ca.layers.ReLU()])
        >>> net.set_weights("conv1", kernel=[[[1, -2]]])
        >>> net.jacobian([[3, 1, 2]]).to_numpy().tolist()
        [[1, -2, 0], [0, 0, 0]]
        """
        from convalg.network.jacobian import jacobian

        return jacobian(self, x, self._wanted(node))

    def explain_step(self, x: Any, label: Any, *, loss: Any = "cross_entropy") -> StepExplanation:
        """One step of back-propagation, as the chain of transposed matrices; see the class.

        Shapes: x `in_shape`, one sample; label the number of its class, or a target.

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
        """What an output at a node reads of the input; see `ReceptiveField`.

        >>> import convalg as ca
        >>> net = ca.sequential((1, 32, 32), [ca.layers.Conv(6, 5), ca.layers.AvgPool(2)])
        >>> field = net.receptive_field()
        >>> field.size, field.stride, field.padding
        ((6, 6), (2, 2), (0, 0))
        """
        from convalg.network.field import receptive_field

        return receptive_field(self, self._known(self.output if node is None else node))

    @property
    def misalignments(self) -> list[Misalignment]:
        """Where branches that are joined look at different places of the input."""
        from convalg.network.receptive import misalignments

        return misalignments(self)

    def effective_receptive_field(self, node: str | None = None, x: Any = None) -> EffectiveField:
        """How strongly an output depends on each pixel; see `EffectiveField`."""
        from convalg.network.effective import effective_field

        return effective_field(self, self._known(self.output if node is None else node), x)

    def summary(self) -> Summary:
        """A table of all layers: shapes, counts, receptive fields."""
        from convalg.network.summary import summary

        return summary(self)


def sequential(in_shape: Any, layers: Sequence[Layer], *, name: str = "network") -> Network:
    """A network of layers one behind the other.

    Raises: as `Network.add`.

    >>> import convalg as ca
    >>> sequential((1, 28, 28), [ca.layers.Conv(6, 5), ca.layers.MaxPool(2)])
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
