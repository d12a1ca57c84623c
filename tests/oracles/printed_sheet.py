"""An evaluator of what a sheet prints: its sums, sizes and index identities, and its calls.

An oracle of the tests: it reads the printed LaTeX and the printed Python calls, and evaluates
them with integers by plain loops (`naive`). Nothing here is shared with convalg.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import naive
import numpy as np

# Calls: operators as dictionaries of entries.


class Op:
    """A linear map as its entries: {(output index, input index): value}."""

    def __init__(self, out_shape: Any, in_shape: Any, entries: dict[Any, Any]) -> None:
        self.out_shape, self.in_shape = tuple(out_shape), tuple(in_shape)
        self.entries = {place: value for place, value in entries.items() if value != 0}

    @property
    def T(self) -> Op:  # noqa: N802 - as the sheet writes it
        swapped = {(column, row): value for (row, column), value in self.entries.items()}
        return Op(self.in_shape, self.out_shape, swapped)

    def __matmul__(self, other: Op) -> Op:
        assert self.in_shape == other.out_shape, (self.in_shape, other.out_shape)
        rows: dict[Any, list[Any]] = {}
        for (row, column), value in other.entries.items():
            rows.setdefault(row, []).append((column, value))
        found: dict[Any, Any] = {}
        for (row, middle), value in self.entries.items():
            for column, factor in rows.get(middle, ()):
                found[row, column] = found.get((row, column), 0) + value * factor
        return Op(self.out_shape, other.in_shape, found)

    def __rmul__(self, factor: Any) -> Op:
        scaled = {place: factor * value for place, value in self.entries.items()}
        return Op(self.out_shape, self.in_shape, scaled)

    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Op)
        shapes = (self.out_shape, self.in_shape) == (other.out_shape, other.in_shape)
        return shapes and self.entries == other.entries

    __hash__ = None  # type: ignore[assignment]

    def apply(self, x: np.ndarray) -> np.ndarray:
        y = np.zeros(self.out_shape, dtype=object)
        for (row, column), value in self.entries.items():
            y[row] += value * x[column]
        return y

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        return math.prod(self.out_shape), math.prod(self.in_shape)


def weight(index: tuple[int, ...]) -> int:
    """A number of its own for every index of a kernel."""
    found = 7
    for position, number in enumerate(index):
        found = (found * 1_000_003 + 97 * number + 31 * position + 5) % 1_000_000_007
    return found


def kernel(*shape: int) -> np.ndarray:
    found = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        found[index] = weight(index)
    return found


def flip(values: Any, dims: int) -> np.ndarray:
    array = np.asarray(values, dtype=object)
    return np.flip(array, axis=tuple(range(array.ndim - dims, array.ndim)))


def _layer(found: naive.Layer, values: Any) -> Op:
    array = np.asarray(values, dtype=object)
    entries: dict[Any, Any] = {}
    for output, source, tap in found.terms:
        entries[output, source] = entries.get((output, source), 0) + array[tap]
    assert all(size >= 1 for size in (*found.out_shape, *found.in_shape)), "an empty layer"
    return Op(found.out_shape, found.in_shape, entries)


def _shape_of(values: Any) -> tuple[int, ...]:
    return np.asarray(values, dtype=object).shape


def correlation(shape: Any, values: Any, **options: Any) -> Op:
    return _layer(naive.correlation(shape, _shape_of(values), **options), values)


def convolution(shape: Any, values: Any, **options: Any) -> Op:
    return correlation(shape, values, flipped=True, **options)


def transposed_correlation(shape: Any, values: Any, **options: Any) -> Op:
    return _layer(naive.transposed_correlation(shape, _shape_of(values), **options), values)


def _product(each: list[tuple[int, int, list[tuple[int, int]]]]) -> Op:
    """An operator from its outputs, inputs and pairs (output, input) on each axis."""
    outs, ins, pairs = zip(*each, strict=True)
    assert min(*outs, *ins) >= 1, "an empty operator"
    entries: dict[Any, Any] = {}
    for chosen in product(*pairs):
        rows, columns = zip(*chosen, strict=True)
        entries[rows, columns] = entries.get((rows, columns), 0) + 1
    return Op(outs, ins, entries)


def _tuple(value: Any, dims: int) -> tuple[Any, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


def pad(shape: Any, padding: Any, boundary: str = "zeros") -> Op:
    sizes = _tuple(shape, 1)
    each = []
    for n, pair in zip(sizes, _tuple(padding, len(sizes)), strict=True):
        before, after = _tuple(pair, 2)
        length = n + before + after
        reads = [(o, naive.inside(o - before, n, boundary)) for o in range(length)]
        each.append((length, n, [(o, i) for o, i in reads if i is not None]))
    return _product(each)


def crop(shape: Any, cropping: Any) -> Op:
    sizes = _tuple(shape, 1)
    pairs = [_tuple(pair, 2) for pair in _tuple(cropping, len(sizes))]
    assert all(cut >= 0 for pair in pairs for cut in pair), "a negative crop"
    return pad(sizes, [(-before, -after) for before, after in pairs])


def shift(shape: Any, steps: Any, boundary: str = "zeros") -> Op:
    sizes = _tuple(shape, 1)
    each = []
    for n, step in zip(sizes, _tuple(steps, len(sizes)), strict=True):
        reads = [(o, naive.inside(o - step, n, boundary)) for o in range(n)]
        each.append((n, n, [(o, i) for o, i in reads if i is not None]))
    return _product(each)


def downsample(shape: Any, factor: Any, offset: Any = 0) -> Op:
    sizes = _tuple(shape, 1)
    each = []
    for n, step, first in zip(
        sizes, _tuple(factor, len(sizes)), _tuple(offset, len(sizes)), strict=True
    ):
        kept = list(range(first, n, step))
        each.append((len(kept), n, list(enumerate(kept))))
    return _product(each)


def upsample(shape: Any, factor: Any, size: Any = None) -> Op:
    sizes = _tuple(shape, 1)
    factors = _tuple(factor, len(sizes))
    tight = tuple(step * (n - 1) + 1 for n, step in zip(sizes, factors, strict=True))
    lengths = tight if size is None else _tuple(size, len(sizes))
    each = []
    for n, step, length in zip(sizes, factors, lengths, strict=True):
        each.append((length, n, [(step * i, i) for i in range(n)]))
    return _product(each)


def sum_pool(shape: Any, size: Any) -> Op:
    sizes = _tuple(shape, 1)
    each = []
    for n, side in zip(sizes, _tuple(size, len(sizes)), strict=True):
        outputs = n // side
        pairs = [(o, side * o + t) for o in range(outputs) for t in range(side)]
        each.append((outputs, n, pairs))
    return _product(each)


_NAMES = (
    "kernel flip correlation convolution transposed_correlation pad crop shift downsample upsample "
    "sum_pool"
)
ROUNDING = {"floor": math.floor, "ceiling": math.ceil, "Max": max, "Min": min}
CALLS: dict[str, Any] = {name: globals()[name] for name in _NAMES.split()} | ROUNDING


def value_of(call: str, names: dict[str, Any]) -> Any:
    """A printed call, evaluated; numbers for its symbols and operators for its names."""
    # Whole numbers divided stay exact: 1/2 is a fraction.
    exact = re.sub(r"(?<![\w.])(\d+)(?![\w.])", r"F(\1)", call) if "/" in call else call
    symbols = {name: weight(tuple(map(int, name[1:]))) for name in re.findall(r"\bw\d+\b", call)}
    return eval(exact, {"__builtins__": {}, "F": Exact, **symbols, **CALLS, **names})


class Exact(int):
    """An integer whose quotients are fractions."""

    def __truediv__(self, other: Any) -> Any:
        return Fraction(int(self), int(other))

    def __rtruediv__(self, other: Any) -> Any:
        return Fraction(other) / int(self)


@cache
def sizes_within(scope: str, most: int = 4) -> tuple[dict[str, int], ...]:
    """Sizes of a printed scope "for all n >= K >= 1, m >= 1", small ones, differing in kind."""
    # The sizes listed are those at which it does so.
    listed = scope.removeprefix("for all ").removesuffix("; the border folds at most once")
    conditions = listed.split(", ")
    names = sorted(set(re.findall(r"[A-Za-z]+", ", ".join(conditions))) - set(ROUNDING))
    body = " and ".join(re.sub(r"(\d)([A-Za-z(])", r"\1*\2", c) for c in conditions)
    holds = eval(f"lambda {', '.join(names)}: {body}", {"__builtins__": {}, **ROUNDING})
    limit = {1: 12, 2: 9, 4: 6}.get(len(names), 4)
    ranges = product(range(1, limit + 1), repeat=len(names))
    found = [values for values in ranges if holds(*values)]
    if not found:
        # Sizes that grow with the kernel: large inputs and kernels of two taps.
        tried = (tuple(n if c.islower() else 2 for c in names) for n in range(limit, 40))
        found = [values for values in tried if holds(*values)][:1]
    assert found, f"no small sizes within {scope!r}"
    found.sort(key=lambda values: (sum(values), values))
    few = found[:60]
    most = most if len(names) <= 2 else 2
    step = max(len(few) // most, 1)
    chosen = [few[0], *few[1::step][: most - 1]]
    return tuple(dict(zip(names, values, strict=True)) for values in chosen)


# LaTeX: arithmetic.


def braced(text: str, start: int) -> tuple[str, int]:
    """What stands in the braces that open at `start`, and where it goes on after them."""
    assert text[start] == "{", text[start:]
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return text[start + 1 : place], place + 1
    raise AssertionError(text)


def python_of(latex: str) -> str:
    """An arithmetic expression in LaTeX as Python, with explicit products."""
    text = latex
    while r"\frac" in text:
        place = text.index(r"\frac") + 5
        upper, place = braced(text, place)
        lower, after = braced(text, place)
        text = f"{text[: text.index(chr(92) + 'frac')]}(({upper}) / ({lower})){text[after:]}"
    for mark, word in (
        (r"\left\lfloor", "floor("),
        (r"\right\rfloor", ")"),
        (r"\left\lceil", "ceil("),
        (r"\right\rceil", ")"),
        (r"\left", ""),
        (r"\right", ""),
        (r"\max", "max"),
        (r"\min", "min"),
        (r"\gcd", "gcd"),
        (r"\cdot", "*"),
        (r"\bmod", "%"),
        (r"\,", " "),
        (r"\;", " "),
        (r"\ ", " "),
    ):
        text = text.replace(mark, word)
    text = re.sub(r"\\operatorname\{(\w+)\}", r"\1", text)
    text = re.sub(r"_\{?(\w+)\}?", r"\1", text)
    text = text.replace("{", "(").replace("}", ")")
    # 2i, d t, d (k - 1): products that are not written.
    text = re.sub(r"(?<![A-Za-z\d])(\d+)([A-Za-z])", r"\1*\2", text)
    text = re.sub(r"(?<=[\w)])\s+(?=[A-Za-z(])", "*", text)
    return re.sub(r"(max|min|floor|ceil|gcd)\*\(", r"\1(", text)


def evaluated(latex: str, names: dict[str, Any] | None = None) -> Any:
    """An arithmetic expression in LaTeX with numbers for its symbols."""
    functions = {
        "floor": math.floor,
        "ceil": math.ceil,
        "max": max,
        "min": min,
        "gcd": math.gcd,
        "F": Exact,
    }
    text = re.sub(r"(?<![\w.])(\d+)(?![\w.])", r"F(\1)", python_of(latex))
    return eval(text, {"__builtins__": {}, **functions, **(names or {})})


def sides(latex: str) -> list[str]:
    """The parts between the equality signs of a chain."""
    return [part.strip() for part in latex.split(" = ")]


def subscripted(text: str) -> tuple[str, list[str]]:
    """`w_{o,\\,a}` as its name and its indices, in Python."""
    name, _, rest = text.strip().partition("_")
    inner, after = braced(rest, 0)
    assert not rest[after:].strip(), text
    return name.strip(), [python_of(part).strip() for part in split(inner)]


def split(text: str, mark: str = r",\,") -> list[str]:
    """The parts between marks outside of braces and parentheses."""
    parts, depth, start, place = [], 0, 0, 0
    while place < len(text):
        depth += {"{": 1, "(": 1, "}": -1, ")": -1}.get(text[place], 0)
        if depth == 0 and text.startswith(mark, place):
            parts.append(text[start:place])
            place = start = place + len(mark)
            continue
        place += 1
    return [*parts, text[start:]]


# LaTeX: sums that define a layer, and gradients.

RANGE = re.compile(r"0 \\le (\w) < (\d+)")


class Sum:
    """`y_{i} = \\sum_{a=0}^{2} w_{a}\\, x_{i+a-1}, \\qquad ...`, to be evaluated."""

    def __init__(self, latex: str) -> None:
        main, *rest = re.split(r",\s*\\q?quad |,\s*\\qquad ", latex)
        left, _, right = main.partition(" = ")
        gradient = re.fullmatch(r"\\frac\{\\partial L\}\{\\partial (.*)\}", left.strip())
        self.name, self.target = subscripted(gradient[1] if gradient else left)
        self.loops: list[tuple[str, int]] = []
        self.constraints: list[tuple[str, str]] = []
        free: list[str] = []
        right = right.strip()
        while right.startswith(r"\sum_"):
            inner, place = braced(right, right.index("{"))
            if ":" in inner:
                names, _, condition = inner.partition(r"\,:\,")
                free += [name.strip() for name in names.strip().split(r",\,")]
                expression, _, target = condition.rpartition("=")
                self.constraints.append((python_of(expression).strip(), target.strip()))
            else:
                name, _, low = inner.partition("=")
                assert low == "0", inner
                high, place = braced(right, right.index("^", place) + 1)
                self.loops.append((name.strip(), evaluated(high) + 1))
            right = right[place:].strip()
        self.factors = [subscripted(part) for part in split(right, r"\, ")]
        self.outside: dict[str, list[tuple[int, int]]] = {}
        self.rules: dict[str, Any] = {}
        ranges: dict[str, int] = {}
        for part in rest:
            zero = re.match(r"(\w)_\{(.*?)\} = 0 \\text\{ outside \} (.*)", part)
            rule = re.match(r"\\operatorname\{(\w+)\}\(u\) = (.*)", part)
            if zero:
                letters = zero[2].split(r",\,")
                bounds = {name: int(high) for name, high in RANGE.findall(zero[3])}
                self.outside[zero[1]] = [
                    (letters.index(name), high) for name, high in bounds.items()
                ]
            elif rule:
                self.rules[rule[1]] = folding(rule[2])
            else:
                found = RANGE.findall(part)
                assert found, part
                ranges |= {name: int(high) for name, high in found}
        self.loops += [(name, ranges[name]) for name in free]
        self.axis = 0

    def at(self, target: tuple[int, ...], arrays: dict[str, np.ndarray]) -> Any:
        """The value of the sum for one index on the left."""
        env = dict(self._solved(target))
        total: Any = 0
        names = [name for name, _ in self.loops]
        conditions = [(compile(e, "", "eval"), t) for e, t in self.constraints]
        factors = [(n, [compile(e, "", "eval") for e in index]) for n, index in self.factors]
        for values in product(*(range(high) for _, high in self.loops)):
            env.update(zip(names, values, strict=True))
            if any(self._index(e, env, k) != env[t] for k, (e, t) in enumerate(conditions)):
                continue
            term: Any = 1
            for name, codes in factors:
                lead = arrays[name].ndim - self._axes
                index = [self._index(code, env, k - lead) for k, code in enumerate(codes)]
                term = term * self._read(name, index, arrays[name])
                if term == 0:
                    break
            total += term
        return total

    @property
    def _axes(self) -> int:
        return sum(1 for _ in self.spatial)

    @property
    def spatial(self) -> list[str]:
        """The indices on the left that are no channels."""
        return [part for part in self.target if part in set("ijhluvqrabef")]

    def _index(self, code: Any, env: dict[str, int], axis: int) -> int:
        rules = {name: (lambda u, rule=rule: rule(u, axis)) for name, rule in self.rules.items()}
        return int(eval(code, {"__builtins__": {}, **rules, **env}))

    def _solved(self, target: tuple[int, ...]) -> Iterator[tuple[str, int]]:
        """The free symbols on the left: `2*g+o` is g = index // 2, o = index % 2."""
        for expression, number in zip(self.target, target, strict=True):
            grouped = re.fullmatch(r"(\d+)\*g\+(\w)", expression)
            if grouped:
                yield "g", number // int(grouped[1])
                yield grouped[2], number % int(grouped[1])
            elif expression.isdigit():
                assert int(expression) == number, (expression, number)
            else:
                yield expression, number

    def _read(self, name: str, index: list[int], array: np.ndarray) -> Any:
        for position, high in self.outside.get(name, []):
            if not 0 <= index[position] < high:
                return 0
        assert all(0 <= i < n for i, n in zip(index, array.shape, strict=True)), (
            f"{name}{index} is outside of {array.shape}, and the formula does not say so"
        )
        return array[tuple(index)]

    def over(self, shape: tuple[int, ...], **arrays: np.ndarray) -> np.ndarray:
        """The whole left side."""
        found = np.zeros(shape, dtype=object)
        for target in np.ndindex(*shape):
            found[target] = self.at(target, arrays)
        return found


