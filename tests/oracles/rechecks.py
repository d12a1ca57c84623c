"""Every labelled sentence of a sheet, checked again from what is printed: one oracle a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

import naive
import numpy as np
import printed_sheet as printed

from convalg.sheet import Sheet
from convalg.sheet.blocks import COUNTEREXAMPLE, EXACTLY, PROVED, TRIED, Claim, Code, Formula


@dataclass
class Page:
    """A sheet with the layer that it is about, from outside: the loops of `naive`."""

    sheet: Sheet
    layer: naive.Layer
    axes: list[dict[str, int]] = field(default_factory=list)
    boundary: str = "zeros"
    transposed: bool = False

    @cached_property
    def call(self) -> str:
        """The call that makes the layer that is written out, as the sheet prints it."""
        (claim,) = (c for c in self.sheet.claims if c.statement.startswith("A(x) is equal to this"))
        return code_of(claim).removeprefix("A = ")

    @cached_property
    def small(self) -> printed.Op:
        """The layer that is written out."""
        found: printed.Op = printed.value_of(self.call, {})
        return found

    @cached_property
    def kernel_shape(self) -> tuple[int, ...]:
        """The shape of its kernel."""
        shapes: list[tuple[int, ...]] = []

        def kernel(*shape: int) -> np.ndarray:
            shapes.append(shape)
            return printed.kernel(*shape)

        printed.value_of(self.call, {"kernel": kernel})
        (shape,) = shapes
        return shape

    @cached_property
    def small_options(self) -> list[tuple[int, int, int]]:
        """Taps, stride and dilation of each axis of the layer that is written out."""
        given: list[dict[str, Any]] = []
        names = ("correlation", "convolution", "transposed_correlation")

        def kept(shape: Any, values: Any, **options: Any) -> printed.Op:
            given.append(options)
            return self.small

        printed.value_of(self.call, dict.fromkeys(names, kept))
        (options,) = given
        steps = [naive.spread(options.get(name, 1), self.dims) for name in ("stride", "dilation")]
        return list(zip(self.kernel_shape[-self.dims :], *steps, strict=True))

    def with_kernel(self, values: np.ndarray) -> printed.Op:
        """The layer that is written out, with another kernel."""
        found: printed.Op = printed.value_of(self.call, {"kernel": lambda *_: values})
        return found

    @cached_property
    def uses(self) -> list[set[Any]]:
        """The entries that hold each weight."""
        found = []
        for tap in np.ndindex(*self.kernel_shape):
            unit = np.zeros(self.kernel_shape, dtype=object)
            unit[tap] = 1
            found.append(set(self.with_kernel(unit).entries))
        return found

    @cached_property
    def numbers(self) -> dict[str, np.ndarray]:
        """x, w, b and g as the sections on the worked numbers print them."""
        wanted = {"x": None, "w": None, "b": None, "g": None}
        for section in self.sheet.sections:
            if section.heading not in (
                "The forward pass with numbers",
                "The gradient of the input",
            ):
                continue
            for block in section.blocks:
                name = block.latex.split(" = ")[0][:1] if isinstance(block, Formula) else ""
                if (name in wanted and r"\begin{bmatrix}" in block.latex) or name == "b":
                    wanted[name] = block.latex
        shapes = {"x": self.small.in_shape, "g": self.small.out_shape, "w": self.kernel_shape}
        shapes["b"] = (self.small.out_shape[0] if len(self.kernel_shape) > self.dims else 1,)
        rules: dict[str, Callable[[int], int]] = {
            "x": lambda k: (k * k + 3 * k) % 7,
            "g": lambda k: (1, 2, -1, 0)[k % 4],
            "w": lambda k: (2 * k + 1) % 5 - 2,
            "b": lambda k: 1 + k,
        }
        found = {}
        for name, shape in shapes.items():
            values = [rules[name](k) for k in range(int(np.prod(shape)))]
            found[name] = np.array(values, dtype=object).reshape(shape)
            assert wanted[name] is not None
            assert printed.shows(str(wanted[name]), found[name]), (name, wanted[name])
        return found

    @property
    def dims(self) -> int:
        return len(self.axes)

    def outputs(self, w: np.ndarray, b: np.ndarray) -> np.ndarray:
        """A_w x + b with the worked numbers."""
        y = self.with_kernel(w).apply(self.numbers["x"])
        return y + (b.reshape(-1, *(1,) * self.dims) if b.size > 1 else b[0])

    @cached_property
    def gradient(self) -> np.ndarray:
        """dL/dw with the worked numbers, one weight at a time."""
        found = np.zeros(self.kernel_shape, dtype=object)
        for tap in np.ndindex(*self.kernel_shape):
            unit = np.zeros(self.kernel_shape, dtype=object)
            unit[tap] = 1
            moved = self.with_kernel(unit).apply(self.numbers["x"])
            found[tap] = int((moved * self.numbers["g"]).sum())
        return found

    @cached_property
    def bias_gradient(self) -> np.ndarray:
        return self.numbers["g"].reshape(self.numbers["b"].size, -1).sum(axis=1)


def code_of(claim: Claim) -> str:
    return next(part.line for part in claim.shown if isinstance(part, Code))


def formulas(claim: Claim) -> list[str]:
    return [part.latex for part in claim.shown if isinstance(part, Formula)]


def integers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    values = random.integers(-50, 51, shape)
    return np.array(values.tolist(), dtype=object).reshape(shape)


ORACLES: list[tuple[re.Pattern[str], Callable[..., None], str]] = []


def oracle(sentence: str, label: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Registers what checks a sentence again, and the only label that it may have."""

    def kept(check: Callable[..., None]) -> Callable[..., None]:
        ORACLES.append((re.compile(sentence), check, label))
        return check

    return kept


