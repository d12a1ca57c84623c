"""Exercises with integer data and their solutions, generated from a seed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from convalg.arrays import Array
from convalg.errors import ArgumentError, KindError
from convalg.faces.latex import definition, matrix
from convalg.operators.convolution import correlation, transposed_correlation
from convalg.operators.tree import Operator
from convalg.size import as_size

Format: TypeAlias = Literal["markdown", "latex", "notebook"]
FORMATS: tuple[Format, ...] = ("markdown", "latex", "notebook")
LEVELS = (1, 2, 3)
AMSMATH_COLUMNS = 10
"""The default MaxMatrixCols of amsmath; a wider matrix has to raise it."""


@dataclass(frozen=True, eq=False)
class Exercise:
    """One layer with an input x and a gradient g = dL/dy, as an exercise with four tasks."""

    seed: int
    level: int
    layer: Operator
    x: Array
    g: Array

    @property
    def solution(self) -> dict[str, Array]:
        """The answers by name: "matrix", "y" (A x), "dx" (A^T g) and "dw" (B(x)^T g).

        >>> from convalg.sheet.exercise import exercise
        >>> sorted(exercise(0).solution)
        ['dw', 'dx', 'matrix', 'y']
        """
        return {
            "matrix": self.layer.to_numpy(),
            "y": self.layer(self.x),
            "dx": self.layer.T(self.g),
            "dw": self.layer.kernel_gradient(self.x, self.g),
        }

    def markdown(self, *, solution: bool = True) -> str:
        """Return the exercise as Markdown with LaTeX formulas, with or without its solution."""
        lines = [f"# Exercise {self.seed}", "", self._layer_text(), ""]
        lines += [f"$$ {text} $$" for text in self._given()]
        lines += ["", *(f"{k}. {task}" for k, task in enumerate(_TASKS, start=1))]
        if solution:
            lines += ["", "## Solution", ""]
            for k, (text, formula) in enumerate(self._answers(), start=1):
                lines += [f"{k}. {text}", "", f"$$ {formula} $$", ""]
        return "\n".join(lines).rstrip() + "\n"

    def latex(self, *, solution: bool = True) -> str:
        """Return the exercise as a LaTeX fragment (amsmath), with or without its solution."""
        lines = [rf"\section*{{Exercise {self.seed}}}", self._layer_text(latex=True)]
        lines += [rf"\[ {text} \]" for text in self._given()]
        lines += [r"\begin{enumerate}", *(rf"\item {task}" for task in _TASKS)]
        lines.append(r"\end{enumerate}")
        if solution:
            lines.append(r"\subsection*{Solution}")
            lines.append(r"\begin{enumerate}")
            for text, formula in self._answers():
                lines.append(rf"\item {text} \[ {formula} \]")
            lines.append(r"\end{enumerate}")
        columns = self.layer.shape[1]
        if columns > AMSMATH_COLUMNS:
            lines.insert(1, rf"\setcounter{{MaxMatrixCols}}{{{columns}}}")
        return "\n".join(lines) + "\n"

    def notebook(self, *, solution: bool = True) -> str:
        """Return the exercise as the JSON text of a notebook, whose cells compute the solution."""
        call = repr(self.layer)
        setup = [
            "import convalg as ca",
            "",
            f"A = ca.{call}",
            f"x = {self.x.tolist()}",
            f"g = {self.g.tolist()}",
        ]
        cells = [_cell("markdown", self.markdown(solution=False)), _cell("code", "\n".join(setup))]
        if solution:
            cells.append(_cell("markdown", "## Solution"))
            cells += [_cell("code", code) for code in _CODE]
        book = {
            "cells": cells,
            "metadata": {"language_info": {"name": "python"}},
            "nbformat": 4,
            "nbformat_minor": 4,
        }
        return json.dumps(book, indent=1, sort_keys=True) + "\n"

    def text(self, form: Format, *, solution: bool = True) -> str:
        """Return the exercise in one of three formats.

        Args:
            form: "markdown", "latex" or "notebook".
            solution: whether the solution is included.

        Raises:
            ArgumentError: for any other format.
        """
        if form not in FORMATS:
            raise ArgumentError(f"format must be one of {', '.join(FORMATS)}, not {form!r}")
        match form:
            case "markdown":
                return self.markdown(solution=solution)
            case "latex":
                return self.latex(solution=solution)
        return self.notebook(solution=solution)

    def _layer_text(self, *, latex: bool = False) -> str:
        call = repr(self.layer)
        escaped = call.replace("_", r"\_")
        shown = rf"\texttt{{{escaped}}}" if latex else f"`{call}`"
        return (
            f"A layer maps inputs of shape {self.layer.in_shape} to outputs of shape "
            f"{self.layer.out_shape}: {shown}."
        )

    def _given(self) -> list[str]:
        return [
            definition(self.layer),
            rf"w = {_array(self.layer.kernel)}, \quad x = {_array(self.x)}, "
            rf"\quad g = \frac{{\partial L}}{{\partial y}} = {_array(self.g)}",
        ]

    def _answers(self) -> list[tuple[str, str]]:
        answers = self.solution
        return [
            ("The matrix:", f"A = {matrix(self.layer)}"),
            ("The output:", f"y = A x = {_array(answers['y'])}"),
            (
                "The gradient of the input is the adjoint applied to g:",
                rf"\frac{{\partial L}}{{\partial x}} = A^{{\mathsf T}} g = {_array(answers['dx'])}",
            ),
            (
                "The output is linear in the kernel, y = B(x) w; the gradient of the kernel is the "
                "transpose of B(x), applied to g:",
                rf"\frac{{\partial L}}{{\partial w}} = B(x)^{{\mathsf T}} g = "
                f"{_array(answers['dw'])}",
            ),
        ]


_TASKS = (
    "Write down the matrix $A$ of the layer, with $x$ and $y$ as vectors in row-major order.",
    "Compute the output $y$.",
    r"Given $g$, compute the gradient $\partial L / \partial x$.",
    r"Compute the gradient $\partial L / \partial w$ of the kernel.",
)
_CODE = ("A.to_sympy()", "A(x)", "A.T(g)", "A.kernel_gradient(x, g)")


def exercise(seed: int, *, level: int = 1) -> Exercise:
    """Return a small exercise with integer data; the same seed gives the same exercise.

    Args:
        seed: an integer, 0 or more.
        level: 1 for a signal; 2 for a signal with stride, padding or dilation, or a small image;
            3 for an image with padding and possibly a stride, or a transposed layer.

    Raises:
        ArgumentError: when the seed is negative or not an integer, or the level is not 1, 2 or 3.
        KindError: when the seed is a symbolic size.

    >>> from convalg.sheet.exercise import exercise
    >>> task = exercise(1)
    >>> task.layer, task.x.tolist(), task.solution["y"].tolist()
    (correlation(5, [2, 2]), [0, -3, 4, 3, 0], [-6, 2, 14, 6])
    """
    number, chosen = as_size(seed, "seed", least=0), as_size(level, "level")
    if chosen not in LEVELS:
        raise ArgumentError(f"level must be 1, 2 or 3, not {level!r}")
    if not isinstance(number, int):
        raise KindError(f"seed must be a number, not {seed!r}")
    random = np.random.default_rng([number, chosen])
    layer = _layer(random, chosen)
    x = random.integers(-4, 5, layer.in_shape)
    g = random.integers(-2, 3, layer.out_shape)
    for array in (x, g):
        # An array of zeros would make the exercise trivial.
        array.flat[0] = array.flat[0] if array.any() else 1
    return Exercise(number, chosen, layer, x, g)


def _layer(random: np.random.Generator, level: int) -> Operator:
    """A random layer of a level, small enough to write its matrix on paper."""
    if level == 1:
        n, k = int(random.integers(4, 7)), int(random.integers(2, 4))
        return correlation(n, _weights(random, (k,)))
    if level == 2 and random.random() < 0.5:
        return correlation((3, 3), _weights(random, (2, 2)))
    if level == 2:
        options = (
            {"stride": 2, "padding": 1},
            {"dilation": 2},
            {"padding": 1},
            {"stride": 2},
        )
        chosen: dict[str, Any] = options[int(random.integers(len(options)))]
        return correlation(int(random.integers(5, 8)), _weights(random, (3,)), **chosen)
    if random.random() < 0.4:
        return transposed_correlation(
            int(random.integers(2, 4)), _weights(random, (3,)), stride=2, padding=1
        )
    size = (3, int(random.integers(3, 5)))
    return correlation(size, _weights(random, (2, 2)), stride=int(random.integers(1, 3)), padding=1)


def _weights(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Small non-zero integer weights."""
    weights: Array = random.integers(1, 4, shape) * random.choice([-1, 1], shape)
    return weights


def _array(values: Array) -> str:
    """A vector or a matrix in LaTeX."""
    rows = np.atleast_2d(values)
    body = r" \\ ".join(" & ".join(map(str, row)) for row in rows.tolist())
    return rf"\begin{{pmatrix}} {body} \end{{pmatrix}}"


def _cell(kind: str, text: str) -> dict[str, Any]:
    lines = text.strip("\n").split("\n")
    source = [line + "\n" for line in lines[:-1]] + lines[-1:]
    cell: dict[str, Any] = {"cell_type": kind, "metadata": {}, "source": source}
    if kind == "code":
        cell |= {"execution_count": None, "outputs": []}
    return cell
