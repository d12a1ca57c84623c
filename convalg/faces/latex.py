"""The LaTeX face: the sum that defines a layer, its output size, and small matrices."""

from __future__ import annotations

import re
import unicodedata

from convalg.axis import Axis, Size
from convalg.errors import KindError
from convalg.escape import latex
from convalg.faces.text import one_line, padding_after
from convalg.geometry import Geometry
from convalg.operators.leaves import Adjoint, Convolution, single_layer
from convalg.operators.tree import Operator
from convalg.size import is_symbolic

LARGEST = 12
"""The largest number of rows and columns of a matrix that a notebook shows."""

# The index letters of outputs, taps and inputs, one per axis; k is the number of taps.
OUTPUTS, TAPS, INPUTS = "ijhl", "abef", "uvqr"


def notebook(operator: Operator) -> str:
    """Return an operator in LaTeX: a small matrix, the defining sum of a family, or its short text.

    >>> import convalg as ca
    >>> notebook(ca.correlation(3, ca.kernel(2)))
    '$\\\\begin{bmatrix}w_{0} & w_{1} & 0 \\\\\\\\ 0 & w_{0} & w_{1}\\\\end{bmatrix}$'
    """
    if operator.is_concrete and max(operator.shape) <= LARGEST:
        return f"${matrix(operator)}$"
    inner = operator.operator if isinstance(operator, Adjoint) else operator
    if not operator.is_concrete and isinstance(inner, Convolution):
        return rf"$\displaystyle {layer_sum(operator)}$"
    return f"${escaped(one_line(operator))}$"


def matrix(operator: Operator) -> str:
    """Return the exact matrix of an operator in LaTeX.

    >>> import convalg as ca
    >>> matrix(ca.correlation(2, [7]))
    '\\\\begin{bmatrix}7 & 0 \\\\\\\\ 0 & 7\\\\end{bmatrix}'
    """
    rows = operator.to_sympy().tolist()
    body = r" \\ ".join(" & ".join(map(expression, row)) for row in rows)
    return rf"\begin{{bmatrix}}{body}\end{{bmatrix}}"


def expression(value: object) -> str:
    """Return a number or expression in LaTeX; unusual symbol names are typeset as text.

    >>> import sympy
    >>> expression(sympy.Symbol("w01") + 2), expression(sympy.Symbol("a_$b"))
    ('w_{01} + 2', '\\\\text{a\\\\_\\\\$b}')
    """
    if not is_symbolic(value):
        return str(value)
    import sympy

    symbolic = sympy.sympify(value)
    names = {symbol: _symbol(symbol.name) for symbol in symbolic.free_symbols}
    return str(sympy.latex(symbolic, symbol_names=names))


def escaped(text: str) -> str:
    """Return text as part of a formula, with the special characters of LaTeX and HTML escaped.

    >>> escaped("a_1 <b>")
    '\\\\text{a\\\\_1 $<$b$>$}'
    """
    return rf"\text{{{latex(text)}}}"


def _symbol(name: str) -> str:
    """Return a symbol name in LaTeX: w01 with a subscript, alpha in Greek, others as text."""
    import sympy

    # Text fonts may lack a Greek letter, so it is typeset as a LaTeX command.
    greek = re.match(r"GREEK (SMALL|CAPITAL) LETTER ([A-Z]+)$", unicodedata.name(name[:1], ""))
    if greek:
        word = greek[2].lower()
        name = (word if greek[1] == "SMALL" else word.capitalize()) + name[1:]
    match = re.fullmatch(r"([A-Za-z]+)(\d+(?:_\d+)*)?", name)
    if match is None:
        return escaped(name)
    word, digits = match.groups()
    base = sympy.latex(sympy.Symbol(word))
    return base if digits is None else f"{base}_{{{digits.replace('_', ',')}}}"


def definition(operator: Operator) -> str:
    """Return the sum that defines a layer, with its sizes and its boundary rule, in LaTeX.

    Raises: KindError when the operator is neither a single layer nor the adjoint of one.

    >>> import convalg as ca
    >>> print(definition(ca.correlation(5, ca.kernel(3), stride=2)))
    y_{i} = \\sum_{a=0}^{2} w_{a}\\, x_{2i+a}
    """
    rule = boundary_rule(operator)
    return layer_sum(operator) + (rf", \qquad {rule}" if rule else "")


