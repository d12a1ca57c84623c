"""Derivations: step by step from the definition of a layer to a result, each step verified.

The steps are made from the operator at hand: its stride, dilation, padding, boundary and
channels stand in the formulas, as numbers or letters, and every step carries the check that
proves it for this operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import islpy
import numpy as np
import sympy

from convalg.axis import Axis
from convalg.base import Operator
from convalg.errors import KindError
from convalg.faces.relation import parameters, text, to_isl, triples
from convalg.kernels import LetterKernel, kernel
from convalg.linear import pad, upsample
from convalg.operators import Adjoint, Compose, Convolution, compose
from convalg.prove.claims import decide
from convalg.prove.functions import linear
from convalg.prove.verdict import ISL, Verdict
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
        lines = [f"{step.formula} && \\text{{{_escaped(step.reason)}}}" for step in self.steps]
        body = " \\\\\n".join(f"& {line}" for line in lines)
        return f"% {self.title}\n\\begin{{align*}}\n{body}\n\\end{{align*}}"

    def text(self) -> str:
        """The derivation as plain text: reasons with their formulas and verdicts."""
        lines = [self.title]
        for number, step in enumerate(self.steps, 1):
            verdict = step.verdict
            scope = verdict.scope if verdict else repr(verdict)
            lines.append(f"{number}. {step.reason} [{verdict.status}: {scope}]")
            lines.append(f"   {step.formula}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<derivation: {self.title}, {len(self.steps)} steps>"

    def _repr_latex_(self) -> str:
        rows = " \\\\ ".join(
            f"{step.formula} & \\text{{{_escaped(step.reason)}}}" for step in self.steps
        )
        return f"$\\displaystyle \\begin{{array}}{{ll}} {rows} \\end{{array}}$"


def _escaped(words: str) -> str:
    for mark in "\\{}$&#_%^~":
        words = words.replace(mark, {"\\": "/", "^": " ", "~": " "}.get(mark, f"\\{mark}"))
    return words


class _Notation:
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
            _affine([(axis.stride, f"o{sub}"), (sign * axis.dilation, f"t{sub}")], -axis.padding)
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


def _affine(terms: list[tuple[Any, str]], constant: Any) -> str:
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
        if size == 1:
            words = name
        else:
            words = f"({words}) {name}" if size.is_Add else f"{words} {name}"
    if negative:
        return f"-{words}" if first else f" - {words}"
    return words if first else f" + {words}"


def _layer(operator: Any, name: str) -> Convolution:
    if isinstance(operator, Adjoint) and isinstance(operator.operator, Convolution):
        return operator.operator
    if not isinstance(operator, Convolution):
        raise KindError(
            f"{name} is derived for one correlation or convolution, not {operator!r}: "
            f"simplify() it, or take its factors"
        )
    return operator


def _definition(layer: Convolution) -> Step:
    notation = _Notation(layer.geometry)
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
    return Step(formula, f"definition of the {kind}; {words}", lambda: _defined(layer))


def _defined(layer: Convolution) -> Verdict:
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
    claim, scope = "the pattern is the sum that defines the layer", _scope(layer)
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


def _scope(*operators: Operator) -> str:
    from convalg.prove import family

    letters = tuple(dict.fromkeys(letter for o in operators for letter in o.letters))
    return family.scope_of(family.conditions(operators), letters) if letters else "this size"


def adjoint(operator: Operator) -> Derivation:
    """Why the adjoint is a correlation with the flipped kernel: back-propagation to the input.

    Shapes: any layer with numbers or letters; strides and dilations as numbers.
    Raises: KindError unless the operator is one correlation or convolution.

    >>> import convalg as ca
    >>> n, K = ca.sizes("n K")
    >>> adjoint(ca.correlation(n, ca.kernel(K))).steps[-1].formula
    'A_w^{\\\\mathsf T} = A_{\\\\operatorname{flip} w}\\\\, P_{K - 1}'
    """
    layer = _layer(operator, "the adjoint")
    axes = layer.geometry.axes
    inside, border = _without_border(layer)
    notation = _Notation(inside.geometry)
    weight = f"w_{{{notation.channel('k', 'c')}{notation.index('t')}}}"
    pairing = (
        f"\\langle g, A x \\rangle = \\sum_{{{notation.channel('k')}{notation.index('o')}}} "
        f"g_{{{notation.channel('k')}{notation.index('o')}}} {notation.summed('t')} {weight}\\, "
        f"x_{{{notation.channel('c')}{notation.raw()}}}"
    )
    steps = [_definition(layer)]
    if border is not None:
        steps.append(
            Step(
                "A = A_0\\, P",
                f"the border ({axes[0].boundary}) is an operator P in front of a valid layer A_0",
                lambda: _same("A = A_0 P", layer, inside @ border),
            )
        )
    steps.append(Step(pairing, "pair the output with a gradient g", lambda: _defined(inside)))
    steps.append(_solved(inside, notation, weight))
    steps += _as_correlation(inside, notation)
    if border is not None:
        steps.append(
            Step(
                "A^{\\mathsf T} = P^{\\mathsf T} A_0^{\\mathsf T}",
                "what the border repeated is added up where it came from",
                lambda: _same("A^T = P^T A_0^T", layer.T, compose(border.T, inside.T)),
            )
        )
    return Derivation(f"The adjoint of {layer!r}", tuple(steps))


def _same(claim: str, first: Operator, second: Operator) -> Verdict:
    return decide(first, second, claim=claim)


def _without_border(layer: Convolution) -> tuple[Convolution, Operator | None]:
    """The layer over zeros; with another boundary, a valid layer and the border before it."""
    axes = layer.geometry.axes
    if all(axis.boundary == "zeros" for axis in axes):
        return layer, None
    pairs, inner = [], []
    for axis in axes:
        before = axis.before
        # The stride may leave samples at the end unread: only what is read is padded.
        after = axis.stride * (axis.out_size - 1) + axis.span - before - axis.in_size
        length = axis.in_size + before + after
        pairs.append((before, after))
        start = axis.padding - before
        inner.append(Axis(length, axis.out_size, axis.taps, axis.stride, axis.dilation, start))
    geometry = layer.geometry
    border = pad(
        geometry.in_spatial, pairs, boundary=axes[0].boundary, channels=geometry.in_channels
    )
    valid = Geometry(tuple(inner), geometry.in_channels, geometry.out_channels, geometry.groups)
    return Convolution(valid, layer.weights), border


def _solved(layer: Convolution, notation: _Notation, weight: str) -> Step:
    """Collect what multiplies x_i: every output and tap that read it."""
    condition = notation.each(
        lambda axis, sub: (
            f"{_affine([(axis.stride, f'o{sub}'), (axis.dilation, f't{sub}')], -axis.padding)} = i{sub}"
        ),
        ",\\, ",
    )
    over = "k, " if layer.geometry.has_channels else ""
    formula = (
        f"(A^{{\\mathsf T}} g)_{{{notation.channel('c')}{notation.index('i')}}} = "
        f"\\sum_{{{over}{notation.index('o')}, {notation.index('t')}:\\, {condition}}} "
        f"{weight}\\, g_{{{notation.channel('k')}{notation.index('o')}}}"
    )
    reason = "exchange the sums and collect what multiplies one input"
    return Step(formula, reason, lambda: _transposed_support(layer))


def _transposed_support(layer: Convolution) -> Verdict:
    """<g, A x> = <A^T g, x>: the adjoint's entries are those of A with rows and columns swapped."""
    claim, scope = "rows and columns change places", _scope(layer)
    if layer.T.to_isl().is_equal(to_isl(layer).reverse()):
        return Verdict("proved", claim, scope, ISL)
    return Verdict("unknown", claim, scope, ISL, reason="the supports differ")


