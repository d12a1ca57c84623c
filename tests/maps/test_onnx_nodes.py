"""The backend test cases of the onnx package, and onnxruntime on them and on drawn nodes.

Every case whose model is one node of an operator in the table is in `onnx_listed.txt` with its
result. Run as a program, this file prints the list for the versions installed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from hypothesis import assume, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.backend.test.case.node import collect_testcases  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx_nodes import OPERATORS, SAME, Node, left_out, read, reads_only_padding, translate  # noqa: E402

LIST = Path(__file__).parents[1] / "tables" / "onnx_listed.txt"
VERSIONS = f"onnx {onnx.__version__}, onnxruntime {ort.__version__}"
CLOSE = 1e-6
EXACTLY, CLOSELY = "exactly", f"to {CLOSE:.0e}"

# Operators that only move entries, or pick one: equal to the last bit for any numbers.
MOVES = {"MaxPool", "MaxUnpool", "GlobalMaxPool", "Pad", "CenterCropPad", "Relu", "Concat"}
MOVES |= {"DepthToSpace", "SpaceToDepth", "Flatten", "Reshape", "Transpose", "Identity"}

# Where the stored output is not what the operator's text says, and by how much it may be off.
STORED_DIFFERS = {
    "test_averagepool_2d_ceil_last_window_starts_on_pad": (
        1e-4,
        "to 1e-04: the output is stored with four decimals",
    ),
    "test_resize_downsample_scales_linear_align_corners": (
        1,
        "differs: the output is stored for a length of 4 * 0.6 = 2.4, and length_resized is 2",
    ),
}
# Where onnxruntime does not do what the operator's text or the stored output says.
RUNTIME_DIFFERS = {
    "test_maxunpool_export_with_output_shape": (
        "differs: it reads the indices in the shape of the output, not of the pooled input"
    ),
    "test_training_dropout_mask": "differs: it draws another mask",
    "test_training_dropout_default_mask": "differs: it draws another mask",
}
REFUSED = (ort.capi.onnxruntime_pybind11_state.Fail,)


@cache
def cases() -> dict[str, list[Any]]:
    """The cases of each operator in the table, by the operator's name."""
    with warnings.catch_warnings():
        # The package computes infinities and NaN for other operators.
        warnings.simplefilter("ignore")
        every = collect_testcases(None)
    found: dict[str, list[Any]] = {op: [] for op in OPERATORS}
    for case in every:
        nodes = case.model.graph.node if case.model is not None else []
        if len(nodes) == 1 and nodes[0].op_type in found and nodes[0].domain in ("", "ai.onnx"):
            found[nodes[0].op_type].append(case)
    return found


def arrays(values: list[Any]) -> list[Any]:
    """Tensors and NumPy scalars as arrays; sequences stay what they are."""
    return [
        numpy_helper.to_array(v)
        if isinstance(v, TensorProto)
        else np.asarray(v)
        if isinstance(v, np.generic)
        else v
        for v in values
    ]


def node_of(model: Any, inputs: list[Any], outputs: list[Any]) -> Node:
    (proto,) = model.graph.node
    drawn = proto.op_type == "Dropout" and len(outputs) == 2
    return read(model, inputs, outputs[1] if drawn else None)


def computed(node: Node) -> list[np.ndarray]:
    """What convalg gives: in float64, so that only the other side rounds."""
    wide = [v.astype(float) if v is not None and v.dtype.kind == "f" else v for v in node.inputs]
    return translate(Node(node.op, node.version, node.attributes, wide, node.outputs, node.mask))


def same(found: np.ndarray, wanted: np.ndarray, off: float = 0.0) -> bool:
    if found.shape != wanted.shape:
        return False
    rounded = found.astype(wanted.dtype)
    if not off:
        return np.array_equal(rounded, wanted)
    largest = np.max(np.abs(wanted), initial=1)
    return np.allclose(rounded, wanted, rtol=off, atol=off * largest)


def grade(node: Node, found: list[np.ndarray], wanted: list[np.ndarray]) -> str:
    """How well two lists of outputs agree; "exactly" only where rounding has no part in it."""
    assert len(found) == len(wanted)
    both = list(zip(found, wanted, strict=True))
    given = [value for value in node.inputs if value is not None]
    whole = all(np.array_equal(value, np.round(value)) for value in given)
    if (whole or node.op in MOVES) and all(same(f, w) for f, w in both):
        return EXACTLY
    if all(same(f, w, CLOSE) for f, w in both):
        return CLOSELY
    return "not equal"


