"""Derivations: step by step from the definition of a layer to a result, each step verified.

The steps are made from the given operator: its stride, dilation, padding, boundary and channels
appear in the formulas, as numbers or symbols. The formula of a step and its check are made from
the same statement.
"""

from __future__ import annotations

from convalg.errors import KindError
from convalg.network.network import Network
from convalg.operators.tree import Operator
from convalg.prove.derivations import receptive_field as fields
from convalg.prove.derivations.batch_norm import batch_norm_steps
from convalg.prove.derivations.derivation import Derivation, Step
from convalg.prove.derivations.kinds import derived

__all__ = [
    "Derivation",
    "Step",
    "adjoint",
    "batch_norm",
    "kernel_gradient",
    "linearity",
    "output_size",
    "receptive_field",
]


def linearity(operator: Operator) -> Derivation:
    """Derive that a layer is linear: its sum over taps distributes over sums and multiples.

    Args:
        operator: a correlation, a convolution, a sum or average pooling, the transpose of one, or
            a product of these. Its sizes, strides and dilations are numbers or symbols.

    Returns:
        A derivation whose last step is A (a x + b z) = a A x + b A z.

    Raises:
        KindError: for any other operator.

    >>> import convalg as ca
    >>> bool(ca.derive.linearity(ca.correlation(4, ca.kernel(2))).verify())
    True
    """
    return derived("linearity", "Linearity", operator)


def adjoint(operator: Operator) -> Derivation:
    """Derive the adjoint of a layer or a product: back-propagation to the input.

    The adjoint of a correlation is a correlation with the flipped kernel, and the adjoint of a
    convolution is a convolution; it is applied to the gradient, which is upsampled with zeros by
    the stride and then padded. The adjoint of a transposed layer is the strided layer, and that of
    a pooling spreads the gradient over the windows. The adjoint of a product is the product of the
    adjoints, in reverse order.

    Args:
        operator: a correlation, a convolution, a sum or average pooling, the transpose of one, or
            a product of these. Its sizes, strides and dilations are numbers or symbols.

    Returns:
        A derivation whose last step writes the adjoint as a product of operators, or, for a
        product, the gradient of its input.

    Raises:
        KindError: for any other operator.

    >>> import convalg as ca
    >>> n, K, s = ca.sizes("n K s")
    >>> derivation = ca.derive.adjoint(ca.correlation(n, ca.kernel(K), stride=s))
    >>> derivation.steps[-1].formula
    "A^{\\\\mathsf T} = A'\\\\, P\\\\, S"
    >>> derivation.verify()
    Proved for all s >= 1, n >= K >= 1
    """
    return derived("adjoint", "The adjoint", operator)


def kernel_gradient(operator: Operator) -> Derivation:
    """Derive that dL/dw is the input correlated with the output gradient, dilated by the stride.

    For a transposed layer, the two are exchanged: the output gradient is correlated with the input.
    For a product, there is one gradient for the kernel of each layer; where two layers share a
    kernel, its gradient is the sum of theirs.

    Args:
        operator: a correlation, a convolution, the transpose of one, or a product of these and of
            poolings. Its sizes, strides and dilations are numbers or symbols.

    Returns:
        A derivation whose last step writes the kernel gradient as the transpose of an operator B,
        or, for a product, as a sum.

    Raises:
        KindError: for any other operator, and for a single pooling.

    >>> import convalg as ca
    >>> layer = ca.correlation(6, ca.kernel(3), stride=2, padding=1)
    >>> bool(ca.derive.kernel_gradient(layer).verify())
    True
    """
    return derived("kernel_gradient", "The kernel gradient", operator)


