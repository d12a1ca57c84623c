"""Derivations of products of layers: the adjoint, the kernel gradients, the size and linearity."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from convalg.operators.tree import Compose
from convalg.prove.derivations.derivation import Step, step
from convalg.prove.derivations.kernel_gradient import gradient_of
from convalg.prove.derivations.layer_sums import Names, Subject
from convalg.prove.derivations.output_size import size_steps
from convalg.prove.derivations.statements import Equation, Setting, VectorEquation
from convalg.prove.derivations.sums import (
    Applied,
    Array,
    Derivative,
    Entry,
    Inner,
    Mix,
    Named,
    ProductSum,
    TransposedName,
    Vector,
)


class _FactorNames(Names):
    """The names of one factor of a product: A_k with weights w^(k), applied to x or v."""

    def __init__(self, number: int, *symbols: object) -> None:
        super().__init__(*symbols)
        self._number = number

    def __call__(self, name: str) -> str:
        """Return the name of the factor itself, of its weights, of its input or of an index."""
        match name:
            case "A":
                return f"{super().__call__(name)}_{{{self._number}}}"
            case "w":
                return f"{super().__call__(name)}^{{({self._number})}}"
            case "x" if self._number > 1:
                return super().__call__("v")
        return super().__call__(name)


@dataclass(frozen=True, eq=False)
class LayerProduct:
    """A product of layers; layer 1 is applied first."""

    subjects: tuple[Subject, ...]
    setting: Setting
    names: Names

    @staticmethod
    def of(operator: Compose, name: str) -> LayerProduct:
        """Return the layers of a product.

        Raises: KindError for a factor that is not a layer.
        """
        layers = [Subject.of(factor, name) for factor in reversed(operator.factors)]
        pairs = {pair for layer in layers for pair in layer.setting.named}
        setting = Setting.of(operator, named=tuple(sorted(pairs, key=str)))
        symbols = (*setting.symbols, *(symbol for symbol, _ in pairs))
        subjects = tuple(
            replace(layer, setting=setting, names=_FactorNames(number, *symbols))
            for number, layer in enumerate(layers, 1)
        )
        return LayerProduct(subjects, setting, Names(*symbols))

    @cached_property
    def definitions(self) -> list[tuple[Named, Step]]:
        """The layers as operators, each with the step that defines it."""
        return [subject.definition() for subject in self.subjects]

    @property
    def layers(self) -> list[Named]:
        """The layers as operators."""
        return [named for named, _ in self.definitions]

    @property
    def defined(self) -> list[Step]:
        """The steps that define the layers."""
        return [
            replace(each, reason=f"layer {number}: {each.reason}")
            for number, (_, each) in enumerate(self.definitions, 1)
        ]

    @property
    def x(self) -> Array:
        """The input of the product."""
        return Array(self.names("x"), self.subjects[0].shapes[0])

    @property
    def g(self) -> Array:
        """The gradient of the output of the product."""
        return Array(self.names("g"), self.subjects[-1].shapes[1])

    def before(self, number: int) -> Vector:
        """Return the output of the first layers: the input of layer `number`, counted from 0."""
        return _applied(tuple(reversed(self.layers[:number])), self.x)

    def after(self, number: int) -> Vector:
        """Return the gradient of the output of layer `number - 1`."""
        return _applied(tuple(layer.T for layer in self.layers[number:]), self.g)


def _applied(factors: tuple[Named | TransposedName, ...], vector: Vector) -> Vector:
    return Applied(ProductSum(factors), vector) if factors else vector


def adjoint_steps(operator: Compose) -> list[Step]:
    """Return the steps to the adjoint of a product: the adjoints in reverse order."""
    product = LayerProduct.of(operator, "the adjoint")
    setting, x, g = product.setting, product.x, product.g
    count = len(product.layers)
    output = product.before(count)
    steps = product.defined
    for number, (subject, named) in enumerate(
        zip(product.subjects, product.layers, strict=True), 1
    ):
        sums = subject.sums
        v = Array(subject.names("u"), named.out_shape)
        letters = ("o", "k") if subject.transposed else ("i", "c")
        row = Entry(Applied(named.T, v), sums.index(*letters))
        free = sums.free(*letters, named.in_shape)
        total = sums.forward(v) if subject.transposed else sums.backward(v)
        reason = f"the adjoint of layer {number}: collect the coefficient of each input"
        steps.append(step(Equation(row, total, free), reason, setting))
    steps.append(
        step(
            Equation(Inner(g, output), Inner(product.after(0), x)),
            "move one layer after the other to the gradient g: the adjoint of a product is the "
            "product of the adjoints, in reverse order",
            setting,
        )
    )
    first = product.subjects[0]
    letters = ("o", "k") if first.transposed else ("i", "c")
    index = first.sums.index(*letters)
    slope = Derivative(Inner(g, output), Entry(x, index))
    free = first.sums.free(*letters, x.shape)
    steps.append(
        step(
            Equation(slope, Entry(product.after(0), index), free),
            "back-propagation with g = dL/dy held fixed: this is dL/dx",
            setting,
        )
    )
    return steps


def gradient_steps(operator: Compose) -> list[Step]:
    """Return the steps to the gradient of the kernel of each layer of a product."""
    product = LayerProduct.of(operator, "the kernel gradient")
    output = product.before(len(product.layers))
    steps = product.defined
    for number, subject in enumerate(product.subjects):
        if subject.sums.weights is None:
            continue
        part = gradient_of(subject)
        slope = Derivative(Inner(product.g, output), part.weight)
        total = part.total(product.before(number), product.after(number + 1))
        reason = (
            f"chain rule with g = dL/dy held fixed: dL/dw of layer {number + 1}, from the output "
            f"of the layers before it and the gradient through the layers after it"
        )
        equation = Equation(slope, total, part.weight_ranges())
        steps.append(step(equation, reason, product.setting))
    return steps


def sizes_steps(operator: Compose) -> list[Step]:
    """Return the steps to the output size of each layer of a product."""
    product = LayerProduct.of(operator, "the output size")
    return [
        replace(each, reason=f"layer {number}: {each.reason}")
        for number, subject in enumerate(product.subjects, 1)
        for each in size_steps(subject)
    ]


def linearity_steps(operator: Compose) -> list[Step]:
    """Return the steps to the linearity of a product of layers."""
    product = LayerProduct.of(operator, "linearity")
    names, setting, x = product.names, product.setting, product.x
    z = Array(names("z"), x.shape)
    a, b = names("\\alpha"), names("\\beta")
    steps = product.defined
    mixed, apart = Mix(((a, x), (b, z))), (x, z)
    for number in range(1, len(product.layers) + 1):
        factors = tuple(reversed(product.layers[:number]))
        left = Applied(ProductSum(factors), mixed)
        one, other = (Applied(ProductSum(factors), vector) for vector in apart)
        reason = (
            "layer 1 is linear"
            if number == 1
            else f"layer {number} is linear, applied to a linear combination of two vectors"
        )
        steps.append(step(VectorEquation(left, Mix(((a, one), (b, other)))), reason, setting))
    return steps
