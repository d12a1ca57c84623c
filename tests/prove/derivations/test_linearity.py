"""The derivation of linearity."""

from __future__ import annotations

import convalg as ca
from convalg.prove.derivations.layer_sums import Subject
from convalg.prove.derivations.linearity import linearity_steps


def test_the_sum_is_split_and_then_collected() -> None:
    n, s = ca.sizes("n s")
    steps = linearity_steps(Subject.of(ca.correlation(n, ca.kernel(2), stride=s), "linearity"))
    assert [step.formula for step in steps[1:]] == [
        r"(A (\alpha x + \beta z))_{o} = \sum_{t} w_{t}\, "
        r"(\alpha x_{s o + t} + \beta z_{s o + t})",
        r"(A (\alpha x + \beta z))_{o} = \alpha \sum_{t} w_{t}\, x_{s o + t} + "
        r"\beta \sum_{t} w_{t}\, z_{s o + t}",
        r"A (\alpha x + \beta z) = \alpha A x + \beta A z",
    ]
    assert all(step.verdict for step in steps)
