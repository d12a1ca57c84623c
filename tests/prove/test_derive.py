"""Derivations: every step proved for the operator at hand, and written for it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import convalg as ca
from convalg.axis import BOUNDARIES
from convalg.errors import KindError
from convalg.prove import Verdict
from convalg.prove.derivation import Derivation, Step

n, m, K, L, p, C, D = ca.sizes("n m K L p C D")

LAYERS: dict[str, Any] = {
    "numbers": ca.correlation(5, [1, 2, 3]),
    "symbols": ca.correlation(7, ca.kernel(3)),
    "convolution": ca.convolution(7, ca.kernel(3)),
    "stride": ca.correlation(7, ca.kernel(3), stride=2),
    "stride with a remainder": ca.correlation(8, ca.kernel(3), stride=2),
    "stride and padding": ca.correlation(8, ca.kernel(3), stride=3, padding=2),
    "dilation": ca.correlation(9, ca.kernel(3), dilation=2),
    "stride and dilation": ca.correlation(9, ca.kernel(2), stride=2, dilation=3),
    "one side": ca.correlation(6, ca.kernel(3), padding=((2, 1),)),
    "wide padding": ca.correlation(6, ca.kernel(2), padding=3),
    "same": ca.convolution(6, ca.kernel(4), padding="same"),
    "two axes": ca.correlation((5, 6), ca.kernel(2, 3)),
    "two axes, strides": ca.convolution((6, 7), ca.kernel(2, 3), stride=(2, 3), padding=1),
    "channels": ca.correlation((4, 4), ca.kernel(2, 3, 2, 2), padding=1),
    "groups": ca.correlation(5, ca.kernel(4, 2, 3), groups=2),
    "depthwise": ca.correlation(5, ca.kernel(3, 1, 2), groups=3, stride=2),
    "letters": ca.correlation(n, ca.kernel(K)),
    "letters, padding": ca.correlation(n, ca.kernel(K), padding=p),
    "letters, stride": ca.correlation(n, ca.kernel(K), stride=2, padding=p),
    "letters, dilation": ca.correlation(n, ca.kernel(K), dilation=2),
    "letters, convolution": ca.convolution(n, ca.kernel(K), padding="full"),
    "letters, two axes": ca.correlation((n, m), ca.kernel(K, L), stride=(1, 2)),
    "letters, channels": ca.correlation((n, m), ca.kernel(C, D, K, L)),
    **{
        f"{boundary}": ca.correlation(6, ca.kernel(3), padding=1, boundary=boundary)
        for boundary in BOUNDARIES[1:]
    },
    **{
        f"{boundary}, letters": ca.correlation(n, ca.kernel(3), padding=1, boundary=boundary)
        for boundary in BOUNDARIES[1:]
    },
}
KINDS = ["adjoint", "kernel_gradient", "output_size", "linearity", "receptive_field"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LAYERS)
def test_every_step_is_proved(kind: str, name: str) -> None:
    found = getattr(ca.derive, kind)(LAYERS[name])
    assert found.steps
    for step in found.steps:
        assert step.verdict.status == "proved", (step.reason, step.verdict)
    verdict = found.verify()
    assert verdict
    assert verdict.claim == found.title
    check_latex(found)
    check_text(found)


def check_latex(found: Derivation) -> None:
    """Balanced, one line per step, and no bare special character in a reason."""
    words = found.latex()
    body = words.split("\n", 1)[1]
    assert body.startswith("\\begin{align*}\n")
    assert body.endswith("\n\\end{align*}")
    assert body.count("\\\\\n") == len(found.steps) - 1
    assert balanced(body)
    assert balanced(found._repr_latex_())
    assert body.count("\\left") == body.count("\\right") + body.count("\\leftarrow")
    for line in body.splitlines()[1:-1]:
        assert len(re.findall(r"(?<!\\)&", line)) == 3
        formula, reason = line.split(" && \\text{")
        assert not re.search(r"(?<!\\)[_$#%^~]", reason)
        assert "$" not in formula
        assert "None" not in line
        assert "**" not in line


def balanced(words: str) -> bool:
    depth = 0
    for mark in re.findall(r"(?<!\\)[{}]", words):
        depth += 1 if mark == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def check_text(found: Derivation) -> None:
    lines = found.text().splitlines()
    assert lines[0] == found.title
    assert len(lines) == 1 + 2 * len(found.steps)
    assert all("[proved: " in line for line in lines[1::2])
    assert repr(found) == f"<derivation: {found.title}, {len(found.steps)} steps>"


@pytest.mark.parametrize("kind", KINDS)
def test_another_layer_is_another_derivation(kind: str) -> None:
    derive = getattr(ca.derive, kind)
    plain, turned = derive(LAYERS["symbols"]), derive(LAYERS["convolution"])
    for name in ("stride", "dilation"):
        assert formulas(derive(LAYERS[name])) != formulas(plain)
    # Walking the kernel backwards changes neither the size nor the field.
    unchanged = kind in ("output_size", "receptive_field")
    assert (formulas(turned) == formulas(plain)) == unchanged


def formulas(found: Derivation) -> list[str]:
    return [step.formula for step in found.steps]


def test_the_adjoint_on_a_slide() -> None:
    assert formulas(ca.derive.adjoint(LAYERS["letters"])) == [
        r"y_{o} = \sum_{t} w_{t}\, x_{o + t}",
        r"\langle g, A x \rangle = \sum_{o} g_{o} \sum_{t} w_{t}\, x_{o + t}",
        r"(A^{\mathsf T} g)_{i} = \sum_{o, t:\, o + t = i} w_{t}\, g_{o}",
        r"(A^{\mathsf T} g)_{i} = \sum_{t} w_{-t + K - 1}\, g_{i + t - K + 1}",
        r"A_w^{\mathsf T} = A_{\operatorname{flip} w}\, P_{K - 1}",
    ]


def test_the_stride_is_undone_by_zeros() -> None:
    found = ca.derive.adjoint(LAYERS["stride"])
    assert any("g'_{2 o} = g_{o}" in formula for formula in formulas(found))
    assert formulas(found)[-1].endswith(r"P_{2}\, S")
    plain = ca.derive.adjoint(LAYERS["symbols"])
    assert not any("g'" in formula for formula in formulas(plain))


def test_the_output_size_counts() -> None:
    assert formulas(ca.derive.output_size(LAYERS["stride"]))[-1] == (
        r"o = \left\lfloor \frac{4}{2} \right\rfloor + 1 = 3"
    )
    for name, layer in LAYERS.items():
        if not layer.is_concrete:
            continue
        found = ca.derive.output_size(layer)
        sizes = [int(f.rsplit("= ", 1)[1]) for f in formulas(found) if "lfloor" in f]
        assert tuple(sizes) == layer.geometry.out_spatial, name


def test_the_receptive_field_of_two_layers() -> None:
    """Source: r = 1 + (k1 - 1) + (k2 - 1) s1."""
    first = ca.correlation(21, ca.kernel(5), stride=2, padding=1)
    second = ca.correlation(first.out_shape, ca.kernel(3, name="v"), dilation=2)
    found = ca.derive.receptive_field(second @ first)
    assert found.verify()
    assert formulas(found)[-1].endswith("r = 13")
    layers = (
        ca.correlation(21, [1] * 5, stride=2, padding=1),
        ca.correlation(10, [1] * 3, dilation=2),
    )
    reads = np.flatnonzero((layers[1] @ layers[0]).to_numpy()[2])
    assert reads[-1] - reads[0] + 1 == 13


def test_an_adjoint_is_derived_from_its_layer() -> None:
    layer = LAYERS["symbols"]
    assert formulas(ca.derive.adjoint(layer.T)) == formulas(ca.derive.adjoint(layer))


@pytest.mark.parametrize("broken", range(5))
def test_a_broken_step_shows(broken: int) -> None:
    found = ca.derive.adjoint(LAYERS["letters"])
    steps = list(found.steps)
    wrong = ca.correlation(n - K + 1, ca.kernel(K), padding="full")
    check = lambda: ca.prove.equal(LAYERS["letters"].T, wrong)  # noqa: E731
    steps[broken] = replace(steps[broken], check=check)
    verdict = replace(found, steps=tuple(steps)).verify()
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    text = replace(found, steps=tuple(steps)).text()
    assert text.count("[refuted: Refuted: n = 2, K = 2") == 1
    assert text.count("[proved: ") == len(steps) - 1


def test_reasons_are_escaped() -> None:
    step = Step("x", "50% of {a_b} & c^d #1 $", lambda: Verdict("proved", "", "all", "none"))
    found = Derivation("title", (step,))
    assert r"\text{50\% of \{a\_b\} \& c\textasciicircum{}d \#1 \$}" in found.latex()
    assert balanced(found.latex())


@pytest.mark.parametrize("kind", KINDS)
def test_only_layers_are_derived(kind: str) -> None:
    for other in (ca.identity(4), LAYERS["numbers"] + LAYERS["numbers"], 5):
        with pytest.raises(KindError, match="is derived for one correlation or convolution, not"):
            getattr(ca.derive, kind)(other)


def test_groups_of_letters_say_what_to_do_instead() -> None:
    layer = ca.correlation(n, ca.kernel(4, 2, K), groups=2)
    with pytest.raises(KindError, match="adjoint of 2 groups with letters is not derived: use ca"):
        ca.derive.adjoint(layer)
