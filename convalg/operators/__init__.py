"""Linear operators: the tree, its leaves, constructors, simplification and derivatives."""

# Attach the methods before any operator can be created.
from convalg.operators import methods as methods
