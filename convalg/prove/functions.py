"""Claims about functions: is f linear, does it implement A, is this its gradient?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from convalg.base import Array, Map, Operator
from convalg.errors import KindError
from convalg.faces.exact import exact_rows
from convalg.operators import leaves
from convalg.prove.domain import Domain
from convalg.prove.polynomial import Polynomial, UntraceableError
from convalg.prove.trace import Function, arity, polynomials, traced, unknowns
from convalg.prove.verdict import Counterexample, Verdict
from convalg.spec import as_shape, size_product

TRACED = "exact polynomial identity of the outputs, run on symbols (floats as simple fractions)"
SAMPLED = "numbers tried, since the function cannot run on symbols"
TRIES = 40


def linear(f: Any, in_shape: Any = None) -> Verdict:
    """Whether f(a x + b y) = a f(x) + b f(y): a plain Python function, a map or an operator.

    Shapes: f takes one array of `in_shape` (operators and maps bring their own).
    A function that cannot run on symbols can be refuted by numbers, never proved.

    Raises: KindError when f cannot be called with one array.

    >>> linear(lambda x: x[1:] - x[:-1], 4)
    Proved for inputs of shape (4,)
    >>> linear(lambda x: 2 * x + 1, 2).counterexample.inputs
    {'x': [0, 0]}
    """
    if isinstance(f, Operator):
        if not f.is_concrete:
            method = "the output is a sum over triples (row, column, weight) that x does not change"
            scope = str(Domain.of(f))
            return Verdict("proved", f"{f!r} is linear", scope, method)
        in_shape, f = f.in_shape, _lifted(f)
    elif isinstance(f, Map) and in_shape is None:
        in_shape = f.in_shape
    elif in_shape is None:
        raise KindError(f"linear needs the shape of the input of {f!r}: give in_shape")
    arity(f, (1,), "f(x)")
    shape = as_shape(in_shape, "in_shape")
    claim, scope = "f(a x + b y) = a f(x) + b f(y)", f"inputs of shape {shape}"
    # A name that no symbol within f is likely to have: one that is shared would be one unknown.
    x = unknowns(shape, "x_unknown")  # type: ignore[arg-type]
    names = {entry.terms and next(iter(entry.terms))[0] for entry in x.ravel()}
    try:
        y = polynomials(traced(f, x))
    except UntraceableError as error:
        if not isinstance(f, Operator):
            return _linear_by_numbers(f, shape, claim, scope, str(error))
        # SymPy's numbers take no polynomials; the matrix does.
        y = polynomials(_applied(f, x))
    if not isinstance(f, Operator) and not _acts_alike(f, [x], [y]):
        return _linear_by_numbers(f, shape, claim, scope, OTHERWISE)
    for index, value in np.ndenumerate(y):
        if not value.degree_in(names) <= {1}:
            found = _nonlinear_witness(f, x, index, value)
            return Verdict("refuted", claim, scope, TRACED, found)
    return Verdict("proved", claim, scope, TRACED)


def _nonlinear_witness(
    f: Function, x: Array, index: tuple[int, ...], value: Polynomial
) -> Counterexample:
    """f(0) when that is not zero, else two inputs whose images do not add up."""
    names = [next(iter(entry.terms))[0] for entry in x.ravel()]

    def at(numbers: Array) -> Any:
        own = dict(zip(names, numbers.ravel().tolist(), strict=True))
        others = {n: 1 for m in value.terms for n in m if n not in own}
        return value.at({**own, **others})

    zero = np.zeros(x.shape, dtype=int)
    if at(zero) != 0:
        inputs = {"x": zero.tolist()}
        return Counterexample({}, index, None, 0, at(zero), inputs)
    for left, right in _pairs(x.shape):
        if at(left + right) != at(left) + at(right):
            inputs = {"x": left.tolist(), "y": right.tolist()}
            return Counterexample({}, index, None, at(left) + at(right), at(left + right), inputs)
    raise AssertionError(f"{value} is not linear and yet additive on every pair tried")


def _pairs(shape: tuple[int, ...]) -> Iterator[tuple[Array, Array]]:
    """Pairs of small integer inputs: impulses first, of both signs, then random ones."""
    count = int(size_product(shape))
    units = np.eye(count, dtype=int).reshape(count, *shape)
    for a, b in product(range(min(count, 64)), repeat=2):
        yield units[a], units[b]
        yield units[a], -units[b]
    random = np.random.default_rng(0)
    for _ in range(TRIES * 10):
        yield random.integers(-9, 10, shape), random.integers(-9, 10, shape)


def _linear_by_numbers(f: Function, shape: Any, claim: str, scope: str, reason: str) -> Verdict:
    try:
        return _additive(f, shape, claim, scope, reason)
    except UntraceableError as error:
        return Verdict("unknown", claim, scope, SAMPLED, reason=f"{reason}; {error}")


def _additive(f: Function, shape: Any, claim: str, scope: str, reason: str) -> Verdict:
    """Raises: UntraceableError when f returns no numbers on numbers."""
    tolerance = 1e-8

    def run(values: Array) -> Array:
        nonlocal tolerance
        (found, *_), tolerance = _run(f, values)
        try:
            return np.asarray(found, dtype=float)
        except (TypeError, ValueError):
            raise UntraceableError(f"on numbers it returns no numbers, but {found!r}") from None

    zero = np.zeros(shape, dtype=int)
    at_zero = run(zero)
    if _differ(at_zero, np.zeros_like(at_zero), tolerance):
        index, claimed, actual = _first(np.zeros_like(at_zero), at_zero)
        found = Counterexample({}, index, None, claimed, actual, {"x": zero.tolist()})
        return Verdict("refuted", claim, scope, SAMPLED, found)
    for number, (left, right) in enumerate(_pairs(shape)):
        if number >= TRIES * 4:
            break
        parts, whole = run(left) + run(right), run(left + right)
        if _differ(parts, whole, tolerance):
            index, claimed, actual = _first(parts, whole)
            inputs = {"x": left.tolist(), "y": right.tolist()}
            found = Counterexample({}, index, None, claimed, actual, inputs)
            return Verdict("refuted", claim, scope, SAMPLED, found)
    tried = f"{reason}; additive on {TRIES * 4} pairs of inputs tried, which proves nothing"
    return Verdict("unknown", claim, scope, SAMPLED, reason=tried)


# What rounding may leave between a function and exact numbers, by the type that it returns.
_TOLERANCE = {np.dtype(np.float16): 5e-2, np.dtype(np.float32): 1e-3}


def _differ(left: Array, right: Array, tolerance: float = 1e-8) -> bool:
    if left.shape != right.shape:
        return True
    scale = max(1.0, float(np.max(np.abs(left), initial=0)))
    return not bool(np.allclose(left, right, rtol=0, atol=tolerance * scale, equal_nan=True))


def _run(f: Function, *numbers: Array) -> tuple[list[Any], float]:
    """What f returns on numbers, and the tolerance that its types call for."""
    result = f(*(drawn.astype(float) for drawn in numbers))
    parts = list(result) if isinstance(result, tuple) else [result]
    kinds = [np.dtype(getattr(part, "dtype", float)) for part in parts if _is_plain(part)]
    return parts, max((_TOLERANCE.get(kind, 1e-8) for kind in kinds), default=1e-8)


def _is_plain(part: Any) -> bool:
    return isinstance(getattr(part, "dtype", None), np.dtype)


def _acts_alike(f: Function, inputs: list[Array], outputs: list[Array]) -> bool:
    """Whether f does on numbers what it did on symbols; a function may look which it is given."""
    random = np.random.default_rng(1)
    for _ in range(3):
        numbers = [random.integers(-4, 5, array.shape) for array in inputs]
        values = _values(inputs, numbers)
        try:
            found, tolerance = _run(f, *numbers)
            plain = [np.asarray(part, dtype=float) for part in found]
        except (TypeError, ValueError):
            return True  # It runs on symbols only: what it does there is all there is.
        if len(plain) != len(outputs):
            plain = [np.asarray(found, dtype=float)] if len(outputs) == 1 else plain
        for left, polynomial in zip(plain, outputs, strict=False):
            if not _names(polynomial.ravel()) <= set(values):
                return True
            right = np.array([float(p.at(values)) for p in polynomial.ravel()])
            if _differ(left, right.reshape(polynomial.shape), tolerance):
                return False
    return True


def _names(entries: Iterable[Polynomial]) -> set[Any]:
    """The unknowns that some polynomials hold."""
    terms = (monomial for entry in entries for monomial in Polynomial.of(entry).terms)
    return {name for monomial in terms for name in monomial}


def _values(inputs: list[Array], numbers: list[Array]) -> dict[Any, int]:
    """A number for each unknown of the inputs."""
    return {
        next(iter(unknown.terms))[0]: int(number)
        for array, drawn in zip(inputs, numbers, strict=True)
        for unknown, number in zip(array.ravel(), drawn.ravel(), strict=True)
    }


OTHERWISE = "on numbers the function returns something else than on symbols"


def _first(left: Array, right: Array) -> tuple[tuple[int, ...] | None, Any, Any]:
    """The place where two arrays differ most, and both values; their shapes if those differ."""
    if left.shape != right.shape:
        return None, f"shape {left.shape}", f"shape {right.shape}"
    gap = np.nan_to_num(np.abs(left - right), nan=np.inf)
    index = tuple(int(k) for k in np.unravel_index(int(np.argmax(gap)), left.shape))
    return index, left[index].item(), right[index].item()


def implements(f: Function, operator: Operator) -> Verdict:
    """Whether f(x) or f(x, w) gives exactly what an operator does, for all x (and all w).

    Shapes: f takes x of `in_shape` and, with two arguments, w of `A.kernel.shape`, one sample
    and no batch, and returns an array of `out_shape`. With two arguments the operator's own
    weights do not matter: the claim is for every kernel.

    Raises: KindError for a family, or a function of other arguments.

    >>> import convalg as ca
    >>> def conv(x, w):
    ...     return [sum(x[o + t] * w[t] for t in range(2)) for o in range(3)]
    >>> implements(conv, ca.correlation(4, ca.kernel(2)))
    Proved for inputs of shape (4,) and kernels of shape (2,)
    """
    _need_concrete(operator, "implements")
    count = arity(f, (2, 1) if _has_kernel(operator) else (1,), "f(x) or f(x, w)")
    weights = [unknowns(operator.kernel.shape, "w")] if count == 2 else []
    x = unknowns(operator.in_shape, "x" if weights else _fresh(operator, "x"))
    scope = f"inputs of shape {operator.in_shape}"
    if weights:
        scope += f" and kernels of shape {weights[0].shape}"
        expected = operator.refill(weights[0])(x)
    else:
        expected = _applied(operator, x)
    claim = f"f implements {operator!r}"
    return _compare(f, [x, *weights], [("y", expected)], claim, scope)


def gradient(backward: Function, operator: Operator) -> Verdict:
    """Whether a backward pass gives dL/dx = A^T g and, where it returns two, dL/dw = B(x)^T g.

    Shapes: backward(x, w, g), backward(x, g) or backward(g), one sample and no batch: x of
    `in_shape`, w of `A.kernel.shape`, g of `out_shape`. It returns dx, or (dx, dw).

    Raises: KindError for a family, or a function of other arguments.

    >>> import convalg as ca
    >>> def backward(x, w, g):
    ...     dx = [w[0] * g[0], w[1] * g[0] + w[0] * g[1], w[1] * g[1]]
    ...     dw = [x[0] * g[0] + x[1] * g[1], x[1] * g[0] + x[2] * g[1]]
    ...     return dx, dw
    >>> bool(gradient(backward, ca.correlation(3, ca.kernel(2))))
    True
    """
    _need_concrete(operator, "gradient")
    allowed = (3, 2, 1) if _has_kernel(operator) else (2, 1)
    count = arity(backward, allowed, "backward(x, w, g), backward(x, g) or backward(g)")
    names = ("x", "g") if count == 3 else (_fresh(operator, "x"), _fresh(operator, "g"))
    x, g = unknowns(operator.in_shape, names[0]), unknowns(operator.out_shape, names[1])
    inputs = [g] if count == 1 else [x, g]
    scope = f"inputs of shape {operator.in_shape}"
    if count == 3:
        weights = unknowns(operator.kernel.shape, "w")
        operator, inputs = operator.refill(weights), [x, weights, g]
        scope += f" and kernels of shape {weights.shape}"
    else:
        operator = _lifted(operator)
    expected = [("dx", _applied(operator.T, g))]
    if _has_kernel(operator):
        expected.append(("dw", operator.kernel_gradient(x, g)))
    return _compare(backward, inputs, expected, "the backward pass is the gradient", scope)


def _need_concrete(operator: Any, name: str) -> None:
    if not isinstance(operator, Operator) or not operator.is_concrete:
        raise KindError(
            f"{name} compares a function with an operator of numbers, not {operator!r}: "
            f"a function runs at one size, so take a family at one with .at(...)"
        )


def _has_kernel(operator: Operator) -> bool:
    from convalg.gradients import convolutions

    return len(convolutions(operator)) == 1


def _applied(operator: Operator, x: Array) -> Array:
    """A x on polynomials, whatever exact numbers the operator holds."""
    flat, nothing = x.ravel(), Polynomial({})
    rows = exact_rows(operator, Polynomial.of)
    found = np.empty(len(rows), dtype=object)
    for row, line in enumerate(rows):
        total = nothing
        for column, value in line.items():
            total = total + value * flat[column]
        found[row] = total
    return found.reshape(operator.out_shape)


def _fresh(operator: Operator, name: str) -> str:
    """The name, with underscores until no weight of the operator begins with it."""
    weights: list[Any] = []
    for leaf in leaves(operator):
        for own in ("weights", "values"):
            weights += (
                np.asarray(getattr(getattr(leaf, "operator", leaf), own, [])).ravel().tolist()
            )
    letters = {str(s) for value in weights for s in getattr(value, "free_symbols", ())}
    while any(letter.startswith(name) for letter in letters):
        name += "_"
    return name


def _lifted(operator: Operator) -> Operator:
    """The operator with its weights as polynomials, so that floats are read as fractions."""
    if not _has_kernel(operator):
        return operator
    # Scaled factors and fixed matrices stay: numbers that a polynomial can be multiplied by.
    return operator.refill(np.frompyfunc(Polynomial.of, 1, 1)(operator.kernel.astype(object)))


def _compare(
    f: Function, inputs: list[Array], expected: list[tuple[str, Array]], claim: str, scope: str
) -> Verdict:
    """Whether f on symbols returns these polynomials."""
    try:
        outputs = _outputs(traced(f, *inputs), len(expected))
        found = [polynomials(value) for value in outputs]
    except UntraceableError as error:
        return _compare_by_numbers(f, inputs, expected, claim, scope, str(error))
    if not _acts_alike(f, inputs, found):
        return _compare_by_numbers(f, inputs, expected, claim, scope, OTHERWISE)
    for (name, right), left in zip(expected, found, strict=False):
        if left.shape != right.shape:
            found_shapes = Counterexample(
                {}, None, None, f"{name} of shape {left.shape}", f"shape {right.shape}"
            )
            return Verdict("refuted", claim, scope, TRACED, found_shapes)
        for index, value in np.ndenumerate(right):
            got, wanted = Polynomial.of(left[index]), Polynomial.of(value)
            if not got.same(wanted):
                shapes = (right.shape, inputs[0].shape)
                entry = replace(_entry_witness(inputs, index, got, wanted, name), shapes=shapes)
                return Verdict("refuted", claim, scope, TRACED, entry)
    return Verdict("proved", claim, scope, TRACED)


def _outputs(result: Any, most: int) -> list[Any]:
    """(dx, dw) as two, anything else as one; a list counts as two when it is no array."""
    is_pair = isinstance(result, tuple) or (
        isinstance(result, list) and any(isinstance(part, np.ndarray) for part in result)
    )
    return list(result) if is_pair and len(result) == 2 and most == 2 else [result]


def _entry_witness(
    inputs: list[Array], index: tuple[int, ...], left: Polynomial, right: Polynomial, name: str
) -> Counterexample:
    """The entry of the output, and of the first input that its wrong product reads."""
    wrong = sorted((left - right).terms)
    first = {next(iter(entry.terms))[0]: place for place, entry in np.ndenumerate(inputs[0])}
    column = next((first[n] for monomial in wrong for n in monomial if n in first), None)

    def replayed() -> tuple[Any, Any]:
        from convalg.prove.claims import prime_values

        claimed, actual = prime_values(left, right)
        return claimed, actual

    return Counterexample(
        {}, index, column, left.to_sympy(), right.to_sympy(), {"output": name}, replayed
    )


def _compare_by_numbers(
    f: Function,
    inputs: list[Array],
    expected: list[tuple[str, Array]],
    claim: str,
    scope: str,
    reason: str,
) -> Verdict:
    """Small integers put in: a difference refutes, agreement proves nothing."""
    random = np.random.default_rng(0)
    own = _names(unknown for array in inputs for unknown in array.ravel())
    held = sorted(_names(entry for _, array in expected for entry in array.ravel()) - own)
    if held:
        reason = f"{reason}; and the operator holds {', '.join(held[:3])}, so that no numbers tell"
        return Verdict("unknown", claim, scope, SAMPLED, reason=reason)
    for _ in range(TRIES):
        numbers = [random.integers(-4, 5, array.shape) for array in inputs]
        values = _values(inputs, numbers)
        result, tolerance = _run(f, *numbers)
        outputs = _outputs(tuple(result) if len(result) > 1 else result[0], len(expected))
        for (name, polynomial), output in zip(expected, outputs, strict=False):
            right = np.array([float(p.at(values)) for p in polynomial.ravel()])
            right = right.reshape(polynomial.shape)
            try:
                left = np.asarray(output, dtype=float)
            except (TypeError, ValueError):
                reason = f"{name} is no array of numbers: {output!r}"
                return Verdict("unknown", claim, scope, SAMPLED, reason=reason)
            if _differ(left, right, tolerance):
                index, claimed, actual = _first(left, right)
                drawn_inputs = {f"argument {k}": d.tolist() for k, d in enumerate(numbers)}
                found = Counterexample(
                    {}, index, None, claimed, actual, {"output": name, **drawn_inputs}
                )
                return Verdict("refuted", claim, scope, SAMPLED, found)
    tried = f"{reason}; equal on {TRIES} inputs tried, which proves nothing"
    return Verdict("unknown", claim, scope, SAMPLED, reason=tried)
