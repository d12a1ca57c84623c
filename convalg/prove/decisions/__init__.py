"""Decisions about operators for all sizes: parametric sets, domains, polynomials, coefficients."""
