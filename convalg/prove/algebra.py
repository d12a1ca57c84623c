"""Theorems about single layers and their products: flips, modes, adjoints, composition."""

from __future__ import annotations

import islpy

from convalg.faces.relation import to_isl
from convalg.kernels import flip, kernel
from convalg.linear import (
    convolution,
    correlation,
    crop,
    downsample,
    identity,
    pad,
    reshape,
    shift,
    transposed_correlation,
    upsample,
)
from convalg.operators import kron
from convalg.prove.claims import decide, equivariant
from convalg.prove.functions import linear
from convalg.prove.theorem import Claim, Sides, Theorem
from convalg.prove.verdict import ISL, Verdict
from convalg.spec import sizes

n, m, K, L, M, p, s, C, D = sizes("n m K L M p s C D")


def _adjoint_1d() -> Sides:
    layer = correlation(n, kernel(K), padding=p)
    size = layer.out_shape[0]
    # Padding K - 1 - p by an operator, so that p > K - 1 is covered too: it crops.
    return layer.T, correlation(n + K - 1, flip(kernel(K))) @ pad(size, K - 1 - p)


def _adjoint_2d() -> Sides:
    layer = correlation((n, m), kernel(K, L))
    return layer.T, correlation(layer.out_shape, flip(kernel(K, L)), padding="full")


def _adjoint_channels() -> Sides:
    layer = correlation((n, m), kernel(C, D, K, L))
    turned = flip(kernel(C, D, K, L)).swapaxes(0, 1)
    return layer.T, correlation(layer.out_shape[1:], turned, padding="full")


def _adjoint_2d_one_axis() -> Sides:
    layer = correlation((n, m), kernel(K, L))
    turned = kernel(K, L)
    return layer.T, correlation(layer.out_shape, flip(turned, dims=1), padding="full")


def _modes(padding: str) -> Sides:
    """Rows of the full matrix: valid drops K - 1 at either end, same as many as it pads less."""
    full = correlation(n, kernel(K), padding="full")
    before = 0 if padding == "valid" else (K - 1) // 2
    after = 0 if padding == "valid" else K - 1 - (K - 1) // 2
    rows = crop(n + K - 1, ((K - 1 - before, K - 1 - after),))
    return correlation(n, kernel(K), padding=padding), rows @ full


def _modes_2d() -> Sides:
    full = correlation((n, m), kernel(K, L), padding="full")
    rows = crop((n + K - 1, m + L - 1), (K - 1, L - 1))
    return correlation((n, m), kernel(K, L)), rows @ full


def _padded(boundary: str) -> Sides:
    whole = correlation(n, kernel(K), padding=p, boundary=boundary)  # type: ignore[arg-type]
    return whole, correlation(n + 2 * p, kernel(K)) @ pad(n, p, boundary=boundary)  # type: ignore[arg-type]


def _strided() -> Sides:
    dense = correlation(n, kernel(K), padding=p)
    return correlation(n, kernel(K), padding=p, stride=s), downsample(n + 2 * p - K + 1, s) @ dense


def _strided_adjoint() -> Sides:
    layer = correlation(n, kernel(K), padding=p, stride=s)
    dense = correlation(n, kernel(K), padding=p)
    stretched = upsample(layer.out_shape[0], s, size=n + 2 * p - K + 1)
    return layer.T, dense.T @ stretched


def _kernel_gradient(stride: bool) -> Sides:
    """dL/dw[t] = sum over o of g[o] x[s o + t - p]: x correlated with g, dilated by s."""
    step = s if stride else 1
    layer = correlation(n, kernel(K), padding=p, stride=step)
    x, (outputs,) = kernel(n, name="x"), layer.out_shape
    gradient = correlation(n, kernel(outputs, name="g"), padding=p, dilation=step)
    # Where the stride leaves a remainder the correlation is longer than the kernel: the rest
    # belongs to taps that no output has.
    rows = crop(gradient.out_shape[0], ((0, gradient.out_shape[0] - K),))
    return layer.by_kernel(x).T, rows @ gradient.by_kernel(x)