def output_size(operator: Operator) -> Derivation:
    """Derive the number of outputs of a layer: the number of indices at which the kernel fits.

    The output of a transposed layer is the range of indices that its inputs are written to, minus
    the samples that are cropped, plus the samples that are added at the end.

    Args:
        operator: a correlation, a convolution, a sum or average pooling, the transpose of one, or
            a product of these. Its sizes, strides and dilations are numbers or symbols.

    Returns:
        A derivation, whose last step for each axis is a formula for its output size.

    Raises:
        KindError: for any other operator.

    Source: Dumoulin & Visin, A guide to convolution arithmetic, relationships 14 and 15.

    >>> import convalg as ca
    >>> ca.derive.output_size(ca.correlation(7, ca.kernel(3), stride=2)).steps[-1].formula
    'o = \\\\left\\\\lfloor \\\\frac{4}{2} \\\\right\\\\rfloor + 1 = 3'
    >>> layer = ca.transposed_correlation(4, ca.kernel(3), stride=2)
    >>> ca.derive.output_size(layer).steps[-1].formula
    'o = 2 \\\\cdot (4 - 1) + (3 - 1) + 1 = 9'
    """
    return derived("output_size", "The output size", operator)


def receptive_field(subject: Operator | Network, node: str | None = None) -> Derivation:
    """Derive which inputs one output of a product of layers, or of a network, may depend on.

    Rule: backward through a layer of a product, r <- s r + (d (k - 1) + 1 - s), S <- s S,
    P <- s P + p; forward through a network, to `node` or the output, r <- r + d (k - 1) j,
    P <- P + p j, j <- s j, with the size r, the jump j and the padding P. Where branches meet,
    their fields are united. Borders are ignored, and so are gaps between the inputs that are read.

    Args:
        subject: a layer, a product of layers, or a network. Sizes, strides and dilations are
            numbers or symbols.
        node: the name of the node of a network whose field is derived; the output of the network
            unless given. None for a layer or a product.

    Returns:
        A derivation with one step per layer and axis; equal axes of a network are derived once.

    Raises:
        KindError: when a factor of a product is not a layer, when `node` is given without a
            network, for a network without spatial axes, and where branches with different jumps
            meet.

    Source: Araujo, Norris, Sim, Computing Receptive Fields of CNNs, Distill 2019.

    >>> import convalg as ca
    >>> net = ca.correlation(7, ca.kernel(3, name="b")) @ ca.correlation(9, ca.kernel(3))
    >>> print(ca.derive.receptive_field(net).steps[-1].formula.split(",\\\\quad ", 1)[1])
    \\operatorname{hull} R_{0}(u) = [u,\\ u + 4],\\quad r = 5
    >>> derivation = ca.derive.receptive_field(ca.zoo.lenet5(), "S4")
    >>> [step.reason.split(":")[0] for step in derivation.steps[1:]]
    ['through C1', 'through S2', 'through C3', 'through S4']
    >>> derivation.steps[-1].formula, bool(derivation.verify())
    ('u \\\\mapsto [4 u,\\\\ 4 u + 15],\\\\quad r = 16,\\\\ j = 4,\\\\ P = 0', True)
    """
    if isinstance(subject, Network):
        node = subject.receptive_field(node).node
        title = f"The receptive field of {node} in {subject.name}"
        return Derivation(title, tuple(fields.network_steps(subject, node)))
    if node is not None:
        raise KindError(
            f"{subject!r} is an operator, which does not have a node {node!r}: only a network has "
            f"nodes"
        )
    return derived("receptive_field", "The receptive field", subject)


def batch_norm() -> Derivation:
    """Derive the gradients of batch normalisation in training, for every batch size.

    The mean and the variance depend on every sample, so that the gradient of one sample has three
    terms; in inference they are constants, and one term is left. z is the normalised batch.

    Returns:
        A derivation with the gradients of beta, gamma and one sample x_j.

    Source: Ioffe & Szegedy, Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift, 2015, section 3.

    >>> import convalg as ca
    >>> derivation = ca.derive.batch_norm()
    >>> print(derivation.steps[-1].formula)
    \\frac{\\partial}{\\partial x_{j}} \\sum_{i} g_{i} y_{i} = \\frac{\\gamma}{\\sigma} g_{j}
    >>> bool(derivation.verify())
    True
    """
    return Derivation("The gradients of batch normalisation", tuple(batch_norm_steps()))
