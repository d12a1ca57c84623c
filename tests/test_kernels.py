"""Kernels: symbols, flips, and named filters on pictures whose right answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
import sympy

import convalg as ca
from convalg import kernels

# Symbols.


def test_symbols_are_named_by_their_index() -> None:
    assert [str(w) for w in ca.kernel(3)] == ["w0", "w1", "w2"]
    assert ca.kernel(2, 3)[1, 2] == sympy.Symbol("w12")
    assert ca.kernel(2, 1, 3, 3, name="theta")[1, 0, 2, 1] == sympy.Symbol("theta1021")


def test_indices_of_two_digits_are_kept_apart() -> None:
    assert str(ca.kernel(10)[9]) == "w9"
    assert str(ca.kernel(11)[10]) == "w10"
    assert str(ca.kernel(10, 10)[9, 9]) == "w99"
    assert str(ca.kernel(11, 10)[10, 9]) == "w10_9"
    assert str(ca.kernel(2, 11)[1, 1]) == "w1_1"


@pytest.mark.parametrize("sizes", [(12,), (10, 10), (11, 12), (12, 2), (2, 11, 11), (3, 2, 12, 2)])
def test_every_weight_has_a_name_of_its_own(sizes: tuple[int, ...]) -> None:
    symbols = ca.kernel(*sizes)
    assert symbols.shape == sizes
    assert symbols.dtype == object
    assert len({w.name for w in symbols.ravel()}) == symbols.size


def test_names_tell_kernels_apart() -> None:
    assert not {*ca.kernel(3)} & {*ca.kernel(3, name="v")}
    assert {*ca.kernel(3)} == {*ca.kernel(3)}


def test_sizes_may_be_integers_of_any_library() -> None:
    assert ca.kernel(np.int8(2), sympy.Integer(3)).shape == (2, 3)


# What an operator keeps of a kernel.


def test_an_operator_keeps_a_copy_that_cannot_be_changed() -> None:
    given = np.array([1, 2, 3])
    layer = ca.correlation(5, given)
    given[0] = 100
    assert layer.kernel.tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        layer.kernel[0] = 5


def test_a_read_only_view_of_a_changing_array_is_copied() -> None:
    given = np.array([1, 2, 3, 4])
    view = given[:3]
    view.setflags(write=False)
    layer = ca.correlation(5, view)
    given[0] = 100
    assert layer.kernel.tolist() == [1, 2, 3]


@pytest.mark.parametrize("kind", ["i1", "u2", "i8", "f4", "f8"])
def test_the_type_of_a_kernel_is_kept(kind: str) -> None:
    assert ca.correlation(5, np.array([1, 2], dtype=kind)).kernel.dtype == kind


def test_masks_are_zeros_and_ones() -> None:
    assert ca.correlation(3, [True, False])([5, 6, 7]).tolist() == [5, 6]


def test_exact_kernels_stay_exact() -> None:
    third = sympy.Rational(1, 3)
    assert ca.correlation(3, [third, third, third])([1, 1, 1]).tolist() == [1]
    assert ca.correlation((2, 2), sympy.Matrix([[1, 2], [3, 4]])).kernel.tolist() == [
        [1, 2],
        [3, 4],
    ]
    assert ca.correlation(2, [2**70])([1, 3]).tolist() == [2**70, 3 * 2**70]


# Flips.


@pytest.mark.parametrize("dims", [1, 2, 3, 4, 5])
def test_flip_turns_the_last_axes(dims: int) -> None:
    for channels in (0, 2):
        shape = (2, 3)[:channels] + (2, 3, 1, 2, 3)[:dims]
        kernel = np.arange(np.prod(shape)).reshape(shape)
        turned = ca.flip(kernel, dims=dims)
        for index in np.ndindex(shape):
            lead, taps = index[:channels], index[channels:]
            back = tuple(n - 1 - t for n, t in zip(shape[channels:], taps, strict=True))
            assert turned[lead + back] == kernel[index]
        assert (ca.flip(turned, dims=dims) == kernel).all()


@pytest.mark.parametrize(("axes", "dims"), [(1, 1), (2, 2), (4, 2), (5, 3)])
def test_flip_takes_four_axes_and_more_for_channels_and_taps(axes: int, dims: int) -> None:
    kernel = np.arange(2**axes).reshape((2,) * axes)
    assert (ca.flip(kernel) == ca.flip(kernel, dims=dims)).all()
    assert (ca.flip(kernel) != kernel).all()


def test_flip_of_symbols() -> None:
    w = ca.kernel(2, 2)
    assert ca.flip(w).tolist() == [[w[1, 1], w[1, 0]], [w[0, 1], w[0, 0]]]


# Named filters. Pictures are (rows, columns); y grows downwards, x to the right.

Y, X = np.mgrid[0:6, 0:7]
RIGHT_HALF, LOWER_HALF = np.where(X >= 3, 8, 1), np.where(Y >= 3, 8, 1)
STEP = 8 - 1


def filtered(name: str, picture: np.ndarray) -> np.ndarray:
    """The filter applied where it fits, as a correlation."""
    return ca.correlation(picture.shape, getattr(kernels, name))(picture)


@pytest.mark.parametrize(("kind", "weight"), [("sobel", 1 + 2 + 1), ("prewitt", 1 + 1 + 1)])
def test_edges_under_gradient_filters(kind: str, weight: int) -> None:
    # Output column j looks at picture columns j to j + 2; the step is between 2 and 3.
    across = np.zeros((4, 5), dtype=int)
    across[:, [1, 2]] = weight * STEP
    assert filtered(f"{kind}_x", RIGHT_HALF).tolist() == across.tolist()
    assert not filtered(f"{kind}_y", RIGHT_HALF).any()
    down = np.zeros((4, 5), dtype=int)
    down[[1, 2], :] = weight * STEP
    assert filtered(f"{kind}_y", LOWER_HALF).tolist() == down.tolist()
    assert not filtered(f"{kind}_x", LOWER_HALF).any()


@pytest.mark.parametrize("name", ["sobel_x", "sobel_y", "prewitt_x", "prewitt_y"])
def test_gradient_filters_have_the_sign_of_the_slope(name: str) -> None:
    slope = X if name.endswith("x") else Y
    flipped = ca.convolution(slope.shape, getattr(kernels, name))
    assert (filtered(name, slope) > 0).all()
    assert (flipped(slope) == -filtered(name, slope)).all()
    assert (filtered(name, -slope) == -filtered(name, slope)).all()


DERIVATIVES = ["sobel_x", "sobel_y", "prewitt_x", "prewitt_y"]
SECOND = ["laplace", "laplace_9", "laplacian_of_gaussian"]
MEANS = ["box", "gaussian", "identity"]


@pytest.mark.parametrize("name", DERIVATIVES + SECOND)
def test_derivatives_of_a_constant_are_zero(name: str) -> None:
    assert getattr(kernels, name).sum() == 0
    assert not filtered(name, np.full((6, 7), 13)).any()


@pytest.mark.parametrize("name", MEANS)
def test_means_of_a_constant_are_the_constant(name: str) -> None:
    np.testing.assert_allclose(filtered(name, np.full((6, 7), 13)), 13, rtol=1e-15)


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives_of_a_ramp_are_zero(name: str) -> None:
    assert not filtered(name, 3 * X - 2 * Y + 1).any()


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        # The sum of w (x^2 + y^2) over the kernel: 4 neighbours at distance 1, weight 1.
        ("laplace", 4 * 1),
        # 4 at distance 1 with weight 4, 4 at squared distance 2 with weight 1.
        ("laplace_9", 4 * 4 * 1 + 4 * 1 * 2),
        # 4 at distance 1, weight 2; 4 at squared distance 2 and 4 at distance 2, weight 1.
        ("laplacian_of_gaussian", 4 * 2 * 1 + 4 * 1 * 2 + 4 * 1 * 4),
    ],
)
def test_second_derivatives_of_a_bowl_are_constant(name: str, answer: int) -> None:
    assert set(filtered(name, X**2 + Y**2).ravel().tolist()) == {answer}


@pytest.mark.parametrize("name", [n for n in kernels.NAMES if n != "channel_average"])
def test_an_impulse_gives_the_kernel(name: str) -> None:
    kernel = getattr(kernels, name)
    size = kernel.shape[0]
    impulse = np.zeros((2 * size - 1, 2 * size - 1), dtype=int)
    impulse[size - 1, size - 1] = 1
    assert (ca.convolution(impulse.shape, kernel)(impulse) == kernel).all()
    assert (ca.correlation(impulse.shape, kernel)(impulse) == ca.flip(kernel)).all()


def test_the_identity_filter_changes_nothing() -> None:
    picture = np.arange(42).reshape(6, 7)
    same = ca.correlation((6, 7), kernels.identity, padding="same")
    assert (same(picture) == picture).all()


def test_the_box_is_a_mean() -> None:
    picture = np.arange(9).reshape(3, 3)
    np.testing.assert_allclose(filtered("box", picture), [[picture.mean()]])


def test_the_gaussian_is_the_binomial() -> None:
    assert (kernels.gaussian * 16).tolist() == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]


def test_the_channel_average_makes_a_picture_grey() -> None:
    colours = np.stack([X, Y, 3 * X + 3 * Y])  # (3, 6, 7)
    average = ca.correlation((6, 7), kernels.channel_average)
    assert (average.in_shape, average.out_shape) == ((3, 6, 7), (1, 6, 7))
    np.testing.assert_allclose(average(colours)[0], (4 * X + 4 * Y) / 3)


def test_laplace_9_is_zero_on_a_harmonic_of_degree_four() -> None:
    # Re (x + iy)^4 is harmonic: the five-point stencil leaves an error, the nine-point one none.
    harmonic = X**4 - 6 * X**2 * Y**2 + Y**4
    assert filtered("laplace", harmonic).any()
    assert not filtered("laplace_9", harmonic).any()


# Named filters by name.


@pytest.mark.parametrize("name", kernels.NAMES)
def test_named_without_a_size_is_the_constant(name: str) -> None:
    assert kernels.named(name) is getattr(kernels, name)


@pytest.mark.parametrize("name", kernels.NAMES)
def test_named_filters_cannot_be_changed(name: str) -> None:
    with pytest.raises(ValueError, match="read-only"):
        kernels.named(name)[...] = 0


@pytest.mark.parametrize("name", kernels.NAMES)
def test_named_with_its_own_size_is_the_constant(name: str) -> None:
    constant = getattr(kernels, name)
    size = 3 if name == "channel_average" else constant.shape[-1]
    found = kernels.named(name, size)
    assert (found == constant).all()
    assert found.dtype == constant.dtype
    with pytest.raises(ValueError, match="read-only"):
        found[...] = 0


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_means_of_any_size_sum_to_one(size: int) -> None:
    for name in ("box", "gaussian"):
        kernel = kernels.named(name, size)
        assert kernel.shape == (size, size)
        assert kernel.sum() == pytest.approx(1, abs=1e-14)
        assert (kernel == kernel.T).all()
        assert (kernel == ca.flip(kernel)).all()
    channels = kernels.named("channel_average", size)
    assert channels.shape == (1, size, 1, 1)
    assert channels.sum() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_identities_of_any_odd_size(size: int) -> None:
    picture = np.arange(42).reshape(6, 7)
    same = ca.correlation((6, 7), kernels.named("identity", size), padding="same")
    assert (same(picture) == picture).all()


def test_gaussians_are_repeated_means_of_two() -> None:
    twice = ca.convolution((3, 3), kernels.named("gaussian", 2), padding="full")
    found = twice(kernels.named("gaussian", 3))
    np.testing.assert_allclose(found, kernels.named("gaussian", 4), rtol=1e-15)


@pytest.mark.parametrize("size", [35, 36, 70])
def test_large_gaussians(size: int) -> None:
    kernel = kernels.named("gaussian", size)
    assert kernel.dtype == float
    assert (kernel > 0).all()
    assert kernel.sum() == pytest.approx(1, abs=1e-12)


def test_machine_integers_among_objects_do_not_overflow() -> None:
    x = np.array([np.int8(127)] * 2, dtype=object)
    assert ca.sum_pool(2, 2)(x).tolist() == [254]


def test_complex_numbers_are_averaged_as_numbers() -> None:
    y = ca.average_pool(2, 2)(np.array([1j, 2]))
    assert y.dtype.kind == "c"
    assert y.tolist() == [1 + 0.5j]