def _composed() -> Sides:
    """Two layers are one: its kernel is the full convolution of both."""
    x = kernel(n, name="x")
    first = correlation(n, kernel(K))
    second = correlation(n - K + 1, kernel(L, name="v"))
    one = correlation(n, kernel(K + L - 1, name="u"))
    return second @ first.by_kernel(x), one.by_kernel(x) @ convolution(
        K, kernel(L, name="v"), padding="full"
    )


def _commuting() -> Sides:
    v, w = kernel(L, name="v"), kernel(K)
    return (
        correlation(n - K + 1, v) @ correlation(n, w),
        correlation(n - L + 1, w) @ correlation(n, v),
    )


def _commuting_same() -> Sides:
    v, w = kernel(L, name="v"), kernel(K)
    return (
        correlation(n, v, padding="same") @ correlation(n, w, padding="same"),
        correlation(n, w, padding="same") @ correlation(n, v, padding="same"),
    )


def _commuting_circular() -> Sides:
    v, w = kernel(3, name="v"), kernel(3)
    first = correlation(n, v, padding=1, boundary="circular")
    second = correlation(n, w, padding=1, boundary="circular")
    return first @ second, second @ first


def _associative() -> Sides:
    """u * (v * w) = (u * v) * w, both as maps of v."""
    u, w = kernel(M, name="u"), kernel(K)
    return (
        convolution(L + K - 1, u, padding="full") @ convolution(L, w, padding="full"),
        convolution(L + M - 1, w, padding="full") @ convolution(L, u, padding="full"),
    )


def _symmetric_convolution() -> Sides:
    """v * w = w * v: the same map of v."""
    v = kernel(L, name="v")
    left = convolution(K, v, padding="full").by_kernel(kernel(K))
    return left, convolution(L, kernel(K), padding="full")


def _separable() -> Sides:
    """The kernel u v^T as a Kronecker product, both as maps of v for one image x."""
    x, u, v = kernel(n, m, name="x"), kernel(K, name="u"), kernel(1, L, name="v")
    column = kron(convolution(1, u, padding="full"), identity(L))
    together = correlation((n, m), kernel(K, L)).by_kernel(x) @ column
    rows = correlation((n, m), v).by_kernel(x)
    return together, kron(correlation(n, u), identity(m - L + 1)) @ rows


def _two_passes() -> Sides:
    u, v = kernel(K, name="u"), kernel(L, name="v")
    both = kron(correlation(n, u), correlation(m, v))
    return both, kron(correlation(n, u), identity(m - L + 1)) @ kron(identity(n), correlation(m, v))


def _toeplitz_1d() -> Sides:
    layer = correlation(n, kernel(K), padding=p)
    (rows,) = layer.out_shape
    return (
        crop(rows, ((1, 0),)) @ layer @ crop(n, ((1, 0),)).T,
        crop(rows, ((0, 1),)) @ layer @ crop(n, ((0, 1),)).T,
    )


def _toeplitz_2d(axis: int) -> Sides:
    layer = correlation((n, m), kernel(K, L))
    first, last = [(0, 0), (0, 0)], [(0, 0), (0, 0)]
    first[axis], last[axis] = (1, 0), (0, 1)
    return (
        crop(layer.out_shape, first) @ layer @ crop((n, m), first).T,
        crop(layer.out_shape, last) @ layer @ crop((n, m), last).T,
    )


def _toeplitz_strided() -> Sides:
    layer = correlation(n, kernel(K), stride=2)
    (rows,) = layer.out_shape
    return (
        crop(rows, ((1, 0),)) @ layer @ crop(n, ((1, 0),)).T,
        crop(rows, ((0, 1),)) @ layer @ crop(n, ((0, 1),)).T,
    )


def _channels_kept() -> Sides:
    layer = correlation(n, kernel(C, C, K))
    return layer.T, correlation(layer.out_shape[1:], flip(kernel(C, C, K), dims=1), padding="full")


