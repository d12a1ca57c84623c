"""The worked numbers, claims and boards of a sheet."""

from __future__ import annotations

import convalg as ca
from convalg.sheet.numeric_example import worked

LAYER = ca.correlation((4, 5), ca.kernel(2, 3), stride=2, padding=1)
CASE = worked(LAYER, LAYER)