def _as_correlation(layer: Convolution, notation: _Notation) -> list[Step]:
    """Undo the stride by zeros, the kernel by flipping it, the offset by padding."""
    geometry = layer.geometry
    axes = geometry.axes
    steps = []
    strided = any(axis.stride != 1 for axis in axes)
    lengths = [axis.stride * (axis.out_size - 1) + 1 for axis in axes]
    lead = geometry.out_channels
    stretched: Operator | None = None
    if strided:
        factors = tuple(axis.stride for axis in axes)
        stretched = upsample(geometry.out_spatial, factors, size=lengths, channels=lead)
        steps.append(
            Step(
                f"g'_{{{notation.channel('k')}"
                + notation.each(lambda axis, sub: _affine([(axis.stride, f"o{sub}")], 0))
                + f"}} = g_{{{notation.channel('k')}{notation.index('o')}}},\\quad "
                + "g' = 0 \\text{ elsewhere}",
                "the stride is undone by stretching g with zeros",
                lambda: _same("A^T = A_1^T S", layer.T, _dense(layer, lengths).T @ stretched),
            )
        )
    pads, flipped = _turned(layer, lengths)
    padded = pad([*lengths], pads, channels=lead)
    target = compose(flipped, padded, *([stretched] if stretched is not None else []))
    name = "g'" if strided else "g"
    weight = f"w_{{{notation.channel('k', 'c')}" + notation.each(_flipped_index) + "}"
    source = notation.each(
        lambda axis, sub: _affine(
            [(1, f"i{sub}"), (abs(axis.dilation), f"t{sub}")], -(axis.span - 1 - axis.before)
        )
    )
    over = "k, " if geometry.has_channels else ""
    rotated = " (in two dimensions: turned by 180 degrees)" if len(axes) == 2 else ""
    steps.append(
        Step(
            f"(A^{{\\mathsf T}} g)_{{{notation.channel('c')}{notation.index('i')}}} = "
            f"\\sum_{{{over}{notation.index('t')}}} {weight}\\, "
            f"{name}_{{{notation.channel('k')}{source}}}",
            f"count the taps from the other end: the kernel is flipped{rotated}",
            lambda: _same("A^T is a correlation", layer.T, target),
        )
    )
    margins = ", ".join(sympy.latex(sympy.sympify(before)) for before, _ in pads)
    walk = "w" if all(axis.is_backwards for axis in axes) else "\\operatorname{flip} w"
    tail = "\\, S" if strided else ""
    steps.append(
        Step(
            f"A_w^{{\\mathsf T}} = A_{{{walk}}}\\, P_{{{margins}}}{tail}",
            "in matrices: pad, then correlate with the flipped kernel"
            + (", on the stretched gradient" if strided else ""),
            lambda: _same("A^T = A' P S", layer.T, target),
        )
    )
    return steps