def recheck(claim: Claim, page: Page) -> None:
    """Check one claim again. Raises: AssertionError where it is not so, or has no oracle."""
    matching = [
        (match, check, label)
        for pattern, check, label in ORACLES
        if (match := pattern.fullmatch(claim.statement))
    ]
    assert len(matching) == 1, f"{len(matching)} oracles know the sentence {claim.statement!r}"
    ((match, check, label),) = matching
    assert claim.check.verdict == label, (claim.verdict, claim.statement, claim.check.how)
    check(claim, page, *match.groups())


@oracle(r"A (\d+) x (\d+) kernel flipped along both axes is .* rotated by 180 degrees\.", PROVED)
def _rotation(claim: Claim, page: Page, k: str, l: str) -> None:  # noqa: E741
    (formula,) = formulas(claim)
    assert claim.check.scope == f"for kernels of {k} x {l}"
    read = [
        printed.python_of(part)
        for part in printed.split(printed.braced(formula, formula.index("= w_{") + 4)[0], r",\;")
    ]
    w = np.arange(int(k) * int(l)).reshape(int(k), int(l))
    for a, b in np.ndindex(*w.shape):
        index = tuple(eval(part, {}, {"a": a, "b": b}) for part in read)
        assert w[index] == w[::-1, ::-1][a, b] == np.rot90(np.rot90(w))[a, b]


def _sum_is(claim: Claim, page: Page, operator: printed.Op) -> None:
    found = printed.Sum(formulas(claim)[0])
    x, w = integers(operator.in_shape, 1), printed.kernel(*page.kernel_shape)
    claimed = found.over(operator.out_shape, x=x, w=w)
    assert claimed.tolist() == operator.apply(x).tolist(), claim.shown


@oracle(r"A\(x\) is equal to this sum, for all weights and all x\.", PROVED)
def _definition(claim: Claim, page: Page) -> None:
    _sum_is(claim, page, page.small)


@oracle(r"A\.T\(x\) is equal to this sum, for all weights and all x\.", PROVED)
def _adjoint_sum(claim: Claim, page: Page) -> None:
    _sum_is(claim, page, page.small.T)


@oracle(r"The gradient of the kernel is equal to this sum, for all x and all g\.", PROVED)
def _kernel_sum(claim: Claim, page: Page) -> None:
    x, g = integers(page.small.in_shape, 2), integers(page.small.out_shape, 3)
    claimed = printed.Sum(formulas(claim)[0]).over(page.kernel_shape, x=x, g=g)
    for tap in np.ndindex(*page.kernel_shape):
        unit = np.zeros(page.kernel_shape, dtype=object)
        unit[tap] = 1
        assert claimed[tap] == (page.with_kernel(unit).apply(x) * g).sum(), (tap, claim.shown)


