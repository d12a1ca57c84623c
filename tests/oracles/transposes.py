"""Back-propagation by its definition: each layer's Jacobian transposed, one sample at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

import convalg as ca
from convalg.network.graph import INPUT
from convalg.train.plan import Program, TrainingPlan

Array = np.ndarray
Arrays = dict[str, dict[str, Array]]


def batch_last(x: Array) -> Array:
    """A batch as the engines hold it."""
    return np.ascontiguousarray(np.moveaxis(x, 0, -1))


def batch_first(x: Array) -> Array:
    return np.moveaxis(x, -1, 0)


def fill(net: ca.Network, random: np.random.Generator, size: int = 2) -> ca.Network:
    """Small whole numbers for every array, as floats, which hold them exactly."""
    for node, layer in net.layers():
        shapes = net.input_shapes(node)
        for name, shape in {**layer.weights(*shapes), **layer.buffers(*shapes)}.items():
            least = 1 if name == "variance" else -size
            values = random.integers(least, size + 1, size=shape).astype(np.float64)
            net.set_weights(node, **{name: values})
    return net


def masks_of(program: Program) -> dict[str, Array]:
    """The factors, the batch first, that the dropouts of a program drew last."""
    found = {}
    for node, _, stage in program.steps:
        mask = getattr(stage, "mask", None)
        if mask is not None:
            found[node] = batch_first(mask)
    return found


def values(net: ca.Network, x: Array, masks: dict[str, Array]) -> dict[str, Array]:
    """The data at every node."""
    data = {INPUT: x}
    for node, layer in net.layers():
        inputs = [data[source] for source in net.sources(node)]
        if node in masks:
            data[node] = inputs[0] * masks[node]
        else:
            data[node] = layer.join(inputs) if layer.many else net.map(node)(inputs[0])
    return data


def by_differences(layer: Any, shapes: Any, own: dict[str, Array], x: Array, g: Array) -> Any:
    """dL/dw of a layer that is affine in each of its weights: what one more of it changes."""
    before = layer.map(shapes, own)(x)
    found = {}
    for name, shape in layer.weights(*shapes).items():
        gradient = np.zeros(shape)
        for place in np.ndindex(*shape):
            more = own[name].copy()
            more[place] += 1
            after = layer.map(shapes, {**own, name: more})(x)
            gradient[place] = ((after - before) * g).sum()
        found[name] = gradient
    return found


def reference(
    net: ca.Network, x: Array, g: Array, masks: dict[str, Array] | None = None
) -> tuple[Array, Arrays, Array]:
    """The output, the gradient of every trained array, and that of the input, for a batch."""
    masks = masks or {}
    data = values(net, x, masks)
    slopes = {node: np.zeros(value.shape) for node, value in data.items()}
    slopes[net.output] = slopes[net.output] + g
    found: Arrays = {}
    for node, layer in reversed(list(net.layers())):
        sources, shapes, here = net.sources(node), net.input_shapes(node), slopes[node]
        if layer.many:
            backs = [join.T(here) for join in layer.joins(shapes)]
        elif node in masks:
            backs = [here * masks[node]]
        else:
            function, before = net.map(node), data[sources[0]]
            steps = zip(before, here, strict=True)
            backs = [np.stack([function.at(a).T(b) for a, b in steps])]
            own = net.weights.get(node, {})
            found[node] = by_differences(layer, shapes, own, before, here)
        for source, back in zip(sources, backs, strict=True):
            slopes[source] = slopes[source] + back
    return data[net.output], found, slopes[INPUT]


def trained(
    net: ca.Network, x: Array, g: Array, *, engine: Any, random: Any = None
) -> tuple[Array, Arrays, dict[str, Array]]:
    """The same as a plan has them, without the input's; and the masks of dropouts."""
    plan = TrainingPlan(net, engine=engine, dtype=np.float64)
    program = plan.program(len(x))
    y = batch_first(program.forward(batch_last(x), random)).copy()
    program.backward(batch_last(g))
    return y, plan.slopes, masks_of(program)


def exactly(net: ca.Network, batch: int, seed: int, engine: Any, *, training: bool) -> None:
    """The plan's numbers are those of the operators and their transposes, to the last bit."""
    random = np.random.default_rng(seed)
    fill(net, random)
    if "shift1" in net:
        net.set_weights("shift1", bias=np.zeros(net.in_shape))
    x = random.integers(-3, 4, size=(batch, *net.in_shape)).astype(np.float64)
    g = random.integers(-3, 4, size=(batch, *net.out_shape)).astype(np.float64)
    drops = np.random.default_rng(seed) if training else None
    y, slopes, masks = trained(net, x, g, engine=engine, random=drops)
    masks = masks if training else {}
    output, wanted, back = reference(net, x, g, masks)
    np.testing.assert_array_equal(y, output)
    for node, arrays in slopes.items():
        for name, gradient in arrays.items():
            np.testing.assert_array_equal(gradient, wanted[node][name], err_msg=node)
    if "shift1" in net:
        np.testing.assert_array_equal(slopes["shift1"]["bias"], back.sum(axis=0))
    if not masks:
        np.testing.assert_array_equal(output, net(x))
        np.testing.assert_array_equal(net.jacobian(x[0]).T(g[0]), back[0])
