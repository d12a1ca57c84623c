"""The chapters of the catalogue of theorems, in the order in which they are read."""

from __future__ import annotations

FOUNDATIONS = "Foundations"
SIZES = "Sizes"
ADJOINTS = "Adjoints"
GRADIENTS = "Gradients"
COMPOSITION = "Composition"
STRIDES = "Strides and dilations"
CHANNELS = "Channels and groups"
BORDERS = "Borders and Fourier"
COUNTING = "Counting"
NORMS = "Norms and ranks"
FAST = "Fast algorithms"
POOLING = "Pooling"
EQUIVARIANCE = "Equivariance"
FIELDS = "Receptive fields"
LAYERS = "Layers and networks"

CHAPTERS = (
    FOUNDATIONS,
    SIZES,
    ADJOINTS,
    GRADIENTS,
    COMPOSITION,
    STRIDES,
    CHANNELS,
    BORDERS,
    COUNTING,
    NORMS,
    FAST,
    POOLING,
    EQUIVARIANCE,
    FIELDS,
    LAYERS,
)
