"""Every labelled sentence of drawn layers' sheets is so, by what is printed and plain loops."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import naive
import numpy as np
import pytest
from rechecks import Page, recheck

import convalg as ca
from convalg.errors import ConvalgError
from convalg.sheet import sheet as shop_window
from convalg.sheet.blocks import Steps

BOUNDARIES = ("zeros", "circular", "reflect", "symmetric", "edge")


@dataclass(frozen=True)
class Drawn:
    """A layer as a user would call it, as an operator and as the loops of `naive`."""

    words: str
    operator: ca.Operator
    layer: naive.Layer
    axes: list[dict[str, int]]
    boundary: str
    transposed: bool


def drawn(seed: int) -> Drawn | None:
    """A layer of one to three axes with options of every kind; None where it does not exist."""
    random = np.random.default_rng(seed)
    dims = int(random.choice([1, 1, 1, 2, 2, 3]))
    most = {1: 9, 2: 5, 3: 3}[dims]
    shape = tuple(int(random.integers(1, most + 1)) for _ in range(dims))
    taps = tuple(int(random.integers(1, {1: 5, 2: 4, 3: 3}[dims])) for _ in range(dims))
    stride = tuple(int(random.choice([1, 1, 2, 3])) for _ in range(dims))
    dilation = tuple(int(random.choice([1, 1, 1, 2])) for _ in range(dims))
    if dims == 3:
        stride, dilation = stride[:1] * 3, dilation[:1] * 3
    groups = int(random.choice([1, 1, 1, 2]))
    outs, ins = groups * int(random.integers(1, 3)), int(random.integers(1, 3))
    channels = (outs, ins) if groups > 1 or random.random() < 0.3 else ()
    if dims == 3 and channels:
        channels, groups = (2, 1), int(random.choice([1, 2]))
    groups = groups if channels else 1
    options: dict[str, Any] = {"stride": stride, "dilation": dilation}
    if groups > 1:
        options["groups"] = groups
    kind = random.choice(
        ["correlation", "convolution", "transposed", "adjoint"], p=[1 / 3, 1 / 3, 1 / 4, 1 / 12]
    )
    pairs = tuple(tuple(int(v) for v in random.integers(0, 4, 2)) for _ in range(dims))
    choices: list[Any] = ["valid", "full", "same", 1, pairs, pairs]
    options["padding"] = choices[int(random.integers(len(choices)))]
    weights = ca.kernel(*channels, *taps)
    boundary = "zeros"
    try:
        if kind == "transposed":
            if options["padding"] not in ("same",):
                options["output_padding"] = tuple(int(random.integers(0, s)) for s in stride)
            operator = ca.transposed_correlation(shape, weights, **options)
            layer = naive.transposed_correlation(shape, weights.shape, **options)
            words = f"ca.transposed_correlation({shape}, ca.kernel{(*weights.shape,)}, **{options})"
            axes = _axes(layer.out_shape, shape, taps, options, transposed=True)
            return Drawn(words, operator, layer, axes, boundary, True)
        boundary = str(random.choice(BOUNDARIES))
        options["boundary"] = boundary
        make = ca.convolution if kind != "correlation" else ca.correlation
        operator = make(shape, weights, **options)
        flipped = kind != "correlation"
        layer = naive.correlation(shape, weights.shape, flipped=flipped, **options)
        words = f"ca.{make.__name__}({shape}, ca.kernel{(*weights.shape,)}, **{options})"
        axes = _axes(shape, layer.out_shape, taps, options)
        if kind == "adjoint":
            terms = [(source, output, tap) for output, source, tap in layer.terms]
            layer = naive.Layer(layer.in_shape, layer.out_shape, layer.kernel_shape, terms)
            return Drawn(f"{words}.T", operator.T, layer, axes, boundary, True)
        return Drawn(words, operator, layer, axes, boundary, False)
    except ConvalgError:
        return None


def _axes(
    shape: Any, outputs: Any, taps: Any, options: dict[str, Any], *, transposed: bool = False
) -> list[dict[str, int]]:
    """The symbols of the counting formula on each axis, by the loops that count."""
    dims = len(taps)
    found = []
    for k, (n, o) in enumerate(zip(shape[-dims:], outputs[-dims:], strict=True)):
        s, d = options["stride"][k], options["dilation"][k]
        wanted = o * s if transposed else n
        before, _ = naive.sides(options["padding"], k, wanted, taps[k], s, d)
        found.append({"n": n, "o": o, "k": taps[k], "s": s, "d": d, "p0": before})
    return found


def page_of(layer: Drawn, monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setattr(shop_window, "image_sections", lambda *_: [])
    sheet = ca.explain(layer.operator)
    return Page(sheet, layer.layer, layer.axes, layer.boundary, layer.transposed)


def assert_true(layer: Drawn, page: Page) -> None:
    derived = [line for b in page.sheet.blocks if isinstance(b, Steps) for line in b.lines]
    for claim in page.sheet.claims:
        assert claim.check.passed, (layer.words, claim)
        if claim in derived:
            # Evaluated by the tests of derivations.
            assert claim.check.verdict == "proved"
            continue
        try:
            recheck(claim, page)
        except Exception as error:
            error.add_note(f"layer: {layer.words}\nclaim: {claim}")
            raise


LAYERS = [(seed, layer) for seed in range(700) if (layer := drawn(seed)) is not None]
FEW = 20


@pytest.mark.parametrize("seed", [seed for seed, _ in LAYERS[:FEW]])
def test_every_sentence_of_a_drawn_layer_is_true(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = dict(LAYERS)[seed]
    assert_true(layer, page_of(layer, monkeypatch))


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [seed for seed, _ in LAYERS[FEW:320]])
def test_every_sentence_of_many_drawn_layers_is_true(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = dict(LAYERS)[seed]
    assert_true(layer, page_of(layer, monkeypatch))
