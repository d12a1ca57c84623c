"""Operators applied to arrays of other libraries: PyTorch, CuPy, JAX and the array API."""
