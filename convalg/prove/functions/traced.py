"""Certificates of verdicts about functions: the traced polynomials against those of an operator.

What a Python function computes on symbols is written to the certificate as polynomials. That the
function computes these polynomials has to be trusted, as the certificate states.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from convalg.arguments import shown
from convalg.arrays import Array
from convalg.errors import ArgumentError, KindError, TooLargeError, UndecidableError
from convalg.operators.tree import Operator
from convalg.prove import notation
from convalg.prove.certificates import comments
from convalg.prove.decisions.identities import identity, is_variable
from convalg.prove.decisions.nonlinear import Obligation
from convalg.prove.decisions.polynomials import Generator, Polynomial
from convalg.prove.functions.expected import gradients, outputs, polynomials
from convalg.prove.functions.trace import unknowns
from convalg.prove.verdict import Counterexample
from convalg.size import as_shape, size_product

Terms: TypeAlias = "list[list[Any]]"
"""A polynomial in a manifest: pairs of a coefficient as text and a list of variables."""

TRUSTED = (
    "the outputs are the polynomials that a Python function returned on symbols, over exact "
    "numbers: that the function computes them has to be trusted"
)
MOST_ENTRIES = 100_000
"""The number of entries of an array in a manifest."""
ARGUMENTS = {
    "implements": [["x"], ["x", "w"]],
    "gradient": [["g"], ["x", "g"], ["x", "w", "g"]],
    "linear": [["x"]],
}
"""The arguments that the function of each kind of claim may have."""
_NUMBER = re.compile(r"-?[0-9]{1,1000}(/[1-9][0-9]{0,999})?")
OUTPUTS = {"implements": {"y"}, "gradient": {"dx", "dw", "db"}, "linear": {"y"}}
"""The names of the outputs of each kind of claim."""


@dataclass(frozen=True, eq=False)
class Traced:
    """The claim that traced outputs are those of an operator, or are linear in the input x.

    Attributes:
        kind: "implements", "gradient" or "linear".
        operator: the operator, or None for "linear".
        inputs: the arrays of unknowns that the function was called with, by its arguments.
        outputs: the arrays of polynomials that it returned, by the names of the outputs.
    """

    kind: str
    operator: Operator | None
    inputs: dict[str, Array]
    outputs: dict[str, Array]

    @property
    def stated(self) -> str:
        """The claim about the polynomials, and what has to be trusted."""
        arrays = ", ".join(f"{name} of shape {held.shape}" for name, held in self.inputs.items())
        names = " and ".join(f"{name} of shape {y.shape}" for name, y in self.outputs.items())
        match self.kind:
            case "linear":
                claim = "f(alpha x + beta y) = alpha f(x) + beta f(y), where f is the output"
            case "implements":
                claim = f"the output is A x, where A = {self._written}"
            case _:
                claim = f"the outputs are gradients, where A = {self._written}"
        if "w" in self.inputs:
            claim += " with the kernel w"
        return f"{claim}: {names} for all {arrays}; {TRUSTED}"

    @property
    def _written(self) -> str:
        assert self.operator is not None
        return notation.write(self.operator)

    def pairs(self) -> dict[str, list[tuple[Polynomial, Polynomial]]]:
        """Return the polynomials that the claim compares, by output and entry.

        Raises: ArgumentError where the shape of an output is wrong.
        """
        compared = {}
        for name, wanted in self._wanted().items():
            held = self.outputs[name]
            if name == "db" and held.size == wanted.size:
                held = held.reshape(wanted.shape)
            if held.shape != wanted.shape:
                raise ArgumentError(f"{name} has the shape {held.shape}, not {wanted.shape}")
            left = self._at_sums(held) if self.kind == "linear" else held
            compared[name] = list(zip(left.ravel(), wanted.ravel(), strict=True))
        return compared

    def _wanted(self) -> dict[str, Array]:
        if self.kind == "linear":
            alpha, beta = self._variables["alpha"], self._variables["beta"]
            second = [(g, self._variables[f"y.{k}"]) for k, g in enumerate(_generators(self._x))]
            moved = {name: _replaced(held, dict(second)) for name, held in self.outputs.items()}
            return {
                name: polynomials(np.asarray(alpha * held + beta * moved[name], dtype=object))
                for name, held in self.outputs.items()
            }
        assert self.operator is not None
        wanted = (outputs if self.kind == "implements" else gradients)(self.operator, self.inputs)
        if not set(self.outputs) <= set(wanted):
            raise ArgumentError(
                f"the outputs {', '.join(self.outputs)} cannot be compared with functions of "
                f"{', '.join(self.inputs)} alone"
            )
        return {name: wanted[name] for name in self.outputs}

    @property
    def _x(self) -> Array:
        return self.inputs["x"]

    @property
    def _variables(self) -> dict[str, Polynomial]:
        names = ["alpha", "beta", *(f"y.{k}" for k in range(self._x.size))]
        # The tag tells them apart from symbols of the function with these names.
        return {name: Polynomial({(Generator((name, "#certificate")),): 1}) for name in names}

    def _at_sums(self, held: Array) -> Array:
        """Return the outputs at alpha x + beta y."""
        named = self._variables
        alpha, beta = named["alpha"], named["beta"]
        sums = {
            generator: alpha * x + beta * named[f"y.{k}"]
            for k, (generator, x) in enumerate(
                zip(_generators(self._x), self._x.ravel(), strict=True)
            )
        }
        return _replaced(held, sums)

    def obligations(self) -> list[Obligation]:
        """Return the obligations of a proof: one identity for each output.

        Raises: UndecidableError where a coefficient is not rational, or the polynomials have too
        many terms.
        """
        lines = comments(self.stated)
        sentence = "the traced polynomials are the claimed ones in each entry of "
        try:
            return [
                identity(f"output-{name}", f"{sentence}{name}", pairs, lines)
                for name, pairs in self.pairs().items()
            ]
        except TooLargeError as error:
            raise UndecidableError(f"budget exceeded: {error}") from None

    def manifest(self) -> dict[str, Any]:
        """Return the claim for the manifest of a certificate.

        Raises: UndecidableError for a polynomial with irrational coefficients, or with different
        symbols of the same name.
        """
        named = self._names()
        return {
            "function": self.kind,
            "trusted": TRUSTED,
            "operator": None if self.operator is None else self._written,
            "inputs": {name: list(held.shape) for name, held in self.inputs.items()},
            "outputs": {
                name: {
                    "shape": list(held.shape),
                    "entries": [_written_terms(value, named) for value in held.ravel()],
                }
                for name, held in self.outputs.items()
            },
        }

    def _names(self) -> dict[Generator, str]:
        """Return the name of each variable of the outputs: "x.0", or that of a symbol."""
        named = {
            generator: f"{name}.{k}"
            for name, held in self.inputs.items()
            for k, generator in enumerate(_generators(held))
        }
        values = [value for held in self.outputs.values() for value in held.ravel()]
        others = sorted({g for value in values for g in value.generators} - named.keys())
        repeated = [name for name, count in Counter(g[0] for g in others).items() if count > 1]
        for generator in others:
            plain = generator[0].isidentifier() and generator[0].isascii()
            if (
                repeated
                or not (plain and is_variable(generator))
                or _read_symbol(generator[0]) != (generator)
            ):
                raise UndecidableError(
                    f"an output of the function contains {generator}, which is not a plain symbol "
                    f"of one meaning, so that it has no certificate"
                )
        return named | {generator: generator[0] for generator in others}

    def failure(self, counterexample: Counterexample) -> dict[str, Any]:
        """Return a counterexample for the manifest: the output and the entry that differ.

        Raises: ArgumentError for an output that depends on an argument that the function lacks.
        """
        row, wanted = counterexample.row_index, self._wanted()
        name = counterexample.inputs.get("output", "y")
        if row is None:
            name = next(n for n, held in self.outputs.items() if held.shape != wanted[n].shape)
        return {"output": name, "row": None if row is None else list(row)}

    def replayed(self, stated: Mapping[str, object]) -> tuple[str, str]:
        """Return where the claim fails at a counterexample of a manifest, as text, and a problem.

        Raises: ArgumentError for values that are not of the required form.
        """
        name, row = stated.get("output"), stated.get("row")
        if set(stated) != {"output", "row"} or name not in list(self.outputs):
            raise ArgumentError("the counterexample must have an output and the index of an entry")
        wanted, held = self._wanted()[name], self.outputs[name]
        if row is None:
            text = f"{name} has the shape {held.shape}, not {wanted.shape}"
            return text, "" if held.shape != wanted.shape else "the shapes are equal"
        shape = wanted.shape
        if (
            not isinstance(row, list)
            or len(row) != len(shape)
            or not all(type(k) is int and 0 <= k < size for k, size in zip(row, shape, strict=True))
        ):
            raise ArgumentError(f"the row of the counterexample must be an index of {name}")
        pairs = self.pairs()[name]
        left, right = pairs[int(np.ravel_multi_index(tuple(row), shape)) if shape else 0]
        at = f"at the entry {tuple(row)} of {name}: {left}, not {right}"
        return at, "both sides are equal there" if left.same(right) else ""


def _generators(held: Array) -> Iterator[Generator]:
    """Yield the generator of each entry of an array of unknowns."""
    for value in held.ravel():
        (generator,) = value.generators
        yield generator


def _replaced(held: Array, values: dict[Generator, Polynomial]) -> Array:
    """Return an array of polynomials with some generators replaced by polynomials."""
    replaced = np.empty(held.shape, dtype=object)
    for index, value in np.ndenumerate(held):
        own = {g: values.get(g, Polynomial({(g,): 1})) for g in value.generators}
        replaced[index] = Polynomial.of(value.at(own))
    return replaced


def _written_terms(value: Polynomial, named: dict[Generator, str]) -> Terms:
    return [
        [str(Fraction(coefficient)), [named[generator] for generator in monomial]]
        for monomial, coefficient in sorted(value.terms.items())
    ]


def _read_symbol(name: str) -> Generator:
    """Return the generator of a symbol without assumptions."""
    import sympy

    (generator,) = Polynomial.of(sympy.Symbol(name)).generators
    return generator


def read(entry: Mapping[str, object]) -> Traced:
    """Return the claim of a manifest.

    Raises: ArgumentError or KindError for values that are not of the required form.
    """
    kind, written = entry.get("function"), entry.get("operator")
    if not isinstance(kind, str) or kind not in ARGUMENTS:
        raise ArgumentError(f"function must be one of {', '.join(ARGUMENTS)}, not {shown(kind)}")
    operator = None if kind == "linear" else notation.read(_text(written))
    if operator is not None and not operator.is_concrete:
        raise ArgumentError("the operator of a function must have numbers as sizes")
    shapes, listed = entry.get("inputs"), entry.get("outputs")
    if not isinstance(shapes, dict) or list(shapes) not in ARGUMENTS[kind]:
        raise ArgumentError(f"inputs must be the shapes of {ARGUMENTS[kind]}")
    inputs = {name: unknowns(_shape(shape), name) for name, shape in shapes.items()}
    if operator is not None:
        wanted = {"x": operator.in_shape, "g": operator.out_shape}
        if "w" in inputs:
            wanted["w"] = operator.kernel.shape
        if any(held.shape != tuple(wanted[name]) for name, held in inputs.items()):
            raise ArgumentError("the shapes of the inputs must be those of the operator")
    if not isinstance(listed, dict) or not listed or not set(listed) <= OUTPUTS[kind]:
        raise ArgumentError(f"outputs must be some of {sorted(OUTPUTS[kind])}")
    named = {
        f"{name}.{k}": generator
        for name, held in inputs.items()
        for k, generator in enumerate(_generators(held))
    }
    outputs = {name: _read_array(array, named) for name, array in listed.items()}
    return Traced(kind, operator, inputs, outputs)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise KindError(f"an operator must be written as text, not {shown(value)}")
    return value


def _shape(value: object) -> tuple[int, ...]:
    shape = as_shape(tuple(value), "shape") if isinstance(value, list) and value else ()
    if not isinstance(value, list) or size_product(shape) > MOST_ENTRIES:
        raise ArgumentError(
            f"a shape must be a list of sizes with a product of at most {MOST_ENTRIES}, not "
            f"{shown(value)}"
        )
    return shape


def _read_array(value: object, named: dict[str, Generator]) -> Array:
    if not isinstance(value, dict) or set(value) != {"shape", "entries"}:
        raise KindError(f"an output must have a shape and entries, not {shown(value)}")
    shape, entries = _shape(value["shape"]), value["entries"]
    if not isinstance(entries, list) or len(entries) != size_product(shape):
        raise ArgumentError(f"an output of shape {shape} must have as many entries")
    array = np.empty(len(entries), dtype=object)
    for k, terms in enumerate(entries):
        array[k] = _read_polynomial(terms, named)
    return array.reshape(shape)


def _read_polynomial(terms: object, named: dict[str, Generator]) -> Polynomial:
    read: dict[tuple[Generator, ...], Fraction] = {}
    for term in terms if isinstance(terms, list) else [terms]:
        if not isinstance(term, list) or len(term) != 2 or not isinstance(term[1], list):
            raise KindError(f"a term must have a coefficient and variables, not {shown(term)}")
        monomial = tuple(sorted(named.get(name) or _read_symbol(_text(name)) for name in term[1]))
        if not _NUMBER.fullmatch(_text(term[0])):
            raise ArgumentError(
                f"a coefficient must be a fraction such as -1/2, not {shown(term[0])}"
            )
        read[monomial] = Fraction(term[0])
    return Polynomial(read)
