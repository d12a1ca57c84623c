"""The derivation of the linearity of a layer."""

from __future__ import annotations

from convalg.prove.derivations.derivation import Step, step
from convalg.prove.derivations.layer_sums import Subject
from convalg.prove.derivations.statements import Equation, VectorEquation
from convalg.prove.derivations.sums import Applied, Array, Entry, Mix, Plus


def linearity_steps(subject: Subject) -> list[Step]:
    """Return the steps from the definition of a layer to A (a x + b z) = a A x + b A z."""
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
    return [
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
    ]
