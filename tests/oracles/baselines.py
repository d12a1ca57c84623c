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
from matplotlib.text import Text
from PIL import Image

import convalg as ca

FOLDER = Path(__file__).parents[1] / "draw" / "baseline"
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
    "cone": lambda: ca.draw.cone(ca.zoo.lenet5(), 0, node="S4"),
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


def words(figure: Figure) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Every text of a figure, and its pixels: left, bottom, right, top."""
    figure.draw_without_rendering()
    texts = [*figure.texts]
    for axes in figure.axes:
        texts += [*axes.texts, axes.xaxis.label, axes.yaxis.label]
        texts += [child for child in axes.get_children() if isinstance(child, Text)]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            texts += [label for tick in ticks for label in (tick.label1, tick.label2)]
    kept = {id(t): t for t in texts if t.get_text().strip() and t.get_visible()}.values()
    boxes = np.array([text.get_window_extent().extents for text in kept]).reshape(-1, 4)
    return [text.get_text() for text in kept], boxes


def off_page(figure: Figure) -> list[str]:
    """Texts that reach over the edge of the page by more than a hair."""
    texts, boxes = words(figure)
    across, up = figure.get_size_inches() * figure.dpi
    off = (boxes[:, :2] < -2).any(axis=1) | (boxes[:, 2:] > (across + 2, up + 2)).any(axis=1)
    return [texts[k] for k in np.flatnonzero(off)]


def overlapping(figure: Figure) -> list[tuple[str, str]]:
    """Texts that stand on each other, by more than a fifth of the smaller one."""
    texts, boxes = words(figure)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=2)
    area = np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)
    pairs = np.argwhere(np.triu(both > 0.2 * np.minimum(area[:, None], area), k=1))
    return [(texts[a], texts[b]) for a, b in pairs]


def store() -> None:
    """Write every picture with few colours, so that each stays small."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in FIGURES.items():
        image = Image.fromarray(pixels(make())).quantize(48, dither=Image.Dither.NONE)
        image.save(FOLDER / f"{name}.png", optimize=True)


if __name__ == "__main__":
    store()