def layer_sum(operator: Operator) -> str:
    """Return the sum that defines a layer, without its boundary rule, in LaTeX.

    Raises: KindError when the operator is neither a single layer nor the adjoint of one.

    >>> import convalg as ca
    >>> print(layer_sum(ca.convolution(5, ca.kernel(3), padding=1).T))
    y_{u} = \\sum_{i,\\,a \\,:\\, i-a+1 = u} w_{a}\\, x_{i}
    """
    geometry, transposed = layer_of(operator)
    axes = geometry.axes
    outputs, taps, inputs = (_letters(kind, len(axes)) for kind in (OUTPUTS, TAPS, INPUTS))
    weight, read, written, sums = _channels(geometry, transposed)
    reached = [
        _mapped(axis, _raw(axis, o, t)) for axis, o, t in zip(axes, outputs, taps, strict=True)
    ]
    if transposed:
        sums += [
            rf"\sum_{{{o},\,{t} \,:\, {index} = {u}}}"
            for o, t, index, u in zip(outputs, taps, reached, inputs, strict=True)
        ]
    else:
        sums += [
            rf"\sum_{{{t}=0}}^{{{expression(axis.taps - 1)}}}"
            for t, axis in zip(taps, axes, strict=True)
        ]
    left, right = (inputs, outputs) if transposed else (outputs, reached)
    return (
        rf"y_{{{_index(written + left)}}} = {' '.join(sums)} "
        rf"w_{{{_index(weight + taps)}}}\, x_{{{_index(read + right)}}}"
    )


def kernel_gradient_sum(operator: Operator) -> str:
    """Return dL/dw as a sum over outputs in LaTeX, with g = dL/dy and the indices of `layer_sum`.

    Raises: KindError when the operator is neither a single layer nor the adjoint of one.

    >>> import convalg as ca
    >>> print(kernel_gradient_sum(ca.correlation(5, ca.kernel(3), stride=2)))
    \\frac{\\partial L}{\\partial w_{a}} = \\sum_{i=0}^{1} g_{i}\\, x_{2i+a}
    """
    geometry, transposed = layer_of(operator)
    axes = geometry.axes
    outputs, taps = (_letters(kind, len(axes)) for kind in (OUTPUTS, TAPS))
    weight, read, written, _ = _channels(geometry, transposed)
    reached = [
        _mapped(axis, _raw(axis, o, t)) for axis, o, t in zip(axes, outputs, taps, strict=True)
    ]
    source, made = (outputs, reached) if transposed else (reached, outputs)
    sums = [
        rf"\sum_{{{o}=0}}^{{{expression(axis.out_size - 1)}}}"
        for o, axis in zip(outputs, axes, strict=True)
    ]
    formula = (
        rf"\frac{{\partial L}}{{\partial w_{{{_index(weight + taps)}}}}} = {' '.join(sums)} "
        rf"g_{{{_index(written + made)}}}\, x_{{{_index(read + source)}}}"
    )
    parts = _outside(geometry, "g" if transposed else "x") + _foldings(axes)
    return ",\\quad ".join([formula, *parts]) if parts else formula


def boundary_rule(operator: Operator) -> str:
    """Return the values of x outside the input in LaTeX, or for an adjoint the ranges of its sums.

    The result is "" for a layer that reads no sample outside its input.

    Raises: KindError when the operator is neither a single layer nor the adjoint of one.

    >>> import convalg as ca
    >>> print(boundary_rule(ca.correlation(5, [1, 2, 3], padding=1)))
    x_{u} = 0 \\text{ outside } 0 \\le u < 5
    """
    geometry, transposed = layer_of(operator)
    axes = geometry.axes
    outputs, taps = (_letters(kind, len(axes)) for kind in (OUTPUTS, TAPS))
    parts = []
    if transposed:
        ranges = [
            rf"0 \le {o} < {expression(axis.out_size)},\ 0 \le {t} < {expression(axis.taps)}"
            for o, t, axis in zip(outputs, taps, axes, strict=True)
        ]
        parts.append(r",\ ".join(ranges))
    else:
        parts += _outside(geometry, "x")
    return r",\quad ".join(parts + _foldings(axes))


def _outside(geometry: Geometry, name: str) -> list[str]:
    """Return the statement where an array is zero; the list is empty if no tap reads outside."""
    axes, inputs = geometry.axes, _letters(INPUTS, len(geometry.axes))
    dropped = [
        rf"0 \le {u} < {expression(axis.in_size)}"
        for u, axis in zip(inputs, axes, strict=True)
        if _leaves(axis) and axis.boundary == "zeros"
    ]
    if not dropped:
        return []
    index = _index([*(["c"] if geometry.has_channels else []), *inputs])
    bounds = r",\ ".join(dropped)
    return [rf"{name}_{{{index}}} = 0 \text{{ outside }} {bounds}"]


def _foldings(axes: tuple[Axis, ...]) -> list[str]:
    rules = sorted({axis.boundary for axis in axes if _leaves(axis)} - {"zeros"})
    return [
        _folding(rule, [axis.in_size for axis in axes if axis.boundary == rule]) for rule in rules
    ]


