"""Derivations, step by step, each step a statement that is verified."""
