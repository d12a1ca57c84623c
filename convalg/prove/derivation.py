"""What a derivation is made of: steps with their checks, a layer's notation, its definition.

The steps are made from the operator at hand: its stride, dilation, padding, boundary and
channels stand in the formulas, as numbers or letters, and every step carries the check that
proves it for this operator.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import islpy
import sympy

from convalg.axis import Axis
from convalg.base import Operator
from convalg.errors import KindError, UndecidableError
from convalg.faces.relation import parameters, text, triples
from convalg.operators import Adjoint, Convolution
from convalg.prove.verdict import ISL, Verdict, escaped
from convalg.spec import Geometry


@dataclass(frozen=True, eq=False)
class Step:
    """One line of a derivation: a formula in LaTeX, why it follows, and how that is checked."""

    formula: str
    reason: str
    check: Callable[[], Verdict]

    @property
    def verdict(self) -> Verdict:
        """The check, run now."""
        return self.check()


@dataclass(frozen=True, eq=False)
class Derivation:
    """Steps from a definition to a result.

    >>> import convalg as ca
    >>> found = ca.derive.adjoint(ca.correlation(5, ca.kernel(3), stride=2))
    >>> len(found.steps), bool(found.verify())
    (6, True)
    """

    title: str
    steps: tuple[Step, ...]

    def verify(self) -> Verdict:
        """Every step proved again: the first verdict that is not proved, or one for all."""
        verdicts = [step.verdict for step in self.steps]
        for verdict in verdicts:
            if not verdict:
                return verdict
        scopes = list(dict.fromkeys(verdict.scope for verdict in verdicts))
        methods = list(dict.fromkeys(verdict.method for verdict in verdicts))
        return Verdict("proved", self.title, "; ".join(scopes), "; ".join(methods))

    def latex(self) -> str:
        """An `align*` environment, a line and its reason per step."""
        lines = [f"{step.formula} && \\text{{{escaped(step.reason)}}}" for step in self.steps]
        body = " \\\\\n".join(f"& {line}" for line in lines)
        return f"% {self.title}\n\\begin{{align*}}\n{body}\n\\end{{align*}}"

    def text(self) -> str:
        """The derivation as plain text: reasons with their formulas and verdicts."""
        lines = [self.title]
        for number, step in enumerate(self.steps, 1):
            verdict = step.verdict
            scope = verdict.scope if verdict else repr(verdict)
            lines.append(f"{number}. {step.reason} [{verdict.status}: {scope}]")
            lines.append(f"   {plain(step.formula)}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<derivation: {self.title}, {len(self.steps)} steps>"

    def _repr_latex_(self) -> str:
        rows = " \\\\ ".join(
            f"{step.formula} & \\text{{{escaped(step.reason)}}}" for step in self.steps
        )
        return f"$\\displaystyle \\begin{{array}}{{ll}} {rows} \\end{{array}}$"


_WORDS = {
    r"\left\lfloor": "floor(",
    r"\right\rfloor": ")",
    r"^{\mathsf T}": "^T",
    r"\langle": "<",
    r"\rangle": ">",
    r"\partial": "d",
    r"\nabla": "grad",
    r"\mapsto": "->",
    r"\ldots": "...",
    r"\alpha": "a",
    r"\beta": "b",
    r"\le": "<=",
    r"\quad": "  ",
    r"\,": " ",
    r"\ ": " ",
}


def plain(formula: str) -> str:
    """A formula of these derivations without LaTeX, to read in a terminal.

    >>> plain(r"y_{o} = \\sum_{t} w_{t}\\, x_{2 o + t - p}")
    'y[o] = sum(t) w[t] x[2 o + t - p]'
    """
    found = formula
    for mark, word in _WORDS.items():
        found = found.replace(mark, word)
    found = re.sub(r"\\(?:text|operatorname)\{([^{}]*)\}", r"\1", found)
    found = re.sub(r"_\{(\d+)\}", r"\1", found)
    found = re.sub(r"\\sum_\{((?:[^{}]|\{[^{}]*\})*)\}", r"sum(\1)", found)
    found = re.sub(r"_\{([^{}]*)\}", r"[\1]", found)
    found = re.sub(r"\\frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)", found)
    return " ".join(found.split())


class Notation:
    """The letters and index expressions of one layer, as LaTeX."""

    def __init__(self, geometry: Geometry) -> None:
        self.axes = geometry.axes
        self.geometry = geometry
        many = len(self.axes) > 1
        self.subscripts = [f"_{{{k + 1}}}" if many else "" for k in range(len(self.axes))]

    def index(self, letter: str) -> str:
        """o, or o_1, o_2."""
        return ", ".join(f"{letter}{sub}" for sub in self.subscripts)

    def raw(self, spread: Sequence[Any] | None = None, sign: int = 1) -> str:
        """s o + d t - p for each axis."""
        return ", ".join(
            affine([(axis.stride, f"o{sub}"), (sign * axis.dilation, f"t{sub}")], -axis.padding)
            for axis, sub in zip(self.axes, self.subscripts, strict=True)
        )

    def each(self, write: Callable[[Axis, str], str], joint: str = ", ") -> str:
        """A phrase for each axis."""
        pairs = zip(self.axes, self.subscripts, strict=True)
        return joint.join(write(axis, sub) for axis, sub in pairs)

    def channel(self, *names: str) -> str:
        """Channel subscripts, where the layer has channels."""
        return ", ".join(names) + ", " if self.geometry.has_channels else ""

    def summed(self, letter: str) -> str:
        """What a sum runs over: the taps or outputs, and channels."""
        channel = {"t": "c, ", "o": "k, "}[letter] if self.geometry.has_channels else ""
        return f"\\sum_{{{channel}{self.index(letter)}}}"


def affine(terms: list[tuple[Any, str]], constant: Any) -> str:
    """A sum of multiples of names and a constant, as one writes it."""
    total = ""
    for factor, name in terms:
        total += _signed(factor, name, first=not total)
    parts = [part for part in sympy.Add.make_args(sympy.sympify(constant)) if part != 0]
    # Positive letters first, numbers last: i + t + p - K + 1.
    for part in sorted(parts, key=lambda v: (v.is_number, v.could_extract_minus_sign(), str(v))):
        total += _signed(part, "", first=not total)
    return total or "0"


def _signed(factor: Any, name: str, *, first: bool) -> str:
    expression = sympy.sympify(factor)
    negative = bool(expression.could_extract_minus_sign())
    size = sympy.expand(-expression if negative else expression)
    words = sympy.latex(size)
    if name:
        multiple = f"({words}) {name}" if size.is_Add else f"{words} {name}"
        words = name if size == 1 else multiple
    if negative:
        return f"-{words}" if first else f" - {words}"
    return words if first else f" + {words}"


def one_layer(operator: Any, name: str) -> Convolution:
    """The layer itself, or the one behind an adjoint.

    Raises: KindError for anything else.
    """
    if isinstance(operator, Adjoint) and isinstance(operator.operator, Convolution):
        operator = operator.operator
    if isinstance(operator, Convolution):
        for axis in operator.geometry.axes:
            if not (isinstance(axis.stride, int) and isinstance(axis.dilation, int)):
                raise UndecidableError(
                    f"{name} is derived for numbers as stride and dilation, not for "
                    f"{axis.stride} and {axis.dilation}: take the operator at some, with .at(...)"
                )
    if not isinstance(operator, Convolution):
        raise KindError(
            f"{name} is derived for one correlation or convolution, not {operator!r}: "
            f"simplify() it, or take its factors"
        )
    return operator


def definition(layer: Convolution) -> Step:
    """The step that every derivation starts from: the sum over taps."""
    notation = Notation(layer.geometry)
    weight = f"w_{{{notation.channel('k', 'c')}{notation.index('t')}}}"
    formula = (
        f"y_{{{notation.channel('k')}{notation.index('o')}}} = {notation.summed('t')} {weight}\\, "
        f"x_{{{notation.channel('c')}{notation.raw()}}}"
    )
    edge = layer.geometry.axes[0].boundary
    words = "taps outside the input are dropped" if edge == "zeros" else f"{edge} boundary"
    kind = (
        "convolution: the kernel is walked backwards"
        if any(axis.is_backwards for axis in layer.geometry.axes)
        else "correlation"
    )
    return Step(formula, f"definition of the {kind}; {words}", lambda: defined(layer))


def defined(layer: Convolution) -> Verdict:
    """The pattern against the sum, written out for isl once more from the plain words."""
    geometry = layer.geometry
    lead = 1 if geometry.has_channels else 0
    conditions = []
    if lead:
        groups, outputs, inputs = geometry.channels
        first = "0" if groups == 1 else f"{text(inputs)}*floor(o0/{text(outputs)})"
        conditions += [
            f"0 <= o0 < {text(geometry.out_shape[0])} and 0 <= l1 < {text(inputs)}",
            f"l0 = o0 and i0 = l1 + {first}",
        ]
    for k, axis in enumerate(geometry.axes):
        o, i, t = f"o{k + lead}", f"i{k + lead}", f"l{k + 2 * lead}"
        read = f"({axis.stride}*{o} + {axis.dilation}*{t} - {text(axis.padding)})"
        conditions += [
            f"0 <= {o} < {text(axis.out_size)} and 0 <= {t} < {text(axis.taps)}",
            f"0 <= {i} < {text(axis.in_size)} and ({_read_at(axis, i, read)})",
        ]
    shapes = (*geometry.out_shape, *geometry.in_shape, *geometry.kernel_shape)
    letters = parameters(*shapes, *(axis.padding for axis in geometry.axes))
    counts = {"o": geometry.out_shape, "i": geometry.in_shape, "l": geometry.kernel_shape}
    names = [f"{letter}{k}" for letter, shape in counts.items() for k in range(len(shape))]
    said = islpy.Set(f"{letters}{{ [{', '.join(names)}] : {' and '.join(conditions)} }}")
    claim, scope = "the pattern is the sum that defines the layer", scope_of(layer)
    if triples(geometry).is_equal(said):
        return Verdict("proved", claim, scope, ISL)
    return Verdict("unknown", claim, scope, ISL, reason="the border folds more than once")


def _read_at(axis: Axis, i: str, read: str) -> str:
    """Which input stands at a place beyond the border, for one fold."""
    n = text(axis.in_size)
    match axis.boundary:
        case "circular":
            return f"{i} = {read} or {i} = {read} + {n} or {i} = {read} - {n}"
        case "reflect":
            return f"{i} = {read} or {i} = -{read} or {i} = 2*{n} - 2 - {read}"
        case "symmetric":
            return f"{i} = {read} or {i} = -1 - {read} or {i} = 2*{n} - 1 - {read}"
        case "edge":
            return f"{i} = max(0, min({n} - 1, {read}))"
    return f"{i} = {read}"


def scope_of(*operators: Operator) -> str:
    """The sizes at which some operators exist, in words."""
    from convalg.prove import family

    letters = tuple(dict.fromkeys(letter for o in operators for letter in o.letters))
    return family.scope_of(family.conditions(operators), letters) if letters else "this size"
