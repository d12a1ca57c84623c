"""The records of known mistakes: codes, messages, and which of them are combined."""

from __future__ import annotations

import re

import numpy as np
import pytest

from convalg.check.mistakes import options
from convalg.check.mistakes.catalogue import MISTAKES
from convalg.check.mistakes.mistake import OVERWRITTEN, SHARED, Mistake, alone
from convalg.check.problem import KINDS, Problem

ALL = {(*key, k): one for key, table in MISTAKES.items() for k, one in enumerate(table)}


@pytest.mark.parametrize("mistake", ALL.values(), ids=["-".join(map(str, key)) for key in ALL])
def test_codes_are_names_and_messages_are_phrases(mistake: Mistake) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", mistake.code)
    assert not mistake.message.endswith(".")
    # A message follows "dx: ", so that it starts with a small letter or a symbol.
    assert mistake.message[0].islower() or mistake.message.startswith("dL/")
    # A mistake with so many variants would explain any pair.
    assert not (mistake.always and mistake.combines) or mistake.compute is None


def test_every_part_of_every_kind_has_mistakes() -> None:
    assert set(MISTAKES) == {(kind.name, part) for kind in KINDS.values() for part in kind.parts}


def test_a_mistake_of_the_computation_is_not_combined() -> None:
    def compute(p: Problem) -> np.ndarray:
        return p.x

    made = alone("code", "message", compute)
    assert (made.compute, made.combines, made.always) == (compute, False, False)
    p = Problem(np.ones((1, 1, 1)))
    assert list(made.change(p)) == [p]
    assert all(one.compute is not None and not one.combines for one in OVERWRITTEN)


def test_shared_mistakes_change_a_problem_and_keep_the_computation() -> None:
    assert all(one.compute is None for one in SHARED)
    assert options.same not in [one.change for one in SHARED]
