"""Published figures and closed forms, each against the operator that it speaks of.

Letters as in the sources: i input, k kernel, s stride, p padding, d dilation, o output size;
k^ = d (k - 1) + 1 is the span of a dilated kernel. "The guide" is V. Dumoulin and F. Visin, A
guide to convolution arithmetic for deep learning, arXiv 1603.07285.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
import sympy

import convalg as ca

Setting = tuple[int, int, int, int, int]


def settings(
    *,
    inputs: int = 7,
    taps: int = 5,
    strides: tuple[int, ...] = (1, 2, 3),
    paddings: int = 4,
    dilations: tuple[int, ...] = (1,),
) -> Iterator[Setting]:
    """All small (i, k, s, p, d) that give at least one output."""
    sizes = product(
        range(1, inputs + 1), range(1, taps + 1), strides, range(paddings + 1), dilations
    )
    return ((i, k, s, p, d) for i, k, s, p, d in sizes if i + 2 * p >= d * (k - 1) + 1)


def layer(i: int, k: int, s: int, p: int, d: int) -> ca.Operator:
    """A layer with different weights, so that equal matrices have equal taps everywhere."""
    return ca.correlation(i, np.arange(1, k + 1), stride=s, padding=p, dilation=d)


def placements(i: int, k: int, s: int, p: int, d: int) -> int:
    """How many windows fit on the padded input, counted one by one."""
    return sum(1 for start in range(0, i + 2 * p, s) if start + d * (k - 1) < i + 2 * p)


def matrices_equal(left: ca.Operator, right: ca.Operator) -> bool:
    return left.in_shape == right.in_shape and bool((left.to_numpy() == right.to_numpy()).all())


def stretched_adjoint(i: int, k: int, s: int, p: int) -> ca.Operator:
    """The guide's transposed convolution: zeros between samples and after them, flipped kernel.

    A padding k - p - 1 below zero crops, the domain that the guide leaves unsaid.
    """
    outputs = (i + 2 * p - k) // s + 1
    stretched = s * (outputs - 1) + 1 + (i + 2 * p - k) % s
    moved = ca.pad(stretched, k - p - 1) @ ca.upsample(outputs, s, size=stretched)
    return ca.correlation(*moved.out_shape, ca.flip(np.arange(1, k + 1))) @ moved


# The guide, section 2: sizes of convolutions and of pooling.


def test_relation_1_no_padding_unit_strides() -> None:
    for i, k, s, p, d in settings(strides=(1,), paddings=0):
        assert layer(i, k, s, p, d).out_shape == ((i - k) + 1,) == (placements(i, k, s, p, d),)


def test_relation_2_zero_padding_unit_strides() -> None:
    for i, k, s, p, d in settings(strides=(1,)):
        assert layer(i, k, s, p, d).out_shape == ((i - k) + 2 * p + 1,)


def test_relation_3_half_padding_keeps_the_size() -> None:
    for i, k, *_ in settings(strides=(1,), paddings=2):
        if k % 2:
            assert layer(i, k, 1, k // 2, 1).out_shape == (i,)
            half = ca.correlation(i, np.arange(1, k + 1), padding="same")
            assert matrices_equal(half, layer(i, k, 1, k // 2, 1))


def test_relation_4_full_padding_grows_the_size() -> None:
    for i, k, *_ in settings(strides=(1,), paddings=4):
        assert layer(i, k, 1, k - 1, 1).out_shape == (i + (k - 1),)
        full = ca.correlation(i, np.arange(1, k + 1), padding="full")
        assert matrices_equal(full, layer(i, k, 1, k - 1, 1))


def test_relations_5_and_6_strides() -> None:
    for i, k, s, p, d in settings():
        assert layer(i, k, s, p, d).out_shape == (math.floor((i + 2 * p - k) / s) + 1,)
        assert layer(i, k, s, p, d).out_shape == (placements(i, k, s, p, d),)


def test_relation_7_pooling() -> None:
    for i, k, s, *_ in settings(paddings=0):
        assert ca.sum_pool(i, k, stride=s).out_shape == (math.floor((i - k) / s) + 1,)


def test_relation_15_dilation() -> None:
    for i, k, s, p, d in settings(inputs=9, taps=4, dilations=(1, 2, 3)):
        expected = math.floor((i + 2 * p - k - (k - 1) * (d - 1)) / s) + 1
        assert layer(i, k, s, p, d).out_shape == (expected,) == (placements(i, k, s, p, d),)


# The guide, section 4: the adjoint is a convolution, in sizes and as an operator.


def test_relations_8_and_9_adjoint_of_unit_strides() -> None:
    for i, k, s, p, d in settings(strides=(1,)):
        operator = layer(i, k, s, p, d)
        outputs = operator.out_shape[0]
        assert operator.T.out_shape == (outputs + (k - 1) - 2 * p,) == (i,)
        if p <= k - 1:
            adjoint = ca.correlation(outputs, ca.flip(operator.kernel), padding=k - p - 1)
            assert matrices_equal(operator.T, adjoint)
            assert matrices_equal(operator.T.simplify(), adjoint)


def test_relation_10_adjoint_of_half_padding_is_half_padded() -> None:
    for i, k, *_ in settings(strides=(1,)):
        if k % 2:
            operator = layer(i, k, 1, k // 2, 1)
            adjoint = ca.correlation(i, ca.flip(operator.kernel), padding=k // 2)
            assert adjoint.out_shape == (i,)
            assert matrices_equal(operator.T, adjoint)


def test_relation_11_adjoint_of_full_padding_is_unpadded() -> None:
    for i, k, *_ in settings(strides=(1,)):
        operator = layer(i, k, 1, k - 1, 1)
        adjoint = ca.correlation(operator.out_shape[0], ca.flip(operator.kernel))
        assert adjoint.out_shape == (operator.out_shape[0] - (k - 1),)
        assert matrices_equal(operator.T, adjoint)


def test_relations_12_and_13_adjoint_where_the_stride_divides() -> None:
    for i, k, s, p, d in settings():
        if (i + 2 * p - k) % s == 0:
            outputs = layer(i, k, s, p, d).out_shape[0]
            short = ca.transposed_correlation(outputs, np.arange(1, k + 1), stride=s, padding=p)
            assert short.out_shape == (s * (outputs - 1) + k - 2 * p,) == (i,)
            assert matrices_equal(short, layer(i, k, s, p, d).T)


def test_relation_14_adjoint_in_general() -> None:
    for i, k, s, p, d in settings():
        operator = layer(i, k, s, p, d)
        a = (i + 2 * p - k) % s
        outputs = operator.out_shape[0]
        assert operator.T.out_shape == (s * (outputs - 1) + a + k - 2 * p,)
        adjoint = stretched_adjoint(i, k, s, p)
        assert matrices_equal(operator.T, adjoint)
        assert (adjoint.to_numpy() == operator.to_numpy().T).all()


def test_relation_14_on_images() -> None:
    # Figures 4.5 to 4.7: 5x5 and 6x6, k = 3, s = 2, without and with padding. (The caption of
    # 4.7 says a 2x2 input where its own i' is 3, an erratum known since 2018.)
    for i, p, outputs in ((5, 0, 2), (5, 1, 3), (6, 1, 3)):
        kernel = np.arange(1, 10).reshape(3, 3)
        operator = ca.correlation((i, i), kernel, stride=2, padding=p)
        assert operator.out_shape == (outputs, outputs)
        stretched = (2 * (outputs - 1) + 1 + (i + 2 * p - 3) % 2,) * 2
        moved = ca.upsample(operator.out_shape, 2, size=stretched)
        adjoint = ca.correlation(stretched, ca.flip(kernel), padding=2 - p) @ moved
        assert matrices_equal(operator.T, adjoint)


def test_the_matrix_of_the_guide() -> None:
    # Section 4.1: k = 3 on 4x4, s = 1, p = 0, unrolled to 4 x 16.
    w = ca.kernel(3, 3)
    row = [*w[0], 0, *w[1], 0, *w[2], 0, 0, 0, 0, 0]
    rows = [row[-shift:] + row[:-shift] if shift else row for shift in (0, 1, 4, 5)]
    assert ca.correlation((4, 4), w).to_sympy() == sympy.Matrix(rows)


# PyTorch: ConvTranspose is the adjoint for exactly one output_padding.


def test_output_padding_of_the_adjoint() -> None:
    for i, k, s, p, d in settings(dilations=(1, 2)):
        operator = layer(i, k, s, p, d)
        needed = (i + 2 * p - d * (k - 1) - 1) % s
        for extra in range(s):
            span = s * (operator.out_shape[0] - 1) + d * (k - 1) + 1 - 2 * p + extra
            if span < 1:
                continue
            found = ca.transposed_correlation(
                *operator.out_shape,
                operator.kernel,
                stride=s,
                padding=p,
                dilation=d,
                output_padding=extra,
            )
            assert found.out_shape == (span,)
            assert (found.out_shape == operator.in_shape) == (extra == needed)
            if extra == needed:
                assert matrices_equal(found, operator.T)


def test_conv_transpose_of_pytorch_is_the_adjoint() -> None:
    torch = pytest.importorskip("torch")
    for i, k, s, p, d in settings(paddings=3):
        operator = layer(i, k, s, p, d)
        columns = torch.eye(operator.out_shape[0], dtype=torch.float64)[:, None]
        found = torch.nn.functional.conv_transpose1d(
            columns,
            torch.arange(1.0, k + 1, dtype=torch.float64)[None, None],
            stride=s,
            padding=p,
            output_padding=(i + 2 * p - k) % s,
        )
        assert (operator.T.to_numpy() == found[:, 0].numpy().T).all()


# "same" is not one thing for an even kernel.

U, V = [-1, 2, 3, -2, 0, 1, 2], [2, 4, -1, 1]


def test_same_of_matlab_ndimage_and_torch_puts_the_odd_sample_after() -> None:
    same = ca.convolution(7, V, padding="same")
    assert same(U).tolist() == [15, 5, -9, 7, 6, 7, -1]


def test_same_of_numpy_puts_the_odd_sample_before() -> None:
    same = ca.convolution(7, V, padding="same_lower")
    assert same(U).tolist() == [0, 15, 5, -9, 7, 6, 7] == np.convolve(U, V, "same").tolist()


def test_same_of_tensorflow() -> None:
    for n, k, s, _, d in settings(inputs=9, paddings=0, dilations=(1, 2), taps=4):
        span = d * (k - 1) + 1
        total = max(span - s, 0) if n % s == 0 else max(span - n % s, 0)
        halves = (total // 2, total - total // 2)
        kernel = np.arange(1, k + 1)
        options = {"stride": s, "dilation": d}
        same = ca.correlation(n, kernel, padding="same", **options)
        assert same.out_shape == (math.ceil(n / s),)
        assert matrices_equal(same, ca.correlation(n, kernel, padding=(halves,), **options))
        lower = ca.correlation(n, kernel, padding="same_lower", **options)
        assert matrices_equal(lower, ca.correlation(n, kernel, padding=(halves[::-1],), **options))


# Counting: closed forms, and figures of frameworks and papers.


def test_nonzeros_of_one_axis_in_closed_form() -> None:
    for n, k, _, _, d in settings(inputs=9, taps=5, strides=(1,), paddings=0, dilations=(1, 2)):
        w = np.ones(k, dtype=int)
        assert ca.correlation(n, w, padding="full", dilation=d).counts.nonzeros == n * k
        valid = ca.correlation(n, w, dilation=d)
        assert valid.counts.nonzeros == (n - d * (k - 1)) * k == np.count_nonzero(valid.to_numpy())
        same = ca.correlation(n, w, padding="same", dilation=d)
        if k % 2 and d * (k - 1) // 2 <= n:
            assert same.counts.nonzeros == n * k - d * (k * k - 1) // 4
            assert same.counts.nonzeros == np.count_nonzero(same.to_numpy())


def test_nonzeros_of_a_layer_are_products() -> None:
    for groups in (1, 2, 4):
        operator = ca.correlation(
            (6, 5), np.ones((8, 4 // groups, 3, 2)), padding="full", groups=groups
        )
        assert operator.counts.nonzeros == (6 * 3) * (5 * 2) * 8 * 4 // groups
        assert operator.counts.nonzeros == np.count_nonzero(operator.to_numpy())


def test_counts_of_a_5x5_kernel_on_28x28() -> None:
    operator = ca.correlation((28, 28), np.ones((5, 5)))
    assert operator.shape == (576, 784)
    counts = operator.counts
    assert (counts.dense, counts.nonzeros, counts.parameters) == (451_584, 14_400, 25)
    assert operator.to_scipy().nnz == counts.multiplications == 14_400


def test_counts_of_a_3x3_kernel_on_5x5() -> None:
    operator = ca.correlation((5, 5), np.ones((3, 3)))
    assert operator.shape == (9, 25)
    counts = operator.counts
    assert (counts.dense, counts.nonzeros, counts.parameters) == (225, 81, 9)


@pytest.mark.parametrize(
    ("operator", "windows", "taken", "with_zeros"),
    [
        pytest.param(
            ca.correlation((4, 4), np.ones((1, 1, 3, 3)), padding=1),
            4 * 4,
            100,
            144,
            id="Conv2d(1,1,3)",
        ),
        pytest.param(
            ca.correlation((6, 6), np.ones((8, 2, 3, 3)), padding=1, groups=2),
            6 * 6,
            4_096,
            5_184,
            id="Conv2d(4,8,3,groups=2)",
        ),
        pytest.param(
            ca.transposed_correlation((8, 8), np.ones((4, 6, 4, 4)), stride=2, padding=1),
            8 * 8,
            21_600,
            24_576,
            id="ConvTranspose2d(4,6,4,stride=2)",
        ),
    ],
)
def test_multiplications_are_the_nonzeros(
    operator: ca.Operator, windows: int, taken: int, with_zeros: int
) -> None:
    assert operator.counts.multiplications == taken == operator.to_scipy().nnz
    # Where the zeros of the padding count, every weight is used at every position.
    assert operator.kernel.size * windows == with_zeros


def test_multiplications_of_a_transposed_layer_that_counters_get_wrong() -> None:
    # k = 3, s = 2, p = 1 on 2x2, for one channel in and three out.
    operator = ca.transposed_correlation((2, 2), np.ones((1, 3, 3, 3)), stride=2, padding=1)
    assert operator.counts.multiplications == np.count_nonzero(operator.to_numpy()) == 48


VGG_16 = (
    [(224, 3, 64), (224, 64, 64), (112, 64, 128), (112, 128, 128)]
    + [(56, 128, 256), (56, 256, 256), (56, 256, 256)]
    + [(28, 256, 512), (28, 512, 512), (28, 512, 512)]
    + [(14, 512, 512)] * 3
)


def test_multiplications_of_vgg_16_without_a_matrix() -> None:
    taken = with_zeros = 0
    for size, inputs, outputs in VGG_16:
        weights = np.zeros((outputs, inputs, 3, 3), dtype=np.int8)
        operator = ca.correlation((size, size), weights, padding=1)
        taken += operator.counts.multiplications
        with_zeros += weights.size * math.prod(operator.out_shape[1:])
    assert taken == 14_846_190_336
    assert with_zeros == 15_346_630_656


def test_parameters_of_one_neuron() -> None:
    connected = ca.dense(np.zeros((1, 10_000)), (100, 100))
    assert connected.counts.parameters == 10_000
    # With the bias that every kernel has: k1 * k2 + 1.
    assert ca.correlation((100, 100), np.zeros((5, 5))).counts.parameters + 1 == 26


def test_connections_of_lenet_5() -> None:
    # LeCun et al. 1998: connections are non-zeros and one bias for each output. (C3 is
    # connected by a table, which is no plain layer.)
    layers = {
        "C1": (ca.correlation((32, 32), np.ones((6, 1, 5, 5))), 122_304),
        "S2": (ca.sum_pool((28, 28), 2, channels=6), 5_880),
        "S4": (ca.sum_pool((10, 10), 2, channels=16), 2_000),
        "C5": (ca.correlation((5, 5), np.ones((120, 16, 5, 5))), 48_120),
        "F6": (ca.dense(np.ones((84, 120))), 10_164),
    }
    for name, (operator, connections) in layers.items():
        assert operator.counts.nonzeros + operator.shape[0] == connections, name


# Receptive fields, read off the rows of a composed operator.


Step = tuple[int, int, int, int]


def conv(k: int, s: int = 1, p: int = 0, d: int = 1) -> Step:
    return k, s, p, d


def chain(i: int, layers: list[Step]) -> ca.Operator:
    """1-D layers with kernels of ones, the first one applied first."""
    operator: ca.Operator = ca.identity(i)
    for k, s, p, d in layers:
        ones = np.ones(k, dtype=object)
        operator = (
            ca.correlation(*operator.out_shape, ones, stride=s, padding=p, dilation=d) @ operator
        )
    return operator


def reads(operator: ca.Operator, unit: int) -> np.ndarray:
    """In how many ways an output unit reads each input."""
    one = np.zeros(operator.out_shape, dtype=object)
    one[unit] = 1
    return operator.T(one)


def test_receptive_fields_of_small_stacks() -> None:
    assert chain(7, [conv(3)] * 3).shape == (1, 7)
    lenet = [conv(5), conv(2, 2), conv(5), conv(2, 2), conv(5)]
    sizes = [np.count_nonzero(reads(chain(32, lenet[:m]), 0)) for m in range(1, 6)]
    assert sizes == [5, 6, 14, 16, 32]


@pytest.mark.parametrize(
    ("layers", "used", "span"),
    [
        ([conv(3, d=2)] * 3, 7, 13),
        ([conv(3), conv(3, d=2), conv(3, d=3)], 13, 13),
        ([conv(1, 2), conv(3)], 3, 5),
    ],
)
def test_holes_of_receptive_fields(layers: list[Step], used: int, span: int) -> None:
    places = np.flatnonzero(reads(chain(span, layers), 0))
    assert len(places) == used
    assert places[-1] - places[0] + 1 == span
    image = chain(span, layers).kron(chain(span, layers))
    assert np.count_nonzero(reads(image, 0)) == used**2


POOL = conv(3, 2)
ALEXNET = [conv(11, 4), POOL, conv(5, 1, 2), POOL, *[conv(3, 1, 1)] * 3, POOL]
VGG = [step for block in (2, 2, 3, 3, 3) for step in [conv(3, 1, 1)] * block + [conv(2, 2)]]


@pytest.mark.parametrize(
    ("layers", "size", "stride", "padding"),
    [
        pytest.param(ALEXNET[:1], 11, 4, 0, id="alexnet-conv1"),
        pytest.param(ALEXNET[:2], 19, 8, 0, id="alexnet-pool1"),
        pytest.param(ALEXNET[:3], 51, 8, 16, id="alexnet-conv2"),
        pytest.param(ALEXNET[:5], 99, 16, 32, id="alexnet-conv3"),
        pytest.param(ALEXNET[:6], 131, 16, 48, id="alexnet-conv4"),
        pytest.param(ALEXNET[:7], 163, 16, 64, id="alexnet-conv5"),
        pytest.param(ALEXNET, 195, 32, 64, id="alexnet-pool5"),
        pytest.param(VGG, 212, 32, 90, id="vgg16-pool5"),
    ],
)
def test_receptive_fields_of_distill(
    layers: list[Step], size: int, stride: int, padding: int
) -> None:
    # Araujo, Norris and Sim, Computing Receptive Fields of Convolutional Neural Networks, 2019:
    # unit u sees [-P + u S, -P + u S + r - 1].
    operator = chain(480, layers)
    first = -(-padding // stride)
    for unit in (first, first + 1):
        seen = np.flatnonzero(reads(operator, unit))
        assert seen[0] == unit * stride - padding
        assert seen[-1] == unit * stride - padding + size - 1


# Effective receptive fields: Luo et al., Understanding the Effective Receptive Field, 2016.


def test_profile_of_three_uniform_layers() -> None:
    stack = ca.correlation(3, [1, 1, 1]) @ ca.correlation(5, [1, 1, 1]) @ ca.correlation(7, [1] * 3)
    assert stack.simplify().kernel.tolist() == [1, 3, 6, 7, 6, 3, 1]


@pytest.mark.parametrize(
    "layers",
    [
        [conv(3)] * 4,
        [conv(3, 2), conv(5), conv(2, 3), conv(3)],
        [conv(3), conv(3, d=2), conv(4, 2, d=3), conv(3, d=2)],
    ],
)
def test_variance_of_a_uniform_stack(layers: list[Step]) -> None:
    strides = [math.prod(s for _, s, _, _ in layers[:m]) for m in range(len(layers))]
    expected = sum(
        Fraction(k * k - 1, 12) * (d * step) ** 2
        for (k, _, _, d), step in zip(layers, strides, strict=True)
    )
    profile = [Fraction(int(ways)) for ways in reads(chain(60, layers), 0)]
    mass = sum(profile)
    mean = sum(x * ways for x, ways in enumerate(profile)) / mass
    assert sum((x - mean) ** 2 * ways for x, ways in enumerate(profile)) / mass == expected


@pytest.mark.parametrize(("depth", "wide"), [(5, 9), (10, 13), (20, 19), (40, 25)])
def test_pixels_above_4_55_percent_of_the_centre(depth: int, wide: int) -> None:
    full = 2 * depth + 1
    profile = reads(chain(full, [conv(3)] * depth), 0)
    assert len(profile) == full
    assert (
        sum(Fraction(int(v), int(profile[depth])) > Fraction(455, 10_000) for v in profile) == wide
    )


# Spectrum.


@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("h", [[1, 2, 3], [2, -1, 0, 3, 1], [5]])
def test_singular_values_of_a_circulant_are_the_dft(n: int, h: list[int]) -> None:
    operator = ca.correlation(n, h, padding="same", boundary="circular")
    wrapped = np.bincount(np.arange(len(h)) % n, weights=h, minlength=n)
    expected = np.sort(np.abs(np.fft.fft(wrapped)))[::-1]
    np.testing.assert_allclose(
        np.linalg.svd(operator.to_numpy(), compute_uv=False), expected, atol=1e-9
    )


@pytest.mark.parametrize("n", [1, 2, 5, 12])
@pytest.mark.parametrize(("a", "b", "c"), [(1, -2, 1), (4, 3, 1), (2, 0, 8)])
def test_eigenvalues_of_a_tridiagonal_toeplitz_matrix(n: int, a: int, b: int, c: int) -> None:
    matrix = ca.correlation(n, [a, b, c], padding=1).to_numpy()
    expected = b + 2 * np.sqrt(a * c) * np.cos(np.arange(1, n + 1) * np.pi / (n + 1))
    found = np.linalg.eigvals(matrix)
    np.testing.assert_allclose(np.sort(found.real), np.sort(expected), atol=1e-9)


def test_gram_matrix_of_a_full_layer_is_the_autocorrelation() -> None:
    operator = ca.correlation(6, [1, 2, 3], padding="full")
    gram = (operator.T @ operator).to_numpy()
    assert gram[0].tolist() == [14, 8, 3, 0, 0, 0]
    assert all((np.diagonal(gram, m) == gram[0, m]).all() for m in range(6))
    assert (gram == gram.T).all()
    square = (operator.T @ operator).simplify()
    assert square.kernel.tolist() == [3, 8, 14, 8, 3]


def test_zero_padded_norms_grow_towards_the_circular_supremum() -> None:
    h = [1, 2, 3]
    norms = [np.linalg.norm(ca.correlation(n, h, padding=1).to_numpy(), 2) for n in range(1, 30)]
    assert all(small < large for small, large in pairwise(norms))
    supremum = np.abs(np.fft.fft(h, 4096)).max()
    assert supremum - 0.05 < norms[-1] < supremum


def test_the_norm_of_the_reshaped_weight_is_another_number() -> None:
    weights = np.array([[1, 2], [3, 4]]).reshape(2, 1, 2)
    norm = np.linalg.norm(ca.correlation(8, weights, padding=1).to_numpy(), 2)
    assert norm > np.linalg.norm(weights.reshape(2, -1), 2) + 1


def test_a_transposed_layer_covers_evenly_where_the_stride_divides_the_kernel() -> None:
    for k, s in product(range(1, 8), range(1, 6)):
        n = 2 * k + 3
        counts = ca.transposed_correlation(n, [1] * k, stride=s)([1] * n)
        interior = counts[k - 1 : s * (n - 1) + 1]
        assert (len(set(interior.tolist())) == 1) == (k % s == 0)
        if k % s == 0:
            assert interior[0] == k // s
