"""The families of inputs have the magnitudes that they state, exact in float32, and no twins."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from convalg.recognise.inputs import COUNT, FAMILIES, INTEGERS, Family, families, listed


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("in_shape", [(5,), (2, 3, 4)])
def test_samples_have_the_magnitudes_of_their_family(
    family: Family, in_shape: tuple[int, ...]
) -> None:
    x = family.samples(in_shape, seed=3)
    assert x.shape == (COUNT, *in_shape)
    assert np.array_equal(x, x.astype(np.float32))
    sizes = np.abs(x[x != 0])
    # Only fractions may be smaller: they are drawn from all numbers between -1 and 1.
    assert sizes.max() <= family.largest * (1 + 1e-6)
    assert sizes.min() >= family.least * (1 - 1e-6) or "fractions" in family.name
    assert np.array_equal(x, family.samples(in_shape, seed=3))
    assert not np.array_equal(x, family.samples(in_shape, seed=4)) or family.name == "equal samples"


def test_numbers_of_a_size_have_both_signs_at_every_sample() -> None:
    for family in FAMILIES[-4:]:
        x = family.samples((7,), seed=0)
        assert np.array_equal(x[1::2], -x[::2])


def test_no_family_has_multiples_of_another() -> None:
    drawn = [family.samples((64,), seed=1)[0] for family in FAMILIES if "size " in family.name]
    for first, second in combinations(drawn, 2):
        ratios = first / second
        assert np.ptp(np.abs(ratios)) > 0.1 * np.abs(ratios).min()


def test_families_are_chosen_by_their_magnitudes() -> None:
    assert list(families(0, np.inf)) == list(FAMILIES)
    chosen = list(families(0.1, 1000))
    assert INTEGERS in chosen
    assert all(family.least >= 0.1 and family.largest <= 1000 for family in chosen)
    assert [family.name for family in chosen if "size" in family.name][-1] == "numbers of size 100"


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        ([], ""),
        ([INTEGERS], "integers from -9 to 9"),
        ([FAMILIES[-1]], "numbers of size 1e+09"),
        ([FAMILIES[-3], FAMILIES[-1]], "numbers of the sizes 1e+07, 1e+09"),
        (
            [INTEGERS, *FAMILIES[-4:]],
            "integers from -9 to 9, numbers of the sizes 1e+06, 1e+07, ..., 1e+09",
        ),
    ],
)
def test_sizes_are_listed_together(chosen: list[Family], text: str) -> None:
    assert listed(chosen) == text
