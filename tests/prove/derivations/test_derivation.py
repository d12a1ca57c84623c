"""Derivations: every step proved for the operator at hand, and written for it."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from written import balanced, check_latex, check_text, formulas

import convalg as ca
from convalg.axis import BOUNDARIES
from convalg.errors import KindError
from convalg.operators.tree import Compose
from convalg.prove import Verdict
from convalg.prove.derivations.derivation import Derivation, Step

n, m, K, L, p, s, d, C, D, G = ca.sizes("n m K L p s d C D G")

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
    "transposed": ca.transposed_correlation(5, ca.kernel(3), stride=2, padding=1),
    "transposed, longer": ca.transposed_correlation(
        5, ca.kernel(3), stride=3, padding=((1, 0),), output_padding=2
    ),
    "transposed, groups": ca.transposed_correlation(
        (2, 3), ca.kernel(4, 3, 2, 2), stride=(2, 1), dilation=2, groups=2
    ),
    "transposed, letters": ca.transposed_correlation(n, ca.kernel(K), stride=2, padding=p),
    "transposed convolution": ca.convolution(7, ca.kernel(3), stride=2).T,
    "transposed, circular": ca.correlation(
        6, ca.kernel(3), padding=1, stride=2, boundary="circular"
    ).T,
    "symbolic stride": ca.correlation(n, ca.kernel(K), stride=s, padding=p),
    "symbolic dilation": ca.convolution(n, ca.kernel(K), dilation=d, padding="full"),
    "symbolic stride, two axes": ca.correlation((n, m), ca.kernel(K, 3), stride=(s, 2), dilation=d),
    "symbolic stride, transposed": ca.transposed_correlation(
        n, ca.kernel(K), stride=s, padding=p, output_padding=s - 1, dilation=d
    ),
    "symbolic stride, same": ca.correlation(n, ca.kernel(K), stride=s, padding="same"),
    "symbolic stride, reflect": ca.correlation(
        n, ca.kernel(K), stride=s, padding=p, boundary="reflect"
    ),
    "symbolic groups": ca.correlation(n, ca.kernel(G * D, C, K), groups=G, stride=s, dilation=d),
    "symbolic groups, every option": ca.correlation(
        n, ca.kernel(G * D, C, K), groups=G, stride=s, padding=p, dilation=d
    ),
    "symbolic groups, transposed": ca.transposed_correlation(
        n, ca.kernel(G * D, C, K), groups=G, stride=s, padding=p, dilation=d, output_padding=s - 1
    ),
    "symbolic groups, three axes": ca.convolution(
        (n, m, n), ca.kernel(G * D, C, K, K, K), groups=G, stride=s, padding=p, dilation=d
    ),
    "sum pooling": ca.sum_pool(n, K, stride=s, padding=p),
    "average pooling": ca.average_pool((n, m), K, stride=s, channels=C),
    "global pooling": ca.global_pool((n, m)),
    "transposed pooling": ca.average_pool(n, K, stride=s).T,
    "product": ca.average_pool(n - 2, 2, stride=s) @ ca.correlation(n, ca.kernel(3)),
    "product, channels": ca.correlation((4, 4), ca.kernel(2, 3, 2, 2, name="v"))
    @ ca.correlation((5, 5), ca.kernel(3, 2, 2, 2)),
    "product, transposed": ca.transposed_correlation(n - K + 1, ca.kernel(K, name="v"), stride=s)
    @ ca.correlation(n, ca.kernel(K)),
    "same with a stride, letters": ca.correlation(n, ca.kernel(3), stride=2, padding="same"),
    "transposed, same": ca.transposed_correlation(n, ca.kernel(K), stride=2, padding="same"),
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
    if kind == "kernel_gradient" and name.endswith("pooling"):
        with pytest.raises(KindError, match="does not have weights: use a correlation"):
            ca.derive.kernel_gradient(LAYERS[name])
        return
    found = once(getattr(ca.derive, kind)(LAYERS[name]))
    assert found.steps
    for step in found.steps:
        assert step.verdict.status == "proved", (step.reason, step.verdict)
    verdict = found.verify()
    assert verdict
    assert verdict.claim == found.title
    check_latex(found)
    check_text(found)


def once(found: Derivation) -> Derivation:
    """The same derivation, each step proved once."""
    steps = tuple(replace(step, check=cache(step.check)) for step in found.steps)
    return replace(found, steps=steps)


@pytest.mark.parametrize("kind", KINDS)
def test_another_layer_is_another_derivation(kind: str) -> None:
    derive = getattr(ca.derive, kind)
    plain, turned = derive(LAYERS["symbols"]), derive(LAYERS["convolution"])
    for name in ("stride", "dilation"):
        assert formulas(derive(LAYERS[name])) != formulas(plain)
    assert formulas(turned) != formulas(plain)
    # A flipped kernel changes neither the size nor the field.
    if kind in ("output_size", "receptive_field"):
        ends = [steps[-1].rsplit(",\\quad ", 2)[1:] for steps in map(formulas, (turned, plain))]
        assert ends[0] == ends[1]


def test_the_adjoint_on_a_slide() -> None:
    assert formulas(ca.derive.adjoint(LAYERS["letters"])) == [
        r"A \colon \mathbf{R}^{n} \to \mathbf{R}^{n - K + 1},\quad w \in \mathbf{R}^{K},\quad "
        r"(A x)_{o} = \sum_{t} w_{t}\, x_{o + t}",
        r"\langle g, A x \rangle = \sum_{o} g_{o}\, \sum_{t} w_{t}\, x_{o + t}",
        r"(A^{\mathsf T} g)_{i} = \sum_{o, t:\, o + t = i} w_{t}\, g_{o}",
        r"(A^{\mathsf T} g)_{i} = \sum_{t} w_{K - 1 - t}\, g_{i + t - K + 1}",
        r"P \colon \mathbf{R}^{n - K + 1} \to \mathbf{R}^{n + K - 1},\quad "
        r"(P v)_{j} = v_{j - K + 1}",
        r"A' \colon \mathbf{R}^{n + K - 1} \to \mathbf{R}^{n},\quad w \in \mathbf{R}^{K},\quad "
        r"(A' v)_{i} = \sum_{t} w_{K - 1 - t}\, v_{i + t}",
        r"A^{\mathsf T} = A'\, P",
    ]


def test_the_stride_is_undone_by_zeros() -> None:
    found = formulas(ca.derive.adjoint(LAYERS["stride"]))
    assert any(r"(S g)_{j} = \sum_{o:\, 2 o = j} g_{o}" in formula for formula in found)
    assert found[-1] == r"A^{\mathsf T} = A'\, P\, S"
    plain = formulas(ca.derive.adjoint(LAYERS["symbols"]))
    assert not any("S" in formula for formula in plain)


def test_the_output_size_counts() -> None:
    assert formulas(ca.derive.output_size(LAYERS["stride"]))[-1] == (
        r"o = \left\lfloor \frac{4}{2} \right\rfloor + 1 = 3"
    )
    for name, layer in LAYERS.items():
        if not layer.is_concrete or isinstance(layer, Compose):
            continue
        found = formulas(ca.derive.output_size(layer))
        sizes = [int(f.rsplit("= ", 1)[1]) for f in found if f.startswith("o = ")]
        wanted = layer.out_shape[-len(sizes) :]
        assert tuple(sizes) == wanted, name


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


def test_a_broken_step_shows() -> None:
    found = ca.derive.adjoint(LAYERS["letters"])
    wrong = ca.correlation(n - K + 1, ca.kernel(K), padding="full")
    check = lambda: ca.prove.equal(LAYERS["letters"].T, wrong)  # noqa: E731
    for broken in range(len(found.steps)):
        steps = list(found.steps)
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
    assert r"\text{1. 50\% of \{a\_b\} \& c$\hat{}$d \#1 \$}" in found.latex()
    assert balanced(found.latex())


@pytest.mark.parametrize("kind", KINDS)
def test_only_layers_are_derived(kind: str) -> None:
    for other in (ca.identity(4), LAYERS["numbers"] + LAYERS["numbers"], 5):
        with pytest.raises(
            KindError, match="can be derived for a correlation, a convolution, a sum or average"
        ):
            getattr(ca.derive, kind)(other)


def test_groups_of_symbolic_taps_are_derived() -> None:
    layer = ca.correlation(n, ca.kernel(4, 2, K), groups=2, stride=2)
    for kind in KINDS:
        assert getattr(ca.derive, kind)(layer).verify()


PDF = r"""\documentclass[10pt,a4paper]{article}\usepackage{amsmath,amssymb}\begin{document}
%s
\end{document}"""


@pytest.mark.skipif(which("pdflatex") is None, reason="pdflatex is not installed")
def test_d6_no_line_is_wider_than_a_page(tmp_path: Path) -> None:
    for name, layer in LAYERS.items():
        if not name.startswith(("symbolic", "product", "average", "reflect, letters")):
            continue
        parts = [getattr(ca.derive, kind)(layer) for kind in KINDS if "pool" not in name]
        (tmp_path / "page.tex").write_text(PDF % "\n\n".join(part.latex() for part in parts))
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout[-600:]
        assert "Overfull" not in run.stdout, (name, run.stdout[-600:])
