"""The kinds of derivations of an operator, and the claims of their steps for certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from convalg.arguments import shown
from convalg.errors import KindError
from convalg.operators.tree import Compose, Operator
from convalg.prove import notation
from convalg.prove.certificates import comments
from convalg.prove.decisions.nonlinear import Obligation
from convalg.prove.derivations import layer_products, receptive_field
from convalg.prove.derivations.adjoint import adjoint_steps
from convalg.prove.derivations.derivation import Derivation, Step, plain_text
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
    formula: str
    scope: str

    @property
    def stated(self) -> str:
        """The formula of the step, with the derivation that it is a part of."""
        operator = notation.write(self.operator)
        step = f"step {self.number} of the derivation {self.kind} of {operator}"
        return f"{step}: {plain_text(self.formula)} for {self.scope}"

    def obligations(self) -> list[Obligation]:
        """Return the obligations of a proof.

        The formulas are made from the expression in the manifest, so that who reads it makes the
        same ones.
        """
        operator = notation.read(notation.write(self.operator))
        formulas = STEPS[self.kind](operator)[self.number].formulas()
        return list(formulas.obligations(comments(self.stated)))

    def manifest(self) -> dict[str, Any]:
        """Return the claim for the manifest of a certificate."""
        return {
            "claim": self.formula,
            "scope": self.scope,
            "derivation": self.kind,
            "operator": notation.write(self.operator),
            "step": self.number,
        }


def read_claim(kind: str, text: str, number: object) -> StepClaim:
    """Return the claim of a step from the manifest of a certificate.

    Raises: KindError for another kind, or where the derivation has no such step; the errors of
    `notation.read`.
    """
    if kind not in STEPS:
        raise KindError(
            f"{shown(kind)} is not a kind of derivation: choose from {', '.join(STEPS)}"
        )
    operator = notation.read(text)
    steps = STEPS[kind](operator)
    if type(number) is not int or not 0 <= number < len(steps):
        raise KindError(f"step must be an integer from 0 to {len(steps) - 1}, not {shown(number)}")
    return StepClaim(kind, operator, number, steps[number].formula, steps[number].scope)


def derived(kind: str, title: str, operator: Operator) -> Derivation:
    """Return a derivation of an operator, whose steps have certificates."""
    steps = [
        replace(step, evidence=(StepClaim(kind, operator, number, step.formula, step.scope),))
        for number, step in enumerate(STEPS[kind](operator))
    ]
    return Derivation(f"{title} of {operator!r}", tuple(steps))
