"""Linear algebra of operators: singular values, norms and bounds, rank, least squares, coverage."""