@cache
def folding(rule: str) -> Any:
    """A printed boundary rule as a function of an index and of the axis that it is on."""
    sizes = None
    if r"\text{ with } n" in rule:
        rule, _, listed = rule.partition(r" \text{ with } n = ")
        sizes = [int(part) for part in listed.partition(r" \text")[0].split(r",\,")]
    main, _, helper = rule.partition(r",\ v = ")

    @cache
    def fold(u: int, axis: int) -> int:
        names = {"u": u, **({} if sizes is None else {"n": sizes[axis]})}
        if helper:
            names["v"] = evaluated(helper, names)
        return int(evaluated(main, names))

    return fold


# LaTeX: index identities and arrays.


def identity_fails(latex: str, matrix: Op, sizes: dict[str, int]) -> str | None:
    """The first index at which `A_{..} = A_{..},\\quad ranges` does not hold, in words."""
    main, _, ranges = latex.partition(r",\quad ")
    left, right = (_entry(side) for side in main.split(" = "))
    limits = {}
    for part in ranges.split(r",\ "):
        low, name, high = re.fullmatch(r"(.*) \\le (\w(?:_\d)?) < (.*)", part).groups()  # type: ignore[union-attr]
        limits[name.replace("_", "")] = (evaluated(low, sizes), evaluated(high, sizes))
    names = [re.match(r"[a-z]\d?", expression)[0] for side in right for expression in side]  # type: ignore[index]
    assert len(set(names)) == len(names)
    shape = (*matrix.out_shape, *matrix.in_shape)
    assert len(names) == len(shape)
    compared = 0
    for index in np.ndindex(*shape):
        env = dict(zip(names, index, strict=True))
        if any(not low <= env[name] < high for name, (low, high) in limits.items()):
            continue
        rows = [
            tuple(tuple(eval(e, {"__builtins__": {}}, env) for e in half) for half in side)
            for side in (left, right)
        ]
        for row, column in rows:
            assert all(0 <= i < n for i, n in zip(row, matrix.out_shape, strict=True)), latex
            assert all(0 <= i < n for i, n in zip(column, matrix.in_shape, strict=True)), latex
        values = [matrix.entries.get(place, 0) for place in rows]
        compared += 1
        if values[0] != values[1]:
            return f"{rows[0]} holds {values[0]} and {rows[1]} holds {values[1]}"
    assert compared, f"{latex} compares nothing at {sizes}"
    return None