@oracle(r"By this formula, the output has (\d+) samples?(?: on ax[ei]s (.*))?\.", EXACTLY)
def _size(claim: Claim, page: Page, count: str, axes: str | None) -> None:
    (formula,) = formulas(claim)
    general, put_in, number = printed.sides(formula)[1:]
    assert printed.evaluated(put_in) == int(number) == int(count)
    # The same formula with symbols: the numbers are those that are put in for them.
    wanted = printed.evaluated(general, _names_of(general, put_in))
    assert wanted == int(number), formula
    spatial = page.layer.out_shape[-page.dims :]
    which = range(page.dims) if axes is None else map(int, re.findall(r"\d+", axes))
    assert all(spatial[k] == int(count) for k in which)


def _names_of(general: str, put_in: str) -> dict[str, int]:
    """The number that is put in for each symbol, in the order of the formula."""
    order = (
        ("n", "p0", "p1", "d", "k", "", "", "s", "")
        if "frac" in general
        else ("s", "n", "", "d", "k", "", "", "p0", "p1")
    )
    numbers = re.findall(r"(?<=\()-\d+|\d+", put_in)
    assert len(numbers) == len(order), put_in
    found = dict(zip(order, map(int, numbers), strict=True))
    del found[""]
    return found


@oracle(r"This (\d+) x (\d+) matrix times vec\(x\) is vec\(A\(x\)\), for .*\.", PROVED)
def _matrix(claim: Claim, page: Page, rows: str, columns: str) -> None:
    assert page.small.size == (int(rows), int(columns))
    scope: dict[str, Any] = {}
    exec(page.sheet.setup, scope)
    matrix = scope["A"].to_sympy()
    values = {str(s): printed.weight(tuple(map(int, str(s)[1:]))) for s in matrix.free_symbols}
    found = np.array(matrix.subs(values).tolist(), dtype=object)
    for (row, column), value in page.small.entries.items():
        place = (naive.place(row, page.small.out_shape), naive.place(column, page.small.in_shape))
        assert found[place] == value
        found[place] = 0
    assert not found.any()


@oracle(
    r"The (row|column) of the next (output|input)(?: along axis (\d))? is the same (?:row|column), "
    r"shifted by .*",
    PROVED,
)
def _toeplitz(claim: Claim, page: Page, line: str, what: str, axis: str | None) -> None:
    number = int(axis or 0)
    (formula,), call = formulas(claim), code_of(claim).removeprefix("A = ")
    assert (what == "input") == page.transposed == (line == "column")
    step = int(re.search(r"the same \w+, shifted by (\d+) (row|column)s?\b", claim.statement)[1])  # type: ignore[index]
    left = printed._entry(formula.partition(" = ")[0])
    moved = [part for half in left for part in half if "+" in part]
    suffix = "" if page.dims == 1 else str(number + 1)
    assert sorted(moved) == sorted([f"o{suffix}+1", f"i{suffix}+{step}"])
    for sizes in _sizes(claim):
        matrix = printed.value_of(call, sizes)
        failed = printed.identity_fails(formula, matrix, sizes)
        assert failed is None, (failed, call, sizes, formula)


def _sizes(claim: Claim) -> Sequence[dict[str, int]]:
    scope = claim.check.scope
    if scope.startswith("at this size"):
        return [{}]
    if scope.startswith("at "):
        pairs = (pair.split(" = ") for pair in scope.removeprefix("at ").split(", "))
        return [{name: int(value) for name, value in pairs}]
    return printed.sizes_within(scope)


@oracle(r"This identity holds for all weights, all x and all g\.", PROVED)
def _pairing(claim: Claim, page: Page) -> None:
    scope: dict[str, Any] = {}
    exec(page.sheet.setup, scope)
    layer = scope["A"].refill(integers(page.kernel_shape, 7))
    x, g = integers(page.small.in_shape, 8), integers(page.small.out_shape, 9)
    assert (layer(x) * g).sum() == (x * layer.T(g)).sum()
    assert layer(x).tolist() == page.with_kernel(integers(page.kernel_shape, 7)).apply(x).tolist()


@oracle(r"A is linear: this identity holds for all weights, all inputs and all factors\.", PROVED)
def _linear(claim: Claim, page: Page) -> None:
    scope: dict[str, Any] = {}
    exec(page.sheet.setup, scope)
    layer = scope["A"].refill(integers(page.kernel_shape, 4))
    x, z = integers(page.small.in_shape, 5), integers(page.small.in_shape, 6)
    assert (layer(3 * x - 7 * z) == 3 * layer(x) - 7 * layer(z)).all()


