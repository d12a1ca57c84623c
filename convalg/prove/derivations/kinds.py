"""The kinds of derivations of an operator, and the claims of their steps for certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from convalg.operators.tree import Compose, Operator
from convalg.prove import notation
from convalg.prove.certificates import commented
from convalg.prove.decisions.nonlinear import Obligation
from convalg.prove.derivations import layer_products, receptive_field
from convalg.prove.derivations.adjoint import adjoint_steps
from convalg.prove.derivations.derivation import Derivation, Step
from convalg.prove.derivations.kernel_gradient import gradient_of
from convalg.prove.derivations.layer_sums import Subject
from convalg.prove.derivations.linearity import linearity_steps
from convalg.prove.derivations.output_size import size_steps


def _adjoint(operator: Operator) -> list[Step]:
    if isinstance(operator, Compose):
        return layer_products.adjoint_steps(operator)
    return adjoint_steps(Subject.of(operator, "the adjoint"))


def _kernel_gradient(operator: Operator) -> list[Step]:
    if isinstance(operator, Compose):
        return layer_products.gradient_steps(operator)
    return gradient_of(Subject.of(operator, "the kernel gradient")).steps()


def _linearity(operator: Operator) -> list[Step]:
    if isinstance(operator, Compose):
        return layer_products.linearity_steps(operator)
    return linearity_steps(Subject.of(operator, "linearity"))


def _output_size(operator: Operator) -> list[Step]:
    if isinstance(operator, Compose):
        return layer_products.sizes_steps(operator)
    return size_steps(Subject.of(operator, "the output size"))


STEPS: dict[str, Callable[[Operator], list[Step]]] = {
    "adjoint": _adjoint,
    "kernel_gradient": _kernel_gradient,
    "linearity": _linearity,
    "output_size": _output_size,
    "receptive_field": receptive_field.operator_steps,
}
"""The steps of each kind of derivation."""


@dataclass(frozen=True, eq=False)
class StepClaim:
    """A step of a derivation, as a claim that a certificate names by its operator."""

    kind: str
    operator: Operator
    number: int
    sentence: str
    scope: str

    def obligations(self) -> list[Obligation]:
        """Return the obligations of a proof.

        The formulas are made from the expression in the manifest, so that who reads it makes the
        same ones.
        """
        operator = notation.read(notation.write(self.operator))
        formulas, domain = STEPS[self.kind](operator)[self.number].formulas()
        return commented(formulas, self.sentence, domain)

    def manifest(self) -> dict[str, Any]:
        """Return the claim for the manifest of a certificate."""
        return {
            "claim": self.sentence,
            "scope": self.scope,
            "derivation": self.kind,
            "operator": notation.write(self.operator),
            "step": self.number,
        }


def derived(kind: str, title: str, operator: Operator) -> Derivation:
    """Return a derivation of an operator, whose steps have certificates."""
    steps = [
        replace(step, evidence=(StepClaim(kind, operator, number, step.formula, step.scope),))
        for number, step in enumerate(STEPS[kind](operator))
    ]
    return Derivation(f"{title} of {operator!r}", tuple(steps))
