"""The numbers of the numerical example, by PyTorch, and how they are printed."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.sheet.numeric_example import array_latex, exact, worked


def test_worked_numbers_are_those_of_other_libraries() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    layer = ca.correlation((5, 6), ca.kernel(3, 2, 2, 2), stride=2, padding=1)
    case = worked(layer, layer)

    def tensor(values: Any) -> Any:
        return torch.tensor(np.asarray(values).astype(float), requires_grad=True)

    x, w, b = tensor(case.x), tensor(case.operator.kernel), tensor(case.bias)
    y = torch.nn.functional.conv2d(x[None], w, b, stride=2, padding=1)[0]
    assert y.tolist() == case.y.astype(float).tolist()
    loss = ((y - tensor(case.target).detach()) ** 2).sum() / 2
    loss.backward()
    assert loss.item() == case.loss(case.operator, case.bias)
    assert x.grad.tolist() == case.dx.astype(float).tolist()
    assert w.grad.tolist() == case.dw.astype(float).tolist()
    assert b.grad.tolist() == case.db.astype(float).tolist()
    assert case.loss(*case.updated(case.rate)) < case.loss(case.operator, case.bias)


def test_numbers_are_printed_exactly() -> None:
    assert array_latex("a", np.array([[Fraction(-1, 3), 2]])) == (
        r"a = \begin{bmatrix}-\tfrac{1}{3} & 2\end{bmatrix}"
    )
    assert array_latex("a", exact(np.zeros((3, 1, 1), dtype=int))).endswith(r"\ldots")
    long = array_latex("a", exact(np.arange(150).reshape(10, 15)))
    assert r"9 & \cdots" in long
    assert "14" not in long.partition(r"\\")[0]
