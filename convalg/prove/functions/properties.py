"""Claims about functions: f is linear, implements an operator, or computes its gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from convalg.arrays import Array
from convalg.errors import KindError
from convalg.operators.tree import Map, Operator
from convalg.prove.certificates import Linear
from convalg.prove.decisions.domain import Domain
from convalg.prove.decisions.polynomials import Generator, Polynomial, UntraceableError
from convalg.prove.functions.expected import applied, gradients, has_kernel, lifted, outputs
from convalg.prove.functions.frames import Function
from convalg.prove.functions.outputs import gradients as gradient_outputs
from convalg.prove.functions.outputs import one_output
from convalg.prove.functions.trace import Trace, arity, trace, unknowns
from convalg.prove.functions.traced import Traced
from convalg.prove.functions.trials import Trials, differ, first_gap
from convalg.prove.verdict import Counterexample, Verdict
from convalg.size import as_shape, size_product

TRACED = "exact polynomial identity of the outputs on symbols (floats read as simple fractions)"
SAMPLED = "comparison on numbers, since the function cannot be traced on symbols"
EXACT = "over exact numbers"


def linear(f: Function, in_shape: object = None) -> Verdict:
    """Decide whether f is linear: f(a x + b y) = a f(x) + b f(y).

    A proof requires that f executes the same instructions on symbols as on numbers. If that cannot
    be shown, numbers can refute the claim but not prove it.

    Args:
        f: a Python function of one array, a map or an operator.
        in_shape: the shape of the input of a function, an int or a tuple of ints; not needed for
            maps and operators.

    Returns:
        A verdict; a counterexample holds two inputs at which f is not additive, or the input 0.

    Raises:
        KindError: when f cannot be called with one array, or `in_shape` is missing.
        Exception: any error that f itself raises on arrays of numbers.

    >>> import convalg as ca
    >>> ca.prove.linear(lambda x: x[1:] - x[:-1], 4)
    Proved for inputs of shape (4,); over exact numbers
    >>> ca.prove.linear(lambda x: 2 * x + 1, 2).counterexample.inputs
    {'x': [0, 0]}
    """
    claim = "f(a x + b y) = a f(x) + b f(y)"
    if isinstance(f, Operator):
        if not f.is_concrete:
            method = (
                "each output is a sum over triples (row, column, weight) that do not depend on x"
            )
            scope = str(Domain.of(f))
            evidence = (Linear(f),)
            return Verdict("proved", f"{f!r} is linear", scope, method, evidence=evidence)
        x = unknowns(f.in_shape, "x")
        y = applied(lifted(f), x)
        verdict = _linear_polynomials(f, x, y, claim, f"inputs of shape {f.in_shape}")
        return replace(verdict, evidence=(Linear(f),) if verdict else ())
    if isinstance(f, Map) and in_shape is None:
        in_shape = f.in_shape
    elif in_shape is None:
        raise KindError(
            f"linear needs the shape of the input of {f!r}: pass in_shape=, such as in_shape=(4,)"
        )
    arity(f, (1,), "f(x)")
    shape = as_shape(in_shape, "in_shape")
    x = unknowns(shape, "x")
    scope = f"inputs of shape {shape}"
    try:
        traced = trace(f, [x], one_output(None))
    except UntraceableError as error:
        return _linear_by_numbers(f, x, claim, f"{scope}; {EXACT}", error)
    verdict = _linear_polynomials(f, x, traced.outputs["y"], claim, _scope(scope, traced))
    return replace(verdict, evidence=(Traced("linear", None, {"x": x}, traced.outputs),))


def _scope(shapes: str, traced: Trace) -> str:
    return "; ".join([shapes, EXACT, *traced.notes])


def _linear_polynomials(f: Function, x: Array, y: Array, claim: str, scope: str) -> Verdict:
    own = {generator for entry in x.ravel() for generator in entry.generators}
    for index, value in np.ndenumerate(y):
        if not value.degree_in(own) <= {1}:
            witness = _nonlinear_witness(f, x, index, value)
            return Verdict("refuted", claim, scope, TRACED, witness)
    return Verdict("proved", claim, scope, TRACED)


def _nonlinear_witness(
    f: Function, x: Array, index: tuple[int, ...], value: Polynomial
) -> Counterexample:
    """Return the input 0 if f(0) is not zero, else two inputs at which f is not additive."""
    generators = [next(iter(entry.generators)) for entry in x.ravel()]

    def at(numbers: Array) -> Any:
        own = dict(zip(generators, numbers.ravel().tolist(), strict=True))
        others = {g: 1 for g in value.generators if g not in own}
        return value.at({**own, **others})

    def replayed(*inputs: Array) -> Callable[[], tuple[Any, Any]]:
        return lambda: _sums(f, inputs, index)

    zero = np.zeros(x.shape, dtype=int)
    if at(zero) != 0:
        inputs = {"x": zero.tolist()}
        return Counterexample({}, index, None, 0, at(zero), inputs, replayed(zero))
    for left, right in _pairs(x.shape):
        if at(left + right) != at(left) + at(right):
            inputs = {"x": left.tolist(), "y": right.tolist()}
            sums = at(left) + at(right)
            return Counterexample(
                {}, index, None, sums, at(left + right), inputs, replayed(left, right)
            )
    raise AssertionError(f"{value} is not linear, yet additive on every pair tried")


def _sums(f: Function, inputs: tuple[Array, ...], index: tuple[int, ...]) -> tuple[Any, Any]:
    """Return f(x) + f(y) and f(x + y) at an entry, by calling f; for one input, 0 and f(0)."""
    trials = Trials(f, one_output(None))
    images = [trials.run([array.astype(float)])["y"] for array in inputs]
    if len(inputs) == 1:
        return 0, images[0][index]
    image = trials.run([(inputs[0] + inputs[1]).astype(float)])["y"]
    return images[0][index] + images[1][index], image[index]


def _pairs(shape: tuple[int, ...]) -> Iterator[tuple[Array, Array]]:
    """Yield pairs of small integer inputs: impulses of both signs first, then random arrays."""
    count = int(size_product(shape))
    units = np.eye(count, dtype=int).reshape(count, *shape)
    for a, b in product(range(min(count, 8)), repeat=2):
        yield units[a], units[b]
        yield units[a], -units[b]
    random = np.random.default_rng(0)
    for _ in range(400):
        yield random.integers(-9, 10, shape), random.integers(-9, 10, shape)


def _linear_by_numbers(
    f: Function, x: Array, claim: str, scope: str, error: UntraceableError
) -> Verdict:
    """Check whether f is additive on numbers: a difference refutes, agreement is not a proof."""
    trials = Trials(f, one_output(None), error)
    reason = str(error)
    tried = 0
    try:
        zero = np.zeros(x.shape)
        at_zero = trials.floats([zero])["y"]
        if differ(at_zero, np.zeros_like(at_zero), trials.tolerance):
            index, claimed, actual = first_gap(np.zeros_like(at_zero), at_zero)
            inputs = {"x": zero.astype(int).tolist()}
            witness = Counterexample(
                {}, index, None, claimed, actual, inputs, _replay(f, (zero,), index)
            )
            return trials.refuted(claim, scope, SAMPLED, witness, [[zero]])
        for left, right in trials.pairs(_pairs(x.shape), x.shape):
            parts = trials.floats([left])["y"] + trials.floats([right])["y"]
            together = trials.floats([left + right])["y"]
            tried += 1
            if differ(parts, together, trials.tolerance):
                index, claimed, actual = first_gap(parts, together)
                inputs = {"x": _shown(left), "y": _shown(right)}
                witness = Counterexample(
                    {}, index, None, claimed, actual, inputs, _replay(f, (left, right), index)
                )
                return trials.refuted(
                    claim, scope, SAMPLED, witness, [[left], [right], [left + right]]
                )
    except UntraceableError as other:
        reason += "" if str(other) == reason else f"; {other}"
        return Verdict("unknown", claim, scope, SAMPLED, reason=reason)
    reason += f"; additive on all {tried} pairs of inputs tried, which is not a proof"
    return Verdict("unknown", claim, scope, SAMPLED, reason=reason)


def _replay(
    f: Function, inputs: tuple[Array, ...], index: tuple[int, ...] | None
) -> Callable[[], tuple[Any, Any]] | None:
    return None if index is None else lambda: _sums(f, inputs, index)


def _shown(values: Array) -> Any:
    """Return the values as nested lists, of ints if all of them are integers."""
    return (values.astype(int) if np.array_equal(values, np.round(values)) else values).tolist()


def implements(f: Function, operator: Operator) -> Verdict:
    """Decide whether f(x) or f(x, w) equals the output of an operator, for all x (and all w).

    Args:
        f: a function f(x) or f(x, w) with x of shape `in_shape` and w of shape `A.kernel.shape`,
            for a single sample without a batch axis. It returns an array of shape `out_shape`, or
            a tuple or dictionary that contains one. If f has the argument w, the weights of the
            operator are ignored and the claim is about every kernel.
        operator: the operator A, with numbers as sizes.

    Returns:
        A verdict; a counterexample holds the first entry that differs, as exact polynomials.

    Raises:
        KindError: when the operator is a family, or f has other arguments.
        Exception: any error that f itself raises on arrays of numbers.

    >>> import convalg as ca
    >>> def conv(x, w):
    ...     return [sum(x[o + t] * w[t] for t in range(2)) for o in range(3)]
    >>> ca.prove.implements(conv, ca.correlation(4, ca.kernel(2)))
    Proved for inputs of shape (4,) and kernels of shape (2,); over exact numbers
    """
    _need_concrete(operator, "implements")
    count = arity(f, (2, 1) if has_kernel(operator) else (1,), "f(x) or f(x, w)")
    weights = [unknowns(operator.kernel.shape, "w")] if count == 2 else []
    x = unknowns(operator.in_shape, "x")
    claim, scope = f"f implements {operator!r}", f"inputs of shape {operator.in_shape}"
    inputs = {"x": x} | ({"w": weights[0]} if weights else {})
    if weights:
        scope += f" and kernels of shape {weights[0].shape}"
    evidence = Traced("implements", operator, inputs, {})
    return _Comparison(f, outputs(operator, inputs), evidence, claim, scope).verdict()


def gradient(backward: Function, operator: Operator) -> Verdict:
    """Decide whether a backward pass returns dL/dx = A^T g, and dL/dw and dL/db if it has them.

    Args:
        backward: a function backward(x, w, g), backward(x, g) or backward(g) for a single sample
            without a batch axis, with x of shape `in_shape`, w of shape `A.kernel.shape` and
            g = dL/dy of shape `out_shape`. It returns dx, (dx, dw), (dx, dw, db) or a dictionary
            of them: dw must be B(x)^T g, and db the sum of g over the positions of each output
            channel, which is the gradient of a bias that is added to the output.
        operator: the operator A, with numbers as sizes.

    Returns:
        A verdict; its scope lists the gradients that were not returned and so not compared.

    Raises:
        KindError: when the operator is a family, or the function has other arguments.
        Exception: any error that the function itself raises on arrays of numbers.

    >>> import convalg as ca
    >>> def backward(x, w, g):
    ...     dx = [w[0] * g[0], w[1] * g[0] + w[0] * g[1], w[1] * g[1]]
    ...     dw = [x[0] * g[0] + x[1] * g[1], x[1] * g[0] + x[2] * g[1]]
    ...     return dx, dw
    >>> bool(ca.prove.gradient(backward, ca.correlation(3, ca.kernel(2))))
    True
    """
    _need_concrete(operator, "gradient")
    allowed = (3, 2, 1) if has_kernel(operator) else (2, 1)
    count = arity(backward, allowed, "backward(x, w, g), backward(x, g) or backward(g)")
    x, g = unknowns(operator.in_shape, "x"), unknowns(operator.out_shape, "g")
    inputs = {"g": g} if count == 1 else {"x": x, "g": g}
    scope = f"inputs of shape {operator.in_shape}"
    if count == 3:
        weights = unknowns(operator.kernel.shape, "w")
        inputs = {"x": x, "w": weights, "g": g}
        scope += f" and kernels of shape {weights.shape}"
    expected = gradients(operator, {"x": x, **inputs})
    evidence = Traced("gradient", operator, inputs, {})
    return _Comparison(
        backward, expected, evidence, "the backward pass is the gradient", scope
    ).verdict()


def _need_concrete(operator: object, name: str) -> None:
    if not isinstance(operator, Operator) or not operator.is_concrete:
        raise KindError(
            f"{name} compares a function with an operator of fixed sizes, not {operator!r}: "
            f"choose the sizes of a family with .at(...)"
        )


class _Comparison:
    """Compares a user function with the polynomials that it should return, by output name."""

    def __init__(
        self,
        f: Function,
        expected: dict[str, Array],
        evidence: Traced,
        claim: str,
        scope: str,
    ) -> None:
        self.f, self.expected, self.claim, self.scope = f, expected, claim, scope
        self.evidence, self.inputs = evidence, list(evidence.inputs.values())
        shapes = {name: array.shape for name, array in expected.items()}
        self.pick = one_output(shapes["y"]) if "y" in shapes else gradient_outputs(shapes)

    def verdict(self) -> Verdict:
        """Decide whether f returns these polynomials on symbols."""
        try:
            traced = trace(self.f, self.inputs, self.pick)
        except UntraceableError as error:
            return self._by_numbers(error)
        verdict = self._of(traced)
        return replace(verdict, evidence=(replace(self.evidence, outputs=traced.outputs),))

    def _of(self, traced: Trace) -> Verdict:
        """Compare the traced polynomials with the expected ones."""
        scope = _scope(self.scope, traced)
        if "db" in traced.outputs:
            scope += "; db is the sum of g over the positions"
        missing = [name for name in self.expected if name not in ("db", *traced.outputs)]
        if missing:
            scope += f"; {' and '.join(missing)} not returned, so not compared"
        for name, left in traced.outputs.items():
            right: Any = self.expected[name]
            got_array: Any = left
            if name == "db" and left.size == right.size:
                got_array = left.reshape(right.shape)
            if got_array.shape != right.shape:
                values = f"{name} of shape {got_array.shape}", f"shape {right.shape}"
                witness = Counterexample({}, None, None, *values)
                return Verdict("refuted", self.claim, scope, TRACED, witness)
            for index, expected in np.ndenumerate(right):
                got = got_array[index]
                if not got.same(expected):
                    entry = self._witness(index, got, expected, name)
                    if entry is None:
                        continue
                    shapes = (right.shape, self.inputs[0].shape)
                    return Verdict(
                        "refuted", self.claim, scope, TRACED, replace(entry, shapes=shapes)
                    )
        return Verdict("proved", self.claim, scope, TRACED)

    def _witness(
        self, index: tuple[int, ...], left: Polynomial, right: Polynomial, name: str
    ) -> Counterexample | None:
        """Return the output entry, with the entry of the first input in a wrong product."""
        gap = left - right
        wrong = sorted(gap.terms)
        first = {next(iter(e.generators)): index for index, e in np.ndenumerate(self.inputs[0])}
        column = next((first[g] for monomial in wrong for g in monomial if g in first), None)
        numbers, others = self._numbers_apart(gap)
        return Counterexample(
            {},
            index,
            column,
            left.to_sympy(),
            right.to_sympy(),
            {"output": name},
            lambda: self._replayed(numbers, others, index, left, right, name),
        )

    def _numbers_apart(self, gap: Polynomial) -> tuple[list[Array], dict[Generator, int]]:
        """Return small integers for all symbols at which a difference is not zero."""
        random = np.random.default_rng(0)
        # A non-zero polynomial vanishes on few points of a large enough grid.
        for most in range(3, 1000):
            numbers = [random.integers(1, most, array.shape) for array in self.inputs]
            others = {g: int(random.integers(1, most)) for g in sorted(gap.generators)}
            if gap.at({**others, **_values(self.inputs, numbers)}) != 0:
                return numbers, others
        raise AssertionError(f"{gap} is not zero, yet vanishes at every point tried")

    def _replayed(
        self,
        numbers: list[Array],
        others: dict[Generator, int],
        index: tuple[int, ...],
        left: Polynomial,
        right: Polynomial,
        name: str,
    ) -> tuple[Any, Any]:
        """Return the value of f at an entry, by calling f, and the correct value."""
        values = _values(self.inputs, numbers)
        if left.generators | right.generators <= values.keys():
            output = Trials(self.f, self.pick).run([array.astype(float) for array in numbers])[name]
            return output.reshape(self.expected[name].shape)[index], right.at(values)
        # Symbols that belong to the function or the operator are replaced by numbers too.
        others = {**dict.fromkeys(left.generators | right.generators, 1), **others}
        return left.at({**others, **values}), right.at({**others, **values})

    def _by_numbers(self, error: UntraceableError) -> Verdict:
        """Compare on numbers: a difference refutes, agreement is not a proof."""
        reason, scope = str(error), f"{self.scope}; {EXACT}"
        own = {g for array in self.inputs for entry in array.ravel() for g in entry.generators}
        every = [entry for array in self.expected.values() for entry in array.ravel()]
        held = sorted({g for entry in every for g in entry.generators} - own)
        if held:
            names = ", ".join(g[0] for g in held[:3])
            reason = (
                f"{reason}; the operator contains the symbols {names}, so numbers cannot decide"
            )
            return Verdict("unknown", self.claim, scope, SAMPLED, reason=reason)
        trials = Trials(self.f, self.pick, error)
        tried = 0
        try:
            for numbers in trials.inputs([array.shape for array in self.inputs]):
                witness = self._differs(trials, numbers)
                if witness is not None:
                    return trials.refuted(self.claim, scope, SAMPLED, witness, [numbers])
                tried += 1
        except UntraceableError as other:
            reason += "" if str(other) == reason else f"; {other}"
            return Verdict("unknown", self.claim, scope, SAMPLED, reason=reason)
        reason += f"; equal on all {tried} inputs tried, which is not a proof"
        return Verdict("unknown", self.claim, scope, SAMPLED, reason=reason)

    def _differs(self, trials: Trials, numbers: list[Array]) -> Counterexample | None:
        """Return the largest difference of f on the given numbers, or None if f agrees."""
        outputs = trials.floats(numbers)
        values = _values(self.inputs, numbers)
        for name, left in outputs.items():
            polynomial = self.expected[name]
            right = np.array([float(p.at(values)) for p in polynomial.ravel()])
            right = right.reshape(polynomial.shape)
            if name == "db" and left.size == right.size:
                left = left.reshape(right.shape)
            if differ(left, right, trials.tolerance):
                index, claimed, actual = first_gap(left, right)
                shown = {f"argument {k}": _shown(array) for k, array in enumerate(numbers)}
                if numbers[0].dtype.kind == "i":
                    shown["dtype"] = str(numbers[0].dtype)
                return Counterexample(
                    {},
                    index,
                    None,
                    claimed,
                    actual,
                    {"output": name, **shown},
                    self._again(numbers, index, name, actual),
                )
        return None

    def _again(
        self, numbers: list[Array], index: tuple[int, ...] | None, name: str, actual: object
    ) -> Callable[[], tuple[Any, Any]] | None:
        if index is None:
            return None
        shape = self.expected[name].shape

        def evaluate() -> tuple[Any, Any]:
            output = Trials(self.f, self.pick).run(numbers)[name]
            return output.reshape(shape)[index], actual

        return evaluate


def _values(inputs: list[Array], numbers: list[Array]) -> dict[Generator, Any]:
    """Return the exact number for each unknown of the inputs."""
    from fractions import Fraction

    return {
        next(iter(unknown.generators)): int(n) if n == int(n) else Fraction(n)
        for array, drawn in zip(inputs, numbers, strict=True)
        for unknown, n in zip(array.ravel(), drawn.ravel().tolist(), strict=True)
    }
