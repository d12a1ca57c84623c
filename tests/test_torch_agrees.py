"""The same numbers as PyTorch in float64, exactly: forward, and both gradients.

Small integers keep every sum exact, so that the order of summation does not matter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import Drawn, integers, layers
from torch_layers import CONV, TRANSPOSED, functional, padded, per_axis, sides, torch

SAMPLES = 2


def tensor(values: np.ndarray) -> Any:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def check(drawn: Drawn, data: st.DataObject, forward: Any) -> None:
    """Forward, gradient to the input and gradient to the weight."""
    operator, w = drawn.operator, drawn.weights
    deep = w.ndim - len(per_axis(drawn.shape, 1)) == 2
    x = data.draw(integers((SAMPLES, *operator.in_shape)), label="x")
    g = data.draw(integers((SAMPLES, *operator.out_shape)), label="g")
    inputs = tensor(x if deep else x[:, None])
    weights = tensor(w if deep else w[None, None])
    outputs = forward(inputs, weights)
    upstream = torch.tensor(g, dtype=torch.float64).reshape(outputs.shape)
    to_input, to_weight = torch.autograd.grad(outputs, (inputs, weights), upstream)
    assert np.array_equal(operator(x), outputs.detach().numpy().reshape(g.shape))
    assert np.array_equal(operator.T(g), to_input.numpy().reshape(x.shape))
    assert np.array_equal(operator.kernel_gradient(x, g), to_weight.numpy().reshape(w.shape))


@settings(max_examples=200)
@given(layers(kinds=("correlation",), boundaries=("zeros",), words=()), st.data())
def test_convolutions(drawn: Drawn, data: st.DataObject) -> None:
    """conv1d, conv2d and conv3d; uneven padding goes through F.pad."""
    options = drawn.options
    dims = len(per_axis(drawn.shape, 1))
    pairs = sides(options["padding"], dims)
    common = {
        "stride": options["stride"],
        "dilation": options["dilation"],
        "groups": options.get("groups", 1),
    }

    def forward(inputs: Any, weights: Any) -> Any:
        if all(before == after for before, after in pairs):
            widths = tuple(before for before, _ in pairs)
            return CONV[dims](inputs, weights, padding=widths, **common)
        return CONV[dims](padded(inputs, pairs, "zeros"), weights, **common)

    check(drawn, data, forward)


@settings(max_examples=120)
@given(
    layers(kinds=("correlation",), boundaries=("circular", "reflect", "edge"), words=()),
    st.data(),
)
def test_padding_modes(drawn: Drawn, data: st.DataObject) -> None:
    """padding_mode="circular", "reflect" and "replicate" of the layers."""
    options = drawn.options
    sizes = per_axis(drawn.shape, 1)
    pairs = sides(options["padding"], len(sizes))
    # PyTorch goes round once at most.
    once = all(max(pair) <= n for pair, n in zip(pairs, sizes, strict=True))
    assume(once or options["boundary"] != "circular")

    def forward(inputs: Any, weights: Any) -> Any:
        return CONV[len(sizes)](
            padded(inputs, pairs, options["boundary"]),
            weights,
            stride=options["stride"],
            dilation=options["dilation"],
            groups=options.get("groups", 1),
        )

    check(drawn, data, forward)


@settings(max_examples=200)
@given(layers(kinds=("transposed_correlation",), words=()), st.data())
def test_transposed_convolutions(drawn: Drawn, data: st.DataObject) -> None:
    """conv_transpose1d, 2d and 3d with output_padding; uneven padding crops what they give."""
    options = drawn.options
    dims = len(per_axis(drawn.shape, 1))
    pairs = sides(options["padding"], dims)
    common = {name: options[name] for name in ("stride", "dilation", "groups") if name in options}
    even = all(before == after for before, after in pairs)
    # Cropping after lengthening is not the layer that crops first.
    assume(even or not options.get("output_padding"))

    def forward(inputs: Any, weights: Any) -> Any:
        if even:
            common["padding"] = tuple(before for before, _ in pairs)
            common["output_padding"] = options.get("output_padding", 0)
            return TRANSPOSED[dims](inputs, weights, **common)
        outputs = TRANSPOSED[dims](inputs, weights, **common)
        return padded(outputs, [(-before, -after) for before, after in pairs], "zeros")

    check(drawn, data, forward)


@settings(max_examples=100)
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@given(
    layers(
        kinds=("correlation",),
        boundaries=("zeros",),
        words=("same", "valid", "full"),
        numbers=False,
    ),
    st.data(),
)
def test_padding_words(drawn: Drawn, data: st.DataObject) -> None:
    """padding="same" and "valid" of F.conv1d, 2d, 3d, for stride 1."""
    options = drawn.options
    dims = len(per_axis(drawn.shape, 1))
    taps = drawn.weights.shape[-dims:]
    dilations = per_axis(options["dilation"], dims)
    padding = options["padding"]
    if padding == "full":
        padding = tuple(d * (k - 1) for d, k in zip(dilations, taps, strict=True))
    elif padding == "same":
        options = {**options, "stride": 1}
    plain = Drawn(drawn.kind, drawn.shape, drawn.kernel, options)

    def forward(inputs: Any, weights: Any) -> Any:
        return CONV[dims](
            inputs,
            weights,
            padding=padding,
            stride=options["stride"],
            dilation=options["dilation"],
            groups=options.get("groups", 1),
        )

    check(plain, data, forward)


def test_a_layer_as_people_use_it() -> None:
    """The first layer of a residual network: 7x7, stride 2, padding 3, three channels."""
    rng = np.random.default_rng(0)
    w, x = rng.integers(-3, 4, (8, 3, 7, 7)), rng.integers(-3, 4, (2, 3, 32, 32))
    drawn = Drawn("correlation", (32, 32), w.tolist(), {"stride": 2, "padding": 3})
    inputs = torch.tensor(x, dtype=torch.float64)
    weights = torch.tensor(w, dtype=torch.float64)
    found = functional.conv2d(inputs, weights, stride=2, padding=3)
    assert np.array_equal(drawn.operator(x), found.numpy())
    sparse = drawn.operator.to_scipy() @ x.reshape(2, -1).T
    assert np.array_equal(sparse.T.reshape(found.shape), found.numpy())