def _flipped_index(axis: Axis, sub: str) -> str:
    if axis.is_backwards:
        return f"t{sub}"
    return _affine([(-1, f"t{sub}")], axis.taps - 1)


def _dense(layer: Convolution, lengths: Sequence[Any]) -> Operator:
    """The layer without its stride: one output for every position up to the last.

    Padding stands as an operator, which may crop what the stride leaves unread.
    """
    geometry = layer.geometry
    pads, axes = [], []
    for axis, length in zip(geometry.axes, lengths, strict=True):
        total = length + axis.span - 1
        pads.append((axis.before, total - axis.before - axis.in_size))
        start = axis.padding - axis.before
        axes.append(Axis(total, length, axis.taps, 1, axis.dilation, start))
    wide = Geometry(tuple(axes), geometry.in_channels, geometry.out_channels, geometry.groups)
    padded = pad(geometry.in_spatial, pads, channels=geometry.in_channels)
    return compose(Convolution(wide, layer.weights), padded)


def _turned(layer: Convolution, lengths: Sequence[Any]) -> tuple[list[Any], Convolution]:
    """Padding d (k - 1) - p before, what is missing after, and the flipped valid layer."""
    geometry = layer.geometry
    pads, axes, backwards = [], [], []
    lead = 2 if geometry.has_channels else 0
    for k, (axis, length) in enumerate(zip(geometry.axes, lengths, strict=True)):
        before = axis.span - 1 - axis.before
        after = axis.in_size + axis.span - 1 - before - length
        pads.append((before, after))
        axes.append(
            Axis(length + before + after, axis.in_size, axis.taps, 1, abs(axis.dilation), 0)
        )
        if not axis.is_backwards:
            backwards.append(lead + k)
    groups, outputs, inputs = geometry.channels
    weights = layer.weights
    weights = (
        weights.flip(tuple(backwards))
        if isinstance(weights, LetterKernel)
        else np.flip(weights, axis=tuple(backwards))
    )
    if geometry.has_channels:
        weights = _swapped_channels(weights, groups, outputs, inputs)
    turned = Geometry(tuple(axes), geometry.out_channels, geometry.in_channels, geometry.groups)
    return pads, Convolution(turned, weights)