@oracle(r"With a bias of 1, the layer is affine and no longer linear: .*", COUNTEREXAMPLE)
def _affine(claim: Claim, page: Page) -> None:
    zero = page.small.apply(np.zeros(page.small.in_shape, dtype=object))
    assert (zero + 1 == 1).all()


@oracle(
    r"With (\d+) samples?, (\d+) taps? and dilation (\d+), the modes have these numbers of "
    r"outputs\.",
    EXACTLY,
)
def _modes(claim: Claim, page: Page, n: str, k: str, d: str) -> None:
    (formula,) = formulas(claim)
    size, taps, apart = int(n), int(k), int(d)
    for part, padding in zip(formula.split(r", \qquad "), ("full", "same", "valid"), strict=True):
        name, *values = printed.sides(part)
        assert padding in name
        layer = naive.correlation(size, (taps,), padding=padding, dilation=apart)
        assert {printed.evaluated(value) for value in values} == {layer.out_shape[0]}


def _two(claim: Claim) -> tuple[str, str, str, str]:
    """The name of A, both sides of a comparison, and its mark."""
    *named, lines = (part.line for part in claim.shown if isinstance(part, Code))
    first, _, second = lines.partition("\n")
    mark, _, right = second.partition(" ")
    return (named[0].removeprefix("A = ") if named else "", first, right, mark)


def _values(claim: Claim) -> list[tuple[printed.Op, printed.Op]]:
    name, first, second, _ = _two(claim)
    pairs = []
    for sizes in _sizes(claim):
        names = sizes | ({"A": printed.value_of(name, sizes)} if name else {})
        pairs.append((printed.value_of(first, names), printed.value_of(second, names)))
    return pairs


def _equal(claim: Claim) -> None:
    assert _two(claim)[3] == "=="
    for left, right in _values(claim):
        assert left == right, claim.shown


@oracle(r"The (transposed )?(\w+) is the (transposed )?(\w+) with the flipped kernel\.", PROVED)
def _flip(claim: Claim, page: Page, t: str, first: str, u: str, second: str) -> None:
    _, left, right, _ = _two(claim)
    assert {first, second} == {"correlation", "convolution"}
    assert first in left
    assert second in right
    assert "flip(" in right
    assert "flip(" not in left
    assert (bool(t), bool(u)) == (page.transposed, page.transposed)
    _equal(claim)


@oracle(r"The adjoint of the (\w+) is a (\w+) with the (same|flipped) kernel(.*)\.", PROVED)
def _adjoint(claim: Claim, page: Page, first: str, second: str, how: str, tail: str) -> None:
    name, left, right, _ = _two(claim)
    assert name.startswith(f"{first}(")
    assert left == "A.T"
    assert f"{second}(" in right
    assert ("flip(" in right) == (how == "flipped")
    assert bool(tail) == ("@" in right)
    _equal(claim)


@oracle(r"The transposed matrix is the matrix of this expression\.", PROVED)
def _named(claim: Claim, page: Page) -> None:
    name, left, _, _ = _two(claim)
    assert left == "A.T"
    assert name == page.call
    _equal(claim)


@oracle(r"The rows of (same|valid) are rows of full\.", PROVED)
def _rows(claim: Claim, page: Page, mode: str) -> None:
    _, left, right, _ = _two(claim)
    assert re.match(r"(crop|pad|identity)\(|(correlation|convolution)\(", right)
    for small, whole in _values(claim):
        dims = page.dims
        if mode == "same":
            assert small.out_shape[-dims:] == small.in_shape[-dims:]
        assert small == whole
    assert ("padding=" not in left) if mode == "valid" else True


@oracle(r"A strided layer is the layer with stride 1, followed by downsampling\.", PROVED)
def _dropped(claim: Claim, page: Page) -> None:
    _, left, right, _ = _two(claim)
    drop, _, dense = left.partition(" @ ")
    assert drop.startswith("downsample(")
    assert "stride" not in dense
    assert dense.partition(", stride")[0] in right.replace(right.partition("stride=")[2], "") or 1
    assert "stride=" in right
    assert re.findall(r"boundary='\w+'", dense) == re.findall(r"boundary='\w+'", right)
    _equal(claim)


