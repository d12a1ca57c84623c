"""The derivation of the adjoint: back-propagation to the input of a layer."""

from __future__ import annotations

from typing import Any

from convalg.axis import Axis
from convalg.geometry import Geometry
from convalg.prove.derivations.derivation import Step, step
from convalg.prove.derivations.indices import Index, expanded, read_at, variable
from convalg.prove.derivations.layer_sums import (
    LayerSums,
    Subject,
    moves,
    relabelled,
    swapped,
)
from convalg.prove.derivations.one_layer import kind_of
from convalg.prove.derivations.statements import Definition, Equation, OperatorEquation
from convalg.prove.derivations.sums import (
    Applied,
    Array,
    Entry,
    IndexSum,
    Inner,
    Named,
    ProductSum,
    Times,
    Vector,
)


def adjoint_steps(subject: Subject) -> list[Step]:
    """Return the steps from the definition of a layer to its adjoint as a product of operators."""
    parts = _TransposedAdjoint if subject.transposed else _LayerAdjoint
    return parts(subject).steps()


class _TransposedAdjoint:
    """The adjoint of a transposed layer: the strided layer itself."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.setting, self.sums = subject, subject.setting, subject.sums
        self.x = Array(subject.names("x"), subject.shapes[0])
        self.g = Array(subject.names("g"), subject.shapes[1])

    def steps(self) -> list[Step]:
        """Return the steps from the definition to A^T = C."""
        sums, setting, g = self.sums, self.setting, self.g
        named, first = self.subject.definition()
        layer = sums.operator("C")
        pairing = Equation(Inner(g, Applied(named, self.x)), self._exchanged())
        row = Entry(Applied(named.T, g), sums.index("o", "k"))
        free = sums.free("o", "k", sums.geometry.out_shape)
        kind = self.subject.layer.layer_kind
        is_pooling = sums.weights is None
        products = "input" if is_pooling else "product of an input and a weight"
        window = "window" if is_pooling else "kernel"
        return [
            first,
            step(
                pairing,
                f"take the inner product of the output with a gradient g and exchange the sums: "
                f"each {products} is multiplied by one entry of g",
                setting,
            ),
            step(
                Equation(row, sums.forward(g), free),
                "collect the coefficient of each input: its taps times g, at the outputs they "
                "write to",
                setting,
            ),
            step(
                sums.definition(layer, g),
                f"C is the {kind} with the same {window}, stride and padding",
                setting,
            ),
            step(
                OperatorEquation(named.T, layer),
                f"in matrix form: the adjoint of the transposed layer is the {kind}",
                setting,
            ),
        ]

    def _exchanged(self) -> IndexSum:
        """Sum over k, o of x[k, o] times the sum that reads g."""
        sums = self.sums
        outer = (*((sums.letter("k"),) if sums.lead else ()), *sums.each("o"))
        at = Entry(self.x, sums.index("o", "k"))
        return IndexSum(outer, Times((at, sums.forward(self.g))))


class _LayerAdjoint:
    """The adjoint of a correlation or convolution."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.setting, self.names = subject, subject.setting, subject.names
        self.sums = subject.sums
        self.g = Array(self.names("g"), subject.shapes[1])

    def steps(self) -> list[Step]:
        """Return the steps from the definition to the adjoint as a product of operators."""
        setting, geometry = self.setting, self.sums.geometry
        named, first = self.subject.definition()
        steps = [first]
        if all(axis.boundary == "zeros" for axis in geometry.axes):
            more, result = self._without_border(self.sums, named)
            return [*steps, *more]
        border, inside = self._split()
        inner = inside.operator("A_{0}")
        v = Array(self.names("v"), inside.geometry.in_shape)
        steps += [
            step(border.read, "the boundary rule as an operator P, which repeats samples", setting),
            step(inside.definition(inner, v), "the layer A_0, applied to the output of P", setting),
            step(
                OperatorEquation(named, ProductSum((inner, border.operator))),
                "apply the boundary rule first, then the layer without it",
                setting,
            ),
        ]
        more, result = self._without_border(inside, inner)
        border_adjoint = border.operator.T
        return [
            *steps,
            *more,
            step(
                border.added,
                "the adjoint of P adds each sample to the one that it was copied from",
                setting,
            ),
            step(
                OperatorEquation(named.T, ProductSum((border_adjoint, inner.T))),
                "the adjoint of a product is the product of the adjoints, in reverse order",
                setting,
            ),
            step(
                OperatorEquation(named.T, ProductSum((border_adjoint, *result.factors))),
                "in matrix form, everything combined",
                setting,
            ),
        ]

    def _split(self) -> tuple[_Border, LayerSums]:
        """The boundary rule as an operator, and the layer without it."""
        geometry = self.sums.geometry
        outer, inner = [], []
        for axis in geometry.axes:
            if axis.boundary == "zeros":
                outer.append(Axis(axis.in_size, axis.in_size))
                inner.append(axis)
                continue
            # The stride may leave samples at the end unread: only samples that are read are padded.
            length = expanded(axis.in_size + axis.before + axis.after)
            outer.append(Axis(axis.in_size, length, padding=axis.before, boundary=axis.boundary))
            start = expanded(axis.padding - axis.before)
            inner.append(Axis(length, axis.out_size, axis.taps, axis.stride, axis.dilation, start))
        layer = Geometry(tuple(inner), geometry.in_channels, geometry.out_channels, geometry.groups)
        border = _Border(tuple(outer), self.sums, layer)
        return border, self.sums.of(layer)

    def _without_border(self, sums: LayerSums, named: Named) -> tuple[list[Step], ProductSum]:
        """From the inner product with g to the product of operators, for a zero-padded layer."""
        setting, g = self.setting, self.g
        x = Array(self.names("x" if sums is self.sums else "v"), sums.geometry.in_shape)
        outer = (*((sums.letter("k"),) if sums.lead else ()), *sums.each("o"))
        at = Entry(g, sums.index("o", "k"))
        pairing = IndexSum(outer, Times((at, sums.forward(x))))
        row = Entry(Applied(named.T, g), sums.index("i", "c"))
        free = sums.free("i", "c", sums.geometry.in_shape)
        steps = [
            step(
                Equation(Inner(g, Applied(named, x)), pairing),
                "take the inner product of the output with a gradient g",
                setting,
            ),
            step(
                Equation(row, sums.backward(g), free),
                "exchange the sums and collect the coefficient of each input",
                setting,
            ),
        ]
        more, result = _Flipped(self, sums, named).steps()
        return steps + more, result


