"""Linear operators: the tree, its leaves, how they are made, simplified and differentiated."""

# Attach the methods before anyone meets an operator.
from convalg.operators import methods as methods
