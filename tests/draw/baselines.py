"""The figures that are compared with stored pictures; run as a script, it stores them anew."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from PIL import Image

import convalg as ca

FOLDER = Path(__file__).parent / "baseline"
DPI = 60


def _learnt() -> ca.Network:
    net = ca.sequential((1, 16, 16), [ca.layers.Conv(4, 3), ca.layers.MaxPool(2)], name="small")
    return net.initialise(1)


FIGURES: dict[str, Callable[[], Figure]] = {
    "matrix": lambda: ca.draw.matrix(ca.correlation((4, 4), ca.kernel(3, 3), padding=1)),
    "matrix_row": lambda: ca.draw.matrix(
        ca.correlation((3, 3), ca.kernel(2, 2, 2, 2)), row=(1, 0, 1)
    ),
    "matrix_density": lambda: ca.draw.matrix(ca.correlation((48, 48), np.ones((2, 3, 3, 3)))),
    "kernel": lambda: ca.draw.kernel(ca.correlation((4, 4), ca.kernel(2, 3, 2, 2))),
    "faces": lambda: ca.draw.faces(ca.correlation(6, ca.kernel(3), padding=1)),
    "modes": lambda: ca.draw.modes(5, 3),
    "overlap": lambda: ca.draw.overlap(5, 3, dilation=2),
    "flow": lambda: ca.draw.flow(ca.correlation(7, ca.kernel(3))),
    "window": lambda: ca.draw.window(ca.correlation((5, 5), ca.kernel(3, 3), padding=1), (0, 2)),
    "window_transposed": lambda: ca.draw.window(
        ca.transposed_correlation(4, [1, 2, 3], stride=2), x=[1, 2, 3, 4]
    ),
    "pooling": lambda: ca.draw.pooling(
        ca.max_pool((4, 4), 2, stride=1), [[5, 1, 2, 0], [3, 9, 4, 1], [0, 2, 8, 6], [7, 1, 3, 2]]
    ),
    "spectrum": lambda: ca.draw.spectrum(ca.correlation((6, 6), ca.kernels.laplace, padding=1)),
    "coverage": lambda: ca.draw.coverage(
        ca.transposed_correlation((4, 4), np.ones((3, 3)), stride=2)
    ),
    "effective_field": lambda: ca.draw.effective_field(
        ca.sequential((1, 32, 32), [ca.layers.Conv(1, 3)] * 4)
    ),
    "receptive_field": lambda: ca.draw.receptive_field(ca.zoo.lenet5()),
    "network": lambda: ca.draw.network(ca.zoo.lenet5()),
    "kernels": lambda: ca.draw.kernels(_learnt()),
    "history": lambda: ca.draw.history(
        SimpleNamespace(
            loss=[2.0, 1.2, 0.8], accuracy=[0.3, 0.6, 0.8], validation_accuracy=[None, 0.5, 0.7]
        )
    ),
}


def pixels(figure: Figure) -> npt.NDArray[np.uint8]:
    """The figure as it is stored, in the font that comes with matplotlib."""
    page = io.BytesIO()
    with mpl.rc_context({"font.family": "DejaVu Sans"}):
        figure.savefig(page, format="png", dpi=DPI)
    with Image.open(page) as image:
        return np.asarray(image.convert("RGB"))


def store() -> None:
    """Write every picture with few colours, so that each stays small."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in FIGURES.items():
        image = Image.fromarray(pixels(make())).quantize(48, dither=Image.Dither.NONE)
        image.save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    store()