class _Border:
    """The operator P of a boundary rule, with the sums that define P and its adjoint."""

    def __init__(self, axes: tuple[Axis, ...], sums: LayerSums, inside: Geometry) -> None:
        names, geometry = sums.names, sums.geometry
        self.operator = moves(names("P"), axes, geometry.in_channels)
        own = sums.of(Geometry(axes, geometry.in_channels, geometry.in_channels))
        x, v = Array(names("x"), geometry.in_shape), Array(names("v"), inside.in_shape)
        padded = own.each("j")
        at = tuple(
            read_at(axis, j, border=border) if border else variable(j)
            for axis, j, border in zip(axes, padded, own.borders, strict=True)
        )
        lead = (variable(names("c")),) if own.lead else ()
        row = Entry(Applied(self.operator, x), own.index("j", "c"))
        free = own.free("j", "c", inside.in_shape)
        shapes = (geometry.in_shape, inside.in_shape)
        reads = Entry(x, (*lead, *at))
        self.read = Definition(self.operator, Equation(row, reads, free), shapes, own.rules)
        targets = tuple(map(variable, own.each("i")))
        back = Entry(Applied(self.operator.T, v), own.index("i", "c"))
        self.added = Equation(
            back,
            IndexSum(padded, Entry(v, own.index("j", "c")), tuple(zip(at, targets, strict=True))),
            own.free("i", "c", geometry.in_shape),
        )


