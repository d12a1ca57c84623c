"""The derivation of the kernel gradient: back-propagation to the weights of a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from convalg.errors import KindError
from convalg.prove.derivations.conditions import Condition, Value
from convalg.prove.derivations.derivation import Step, step
from convalg.prove.derivations.indices import Index, variable
from convalg.prove.derivations.layer_sums import LayerSums, Subject
from convalg.prove.derivations.one_layer import kind_of
from convalg.prove.derivations.statements import Definition, Equation, Ranges, VectorEquation
from convalg.prove.derivations.sums import (
    Applied,
    Array,
    Derivative,
    Entry,
    Expression,
    IndexSum,
    Inner,
    Named,
    Times,
    Vector,
)


def gradient_of(subject: Subject) -> LayerGradient:
    """Return the parts of the kernel gradient of a layer."""
    return (_TransposedGradient if subject.transposed else LayerGradient)(subject)


class LayerGradient:
    """The kernel gradient of a correlation or convolution."""

    order = "oli"
    """The parts of a triple (o, i, label) that are the row, column and label of B."""

    def __init__(self, subject: Subject) -> None:
        sums = subject.sums
        if sums.weights is None:
            raise KindError(
                f"the kernel gradient cannot be derived for {subject.layer.operator!r}, which does "
                f"not have weights: use a correlation or convolution"
            )
        self.subject, self.sums, self.setting = subject, sums, subject.setting
        self.w = sums.weights
        self.in_shape, self.out_shape = subject.shapes
        self.x = Array(sums.names("x"), self.in_shape)
        self.g = Array(sums.names("g"), self.out_shape)
        self.weight = Entry(self.w, sums.tap())

    def steps(self) -> list[Step]:
        """Return the steps from the definition to the transpose of B."""
        sums, setting = self.sums, self.setting
        named, first = self.subject.definition()
        output, patches = Applied(named, self.x), self._patches()
        slope = Derivative(Inner(self.g, output), self.weight)
        source, kernel = ("g", "x") if self.subject.transposed else ("x", "g")
        strided = any(axis.stride != 1 for axis in sums.geometry.axes)
        details = [f"{kernel} dilated by the stride"] if strided else []
        details += ["the taps in reverse order"] if kind_of(sums.geometry) == "convolution" else []
        tail = f"; {', '.join(details)}" if details else ""
        both = VectorEquation(output, Applied(patches, self.w))
        return [
            first,
            step(self._local(output), "the output is linear in each weight", setting),
            step(
                Equation(slope, self.total(self.x, self.g), self.weight_ranges()),
                f"chain rule with g = dL/dy held fixed: this is dL/dw, {source} correlated with "
                f"{kernel}{tail}",
                setting,
            ),
            step(
                self._defined(patches),
                "the products of the layer, as an operator B that is built from x and acts on "
                "kernels",
                setting,
            ),
            step(both, "the layer is B applied to its kernel", setting),
            step(
                Equation(
                    slope, Entry(Applied(patches.T, self.g), sums.tap()), self.weight_ranges()
                ),
                "in matrix form: the transpose of B maps g to the gradient of the weights",
                setting,
            ),
        ]

    def weight_ranges(self) -> Ranges:
        """The free indices of one weight."""
        shape = self.sums.geometry.kernel_shape
        pairs = zip(self.sums.tap(), shape, strict=True)
        return tuple(
            (atom, size)
            for index, size in pairs
            for _, atom in index.terms
            if isinstance(atom, str)
        )

    def _row(self) -> tuple[tuple[Index, ...], Ranges]:
        """The index of one output."""
        return self.sums.index("o", "k"), self.sums.free("o", "k", self.out_shape)

    def _local(self, output: Applied) -> Equation:
        """The derivative of an output with respect to a weight that it uses: an input."""
        sums = self.sums
        row, free = self._row()
        right = Entry(self.x, (*((sums.channel,) if sums.lead else ()), *sums.read()))
        ranges = dict((*free, *self.weight_ranges()))
        return Equation(Derivative(Entry(output, row), self.weight), right, tuple(ranges.items()))

    def total(self, inputs: Vector, gradient: Vector) -> Expression:
        """Return the gradient of one weight: the sum over o of g[k, o] x[c(k, e), s o + d t - p].

        Args:
            inputs: the input x of the operator.
            gradient: the gradient g of its output.
        """
        return self._correlated(gradient, inputs)

    def _correlated(self, outputs: Vector, inputs: Vector) -> IndexSum:
        sums = self.sums
        at = (*((sums.channel,) if sums.lead else ()), *sums.read())
        body = Times((Entry(outputs, sums.index("o", "k")), Entry(inputs, at)))
        return IndexSum(sums.each("o"), body)

    def _patches(self) -> Named:
        """B, made by exchanging the parts of the triples."""
        sums = self.sums
        geometry = sums.geometry
        inner = sums.operator("A").entries
        widths = {
            "o": len(geometry.out_shape),
            "i": len(geometry.in_shape),
            "l": len(geometry.kernel_shape),
        }

        def entries(point: Sequence[Value]) -> list[Condition]:
            parts, start = {}, 0
            for part in self.order:
                parts[part] = point[start : start + widths[part]]
                start += widths[part]
            return inner((*parts["o"], *parts["i"], *parts["l"]))

        return Named(sums.names("B"), self.out_shape, geometry.kernel_shape, entries, self.x)

    def _defined(self, patches: Named) -> Definition:
        """The sum that defines B: that of the layer, with any kernel u."""
        sums = self.sums
        geometry = sums.geometry
        u = Array(sums.names("u"), geometry.kernel_shape)
        own = replace(sums, weights=u)
        row, free = self._row()
        equation = Equation(Entry(Applied(patches, u), row), self._sum(own), free)
        shapes = (geometry.kernel_shape, self.out_shape, self.in_shape)
        return Definition(patches, equation, shapes, sums.rules)

    def _sum(self, sums: LayerSums) -> Expression:
        return sums.forward(self.x)


class _TransposedGradient(LayerGradient):
    """The kernel gradient of a transposed layer."""

    order = "ilo"

    def _row(self) -> tuple[tuple[Index, ...], Ranges]:
        return self.sums.index("i", "c"), self.sums.free("i", "c", self.out_shape)

    def _local(self, output: Applied) -> Equation:
        """The derivative of an output with respect to a weight: the inputs it multiplies there."""
        sums = self.sums
        outputs = tuple(map(variable, sums.each("i")))
        row = (*((sums.channel,) if sums.lead else ()), *outputs)
        conditions = tuple(zip(sums.read(), outputs, strict=True))
        right = IndexSum(sums.each("o"), Entry(self.x, sums.index("o", "k")), conditions)
        spatial = tuple(zip(sums.each("i"), self.out_shape[sums.lead :], strict=True))
        free = (*spatial, *self.weight_ranges())
        return Equation(Derivative(Entry(output, row), self.weight), right, free)

    def total(self, inputs: Vector, gradient: Vector) -> Expression:
        """Return the sum over o of x[k, o] g[c(k, e), s o + d t - p]."""
        return self._correlated(inputs, gradient)

    def _sum(self, sums: LayerSums) -> Expression:
        return sums.backward(self.x)
