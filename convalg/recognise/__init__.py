"""Which structure a matrix, a kernel or a function has."""
