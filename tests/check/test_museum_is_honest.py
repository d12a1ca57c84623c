"""Each wrong implementation is wrong where it says, right elsewhere; each right one is right.

Held against nested loops (tests/naive.py, and pools written out here), never against convalg.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import museum_backward
import museum_forward
import museum_pooling
import museum_students
import museum_transposed
import naive
import numpy as np
import pytest
from right import RIGHT, Exhibit

MUSEUMS = (museum_forward, museum_backward, museum_transposed, museum_pooling, museum_students)
WRONG = [exhibit for museum in MUSEUMS for exhibit in museum.WRONG]
LEAST = {"forward": 18, "backward": 16, "transposed": 10, "pooling": 14, "students": 40}
CODES = """
    flipped-kernel flipped-one-axis kernel-transposed image-transposed channels-swapped
    stride-ignored stride-misplaced strides-swapped stride-dilation-swapped dilation-ignored
    dilation-span padding-ignored padding-one-sided paddings-swapped groups-ignored
    groups-interleaved adjoint-missing remainder-lost overlap-overwritten gradient-not-dilated
    batch-not-summed batch-averaged padding-not-cropped output-padding-ignored
    output-padding-zeros output-padding-wrong-side padding-pads-input divisor-counts-padding
    divisor-excludes-padding divisor-counts-overhang max-padding-zero min-value-start ties-all
    ties-last ceil-mode-ignored ceil-mode-extra-window square-only single-channel-only
    single-sample-only raises wrong-shape not-a-number mutates-input nondeterministic wrong-type
    divisor-missing hangs crashes unknown not-linear sum-overwritten empty-without-padding
    channels-last constant-added wrong-sign scaled all-zero padding-values samples-repeated
    count-include-pad-inverted not-a-maximum max-padding-value ties-split
    clipped padding-on-one-axis stride-on-one-axis output-too-short padding-fixed columns-misordered
    reshaped-without-transpose imprecise gradient-flipped depends-on-input index-returned
    padding-multiplied groups-share-kernel image-flipped output-padding-on-one-axis
