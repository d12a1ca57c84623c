"""Layers beyond the correlation: forward, and the operator that each is at a point."""