class _Flipped:
    """The adjoint of a zero-padded layer as a layer with the flipped kernel.

    S inserts zeros for the stride, P pads for the offset, and A' has the flipped kernel.
    """

    def __init__(self, owner: _LayerAdjoint, sums: LayerSums, named: Named) -> None:
        self.setting, self.names, self.g = owner.setting, owner.names, owner.g
        self.sums, self.named = sums, named
        axes = sums.geometry.axes
        self.lengths = [expanded(a.tight_size) for a in axes]
        self.strided = any(axis.stride != 1 for axis in axes)
        # With a boundary rule, P is the name of its operator.
        self.pad_name = self.names("P") + ("" if sums is owner.sums else "'")

    def steps(self) -> tuple[list[Step], ProductSum]:
        """Return the steps and the product of operators."""
        sums, setting = self.sums, self.setting
        geometry = sums.geometry
        transposed = Entry(Applied(self.named.T, self.g), sums.index("i", "c"))
        free = sums.free("i", "c", geometry.in_shape)
        steps: list[Step] = []
        source: Vector = self.g
        tail: tuple[Named, ...] = ()
        if self.strided:
            upsampled, more = self._upsampled()
            steps += more
            source, tail = Applied(upsampled, self.g), (upsampled,)
        axes = zip(geometry.axes, sums.each("i"), sums.each("t"), strict=True)
        at = tuple(_flipped_read(axis, i, t) for axis, i, t in axes)
        direct = sums.gathered(source, at, sums.flipped_tap())
        rotated = " (in two dimensions: rotated by 180 degrees)" if len(geometry.axes) == 2 else ""
        flip = "the window is" if sums.weights is None else "the kernel is"
        steps.append(
            step(
                Equation(transposed, direct, free),
                f"index the taps from the other end: {flip} flipped{rotated}",
                setting,
            )
        )
        padded, pad_step = self._padded()
        flipped, layer_step = self._flipped_layer(padded)
        result = ProductSum((flipped, padded, *tail))
        applied_to = ", applied to the upsampled gradient" if self.strided else ""
        last = f"the {kind_of(geometry)} with the flipped kernel"
        if sums.weights is None:
            last = "sum over windows"
        steps += [
            pad_step,
            layer_step,
            step(
                OperatorEquation(self.named.T, result),
                f"in matrix form: pad, then {last}{applied_to}",
                setting,
            ),
        ]
        return steps, result

    def _upsampled(self) -> tuple[Named, list[Step]]:
        """S, which inserts zeros between samples, and A_1, the layer without its stride."""
        sums, setting = self.sums, self.setting
        geometry = sums.geometry
        axes = [
            Axis(length, axis.out_size, stride=axis.stride)
            for axis, length in zip(geometry.axes, self.lengths, strict=True)
        ]
        named = swapped(moves(self.names("S"), axes, geometry.out_channels))
        row = Entry(Applied(named, self.g), sums.index("j", "k"))
        outputs, targets = sums.each("o"), map(variable, sums.each("j"))
        conditions = tuple(
            (Index(((axis.stride, o),)), j)
            for axis, o, j in zip(geometry.axes, outputs, targets, strict=True)
        )
        total = IndexSum(outputs, Entry(self.g, sums.index("o", "k")), conditions)
        free = sums.free("j", "k", named.out_shape)
        shapes = (geometry.out_shape, named.out_shape)
        dense_axes = tuple(
            Axis(axis.in_size, length, axis.taps, 1, axis.dilation, axis.padding)
            for axis, length in zip(geometry.axes, self.lengths, strict=True)
        )
        dense = sums.of(
            Geometry(dense_axes, geometry.in_channels, geometry.out_channels, geometry.groups)
        )
        every = dense.operator("A_{1}")
        x = Array(self.names("x"), geometry.in_shape)
        return named, [
            step(
                Definition(named, Equation(row, total, free), shapes),
                "S inserts zeros between the samples of g, as many as the stride skips",
                setting,
            ),
            step(dense.definition(every, x), "A_1 is the layer with stride 1", setting),
            step(
                OperatorEquation(self.named.T, ProductSum((every.T, named))),
                "the adjoint of the stride upsamples g with zeros",
                setting,
            ),
        ]

    def _margins(self) -> list[tuple[Any, Any]]:
        """Return the padding: d (k - 1) - p in front, and the missing samples at the end."""
        pairs = []
        for axis, length in zip(self.sums.geometry.axes, self.lengths, strict=True):
            before = expanded(axis.span - 1 - axis.before)
            pairs.append((before, expanded(axis.in_size + axis.span - 1 - before - length)))
        return pairs

    def _padded(self) -> tuple[Named, Step]:
        """P, which pads with zeros; where the padding is negative it crops."""
        sums, geometry = self.sums, self.sums.geometry
        axes = [
            Axis(length, expanded(length + before + after), padding=before)
            for length, (before, after) in zip(self.lengths, self._margins(), strict=True)
        ]
        named = moves(self.pad_name, axes, geometry.out_channels)
        v = Array(self.names("v"), named.in_shape)
        at = tuple(
            Index(((1, j),), expanded(-axis.padding))
            for axis, j in zip(axes, sums.each("j"), strict=True)
        )
        lead = (variable(self.names("k")),) if sums.lead else ()
        row = Entry(Applied(named, v), sums.index("j", "k"))
        free = sums.free("j", "k", named.out_shape)
        read = Equation(row, Entry(v, (*lead, *at)), free)
        shapes = (named.in_shape, named.out_shape)
        reason = f"{self.pad_name} pads with zeros; a negative padding crops"
        return named, step(Definition(named, read, shapes), reason, self.setting)

    def _flipped_layer(self, padded: Named) -> tuple[Named, Step]:
        """A', the valid layer with stride 1 and the flipped kernel, channels exchanged."""
        sums, geometry = self.sums, self.sums.geometry
        lengths = padded.out_shape[sums.lead :]
        axes = tuple(
            Axis(
                length,
                axis.in_size,
                axis.taps,
                1,
                axis.dilation,
                expanded(-(axis.span - 1)) if axis.is_backwards else 0,
            )
            for axis, length in zip(geometry.axes, lengths, strict=True)
        )
        exchanged = Geometry(axes, geometry.out_channels, geometry.in_channels, geometry.groups)
        if sums.weights is None:
            named = sums.named("A'", exchanged)
        else:
            named = relabelled(exchanged, sums.weights, "A'", geometry)
        v = Array(self.names("v"), named.in_shape)
        at = tuple(
            read_at(axis, i, t)
            for axis, i, t in zip(axes, sums.each("i"), sums.each("t"), strict=True)
        )
        row = Entry(Applied(named, v), sums.index("i", "c"))
        total = sums.gathered(v, at, sums.flipped_tap())
        free = sums.free("i", "c", geometry.in_shape)
        shapes = (named.in_shape, named.out_shape, *sums.weight_shapes)
        channels = ", input and output channels exchanged" if sums.lead else ""
        reason = f"A' is the valid {kind_of(geometry)} with the flipped kernel{channels}"
        if sums.weights is None:
            reason = "A' sums over the windows of the padded gradient"
        statement = Definition(named, Equation(row, total, free), shapes)
        return named, step(statement, reason, self.setting)


def _flipped_read(axis: Axis, i: str, t: str) -> Index:
    """Return the index j of the upsampled output that weight K - 1 - t connects to input i.

    Rule: j + d (K - 1 - t) - p = i.
    """
    constant = expanded(-axis.raw(0, axis.taps - 1))
    return Index(((1, i), (axis.dilation, t)), constant)