"""


@dataclass(frozen=True)
class Case:
    """A configuration; options that a kind does not have keep their default."""

    kind: str
    batch: int = 1
    channels: tuple[int, int] = (1, 1)
    size: tuple[int, int] = (6, 6)
    taps: tuple[int, int] = (2, 2)
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    output_padding: tuple[int, int] = (0, 0)
    ceil_mode: bool = False
    count_include_pad: bool = True
    seed: int = 0


OPTIONS = {
    "forward": ("stride", "padding", "dilation", "groups"),
    "backward": ("stride", "padding", "dilation", "groups"),
    "transposed": ("stride", "padding", "output_padding", "dilation", "groups"),
    "average_pool": ("size", "stride", "padding", "ceil_mode", "count_include_pad"),
    "max_pool": ("size", "stride", "padding", "dilation", "ceil_mode"),
}
OPTIONS |= {f"{kind}_backward": OPTIONS[kind] for kind in ("average_pool", "max_pool")}
LAYERS = [
    {"size": (6, 6), "taps": (1, 1)},
    {"size": (6, 6), "taps": (3, 3)},
    {"size": (5, 7), "taps": (3, 2)},
    {"size": (8, 6), "taps": (2, 3)},
]


def layer_cases(kind: str) -> Iterator[Case]:
    plain = [Case(kind, **layer) for layer in LAYERS]
    yield from plain
    for case in plain:
        yield replace(case, batch=3, channels=(2, 3))
        yield replace(case, channels=(3, 3))
        yield replace(case, channels=(4, 2), groups=2)
        yield replace(case, channels=(4, 4), groups=2)
        for name, values in {
            "stride": ((2, 2), (1, 2), (3, 1), (4, 4)),
            "padding": ((1, 1), (0, 1), (2, 1), (4, 4)),
            "dilation": ((2, 2), (1, 2), (2, 1)),
        }.items():
            yield from (replace(case, **{name: value}) for value in values)
        if kind == "transposed":
            yield replace(case, stride=(2, 2), output_padding=(1, 1))
            yield replace(case, stride=(3, 2), output_padding=(2, 0), padding=(1, 1))
    dense = replace(plain[2], batch=2, channels=(4, 6), groups=2, padding=(1, 1))
    yield replace(dense, stride=(2, 2))
    yield replace(dense, dilation=(1, 2))
    yield replace(plain[2], padding=(1, 1), dilation=(1, 2))
    yield replace(dense, stride=(2, 1), dilation=(2, 2), size=(7, 6))


def pool_cases(kind: str) -> Iterator[Case]:
    plain = [
        Case(kind, size=size, taps=taps, stride=stride)
        for size, taps in (((6, 6), (2, 2)), ((5, 7), (3, 2)), ((7, 8), (3, 3)))
        for stride in (taps, (1, 1), (2, 2), (3, 1), (4, 3))
    ]
    for case in plain:
        for padding, ceil_mode in product(((0, 0), (1, 1), (0, 1)), (False, True)):
            found = replace(case, padding=padding, ceil_mode=ceil_mode)
            yield found
            if kind.startswith("average"):
                yield replace(found, count_include_pad=False)
            elif padding == (0, 0):
                yield replace(found, dilation=(2, 1))
                yield replace(found, dilation=(2, 2))
        yield replace(case, batch=2, channels=(3, 3))


def possible(case: Case) -> bool:
    """Does the result have a positive size, and does no window lie on the padding alone?"""
    sizes, found = plan(case)
    inside = "pool" not in case.kind or all(held for axis in found for held, _ in axis)
    return inside and all(n > 0 for n in sizes)


@cache
def cases(kind: str) -> list[Case]:
    wanted = pool_cases if "pool" in kind else layer_cases
    return [case for case in dict.fromkeys(wanted(kind)) if possible(case)]


@cache
def plan(case: Case) -> Any:
    """Output sizes, and the layer's products or the pool's windows."""
    if "pool" in case.kind:
        axes = [
            windows(*numbers, case.ceil_mode)
            for numbers in zip(
                case.size, case.taps, case.stride, case.padding, case.dilation, strict=True
            )
        ]
        return tuple(map(len, axes)), axes
    options = {"stride": case.stride, "padding": case.padding, "dilation": case.dilation}
    shape = kernel_shape(case)
    if case.kind == "transposed":
        layer = naive.transposed_correlation(
            case.size, shape, output_padding=case.output_padding, groups=case.groups, **options
        )
    else:
        layer = naive.correlation(case.size, shape, groups=case.groups, **options)
    return layer.out_shape, layer


def windows(n: int, k: int, s: int, p: int, d: int, ceil_mode: bool) -> list[Any]:
    """Of each window on an axis: the samples inside, and how many places lie on input or padding.

    A window counts while it ends on the padded axis. With ceil_mode one more counts, if something
    is left over behind the last one, and if it starts before the padding on the right.
    """
    places = [d * t - p for t in range(k)]
    found = []
    while places[-1] < n + p:
        found.append(places)
        places = [i + s for i in places]
    if ceil_mode and found and found[-1][-1] < n + p - 1 and places[0] < n:
        found.append(places)
    return [([i for i in each if 0 <= i < n], sum(i < n + p for i in each)) for each in found]


def kernel_shape(case: Case) -> tuple[int, ...]:
    first, second = case.channels
    if case.kind == "transposed":
        return (first, second // case.groups, *case.taps)
    return (second, first // case.groups, *case.taps)


@cache
def arrays(case: Case, dtype: type) -> tuple[np.ndarray, ...]:
    """x, and w or g or both: small integers, without zeros, with ties and negative ones."""
    draw = np.random.default_rng(case.seed)
    sizes = plan(case)[0]
    layer = "pool" not in case.kind
    shapes = [(case.batch, case.channels[0], *case.size)]
    if layer:
        shapes.append(kernel_shape(case))
    if "backward" in case.kind:
        shapes.append((case.batch, *sizes) if layer else (*shapes[0][:2], *sizes))
    return tuple(
        (draw.integers(1, 5, shape) * draw.choice([-1, 1], shape)).astype(dtype) for shape in shapes
    )


@cache
def truth(case: Case) -> tuple[np.ndarray, ...]:
    given = arrays(case, int)
    if "pool" in case.kind:
        return (pool(case, *given),)
    layer = plan(case)[1]
    if case.kind != "backward":
        return (np.array([layer.apply(given[1], x) for x in given[0]], dtype=float),)
    x, w, g = given
    images = list(zip(x, g, strict=True))
    dx = [layer.back(w, each) for _, each in images]
    dkernel = sum(layer.kernel_back(*each) for each in images)
    return np.array(dx, dtype=float), np.array(dkernel, dtype=float)


def pool(case: Case, x: np.ndarray, g: np.ndarray | None = None) -> np.ndarray:
    """Max and average pools and their gradients, window by window."""
    sizes, axes = plan(case)
    y, dx = np.zeros((*x.shape[:2], *sizes)), np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*y.shape):
        (rows, held), (columns, over) = axes[0][i], axes[1][j]
        places = list(product(rows, columns))
        values = [int(x[n, c, a, b]) for a, b in places]
        share = 0.0 if g is None else float(g[n, c, i, j])
        if case.kind.startswith("max"):
            y[n, c, i, j] = max(values)
            dx[(n, c, *places[values.index(max(values))])] += share
        else:
            divisor = held * over if case.count_include_pad else len(values)
            y[n, c, i, j] = sum(values) / divisor
            for a, b in places:
                dx[n, c, a, b] += share / divisor
    return y if g is None else dx


def options(function: Callable[..., Any], case: Case) -> dict[str, Any] | None:
    """The keywords to pass, or None where the function lacks one that the case needs."""
    parameters = inspect.signature(function).parameters.values()
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters)
    names = {p.name for p in parameters}
    found = {}
    default = Case(case.kind)
    for name in OPTIONS[case.kind]:
        value = case.taps if name == "size" else getattr(case, name)
        if isinstance(value, tuple) and value[0] == value[1]:
            value = value[0]
        if anything or name in names:
            found[name] = value
        elif name == "stride" and "pool" in case.kind:
            if case.stride != case.taps:
                return None
        elif getattr(case, name) != getattr(default, name):
            return None
    return found


def said(exhibit: Exhibit, case: Case, dtype: type = float) -> str | None:
    """What is wrong with the answer ("" for nothing), or None where the case is not for it."""
    given = options(exhibit.function, case)
    if given is None:
        return None
    results = []
    for _ in range(2):
        inputs = [each.copy() for each in arrays(case, dtype)]
        try:
            results.append(exhibit.function(*inputs, **given))
        except TypeError:
            only = exhibit.name == "ints only"
            return None if only and any(isinstance(v, tuple) for v in given.values()) else "raises"
        except (ValueError, IndexError, NotImplementedError):
            return "raises"
        if not all(map(np.array_equal, inputs, arrays(case, dtype))):
            return "mutates"
    first, second = (each if isinstance(each, tuple) else (each,) for each in results)
    return compared(first, second, truth(case))


def compared(first: Any, second: Any, wanted: tuple[np.ndarray, ...]) -> str:
    if not all(isinstance(each, np.ndarray) for each in first) or len(first) != len(wanted):
        return "type"
    if any(each.dtype.kind in "fc" and each.dtype.itemsize < 4 for each in first):
        return "type"
    if any(a.shape != b.shape for a, b in zip(first, wanted, strict=True)):
        return "shape"
    if not all(map(np.array_equal, first, second)):
        return "changes"
    close = [
        np.allclose(a, b, rtol=1e-5 if a.dtype == np.float32 else 1e-9, atol=1e-6)
        for a, b in zip(first, wanted, strict=True)
    ]
    return "" if all(close) else "values"


def named(exhibit: Exhibit) -> str:
    return f"{exhibit.kind}: {exhibit.name}"


@pytest.mark.parametrize("dtype", [float, int])
@pytest.mark.parametrize("exhibit", RIGHT, ids=named)
def test_right_is_right(exhibit: Exhibit, dtype: type) -> None:
    answers = {case: said(exhibit, case, dtype) for case in cases(exhibit.kind)}
    tried = [case for case, answer in answers.items() if answer is not None]
    assert len(tried) >= 5
    assert {case: answers[case] for case in tried if answers[case]} == {}


@pytest.mark.parametrize("exhibit", WRONG, ids=named)
def test_wrong_is_wrong_where_it_says(exhibit: Exhibit) -> None:
    answers = {
        case: said(exhibit, case, (float, int)[k % 2]) for k, case in enumerate(cases(exhibit.kind))
    }
    tried = {case: answer for case, answer in answers.items() if answer is not None}
    assert any(tried.values())
    elsewhere = {case: answer for case, answer in tried.items() if not exhibit.when(case)}
    assert {case: answer for case, answer in elsewhere.items() if answer} == {}
    always = all(exhibit.when(case) for case in tried)
    assert always or any(answer == "" for answer in elsewhere.values())


@pytest.mark.parametrize("exhibit", museum_forward.DANGEROUS, ids=named)
def test_dangerous_is_right_where_it_is_harmless(exhibit: Exhibit) -> None:
    harmless = [case for case in cases("forward") if not exhibit.when(case)]
    answers = {case: said(exhibit, case) for case in harmless}
    assert "" in answers.values()
    assert {case: answer for case, answer in answers.items() if answer} == {}


@pytest.mark.parametrize("museum", MUSEUMS, ids=lambda museum: museum.__name__)
def test_each_museum_is_full(museum: Any) -> None:
    assert len(museum.WRONG) >= LEAST[museum.__name__.removeprefix("museum_")]
    assert {exhibit.expected for exhibit in museum.WRONG} <= set(CODES.split())
    assert {code for exhibit in museum.WRONG for code in exhibit.also} <= set(CODES.split())


def test_names_are_unique() -> None:
    names = [exhibit.name for exhibit in WRONG + RIGHT]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", [kind for kind in OPTIONS if "pool" in kind])
def test_the_pools_here_are_those_of_torch(kind: str) -> None:
    torch = pytest.importorskip("torch")
    for case in cases(kind):
        if any(2 * p > k for p, k in zip(case.padding, case.taps, strict=True)):
            continue  # PyTorch allows no more than half a window
        x, *g = (torch.tensor(each, requires_grad=True) for each in arrays(case, float))
        rest = (case.taps, case.stride, case.padding)
        if kind.startswith("max"):
            y = torch.nn.functional.max_pool2d(x, *rest, case.dilation, case.ceil_mode)
        else:
            y = torch.nn.functional.avg_pool2d(x, *rest, case.ceil_mode, case.count_include_pad)
        found = torch.autograd.grad(y, x, g)[0] if g else y
        np.testing.assert_allclose(found.detach().numpy(), truth(case)[0], rtol=1e-12)
