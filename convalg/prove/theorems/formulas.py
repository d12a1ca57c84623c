"""Formulas of operators: the tree of an operator as a LaTeX product of named matrices.

The names have options as subscripts. An option that is not printed has its default value, and a
subscript `p` without a value means that the padding is the symbol p:

- `A_{w}` a correlation and `C_{w}` a convolution with the kernel w: padding p, or (before |
  after), stride s, dilation d, groups, boundary;
- `B_{K}(x)` the operator that maps a kernel of shape K to the output of the correlation for the
  input x; `\\tilde{B}_{K}(x)` for a convolution, `B_{K}^{*}(x)` for the adjoint of a layer;
- `P_{p}` padding (a negative one crops), `R_{p}` cropping, `S_{k}` a shift by k;
- `D_{s}` downsampling to every s-th sample (`D_{s,\\,c}`: from sample c on), `U_{s}^{n}` its
  adjoint, upsampling with zeros to n samples (up to the last sample where n is not printed), with
  one s and one c per axis in parentheses where they are not the same for all axes;
- `I_{n}` the identity, `J_{n}` the reversal, `\\operatorname{sum}_{K}` sum pooling;
- `\\operatorname{reshape}_{n \\times m}` the same entries, in row-major order, as an n by m array;
- `\\otimes` the Kronecker product;
- a dense matrix and a diagonal matrix `\\operatorname{diag}` by their entries.

A kernel of numbers is written by its entries; with several output channels and one input channel on
one axis, as a matrix with a row for each output channel.

`\\operatorname{flip} w` reverses w along all axes of taps, or along the axes in its subscript;
`w^{\\mathsf{T}}` exchanges input and output channels; `\\delta` is one at the centre and zero
elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import islpy
import numpy as np

from convalg.arrays import Array
from convalg.axis import Axis, Size
from convalg.errors import UndecidableError
from convalg.faces.latex import escaped, expression
from convalg.faces.text import one_line, padding_after
from convalg.geometry import Geometry
from convalg.kernels import SymbolicKernel, kernel
from convalg.operators.leaves import (
    Adjoint,
    Convolution,
    Diagonal,
    Matrix,
    Patches,
    Selection,
)
from convalg.operators.tree import Compose, Kron, Operator, Scaled, Sum, fold, leaves
from convalg.presburger import parameters, text
from convalg.prove.decisions.domain import Domain
from convalg.prove.derivations.indices import shape_latex, size_latex
from convalg.size import is_symbolic

TRANSPOSED = "^{\\mathsf{T}}"
COMMA, COMMA_QUAD, TIMES = ",\\,", ",\\quad ", " \\times "


def operator_latex(operator: Operator) -> str:
    """Return an operator as a sum or product of named matrices in LaTeX.

    >>> import convalg as ca
    >>> n, K, p = ca.sizes("n K p")
    >>> print(operator_latex(ca.correlation(n, ca.kernel(K), padding=p).T @ ca.pad(n - K + 1, p)))
    A_{w,\\,p}^{\\mathsf{T}}\\, P_{p}
    """
    return fold(operator, _RULES, _leaf)


def equation_latex(first: Operator, second: Operator, argument: str = "") -> str:
    """Return an equation in LaTeX: both sides, their spaces, and the kernels and inputs in them.

    `argument`: the name of an array that both sides are applied to.

    >>> import convalg as ca
    >>> n, K, p = ca.sizes("n K p")
    >>> A = ca.correlation(n, ca.kernel(K), padding=p)
    >>> print(equation_latex(A, ca.correlation(n + 2 * p, ca.kernel(K)) @ ca.pad(n, p)))
    A_{w,\\,p} = A_{w}\\, P_{p} \\colon \\mathbf{R}^{n} \\to \\mathbf{R}^{n + 2 p - K + 1},\\quad \
