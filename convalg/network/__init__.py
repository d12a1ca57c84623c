"""Networks: graphs of layers, their shapes, counts and receptive fields, exact and in letters."""