def _gradient_not_dilated() -> Sides:
    layer = correlation(n, kernel(K), stride=2)
    x, (outputs,) = kernel(n, name="x"), layer.out_shape
    gradient = correlation(n, kernel(outputs, name="g"))
    rows = crop(gradient.out_shape[0], ((0, gradient.out_shape[0] - K),))
    return layer.by_kernel(x).T, rows @ gradient.by_kernel(x)


def _zeros_commute() -> Sides:
    layer, steps = correlation(n, kernel(3), padding=1), shift(n, 1, boundary="circular")
    return layer @ steps, steps @ layer


def _flat_toeplitz() -> Sides:
    """The claim of a printed textbook: the whole matrix of a 2-D layer would be Toeplitz."""
    layer = reshape((2, 2), 4) @ correlation((3, 3), kernel(2, 2)) @ reshape(9, (3, 3))
    return (
        crop(4, ((1, 0),)) @ layer @ crop(9, ((1, 0),)).T,
        crop(4, ((0, 1),)) @ layer @ crop(9, ((0, 1),)).T,
    )


def _dft() -> Verdict:
    """Each row of a circular layer reads i = o + t - p modulo n, so exponentials factor.

    Rule: with z^n = 1, sum over t of w[t] z^(o + t - p) = z^o times the eigenvalue.
    """
    layer = correlation(n, kernel(3), padding=1, boundary="circular")
    found = to_isl(layer)
    allowed = islpy.Map(
        "[n] -> { [o] -> [i] : exists (t, q: 0 <= t < 3 and -1 <= q <= 1 and 0 <= q + 1 <= 2 and "
        "((q = 0 and i = o + t - 1) or (q = 1 and i = o + t - 1 - n) or "
        "(q = -1 and i = o + t - 1 + n))) }"
    )
    scope = "all n >= 1, kernels of 3 taps"
    claim = "F^{-1} A F is diagonal"
    if not found.is_subset(allowed):
        return Verdict("unknown", claim, scope, ISL, reason="a column is not o + t - p modulo n")
    steps = shift(n, 1, boundary="circular")
    back = decide(layer @ steps, steps @ layer, claim=claim)
    method = (
        f"{ISL}: every column is o + t - p modulo n, and A commutes with the cyclic shift; "
        f"exponentials with z^n = 1 then factor out of each row"
    )
    return Verdict(back.status, claim, scope, method, back.counterexample)


def _interior() -> Verdict:
    return equivariant(correlation(n, kernel(K), padding=p), 1, interior=True)


def _by_circular() -> Verdict:
    return equivariant(correlation(n, kernel(3), padding=1, boundary="circular"), p)


def _by_stride() -> Verdict:
    layer = correlation(n, kernel(K), stride=s)
    return equivariant(layer, s, out_shift=1, interior=True)


def _broken_by_stride() -> Verdict:
    return equivariant(correlation(n, kernel(K), stride=2), 1)


def _linear() -> Verdict:
    return linear(correlation((n, m), kernel(C, D, K, L), stride=2, padding=p))


def _affine() -> Verdict:
    layer = correlation(3, [1, 2])
    return linear(lambda x: layer(x) + 1, 3)


