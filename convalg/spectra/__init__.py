"""Singular values and what follows: norms and bounds, rank, null space, coverage, least squares."""
