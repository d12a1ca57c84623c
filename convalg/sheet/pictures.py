"""The figures of a sheet, where a layer allows them, and the Python code that creates a layer."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from convalg import draw
from convalg.arrays import as_kernel
from convalg.draw.figure import Drawing
from convalg.faces.latex import layer_of
from convalg.faces.text import boundary_text, layer_words, padding_after
from convalg.geometry import Geometry
from convalg.kernels import kernel as symbols
from convalg.operators.gradients import only_convolution
from convalg.operators.leaves import Convolution
from convalg.operators.tree import Operator
from convalg.sheet.blocks import Picture
from convalg.size import is_symbolic


def pictured(name: str, *choices: tuple[str, Callable[[], Drawing]]) -> list[Picture]:
    """The first of the figures that can be drawn, with its caption; drawn on first use."""
    return [Picture(name, choices)]


def drawn_window(name: str, operator: Operator, caption: str, last: bool = False) -> list[Picture]:
    """The kernel as a window on the input, at the middle output or, with `last`, the last one.

    A layer that cannot be drawn in a plane is shown along its last axis.
    """
    row = row_of(operator)

    def ends(layer: Operator) -> Any:
        return tuple(n - 1 for n in layer.out_shape) if last else None

    return pictured(
        name,
        (caption, partial(draw.window, operator, ends(operator))),
        (f"{caption} Only the last axis is shown.", partial(draw.window, row, ends(row))),
        (
            f"{caption} The output is a row of the matrix.",
            partial(draw.matrix, row, row=ends(row) or 0),
        ),
    )


def row_of(operator: Operator) -> Operator:
    """The layer along its last axis, with one input and one output channel and symbolic weights.

    >>> import convalg as ca
    >>> row_of(ca.correlation((4, 6), ca.kernel(2, 3), stride=2))
    correlation(6, [w0, w1, w2], stride=2)
    """
    geometry, transposed = layer_of(operator)
    axis = geometry.axes[-1]
    row = Convolution(Geometry((axis,)), as_kernel(symbols(int(axis.taps))))
    return row.T if transposed else row


def source(operator: Operator) -> str:
    """Return Python code that defines `A`, a layer of at most a few hundred weights.

    >>> import convalg as ca
    >>> print(source(ca.correlation(5, [1, 2], stride=2)))
    import convalg as ca
    <BLANKLINE>
    A = ca.correlation((5,), [1, 2], stride=(2,), padding=((0, 0),), dilation=(1,))
    A
    """
    geometry, transposed = layer_of(operator)
    axes = geometry.axes
    kernel, imports = _kernel_source(only_convolution(operator).weights)
    if any(padding_after(axis) < 0 for axis in axes):
        # Only output_padding can express an input longer than what the layer reads.
        options = ", ".join(layer_words(geometry, transposed=True))
        sizes = tuple(int(axis.out_size) for axis in axes)
        call = f"ca.transposed_correlation({sizes}, {kernel}, {options})"
        call += "" if transposed else ".T"
        return "\n".join([*imports, "import convalg as ca", "", f"A = {call}", "A"])
    arguments = [
        repr(tuple(int(axis.in_size) for axis in axes)),
        kernel,
        f"stride={tuple(int(axis.stride) for axis in axes)}",
        f"padding={tuple((int(axis.before), int(padding_after(axis))) for axis in axes)}",
        f"dilation={tuple(abs(int(axis.dilation)) for axis in axes)}",
    ]
    if geometry.groups != 1:
        arguments.append(f"groups={int(geometry.groups)}")
    arguments += boundary_text(axes)
    name = "convolution" if axes[0].is_backwards else "correlation"
    call = f"ca.{name}({', '.join(arguments)}){'.T' if transposed else ''}"
    return "\n".join([*imports, "import convalg as ca", "", f"A = {call}", "A"])


def _kernel_source(weights: np.ndarray) -> tuple[str, list[str]]:
    """The kernel as Python code and the imports it needs; symbol names stay quoted strings."""
    values = weights.ravel().tolist()
    if values == symbols(*weights.shape).ravel().tolist():
        return f"ca.kernel({', '.join(map(str, weights.shape))})", []
    if any(is_symbolic(value) for value in values):
        import sympy

        entries = [sympy.srepr(sympy.sympify(value)) for value in values]
        nodes = (node for entry in entries for node in ast.walk(ast.parse(entry, mode="eval")))
        names = sorted({node.id for node in nodes if isinstance(node, ast.Name)})
        return _nested(entries, weights.shape), [f"from sympy import {', '.join(names)}"]
    fractions = any(hasattr(v, "denominator") and not isinstance(v, int) for v in values)
    listed = ["from fractions import Fraction"] if fractions else []
    return _nested([repr(value) for value in values], weights.shape), listed


def _nested(entries: list[str], shape: tuple[int, ...]) -> str:
    """The entries in row-major order as nested Python lists of this shape."""
    if len(shape) == 1:
        return f"[{', '.join(entries)}]"
    step = len(entries) // shape[0]
    parts = [_nested(entries[k : k + step], shape[1:]) for k in range(0, len(entries), step)]
    return f"[{', '.join(parts)}]"