def _swapped_channels(weights: Any, groups: Any, outputs: Any, inputs: Any) -> Any:
    if isinstance(weights, LetterKernel):
        if groups != 1:
            raise KindError(
                f"the adjoint of {groups} groups with letters is not derived: use ca.prove.equal"
            )
        return weights.swapaxes(0, 1)
    taps = weights.shape[2:]
    grouped = weights.reshape(groups, outputs, inputs, *taps).swapaxes(1, 2)
    return grouped.reshape(groups * inputs, outputs, *taps)


def kernel_gradient(operator: Operator) -> Derivation:
    """Why dL/dw is the input correlated with the output gradient, dilated by the stride.

    Raises: KindError unless the operator is one correlation or convolution.

    >>> import convalg as ca
    >>> bool(kernel_gradient(ca.correlation(6, ca.kernel(3), stride=2, padding=1)).verify())
    True
    """
    layer = _layer(operator, "the kernel gradient")
    notation = _Notation(layer.geometry)
    weight = f"w_{{{notation.channel('k', 'c')}{notation.index('t')}}}"
    output = f"y_{{{notation.channel('k')}{notation.index('o')}}}"
    read = f"x_{{{notation.channel('c')}{notation.raw()}}}"
    gradient = f"g_{{{notation.channel('k')}{notation.index('o')}}}"
    strided = any(axis.stride != 1 for axis in layer.geometry.axes)
    dilated = ", g dilated by the stride" if strided else ""
    by_kernel = lambda: _kernel_roles(layer)  # noqa: E731 - the same check for two steps
    steps = (
        _definition(layer),
        Step(
            f"\\frac{{\\partial {output}}}{{\\partial {weight}}} = {read}",
            "the output is linear in each weight",
            by_kernel,
        ),
        Step(
            f"\\frac{{\\partial L}}{{\\partial {weight}}} = "
            f"\\sum_{{{notation.index('o')}}} {gradient}\\, {read}",
            f"chain rule with g = dL/dy: the input correlated with g{dilated}",
            lambda: _gradient_is_correlation(layer),
        ),
        Step(
            "y = B(x)\\, w,\\quad \\nabla_w L = B(x)^{\\mathsf T} g",
            "in matrices: x fills B(x), and its transpose takes g to the weights",
            by_kernel,
        ),
    )
    return Derivation(f"The kernel gradient of {layer!r}", steps)


def _input_kernel(layer: Convolution) -> Any:
    return kernel(*layer.geometry.in_shape, name="x")


def _kernel_roles(layer: Convolution) -> Verdict:
    """B(x) has the entry x_i at (o, t) exactly where A has w_t at (o, i)."""
    named = Convolution(layer.geometry, kernel(*layer.geometry.kernel_shape, name="w"))
    claim, scope = "B(x) holds the same triples as A(w)", _scope(layer)
    x = _input_kernel(layer)
    found = named.by_kernel(x).to_isl()
    taken = triples(layer.geometry)
    rows, columns = len(layer.out_shape), len(layer.in_shape)
    kept = taken.project_out(islpy.dim_type.set, rows, columns)
    pair = islpy.Map.from_domain(kept)
    pair = pair.move_dims(
        islpy.dim_type.out, 0, islpy.dim_type.in_, rows, len(layer.geometry.kernel_shape)
    )
    if found.is_equal(pair):
        return Verdict("proved", claim, scope, ISL)
    return Verdict("unknown", claim, scope, ISL, reason="the triples differ")


def _gradient_is_correlation(layer: Convolution) -> Verdict:
    """B(x)^T = the correlation of x with g as its kernel, stride and dilation exchanged."""
    geometry = layer.geometry
    if geometry.has_channels:
        # Channels only pair up: (k, c) of the weight with k of g and c of x.
        return _kernel_roles(layer)
    x = _input_kernel(layer)
    axes = tuple(
        Axis(a.in_size, a.taps, a.out_size, a.dilation, a.stride, a.padding, a.boundary)
        for a in geometry.axes
    )
    turned = Convolution(Geometry(axes), kernel(*geometry.out_shape, name="g"))
    named = Convolution(geometry, kernel(*geometry.kernel_shape, name="w"))
    claim = "dL/dw is the correlation of x with g"
    return decide(named.by_kernel(x).T, turned.by_kernel(x), claim=claim)


