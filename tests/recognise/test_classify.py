"""What kind of matrix: against the definitions as nested loops, SciPy's matrices and mutants."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import sympy
from cases import NAMED, Case, elementary, trees
from hypothesis import assume, given
from hypothesis import strategies as st
from strategies import Drawn, integers, layers

import convalg as ca
from convalg.errors import ArgumentError, ConvalgError, KindError, ShapeError, SymbolicError
from convalg.recognise.classify import Classification, classify

W = np.arange(1, 10).reshape(3, 3)
Blocks = list[tuple[int, int]]


# The definitions, entry by entry.


def index(place: int, sizes: list[int]) -> list[int]:
    """A row or column as one index for each level."""
    return [int(k) for k in np.unravel_index(place, sizes)]


def moves(
    matrix: np.ndarray, blocks: Blocks, level: int, step: tuple[int, int], cyclic: bool = False
) -> bool:
    """Whether entries stay the same when the blocks of one level move by a step."""
    (*heights,), (*widths,) = zip(*blocks, strict=True)
    m, n = blocks[level]
    for row, column in product(*map(range, matrix.shape)):
        o, i = index(row, heights), index(column, widths)
        o[level] += step[0]
        i[level] += step[1]
        if cyclic:
            o[level], i[level] = o[level] % m, i[level] % n
        if o[level] < m and i[level] < n:
            other = np.ravel_multi_index(o, heights), np.ravel_multi_index(i, widths)
            if matrix[row, column] != matrix[other]:
                return False
    return True


def is_toeplitz(matrix: np.ndarray) -> bool:
    rows, columns = matrix.shape
    return all(
        matrix[r, c] == matrix[r + 1, c + 1] for r in range(rows - 1) for c in range(columns - 1)
    )


def is_circulant(matrix: np.ndarray) -> bool:
    n = len(matrix)
    return matrix.shape == (n, n) and all(
        matrix[r, c] == matrix[(r + 1) % n, (c + 1) % n] for r in range(n) for c in range(n)
    )


def is_selection(matrix: np.ndarray) -> bool:
    return all(sorted(row)[:-1] == [0] * (len(row) - 1) and max(row) in (0, 1) for row in matrix)


def is_permutation(matrix: np.ndarray) -> bool:
    ones = [sum(line) for line in (*matrix, *matrix.T)]
    return matrix.shape[0] == matrix.shape[1] and is_selection(matrix) and set(ones) == {1}


def is_diagonal(matrix: np.ndarray) -> bool:
    return all(value == 0 for (r, c), value in np.ndenumerate(matrix) if r != c)


def is_kronecker(matrix: np.ndarray) -> bool:
    """Whether some rearrangement has rank one: all its 2 x 2 minors vanish."""
    if not matrix.any():
        return False
    (rows, columns) = matrix.shape
    for height, width in product(range(1, rows + 1), range(1, columns + 1)):
        if rows % height or columns % width or (height, width) in ((1, 1), (rows, columns)):
            continue
        cut = matrix.reshape(rows // height, height, columns // width, width).swapaxes(1, 2)
        table = cut.reshape(-1, height * width)
        minors = np.einsum("ij,kl->ijkl", table, table) - np.einsum("il,kj->ijkl", table, table)
        if not minors.any():
            return True
    return False


PLAIN: dict[str, Callable[[np.ndarray], bool]] = {
    "zero": lambda matrix: not matrix.any(),
    "identity": lambda matrix: (
        np.array_equal(matrix, np.eye(*matrix.shape)) and len(set(matrix.shape)) == 1
    ),
    "permutation": is_permutation,
    "selection": is_selection,
    "diagonal": is_diagonal,
    "circulant": is_circulant,
    "Toeplitz": is_toeplitz,
    "Kronecker product": is_kronecker,
}


def check(found: Classification, matrix: np.ndarray) -> None:
    """Every claim of a classification by its definition."""
    for kind, holds in PLAIN.items():
        assert (kind in found.kinds) == holds(matrix), kind
    assert found.kind == found.kinds[0]
    assert len(set(found.kinds)) == len(found.kinds)
    assert math.prod(m for m, _ in found.blocks) == matrix.shape[0]
    assert math.prod(n for _, n in found.blocks) == matrix.shape[1]
    assert found.depth == len(found.strides) <= len(found.blocks)
    check_levels(found, matrix)
    check_witnesses(found, matrix)
    assert str(found).startswith(found.kind)
    assert found.witness == () or found.witness[-1].words in found.explain()


def block_kinds(matrix: np.ndarray, sizes: list[tuple[int, int]]) -> dict[str, bool]:
    """Whether each kind of block structure holds on two axes, by definition.

    One row or column of blocks is Toeplitz, one block circulant too; alone that is no structure.
    """
    toeplitz = [moves(matrix, sizes, level, (1, 1)) for level in (0, 1)]
    circulant = [m == n and moves(matrix, sizes, k, (1, 1), True) for k, (m, n) in enumerate(sizes)]
    is_wide = min(sizes[0]) > 1
    return {
        "doubly block Toeplitz": all(toeplitz),
        "doubly block circulant": all(circulant),
        "block Toeplitz": toeplitz[0] and (is_wide or toeplitz[1]),
        "block circulant": circulant[0] and (is_wide or circulant[1]),
        "block Toeplitz with Toeplitz blocks": all(toeplitz),
        "block circulant with circulant blocks": all(circulant),
    }


@st.composite
def two_axes(draw: st.DrawFn) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """A small matrix of two axes with some structure, axes of one sample among them."""
    sizes = [(draw(st.integers(1, 3)), draw(st.integers(1, 3))) for _ in range(2)]
    numbers = st.integers(0, draw(st.integers(0, 2)))
    kinds = [draw(st.sampled_from(["Toeplitz", "circulant", "free"])) for _ in sizes]
    values: dict[Any, int] = {}
    rows, columns = (math.prod(pair) for pair in zip(*sizes, strict=True))
    matrix = np.zeros((rows, columns), dtype=int)
    for r, c in np.ndindex(rows, columns):
        key = []
        for (o, i), (m, n), kind in zip(
            ((r // sizes[1][0], c // sizes[1][1]), (r % sizes[1][0], c % sizes[1][1])),
            sizes,
            kinds,
            strict=True,
        ):
            place = {"Toeplitz": o - i, "circulant": (o - i) % n, "free": (o, i)}
            key.append(place[kind if m == n or kind != "circulant" else "Toeplitz"])
        if tuple(key) not in values:
            values[tuple(key)] = draw(numbers)
        matrix[r, c] = values[tuple(key)]
    return matrix, sizes


@given(two_axes())
def test_block_kinds_hold_exactly_where_their_definition_does(
    drawn: tuple[np.ndarray, list[tuple[int, int]]],
) -> None:
    matrix, sizes = drawn
    rows, columns = zip(*sizes, strict=True)
    found = classify(matrix, in_shape=columns, out_shape=rows)
    check(found, matrix)
    for kind, holds in block_kinds(matrix, sizes).items():
        assert (kind in found.kinds) == holds, kind


def check_levels(found: Classification, matrix: np.ndarray) -> None:
    """Each level moves as its name and its stride say."""
    strides = iter(found.strides)
    for level, words in enumerate(found.levels):
        if words == "unstructured":
            continue
        stride = next(strides)
        assert ("strided" in words) == (stride > 1)
        step = (stride, 1) if words.startswith("transposed") else (1, stride)
        assert moves(matrix, list(found.blocks), level, step, "circulant" in words)
    assert list(strides) == []


def check_witnesses(found: Classification, matrix: np.ndarray) -> None:
    """The entries named are those of the matrix, and do break the kind that they rule out."""
    for witness in found.witness:
        assert witness.kind not in found.kinds
        assert matrix[witness.at] == witness.value
        assert str(witness.at) in witness.words
        if witness.other is None:
            assert witness.kind in ("selection", "permutation", "diagonal", "identity")
            if witness.kind == "diagonal":
                assert witness.at[0] != witness.at[1]
                assert witness.value != 0
            continue
        assert matrix[witness.other] == witness.other_value
        (r, c), (r2, c2) = witness.at, witness.other
        if witness.kind == "Toeplitz":
            assert (r2, c2) == (r + 1, c + 1)
        if witness.kind == "circulant":
            n = len(matrix)
            assert (r2, c2) == ((r + 1) % n, (c + 1) % n)
        if witness.kind in ("selection", "permutation"):
            assert witness.value == witness.other_value == 1
            assert (r == r2) != (c == c2)
        else:
            assert witness.value != witness.other_value
        if "block" in witness.kind:
            check_block_step(found.blocks, witness)


def check_block_step(blocks: tuple[tuple[int, int], ...], witness: Any) -> None:
    """The two places differ by one step on exactly one level, round the edge for a circulant."""
    (*heights,), (*widths,) = zip(*blocks, strict=True)
    down = np.subtract(index(witness.other[0], heights), index(witness.at[0], heights))
    right = np.subtract(index(witness.other[1], widths), index(witness.at[1], widths))
    if "circulant" in witness.kind:
        down, right = down % heights, right % widths
    # A level of size 1 has no step to show.
    assert max(down.sum(), right.sum()) == 1
    assert np.array_equal(down, right) or 1 in (*heights, *widths)


# Random small matrices, and known ones.

MATRICES = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda shape: st.integers(0, 2).flatmap(lambda size: integers(shape, size))
)


@given(MATRICES)
def test_every_claim_holds_by_its_definition(matrix: np.ndarray) -> None:
    check(classify(matrix), matrix)


@given(trees())
def test_trees_of_operators(case: Case) -> None:
    matrix = case.matrix
    assume(matrix.size <= 600)
    check(classify(case.operator), matrix)
    assert classify(matrix, in_shape=case.operator.in_shape, out_shape=case.operator.out_shape) == (
        classify(case.operator)
    )


@given(st.data())
def test_one_changed_entry_changes_the_verdict(data: st.DataObject) -> None:
    rows, columns = data.draw(st.integers(2, 6)), data.draw(st.integers(2, 6))
    column, row = data.draw(integers((rows,))), data.draw(integers((columns,)))
    matrix = scipy.linalg.toeplitz(column, row)
    assert "Toeplitz" in classify(matrix).kinds
    r, c = data.draw(st.integers(0, rows - 1)), data.draw(st.integers(0, columns - 1))
    assume((r, c) not in ((0, columns - 1), (rows - 1, 0)))
    matrix[r, c] += data.draw(st.sampled_from([-1, 1, 7]))
    found = classify(matrix)
    assert "Toeplitz" not in found.kinds
    (witness,) = [w for w in found.witness if w.kind == "Toeplitz"]
    assert (r, c) in (witness.at, witness.other)
    check(found, matrix)


@given(st.integers(2, 7).flatmap(lambda n: integers((n,))), st.data())
def test_circulants_and_their_mutants(line: np.ndarray, data: st.DataObject) -> None:
    matrix = scipy.linalg.circulant(line)
    assert {"circulant", "Toeplitz"} <= set(classify(matrix).kinds)
    n = len(line)
    # A changed corner leaves it Toeplitz.
    matrix[0, n - 1] += 1
    found = classify(matrix)
    assert "Toeplitz" in found.kinds
    assert "circulant" not in found.kinds
    assert [w for w in found.witness if w.kind == "circulant"]
    check(found, matrix)


@given(layers(kinds=("correlation", "convolution"), boundaries=("zeros", "circular")))
def test_layers_have_the_structure_of_their_geometry(drawn: Drawn) -> None:
    """An axis of stride 1 with two inputs and outputs or more is a level, unless all is one."""
    operator = drawn.operator
    found = classify(operator)
    check(found, operator.to_numpy())
    axes = operator.geometry.axes
    plain = [axis.stride == 1 and axis.in_size > 1 and axis.out_size > 1 for axis in axes]
    levels = [words for words in found.levels if words in ("Toeplitz", "circulant")]
    assert len(levels) >= sum(plain) or len(found.levels) == 1
    words = operator.structure().partition(":")[0]
    if all(plain) and words in ("doubly block Toeplitz", "triply block Toeplitz"):
        assert {words, "Toeplitz"} & set(found.kinds)
    if all(plain) and words in ("doubly block circulant", "triply block circulant"):
        assert {words, "Toeplitz"} & set(found.kinds)


@given(st.data())
def test_one_changed_entry_of_an_image_matrix_is_named(data: st.DataObject) -> None:
    matrix = image((4, 3), padding=1).to_numpy()
    place = data.draw(st.integers(0, 11)), data.draw(st.integers(0, 11))
    matrix[place] += data.draw(st.sampled_from([-20, 20]))
    found = classify(matrix, in_shape=(4, 3), out_shape=(4, 3))
    blocks = [(4, 4), (3, 3)]
    is_double = all(moves(matrix, blocks, level, (1, 1)) for level in (0, 1))
    assert ("doubly block Toeplitz" in found.kinds) == is_double
    if not is_double:
        (witness,) = [w for w in found.witness if w.kind == "doubly block Toeplitz"]
        assert place in (witness.at, witness.other)
    check(found, matrix)


def test_a_large_layer() -> None:
    operator = image((28, 28), np.arange(25).reshape(5, 5) + 1)
    matrix = operator.to_scipy()
    assert matrix.shape == (576, 784)
    assert matrix.nnz == 14_400
    words = "doubly block Toeplitz: 24 x 28 blocks of 24 x 28"
    assert [str(classify(form)) for form in (operator, matrix, matrix.toarray())] == [words] * 3


def image(shape: tuple[int, ...], weights: Any = W, **options: Any) -> Any:
    return ca.correlation(shape, weights, **options)


RANDOM = np.random.default_rng(5).integers(-9, 9, (60, 60))
DEEP = RANDOM[:2, :27].reshape(2, 3, 3, 3)
KINDS: dict[str, tuple[Any, str]] = {
    "valid": (ca.correlation(5, [1, 2, 3]), "Toeplitz: 3 x 5"),
    "symbols": (ca.correlation(5, ca.kernel(3)), "Toeplitz: 3 x 5"),
    "stride": (ca.correlation(9, [1, 2, 3], stride=2), "strided Toeplitz: 4 x 9, stride 2"),
    "largest stride": (
        ca.correlation(128 + 1, [1, 2, 3], stride=64),
        "strided Toeplitz: 2 x 129, stride 64",
    ),
    "transposed": (
        ca.transposed_correlation(4, [1, 2, 3], stride=2),
        "transposed strided Toeplitz: 9 x 4, stride 2",
    ),
    "circular": (
        ca.convolution(5, [1, 2, 3], padding="same", boundary="circular"),
        "circulant: 5 x 5",
    ),
    "circular, strided": (
        ca.correlation(6, [1, 2], stride=2, padding=0, boundary="circular"),
        "strided circulant: 3 x 6, stride 2",
    ),
    "image": (image((6, 5)), "doubly block Toeplitz: 4 x 6 blocks of 3 x 5"),
    "image of symbols": (
        image((4, 4), ca.kernel(3, 3)).to_sympy(),
        "doubly block Toeplitz: 2 x 4 blocks of 2 x 4",
    ),
    "image without shapes": (
        image((6, 5)).to_numpy(),
        "doubly block Toeplitz: 4 x 6 blocks of 3 x 5",
    ),
    "padded image without shapes": (
        image((6, 5), padding=1).to_scipy(),
        "doubly block Toeplitz: 6 x 6 blocks of 5 x 5",
    ),
    "strided image": (
        image((9, 7), stride=(2, 1)),
        "block strided Toeplitz with Toeplitz blocks: 4 x 9 blocks of 5 x 7, stride 2 x 1",
    ),
    "strided image without shapes": (
        image((9, 9), stride=2).to_scipy(format="coo"),
        "doubly block strided Toeplitz: 4 x 9 blocks of 4 x 9, stride 2 x 2",
    ),
    "transposed image": (
        ca.transposed_correlation((4, 4), W, stride=2),
        "doubly block transposed strided Toeplitz: 9 x 4 blocks of 9 x 4, stride 2 x 2",
    ),
    "round image": (
        image((4, 5), padding="same", boundary="circular"),
        "doubly block circulant: 4 x 4 blocks of 5 x 5",
    ),
    "half round image": (
        np.kron(scipy.linalg.circulant([1, 2, 4]), RANDOM[:3, :3])
        + np.kron(scipy.linalg.circulant([0, 1, 5]), RANDOM[3:6, 3:6]),
        "block circulant: 3 x 3 blocks of 3 x 3",
    ),
    "volume": (
        image((4, 4, 4), W[:2, :2].repeat(2).reshape(2, 2, 2)).to_numpy(),
        "triply block Toeplitz: 3 x 4 blocks of 3 x 4 blocks of 3 x 4",
    ),
    "channels": (
        image((5, 5), DEEP),
        "channel blocks, each doubly block Toeplitz: 2 x 3 blocks of 3 x 5 blocks of 3 x 5",
    ),
    "channels without shapes": (
        image((5, 5), DEEP, padding=1).to_numpy(),
        "blocks, each doubly block Toeplitz: 2 x 3 blocks of 5 x 5 blocks of 5 x 5",
    ),
    "one filter": (
        image((5, 5), DEEP[:1]),
        "channel blocks, each doubly block Toeplitz: 1 x 3 blocks of 3 x 5 blocks of 3 x 5",
    ),
    "groups": (
        ca.correlation(5, [[[1, 2]], [[3, 4]]], groups=2),
        "channel blocks, each Toeplitz: 2 x 2 blocks of 4 x 5",
    ),
    "channels last": (
        sum(np.kron(np.eye(4, 6, k), RANDOM[3 * k : 3 * k + 3, :2]) for k in range(3)).astype(int),
        "block Toeplitz: 4 x 6 blocks of 3 x 2",
    ),
    "edge": (ca.correlation(8, [1, 2, 3], padding=1, boundary="edge"), "none: 8 x 8"),
    "reflected image": (image((6, 6), padding=1, boundary="reflect"), "none: 36 x 36"),
    "product": (np.kron(RANDOM[:2, :3], RANDOM[:4, :2]), "Kronecker product: 2 x 3 and 4 x 2"),
    "product of symbols": (
        np.kron(ca.kernel(2, 2, name="a"), ca.kernel(2, 3, name="b")),
        "Kronecker product: 2 x 2 and 2 x 3",
    ),
    "floats without rounding": (
        np.kron(RANDOM[:2, :3] / 64, RANDOM[:4, :2] / 2**40),
        "Kronecker product: 2 x 3 and 4 x 2",
    ),
    "block diagonal": (
        scipy.linalg.block_diag(RANDOM[:2, :3], RANDOM[2:4, 3:6]),
        "none: 4 x 6",
    ),
    "Hankel": (scipy.linalg.hankel([1, 2, 3, 4], [4, 5, 6, 7, 9]), "none: 4 x 5"),
    "dense": (RANDOM, "none: 60 x 60"),
    "pad": (ca.pad(3, 1).T, "selection: 3 x 5"),
    "downsample": (ca.downsample(7, 2), "selection: 4 x 7"),
    "flip": (ca.flip_axes(3), "permutation: 3 x 3"),
    "identity": (ca.identity((2, 2)), "identity: 4 x 4"),
    "factors": (ca.diagonal([1, 2]), "diagonal: 2 x 2"),
    "nothing": (scipy.sparse.csr_array((3, 4)), "zero: 3 x 4"),
    "row": ([[1, 2, 3]], "Toeplitz: 1 x 3"),
    "column": ([[1], [2]], "Toeplitz: 2 x 1"),
    "number": ([[Fraction(1, 3)]], "diagonal: 1 x 1"),
}


@pytest.mark.parametrize("name", KINDS)
def test_kinds_in_words(name: str) -> None:
    matrix, words = KINDS[name]
    assert str(classify(matrix)) == words
    assert repr(classify(matrix)) == f"Classification({words!r})"


@pytest.mark.parametrize("name", [*NAMED, *elementary()])
def test_named_operators(name: str) -> None:
    case = NAMED[name]() if name in NAMED else elementary()[name]
    check(classify(case.operator), case.matrix)
    check(classify(case.matrix), case.matrix)


def test_an_image_is_not_toeplitz_and_the_witness_says_why() -> None:
    found = classify(image((4, 4), ca.kernel(3, 3)))
    witness = found.witness[0]
    assert found.depth == 2
    assert "Toeplitz" not in found.kinds
    assert {"block Toeplitz with Toeplitz blocks", "block Toeplitz"} <= set(found.kinds)
    assert witness.words == (
        "not Toeplitz: entry (1, 1) is w00 but (2, 2) is 0, though both lie on the same "
        "diagonal: the second is in the next block of 2 x 4, which for a layer is where the "
        "kernel row wraps at the edge of the image"
    )
    assert found.explain().splitlines()[:3] == [
        "The matrix is doubly block Toeplitz: 2 x 4 blocks of 2 x 4.",
        "It is also block Toeplitz with Toeplitz blocks, block Toeplitz.",
        f"It is {witness.words}.",
    ]


def test_circular_images_are_block_circulant_with_circulant_blocks() -> None:
    found = classify(image((4, 5), padding="same", boundary="circular"))
    assert "block circulant with circulant blocks" in found.kinds
    assert found.kinds.index("doubly block circulant") < found.kinds.index("doubly block Toeplitz")


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (ca.correlation(5, [1, 2], stride=2), "the one above moved by 2 columns, not by 1"),
        (
            ca.transposed_correlation(3, [1, 2], stride=3),
            "the previous one moved by 3 rows, not by 1",
        ),
        ([[1, 2], [2, 1], [1, 2]], "entry (0, 1) is 2, neither 0 nor 1"),
        ([[1, 1], [0, 0]], "entries (0, 0) and (0, 1) are both 1, in one row"),
        ([[1, 0], [1, 0]], "entries (0, 0) and (1, 0) are both 1, in one column"),
        ([[1, 0], [0, 0]], "entry (1, 0) is 0, and so is all of row 1"),
        ([[1, 0], [0, 3]], "not the identity: entry (1, 1) is 3, not 1"),
        ([[1, 2], [0, 1]], "circulant: entry (0, 1) is 2 but (1, 0) is 0"),
        (image((5, 5), DEEP), "not triply block Toeplitz: entry"),
        (image((5, 5), padding=1), "not doubly block circulant: entry"),
        (image((6, 6), padding=1, boundary="edge"), "not doubly block Toeplitz: entry"),
    ],
)
def test_witnesses_in_words(matrix: Any, words: str) -> None:
    assert words in classify(matrix).explain()


# Kinds of input.


def test_all_kinds_of_matrices_are_one_matrix() -> None:
    operator = image((5, 4), W[:2, :2])
    dense = operator.to_numpy()
    shapes = {"in_shape": (5, 4), "out_shape": (4, 3)}
    forms = [
        operator,
        dense,
        dense.tolist(),
        dense.astype(object),
        sympy.Matrix(dense),
        sympy.SparseMatrix(dense),
        operator.to_sympy(),
        *(operator.to_scipy(format=form) for form in ("csr", "csc", "coo", "lil", "bsr")),
        scipy.sparse.coo_matrix(dense),
        np.vectorize(Fraction, otypes=[object])(dense),
    ]
    expected = classify(dense, **shapes)
    assert [classify(form, **shapes) for form in forms] == [expected] * len(forms)


def test_floats_are_equal_bit_by_bit_or_within_a_tolerance() -> None:
    matrix = scipy.linalg.toeplitz([1.0, 2, 3], [1.0, 5, 7, 9])
    matrix[1, 1] += 1e-12
    found = classify(matrix)
    assert found.kind == "none"
    assert found.witness[0].at == (0, 0)
    assert classify(matrix, tolerance=1e-9).kind == "Toeplitz"
    assert classify(matrix, tolerance=1e-14).kind == "none"
    near = np.eye(3) + 1e-12 * RANDOM[:3, :3]
    assert classify(near, tolerance=1e-9).kind == "identity"
    product = np.kron([[0.1, 0.2], [0.3, 0.7]], [[1.1, 1.3], [1.7, 1.9]])
    assert classify(product).kind == "none"
    assert classify(product, tolerance=1e-12).kind == "Kronecker product"


def test_shapes_say_what_the_blocks_are() -> None:
    matrix = image((4, 4), W, padding=1).to_numpy()
    assert classify(matrix, in_shape=(4, 4), out_shape=(4, 4)).depth == 2
    # One shape alone does not pair the axes.
    assert classify(matrix, in_shape=(4, 4)) == classify(matrix)
    assert classify(matrix, in_shape=(2, 8), out_shape=(2, 8)).kind != "doubly block Toeplitz"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: classify([1, 2]), ShapeError, "two axes and at least one entry"),
        (lambda: classify(5), ShapeError, "two axes and at least one entry"),
        (lambda: classify(np.zeros((0, 3))), ShapeError, "at least one entry, not shape (0, 3)"),
        (lambda: classify(np.zeros((2, 2, 2))), ShapeError, "not shape (2, 2, 2)"),
        (
            lambda: classify(scipy.sparse.coo_array((0, 3))),
            ShapeError,
            "must have two axes and at least one entry, not shape (0, 3)",
        ),
        (lambda: classify([[1, 2], [3]]), KindError, "matrix is not a rectangular array"),
        (lambda: classify([[1, "a"]]), KindError, "matrix must hold numbers"),
        (lambda: classify([[1, None]]), KindError, "matrix must hold numbers or SymPy"),
        (lambda: classify([[1j, 2]]), KindError, "must be real, not complex128"),
        (lambda: classify([[1, math.nan]]), ArgumentError, "entry (0, 1) is nan"),
        (lambda: classify([[1, sympy.nan]]), ArgumentError, "entry (0, 1) is nan"),
        (
            lambda: classify(scipy.sparse.coo_array(np.array([[1, math.inf]]))),
            ArgumentError,
            "the stored entries of matrix must be finite",
        ),
        (
            lambda: classify(W, in_shape=4),
            ShapeError,
            "has 4 entries, but the matrix has 3 columns",
        ),
        (lambda: classify(W, out_shape=(2, 2)), ShapeError, "but the matrix has 3 rows"),
        (lambda: classify(W, tolerance="1"), KindError, "tolerance must be a number, not '1'"),
        (
            lambda: classify(W, tolerance=-1),
            ArgumentError,
            "tolerance must be a fraction of the largest entry, at least 0 and below 1, not ",
        ),
        (
            lambda: classify(W, tolerance=math.nan),
            ArgumentError,
            "tolerance must be a fraction of the largest entry, at least 0 and below 1, not ",
        ),
        (
            lambda: classify(ca.kernel(2, 2), tolerance=0.1),
            KindError,
            "tolerance must be 0, not 0.1, for a matrix with symbols",
        ),
        (
            lambda: classify(ca.correlation(ca.sizes("n")[0], [1, 2])),
            SymbolicError,
            "classify needs numbers for sizes",
        ),
    ],
)
def test_bad_input(call: Callable[[], Any], error: type[ConvalgError], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        call()
