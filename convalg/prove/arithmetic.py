"""The fifteen relationships of convolution arithmetic, as sizes and as operators.

Source: Dumoulin & Visin, A guide to convolution arithmetic for deep learning. The guide
writes i, k, s, p, d, o for one axis; here n = i and K = k. Its relationships 8 to 14 leave
p <= k - 1 unsaid; they hold for larger p when a negative padding is read as cropping, which
is how the padding stands here: as an operator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import islpy

from convalg.axis import output_size
from convalg.faces.relation import parameters, text
from convalg.kernels import flip, kernel
from convalg.linear import correlation, pad, upsample
from convalg.maps.pooling import sum_pool
from convalg.prove.claims import DEFAULT_RANGE
from convalg.prove.theorem import Claim, Sides, Theorem
from convalg.prove.verdict import ISL, Counterexample, Verdict
from convalg.spec import sizes, substituted

n, K, p, s, d, h, o = sizes("n K p s d h o")
GUIDE = "Dumoulin & Visin, A guide to convolution arithmetic for deep learning"


def positions(
    formula: Any, *, taps: Any = K, padding: Any = 0, stride: Any = 1, dilation: Any = 1
) -> Verdict:
    """Whether a formula counts the places where a kernel fits in the padded input.

    Rule: output j exists when j >= 0 and s j + d (k - 1) + 1 <= n + 2 p; the set of those j is
    compared with 0 <= j < formula, for all sizes and each stride and dilation in 1..8.
    """
    claim = f"o = {formula}"
    strides = DEFAULT_RANGE if stride is s else [1]
    dilations = DEFAULT_RANGE if dilation is d else [1]
    for step in strides:
        for spread in dilations:
            numbers = {"s": step, "d": spread}
            count, width, margin = (substituted(v, numbers) for v in (formula, taps, padding))
            declared = parameters(n, count, width, margin)
            last = f"{step}j + {spread}*({text(width)} - 1) + 1 <= n + 2*{text(margin)}"
            exists = f"n >= 1 and {text(width)} >= 1 and {text(margin)} >= 0"
            fits = islpy.Set(f"{declared}{{ [j] : j >= 0 and {last} and {exists} }}")
            said = islpy.Set(f"{declared}{{ [j] : 0 <= j < {text(count)} and {exists} }}")
            if not fits.is_equal(said):
                apart = fits.subtract(said).union(said.subtract(fits))
                return _miscounted(claim, apart, count, numbers, (width, margin))
    words = [
        f"each {name} in 1..8" for name, seen in (("s", strides), ("d", dilations)) if len(seen) > 1
    ]
    scope = "all sizes" + (f", for {', '.join(words)}" if words else "")
    return Verdict("proved", claim, scope, ISL)


def _miscounted(
    claim: str, apart: Any, count: Any, numbers: dict[str, int], used: tuple[Any, ...]
) -> Verdict:
    """The smallest sizes at which the formula counts wrongly."""
    from convalg.prove.family import smallest

    seen = {v for value in (n, count, *used) for v in getattr(value, "free_symbols", ())}
    letters = tuple(letter for letter in (n, K, p, h) if letter in seen)
    _, found, _ = smallest([apart], letters)
    width, margin = (substituted(value, found) for value in used)
    fitting = output_size(found["n"], width, numbers["s"], numbers["d"], margin, margin)
    sizes_found = {**found, **numbers}
    counter = Counterexample(sizes_found, None, None, substituted(count, found), max(fitting, 0))
    return Verdict("refuted", claim, "all sizes", ISL, counter)


def adjoint_as_correlation(padding: Any, *, stride: Any = 1, taps: Any = K) -> Sides:
    """A^T = A'(flip w) after stretching by s - 1 zeros and padding by k - 1 - p, a zeros after.

    The stretched input has s (i' - 1) + 1 + a = i + 2 p - k + 1 samples.
    """
    layer = correlation(n, kernel(taps), padding=padding, stride=stride)
    outputs = layer.out_shape[0]
    length = n + 2 * padding - taps + 1
    stretched = upsample(outputs, stride, size=length)
    margin = taps - 1 - padding
    padded = pad(length, margin) if margin != 0 else None
    over = correlation(length + 2 * margin, flip(kernel(taps)))
    return layer.T, over @ padded @ stretched if padded is not None else over @ stretched


def _even_kernel() -> Sides:
    """Relationship 10 for an even k: the adjoint would keep the padding floor(k / 2)."""
    layer = correlation(n, kernel(2 * h + 2), padding=h + 1)
    return layer.T, correlation(layer.out_shape[0], flip(kernel(2 * h + 2)), padding=h + 1)


def _padding_forgotten() -> Sides:
    """Relationship 8 for a padded layer: the adjoint would be padded by k - 1 all the same."""
    layer = correlation(n, kernel(K), padding=p)
    return layer.T, correlation(layer.out_shape[0], flip(kernel(K)), padding=K - 1)


def _remainder_lost() -> Sides:
    """Relationship 13 where s does not divide i + 2p - k: no zeros after the stretched input."""
    layer = correlation(n, kernel(K), padding=p, stride=2)
    outputs = layer.out_shape[0]
    length = 2 * (outputs - 1) + 1
    margin = K - 1 - p
    over = correlation(length + 2 * margin, flip(kernel(K)))
    return layer.T, over @ pad(length, margin) @ upsample(outputs, 2)


def transposed_length(claimed: Callable[[Any, Any], Any], padding: Any, stride: Any) -> Verdict:
    """Whether a formula in i' and a = (i + 2p - k) mod s gives back the size i of the input."""
    for step in DEFAULT_RANGE if stride is s else [1]:
        outputs = output_size(n, K, step, 1, padding, padding)
        remainder = (n + 2 * padding - K) - step * ((n + 2 * padding - K) // step)
        said = substituted(claimed(outputs, remainder), {"s": step})
        limits = f"n >= 1 and K >= 1 and p >= 0 and n + 2*{text(padding)} >= K"
        apart = islpy.Set(f"[n, K, p] -> {{ : {text(said)} != n and {limits} }}")
        if not apart.is_empty():
            from convalg.prove.family import smallest

            _, found, _ = smallest([apart], (n, K, p))
            counter = Counterexample(
                {**found, "s": step}, None, None, substituted(said, found), found["n"]
            )
            return Verdict("refuted", "the size of the adjoint's output", "all sizes", ISL, counter)
    scope = "all n, K, p with n + 2p >= K" + (", for each s in 1..8" if stride is s else "")
    return Verdict("proved", "the size of the adjoint's output", scope, ISL)


def _dilated() -> Sides:
    """A dilated kernel is the kernel stretched by d - 1 zeros: B_d(x) = B(x) U_d."""
    x = kernel(n, name="x")
    dilated = correlation(n, kernel(K), dilation=d, padding=p)
    span = d * (K - 1) + 1
    wide = correlation(n, kernel(span, name="u"), padding=p)
    return dilated.by_kernel(x), wide.by_kernel(x) @ upsample(K, d, size=span)


def _half() -> Sides:
    layer = correlation(n, kernel(2 * h + 1), padding=h)
    return layer, correlation(n, kernel(2 * h + 1), padding="same")


def _full() -> Sides:
    return (
        correlation(n, kernel(K), padding=K - 1),
        correlation(n, kernel(K), padding="full"),
    )


def _pooling() -> Sides:
    ones = correlation(n, [1, 1, 1], stride=s)
    return sum_pool(n, 3, stride=s), ones


def _relation(
    number: int, statement: str, domain: str, *parts: Any, counter: Any = None
) -> Theorem:
    return Theorem(
        f"relationship-{number}",
        statement,
        domain,
        parts,
        source=f"{GUIDE}, relationship {number}",
        counter=counter,
    )


def _adjoint_part(words: str, padding: Any, stride: Any = 1, taps: Any = K) -> Claim:
    return Claim(words, lambda: adjoint_as_correlation(padding, stride=stride, taps=taps))


FLOOR = (n + 2 * p - K) // s + 1

THEOREMS = (
    _relation(
        1,
        "o = (i - k) + 1",
        "s = 1, p = 0",
        lambda: positions(n - K + 1),
        counter=lambda: positions(n - K),
    ),
    _relation(
        2,
        "o = (i - k) + 2p + 1",
        "s = 1",
        lambda: positions(n - K + 2 * p + 1, padding=p),
        counter=lambda: positions(n - K + p + 1, padding=p),
    ),
    _relation(
        3,
        r"o = i,\quad k = 2h + 1,\ p = h",
        "s = 1, odd k, half padding",
        lambda: positions(n, taps=2 * h + 1, padding=h),
        Claim('half padding is "same"', _half),
        counter=lambda: positions(n, taps=2 * h + 2, padding=h),
    ),
    _relation(
        4,
        "o = i + (k - 1)",
        "s = 1, p = k - 1",
        lambda: positions(n + K - 1, padding=K - 1),
        Claim('padding k - 1 is "full"', _full),
    ),
    _relation(
        5,
        r"o = \lfloor (i - k) / s \rfloor + 1",
        "p = 0",
        lambda: positions((n - K) // s + 1, stride=s),
    ),
    _relation(
        6,
        r"o = \lfloor (i + 2p - k) / s \rfloor + 1",
        "all",
        lambda: positions(FLOOR, padding=p, stride=s),
        counter=lambda: positions((n + 2 * p - K) // s + 2, padding=p, stride=s),
    ),
    _relation(
        7,
        r"o = \lfloor (i - k) / s \rfloor + 1",
        "pooling without padding",
        lambda: positions((n - K) // s + 1, stride=s),
        Claim("sum pooling is a correlation with ones", _pooling),
    ),
    _relation(
        8,
        r"o' = i' + (k - 1),\quad k' = k,\ s' = 1,\ p' = k - 1",
        "s = 1, p = 0",
        lambda: transposed_length(lambda i, a: i + K - 1, 0, 1),
        _adjoint_part("padding k - 1, flipped kernel", 0),
        counter=Claim("padding k - 1 for a padded layer too", _padding_forgotten),
    ),
    _relation(
        9,
        r"o' = i' + (k - 1) - 2p,\quad p' = k - p - 1",
        "s = 1; for p > k - 1 the padding p' is negative and crops",
        lambda: transposed_length(lambda i, a: i + K - 1 - 2 * p, p, 1),
        _adjoint_part("padding k - p - 1, flipped kernel", p),
    ),
    _relation(
        10,
        r"o' = i',\quad p' = p = \lfloor k / 2 \rfloor",
        "s = 1, odd k, half padding",
        _adjoint_part("the same padding, flipped kernel", h, taps=2 * h + 1),
        counter=Claim("the same padding for an even kernel", _even_kernel),
    ),
    _relation(
        11,
        r"o' = i' - (k - 1),\quad p' = 0",
        "s = 1, p = k - 1",
        lambda: transposed_length(lambda i, a: i - (K - 1), K - 1, 1),
        _adjoint_part("no padding, flipped kernel", K - 1),
    ),
    _relation(
        12,
        r"o' = s(i' - 1) + k",
        "p = 0, s divides i - k (a = 0)",
        lambda: transposed_length(lambda i, a: s * (i - 1) + K + a, 0, s),
        _adjoint_part("stretched by s - 1 zeros, padded by k - 1", 0, s),
        counter=lambda: transposed_length(lambda i, a: s * (i - 1) + K, 0, s),
    ),
    _relation(
        13,
        r"o' = s(i' - 1) + k - 2p,\quad p' = k - p - 1",
        "s divides i + 2p - k (a = 0)",
        lambda: transposed_length(lambda i, a: s * (i - 1) + K - 2 * p + a, p, s),
        _adjoint_part("stretched by s - 1 zeros, padded by k - p - 1", p, s),
        counter=Claim("without the remainder a", _remainder_lost),
    ),
    _relation(
        14,
        r"o' = s(i' - 1) + a + k - 2p,\quad a = (i + 2p - k) \bmod s",
        "all; for p > k - 1 the padding p' is negative and crops",
        lambda: transposed_length(lambda i, a: s * (i - 1) + a + K - 2 * p, p, s),
        _adjoint_part("a zeros after the stretched input", p, s),
        counter=lambda: transposed_length(lambda i, a: s * (i - 1) + K - 2 * p, p, s),
    ),
    _relation(
        15,
        r"o = \lfloor (i + 2p - k - (k-1)(d-1)) / s \rfloor + 1",
        "all, with dilation",
        lambda: positions(
            (n + 2 * p - K - (K - 1) * (d - 1)) // s + 1, padding=p, stride=s, dilation=d
        ),
        Claim("a dilated kernel is the kernel stretched by zeros", _dilated),
    ),
)
