"""The steps of a derivation with their checks, and how they are written.

The steps are made from the given operator: its stride, dilation, padding, boundary and channels
appear in the formulas, as numbers or symbols. The formula of a step and its check are made from
the same statement.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from convalg.errors import UndecidableError
from convalg.prove.decisions.nonlinear import Formulas
from convalg.prove.derivations.statements import Setting, Statement
from convalg.prove.verdict import Verdict, escaped

if TYPE_CHECKING:
    from convalg.prove.certificates import Evidence

WIDEST = 51
"""The number of characters of a formula that fit on a line of a page; about 12 cm at 10 pt."""
LONGEST_REASON = 72


def _no_formulas() -> Formulas:
    raise UndecidableError("this step is not a formula of integers, and has no certificate")


@dataclass(frozen=True, eq=False)
class Step:
    """One step of a derivation: a formula with a reason and a check.

    Attributes:
        formula: the formula as LaTeX.
        reason: why the formula follows, as text.
        check: a function without arguments that returns the verdict on the formula.
        pieces: the parts of the formula that may be written on separate lines.
        scope: the sizes that the step is about, as text.
        formulas: a function that returns the formulas of the step.
        evidence: the claim that a certificate of the step names.

    >>> import convalg as ca
    >>> step = ca.derive.linearity(ca.correlation(4, ca.kernel(2))).steps[-1]
    >>> step.reason, step.verdict.status
    ('each sum is the layer applied to one of the inputs', 'proved')
    """

    formula: str
    reason: str
    check: Callable[[], Verdict]
    pieces: tuple[str, ...] = ()
    scope: str = field(default="", repr=False)
    formulas: Callable[[], Formulas] = field(default=_no_formulas, repr=False)
    evidence: tuple[Evidence, ...] = field(default=(), repr=False)

    @property
    def verdict(self) -> Verdict:
        """The verdict of the check, which is run at each access."""
        return replace(self.check(), evidence=self.evidence)


def step(statement: Statement, reason: str, setting: Setting) -> Step:
    """Return a step with the formula and the check of a statement."""
    pieces = tuple(statement.pieces())

    def formulas() -> Formulas:
        return setting.claims(statement.failures).formulas

    return Step(
        ",\\quad ".join(pieces),
        reason,
        partial(statement.decide, setting),
        pieces,
        setting.scope,
        formulas,
    )


@dataclass(frozen=True, eq=False)
class Derivation:
    """Steps from a definition to a result.

    A sum runs over all integers that satisfy its conditions; an entry outside an array is zero;
    the free indices of an equation are those of the array on its left-hand side.

    Attributes:
        title: the result that is derived, as text.
        steps: the steps in order, each a `Step`.

    >>> import convalg as ca
    >>> derivation = ca.derive.adjoint(ca.correlation(5, ca.kernel(3), stride=2))
    >>> len(derivation.steps), bool(derivation.verify())
    (10, True)
    """

    title: str
    steps: tuple[Step, ...]

    def verify(self) -> Verdict:
        """Prove every step; return the first verdict that is not "proved", or one for all steps."""
        verdicts = [step.verdict for step in self.steps]
        for verdict in verdicts:
            if not verdict:
                return verdict
        scopes = list(dict.fromkeys(verdict.scope for verdict in verdicts))
        methods = list(dict.fromkeys(verdict.method for verdict in verdicts))
        evidence = tuple(claim for verdict in verdicts for claim in verdict.evidence)
        certified = evidence if len(evidence) == len(verdicts) else ()
        return Verdict(
            "proved", self.title, "; ".join(scopes), "; ".join(methods), evidence=certified
        )

    def latex(self) -> str:
        """Return a LaTeX `align*` environment: reasons and formulas, broken to fit a page."""
        lines = []
        for number, each in enumerate(self.steps, 1):
            reason = textwrap.wrap(f"{number}. {each.reason}", LONGEST_REASON)
            lines += [f"& \\text{{{escaped(line)}}}" for line in reason]
            lines += [f"&\\quad {line}" for line in broken(each.pieces or (each.formula,))]
        body = " \\\\\n".join(lines)
        # A derivation may be longer than a page.
        return (
            f"% {self.title}\n{{\\allowdisplaybreaks\n\\begin{{align*}}\n{body}\n\\end{{align*}}}}"
        )

    def text(self) -> str:
        """Return the derivation as plain text: each reason with its verdict and its formula."""
        lines = [self.title]
        for number, each in enumerate(self.steps, 1):
            verdict = each.verdict
            scope = verdict.scope if verdict else repr(verdict)
            lines.append(f"{number}. {each.reason} [{verdict.status}: {scope}]")
            lines += [f"   {plain_text(piece)}" for piece in each.pieces or (each.formula,)]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<derivation: {self.title}, {len(self.steps)} steps>"

    def _repr_latex_(self) -> str:
        rows = " \\\\ ".join(
            f"\\text{{{escaped(each.reason)}}} \\\\ \\quad "
            + " \\\\ \\quad ".join(broken(each.pieces or (each.formula,)))
            for each in self.steps
        )
        return f"$\\displaystyle \\begin{{array}}{{l}} {rows} \\end{{array}}$"


def broken(pieces: tuple[str, ...]) -> list[str]:
    """Return the lines of a formula: pieces joined while they fit, long ones broken at = and +."""
    lines: list[str] = []
    for number, piece in enumerate(pieces):
        tail = "," if number + 1 < len(pieces) else ""
        if lines and width(lines[-1]) + width(piece) + 3 <= WIDEST:
            lines[-1] += f"\\quad {piece}{tail}"
            continue
        lines += _folded(piece + tail)
    return lines


def _folded(formula: str) -> list[str]:
    """Break a formula that is too wide: before =, then before + and -, then before a factor.

    Breaks are outside all brackets, subscripts and fractions. The conditions under a sum are put
    on separate lines first.
    """
    lines = [formula if width(formula) <= WIDEST else _stacked(formula)]
    for marks in ((" = ", " \\iff ", " \\to "), (" + ", " - "), ("\\, ", " \\sum")):
        lines = [part for line in lines for part in _split(line, marks)]
    first, *rest = map(_narrowed, lines)
    return [first, *(f"\\qquad {{}}{line}" for line in rest)]


def _stacked(formula: str) -> str:
    """Put the conditions of a sum on separate lines where they are wider than the sum."""
    parts = formula.split("\\sum_{")
    for number, part in enumerate(parts[1:], 1):
        depth = 1
        end = next(k for k, mark in enumerate(part) if not (depth := depth + _DEPTH.get(mark, 0)))
        under, rest = part[:end], part[end:]
        if ":\\, " in under and width(f"_{{{under}}}") > NARROWEST:
            under = under.replace(":\\, ", ": \\\\ ").replace(",\\, ", ", \\\\ ")
            parts[number] = f"\\substack{{{under}}}{rest}"
    return "\\sum_{".join(parts)


def _narrowed(line: str) -> str:
    """Write the widest subscripts and superscripts of a line that is too wide one below another."""
    while width(line) > WIDEST:
        scripts = {line[start:end]: _columns(line[start:end]) for start, end in _scripts(line)}
        wide = {script: narrow for script, narrow in scripts.items() if narrow != script}
        if not wide:
            break
        widest = max(wide, key=lambda script: width(f"_{{{script}}}"))
        line = line.replace(f"{{{widest}}}", f"{{{wide[widest]}}}")
    return line


def _scripts(line: str) -> Iterator[tuple[int, int]]:
    """Yield the ends of the text of each subscript and superscript in braces."""
    for match in re.finditer(r"[_^]\{", line):
        depth, end = 1, match.end()
        while depth:
            depth += _DEPTH.get(line[end], 0)
            end += 1
        yield match.end(), end - 1


def _columns(script: str) -> str:
    """Return a list of indices or a product of sizes as a column."""
    if script.startswith("\\substack"):
        return script
    depth, column, position = 0, "", 0
    while position < len(script):
        depth += script.startswith(_OPEN, position) - script.startswith(_CLOSE, position)
        mark = next((m for m in (", ", "\\times ") if script.startswith(m, position)), "")
        if mark and depth == 0:
            column += f"{mark}\\\\ "
            position += len(mark)
            continue
        column += script[position]
        position += 1
    return script if column == script else f"\\substack{{{column}}}"


_DEPTH = {"{": 1, "}": -1}
NARROWEST = 12
"""Conditions under a sum that are at most this wide stay on one line."""

_OPEN = ("{", "(", "[", "\\langle", "\\lfloor", "\\lceil")
_CLOSE = ("}", ")", "]", "\\rangle", "\\rfloor", "\\rceil")


def _split(line: str, marks: tuple[str, ...]) -> list[str]:
    if width(line) <= WIDEST:
        return [line]
    depth, positions = 0, []
    for position in range(1, len(line)):
        depth += line.startswith(_OPEN, position - 1) - line.startswith(_CLOSE, position - 1)
        if depth == 0 and line.startswith(marks, position):
            positions.append(position)
    parts, start = [], 0
    for position, end in pairwise([*positions, len(line)]):
        # Put as much on a line as fits, and no sign alone.
        if width(line[start:end]) > WIDEST and line[start:position].strip(" =+-"):
            parts.append(line[start:position].strip())
            start = position
    return [*parts, line[start:].strip()]


def width(formula: str) -> float:
    """Return the approximate width of a formula in characters; subscripts are narrower.

    >>> width("x_{i}") < width("x + y")
    True
    """
    shown = re.sub(r"\\substack\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}", _widest, formula)
    shown = re.sub(r"\\(?:text|operatorname|mathbf|mathsf|mathcal|hat)\{([^{}]*)\}", r"\1", shown)
    shown = re.sub(r"\\(?:left|right|colon|,|;)", "", shown)
    shown = re.sub(r"\\[lg]e(?![a-z])", "<", shown.replace("\\iff", "mmm"))
    shown = re.sub(r"\\q?quad", "   ", shown)
    shown = re.sub(r"\\frac\{((?:[^{}]|\{[^{}]*\})*)\}\{[^{}]*\}", r"\1", shown)
    small = 0.0
    for part in re.findall(r"[_^]\{((?:[^{}]|\{[^{}]*\})*)\}", shown):
        small += 0.9 * len(re.sub(r"[{}\\\s_^]", "", re.sub(r"\\[a-z]+", "x", part)))
    shown = re.sub(r"[_^]\{((?:[^{}]|\{[^{}]*\})*)\}", "", shown)
    shown = re.sub(r"\\[A-Za-z]+", "m", shown)
    signs = sum(shown.count(mark) for mark in "=+-<>:")
    return len(re.sub(r"[\s{}\\]", "", shown)) + small + 0.8 * signs + shown.count("   ") * 2


def _widest(match: re.Match[str]) -> str:
    return max(match[1].split("\\\\"), key=width)


_MARKS = {
    r"\left\lfloor": "floor(",
    r"\right\rfloor": ")",
    r"\left\lceil": "ceil(",
    r"\right\rceil": ")",
    r"{A'}^{\mathsf T}": "A'^T",
    r"^{\mathsf T}": "^T",
    r"\langle ": "<",
    r" \rangle": ">",
    r"\cdot": "*",
    r"\partial": "d",
    r"\mapsto": "->",
    r"\subseteq": "within",
    r"\epsilon": "epsilon",
    r"\gamma": "gamma",
    r"\sigma": "sigma",
    r"\mu": "mu",
    r"\alpha": "a",
    r"\beta": "b",
    r"\rho": "border",
    r"\bmod": "mod",
    r"\colon": ":",
    r"\times": "x",
    r"\iff": "if and only if",
    r"\in": "in",
    r"\to": "->",
    r"\min": "min",
    r"\max": "max",
    r"\le": "<=",
    r"\ge": ">=",
    r"\quad": "  ",
    r"\,": " ",
    r"\ ": " ",
}


def plain_text(formula: str) -> str:
    """Return a formula of a derivation as plain text for a terminal.

    >>> plain_text(r"(A x)_{o} = \\sum_{t} w_{t}\\, x_{2 o + t - p}")
    '(A x)[o] = sum(t) w[t] x[2 o + t - p]'
    """
    shown = re.sub(r"_\{(\d+)\}", r"\1", formula)  # o_{1} is o1
    shown = re.sub(r"\\(?:text|operatorname|mathcal|hat)\{([^{}]*)\}", r"\1", shown)
    shown = shown.replace("\\{", "<<").replace("\\}", ">>")
    for mark, word in _MARKS.items():
        end = r"(?![A-Za-z])" if mark[-1].isalpha() else ""
        shown = re.sub(re.escape(mark) + end, word, shown)
    before = ""
    while shown != before:
        before = shown
        shown = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", _divided, shown)
        shown = re.sub(r"\\mathbf\{R\}\^\{([^{}]*)\}", r"R^(\1)", shown)
        shown = re.sub(r"(?<!mathbf\{R\})\^\{(\(?\d+\)?)\}", r"^\1", shown)  # s^{2} is s^2
        shown = re.sub(r"(\\sum|\bmin|\bmax)_\{([^{}]*)\}", r"\1(\2)", shown)
        shown = re.sub(r"_\{([^{}]*)\}", r"[\1]", shown)
    shown = shown.replace("\\sum", "sum").replace("<<", "{").replace(">>", "}")
    return re.sub(r"(?<=\() | (?=\))", "", " ".join(shown.split()))


def _divided(match: re.Match[str]) -> str:
    """Return a fraction on one line; a side with several terms is in parentheses."""
    above, below = (part.strip() for part in match.groups())
    above, below = (f"({p})" if re.search(r"[ +]", p) else p for p in (above, below))
    if above == "d":
        return f"d/{below.removeprefix('(').removesuffix(')').replace('d ', 'd')}"
    return f"{above}/{below}"
