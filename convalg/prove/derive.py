"""Derivations: step by step from the definition of a layer to a result, each step verified.

The steps are made from the given operator: its stride, dilation, padding, boundary and channels
appear in the formulas, as numbers or symbols. The formula of a step and its check are made from
the same statement.
"""

from __future__ import annotations

from convalg.operators.tree import Operator
from convalg.prove.derivations.adjoint import adjoint
from convalg.prove.derivations.derivation import Derivation, Step, step
from convalg.prove.derivations.kernel_gradient import kernel_gradient
from convalg.prove.derivations.layer_sums import Subject
from convalg.prove.derivations.output_size import output_size
from convalg.prove.derivations.receptive_field import receptive_field
from convalg.prove.derivations.statements import Equation, VectorEquation
from convalg.prove.derivations.sums import (
    Applied,
    Array,
    Entry,
    Mix,
    Plus,
)

__all__ = [
    "Derivation",
    "Step",
    "adjoint",
    "kernel_gradient",
    "linearity",
    "output_size",
    "receptive_field",
]


def linearity(operator: Operator) -> Derivation:
    """Derive that a layer is linear: its sum over taps distributes over sums and multiples.

    Args:
        operator: a correlation or convolution, or the transpose of one. Its sizes are numbers or
            symbols; its strides and dilations are numbers.

    Returns:
        A derivation whose last step is A (a x + b z) = a A x + b A z.

    Raises:
        KindError: for any other operator.
        UndecidableError: for a symbolic stride or dilation, and for groups with a symbolic
            number of channels.

    >>> import convalg as ca
    >>> bool(ca.derive.linearity(ca.correlation(4, ca.kernel(2))).verify())
    True
    """
    subject = Subject.of(operator, "linearity")
    setting, names, sums = subject.setting, subject.names, subject.sums
    transposed = subject.transposed
    named, first = subject.definition()
    shape = named.in_shape
    x, z = Array(names("x"), shape), Array(names("z"), shape)
    a, b = names("\\alpha"), names("\\beta")
    letters = ("i", "c") if transposed else ("o", "k")
    index, free = sums.index(*letters), sums.free(*letters, named.out_shape)

    total = sums.backward if transposed else sums.forward
    mixed = Mix(((a, x), (b, z)))
    substituted = total(x, lambda entry: Plus(((a, entry), (b, Entry(z, entry.index)))))
    separate = Plus(((a, total(x)), (b, total(z))))
    steps = (
        first,
        step(
            Equation(Entry(Applied(named, mixed), index), substituted, free),
            "substitute a linear combination of two inputs",
            setting,
        ),
        step(
            Equation(Entry(Applied(named, mixed), index), separate, free),
            "multiplication distributes over the finite sum",
            setting,
        ),
        step(
            VectorEquation(
                Applied(named, mixed), Mix(((a, Applied(named, x)), (b, Applied(named, z))))
            ),
            "each sum is the layer applied to one of the inputs",
            setting,
        ),
    )
    return Derivation(f"Linearity of {operator!r}", steps)