def with_stored(case: Any) -> str:
    """The result of convalg against the outputs of a case."""
    results = set()
    for inputs, outputs in case.data_sets:
        wanted = arrays(outputs)
        node = node_of(case.model, arrays(inputs), wanted)
        reason = left_out(node)
        if reason:
            return f"left out: {reason}"
        found = computed(node)
        result = grade(node, found, wanted)
        if result == "not equal" and case.name in STORED_DIFFERS:
            off, words = STORED_DIFFERS[case.name]
            if all(same(f, w, off) for f, w in zip(found, wanted, strict=True)):
                result = words
        results.add(result)
    return "; ".join(sorted(results))


def run(model: Any, inputs: list[Any]) -> list[np.ndarray]:
    """The outputs that onnxruntime gives, on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_inputs()]
    return session.run(None, dict(zip(names, inputs, strict=True)))


def with_runtime(case: Any) -> str:
    """The result of convalg against onnxruntime on a case that convalg translates."""
    results = set()
    for inputs, outputs in case.data_sets:
        node = node_of(case.model, arrays(inputs), arrays(outputs))
        if left_out(node):
            return "-"
        try:
            found = run(case.model, arrays(inputs))
        except REFUSED:
            results.add(f"not run: onnxruntime refuses {node.op} of opset {node.version}")
            continue
        result = grade(node, computed(node), found)
        results.add(RUNTIME_DIFFERS.get(case.name, result) if result == "not equal" else result)
    return "; ".join(sorted(results))


def listing() -> list[str]:
    """A line for each case: its name, the result with the stored outputs and with onnxruntime."""
    found = [(op, case) for op in sorted(OPERATORS) for case in cases()[op]]
    lines = [f"{c.name} ({op}) | {with_stored(c)} | {with_runtime(c)}" for op, c in found]
    return [f"{VERSIONS}: case (operator) | with the stored output | with onnxruntime", *lines]


@pytest.mark.parametrize("op", OPERATORS)
def test_stored_outputs(op: str) -> None:
    """A case is equal, left out by a rule that says why, or known to be stored otherwise."""
    assert {c.name: r for c in cases()[op] if (r := with_stored(c)) == "not equal"} == {}


@pytest.mark.parametrize("op", OPERATORS)
def test_onnxruntime_on_the_cases(op: str) -> None:
    assert {c.name: r for c in cases()[op] if (r := with_runtime(c)) == "not equal"} == {}


def test_every_case_is_listed_with_its_result() -> None:
    listed = LIST.read_text(encoding="utf-8").splitlines()
    if not listed[0].startswith(VERSIONS):
        pytest.skip(f"the list is of {listed[0].partition(':')[0]}, and here is {VERSIONS}")
    assert listed == listing()


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        (Node("Relu", 99, {}, [np.ones(2)], 1), "Relu as of opset 99 is not translated"),
        (Node("Relu", 14, {"new": 1}, [np.ones(2)], 1), "attribute new is not translated"),
        (Node("Relu", 14, {}, [[np.ones(2)]], 1), "an input is no tensor"),
        (Node("Relu", 14, {}, [np.ones(2)], 1), None),
    ],
)
def test_what_another_version_adds_is_left_out_with_a_reason(node: Node, reason: str) -> None:
    assert left_out(node) == reason


# Nodes that are drawn.

OPSET = 22
WORDS = ["NOTSET", "NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]


def model_of(op: str, attributes: dict[str, Any], inputs: list[Any], outputs: int = 1) -> Any:
    """A model of one node; its inputs are x0, x1, ..., and None is an optional one left out."""
    names = ["" if value is None else f"x{k}" for k, value in enumerate(inputs)]
    declared = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
        for name, v in zip(names, inputs, strict=True)
        if v is not None
    ]
    kinds = [TensorProto.FLOAT, TensorProto.INT64]
    results = [helper.make_tensor_value_info(f"y{k}", kinds[k], None) for k in range(outputs)]
    node = helper.make_node(op, names, [value.name for value in results], **attributes)
    graph = helper.make_graph([node], "drawn", declared, results)
    opset = min(OPSET, onnx.defs.onnx_opset_version())
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def reference(model: Any, inputs: list[Any]) -> list[np.ndarray]:
    """The outputs that the evaluator of the onnx package gives."""
    names = [value.name for value in model.graph.input]
    found: Any = ReferenceEvaluator(model).run(None, dict(zip(names, inputs, strict=True)))
    return found


def check(
    op: str,
    attributes: dict[str, Any],
    inputs: list[Any],
    *,
    outputs: int = 1,
    off: float = 0.0,
    runtime: Callable[[Any, list[Any]], list[np.ndarray]] = run,
) -> None:
    """convalg gives what onnxruntime (or `runtime`) gives: exactly, or up to `off`."""
    model = model_of(op, attributes, inputs, outputs)
    given_inputs = [value for value in inputs if value is not None]
    node = read(model, given_inputs)
    assert left_out(node) is None
    for found, wanted in zip(computed(node), runtime(model, given_inputs), strict=True):
        assert same(found, wanted, off), f"{found.tolist()} is not {wanted.tolist()}"


def numbers(draw: st.DrawFn, *shape: int) -> np.ndarray:
    """Small whole numbers: their sums are exact in float32."""
    seed = draw(st.integers(0, 2**32 - 1))
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float32)


def ramp(*shape: int) -> np.ndarray:
    return np.arange(math.prod(shape), dtype=np.float32).reshape(shape)


def windows(
    draw: st.DrawFn, dims: int, words: list[str] = WORDS
) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Sizes of the input and the attributes of a window that fits in it."""

    def each(least: int, most: int) -> list[int]:
        return [draw(st.integers(least, most)) for _ in range(dims)]

    taps, strides = each(1, 4), each(1, 3)
    word = draw(st.sampled_from(words))
    # With SAME, onnxruntime refuses a dilated Conv, and pads a dilated pooling as if it were not
    # dilated: a window of 2 taps, 2 apart, then makes 5 outputs of 6 samples. The texts of
    # AveragePool and MaxPool count (k - 1) d + 1 samples, and ceil(n / s) outputs.
    dilations = each(1, 1 if word in SAME else 2)
    spans = [d * (k - 1) + 1 for k, d in zip(taps, dilations, strict=True)]
    attributes: dict[str, Any] = {"kernel_shape": taps, "strides": strides, "dilations": dilations}
    widths = [0] * 2 * dims
    if word == "NOTSET":
        # onnxruntime refuses a pooling that pads as much as its kernel.
        widths = [draw(st.integers(0, k - 1)) for k in taps * 2]
        attributes["pads"] = widths
    else:
        attributes["auto_pad"] = word
    sizes = []
    for span, before, after in zip(spans, widths, widths[dims:], strict=False):
        least = 1 if word in SAME else max(1, span - before - after)
        sizes.append(draw(st.integers(least, least + 5)))
    return tuple(sizes), attributes


