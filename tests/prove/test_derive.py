"""The derivation of linearity, and what can be derived at all."""

from __future__ import annotations

import pytest

import convalg as ca
from convalg.errors import UndecidableError

n, m, K, L, p, s, C, D = ca.sizes("n m K L p s C D")


def test_derivations_want_numbers_as_strides() -> None:
    n, s = ca.sizes("n s")
    with pytest.raises(UndecidableError, match="can be derived for numeric strides and dilations"):
        ca.derive.output_size(ca.correlation(n, ca.kernel(3), stride=s))
