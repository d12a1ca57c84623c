"""Operators applied to arrays from other libraries: PyTorch, CuPy, JAX and the array API."""