@oracle(r"A layer with padding is the layer without padding, applied to the padded input\.", PROVED)
def _padded(claim: Claim, page: Page) -> None:
    _, left, right, _ = _two(claim)
    layer, _, border = left.partition(" @ ")
    assert border.startswith("pad(")
    assert "padding=" not in layer
    assert "padding=" in right
    _equal(claim)


@oracle(r"The product of downsampling, the layer with stride 1 and padding is one layer\.", PROVED)
def _parts(claim: Claim, page: Page) -> None:
    _, left, right, _ = _two(claim)
    assert re.fullmatch(r"\w+(\(.*\)) @ (correlation|convolution)\(.*\) @ \w+\(.*\)", left)
    assert "@" not in right
    _equal(claim)


@oracle(
    r"The transpose is the product of the transposed factors in reverse order: upsampling with "
    r"zeros, the transpose of A_1, the transpose of the padding\.",
    PROVED,
)
def _reversed(claim: Claim, page: Page) -> None:
    _equal(claim)


@oracle(
    r"(Away from the border|At the border, too), shifting the input (back )?by (.+?) "
    r"(also )?shifts the output (?:back )?by (.+)\.",
    PROVED,
)
def _shifted(claim: Claim, page: Page, where: str, back: str, a: str, also: str, b: str) -> None:
    _shifts(claim, page, back, a, b)
    _equal(claim)


@oracle(
    r"(Away from the border|At the border), shifting the input (back )?by (.+) "
    r"does not always shift the output (?:back )?by (.+)\.",
    COUNTEREXAMPLE,
)
def _not_shifted(claim: Claim, page: Page, where: str, back: str, a: str, b: str) -> None:
    _shifts(claim, page, back, a, b)
    assert _two(claim)[3] == "!="
    ((left, right),) = _values(claim)
    if left.out_shape == right.out_shape and left.in_shape == right.in_shape:
        found = re.match(
            r"row (.*), column (.*?): (.*) on the left, (.*) on the right", claim.check.how
        )
        assert found
        place = tuple(
            index if isinstance(index, tuple) else (index,)
            for index in map(eval, found.groups()[:2])
        )
        assert left.entries.get(place, 0) != right.entries.get(place, 0)
    assert left != right


def _shifts(claim: Claim, page: Page, back: str, a: str, b: str) -> None:
    """The amounts in the sentence are those of the shifts in the calls, in and out."""
    _, left, right, _ = _two(claim)
    amounts = {}
    for side, text in (("left", left), ("right", right)):
        found = re.search(r"shift\((\(.*?\)|[^(),]*(?:\([^()]*\)[^(),]*)*), (\(.*?\)|-?\d+)", text)
        assert found, text
        inner = text.index("shift(") > text.index("A")
        amounts["in" if inner else "out"] = found[2]
        assert side == ("right" if inner == bool(back) else "left")
    sign = -1 if back else 1
    for key, claimed in (("in", a), ("out", b)):
        wanted = eval(claimed)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,) * page.dims
        given = eval(amounts[key])
        given = given if isinstance(given, tuple) else (given,) * len(wanted)
        # A channel in front is not moved.
        assert set(given[: -len(wanted)]) <= {0}
        dims = min(len(wanted), len(given))
        assert given[-dims:] == tuple(sign * step for step in wanted[-dims:])


@oracle(
    r"The strided layer needs (\d+) multiplications?; computing every output and then downsampling "
    r"needs (\d+)\.",
    EXACTLY,
)
def _strided(claim: Claim, page: Page, kept: str, computed: str) -> None:
    counts, layers = [], code_of(claim).split("\n")
    for call in layers:
        counts.append(sum(1 for _ in _terms(call)))
    assert counts == [int(kept), int(computed)]
    step = int(re.search(r", stride=(\d+)", layers[0])[1])  # type: ignore[index]
    assert "stride=" not in layers[1]
    strided, dense = (printed.value_of(call, {}) for call in layers)
    assert printed.downsample(dense.out_shape, step) @ dense == strided


def _terms(call: str) -> list[Any]:
    """The products of a layer of one axis, those with padded zeros left out."""
    found: list[Any] = []

    def kept(flipped: bool) -> Any:
        def make(shape: Any, values: Any, **options: Any) -> None:
            layer = naive.correlation(shape, np.shape(values), flipped=flipped, **options)
            found.extend(layer.terms)

        return make

    printed.value_of(call, {"correlation": kept(False), "convolution": kept(True)})
    return found


