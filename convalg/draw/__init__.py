"""Figures: matrices and kernels coloured by shared weight, windows, modes, networks, training.

Every function returns a matplotlib `Figure`, created without pyplot and without global settings.
"""

from convalg.draw.cone import cone
from convalg.draw.faces import faces
from convalg.draw.files import save
from convalg.draw.flow import flow, overlap
from convalg.draw.image_pair import image_pair
from convalg.draw.matrix import kernel, matrix, modes
from convalg.draw.measurements import coverage, effective_field, spectrum
from convalg.draw.network import network
from convalg.draw.pooling import pooling
from convalg.draw.receptive_field import receptive_field
from convalg.draw.training import history, kernels
from convalg.draw.window import window, window_animation

__all__ = [
    "cone",
    "coverage",
    "effective_field",
    "faces",
    "flow",
    "history",
    "image_pair",
    "kernel",
    "kernels",
    "matrix",
    "modes",
    "network",
    "overlap",
    "pooling",
    "receptive_field",
    "save",
    "spectrum",
    "window",
    "window_animation",
]
