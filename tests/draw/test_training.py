"""Kernels and the course of a training, read back from their figures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sympy
from matplotlib.axes import Axes

import convalg as ca
from convalg.draw import palette
from convalg.errors import ArgumentError, KindError, ShapeError, SymbolicError


def tiles(figure: Any) -> list[tuple[str, np.ndarray]]:
    """The number and the colours of each kernel; the last panel is the scale."""
    *panels, _ = figure.axes
    return [(axes.get_title(loc="left"), np.asarray(axes.images[0].get_array())) for axes in panels]


def test_each_kernel_has_its_number_and_one_scale_holds_for_all() -> None:
    values = np.arange(-12, 12).reshape(3, 2, 2, 2)
    found = tiles(ca.draw.kernels(values))
    assert [number for number, _ in found] == ["0, 0", "0, 1", "1, 0", "1, 1", "2, 0", "2, 1"]
    for (_, colours), kernel in zip(found, values.reshape(6, 2, 2), strict=True):
        assert colours == pytest.approx(palette.signed_colours(kernel, 12))
    figure = ca.draw.kernels(values)
    assert [label.get_text() for label in figure.axes[-1].get_yticklabels()] == ["12", "0", "-12"]


def test_the_kernels_of_a_network() -> None:
    net = ca.sequential((1, 9, 9), [ca.layers.ReLU(), ca.layers.Conv(3, 2), ca.layers.Conv(2, 3)])
    net.initialise(1)
    figure = ca.draw.kernels(net)
    assert [number for number, _ in tiles(figure)] == ["0, 0", "1, 0", "2, 0"]
    assert figure.texts[0].get_text() == "conv1: 3 x 1 x 2 x 2"
    second = ca.draw.kernels(net, "conv2")
    assert len(tiles(second)) == 6
    assert second.texts[0].get_text() == "conv2: 2 x 3 x 3 x 3"


def test_many_kernels_are_cut_and_the_title_says_so() -> None:
    figure = ca.draw.kernels(np.ones((17, 16, 2, 2)))
    assert len(tiles(figure)) == 256
    assert figure.texts[0].get_text() == "kernels: 17 x 16 x 2 x 2, the first 16 output channels"
    row = ca.draw.kernels(np.ones((257, 2, 2)))
    assert len(tiles(row)) == 256
    assert row.texts[0].get_text() == "kernels: 257 x 2 x 2, the first 256"
    assert max(*figure.get_size_inches(), *row.get_size_inches()) < 10.5


NET = ca.sequential((1, 9, 9), [ca.layers.Conv(1, 3), ca.layers.ReLU()], name="bare")


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((NET,), ArgumentError, "bare has no kernels yet: create them with initialise"),
        ((NET, "relu1"), ArgumentError, "relu1 does not have a kernel: choose another node"),
        ((NET, "none"), ArgumentError, "bare has no node 'none'"),
        (
            (np.ones((2, 2)), "conv1"),
            ArgumentError,
            "selects a layer of a network, but the source is an array",
        ),
        ((np.ones(3),), ShapeError, r"kernels must have shape .* with positive sizes, not \(3,\)"),
        ((np.ones((0, 2, 2)),), ShapeError, r"with positive sizes, not \(0, 2, 2\)"),
        ((np.ones((2, 2)) * 1j,), KindError, "kernels must be real numbers, not complex128"),
        (([["a", "b"]],), KindError, "kernels must hold numbers, not <U1"),
        (([[1.0, np.nan]],), ArgumentError, "the kernels of kernels contain numbers that are not"),
        (
            ([[sympy.Symbol("w")]],),
            SymbolicError,
            "symbolic kernels cannot be shown as colours.* for w",
        ),
    ],
)
def test_what_has_no_kernels(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ca.draw.kernels(*arguments)


def curves(axes: Axes) -> list[list[float]]:
    return [np.asarray(line.get_ydata(), dtype=float).tolist() for line in axes.lines]


def test_a_history_is_drawn_epoch_by_epoch() -> None:
    course = SimpleNamespace(
        loss=[2.0, 1.0, 0.5], accuracy=[0.25, 0.5, 0.75], validation_accuracy=[None, 0.5, None]
    )
    loss, accuracy = ca.draw.history(course).axes
    assert curves(loss) == [[2.0, 1.0, 0.5]]
    assert np.asarray(loss.lines[0].get_xdata()).tolist() == [1, 2, 3]
    training, validation = curves(accuracy)
    assert training == [0.25, 0.5, 0.75]
    assert np.isnan(validation).tolist() == [True, False, True]
    # Told apart without colour too.
    assert len({(line.get_linestyle(), line.get_marker()) for line in accuracy.lines}) == 2
    assert "0.75 on training images, 0.5 on validation" in accuracy.get_title(loc="left")


@pytest.mark.parametrize("empty", [[], [None, None], None])
def test_without_accuracy_there_is_one_panel(empty: Any) -> None:
    course = SimpleNamespace(loss=[1, 2])
    if empty is not None:
        course.accuracy = course.validation_accuracy = empty
    assert len(ca.draw.history(course).axes) == 1


@pytest.mark.parametrize(
    ("course", "error", "words"),
    [
        (object(), KindError, "draw.history needs a list of numbers `loss`, not None"),
        (SimpleNamespace(loss="abc"), KindError, "needs a list of numbers `loss`, not 'abc'"),
        (
            SimpleNamespace(loss=["a"]),
            KindError,
            r"draw.history needs numbers in `loss`, not \['a'",
        ),
        (SimpleNamespace(loss=[]), ArgumentError, r"a history needs at least one epoch.* \[\]"),
        (
            SimpleNamespace(loss=[1, 2], accuracy=[1]),
            ArgumentError,
            "accuracy must have one entry for each of the 2 epochs, not 1",
        ),
    ],
)
def test_what_is_no_history(course: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ca.draw.history(course)
