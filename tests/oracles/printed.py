"""A reader of the formulas that derivations print: LaTeX in, numbers out. Independent of convalg.

It parses the sums, index identities, operators, sizes and sets of the printed text alone. A name
means what the derivation's own lines say (operators, shapes, boundary rules), or what the caller
gives: the numbers of the kernel, and the values of symbolic sizes. An entry outside an array is
zero; a sum runs over all integers at which its conditions hold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from parsed import MisreadError, Parser

# Evaluating: a tree becomes a Python expression, in which sums are loops.


@dataclass
class Operator:
    """An operator as a matrix, made from its printed sum."""

    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    row: list[Any]
    argument: str
    body: Any


@dataclass
class Reading:
    """What names mean: sizes, arrays, operators, boundary rules."""

    numbers: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    operators: dict[str, Operator] = field(default_factory=dict)
    rules: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    matrices: dict[str, np.ndarray] = field(default_factory=dict)
    slopes: dict[str, Slopes] = field(default_factory=dict)
    of_units: bool = False
    """Whether one array is all its unit arrays at once, on a last axis."""

    def function(self, tree: Any, free: list[str]) -> Callable[..., Any]:
        """An expression as a function of its free variables."""
        code = Code(self)
        own = {name: code.fresh() for name in free}
        source = code.emit(tree, own)
        words = f"lambda {', '.join(own.values())}: {source}"
        return eval(words, {**code.known, "entry": entry, "Fraction": Fraction, "math": math})

    def value(self, tree: Any, at: dict[str, Any] | None = None) -> Any:
        """The value of an expression at indices."""
        at = at or {}
        return self.function(tree, list(at))(*at.values())

    def array(self, tree: Any) -> np.ndarray:
        """The value of a vector."""
        if tree[0] == "array":
            return self.arrays[tree[1]]
        total: Any = 0
        for scalars, operators, inner in tree[1]:
            value = self.array(inner)
            for name, turned in reversed(operators):
                operator, matrix = self.operators[name], self.matrix(name)
                shape = operator.in_shape if turned else operator.out_shape
                matrix = matrix.swapaxes(0, 1) if turned else matrix
                assert value.size == matrix.shape[1], (name, value.shape, matrix.shape)
                value = np.tensordot(matrix, value.ravel(), axes=(1, 0))
                value = value.reshape(*shape, *value.shape[1:])
            for scalar in scalars:
                value = value * self.numbers[scalar]
            total = total + value
        return total

    def matrix(self, name: str) -> np.ndarray:
        """The matrix of a printed sum: its value with unit vectors as the entries of the input."""
        if name not in self.matrices:
            operator = self.operators[name]
            count = math.prod(operator.in_shape)
            units = np.eye(count, dtype=np.int64).reshape(*operator.in_shape, count)
            units = units[..., None] if self.of_units else units
            here = Reading(self.numbers, {**self.arrays, operator.argument: units})
            here.rules = self.rules
            widths = [count, *(a.shape[-1] for a in self.arrays.values() if self.of_units)][:2]
            letters = [letter_of(part) for part in operator.row]
            value = here.function(operator.body, letters)
            rows = [
                value(*place) + np.zeros(widths, dtype=np.int64)
                for place in product(*map(range, operator.out_shape))
            ]
            self.matrices[name] = np.array(rows, dtype=np.int64)
        return self.matrices[name]

    def product(self, factors: list[tuple[str, bool]]) -> np.ndarray:
        """The matrix of a product of operators."""
        found: Any = None
        for name, turned in factors:
            matrix = self.matrix(name).T if turned else self.matrix(name)
            if found is not None:
                assert found.shape[1] == matrix.shape[0], factors
            found = matrix if found is None else found @ matrix
        return found

    def slope(self, name: str, place: tuple[Any, ...], of: Any) -> Any:
        """The derivative of an expression that is linear in an array: its values at unit arrays."""
        tree, free, at = of
        if name not in self.slopes:
            self.slopes[name] = Slopes(self, name)
        return self.slopes[name].at(tree, free, at, place)


class Slopes:
    """The derivatives of expressions by all entries of one array."""

    def __init__(self, reading: Reading, name: str) -> None:
        self.shape = reading.arrays[name].shape
        count = math.prod(self.shape)
        units = np.eye(count, dtype=np.int64).reshape(*self.shape, count)
        # That array first: its last axis is what the matrices get as theirs.
        arrays = {name: units, **{n: a for n, a in reading.arrays.items() if n != name}}
        self.reading = Reading(reading.numbers, arrays, reading.operators, reading.rules)
        self.reading.of_units = True
        self.functions: dict[int, Callable[..., Any]] = {}
        self.values: dict[Any, Any] = {}

    def at(self, tree: Any, free: list[str], at: tuple[Any, ...], place: tuple[Any, ...]) -> Any:
        """The derivative by one entry, at values of the free variables."""
        if any(not 0 <= k < n for k, n in zip(place, self.shape, strict=True)):
            return 0
        if id(tree) not in self.functions:
            self.functions[id(tree)] = self.reading.function(tree, free)
        if (id(tree), at) not in self.values:
            self.values[id(tree), at] = self.functions[id(tree)](*at)
        found = self.values[id(tree), at]
        return (
            found if isinstance(found, int) else int(found[np.ravel_multi_index(place, self.shape)])
        )


class Code:
    """Writes a tree as a Python expression."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.known: dict[str, Any] = {}
        self.count = 0

    def fresh(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def hold(self, value: Any) -> str:
        """A name for an object in the expression."""
        name = f"c{len(self.known)}"
        self.known[name] = value
        return name

    def emit(self, tree: Any, names: dict[str, str]) -> str:
        each = lambda parts: [self.emit(part, names) for part in parts]  # noqa: E731
        match tree:
            case ("sum", terms):
                words = (f"{'+' if s > 0 else '-'} ({self.emit(t, names)})" for s, t in terms)
                return f"({' '.join(words).removeprefix('+ ')})"
            case ("product", factors):
                return f"({' * '.join(each(factors))})"
            case ("number", number):
                return str(number)
            case ("letter", name):
                return names[name] if name in names else f"({self.reading.numbers[name]})"
            case ("subscript", name, index, numbered):
                if numbered is not None and numbered in names:
                    return names[numbered]
                if numbered is not None and name not in self.reading.arrays:
                    return f"({self.reading.numbers[numbered]})"
                held = self.hold(self.reading.arrays[name])
                return f"entry({held}, ({', '.join(each(index))},))"
            case ("entry", vector, index):
                held = self.hold(self.reading.array(vector))
                return f"entry({held}, ({', '.join(each(index))},))"
            case ("floor" | "ceil" as kind, inner):
                return f"math.{kind}({self.emit(inner, names)})"
            case ("ratio", above, below):
                above, below = each([above, below])
                return f"Fraction({above}, {below})"
            case ("mod", inner, period):
                return f"({self.emit(inner, names)} % {self.emit(period, names)})"
            case ("min" | "max" as kind, parts):
                return f"{kind}({', '.join(each(parts))})"
            case ("over", kind, ranges, inner):
                own = {name: self.fresh() for name, _ in ranges}
                loops = " ".join(
                    f"for {own[name]} in range({self.emit(size, names)})" for name, size in ranges
                )
                return f"{kind}({self.emit(inner, {**names, **own})} {loops})"
            case ("rule", name, inner):
                return f"{self.hold(self.reading.rules[name])}({self.emit(inner, names)})"
            case ("inner", left, right):
                first, second = self.reading.array(left), self.reading.array(right)
                if self.reading.of_units:
                    return self.hold(np.tensordot(first, second, axes=first.ndim))
                return f"({(first * second).sum()})"
            case ("total", variables, conditions, body):
                return self.total(variables, conditions, body, names)
            case ("derivative", by, of):
                _, name, index, _ = by
                place = f"({', '.join(each(index))},)"
                held = self.hold(self.reading)
                inner = self.hold((of, list(names)))
                return (
                    f"{held}.slope({name!r}, {place}, (*{inner}, ({', '.join(names.values())},)))"
                )
        raise MisreadError(str(tree))

    def total(self, variables: list[str], conditions: Any, body: Any, names: dict[str, str]) -> str:
        """Loops over the variables, each condition as soon as its variables are known."""
        inner, loops = dict(names), ""
        pending = [condition for condition in conditions if condition[0] != "range"]
        ranges = {each[1]: each[2] for each in conditions if each[0] == "range"}
        for place, name in enumerate(variables):
            inner[name] = self.fresh()
            if name in ranges:
                loops += f" for {inner[name]} in range({self.emit(ranges[name], names)})"
            else:
                loops += f" for {inner[name]} in {self.hold(self.values(name, body))}"
            later = variables[place + 1 :]
            for condition in list(pending):
                if not mentions(condition, later):
                    left, right = (self.emit(side, inner) for side in condition)
                    loops += f" if {left} == {right}"
                    pending.remove(condition)
        return f"sum({self.emit(body, inner)}{loops})"

    def values(self, variable: str, body: Any) -> list[int]:
        """The values of a variable at which an index of it alone is inside of its array.

        At all others the body is zero.
        """
        found = self.inside(variable, body)
        if found is None:
            raise MisreadError(f"{variable} has no range of its own")
        return sorted(found)

    def inside(self, variable: str, tree: Any) -> set[int] | None:
        """The values at which a tree may differ from zero; None: all."""
        match tree:
            case ("product", factors):
                known = [self.inside(variable, factor) for factor in factors]
                limits = [limit for limit in known if limit is not None]
                return set.intersection(*limits) if limits else None
            case ("sum", terms):
                known = [self.inside(variable, term) for _, term in terms]
                limits = [limit for limit in known if limit is not None]
                return set.union(*limits) if len(limits) == len(known) else None
            case ("subscript", name, index, _) if name in self.reading.arrays:
                shape = self.reading.arrays[name].shape
            case ("entry", vector, index):
                shape = self.reading.array(vector).shape
            case _:
                return None
        found = None
        for part, n in zip(index, shape, strict=False):
            if variables_of(part, self.reading.numbers) == {variable}:
                at = self.reading.function(part, [variable])
                own = {k for k in range(-FAR, FAR) if 0 <= at(k) < n}
                found = own if found is None else found & own
        return found


FAR = 60
"""No index of a test is further from zero."""


def variables_of(tree: Any, numbers: dict[str, Any]) -> set[str]:
    """The variables of an index expression."""
    match tree:
        case ("letter", name):
            return set() if name in numbers else {name}
        case ("subscript", _, _, str(numbered)):
            return {numbered}
        case tuple() | list():
            return set().union(*(variables_of(part, numbers) for part in tree)) if tree else set()
    return set()


def letter_of(tree: Any) -> str:
    """The variable that an index is, or nothing."""
    match tree:
        case ("sum", [(1, ("product", [("letter", name)]))]):
            return name
        case ("sum", [(1, ("product", [("subscript", _, _, str(name))]))]):
            return name
    return ""


def mentions(tree: Any, names: list[str]) -> bool:
    """Whether a tree holds one of some variables."""
    match tree:
        case ("subscript", name, index, numbered):
            return numbered in names or (numbered is None and mentions(index, names))
        case ("letter", name):
            return name in names
        case tuple() | list():
            return any(mentions(part, names) for part in tree)
    return False


def entry(array: np.ndarray, place: tuple[Any, ...]) -> Any:
    """An entry, or 0 outside the array."""
    for k, n in zip(place, array.shape, strict=False):
        if not 0 <= k < n:
            return 0
    found = array[place]
    return int(found) if found.ndim == 0 else found


# Reading the lines of a derivation.


class Lines:
    """Checks the printed formulas of a derivation, one after the other, with numbers.

    `numbers`: the values of symbolic sizes. `kernel`: the numbers of w. `wrong` lists what does
    not hold.
    """

    def __init__(self, numbers: dict[str, int], kernel: np.ndarray) -> None:
        given = {"\\alpha": 3, "\\beta": -2, **numbers}
        self.reading = Reading(given)
        self.kernel = kernel
        self.sizes: dict[str, int] = {}
        self.reads: dict[str, Callable[[int], set[int]]] = {}
        self.intervals: list[
            tuple[Callable[[int], tuple[int, int]], Callable[[int], set[int]]]
        ] = []
        self.checked = 0

    def check(self, formula: str) -> None:
        """Read one line; AssertionError where it does not hold."""
        pieces = formula.split(",\\quad ")
        self.reading.slopes.clear()
        spaces: Any = None
        equations = []
        for piece in pieces:
            if re.match(r"^[a-np-qs-z] = ", piece):
                name, value = piece.split(" = ", 1)
                self.reading.numbers[name] = self.reading.value(Parser.of(value).expression())
                continue
            if "\\colon" in piece:
                spaces = self.spaces(piece)
            elif "\\in \\mathbf{R}" in piece:
                self.given(piece)
            elif piece.startswith("\\rho"):
                self.rule(piece)
            else:
                equations.append(piece)
        for piece in equations:
            if spaces:
                self.define(spaces, piece)
            else:
                self.statement(piece, pieces)
            self.checked += 1

    def spaces(self, piece: str) -> Any:
        """A name with the shapes of its input and output."""
        name, shapes = piece.split(" \\colon ")
        source, target = (self.shape(part) for part in shapes.split(" \\to "))
        return Parser.of(name).name(), source, target

    def shape(self, words: str) -> tuple[int, ...]:
        inner = words.removeprefix("\\mathbf{R}^{").removesuffix("}")
        parts = inner.split(" \\times ")
        return tuple(int(self.reading.value(Parser.of(part).expression())) for part in parts)

    def given(self, piece: str) -> None:
        """An array with its shape."""
        name, space = piece.split(" \\in ")
        shape = self.shape(space)
        if name == "w":
            assert shape == self.kernel.shape, f"{piece}: the kernel has shape {self.kernel.shape}"
            self.reading.arrays[name] = self.kernel
        else:
            self.reading.arrays[name] = drawn(name, shape)

    def rule(self, piece: str) -> None:
        """A boundary rule."""
        left, *rest = piece.split(" = ", 1)
        parser = Parser.of(left)
        name = parser.name()
        parser.take("(")
        letter = parser.name()
        body, *more = rest[0].split(",\\ ")
        reading = self.reading
        if not more:
            tree = Parser.of(body).expression()
            self.reading.rules[name] = reading.function(tree, [letter])
            return
        inner, value = more[0].split(" = ")
        outer = reading.function(Parser.of(body).expression(), [inner])
        first = reading.function(Parser.of(value).expression(), [letter])
        self.reading.rules[name] = lambda u: outer(first(u))

    def define(self, spaces: Any, piece: str) -> None:
        """An operator by the sum of each output."""
        name, source, target = spaces
        left, right = (Parser.of(side).expression() for side in piece.split(" = ", 1))
        ((_, (_, [(kind, vector, row)])),) = left[1]
        ((_, operators, (_, argument)),) = vector[1]
        assert (kind, operators) == ("entry", [(name, False)]), piece
        self.reading.operators[name] = Operator(source, target, row, argument, right)
        assert self.reading.matrix(name).shape == (math.prod(target), math.prod(source))

    def statement(self, piece: str, pieces: list[str]) -> None:
        """An equation or another statement."""
        if "\\iff" in piece:
            assert "j \\ge 0" in pieces
            self.equivalent(piece)
        elif piece.endswith("\\ge 0"):
            return
        elif piece.startswith("R_"):
            self.field(piece)
        elif piece.startswith("\\operatorname{hull}"):
            self.hull(piece)
        elif re.match(r"^r (=|\\le) ", piece):
            self.width(piece)
        elif re.match(r"^o = ", piece):
            values = {
                int(self.reading.value(Parser.of(part).expression()))
                for part in piece.split(" = ")[1:]
            }
            assert len(values) == 1, piece
            self.sizes[f"o{len(self.sizes)}"] = values.pop()
        else:
            self.equation(piece)

    def equation(self, piece: str) -> None:
        left, right = piece.split(" = ")[0], piece.split(" = ", 1)[1]
        if "\\sum_" in left:
            # Conditions hold an equals sign too.
            place = split_equation(piece)
            left, right = piece[:place], piece[place + 3 :]
        sides = left, right
        if re.match(r"^[{\\]?(mathcal)?\{?[A-Z]", left) and "_{" not in re.sub(
            r"_\{\d\}", "", piece
        ):
            if re.search(r"(?<![a-z\\{])[a-z]\b", re.sub(r"\\[a-z]+", "", piece)):
                self.vectors(*sides)
            else:
                self.matrices(*sides)
            return
        trees = [Parser.of(side).expression() for side in sides]
        self.shapes_of(trees)
        free = self.free(trees[0])
        functions = [self.reading.function(tree, list(free)) for tree in trees]
        for place in product(*map(range, free.values())):
            values = [function(*place) for function in functions]
            assert values[0] == values[1], (
                f"{piece} at {dict(zip(free, place, strict=True))}: {values}"
            )

    def matrices(self, left: str, right: str) -> None:
        first, second = (self.reading.product(Parser.of(side).product()) for side in (left, right))
        assert np.array_equal(first, second), f"{left} = {right}"

    def vectors(self, left: str, right: str) -> None:
        trees = [Parser.of(side).vector() for side in (left, right)]
        self.shapes_of(trees)
        first, second = map(self.reading.array, trees)
        assert np.array_equal(first, second), f"{left} = {right}"

    def shapes_of(self, trees: Any) -> None:
        """Arrays that operators are applied to, or that they are multiplied with."""
        for operators, inner in applied(trees):
            if operators:
                name, turned = operators[-1]
                operator = self.reading.operators[name]
                shape = operator.out_shape if turned else operator.in_shape
                for array in arrays_in(inner):
                    if array != "w":
                        self.reading.arrays[array] = drawn(array, shape)
        for left, right in inners(trees):
            ((_, operators, inner),) = right[1]
            name, turned = operators[0]
            operator = self.reading.operators[name]
            shape = operator.in_shape if turned else operator.out_shape
            for array in arrays_in(left):
                self.reading.arrays[array] = drawn(array, shape)

    def free(self, tree: Any) -> dict[str, int]:
        """The free indices of the left side, and how many values each has."""
        found: dict[str, int] = {}
        for index, shape in self.indices(tree, set()):
            for part, size in zip(index, shape, strict=True):
                name = letter_of(part)
                if name:
                    found[name] = size
        for name in sorted(letters_in(tree) - set(found)):
            if name in "ju":
                found[name] = 6
        return found

    def indices(self, tree: Any, bound: set[str]) -> Iterator[tuple[Any, tuple[int, ...]]]:
        match tree:
            case ("subscript", name, index, _):
                if name in self.reading.arrays:
                    yield self.unbound(index, bound), self.reading.arrays[name].shape
                return
            case ("entry", vector, index):
                yield self.unbound(index, bound), self.reading.array(vector).shape
                return
            case ("total", names, _, body):
                yield from self.indices(body, bound | set(names))
                return
        if isinstance(tree, (tuple, list)):
            for part in tree:
                yield from self.indices(part, bound)

    def unbound(self, index: list[Any], bound: set[str]) -> list[Any]:
        return [("number", 0) if letter_of(part) in bound else part for part in index]

    def equivalent(self, piece: str) -> None:
        sides = piece.split(" \\iff ")
        tests = []
        for side in sides:
            mark = "\\le" if "\\le " in side else "<"
            parts = [Parser.of(part).expression() for part in side.split(f" {mark} ")]
            low, high = (self.reading.function(part, ["j"]) for part in parts)
            tests.append((mark, low, high))
        for j in range(60):
            truths = {
                low(j) <= high(j) if mark == "\\le" else low(j) < high(j)
                for mark, low, high in tests
            }
            assert len(truths) == 1, f"{piece} at j = {j}"

    def field(self, piece: str) -> None:
        """R_{0}(u) = {...}, or that it is within an interval."""
        if "\\subseteq" in piece:
            name, bounds = piece.split(" \\subseteq ")
            self.interval("within", name, bounds)
            return
        name, body = piece.split(" = ", 1)
        inner = body.removeprefix("\\{ ").removesuffix(" \\}")
        head, conditions = inner.split(" : ", 1)
        member, taps = conditions.split(",\\ ")
        left, source = member.split(" \\in ")
        count = self.reading.value(Parser.of(taps.split(" < ")[1]).expression())
        letter = taps.split(" < ")[0].removeprefix("0 \\le ")
        known = self.reads.get(source, lambda u: {u})
        if left == "j":
            read = self.reading.function(Parser.of(head).expression(), ["j", letter])
            self.reads[name] = lambda u: {read(j, t) for j in known(u) for t in range(count)}
        else:
            assert head == "i"
            at = self.reading.function(Parser.of(left).expression(), ["i", letter])
            self.reads[name] = lambda u: {
                i for i in range(-80, 200) for t in range(count) if at(i, t) in known(u)
            }

    def hull(self, piece: str) -> None:
        name, bounds = piece.removeprefix("\\operatorname{hull} ").split(" = ")
        self.interval("hull", name, bounds)

    def interval(self, kind: str, name: str, bounds: str) -> None:
        parts = bounds.removeprefix("[").removesuffix("]").split(",\\ ")
        ends = [self.reading.function(Parser.of(part).expression(), ["u"]) for part in parts]
        for u in range(9):
            low, high = (end(u) for end in ends)
            read = self.reads[name](u)
            if kind == "within":
                assert all(low <= i <= high for i in read), f"{name} {bounds} at u = {u}: {read}"
            else:
                hull = (min(read), max(read)) if read else None
                assert hull == ((low, high) if low <= high else None), (name, bounds, u, read)
        self.intervals.append((lambda u: (ends[0](u), ends[1](u)), self.reads[name]))

    def width(self, piece: str) -> None:
        size = int(self.reading.value(Parser.of(re.split(r" = | \\le ", piece)[1]).expression()))
        low, high = self.intervals[-1][0](5)
        assert high - low + 1 == size, piece


def split_equation(piece: str) -> int:
    """Where the equals sign outside of all braces is."""
    depth = 0
    for place, mark in enumerate(piece):
        depth += {"{": 1, "}": -1}.get(mark, 0)
        if depth == 0 and piece.startswith(" = ", place):
            return place
    raise MisreadError(piece)


def applied(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Operators and what they are applied to."""
    if isinstance(tree, tuple) and tree and tree[0] == "vectors":
        for _, operators, inner in tree[1]:
            yield operators, inner
    if isinstance(tree, (tuple, list)):
        for part in tree:
            yield from applied(part)


def inners(tree: Any) -> Iterator[tuple[Any, Any]]:
    """The two sides of inner products."""
    if isinstance(tree, tuple) and tree and tree[0] == "inner":
        yield tree[1], tree[2]
    if isinstance(tree, (tuple, list)):
        for part in tree:
            yield from inners(part)


def arrays_in(tree: Any) -> set[str]:
    """The arrays that a vector is made of."""
    if tree[0] == "array":
        return {tree[1]}
    return {name for _, _, inner in tree[1] for name in arrays_in(inner)}


def letters_in(tree: Any) -> set[str]:
    """The single letters of an expression."""
    if isinstance(tree, tuple) and tree and tree[0] == "letter":
        return {tree[1]}
    if isinstance(tree, (tuple, list)):
        return set().union(*map(letters_in, tree)) if tree else set()
    return set()


def drawn(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Small integers for an array, the same for one name and shape."""
    seed = sum(map(ord, name)) * 1000 + sum(7**k * n for k, n in enumerate(shape))
    return np.random.default_rng(seed).integers(-9, 10, shape)
