"""The worked numbers, claims and boards of a sheet."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.errors import KindError
from convalg.sheet import claims
from convalg.sheet.blocks import Formula
from convalg.sheet.explorer import explorer
from convalg.sheet.numeric_example import array_latex, exact, worked
from convalg.sheet.pictures import pictured
from convalg.sheet.sections import all_sizes

LAYER = ca.correlation((4, 5), ca.kernel(2, 3), stride=2, padding=1)
CASE = worked(LAYER, LAYER)


def test_rows_at_a_border_that_is_read_are_left_out() -> None:
    reflected = ca.correlation(4, ca.kernel(3), padding=1, boundary="reflect")
    (claim, *_) = all_sizes.toeplitz_claims(reflected)
    assert claim.statement.endswith("as long as the windows are inside the input.")
    assert claim.shown[-1] == Formula(r"A_{o+1,\,i+1} = A_{o,\,i},\quad 1 \le o < 2,\ 0 \le i < 3")


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


def test_a_verdict_becomes_a_claim_only_where_it_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = ca.correlation(3, [1]), ca.correlation(3, [2])
    (held,) = claims.equal("s", LAYER, LAYER)
    assert held.verdict == "proved at this size, 4 x 5"
    (failed,) = claims.equal("s", one, two)
    assert not failed.check.passed
    family = ca.correlation(ca.sizes("n")[0], ca.kernel(3))
    (proved,) = claims.equal("s", family, family)
    assert proved.verdict == "proved for all n >= 3"
    (same,) = claims.compared("alike", "different", family, family, about=family)
    assert (same.statement, same.check.verdict) == ("alike", "proved")
    (apart,) = claims.compared("alike", "different", one, two)
    assert (apart.statement, apart.check.verdict) == ("different", "shown by a counterexample")
    unknown = replace(ca.prove.equal(LAYER, LAYER), status="unknown")
    monkeypatch.setattr(claims, "decide", lambda *_, **__: unknown)
    assert claims.equal("s", one, one) == claims.compared("a", "b", one, two) == []


def test_a_family_is_the_layer_at_its_sizes() -> None:
    assert all_sizes.family_of(ca.correlation((2, 2, 2, 2), ca.kernel(1, 1, 1, 1))) is None
    # One axis alone is padded: the boundary is that of this axis.
    half = ca.correlation((4, 5), ca.kernel(1, 3), padding=((0, 0), (1, 1)), boundary="circular")
    family = all_sizes.family_of(half)
    assert family is not None
    assert family.at(n=4, m=5, K=1, L=3).to_sympy() == half.to_sympy()


def test_a_derivation_with_an_unknown_step_is_left_out() -> None:
    derived = ca.derive.linearity(ca.correlation(4, ca.kernel(2)))
    (shown,) = claims.steps(derived)
    assert len(shown.lines) == len(derived.steps)
    unknown = replace(derived.steps[0].verdict, status="unknown")
    first = replace(derived.steps[0], check=lambda: unknown)
    assert claims.steps(replace(derived, steps=(first, *derived.steps[1:]))) == []


def test_a_figure_is_the_first_that_a_layer_allows() -> None:
    def refuses() -> Any:
        raise KindError(f"no figure of {LAYER!r}")

    chosen = pictured("name", ("first", refuses), ("second", lambda: ca.draw.matrix(LAYER)))
    assert [picture.caption for picture in chosen] == ["second"]
    assert chosen[0].pdf.startswith(b"%PDF")
    (none,) = pictured("name", ("first", refuses))
    assert not none.exists
    assert (none.caption, none.svg, none.pdf) == ("", "", b"")


@pytest.mark.parametrize(
    "layer", [LAYER, LAYER.T, ca.correlation(5, ca.kernel(3), padding=4, boundary="circular")]
)
def test_the_boards_are_the_matrix(layer: ca.Operator) -> None:
    boards = {board.kind: board for board in explorer(layer).boards}
    entries = {(int(cell.row), int(cell.column)) for cell in boards["matrix"].cells}
    matrix = layer.to_sympy()
    places = np.ndindex(*layer.shape)
    assert entries == {place for place in places if matrix[place] != 0}
    assert (len(boards["output"].cells), len(boards["input"].cells)) == layer.shape
    for cell in boards["matrix"].cells:
        for weight in cell.weights.split():
            symbol = np.asarray(ca.kernel(*_kernel_shape(layer))).ravel()[int(weight)]
            assert matrix[int(cell.row), int(cell.column)].has(symbol)


def _kernel_shape(layer: ca.Operator) -> tuple[int, ...]:
    inner = layer if hasattr(layer, "kernel") else layer.T
    return tuple(np.shape(inner.kernel))
