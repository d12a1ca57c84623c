"""The parts of `identify`: probing a function, and the layer that a matrix shows."""