def _folding(boundary: str, sizes: list[Size]) -> str:
    """Return the index that a boundary rule reads instead of an index u."""
    same = len(set(sizes)) == 1
    n = _number(sizes[0]) if same else "n"
    match boundary:
        case "circular":
            rule = rf"u \bmod {n}"
        case "edge":
            rule = rf"\min(\max(u, 0),\, {n} - 1)"
        case "symmetric":
            rule = rf"\min(v,\, 2 \cdot {n} - 1 - v),\ v = u \bmod (2 \cdot {n})"
        case _:
            rule = rf"\min(v,\, 2 \cdot ({n} - 1) - v),\ v = u \bmod (2 \cdot ({n} - 1))"
    listed = r",\,".join(map(_number, sizes))
    each = "" if same else rf" \text{{ with }} n = {listed} \text{{ by axis}}"
    return rf"\operatorname{{{boundary}}}(u) = {rule}{each}"


def output_size(axis: Axis, *, transposed: bool = False) -> str:
    """Return the output size of one axis in LaTeX.

    The text contains the formula, the formula with numbers substituted, and the result. With
    `transposed=True`, it is the output size of the adjoint layer.
    Source: Dumoulin & Visin, relationships 13 and 15.

    >>> print(output_size(Axis(in_size=5, out_size=3, taps=3, stride=2, padding=1)))
    o = \\left\\lfloor \\frac{n + p_0 + p_1 - d\\,(k - 1) - 1}{s} \\right\\rfloor + 1 \
= \\left\\lfloor \\frac{5 + 1 + 1 - 1 \\cdot (3 - 1) - 1}{2} \\right\\rfloor + 1 = 3
    """
    n, outputs, k = axis.in_size, axis.out_size, axis.taps
    s, d, before = axis.stride, abs(axis.dilation), axis.before
    if transposed:
        numbers = map(_number, (s, outputs, d, k, before, axis.after))
        put_in = r"{} \cdot ({} - 1) + {} \cdot ({} - 1) + 1 - {} - {}".format(*numbers)
        return rf"o = s\,(n - 1) + d\,(k - 1) + 1 - p_0 - p_1 = {put_in} = {expression(n)}"
    numbers = map(_number, (n, before, padding_after(axis), d, k, s))
    put_in = r"\left\lfloor \frac{{{} + {} + {} - {} \cdot ({} - 1) - 1}}{{{}}} \right\rfloor + 1"
    return (
        r"o = \left\lfloor \frac{n + p_0 + p_1 - d\,(k - 1) - 1}{s} \right\rfloor + 1 "
        rf"= {put_in.format(*numbers)} = {expression(outputs)}"
    )


def layer_of(operator: Operator) -> tuple[Geometry, bool]:
    """Return the geometry of a layer, and whether the operator is the adjoint of that layer.

    Raises: KindError when the operator is neither a single layer nor the adjoint of one.
    """
    single = single_layer(operator)
    if single is None:
        raise KindError(
            f"a defining sum exists only for a single correlation, convolution or transposed "
            f"correlation, not for {operator!r}: try A.simplify()"
        )
    layer, transposed = single
    return layer.geometry, transposed


def _letters(kind: str, count: int) -> list[str]:
    """Return one index name per axis, with numbers if there are more axes than letters."""
    return list(kind[:count]) if count <= len(kind) else [f"{kind[0]}_{k}" for k in range(count)]


def _number(value: object) -> str:
    """Return a size in LaTeX, in parentheses if it is negative or a sum."""
    text = expression(value)
    return text if re.fullmatch(r"[\w{}\\]+", text) else f"({text})"


def _leaves(axis: Axis) -> bool:
    """Return whether some output reads outside the input; True if symbols leave it undecided."""
    return any(not isinstance(v, int) or v > 0 for v in (axis.before, axis.after))


def _mapped(axis: Axis, index: str) -> str:
    """Return the index that is read, inside the boundary rule where taps read outside."""
    if axis.boundary == "zeros" or not _leaves(axis):
        return index
    return rf"\operatorname{{{axis.boundary}}}({index})"


def _raw(axis: Axis, output: str, tap: str) -> str:
    """Return the index that a tap reads, as an affine expression in two indices."""
    return axis.formula(output, tap, expression, times="").replace(" ", "")


def _channels(
    geometry: Geometry, transposed: bool
) -> tuple[list[str], list[str], list[str], list[str]]:
    """Return the channel indices of weight, sample read and sample written, and the channel sum.

    With groups, `o` and `c` count within group `g`.
    """
    if not geometry.has_channels:
        return [], [], [], []
    groups, outputs, inputs = geometry.channels
    count, letter = (outputs, "o") if transposed else (inputs, "c")
    sums = [] if count == 1 else [rf"\sum_{{{letter}=0}}^{{{expression(count - 1)}}}"]
    first = "0" if transposed and outputs == 1 else "o"
    second = within = "0" if inputs == 1 and (groups > 1 or not transposed) else "c"
    if groups > 1:
        first = "g" if outputs == 1 else f"{_number(outputs)}g+{first}"
        second = "g" if inputs == 1 else f"{_number(inputs)}g+{second}"
    read, written = (first, second) if transposed else (second, first)
    return [first, within], [read], [written], sums


def _index(parts: list[str]) -> str:
    return r",\,".join(parts)