Drawn = tuple[dict[str, Any], list[Any]]


@st.composite
def convolutions(draw: st.DrawFn) -> Drawn:
    sizes, attributes = windows(draw, draw(st.sampled_from([1, 2, 2, 3])))
    groups, outs, ins = draw(st.tuples(*[st.integers(1, 2)] * 3))
    samples = draw(st.integers(1, 2))
    x = numbers(draw, samples, groups * ins, *sizes)
    weights = numbers(draw, groups * outs, ins, *attributes["kernel_shape"])
    bias = [numbers(draw, groups * outs)] if draw(st.booleans()) else []
    return attributes | {"group": groups}, [x, weights, *bias]


@settings(max_examples=150)
@given(convolutions())
def test_conv(drawn: Drawn) -> None:
    check("Conv", *drawn)


@st.composite
def transposed(draw: st.DrawFn) -> Drawn:
    dims = draw(st.sampled_from([1, 2, 2, 3]))

    def each(least: int, most: int) -> list[int]:
        return [draw(st.integers(least, most)) for _ in range(dims)]

    taps, strides, dilations, sizes = each(1, 3), each(1, 3), each(1, 2), each(1, 4)
    attributes: dict[str, Any] = {"kernel_shape": taps, "strides": strides, "dilations": dilations}
    # onnxruntime refuses an output_padding of the stride or more, also below the dilation.
    extra = [draw(st.integers(0, s - 1)) for s in strides]
    spans = [d * (k - 1) + 1 for k, d in zip(taps, dilations, strict=True)]
    full = [s * (n - 1) + w for s, n, w in zip(strides, sizes, spans, strict=True)]
    how = draw(st.sampled_from(["pads", "pads", "output_shape", "auto_pad"]))
    if how == "pads":
        before = [draw(st.integers(0, min(w - 1, f - 1))) for w, f in zip(spans, full, strict=True)]
        left = [min(w, f - b) - 1 for w, f, b in zip(spans, full, before, strict=True)]
        attributes["pads"] = before + [draw(st.integers(0, m)) for m in left]
        attributes["output_padding"] = extra
    elif how == "output_shape":
        longest = [f + s - 1 for f, s in zip(full, strides, strict=True)]
        attributes["output_shape"] = [
            draw(st.integers(max(1, f - 2), m)) for f, m in zip(full, longest, strict=True)
        ]
        attributes["auto_pad"] = draw(st.sampled_from(["NOTSET", "SAME_UPPER", "SAME_LOWER"]))
    else:
        attributes["auto_pad"] = word = draw(st.sampled_from(WORDS))
        # With SAME the output has s n samples by the text. Where the kernel is shorter than the
        # stride onnxruntime gives fewer, and onnx's reference shifts the output by a negative
        # padding; convalg has the zeros behind, as TensorFlow.
        assume(word not in SAME or all(w >= s for w, s in zip(spans, strides, strict=True)))
    groups, outs, ins = draw(st.tuples(*[st.integers(1, 2)] * 3))
    x = numbers(draw, draw(st.integers(1, 2)), groups * ins, *sizes)
    weights = numbers(draw, groups * ins, outs, *taps)
    bias = [numbers(draw, groups * outs)] if draw(st.booleans()) else []
    return attributes | {"group": groups}, [x, weights, *bias]


