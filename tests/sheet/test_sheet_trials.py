"""The checks of a sheet fail when what they are told is wrong, each by a claim of its kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.errors import KindError
from convalg.sheet import trials
from convalg.sheet.checks import Check
from convalg.sheet.everywhere import PROVED, REFUTED, family_of, proved, refuted
from convalg.sheet.explorer import explorer
from convalg.sheet.layers import pictured
from convalg.sheet.worked import array_latex, exact, loops, slopes, worked

LAYER = ca.correlation((4, 5), ca.kernel(2, 3), stride=2, padding=1)
CASE = worked(LAYER, LAYER)
X = exact(np.array([[1, 5], [4, 2]]))
G = exact(np.array([[7]]))
SHIFT = ca.correlation(6, ca.kernel(3))


class Off:
    """A worked layer with one thing changed."""

    def __init__(self, **changed: Any) -> None:
        for name in ("operator", "bias", "x", "g", "y", "dw", "db", "rate"):
            setattr(self, name, changed.get(name, getattr(CASE, name)))


def commutator(row: ca.Operator) -> ca.Operator:
    return row @ ca.shift(row.in_shape, 1) - ca.shift(row.out_shape, 1) @ row


def winner(values: list[Any]) -> list[int]:
    return [int(value == max(values)) for value in values]


LOSS = CASE.loss(CASE.operator, CASE.bias)
FELL = CASE.loss(*CASE.updated(CASE.rate))

WRONG: dict[str, tuple[Callable[[], Check], str]] = {
    "forward": (lambda: trials.check_forward(Off(y=CASE.y + 1)), "output 0: "),  # type: ignore[arg-type]
    "slopes": (
        lambda: trials.check_slopes(CASE, slopes(CASE)[0], -CASE.dw, "weight"),
        "weight 0: ",
    ),
    "fall": (lambda: trials.check_fall(CASE, LOSS, FELL + 1), "the loss: "),
    "rise": (
        lambda: trials.check_fall(Off(rate=Fraction(0)), LOSS, LOSS),  # type: ignore[arg-type]
        f"the loss went from {LOSS} to {LOSS}",
    ),
    "products": (lambda: trials.check_products(LAYER, 1), "1 is claimed"),
    "pooling": (
        lambda: trials.check_pooling((X, G, exact(np.array([[4]])), 7 * X), winner, 2),
        "y: [[4]] is claimed, [[5]] is found",
    ),
    "pooling back": (
        lambda: trials.check_pooling((X, G, exact(np.array([[5]])), 7 * X), winner, 2),
        "dL/dx: ",
    ),
    "fields": (lambda: trials.check_fields(LAYER, [3, 6]), "2 layers: 6 is claimed, 7 is found"),
    "reads": (lambda: trials.check_reads(LAYER.T, (0, 9), None), "outputs: (0, 9) is claimed"),
    "bound": (
        lambda: trials.check_reads(LAYER.T, trials.reads(LAYER.T), 0),
        "samples, above 0",
    ),
    "commutator that moves": (
        lambda: trials.check_commutators([(SHIFT, SHIFT)]),
        "is not zero",
    ),
    "commutator that stays": (
        lambda: trials.check_commutators([(ca.correlation(6, ca.kernel(2), stride=2), 0 * LAYER)]),
        "are zero",
    ),
}


@pytest.mark.parametrize(("check", "words"), WRONG.values(), ids=WRONG)
def test_a_wrong_number_fails(check: Callable[[], Check], words: str) -> None:
    found = check()
    assert not found.passed
    assert words in found.how


def test_the_right_numbers_hold() -> None:
    assert trials.check_forward(CASE).passed
    assert trials.check_slopes(CASE, slopes(CASE)[0], CASE.dw, "weight").passed
    assert trials.check_slopes(CASE, slopes(CASE)[1], CASE.db, "bias").passed
    assert trials.check_fall(CASE, LOSS, FELL).passed
    assert trials.check_products(LAYER, LAYER.counts.multiplications).passed
    back = exact(np.array([[0, 7], [0, 0]]))
    assert trials.check_pooling((X, G, exact(np.array([[5]])), back), winner, 2).passed
    assert trials.check_fields(LAYER, [3, 7]).passed
    assert trials.check_reads(LAYER.T, trials.reads(LAYER.T), None).passed
    assert trials.check_commutators([(SHIFT, commutator(SHIFT))]).passed
    assert trials.check_shifts(LAYER).passed
    assert trials.check_sharing(LAYER, LAYER).passed
    assert trials.check_patches(LAYER).passed


def test_rows_that_are_not_shifted_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = ca.correlation(4, [1, 2])
    monkeypatch.setattr(trials, "exact_rows", lambda _: [{0: 1, 1: 2}, {1: 1, 2: 3}, {2: 1, 3: 2}])
    found = trials.check_shifts(layer)
    assert not found.passed
    assert "rows 0 and 1 of axis 0 differ" in found.how


def test_rows_at_a_border_that_is_read_are_left_out() -> None:
    reflected = ca.correlation(4, ca.kernel(3), padding=1, boundary="reflect")
    few = int(trials.check_shifts(reflected).how.split()[0])
    many = int(trials.check_shifts(ca.correlation(4, ca.kernel(3), padding=1)).how.split()[0])
    assert few < many


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


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("boundary", ["zeros", "circular", "reflect"])
def test_the_loops_are_the_gradients(turned: bool, boundary: Any) -> None:
    layer = ca.convolution(
        (4, 5), ca.kernel(2, 1, 2, 2), padding=1, boundary=boundary, groups=2, stride=2
    )
    operator = layer.T if turned else layer
    case = worked(operator, operator)
    dx, dw = loops(operator)(case.x, case.operator.kernel, case.g)
    assert dx.tolist() == case.dx.tolist()
    assert dw.tolist() == case.dw.tolist()


def test_numbers_are_printed_exactly() -> None:
    assert array_latex("a", np.array([[Fraction(-1, 3), 2]])) == (
        r"a = \begin{bmatrix}-\tfrac{1}{3} & 2\end{bmatrix}"
    )
    assert array_latex("a", exact(np.zeros((3, 1, 1), dtype=int))).endswith(r"\ldots")
    long = array_latex("a", exact(np.arange(150).reshape(10, 15)))
    assert r"9 & \cdots" in long
    assert "14" not in long.partition(r"\\")[0]


def test_a_verdict_becomes_a_claim_only_where_it_is_one() -> None:
    right = ca.prove.equal(LAYER, LAYER)
    wrong = ca.prove.equal(ca.correlation(3, [1]), ca.correlation(3, [2]))
    family = ca.correlation(ca.sizes("n")[0], ca.kernel(3))
    unknown = replace(right, status="unknown")
    assert proved("s", right)[0].check.passed
    assert not proved("s", wrong)[0].check.passed
    assert proved("s", ca.prove.equal(family, family))[0].check.verdict == PROVED
    assert refuted("s", wrong)[0].check.verdict == REFUTED
    assert not refuted("s", right)[0].check.passed
    assert proved("s", unknown) == refuted("s", unknown) == []
    assert family_of(ca.correlation((2, 2, 2, 2), ca.kernel(1, 1, 1, 1))) is None


def test_a_figure_is_the_first_that_a_layer_allows() -> None:
    def refuses() -> Any:
        raise KindError(f"no figure of {LAYER!r}")

    chosen = pictured("name", ("first", refuses), ("second", lambda: ca.draw.matrix(LAYER)))
    assert [picture.caption for picture in chosen] == ["second"]
    assert pictured("name", ("first", refuses)) == []


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