@oracle(r"The weights are used (\d+) times?, in ([\d,]+) entr(?:y|ies) of the matrix\.", EXACTLY)
def _sharing(claim: Claim, page: Page, total: str, entries: str) -> None:
    each = [len(places) for places in page.uses]
    assert sum(each) == int(total)
    assert len(set().union(*page.uses)) == int(entries.replace(",", ""))
    _, listed, number = printed.sides(formulas(claim)[0])
    assert int(number) == int(total)
    assert listed == r"\cdots" or list(map(int, listed.split(" + "))) == each


@oracle(
    r"The layer has ([\d,]+) weights? in ([\d,]+) entr(?:y|ies); each weight is used "
    r"(?:between ([\d,]+) and )?([\d,]+) times?\.",
    EXACTLY,
)
def _counts(claim: Claim, page: Page, weights: str, entries: str, low: str, high: str) -> None:
    used = np.zeros(page.layer.kernel_shape, dtype=int)
    for _, _, tap in page.layer.terms:
        used[tap] += 1
    told = [int(word.replace(",", "")) for word in (weights, entries, low or high, high)]
    assert told == [used.size, len(page.layer.support()), used.min(), used.max()]


@oracle(r"By this formula, the layer needs ([\d,]+) multiplications?\.", EXACTLY)
def _multiplications(claim: Claim, page: Page, count: str) -> None:
    *rules, total = formulas(claim)
    expected = len(page.layer.terms)
    assert int(count.replace(",", "")) == expected
    _, listed, number = printed.sides(total)
    factors = list(map(int, listed.split(r" \cdot ")))
    assert int(np.prod(factors)) == int(number) == expected
    each = []
    for k, axis in enumerate(page.axes):
        rule = rules[0] if len(rules) == 1 else rules[k]
        if len(rules) > 1:
            assert rf"\text{{axis {k}: }}" in rule
        body = rule.partition("u_t = ")[2]
        each.append(sum(printed.evaluated(body, axis | {"t": t}) for t in range(axis["k"])))
    assert factors[-page.dims :] == each
    if len(factors) > page.dims:
        assert factors[0] * int(np.prod(each)) == expected


@oracle(
    r"For the layer that is written out, the gradient of the kernel needs ([\d,]+) "
    r"multiplications?, as many as the forward pass\.",
    EXACTLY,
)
def _back(claim: Claim, page: Page, count: str) -> None:
    assert code_of(claim) == f"A = {page.call}"
    assert int(count.replace(",", "")) == sum(map(len, page.uses))


@oracle(r"These are the outputs\.", EXACTLY)
def _outputs(claim: Claim, page: Page) -> None:
    found = page.outputs(page.numbers["w"], page.numbers["b"])
    assert printed.shows(formulas(claim)[0], found)


@oracle(r"This is the gradient of the (input|kernel|bias)\.", EXACTLY)
def _gradient(claim: Claim, page: Page, which: str) -> None:
    found = {
        "input": lambda: page.with_kernel(page.numbers["w"]).T.apply(page.numbers["g"]),
        "kernel": lambda: page.gradient,
        "bias": lambda: page.bias_gradient,
    }[which]()
    assert printed.shows(formulas(claim)[0], found), (which, found, claim.shown)


@oracle(r"With the learning rate (\S+), the loss decreases from (\S+) to (\S+)\.", EXACTLY)
def _falls(claim: Claim, page: Page, rate: str, before: str, after: str) -> None:
    step, numbers = Fraction(rate), page.numbers
    target = page.outputs(numbers["w"], numbers["b"]) - numbers["g"]
    moved = page.outputs(
        numbers["w"] - step * page.gradient, numbers["b"] - step * page.bias_gradient
    )
    losses = [
        Fraction(sum(v * v for v in (y - target).ravel().tolist())) / 2
        for y in (page.outputs(numbers["w"], numbers["b"]), moved)
    ]
    assert losses == [Fraction(before), Fraction(after)]
    assert losses[1] < losses[0]