def output_size(operator: Operator) -> Derivation:
    """Why a layer has as many outputs as it has: counting the places where the kernel fits.

    Raises: KindError unless the operator is one correlation or convolution.

    >>> import convalg as ca
    >>> output_size(ca.correlation(7, ca.kernel(3), stride=2)).steps[-1].formula
    'o = \\\\left\\\\lfloor \\\\frac{4}{2} \\\\right\\\\rfloor + 1 = 3'
    """
    layer = _layer(operator, "the output size")
    steps: list[Step] = []
    for number, axis in enumerate(layer.geometry.axes):
        steps += _size_steps(layer, axis, number if len(layer.geometry.axes) > 1 else None)
    return Derivation(f"The output size of {layer!r}", tuple(steps))


def _size_steps(layer: Convolution, axis: Axis, number: int | None) -> list[Step]:
    where = "" if number is None else f" on axis {number}"
    least = axis.after
    # Padding behind: with a stride any amount from `after` to `after` + s - 1 says the same.
    given = axis.before if _within(axis.before, least, axis.stride) else least
    room = sympy.expand(axis.in_size + axis.before + given - axis.span)
    check = lambda: _fitting(layer, axis, given)  # noqa: E731 - one check, three readings
    first = _affine([], -axis.before)
    last = _affine([(axis.stride, "j")], sympy.expand(axis.span - 1 - axis.before))
    end = _affine([], sympy.expand(axis.in_size - 1 + given))
    count = sympy.latex(sympy.sympify(axis.out_size))
    result = (
        f"o = \\left\\lfloor \\frac{{{sympy.latex(room)}}}{{{axis.stride}}} \\right\\rfloor + 1"
    )
    tail = f" = {count}" if isinstance(axis.out_size, int) else ""
    return [
        Step(
            f"\\text{{output }} j \\text{{ reads }} {_affine([(axis.stride, 'j')], -axis.before)}"
            f"\\ \\ldots\\ {last}",
            f"the first output starts at {first}{where}, and each next one s further",
            check,
        ),
        Step(f"{last} \\le {end}", f"the last tap must lie within the padded input{where}", check),
        Step(
            f"j \\le \\frac{{{sympy.latex(room)}}}{{{axis.stride}}}",
            f"solved for j{where}",
            check,
        ),
        Step(result + tail, f"j counts from 0{where}", check),
    ]


def _within(before: Any, least: Any, stride: Any) -> bool:
    gap = sympy.expand(before - least)
    return bool(gap.is_number and 0 <= gap < stride) or (not gap.is_number and stride != 1)


def _fitting(layer: Convolution, axis: Axis, after: Any) -> Verdict:
    """The j whose window lies in the padded input are 0 .. o - 1, as sets."""
    sizes = (axis.in_size, axis.taps, axis.out_size, axis.before, after)
    letters = parameters(*sizes)
    exists = f"{text(axis.in_size)} >= 1 and {text(axis.taps)} >= 1 and {text(axis.out_size)} >= 1"
    end = f"{text(axis.in_size)} - 1 + {text(after)}"
    fits = islpy.Set(
        f"{letters}{{ [j] : j >= 0 and {exists} and "
        f"{axis.stride}*j + {text(axis.span)} - 1 - {text(axis.before)} <= {end} }}"
    )
    said = islpy.Set(f"{letters}{{ [j] : 0 <= j < {text(axis.out_size)} and {exists} }}")
    claim, scope = "the outputs are the places where the kernel fits", _scope(layer)
    if fits.is_equal(said):
        return Verdict("proved", claim, scope, ISL)
    return Verdict("unknown", claim, scope, ISL, reason="the counts differ")


def linearity(operator: Operator) -> Derivation:
    """Why a layer is linear: the sum over taps takes sums and multiples apart.

    >>> import convalg as ca
    >>> bool(linearity(ca.correlation(4, ca.kernel(2))).verify())
    True
    """
    layer = _layer(operator, "linearity")
    notation = _Notation(layer.geometry)
    weight = f"w_{{{notation.channel('k', 'c')}{notation.index('t')}}}"
    place = f"{{{notation.channel('c')}{notation.raw()}}}"
    total = notation.summed("t")
    check = lambda: linear(layer)  # noqa: E731 - the identity that all three lines rest on
    steps = (
        _definition(layer),
        Step(
            f"(A(\\alpha x + \\beta z))_{{{notation.channel('k')}{notation.index('o')}}} = "
            f"{total} {weight} (\\alpha x_{place} + \\beta z_{place})",
            "put a combination of two inputs in",
            check,
        ),
        Step(
            f"= \\alpha {total} {weight}\\, x_{place} + \\beta {total} {weight}\\, z_{place}",
            "multiplication distributes over the finite sum",
            check,
        ),
        Step("A(\\alpha x + \\beta z) = \\alpha A x + \\beta A z", "read the sums off", check),
    )
    return Derivation(f"Linearity of {layer!r}", steps)