w \\in \\mathbf{R}^{K}
    """
    arrays = named_arrays([first, second])
    listed = [f"{name} \\in {shape_latex(shape)}" for name, shape in arrays.items()]
    entries = _entries_latex(first, second)
    if entries:
        return COMMA_QUAD.join([entries, *listed])
    if argument:
        sides = [_applied(side, argument) for side in (first, second)]
        listed.insert(0, f"{argument} \\in {shape_latex(first.in_shape)}")
        formula = " = ".join(sides)
    else:
        formula = f"{operator_latex(first)} = {operator_latex(second)}"
        formula += f" \\colon {shape_latex(first.in_shape)} \\to {shape_latex(first.out_shape)}"
    return COMMA_QUAD.join([formula, *listed])


def _entries_latex(first: Operator, second: Operator) -> str:
    """Return the equation of two parts of one matrix, written with its entries, or "".

    Rule: the part without the first a rows and b columns has the entries at (o + a, i + b). All
    entries that exist in both parts must be compared.
    """
    parts = [part for side in (first, second) if (part := _part_of(side))]
    if len(parts) < 2 or parts[0][0] is not parts[1][0]:
        return ""
    matrix = parts[0][0]
    cuts = [cut for _, cut in parts]
    for (before, after), (other, rest) in zip(*cuts, strict=True):
        if (before, other) != (rest, after) or 0 not in (before, other):
            return ""
    rows = len(matrix.out_shape)
    sides = []
    for cut in cuts:
        positions = [_shifted(name, cut[k][0]) for k, name in enumerate(_indices("o", rows))]
        columns = _indices("i", len(matrix.in_shape))
        positions += [_shifted(name, cut[rows + k][0]) for k, name in enumerate(columns)]
        subscripts = [COMMA.join(positions[:rows]), COMMA.join(positions[rows:])]
        if len(positions) > 2:
            subscripts = [f"({part})" for part in subscripts]
        sides.append(f"({operator_latex(matrix)})_{{{COMMA.join(subscripts)}}}")
    spaces = f"{shape_latex(matrix.in_shape)} \\to {shape_latex(matrix.out_shape)}"
    return f"{' = '.join(sides)},\\quad {operator_latex(matrix)} \\colon {spaces}"


def _indices(name: str, count: int) -> list[str]:
    return [name] if count == 1 else [f"{name}_{{{k + 1}}}" for k in range(count)]


def _shifted(name: str, offset: object) -> str:
    return name if offset == 0 else f"{name} + {size_latex(offset)}"


def _part_of(side: Operator) -> tuple[Operator, list[tuple[Any, Any]]] | None:
    """Return the matrix of which a side is a part, and the sizes cut off from each axis."""
    match side:
        case Compose(factors=(Selection() as rows, matrix, Selection() as columns)):
            cuts = []
            for selection, sign in ((rows, -1), (columns, 1)):
                if not _moved(selection).startswith("R" if sign < 0 else "P"):
                    return None
                cuts += [(sign * axis.before, sign * axis.after) for axis in selection.axes]
            return matrix, cuts
    return None


def _applied(operator: Operator, argument: str) -> str:
    product = operator_latex(operator)
    closed = f"({product})" if isinstance(operator, (Sum, Kron)) else product
    return f"{closed}\\, {argument}"


def named_arrays(operators: Iterable[Operator]) -> dict[str, tuple[Any, ...]]:
    """Return the named kernels and inputs of some operators, with their shapes."""
    arrays: dict[str, tuple[Any, ...]] = {}
    for operator in operators:
        for leaf in leaves(operator):
            values = getattr(leaf, "weights", getattr(leaf, "values", None))
            if isinstance(values, SymbolicKernel):
                arrays.setdefault(values.name, values.named_shape)
            elif isinstance(values, np.ndarray) and values.dtype == object:
                for name in _names_in(values):
                    arrays.setdefault(name, values.shape)
    return arrays


def _names_in(values: np.ndarray) -> list[str]:
    """Return the names of kernels whose symbols are entries of an array of the same shape."""
    symbols = [s for value in values.ravel() if is_symbolic(value) for s in value.free_symbols]
    names = dict.fromkeys(symbol.name.rstrip("0123456789_") for symbol in symbols)
    return [name for name in sorted(names) if _in_kernel(values, name) is not None]


def _leaf(leaf: Operator) -> str:
    match leaf:
        case Convolution(geometry=geometry, weights=weights):
            return _layer(geometry, _kernel_latex(weights, geometry), leaf)
        case Patches(geometry=geometry, values=SymbolicKernel() as values):
            name = "\\tilde{B}" if _is_flipped(geometry) else "B"
            operator = _subscript(name, [_shape(geometry.kernel_shape), *_options(geometry)])
            operator += "^{*}" if leaf.transposed else ""
            return f"{operator}({values.name})"
        case Selection():
            return _selection(leaf)
        case Matrix(values=values) if values.size <= MOST_IN_MATRIX:
            return _matrix(values)
        case Diagonal(values=values) if values.size <= MOST_IN_MATRIX:
            inner = _matrix(values) if values.ndim == 2 else _nested(values.tolist())
            return f"\\operatorname{{diag}}{inner}"
    return _text(leaf)


def _text(leaf: Operator) -> str:
    return escaped(one_line(leaf))


def _subscript(name: str, parts: list[str]) -> str:
    return f"{name}_{{{COMMA.join(parts)}}}"


def _factor(size: Size) -> str:
    factor = size_latex(size)
    return f"({factor})" if getattr(size, "is_Add", False) else factor


def _shape(shape: tuple[Size, ...]) -> str:
    return size_latex(shape[0]) if len(shape) == 1 else TIMES.join(map(_factor, shape))


def _is_flipped(geometry: Geometry) -> bool:
    """Whether a kernel is flipped, as in a convolution.

    Raises: UndecidableError where it is flipped on only some axes.
    """
    backwards = [axis.is_backwards for axis in geometry.axes if axis.taps != 1]
    if any(backwards) and not all(backwards):
        flipped = [k for k, axis in enumerate(geometry.axes) if axis.is_backwards]
        raise UndecidableError(
            f"there is no formula for a layer whose kernel is flipped only on axes {flipped}: flip "
            f"it on all axes or on none"
        )
    return any(backwards)


def _layer(geometry: Geometry, weights: str | None, leaf: Operator) -> str:
    if weights is None:
        return _text(leaf)
    return _subscript("C" if _is_flipped(geometry) else "A", [weights, *_options(geometry)])


def _options(geometry: Geometry) -> list[str]:
    """Return the options of a layer that differ from their defaults, as LaTeX."""
    axes = geometry.axes
    parts = []
    pairs = [(axis.before, padding_after(axis)) for axis in axes]
    if any(value != 0 for pair in pairs for value in pair):
        parts.append(_option("p", _alike([_pair(*pair) for pair in pairs])))
    for name, values in (
        ("s", [axis.stride for axis in axes]),
        ("d", [-a.dilation if a.is_backwards else a.dilation for a in axes]),
    ):
        if any(value != 1 for value in values):
            parts.append(_option(name, _alike([size_latex(value) for value in values])))
    if geometry.groups != 1:
        parts.append(f"\\mathrm{{groups}} = {size_latex(geometry.groups)}")
    return parts + sorted({f"\\mathrm{{{a.boundary}}}" for a in axes if a.boundary != "zeros"})


def _option(name: str, value: str) -> str:
    return name if value == name else f"{name} = {value}"


def _pair(before: object, after: object) -> str:
    if before == after:
        return size_latex(before)
    return f"({size_latex(before)} \\mid {size_latex(after)})"


def _alike(values: list[str]) -> str:
    """Return one value if it is the same for all axes, else all values in parentheses."""
    return values[0] if len(set(values)) == 1 else f"({COMMA.join(values)})"


def _kernel_latex(weights: Array | SymbolicKernel, geometry: Geometry) -> str | None:
    """Return the name of a kernel, flipped or with channels exchanged, or its entries."""
    lead = weights.ndim - len(geometry.axes)
    if isinstance(weights, SymbolicKernel):
        straight = list(range(weights.ndim))
        order = list(weights.axes)
        name = weights.name
        if order != straight:
            if lead != 2 or order != [1, 0, *straight[2:]]:
                return None
            name += TRANSPOSED
        return _flipped_latex(name, [k for k, f in enumerate(weights.flipped) if f], lead, weights)
    for name in _names_in(weights) if weights.dtype == object else ():
        own = kernel(*weights.shape, name=name)
        gap = _in_kernel(weights, name)
        if gap is None:
            continue
        if not (gap != 0).any():
            return name
        centre = tuple(size // 2 for size in weights.shape)
        rest = gap[centre]
        gap[centre] = 0
        if not (gap != 0).any() and all(size % 2 for size in weights.shape):
            return f"{name} + ({expression(rest)})\\, \\delta"
        if np.array_equal(np.flip(weights, tuple(range(lead, weights.ndim))), own):
            return f"\\operatorname{{flip}} {name}"
    if weights.shape[1:-1] == (1,) and len(weights) > 1 and weights.size <= MOST_IN_MATRIX:
        return _matrix(weights[:, 0])
    if weights.size > MOST_ENTRIES:
        return None
    return _nested(weights.tolist())


def _matrix(values: Array) -> str:
    """Return the entries of an array with two axes as a matrix in parentheses."""
    rows = (" & ".join(map(expression, row)) for row in values.tolist())
    body = " \\\\ ".join(rows)
    return f"\\begin{{pmatrix}} {body} \\end{{pmatrix}}"


MOST_ENTRIES = 9
"""Kernels with more entries than this are not written out, unless they are written as a matrix."""
MOST_IN_MATRIX = 36
"""Matrices with more entries than this are not written out."""


def _in_kernel(values: np.ndarray, name: str) -> np.ndarray | None:
    """Return an array minus the kernel of its shape with this name; None if it is unrelated."""
    if not name.isidentifier():
        return None
    own = np.asarray(kernel(*values.shape, name=name))
    symbols = set(own.ravel())
    used = {s for value in values.ravel() if is_symbolic(value) for s in value.free_symbols}
    return values - own if symbols <= used else None


def _flipped_latex(name: str, axes: list[int], lead: int, weights: SymbolicKernel) -> str:
    if not axes:
        return name
    taps = [k for k in range(lead, weights.ndim) if weights.shape[k] != 1]
    if [k for k in axes if k in taps] == taps and min(axes) >= lead:
        return f"\\operatorname{{flip}} {name}"
    return f"\\operatorname{{flip}}_{{{COMMA.join(map(str, axes))}}} {name}"


def _nested(values: object) -> str:
    if isinstance(values, list):
        return f"({COMMA.join(map(_nested, values))})"
    return expression(values)


def _selection(leaf: Selection) -> str:
    """Return the name of a selection of samples, or its text if it has no name."""
    own = leaf.geometry
    if (own.in_shape, own.out_shape) != (leaf.in_shape, leaf.out_shape):
        is_reshape = all(axis == Axis(axis.in_size, axis.in_size) for axis in leaf.axes)
        shape = f"\\operatorname{{reshape}}_{{{_shape(leaf.out_shape)}}}"
        return shape if is_reshape else _text(leaf)
    if leaf.is_identity:
        return f"I_{{{_shape(leaf.in_shape)}}}"
    axes = leaf.axes
    if any(axis.taps != 1 for axis in axes):
        return _pooling(axes, leaf)
    for formula in (_moved(leaf), _sampled(leaf), _reversed(axes)):
        if formula:
            return formula
    return _text(leaf)


def _pooling(axes: tuple[Axis, ...], leaf: Selection) -> str:
    sizes = _alike([size_latex(axis.taps) for axis in axes])
    parts = [part for part in _options(leaf.geometry) if not re.match(r"s( =|$)", part)]
    if any(axis.stride != axis.taps for axis in axes):
        parts.insert(0, _option("s", _alike([size_latex(axis.stride) for axis in axes])))
    return _subscript("\\operatorname{sum}", [sizes, *parts])


def _never_positive(value: Size, leaf: Operator) -> bool:
    """Whether a value is at most zero wherever an operator exists."""
    if not getattr(value, "free_symbols", None):
        return bool(value <= 0)
    try:
        above = islpy.Set(f"{parameters(value)}{{ : {text(value)} > 0 }}")
        return bool(above.intersect(Domain.of(leaf).points).is_empty())
    except UndecidableError:
        if getattr(-value, "is_nonnegative", False):
            return True
        limits = (condition.value for condition in Domain.of(leaf).limits)
        return any((limit + value).expand() == 0 for limit in limits)


def _moved(leaf: Selection) -> str:
    """Return the name P, R or S of a selection of stride 1, else an empty string."""
    axes = leaf.axes
    if any(axis.stride != 1 for axis in axes):
        return ""
    rules = {axis.boundary for axis in axes if axis.before != 0 or axis.after != 0}
    if len(rules) > 1:
        return ""
    bordered = "" if rules <= {"zeros"} else f"^{{\\mathrm{{{rules.pop()}}}}}"
    if all(axis.in_size == axis.out_size for axis in axes):
        return f"S_{{{_alike([size_latex(axis.padding) for axis in axes])}}}{bordered}"
    pairs = [(axis.before, axis.after) for axis in axes]
    if all(_never_positive(value, leaf) for pair in pairs for value in pair):
        return f"R_{{{_alike([_pair(-before, -after) for before, after in pairs])}}}{bordered}"
    return f"P_{{{_alike([_pair(*pair) for pair in pairs])}}}{bordered}"


def _sampled(leaf: Selection) -> str:
    """Return the name D if every s-th sample of each axis is kept, else an empty string."""
    if not _is_sampling(leaf) or not all(_keeps_all(axis) for axis in leaf.axes):
        return ""
    return _subscript("D", _steps(leaf.axes))


def _keeps_all(axis: Axis) -> bool:
    """Whether every s-th sample of an axis is kept, up to the last one."""
    length = axis.in_size + axis.padding
    return bool(axis.out_size == -(-length // axis.stride) or length - axis.tight_size == 0)


def _is_sampling(leaf: Selection) -> bool:
    return all(
        axis.taps == 1 and axis.boundary == "zeros" and _never_positive(axis.padding, leaf)
        for axis in leaf.axes
    )


def _steps(axes: tuple[Axis, ...]) -> list[str]:
    """Return the distance of the samples that are kept, and the offset of the first one."""
    offset = []
    if any(axis.padding != 0 for axis in axes):
        offset.append(_alike([size_latex(-axis.padding) for axis in axes]))
    return [_alike([size_latex(axis.stride) for axis in axes]), *offset]


def _reversed(axes: tuple[Axis, ...]) -> str:
    if all(axis == Axis(n, n, stride=-1, padding=1 - n) for axis in axes for n in [axis.in_size]):
        return f"J_{{{_shape(tuple(axis.in_size for axis in axes))}}}"
    return ""


def _adjoint(node: Adjoint, image: str) -> str:
    """Return the adjoint of a leaf; the adjoint of a downsampling has its own name."""
    inner = node.operator
    if isinstance(inner, Selection) and _is_sampling(inner):
        sampling = _subscript("U", _steps(inner.axes))
        sizes = [(axis.in_size, axis.tight_size - axis.padding) for axis in inner.axes]
        if all(length - tight == 0 for length, tight in sizes):
            return sampling
        return f"{sampling}^{{{_shape(inner.in_shape)}}}"
    return (f"({image})" if "^" in image else image) + TRANSPOSED


def _scaled(node: Scaled, image: str) -> str:
    factor = node.factor
    inner = f"({image})" if isinstance(node.operator, Sum) else image
    if factor == 1:
        return inner
    if factor == -1:
        return f"-{inner}"
    multiple = expression(factor)
    if getattr(factor, "denominator", 1) != 1 and not is_symbolic(factor):
        multiple = f"\\frac{{{factor.numerator}}}{{{factor.denominator}}}"
    elif is_symbolic(factor) and factor.is_Add:
        multiple = f"({multiple})"
    return f"{multiple}\\, {inner}"


_CLOSED: dict[type, tuple[type, ...]] = {Compose: (Sum, Kron), Kron: (Sum, Compose, Scaled)}


def _enclosed(node: Operator, child: Operator, image: str) -> str:
    return f"({image})" if isinstance(child, _CLOSED.get(type(node), ())) else image


_RULES: dict[type, Callable[..., str]] = {
    Compose: lambda node, *images: "\\, ".join(
        _enclosed(node, child, image) for child, image in zip(node.factors, images, strict=True)
    ),
    Sum: lambda node, *images: " + ".join(images).replace(" + -", " - "),
    Scaled: _scaled,
    Adjoint: _adjoint,
    Kron: lambda node, left, right: (
        f"{_enclosed(node, node.left, left)} \\otimes {_enclosed(node, node.right, right)}"
    ),
}
