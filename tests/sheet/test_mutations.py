"""One wrong operator, or one wrong number, for every labelled sentence: it fails or is gone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from rechecks import ORACLES

import convalg as ca
from convalg.kernels import SymbolicKernel
from convalg.operators.tree import Operator
from convalg.sheet import verify_layer, verify_numbers
from convalg.sheet.blocks import Claim
from convalg.sheet.numeric_example import Worked, worked
from convalg.sheet.sections import all_sizes, backward, forward, pooling

LAYER = ca.correlation((4, 5), ca.kernel(2, 3), stride=2, padding=1)
ROW = ca.correlation(6, ca.kernel(3), padding=1)
STRIDED = ca.correlation(6, ca.kernel(3), stride=2, padding=1)
ROUND = ca.correlation(6, ca.kernel(3), padding=1, boundary="circular")
Patch = Callable[[pytest.MonkeyPatch], None]


def off_by_one(face: str) -> Patch:
    """The first entry of what a face of every operator gives is one too large."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        right = getattr(Operator, face)

        def wrong(self: Operator, *arguments: Any) -> Any:
            found = np.array(right(self, *arguments), dtype=object)
            found.flat[0] += 1
            return found

        monkeypatch.setattr(Operator, face, wrong)

    return patch


def wrong_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Operator.to_sympy

    def wrong(self: Operator, *arguments: Any) -> Any:
        found = right(self, *arguments)
        found[0, 0] += 1
        return found

    monkeypatch.setattr(Operator, "to_sympy", wrong)


def wrong_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Operator.counts.fget  # type: ignore[attr-defined]

    def wrong(self: Operator) -> Any:
        found = right(self)
        return SimpleNamespace(
            parameters=found.parameters,
            nonzeros=found.nonzeros + 1,
            multiplications=found.multiplications + 1,
            sharing=np.asarray(found.sharing) + 1,
        )

    monkeypatch.setattr(Operator, "counts", property(wrong))


