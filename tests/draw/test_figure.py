"""Figures are reproducible and leave the settings of matplotlib alone."""

from __future__ import annotations

import subprocess
import sys
from xml.etree import ElementTree

import matplotlib as mpl
from read_figures import LAYERS

import convalg as ca


def test_a_figure_is_the_same_svg_each_time_and_leaves_settings_alone() -> None:
    before = dict(mpl.rcParams)
    first, second = (ca.draw.matrix(LAYERS["2-D"]).svg() for _ in range(2))
    assert first == second
    assert ElementTree.fromstring(first).tag.endswith("}svg")
    assert dict(mpl.rcParams) == before


def test_a_figure_shows_itself_in_a_notebook() -> None:
    figure = ca.draw.modes(4, 2)
    assert figure._repr_svg_() == figure.svg()


def test_pyplot_stays_out() -> None:
    code = (
        "import sys, convalg as ca; ca.draw.matrix(ca.correlation(4, [1, 2])).svg(); "
        "sys.exit('matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
