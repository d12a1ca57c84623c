"""Theorems about the layers of networks: pooling, counting, merging, receptive fields."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import islpy
import numpy as np
import sympy

from convalg.faces.relation import triples
from convalg.kernels import kernel
from convalg.linear import (
    convolution,
    correlation,
    dense,
    downsample,
    identity,
    pad,
    reshape,
    transposed_correlation,
    upsample,
)
from convalg.maps.pooling import average_pool, sum_pool
from convalg.operators import Convolution
from convalg.prove.claims import DEFAULT_RANGE, decide, equivariant
from convalg.prove.polynomial import Polynomial
from convalg.prove.theorem import Claim, Sides, Theorem
from convalg.prove.trace import unknowns
from convalg.prove.verdict import IDENTITY, ISL, Counterexample, Verdict
from convalg.spec import size_product, sizes

n, m, K, L, M, p, s, C, D, E = sizes("n m K L M p s C D E")


def _average_spreads() -> Verdict:
    """Each input of a window gets its gradient divided by the size: entry 1/K where i in it."""
    for size in DEFAULT_RANGE:
        pool = sum_pool(size * n, size)
        spread = islpy.Map(
            f"[n] -> {{ [i] -> [o] : 0 <= o < n and {size}o <= i < {size}o + {size} }}"
        )
        if not pool.T.to_isl().is_equal(spread):
            return Verdict("unknown", "average pooling spreads", "", ISL, reason="not the map")
    share = average_pool(6, 3)
    if any(value != Fraction(1, 3) for value in share.T([1, 1])):
        return Verdict("unknown", "average pooling spreads", "", ISL, reason="not 1/K")
    return Verdict("proved", "average pooling spreads", "all n, for each K in 1..8", ISL)


def _max_routes() -> Verdict:
    """Whatever the winners, the transpose of their selection gives each its gradient, all of it.

    For two windows of two by two and all 16 pairs of winners, as polynomials in the gradient.
    """
    scope = "two windows of 2 x 2, every choice of winners"
    g = unknowns((1, 2), "g")
    for winners in product(range(4), repeat=2):
        selection = np.zeros((2, 8), dtype=int)
        routed = [Polynomial({})] * 8
        for window, winner in enumerate(winners):
            row, column = divmod(winner, 2)
            place = row * 4 + 2 * window + column
            selection[window, place] = 1
            routed[place] = g[0, window]
        layer = dense(selection, (2, 4), out_shape=(1, 2))
        found = map(Polynomial.of, layer.T(g).ravel())
        if not all(a.same(b) for a, b in zip(found, routed, strict=True)):
            return Verdict("unknown", "max pooling routes", scope, IDENTITY, reason=str(winners))
    return Verdict("proved", "max pooling routes", scope, IDENTITY)


def _pooling_moves() -> Verdict:
    """Pooling by two is not equivariant to a shift by one."""
    pool = correlation(n, [1, 1], stride=2)
    return equivariant(pool, 1)


def _distribution(sign: int) -> Verdict:
    """P(X + Y = k) sums p_i q_j over i + j = k: the triples of the full convolution."""
    layer: Convolution
    if sign > 0:
        layer, event = convolution(n, kernel(K, name="q"), padding="full"), "k = i + j"
    else:
        # X - Y = k - (K - 1): the difference runs from -(K - 1) to n - 1.
        layer, event = correlation(n, kernel(K, name="q"), padding="full"), "k - (K - 1) = i - j"
    outcomes = islpy.Set(f"[n, K] -> {{ [k, i, j] : 0 <= i < n and 0 <= j < K and {event} }}")
    claim = f"the distribution of X {'+' if sign > 0 else '-'} Y"
    scope = "X in 0..n-1, Y in 0..K-1, all n, K >= 1"
    if triples(layer.geometry).is_equal(outcomes):
        return Verdict("proved", claim, scope, ISL)
    return Verdict("unknown", claim, scope, ISL, reason="the triples are not the outcomes")


def _parameters() -> Verdict:
    """Weights of the kernel (C, D, K, L) and C biases: (K L D + 1) C."""
    layer = correlation((n, m), kernel(C, D, K, L))
    count = size_product(layer.kernel.shape) + layer.out_shape[0]
    claim = "(k_1 k_2 C_in + 1) C_out parameters"
    if sympy.expand(count - (K * L * D + 1) * C) == 0:
        return Verdict("proved", claim, "all sizes and channels", IDENTITY)
    return Verdict("unknown", claim, "", IDENTITY, reason=f"it is {count}")


def _receptive_field() -> Verdict:
    """Output u of two layers reads from s1 (s2 u - q) - p on, r = 1 + (K - 1) + (L - 1) s1 wide.

    The first and the last input that the composed relation reads, without the border.
    """
    claim = "r = 1 + (k_1 - 1) + (k_2 - 1) s_1, S = s_1 s_2, P = p_1 + s_1 p_2"
    for first, second in product(range(1, 5), repeat=2):
        reads = islpy.Map(
            "[K, L, p, q] -> { [u] -> [i] : exists (a, b, j: 0 <= a < K and 0 <= b < L and "
            f"j = {second}u + b - q and i = {first}j + a - p) }}"
        )
        start = f"{first * second}u - p - {first}q"
        ends = islpy.Map(
            "[K, L, p, q] -> { [u] -> [i] : K >= 1 and L >= 1 and "
            f"i = {start} + (K - 1) + {first}*(L - 1) }}"
        )
        begins = islpy.Map(f"[K, L, p, q] -> {{ [u] -> [i] : K >= 1 and L >= 1 and i = {start} }}")
        if not (reads.lexmin().is_equal(begins) and reads.lexmax().is_equal(ends)):
            return Verdict("unknown", claim, "", ISL, reason=f"not at {first}, {second}")
    return Verdict("proved", claim, "all k, p, for each s_1, s_2 in 1..4", ISL)


def _holes() -> Verdict:
    """A 1-tap layer of stride 2 and then 3 taps: 5 samples wide, and only 3 of them are read."""
    layer = (correlation(5, kernel(3)) @ downsample(10, 2)).simplify()
    filled = correlation(10, kernel(5), stride=2)
    claim = "the receptive field is all of its hull"
    reads = [c for r, c, _ in layer.pattern.triples().tolist() if r == 0]
    hull = [c for r, c, _ in filled.pattern.triples().tolist() if r == 0]
    if reads == hull:
        return Verdict("proved", claim, "this size", IDENTITY)
    found = Counterexample({"K": 3, "s": 2}, (0,), (1,), hull, reads)
    return Verdict("refuted", claim, "this size", IDENTITY, found)


def _sub_pixel(step: int) -> Sides:
    """A transposed layer of stride r: r layers at low resolution, interleaved.

    Phase c of the output is the correlation of the input with taps c, c + r, c + 2r, ...,
    flipped; the kernel has r M taps.
    """
    x = kernel(n, name="x")
    whole = transposed_correlation(n, kernel(step * M), stride=step).by_kernel(x)
    length = step * (n - 1) + step * M
    terms = []
    for phase in range(step):
        small = convolution(n, kernel(M, name="u"), padding="full").by_kernel(x)
        interleave = downsample(length, step, offset=phase).T
        terms.append(interleave @ small @ downsample(step * M, step, offset=phase))
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return whole, total


def _merged_branches() -> Sides:
    """3x3 + 1x1 + identity = one 3x3, with the other two at the centre."""
    w, v = kernel(3, 3), kernel(1, 1, name="v")
    assert isinstance(w, np.ndarray)
    assert isinstance(v, np.ndarray)
    merged = w.copy()
    merged[1, 1] = w[1, 1] + v[0, 0] + 1
    branches = correlation((n, m), w, padding=1) + correlation((n, m), v) + identity((n, m))
    return branches, correlation((n, m), merged, padding=1)


def _one_by_one_inside() -> Sides:
    """A 1x1 kernel is a (2h+1)-tap kernel with zeros around: B_1(x) = B_K(x) P_h."""
    h = sizes("h")[0]
    x = kernel(n, name="x")
    small = correlation(n, kernel(1)).by_kernel(x)
    wide = correlation(n, kernel(2 * h + 1, name="u"), padding=h).by_kernel(x)
    return small, wide @ pad(1, h)


def _batch_norm() -> Sides:
    """A gain per channel after a layer is the layer with its kernel scaled by channel."""
    x, gain = kernel(D, n, m, name="x"), kernel(C, 1, 1, 1, 1, name="g")
    layer = correlation((n, m), kernel(C, D, K, L)).by_kernel(x)
    rows = (n - K + 1, m - L + 1)
    scaled = correlation((*rows, 1), gain, groups=C)
    outer = reshape((C, *rows, 1), (C, *rows)) @ scaled @ reshape((C, *rows), (C, *rows, 1))
    return outer @ layer, layer @ correlation((D, K, L), gain, groups=C)


def _one_by_one_after() -> Sides:
    """A 1x1 layer after another mixes its kernels: u[e, t] = sum over c of v[e, c] w[c, t]."""
    x = kernel(1, n, m, name="x")
    first = correlation((n, m), kernel(C, 1, K, L)).by_kernel(x)
    rows = (n - K + 1, m - L + 1)
    mixing = correlation((*rows, 1), kernel(E, C, 1, 1, 1, name="v"))
    second = reshape((E, *rows, 1), (E, *rows)) @ mixing @ reshape((C, *rows), (C, *rows, 1))
    whole = correlation((n, m), kernel(E, 1, K, L, name="u")).by_kernel(x)
    kernels = correlation((1, K, L), kernel(E, C, 1, 1, 1, name="v"))
    return second @ first, whole @ kernels


def _average_mean() -> Sides:
    """Average pooling is 1/K times sum pooling, with K a letter."""
    return K * average_pool(n, K, stride=1), sum_pool(n, K, stride=1)


def _nearest() -> Sides:
    """Sum pooling's adjoint repeats each sample: stretching, then a correlation with ones."""
    repeat = correlation(2 * n - 1, [1, 1], padding="full") @ upsample(n, 2)
    return sum_pool(2 * n, 2).T, repeat


