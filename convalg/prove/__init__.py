"""Proofs: claims are decided for all sizes, or refuted with the smallest counterexample."""

from convalg.prove.equality import adjoint, equal
from convalg.prove.equivariance import equivariant
from convalg.prove.functions.properties import gradient, implements, linear
from convalg.prove.verdict import Counterexample, Verdict
from convalg.prove.verification import verify

__all__ = [
    "Counterexample",
    "Verdict",
    "adjoint",
    "equal",
    "equivariant",
    "gradient",
    "implements",
    "linear",
    "verify",
]
