"""Figures: matrices and kernels coloured by shared weight, modes, images before and after.

Every function returns a matplotlib `Figure`, made without pyplot and without global settings.
"""

from convalg.draw.field import receptive_field
from convalg.draw.matrix import kernel, matrix, modes
from convalg.draw.picture import image_pair

__all__ = ["image_pair", "kernel", "matrix", "modes", "receptive_field"]