def replaced(module: Any, name: str, wrong: Callable[..., Any]) -> Patch:
    """A function of a module that gives what another one makes of its result."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        right = getattr(module, name)

        def changed(*arguments: Any, **options: Any) -> Any:
            return wrong(right, *arguments, **options)

        monkeypatch.setattr(module, name, changed)

    return patch


def moved_on(right: Any, shape: Any, steps: Any, **options: Any) -> Any:
    """A shift by one more along the first axis."""
    first, *rest = steps
    return right(shape, (first + 1, *rest), **options)


def open_ended(right: Any, shape: Any, steps: Any, **options: Any) -> Any:
    """A shift that brings in zeros."""
    return right(shape, steps, **(options | {"boundary": "zeros"}))


def still(right: Any, shape: Any, steps: Any, **options: Any) -> Any:
    """No shift at all."""
    return right(shape, (0,) * len(steps), **options)


def further(right: Any, geometry: Any, number: int, pair: Any, *, outputs: bool) -> Any:
    """A cut of the columns that is one sample off."""
    before, after = pair
    moved = before > 0 and not outputs
    return right(geometry, number, (before - moved, after + moved), outputs=outputs)


def offset(right: Any, shape: Any, factor: Any, **options: Any) -> Any:
    """Every second sample, from the second one on: as many, of an even length."""
    from convalg.operators.shifts import shift

    kept = right(shape, factor, **options)
    dims = len(kept.in_shape)
    return kept @ shift(kept.in_shape, (-1,) * dims)


def edge(right: Any, shape: Any, padding: Any, **options: Any) -> Any:
    """Padding with the samples at the ends."""
    return right(shape, padding, **(options | {"boundary": "edge"}))


def unflipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SymbolicKernel, "flip", lambda self, axes: self)


def later(right: Any, shape: Any, cuts: Any, **options: Any) -> Any:
    """A crop of as many samples, all but one of them a place further on."""
    (before, after), *rest = cuts
    moved = 1 if before == after else after - before
    return right(shape, [(before - moved, after + moved), *rest], **options)


@dataclass
class Case:
    """A claim, and what makes it wrong."""

    make: Callable[[], list[Claim]]
    patch: Patch
    sentence: str = ".*"


def worked_case() -> Worked:
    return worked(LAYER, LAYER)


def one(make: Callable[[], Claim]) -> Callable[[], list[Claim]]:
    return lambda: [make()]


def falls() -> Claim:
    case = worked_case()
    before = case.loss(case.operator, case.bias)
    return verify_numbers.fall(case, before, case.loss(*case.updated(case.rate)))


def image() -> Claim:
    layer = ca.correlation((4, 4), ca.kernels.sobel_x)
    pixels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    return verify_layer.image(layer, pixels, layer(pixels), "on 1 image of 4 x 4")


def shifts(operator: Operator) -> Callable[[], list[Claim]]:
    return lambda: [*all_sizes.shift_claims(operator), *all_sizes.shift_limits(operator)]


def parts_of(operator: Operator) -> Callable[[], list[Claim]]:
    return lambda: [
        block for block in forward.operators_section(operator).blocks if isinstance(block, Claim)
    ]


def input_of(operator: Operator) -> Callable[[], list[Claim]]:
    def make() -> list[Claim]:
        section = backward.input_section(operator, worked(operator, operator))
        return [block for block in section.blocks if isinstance(block, Claim)]

    return make


def pool_claims() -> list[Claim]:
    pooling._over.cache_clear()
    return [block for block in pooling._over(2).blocks if isinstance(block, Claim)]


def wrong_pools(monkeypatch: pytest.MonkeyPatch) -> None:
    def pooling(pool: Any, numbers: Any, words: Any, shares: Any, side: int) -> Claim:
        wrong = SimpleNamespace(at=pool.at)
        return right(_Plus(pool, wrong), numbers, words, shares, side)

    right = verify_numbers.pooling
    monkeypatch.setattr(verify_numbers, "pooling", pooling)


class _Plus:
    """A pooling whose output is one too large."""

    def __init__(self, pool: Any, faces: Any) -> None:
        self.pool, self.at = pool, faces.at

    def __call__(self, x: Any) -> Any:
        return self.pool(x) + 1


def one_less(right: Any, *arguments: Any, **options: Any) -> Any:
    return right(*arguments, **options) + 1


CASES: dict[str, Case] = {
    "rotation": Case(
        one(lambda: verify_layer.rotation((2, 3))),
        replaced(verify_layer, "flip", lambda right, kernel: np.flip(kernel, axis=0)),
    ),
    "definition": Case(one(lambda: verify_layer.definition(LAYER)), off_by_one("__call__")),
    "definition, indices": Case(
        one(lambda: verify_layer.definition(LAYER)),
        replaced(verify_layer, "read_index", lambda right, axis, o, t: right(axis, o, t + 1)),
    ),
    "sum of the adjoint": Case(
        one(lambda: verify_layer.adjoint_sum(LAYER)), off_by_one("__call__")
    ),
    "sum of the gradient": Case(
        one(lambda: verify_layer.kernel_sum(LAYER)), off_by_one("kernel_gradient")
    ),
    "size": Case(lambda: verify_layer.sizes(ROW), replaced(verify_layer, "output_size", one_less)),
    "size of a transposed layer": Case(
        lambda: verify_layer.sizes(STRIDED.T), replaced(verify_layer, "transposed_size", one_less)
    ),
    "matrix": Case(one(lambda: verify_layer.matrix(LAYER)), wrong_matrix),
    "toeplitz": Case(
        lambda: all_sizes.toeplitz_claims(LAYER), replaced(all_sizes, "_cut", further)
    ),
    "toeplitz, transposed": Case(
        lambda: all_sizes.toeplitz_claims(LAYER.T), replaced(all_sizes, "_cut", further)
    ),
    "linear": Case(one(lambda: verify_layer.linear(LAYER)), off_by_one("__call__")),
    "pairing": Case(one(lambda: verify_layer.pairing(LAYER)), off_by_one("__call__")),
    "bias": Case(one(lambda: verify_numbers.bias_ends_linearity(LAYER)), off_by_one("__call__")),
    "sizes of modes": Case(
        one(lambda: verify_layer.mode_sizes(ROW.geometry.axes[0], all_sizes.mode_outputs(ROW))),
        replaced(all_sizes, "mode_outputs", lambda right, layer: [8, 6, 5]),
    ),
    "flip": Case(
        lambda: all_sizes.flip_claims(LAYER),
        replaced(all_sizes, "flip", lambda right, kernel, dims: kernel),
    ),
    "adjoint": Case(lambda: all_sizes.adjoint_claims(LAYER), unflipped),
    "adjoint of a convolution": Case(
        lambda: all_sizes.adjoint_claims(ca.convolution(5, ca.kernel(3), padding="full")),
        lambda monkeypatch: monkeypatch.setattr(
            SymbolicKernel,
            "flip",
            lambda self, axes: SymbolicKernel(self.name, self.named_shape, self.axes, (True,)),
        ),
    ),
    "named adjoint": Case(
        input_of(ROW),
        replaced(
            backward,
            "named_adjoint",
            lambda right, operator: ca.correlation(6, ca.kernel(3), padding=1),
        ),
        "The transposed matrix is .*",
    ),
    "rows of modes": Case(lambda: all_sizes.modes_as_rows(ROW), replaced(all_sizes, "crop", later)),
    "dropping": Case(
        lambda: all_sizes.operator_claims(STRIDED),
        replaced(all_sizes, "downsample", offset),
        "A strided layer is .*",
    ),
    "padding": Case(
        lambda: all_sizes.operator_claims(STRIDED),
        replaced(all_sizes, "pad", edge),
        "A layer with padding is .*",
    ),
    "parts": Case(
        parts_of(STRIDED), replaced(forward, "pad", edge), "The product of downsampling, .*"
    ),
    "parts, transposed": Case(
        parts_of(STRIDED.T),
        replaced(forward, "pad", edge),
        "The transpose is the product of the transposed factors .*",
    ),
    "products of a stride": Case(parts_of(STRIDED), wrong_counts, "The strided layer needs .*"),
    "shift": Case(
        shifts(ROW), replaced(all_sizes, "shift", moved_on), "Away from the border, shifting .*"
    ),
    "shift at a round border": Case(
        shifts(ROUND), replaced(all_sizes, "shift", open_ended), "At the border, too, .*"
    ),
    "shift that a stride forbids": Case(
        shifts(STRIDED), replaced(all_sizes, "shift", still), "Away .* does not always .*"
    ),
    "shift at the border": Case(
        shifts(STRIDED), replaced(all_sizes, "shift", still), "At the border, .* does not always .*"
    ),
    "sharing": Case(one(lambda: verify_layer.sharing(LAYER)), wrong_counts),
    "counts": Case(one(lambda: verify_layer.counts(LAYER)), wrong_counts),
    "multiplications": Case(one(lambda: verify_layer.multiplications(LAYER, LAYER)), wrong_counts),
    "multiplications by the formula": Case(
        one(lambda: verify_layer.multiplications(LAYER, LAYER)),
        replaced(verify_layer, "counting_formula", lambda right, geometry: (right(geometry)[0], 1)),
    ),
    "patches": Case(one(lambda: verify_layer.patches(LAYER)), wrong_counts),
    "outputs": Case(one(lambda: verify_numbers.forward(worked_case())), off_by_one("__call__")),
    "gradient of the input": Case(
        one(lambda: verify_numbers.back(worked_case())), off_by_one("__call__")
    ),
    "gradient of the kernel": Case(
        one(lambda: verify_numbers.kernel_slopes(worked_case())), off_by_one("kernel_gradient")
    ),
    "gradient of the bias": Case(
        one(lambda: verify_numbers.bias_slopes(worked_case())),
        lambda monkeypatch: monkeypatch.setattr(
            Worked, "db", property(lambda self: self.g.reshape(1, -1).sum(axis=1) + 1)
        ),
    ),
    "loss": Case(one(falls), off_by_one("kernel_gradient")),
    "pooling": Case(pool_claims, wrong_pools, ".* outputs the .*"),
    "average pooling": Case(
        lambda: all_sizes.pooling_claims(2),
        replaced(all_sizes, "average_pool", lambda right, shape, side: 2 * right(shape, side)),
        "Average .*",
    ),
    "dropping as a layer": Case(
        lambda: all_sizes.pooling_claims(2),
        replaced(all_sizes, "downsample", offset),
        "Downsampling .*",
    ),
    "fields": Case(
        one(lambda: verify_numbers.fields(STRIDED, FIELDS)),
        lambda monkeypatch: monkeypatch.setitem(globals(), "FIELDS", [3, 7, 14]),
    ),
    "reads": Case(
        one(lambda: verify_numbers.reads_claim(STRIDED.T, 2, "r \\le 2")),
        replaced(verify_numbers, "reads", lambda right, operator: (0, 9)),
    ),
    "image": Case(one(image), off_by_one("__call__")),
}
FIELDS = [3, 7, 15]


@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_fails_or_is_gone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[name]
    right = [c for c in case.make() if re.fullmatch(case.sentence, c.statement)]
    assert right
    assert all(claim.check.passed for claim in right)
    case.patch(monkeypatch)
    held = {claim.statement for claim in case.make() if claim.check.passed}
    assert not held & {claim.statement for claim in right}
    if name == "pooling":
        pooling._over.cache_clear()


def test_every_sentence_has_a_wrong_one() -> None:
    made = {
        claim.statement
        for case in CASES.values()
        for claim in case.make()
        if re.fullmatch(case.sentence, claim.statement)
    }
    for pattern, _, _ in ORACLES:
        assert any(pattern.fullmatch(sentence) for sentence in made), pattern.pattern


def test_a_bound_that_is_too_low_fails() -> None:
    assert not verify_numbers.reads_claim(STRIDED.T, 1, "r \\le 1").check.passed


def test_a_loss_that_rises_fails() -> None:
    class Still:
        """A worked layer with a rate of zero."""

        def __getattr__(self, name: str) -> Any:
            return Fraction(0) if name == "rate" else getattr(worked_case(), name)

    loss = worked_case().loss(worked_case().operator, worked_case().bias)
    claim = verify_numbers.fall(Still(), loss, loss)  # type: ignore[arg-type]
    assert not claim.check.passed
    assert f"the loss went from {loss} to {loss}" in claim.check.how