@settings(max_examples=150)
@given(transposed())
def test_conv_transpose(drawn: Drawn) -> None:
    check("ConvTranspose", *drawn)


@st.composite
def pools(draw: st.DrawFn) -> Drawn:
    sizes, attributes = windows(draw, draw(st.sampled_from([1, 2, 2, 3])))
    # With VALID, onnxruntime rounds up in ceil_mode; the text says ceil((n - k + 1) / s).
    word = attributes.get("auto_pad")
    ceil = 0 if word == "VALID" else draw(st.integers(0, 1))
    # With SAME, onnxruntime crops where the last window ends before the input does (or refuses:
    # "padding values must be non-negative"); its own Conv, TensorFlow and convalg pad nothing.
    steps = zip(sizes, attributes["strides"], attributes["kernel_shape"], strict=True)
    assume(word not in SAME or all((-(-n // s) - 1) * s + k >= n for n, s, k in steps))
    x = numbers(draw, *draw(st.tuples(*[st.integers(1, 2)] * 2)), *sizes)
    attributes["ceil_mode"] = ceil
    # A window in the padding alone: onnxruntime gives the smallest float, convalg -infinity.
    assume(not reads_only_padding(Node("MaxPool", OPSET, attributes, [x], 1)))
    return attributes, [x]


@settings(max_examples=150)
@given(pools(), st.integers(0, 1))
def test_average_pool(drawn: Drawn, counted: int) -> None:
    attributes, inputs = drawn
    check("AveragePool", attributes | {"count_include_pad": counted}, inputs, off=CLOSE)


@settings(max_examples=150)
@given(pools(), st.integers(0, 1))
def test_max_pool(drawn: Drawn, order: int) -> None:
    """Values and indices: of equal samples the first one wins on both sides."""
    attributes, inputs = drawn
    check("MaxPool", attributes | {"storage_order": order}, inputs, outputs=2)


@settings(max_examples=150)
@given(pools(), st.integers(1, 4))
def test_lp_pool(drawn: Drawn, p: int) -> None:
    attributes, inputs = drawn
    check("LpPool", attributes | {"p": p}, inputs, off=1e-5)


COORDINATES = ["half_pixel", "align_corners", "asymmetric", "pytorch_half_pixel"]
COORDINATES += ["half_pixel_symmetric"]
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


@st.composite
def resizings(draw: st.DrawFn, scales: list[float]) -> Drawn:
    """By sizes, or by one of the scales on each axis."""
    dims = draw(st.sampled_from([1, 2, 2, 3]))
    sizes = [draw(st.integers(1, 6)) for _ in range(dims)]
    attributes = {
        "mode": draw(st.sampled_from(["nearest", "linear"])),
        "coordinate_transformation_mode": draw(st.sampled_from(COORDINATES)),
        "nearest_mode": draw(st.sampled_from(ROUNDINGS)),
    }
    x = numbers(draw, 1, draw(st.integers(1, 2)), *sizes)
    if draw(st.booleans()):
        wanted = [draw(st.integers(1, 9)) for _ in range(dims)]
        # onnxruntime takes the position in float32, and with half_pixel_symmetric loses a whole
        # one: 1 output of 3 samples lies at 3 / 2 - 1 / 2 = 1, and "floor" gives sample 0.
        exact = all(Fraction(m, n) == np.float32(m / n) for n, m in zip(sizes, wanted, strict=True))
        modes = (attributes["mode"], attributes["coordinate_transformation_mode"])
        assume(exact or modes != ("nearest", "half_pixel_symmetric"))
        return attributes, [x, None, None, np.array([*x.shape[:2], *wanted])]
    factors = [draw(st.sampled_from(scales)) for _ in range(dims)]
    wanted = [int(n * f) for n, f in zip(sizes, factors, strict=True)]
    assume(min(wanted) >= 1)
    # onnxruntime copies the input where the sizes stay, whatever the scales: 2 samples times
    # 1.25 are 2, and lie at 0 and 0.7.
    assume(wanted != sizes or set(factors) == {1.0})
    return attributes, [x, None, np.array([1, 1, *factors], dtype=np.float32)]


@settings(max_examples=150)
@given(resizings([0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0]))
def test_resize(drawn: Drawn) -> None:
    check("Resize", *drawn, off=1e-5)


@st.composite
def pads(draw: st.DrawFn) -> Drawn:
    """Every axis padded or cropped; a constant that is not zero too."""
    sizes = [draw(st.integers(1, 4)) for _ in range(draw(st.integers(1, 4)))]
    mode = draw(st.sampled_from(["constant", "constant", "reflect", "edge", "wrap"]))
    # A reflection ends at the far sample; onnxruntime's other modes are held without cropping.
    widths = [
        draw(st.integers(-((n - 1) // 2) if mode == "constant" else 0, n - 1)) for n in sizes * 2
    ]
    inputs = [numbers(draw, *sizes), np.array(widths)]
    return {"mode": mode}, [*inputs, numbers(draw)] if mode == "constant" else inputs


@settings(max_examples=150)
@given(pads())
def test_pad(drawn: Drawn) -> None:
    check("Pad", *drawn)


@settings(max_examples=150)
@given(st.sampled_from(["DCR", "CRD"]), st.tuples(*[st.integers(1, 3)] * 4))
def test_depth_and_space(mode: str, sizes: tuple[int, ...]) -> None:
    """The stored cases are of an opset that onnxruntime need not know."""
    block, channels, height, width = sizes
    deep, wide = (
        (2, channels * block**2, height, width),
        (2, channels, height * block, width * block),
    )
    check("DepthToSpace", {"blocksize": block, "mode": mode}, [ramp(*deep)])
    check("SpaceToDepth", {"blocksize": block}, [ramp(*wide)])


@st.composite
def columns(draw: st.DrawFn) -> Drawn:
    dims, channels = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    sizes, attributes = windows(draw, dims, words=["NOTSET"])
    block = attributes.pop("kernel_shape")
    spans = [d * (k - 1) + 1 for k, d in zip(block, attributes["dilations"], strict=True)]
    before, after = attributes["pads"][:dims], attributes["pads"][dims:]
    reach = [n + b + a - w for n, b, a, w in zip(sizes, before, after, spans, strict=True)]
    count = math.prod(r // s + 1 for r, s in zip(reach, attributes["strides"], strict=True))
    x = numbers(draw, 2, channels * math.prod(block), count)
    return attributes, [x, np.array(sizes), np.array(block)]


@settings(max_examples=150)
@given(columns())
def test_col2im(drawn: Drawn) -> None:
    attributes, inputs = drawn
    check("Col2Im", attributes, inputs, runtime=reference)
    # Off two axes, onnxruntime mixes up the channels of dilated blocks: blocks of 2 taps, 2
    # apart, on 3 samples, with the columns -3, 3, 1, -1 of two channels, are -3 0 3 and 1 0 -1.
    if len(inputs[1]) == 2 or set(attributes["dilations"]) == {1}:
        check("Col2Im", attributes, inputs)


@pytest.mark.parametrize("size", range(1, 6))
def test_local_response_norm_has_the_extra_channel_after(size: int) -> None:
    """Against onnx's reference, for onnxruntime has no even sizes.

    The reference counts the channels by the samples, so that there are as many of both.
    """
    attributes = {"size": size, "alpha": 0.5, "beta": 0.75, "bias": 1.5}
    check("LRN", attributes, [ramp(5, 5, 3, 1) / 40], off=CLOSE, runtime=reference)


if __name__ == "__main__":
    print("\n".join(listing()))
