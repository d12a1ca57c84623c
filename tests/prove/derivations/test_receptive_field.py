"""Derivations of the receptive fields of networks: proved step by step, against brute force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from written import check_latex, check_text, formulas

import convalg as ca
from convalg.errors import ConvalgError, KindError
from convalg.network.layers.opaque import Opaque
from convalg.network.reach import Span
from convalg.prove.derivations import receptive_field
from convalg.prove.derivations.indices import size_latex

L = ca.layers
n, m, K, s, d, p = ca.sizes("n m K s d p")


def residual() -> ca.Network:
    """A skip around two layers, and a branch that looks one position to the left."""
    net = ca.Network((1, 32), name="residual")
    stem = net.add(L.Conv(2, 7, stride=2, padding=3), name="stem")
    net.add(L.ReLU())
    inner = net.add(L.Conv(2, 3, padding=((2, 0),)), name="left")
    net.add(L.Add(), [stem, inner], name="sum")
    return net


def test_the_steps_of_a_network() -> None:
    found = ca.derive.receptive_field(residual())
    assert found.verify()
    assert found.title == "The receptive field of sum in residual"
    assert [step.reason for step in found.steps] == [
        "a position of the input reads only itself",
        "through stem: k = 7, s = 2, p = 3; r grows by (k - 1) j, P by p j, and j becomes s j",
        "through left: k = 3, s = 1, p = 2; r grows by (k - 1) j, P by p j, and j becomes s j",
        "sum joins stem, left: the union of what they read",
    ]
    assert formulas(found) == [
        r"u \mapsto [u,\ u],\quad r = 1,\ j = 1,\ P = 0",
        r"u \mapsto [2 u - 3,\ 2 u + 3],\quad r = 7,\ j = 2,\ P = 3",
        r"u \mapsto [2 u - 7,\ 2 u + 3],\quad r = 11,\ j = 2,\ P = 7",
        r"u \mapsto [2 u - 7,\ 2 u + 3],\quad r = 11,\ j = 2,\ P = 7",
    ]
    assert len(ca.derive.receptive_field(residual(), "stem").steps) == 2


def one(*layers: Any, shape: tuple[Any, ...] = (1, 13)) -> Callable[[], ca.Network]:
    return lambda: ca.sequential(shape, [*layers])


NETWORKS: list[Callable[[], ca.Network]] = [
    ca.zoo.lenet5,
    ca.zoo.unet,
    ca.zoo.googlenet,
    ca.zoo.resnet50,
    ca.zoo.dcgan_generator,
    ca.zoo.vit_patches,
    lambda: ca.zoo.resnet18((3, n, m), None),
    lambda: ca.zoo.resnet18((3, n, m)),
    one(L.Conv(1, 3, dilation=2), L.Dense(2)),
    one(L.AdaptiveAvgPool(5), L.Conv(1, 3)),
    one(L.Upsample(2), L.Conv(1, 3)),
    one(L.Upsample(2, "linear"), L.AvgPool(2)),
    one(L.ConvTranspose(1, 3, stride=2), L.GlobalAvgPool()),
    one(L.ConvTranspose(1, 3), L.Conv(1, 2, stride=3)),
    one(L.Pad(2, boundary="reflect"), L.Conv(1, 3)),
    one(L.Conv(2, (3, 5), padding=(1, 2), stride=(1, 2)), shape=(1, 9, 9)),
    one(L.Conv(1, 3), L.GlobalMaxPool(), shape=(1, n)),
    one(L.AdaptiveAvgPool(3), shape=(1, 6 * n)),
    one(L.Conv(1, K, stride=s, dilation=d, padding=p), L.Conv(1, 3, stride=s), shape=(1, n)),
    one(L.ConvTranspose(1, K, stride=s, padding=p), L.Conv(1, 3, stride=d), shape=(1, n)),
]


@pytest.mark.parametrize("make", NETWORKS)
def test_every_step_of_a_network_is_proved(make: Callable[[], ca.Network]) -> None:
    net = make()
    found = ca.derive.receptive_field(net)
    for step in found.steps:
        assert step.verdict.status == "proved", (step.reason, step.verdict)
    check_latex(found)
    check_text(found)
    field = net.receptive_field()
    size = size_latex(field.size[-1])
    last = formulas(found)[-1]
    assert (f"r = {size}," in last) != (f"r \\le {size}," in last)
    assert ("\\subseteq" in last) == ("r \\le" in last)


def test_axes_that_are_alike_are_derived_once() -> None:
    alike = ca.sequential((1, 9, 7), [L.Conv(1, 3)])
    other = ca.sequential((1, 9, 7), [L.Conv(1, (3, 2))])
    assert len(ca.derive.receptive_field(alike).steps) == 2
    steps = ca.derive.receptive_field(other).steps
    assert [step.reason.rsplit(" (", 1)[1] for step in steps] == ["axis 0)"] * 2 + ["axis 1)"] * 2


@settings(max_examples=40)
@given(st.lists(st.tuples(*[st.integers(1, 3)] * 3, st.integers(0, 2)), min_size=1, max_size=3))
def test_the_last_step_is_what_an_output_reads(layers: list[tuple[int, ...]]) -> None:
    """Of a stack of correlations, by the matrix, where the border is far."""
    try:
        net = ca.sequential(
            (1, 60),
            [L.Conv(1, k, stride=s, dilation=d, padding=p, bias=False) for k, s, d, p in layers],
        )
    except ConvalgError:
        assume(False)
    for node, layer in net.layers():
        shape = layer.weights(*net.input_shapes(node))["kernel"]
        net.set_weights(node, kernel=np.ones(shape, dtype=int))
    matrix = net.jacobian(np.zeros((1, 60), dtype=int)).to_numpy()
    found = ca.derive.receptive_field(net)
    assert found.verify()
    numbers = formulas(found)[-1].split(r"\quad ")[1].split(r",\ ")
    size, jump, padding = (int(words.split(" = ")[1]) for words in numbers)
    for u, row in enumerate(matrix):
        first, last = jump * u - padding, jump * u - padding + size - 1
        if first >= 0 and last < 60:
            assert np.flatnonzero(row)[[0, -1]].tolist() == [first, last]


def last_field(found: Any) -> tuple[receptive_field.NetworkField, Any]:
    """The statement of the last step, and its setting."""
    check = found.steps[-1].check
    return check.func.__self__, check.args[0]


@pytest.mark.parametrize("wrong", [Span(-7, 4, 2), Span(-8, 3, 2), Span(-7, 3, 1), Span(-6, 3, 2)])
def test_a_wrong_field_is_not_proved(wrong: Span) -> None:
    field, setting = last_field(ca.derive.receptive_field(residual(), "left"))
    assert field.span == Span(-7, 3, 2)
    assert field.decide(setting)
    verdict = replace(field, span=wrong).decide(setting)
    assert verdict.status == "refuted"
    assert verdict.counterexample is not None
    assert verdict.counterexample.claimed == str(wrong)


def test_bounds_after_a_transposed_layer_hold_all_that_is_read() -> None:
    net = ca.sequential((1, 6), [L.ConvTranspose(1, 3, stride=2)])
    field, setting = last_field(ca.derive.receptive_field(net))
    assert formulas(ca.derive.receptive_field(net))[-1] == (
        r"u \mapsto R \subseteq [\frac{1}{2} u - 1,\ \frac{1}{2} u],\quad "
        r"r \le 2,\ j = \frac{1}{2},\ P = 1"
    )
    assert field.decide(setting)
    narrow = replace(field, span=replace(field.span, start=field.span.start + 1))
    assert not narrow.decide(setting)
    # The ends are not read by every output.
    assert not replace(field, exact=True).decide(setting)


def test_what_may_read_everything_is_a_bound() -> None:
    opaque = ca.sequential((2, 6), [L.Conv(2, 3), Opaque("Unknown", (2, 4)), L.Conv(1, 2)])
    found = ca.derive.receptive_field(opaque)
    assert found.verify()
    assert [("\\subseteq" in formula, "r \\le" in formula) for formula in formulas(found)] == [
        (False, False),
        (False, False),
        (True, True),
    ]
    assert found.steps[-1].reason.startswith("opaque1 may read every position of conv1")
    dense = ca.sequential((2, 6), [L.Conv(2, 3), L.Flatten(), L.Dense(3)])
    assert formulas(ca.derive.receptive_field(dense))[-1].startswith("u \\mapsto [0,\\ 5],")


def crossed() -> ca.Network:
    net = ca.Network((1, 8))
    left = net.add(L.AvgPool(2))
    right = net.add(L.Conv(1, 5), "input")
    net.add(L.Concat(), [left, right], name="both")
    return net


BAD: list[tuple[Callable[[], Any], type[ConvalgError], str]] = [
    (lambda: ca.derive.receptive_field(crossed()), KindError, "with jumps 2 and 1 meet at"),
    (
        lambda: ca.derive.receptive_field(ca.sequential((4,), [L.Dense(2)])),
        KindError,
        "derived along spatial axes, but the input \\(4,\\) of",
    ),
    (
        lambda: ca.derive.receptive_field(ca.correlation(4, [1, 2]), "conv1"),
        KindError,
        "does not have a node 'conv1': only a network",
    ),
    (
        lambda: ca.derive.receptive_field(residual(), "nowhere"),
        ConvalgError,
        "nowhere",
    ),
]


@pytest.mark.parametrize(("call", "error", "words"), BAD)
def test_bad_input(call: Callable[[], Any], error: type[ConvalgError], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