def _transposed() -> Sides:
    layer = correlation(n, kernel(K), padding=p, stride=s)
    extra = n + 2 * p - K - s * ((n + 2 * p - K) // s)
    claimed = transposed_correlation(
        layer.out_shape[0], kernel(K), stride=s, padding=p, output_padding=extra
    )
    return layer.T, claimed


def _transposed_without() -> Sides:
    layer = correlation(n, kernel(K), stride=2)
    return layer.T, transposed_correlation(layer.out_shape[0], kernel(K), stride=2)


def _no_flip() -> Sides:
    return convolution(n, kernel(K), padding=p), correlation(n, kernel(K), padding=p)


def _flipped() -> Sides:
    return convolution(n, kernel(K), padding=p), correlation(n, flip(kernel(K)), padding=p)


def _flipped_2d() -> Sides:
    left = convolution((n, m), kernel(K, L), padding=p)
    return left, correlation((n, m), flip(kernel(K, L)), padding=p)


def _full_by_padding() -> Sides:
    padded = correlation(n + 2 * K - 2, kernel(K)) @ pad(n, K - 1)
    return correlation(n, kernel(K), padding="full"), padded


def _unflipped_adjoint() -> Sides:
    layer = correlation(n, kernel(K))
    return layer.T, correlation(layer.out_shape[0], kernel(K), padding="full")


EVERY_BOUNDARY = ("zeros", "circular", "reflect", "symmetric", "edge")
GUIDE = "Dumoulin & Visin, A guide to convolution arithmetic for deep learning"

THEOREMS = (
    Theorem(
        "linearity",
        r"A(\alpha x + \beta y) = \alpha A x + \beta A y",
        "every correlation; not a layer with a bias",
        (_linear,),
        counter=_affine,
    ),
    Theorem(
        "flip",
        r"w * x = \operatorname{flip}(w) \star x",
        "n, K, p with n + 2p >= K, one axis and two",
        (
            Claim("convolution is correlation with the flipped kernel", _flipped),
            Claim("in two dimensions it is flipped on both axes", _flipped_2d),
        ),
        counter=Claim("the two are the same without the flip", _no_flip),
    ),
    Theorem(
        "modes",
        r"A_{\mathrm{valid}} = R_v A_{\mathrm{full}},\quad "
        r"A_{\mathrm{same}} = R_s A_{\mathrm{full}}",
        "n >= K for valid, all n, K for same",
        (
            Claim("valid is rows K - 1 to n - 1 of full", lambda: _modes("valid")),
            Claim("same is n rows of full", lambda: _modes("same")),
            Claim("in two dimensions too", _modes_2d),
        ),
    ),
    Theorem(
        "full",
        r"A_{\mathrm{full}} = A_{\mathrm{valid}} P_{K-1}",
        "all n, K",
        (Claim("full is K - 1 zeros on both sides, then valid", _full_by_padding),),
    ),
    Theorem(
        "padding",
        r"A_p = A_0 P_p",
        "every boundary, as far as it folds once",
        tuple(
            Claim(f"padding ({b}) and then valid", lambda b=b: _padded(b))  # type: ignore[misc]
            for b in EVERY_BOUNDARY
        ),
    ),
    Theorem(
        "stride",
        r"A_s = D_s A_1",
        "n, K, p with n + 2p >= K; each s in 1..8",
        (Claim("a strided layer is the dense one, then dropping", _strided),),
    ),
    Theorem(
        "adjoint-1d",
        r"A_w^{\mathsf T} = A_{\operatorname{flip} w} P_{K-1-p}",
        "n, K, p with n + 2p >= K; for p > K - 1 the negative padding crops",
        (Claim("the adjoint is the correlation with the flipped kernel", _adjoint_1d),),
        source=f"{GUIDE}, relationship 9",
        counter=Claim("the adjoint without the flip", _unflipped_adjoint),
    ),
    Theorem(
        "adjoint-2d",
        r"A_w^{\mathsf T} = A_{\operatorname{rot}_{180} w}\ (\mathrm{full})",
        "n >= K, m >= L",
        (Claim("the kernel is turned by 180 degrees", _adjoint_2d),),
        source=f"{GUIDE}, relationship 8",
        counter=Claim("flipping one axis would do", _adjoint_2d_one_axis),
    ),
    Theorem(
        "adjoint-channels",
        r"(A^{\mathsf T} g)_c = \sum_o \operatorname{rot}_{180} w_{oc} \star g_o",
        "n >= K, m >= L, any numbers of channels",
        (Claim("flipped, with input and output channels exchanged", _adjoint_channels),),
        counter=Claim("flipping alone would do", _channels_kept),
    ),
    Theorem(
        "adjoint-stride",
        r"A_s^{\mathsf T} = A_1^{\mathsf T} D_s^{\mathsf T},\quad D_s^{\mathsf T}"
        r"\text{ inserts } s - 1 \text{ zeros}",
        "n, K, p with n + 2p >= K; each s in 1..8",
        (Claim("stretch the gradient with zeros, then the dense adjoint", _strided_adjoint),),
    ),
    Theorem(
        "transposed-output-padding",
        r"A_s^{\mathsf T} = \operatorname{transposed}(w, s, p, a),\quad a = (n + 2p - K) \bmod s",
        "n, K, p with n + 2p >= K; each s in 1..8",
        (Claim("output_padding is the remainder", _transposed),),
        source="Dumoulin & Visin, relationship 14; PyTorch's ConvTranspose2d",
        counter=Claim("without output_padding", _transposed_without),
    ),
    Theorem(
        "kernel-gradient",
        r"\frac{\partial L}{\partial w_t} = \sum_o g_o\, x_{o + t - p} = (g \star x)_t",
        "n, K, p with n + 2p >= K",
        (Claim("input correlated with output gradient", lambda: _kernel_gradient(False)),),
    ),
    Theorem(
        "kernel-gradient-stride",
        r"\frac{\partial L}{\partial w_t} = \sum_o g_o\, x_{s o + t - p}",
        "n, K, p with n + 2p >= K; each s in 1..8",
        (Claim("the output gradient is dilated by s", lambda: _kernel_gradient(True)),),
        counter=Claim("the output gradient as it is, at a stride of 2", _gradient_not_dilated),
    ),
    Theorem(
        "composition",
        r"v \star (w \star x) = (v * w) \star x",
        "n + 1 >= K + L",
        (Claim("two valid layers are one of K + L - 1 taps", _composed),),
    ),
    Theorem(
        "commutativity",
        r"v \star (w \star x) = w \star (v \star x)",
        "valid layers, and circular ones; not layers padded to the same size",
        (
            Claim("valid layers commute", _commuting),
            Claim("circular layers commute", _commuting_circular),
            Claim("v * w = w * v", _symmetric_convolution),
        ),
        counter=Claim("same-padded layers commute", _commuting_same),
    ),
    Theorem(
        "associativity",
        r"u * (v * w) = (u * v) * w",
        "all sizes, full convolutions",
        (Claim("in either order", _associative),),
    ),
    Theorem(
        "separable",
        r"w = u v^{\mathsf T} \implies A_w = A_u \otimes A_v",
        "n >= K, m >= L",
        (
            Claim("an outer product is a column pass after a row pass", _separable),
            Claim("the Kronecker product is those two passes", _two_passes),
        ),
    ),
    Theorem(
        "toeplitz",
        r"A_{o+1,\,i+1} = A_{o,\,i}",
        "one axis, stride 1, zeros beyond the border",
        (Claim("each diagonal is constant", _toeplitz_1d),),
        counter=Claim("a layer of stride 2 would be Toeplitz", _toeplitz_strided),
    ),
    Theorem(
        "doubly-block-toeplitz",
        r"A_{(o_1+1,\,o_2),(i_1+1,\,i_2)} = A_{(o_1,\,o_2+1),(i_1,\,i_2+1)}"
        r" = A_{(o_1,\,o_2),(i_1,\,i_2)}",
        "two axes, stride 1",
        (
            Claim("blocks repeat along block diagonals", lambda: _toeplitz_2d(0)),
            Claim("each block is Toeplitz", lambda: _toeplitz_2d(1)),
        ),
        counter=Claim("the whole matrix would be Toeplitz", _flat_toeplitz),
    ),
    Theorem(
        "circular-dft",
        r"F^{-1} A F = \operatorname{diag}\Bigl(\sum_t w_t\, z_k^{\,t - p}\Bigr),\quad"
        r" z_k = e^{2 \pi \mathrm{i} k / n}",
        "circular boundary, 3 taps, all n",
        (_dft,),
        counter=Claim("zeros at the border commute with the cyclic shift too", _zeros_commute),
    ),
    Theorem(
        "equivariance",
        r"A S = S' A",
        "away from the border; everywhere for a circular boundary; by multiples of the stride",
        (_interior, _by_circular, _by_stride),
        counter=_broken_by_stride,
    ),
)
