"""Proofs: claims decided for all sizes, or refuted with the smallest counterexample."""

from convalg.prove.claims import adjoint, equal, equivariant
from convalg.prove.functions.claims import gradient, implements, linear
from convalg.prove.verdict import Counterexample, Verdict

__all__ = [
    "Counterexample",
    "Verdict",
    "adjoint",
    "equal",
    "equivariant",
    "gradient",
    "implements",
    "linear",
]