def _merged_without_identity() -> Verdict:
    w = kernel(3, 3)
    branches = correlation((n, m), w, padding=1) + identity((n, m))
    return decide(branches, correlation((n, m), w, padding=1), claim="the identity adds nothing")


THEOREMS = (
    Theorem(
        "average-pooling-adjoint",
        r"(A^{\mathsf T} g)_i = \tfrac{1}{K}\, g_{\lfloor i / K \rfloor}",
        "windows side by side; K in 1..8",
        (
            _average_spreads,
            Claim("the adjoint repeats each sample", _nearest),
        ),
    ),
    Theorem(
        "max-pooling-adjoint",
        r"(A(x)^{\mathsf T} g)_i = \sum_{o:\, i = \operatorname{argmax}_o x} g_o",
        "away from ties",
        (_max_routes,),
    ),
    Theorem(
        "pooling-equivariance",
        r"A S_K = S_1 A,\quad A S_1 \neq S_1 A",
        "sum pooling of two, shifts by two",
        (lambda: equivariant(correlation(n, [1, 1], stride=2), 2, out_shift=1, interior=True),),
        counter=_pooling_moves,
    ),
    Theorem(
        "sum-of-random-variables",
        r"P(X + Y = k) = (p * q)_k",
        "independent X in 0..n-1, Y in 0..K-1",
        (lambda: _distribution(1),),
    ),
    Theorem(
        "difference-of-random-variables",
        r"P(X - Y = k) = (p \star q)_k",
        "independent X in 0..n-1, Y in 0..K-1",
        (lambda: _distribution(-1),),
    ),
    Theorem(
        "parameters",
        r"(k_1 k_2 C_{\mathrm{in}} + 1)\, C_{\mathrm{out}}",
        "two axes, one group, with bias",
        (_parameters,),
    ),
    Theorem(
        "receptive-field",
        r"r = 1 + \sum_l (k_l - 1) \prod_{j < l} s_j",
        "two layers, and so any number; each stride in 1..4",
        (_receptive_field,),
        source="Araujo, Norris, Sim, Computing Receptive Fields, Distill 2019",
        counter=_holes,
    ),
    Theorem(
        "sub-pixel",
        r"A_{w,r}^{\mathsf T} x = \textstyle\sum_c U_{r,c}\,(w_{c::r} * x)",
        "kernels of r M taps; r in 2..4",
        tuple(
            Claim(f"{r} interleaved layers", lambda r=r: _sub_pixel(r))  # type: ignore[misc]
            for r in (2, 3, 4)
        ),
        source="Shi et al., Is the deconvolution layer the same as a convolutional layer?",
    ),
    Theorem(
        "merged-branches",
        r"A_{3 \times 3} + A_{1 \times 1} + I = A_{w + (v + 1)\delta}",
        "all n, m; 1x1 inside any odd kernel",
        (
            Claim("one 3x3 layer", _merged_branches),
            Claim("1x1 is an odd kernel with zeros around", _one_by_one_inside),
        ),
        source="Ding et al., RepVGG",
        counter=_merged_without_identity,
    ),
    Theorem(
        "batch-norm",
        r"\operatorname{diag}(\gamma / \sigma)\, A_w = A_{(\gamma / \sigma) w}",
        "all sizes and channels; the bias becomes beta + gamma (b - mu) / sigma",
        (Claim("the gain moves into the kernel", _batch_norm),),
    ),
    Theorem(
        "one-by-one",
        r"A^{1 \times 1}_v A_w = A_{v w},\quad (v w)_{e t} = \textstyle\sum_c v_{e c} w_{c t}",
        "all sizes and channels",
        (Claim("the channels of the kernel are mixed", _one_by_one_after),),
    ),
    Theorem(
        "average-pooling",
        r"\operatorname{average} = \tfrac{1}{K} \operatorname{sum}",
        "all n >= K",
        (Claim("K times the average is the sum", _average_mean),),
    ),
)