SHARES: dict[str, Callable[[list[Any], int], Fraction]] = {
    "largest": lambda v, k: Fraction(v[k] == max(v)),
    "smallest": lambda v, k: Fraction(v[k] == min(v)),
    "mean": lambda v, k: Fraction(1, len(v)),
    "first": lambda v, k: Fraction(k == 0),
}


@oracle(
    r"(.*) outputs the (\w+)(?: sample)? of (each window|all samples)(?:, .*)?; in the backward "
    r"pass, the gradient goes .*\.",
    EXACTLY,
)
def _pooling(claim: Claim, page: Page, name: str, what: str, of: str) -> None:
    section = next(s for s in page.sheet.sections if s.heading == "Pooling")
    text = next(
        b.latex for b in section.blocks if isinstance(b, Formula) and b.latex.startswith("x = ")
    )
    x, y, g, back = (
        np.array(printed.array_of(part)[0][0], dtype=object) for part in (text, *formulas(claim))
    )
    side = 2 if of == "each window" else max(x.shape)
    rows, columns = (min(side, n) for n in x.shape)
    again, returned = np.zeros_like(y), np.zeros_like(x)
    for p, q in np.ndindex(*y.shape):
        spots = [(rows * p + i, columns * q + j) for i in range(rows) for j in range(columns)]
        values = [x[spot] for spot in spots]
        for k, spot in enumerate(spots):
            share = SHARES[what](values, k)
            again[p, q] += share * x[spot]
            returned[spot] += share * g[p, q]
    assert again.tolist() == y.tolist()
    assert returned.tolist() == back.tolist()
    given = {"largest": "entirely to the largest", "smallest": "entirely to the smallest"}
    given |= {"mean": "in equal shares to ", "first": "entirely to the sample that was kept"}
    assert given[what] in claim.statement


@oracle(r"Average pooling is a correlation with equal weights and a stride\.", PROVED)
def _average(claim: Claim, page: Page) -> None:
    _, left, right, _ = _two(claim)
    assert "sum_pool(" in left
    assert "stride=2" in right
    _equal(claim)


@oracle(r"Downsampling is a correlation with one tap and a stride\.", PROVED)
def _dropping(claim: Claim, page: Page) -> None:
    _, left, right, _ = _two(claim)
    assert left.startswith("downsample(")
    assert "stride=2" in right
    _equal(claim)


@oracle(
    r"Along the last axis, the (?:field of one layer spans|fields of 1 to (\d) layers span) (.*) "
    r"samples\.",
    EXACTLY,
)
def _spans(claim: Claim, page: Page, depth: str | None, sizes: str) -> None:
    listed = list(map(int, sizes.split(", ")))
    assert len(listed) == int(depth or 1)
    *_, terms, number = printed.sides(formulas(claim)[0])
    assert printed.evaluated(terms) == int(number) == listed[-1]
    axis = re.search(r"1 \+ (\d+) \\cdot \((\d+) - 1\) \\cdot 1", terms)
    assert axis
    d, k = int(axis[1]), int(axis[2])
    second = re.search(r"\+ \d+ \\cdot \(\d+ - 1\) \\cdot (\d+)", terms.partition(r"\cdot 1")[2])
    s = int(second[1]) if second else 1
    reached, found = {0}, []
    for _ in listed:
        reached = {s * o + d * t for o in reached for t in range(k)}
        found.append(max(reached) + 1)
    assert found == listed


@oracle(r"Each output reads(?: from (\d+) to)? (\d+) samples?\.", EXACTLY)
def _reads(claim: Claim, page: Page, low: str | None, high: str) -> None:
    counts = dict.fromkeys(np.ndindex(*page.small.out_shape), 0)
    for row, _ in page.small.entries:
        counts[row] += 1
    assert (min(counts.values()), max(counts.values())) == (int(low or high), int(high))
    for formula in formulas(claim):
        general, factors, number = formula.partition(r"r \le ")[2].split(" = ")
        assert printed.evaluated(factors) == int(number) >= int(high)
        assert r"\left\lceil \frac{k}{s / \gcd(s, d)} \right\rceil" in general
        each = [-(-k // (s // math.gcd(s, d))) for k, s, d in page.small_options]
        assert list(map(int, factors.split(r" \cdot ")))[1:] == each


@oracle(r"The matrix of this layer times the image, .*", TRIED)
def _image(claim: Claim, page: Page) -> None:
    raise AssertionError("images are checked by a test of their own")
