"""Networks: graphs of layers with exact shapes, counts and receptive fields, also symbolic."""
