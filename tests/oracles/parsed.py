"""A parser of the formulas that derivations print: LaTeX in, trees out. Independent of convalg.

Trees are tuples ("kind", parts...), which `printed` evaluates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

TOKEN = re.compile(
    r"\\(?:operatorname|mathbf|mathsf|mathcal|hat|text)\{[A-Za-z]+\}'?|\\[A-Za-z]+|\\[{}]"
    r"|[0-9]+|[A-Za-z]'?|[^\s]"
)
SKIPPED = {"\\left", "\\right", "\\,", "\\quad", "\\;"}


def tokens(formula: str) -> list[str]:
    """The marks of a formula that mean something."""
    formula = formula.replace("\\,", " ").replace("\\ ", " ").replace("\\;", " ")
    return [mark for mark in TOKEN.findall(formula) if mark not in SKIPPED]


class MisreadError(Exception):
    """A formula that this reader does not know."""


# Trees: ("kind", parts...).


@dataclass
class Parser:
    """Reads one formula by recursive descent."""

    marks: list[str]
    place: int = 0

    @staticmethod
    def of(formula: str) -> Parser:
        return Parser(tokens(formula))

    def peek(self, ahead: int = 0) -> str:
        place = self.place + ahead
        return self.marks[place] if place < len(self.marks) else ""

    def take(self, wanted: str = "") -> str:
        mark = self.peek()
        if not mark or (wanted and mark != wanted):
            raise MisreadError(f"wanted {wanted!r}, got {mark!r} in {' '.join(self.marks)}")
        self.place += 1
        return mark

    def expression(self) -> Any:
        """Terms joined by + and -."""
        sign = -1 if self.peek() == "-" else 1
        if sign < 0:
            self.take()
        terms = [(sign, self.term())]
        while self.peek() in ("+", "-"):
            terms.append((1 if self.take() == "+" else -1, self.term()))
        return ("sum", terms)

    def term(self) -> Any:
        """Factors side by side; a sum takes all the factors after it."""
        factors = []
        while self.starts_factor():
            factors.append(self.factor())
        if not factors:
            raise MisreadError(f"no factor at {self.peek()!r} in {' '.join(self.marks)}")
        if self.peek() == "\\bmod":
            self.take()
            return ("mod", ("product", factors), self.factor())
        return ("product", factors)

    def starts_factor(self) -> bool:
        mark = self.peek()
        if mark == "\\cdot":
            self.take()
            return True
        return bool(
            mark
            and (
                mark[0].isalnum()
                or mark in ("(", "\\sum", "\\lfloor", "\\lceil", "\\frac", "\\min", "\\max")
                or mark in ("\\langle", "\\alpha", "\\beta", "\\rho")
                or mark.startswith(("\\mathcal", "\\hat"))
            )
        )

    def factor(self) -> Any:
        mark = self.peek()
        if mark.isdigit():
            return ("number", int(self.take()))
        match mark:
            case "\\sum":
                return self.sum()
            case "\\lfloor" | "\\lceil":
                kind = self.take()[2:]
                inner = self.expression()
                self.take("\\r" + kind)
                return (kind, inner)
            case "\\frac":
                return self.fraction()
            case "\\min" | "\\max":
                return self.extreme()
            case "\\langle":
                self.take()
                left = self.vector()
                self.take(",")
                right = self.vector()
                self.take("\\rangle")
                return ("inner", left, right)
            case "(":
                return self.parenthesis()
        return self.named()

    def sum(self) -> Any:
        self.take("\\sum")
        self.take("_")
        self.take("{")
        names, conditions = [self.name()], []
        while self.peek() == ",":
            self.take()
            names.append(self.name())
        if self.peek() == ":":
            self.take()
            conditions.append(self.condition())
            while self.peek() == ",":
                self.take()
                conditions.append(self.condition())
        self.take("}")
        return ("total", names, conditions, self.term())

    def condition(self) -> Any:
        """left = right, or 0 <= name < size, as ("range", name, size)."""
        if self.peek() == "0" and self.peek(1) == "\\le":
            return ("range", *self.range())
        return self.equality()

    def equality(self) -> Any:
        left = self.expression()
        self.take("=")
        return left, self.expression()

    def fraction(self) -> Any:
        self.take("\\frac")
        self.take("{")
        if self.peek() == "\\partial":
            self.take()
            self.take("}")
            self.take("{")
            self.take("\\partial")
            by = self.named()
            self.take("}")
            return ("derivative", by, self.factor())
        above = self.expression()
        self.take("}")
        self.take("{")
        below = self.expression()
        self.take("}")
        return ("ratio", above, below)

    def extreme(self) -> Any:
        kind = self.take()[1:]
        if self.peek() == "_":
            self.take()
            self.take("{")
            ranges = [self.range()]
            while self.peek() == ",":
                self.take()
                ranges.append(self.range())
            self.take("}")
            self.take("(")
            inner = self.expression()
            self.take(")")
            return ("over", kind, ranges, inner)
        self.take("(")
        parts = [self.expression()]
        while self.peek() == ",":
            self.take()
            parts.append(self.expression())
        self.take(")")
        return (kind, parts)

    def range(self) -> tuple[str, Any]:
        """0 <= name < size."""
        self.take("0")
        self.take("\\le")
        name = self.name()
        self.take("<")
        return name, self.expression()

    def parenthesis(self) -> Any:
        """A vector with a subscript, or a sum in parentheses."""
        start = self.place
        self.take("(")
        try:
            inner = self.vector()
            self.take(")")
            self.take("_")
        except MisreadError:
            self.place = start + 1
            value = self.expression()
            self.take(")")
            return value
        return ("entry", inner, self.index())

    def index(self) -> list[Any]:
        self.take("{")
        parts = [self.expression()]
        while self.peek() == ",":
            self.take()
            parts.append(self.expression())
        self.take("}")
        return parts

    def name(self) -> str:
        """A letter, with its number where it has one."""
        mark = self.take()
        if not (mark[0].isalpha() or mark.startswith("\\")):
            raise MisreadError(f"{mark!r} is no name")
        first, brace, number, end = (self.peek(ahead) for ahead in range(4))
        if (first, brace, end) == ("_", "{", "}") and number.isdigit():
            self.place += 4
            return f"{mark}_{number}"
        return mark

    def named(self) -> Any:
        """A scalar, an entry of an array, or a boundary rule applied to an index."""
        start = self.place
        mark = self.take()
        if mark == "\\rho" or (self.peek() == "(" and mark.startswith("\\rho")):
            self.place = start
            rule = self.name()
            self.take("(")
            inner = self.expression()
            self.take(")")
            return ("rule", rule, inner)
        if self.peek() == "_":
            digits = self.peek(1) == "{" and self.peek(2).isdigit() and self.peek(3) == "}"
            self.take()
            index = self.index()
            # o_{1} is an index, w_{1} an entry: the caller knows which by its arrays.
            return ("subscript", mark, index, f"{mark}_{index_number(index)}" if digits else None)
        return ("letter", mark)

    def vector(self) -> Any:
        """Operators applied to an array, or to a combination in parentheses; sums of those."""
        terms = [self.applied()]
        while self.peek() == "+":
            self.take()
            terms.append(self.applied())
        return ("vectors", terms)

    def applied(self) -> Any:
        scalars, operators = [], []
        while self.peek() in ("\\alpha", "\\beta"):
            scalars.append(self.take())
        while True:
            if self.peek() == "(":
                self.take()
                inner = self.vector()
                self.take(")")
                return (scalars, operators, inner)
            own = self.operator()
            if own[0][-1] != "T" and own[0][0] == "array":
                return (scalars, operators, own[1])
            operators.append(own[1])

    def operator(self) -> Any:
        """(kind, what): an array by its name, or (operator, whether transposed)."""
        braces = self.peek() == "{"
        if braces:
            self.take()
        name = self.name()
        if braces:
            self.take("}")
        turned = False
        if self.peek() == "^":
            for mark in ("^", "{", "\\mathsf"):
                self.take(mark) if mark != "\\mathsf" else self.take()
            if self.peek() == "T":
                self.take()
            self.take("}")
            turned = True
        bare = re.sub(r"\\(?:hat|mathcal)\{([A-Za-z])\}", r"\1", name)
        if bare[0].isupper():
            return (("operator",), (name, turned))
        return (("array",), ("array", name))

    def product(self) -> list[Any]:
        """Operators side by side."""
        found = []
        while self.peek() and self.peek() not in ("=", ",", ")"):
            found.append(self.operator()[1])
        return found


def index_number(index: list[Any]) -> Any:
    """The number of a subscript that is one."""
    return index[0][1][0][1][1][0][1]
