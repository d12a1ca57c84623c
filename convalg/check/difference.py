"""Describe how a wrong matrix differs from the correct one: rows shifted, missing, exchanged."""

from __future__ import annotations

import numpy as np

from convalg.arguments import plural
from convalg.arrays import Array
from convalg.check.candidate import Candidate
from convalg.check.problem import Problem, with_array
from convalg.check.sweep import Config, problem

MOST_IMPULSES = 100
"""Most numbers in an array of a configuration whose matrix is computed."""
TRIED = 3
"""Most configurations whose matrix is computed, by one call for each number of an array."""
SHOWN = 6
"""Most row indices that are listed."""


def matrix_difference(tested: Candidate, configs: list[Config], part: str) -> str:
    """Describe the difference between the matrix of a function and the correct matrix.

    The matrix maps x to the output, or for gradients g to the gradient. It is computed for the
    smallest suitable configuration. The text is empty if the function is not linear, or if no
    configuration is small enough.
    """
    source = "g" if "g" in tested.kind.arrays else "x"
    problems = [(config, problem(tested.kind, config)) for config in configs[: 4 * TRIED]]
    small = [(config, p) for config, p in problems if getattr(p, source).size <= MOST_IMPULSES]
    for config, p in small[:TRIED]:
        array = getattr(p, source)
        matrices = _matrices(tested, config, p, part, source)
        if matrices is not None:
            text = _rows(*matrices)
            if text:
                matrix = f"its matrix from {source} to {part} for an array of shape {array.shape}"
                return f"{matrix}: {text}"
    return ""


def _matrices(
    tested: Candidate, config: Config, p: Problem, part: str, source: str
) -> tuple[Array, Array] | None:
    """Return the correct matrix and the matrix of the function from impulses, or None.

    Shapes: both (outputs, inputs). None if the function is not linear, or its output has another
    size.
    """
    array = getattr(p, source)
    right, got = [], []
    for k in range(array.size):
        unit = np.zeros(array.size)
        unit[k] = 1
        changed = with_array(p, source, unit.reshape(array.shape))
        outcome = tested(config, changed)
        if part not in outcome.parts:
            return None
        right.append(np.asarray(tested.kind.parts[part](changed), dtype=float).ravel())
        got.append(outcome.parts[part].ravel())
    outcome = tested(config, p)
    if part not in outcome.parts or {len(row) for row in got} != {outcome.parts[part].size}:
        return None
    # Impulse responses determine the function only if it is linear.
    with np.errstate(invalid="ignore"):
        linear = np.allclose(np.array(got).T @ array.ravel(), outcome.parts[part].ravel())
    if not linear:
        return None
    if len(right[0]) != len(got[0]):
        return None
    return np.array(right).T, np.array(got).T


def _rows(right: Array, got: Array) -> str:
    """Describe the difference of each row, with rows of equal description listed together."""
    differences: dict[str, list[int]] = {}
    for row in range(len(right)):
        if not np.allclose(right[row], got[row]):
            differences.setdefault(_row_difference(row, right, got[row]), []).append(row)
    parts = []
    for difference, rows in differences.items():
        listed = ", ".join(map(str, rows[:SHOWN])) + (", ..." if len(rows) > SHOWN else "")
        parts.append(f"{'rows' if len(rows) > 1 else 'row'} {listed} {difference}")
    return "; ".join(parts)


def _row_difference(row: int, right: Array, got: Array) -> str:
    """Describe the difference of a row, as the end of a sentence such as "row 3 reversed"."""
    own = right[row]
    if not got.any():
        return "all zero"
    if not own.any():
        return "non-zero, but should be zero"
    moved = _shift(own, got) or _multiple(own, got)
    if moved:
        return moved
    for other, values in enumerate(right):
        if np.allclose(values, got):
            return f"equal to row {other} of the correct matrix"
    if np.array_equal(got[got != 0], own[own != 0][::-1]):
        return "reversed"
    lost = int(np.sum((own != 0) & (got == 0)))
    new = int(np.sum((own == 0) & (got != 0)))
    return (
        f"with {lost} entries missing and {new} unexpected entries"
        if lost or new
        else "with different values"
    )


def _shift(own: Array, got: Array) -> str:
    """Describe by how many columns a row is shifted; empty if it is not a shifted row."""
    nonzeros = np.flatnonzero(own), np.flatnonzero(got)
    if len(nonzeros[0]) != len(nonzeros[1]):
        return ""
    steps = nonzeros[1] - nonzeros[0]
    if len(set(steps.tolist())) > 1 or not np.allclose(own[nonzeros[0]], got[nonzeros[1]]):
        return ""
    step = int(steps[0])
    if step == 0:
        return ""
    return f"shifted by {plural(abs(step), 'column')} to the {'right' if step > 0 else 'left'}"


def _multiple(own: Array, got: Array) -> str:
    """Describe the factor of a row; empty if it is not a multiple of the correct row."""
    index = int(np.flatnonzero(own)[0])
    factor = got[index] / own[index]
    return f"multiplied by {factor:.4g}" if np.allclose(own * factor, got) else ""