def receptive_field(operator: Operator) -> Derivation:
    """Which inputs one output of a product of layers can read: size, stride and padding.

    Rule: going back through a layer, r <- s r + (d (k - 1) + 1 - s), S <- s S, P <- s P + p.
    Source: Araujo, Norris, Sim, Computing Receptive Fields of CNNs, Distill 2019.
    Raises: KindError unless all factors are correlations with the same number of axes.

    >>> import convalg as ca
    >>> net = ca.correlation(7, ca.kernel(3, name="b")) @ ca.correlation(9, ca.kernel(3))
    >>> receptive_field(net).steps[-1].formula
    'u \\\\mapsto [u,\\\\ u + 4],\\\\quad r = 5'
    """
    factors = operator.factors if isinstance(operator, Compose) else (operator,)
    layers = [_layer(factor, "the receptive field") for factor in factors]
    dims = len(layers[0].geometry.axes)
    steps: list[Step] = []
    for k in range(dims):
        axes = [layer.geometry.axes[k] for layer in layers]
        steps += _field_steps(axes, "" if dims == 1 else f" on axis {k}", _scope(operator))
    return Derivation(f"The receptive field of {operator!r}", tuple(steps))


def _field_steps(axes: list[Axis], where: str, scope: str) -> list[Step]:
    """From the last layer back to the input; sizes are those of the hull."""
    size: Any = 1
    stride: Any = 1
    padding: Any = 0
    steps = []
    for number, axis in enumerate(axes):
        size = sympy.expand(axis.stride * size + axis.span - axis.stride)
        stride = stride * axis.stride
        padding = sympy.expand(axis.stride * padding + axis.before)
        done = axes[: number + 1]
        start = _affine([(stride, "u")], -padding)
        end = _affine([(stride, "u")], sympy.expand(size - 1 - padding))
        steps.append(
            Step(
                f"u \\mapsto [{start},\\ {end}],\\quad r = {sympy.latex(sympy.sympify(size))}",
                f"back through layer {len(axes) - number}{where}: "
                f"k = {axis.taps}, s = {axis.stride}, p = {axis.before}",
                lambda done=done, s=stride, p=padding, r=size: _hull(done, s, p, r, scope),
            )
        )
    return steps


def _hull(axes: list[Axis], stride: Any, padding: Any, size: Any, scope: str) -> Verdict:
    """First and last input of the composed relation, the border left aside."""
    names = ["u", *(f"j{k}" for k in range(len(axes)))]
    conditions, sizes = [], []
    for k, axis in enumerate(axes):
        read = f"{axis.stride}*{names[k]} + {axis.dilation}*t{k} - {text(axis.padding)}"
        conditions.append(f"{names[k + 1]} = {read} and 0 <= t{k} < {text(axis.taps)}")
        sizes += [axis.taps, axis.padding]
    hidden = [*names[1:], *(f"t{k}" for k in range(len(axes)))]
    letters = parameters(*sizes)
    positive = " and ".join(f"{text(axis.taps)} >= 1" for axis in axes)
    reads = islpy.Map(
        f"{letters}{{ [u] -> [i] : exists ({', '.join(hidden)}: i = {names[-1]} and "
        f"{' and '.join(conditions)}) }}"
    )
    first = f"{stride}u - {text(padding)}"
    ends = [
        islpy.Map(f"{letters}{{ [u] -> [i] : i = {first} and {positive} }}"),
        islpy.Map(f"{letters}{{ [u] -> [i] : i = {first} + {text(size)} - 1 and {positive} }}"),
    ]
    claim = "the hull of the receptive field"
    if reads.lexmin().is_equal(ends[0]) and reads.lexmax().is_equal(ends[1]):
        return Verdict("proved", claim, scope, ISL)
    return Verdict("unknown", claim, scope, ISL, reason="the hull is another")