def _entry(text: str) -> list[list[str]]:
    """`A_{(o_1+1,\\,o_2),\\,(i_1,\\,i_2)}` as the indices of its row and of its column."""
    inner, _ = braced(text.strip(), 2)
    halves = split(inner)
    return [[part.replace("_", "") for part in half.strip("()").split(r",\,")] for half in halves]


def array_of(latex: str) -> tuple[list[list[list[Fraction]]], bool]:
    """The matrices of a printed array, plane by plane, and whether all of it is printed."""
    planes = []
    for body in re.findall(r"\\begin\{bmatrix\}(.*?)\\end\{bmatrix\}", latex):
        rows = []
        for line in body.split(r" \\ "):
            cells = [cell.strip() for cell in line.split(" & ")]
            if cells[0] == r"\vdots":
                continue
            rows.append([_cell(cell) for cell in cells if cell != r"\cdots"])
        planes.append(rows)
    if not planes:
        planes = [[[_cell(latex.partition(" = ")[2])]]]
    whole = not any(mark in latex for mark in (r"\cdots", r"\vdots", r"\ldots"))
    return planes, whole


def _cell(text: str) -> Fraction:
    found = re.fullmatch(r"(-?)\\tfrac\{(\d+)\}\{(\d+)\}", text)
    if found:
        return Fraction(int(found[1] + found[2]), int(found[3]))
    return Fraction(text)


def shows(latex: str, values: np.ndarray) -> bool:
    """Whether a printed array is, as far as it is printed, this one."""
    planes, whole = array_of(latex)
    array = np.asarray(values, dtype=object)
    full = array.reshape(-1, *array.shape[-2:]) if array.ndim > 2 else np.atleast_2d(array)[None]
    if whole and (len(planes) != len(full) or np.shape(planes[0]) != full[0].shape):
        return False
    return all(
        Fraction(full[p][r][c]) == cell
        for p, plane in enumerate(planes)
        for r, row in enumerate(plane)
        for c, cell in enumerate(row)
    )
