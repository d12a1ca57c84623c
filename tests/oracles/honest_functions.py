"""Functions in the usual styles of homework, each with the claim that it fulfils.

None of them may end "unknown": what is a polynomial in the inputs is to be proved.
"""

from __future__ import annotations

import copy
import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import scipy.linalg
import scipy.signal
from numpy import dot, zeros, zeros_like
from numpy.lib.stride_tricks import as_strided, sliding_window_view

import convalg as ca

Claim = tuple[str, Any, Callable[..., Any]]
THREE = ca.correlation(4, ca.kernel(3))
IMAGE = ca.correlation((4, 4), ca.kernel(2, 2))
CHANNELS = ca.correlation((3, 3), ca.kernel(2, 2, 2, 2), padding=1)
STRIDED = ca.correlation(7, ca.kernel(3), stride=2)
AVERAGE = ca.average_pool(6, 3)
HALF = ca.diagonal([0.5] * 3)


def loops(x: Any, w: Any) -> Any:
    y = np.zeros(len(x) - len(w) + 1)
    for o in range(len(y)):
        for t in range(len(w)):
            y[o] += x[o + t] * w[t]
    return y


def imported_zeros(x: Any, w: Any) -> Any:
    y = zeros(2)
    for o in range(2):
        y[o] = dot(x[o : o + 3], w)
    return y


def array_of_floats(x: Any, w: Any) -> Any:
    y = np.array([0.0] * 2)
    for o in range(2):
        for t in range(3):
            y[o] = y[o] + x[o + t] * w[t]
    return y


def asarray_float(x: Any, w: Any) -> Any:
    x, w = np.asarray(x, dtype=float), np.asarray(w, dtype=np.float64)
    return np.array([np.sum(x[o : o + 3] * w) for o in range(2)])


def astype_float(x: Any, w: Any) -> Any:
    return np.correlate(x.astype(float), w.astype(np.float64), "valid")


def zeros_of_a_dtype(x: Any, w: Any) -> Any:
    y = np.zeros(2, dtype=np.float64)
    for o, t in product(range(2), range(3)):
        y[o] += w[t] * x[o + t]
    return y


def empty_then_filled(x: Any, w: Any) -> Any:
    y = np.empty(2)
    for o in range(2):
        y[o] = (x[o : o + 3] * w).sum()
    return y


def like_the_input(x: Any, w: Any) -> Any:
    y = zeros_like(x)
    for o in range(2):
        y[o] = w.dot(x[o : o + 3])
    return y[:2]


def checked(x: Any, w: Any) -> Any:
    assert isinstance(x, np.ndarray)
    assert x.ndim == 1
    if len(w) > x.shape[0]:
        raise ValueError("the kernel is longer than the input")
    if x.dtype != np.float64:
        x = x.astype(np.float64)
    return loops(x, w)


def typed(x: Any, w: Any) -> Any:
    if type(x) is list:
        x = np.array(x)
    assert type(x) is np.ndarray
    return loops(x, w)


def printing(x: Any, w: Any) -> Any:
    y = loops(x, w)
    print("output", y.shape)
    return y


def recursive(x: Any, w: Any) -> Any:
    def total(k: int, o: int) -> Any:
        return 0.0 if k == len(w) else x[o + k] * w[k] + total(k + 1, o)

    return [total(0, o) for o in range(2)]


def generator(x: Any, w: Any) -> Any:
    return list(sum(a * b for a, b in zip(x[o:], w, strict=False)) for o in range(2))  # noqa: C400


def vectorised(x: Any, w: Any) -> Any:
    return np.vectorize(lambda o: x[o : o + 3] @ w, otypes=[object])(np.arange(2))


def appended(x: Any, w: Any) -> Any:
    y: list[Any] = []
    for o in range(2):
        total = 0
        for t in range(3):
            total += x[o + t] * w[t]
        y.append(total)
    return np.array(y)


def in_place(x: Any, w: Any) -> Any:
    x *= w[0]
    x[:2] /= 1
    return x[:2] + loops(x, w) * 0


def copied(x: Any, w: Any) -> Any:
    own = copy.deepcopy(x)
    own[:] = x
    return loops(own, w.copy())


def cached(x: Any, w: Any) -> Any:
    y = loops(x, w)
    return y, (x, w)


def as_dictionary(x: Any, w: Any) -> Any:
    return {"out": loops(x, w), "cache": {"x": x, "w": w}}


@functools.lru_cache
def taps(size: int) -> tuple[int, ...]:
    return tuple(range(size))


def memoised_indices(x: Any, w: Any) -> Any:
    return [sum(x[o + t] * w[t] for t in taps(3)) for o in range(2)]


@dataclass
class Layer:
    stride: int = 1

    def __call__(self, x: Any, w: Any) -> Any:
        return self.forward(x, w)[:: self.stride]

    def forward(self, x: Any, w: Any) -> Any:
        return loops(x, w)


def im2col(x: Any, w: Any) -> Any:
    columns = np.zeros((4, 9))
    for i in range(3):
        for j in range(3):
            columns[:, 3 * i + j] = x[i : i + 2, j : j + 2].reshape(-1)
    return (w.reshape(1, -1) @ columns).reshape(3, 3)


def strided_2d(x: Any, w: Any) -> Any:
    windows = as_strided(x, (3, 3, 2, 2), x.strides * 2)
    return np.einsum("ijab,ab->ij", windows, w)


def conv2d(x: Any, w: Any) -> Any:
    outputs, _, height, width = w.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)), mode="constant")
    rows, columns = padded.shape[1] - height + 1, padded.shape[2] - width + 1
    y = np.zeros((outputs, rows, columns))
    for k in range(outputs):
        for i in range(rows):
            for j in range(columns):
                y[k, i, j] = np.sum(padded[:, i : i + height, j : j + width] * w[k])
    return y


def tensordot_2d(x: Any, w: Any) -> Any:
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (2, 2), axis=(1, 2))
    return np.tensordot(w, windows, axes=([1, 2, 3], [0, 3, 4]))


def backward_triple(x: Any, w: Any, g: Any) -> Any:
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    for o in range(len(g)):
        dx[o : o + len(w)] += w * g[o]
        dw += x[o : o + len(w)] * g[o]
    return dx, dw, np.sum(g)


def backward_list(x: Any, w: Any, g: Any) -> Any:
    return list(backward_triple(x, w, g))


def backward_dictionary(x: Any, w: Any, g: Any) -> Any:
    dx, dw, db = backward_triple(x, w, g)
    return {"dx": dx, "dw": dw, "db": db}


def backward_channels(x: Any, w: Any, g: Any) -> Any:
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
    dx, dw = np.zeros_like(padded), np.zeros_like(w)
    db = g.sum(axis=(1, 2))
    for k in range(g.shape[0]):
        for i in range(g.shape[1]):
            for j in range(g.shape[2]):
                dw[k] += padded[:, i : i + 2, j : j + 2] * g[k, i, j]
                dx[:, i : i + 2, j : j + 2] += w[k] * g[k, i, j]
    return dx[:, 1:-1, 1:-1], dw, db


def backward_pool(g: Any) -> Any:
    dx = np.zeros(6)
    for o in range(2):
        dx[3 * o : 3 * o + 3] += g[o] / 3
    return dx


def pool_like(x: Any) -> Any:
    y = np.zeros_like(x[:2])
    for o in range(2):
        y[o] = x[3 * o : 3 * o + 3].mean()
    return y


FORWARD: dict[str, Callable[..., Any]] = {
    "loops": loops,
    "from numpy import zeros": imported_zeros,
    "np.array([0.0] * n)": array_of_floats,
    "np.asarray(x, dtype=float)": asarray_float,
    "x.astype(float)": astype_float,
    "np.zeros(dtype=)": zeros_of_a_dtype,
    "np.empty": empty_then_filled,
    "zeros_like": like_the_input,
    "checks of its arguments": checked,
    "checks of types": typed,
    "print": printing,
    "recursion": recursive,
    "a generator": generator,
    "np.vectorize": vectorised,
    "append": appended,
    "deepcopy": copied,
    "(out, cache)": cached,
    "a dictionary": as_dictionary,
    "lru_cache of indices": memoised_indices,
    "a callable object": Layer(),
    "a method": Layer().forward,
    "functools.partial": functools.partial(lambda scale, x, w: scale * loops(x, w), 1),
    "a list comprehension": lambda x, w: [sum(x[o + t] * w[t] for t in range(3)) for o in range(2)],
    "map and operator": lambda x, w: [sum(map(operator.mul, x[o:], w)) for o in range(2)],
    "functools.reduce": lambda x, w: [
        functools.reduce(operator.add, (x[o + t] * w[t] for t in range(3))) for o in range(2)
    ],
    "math.prod": lambda x, w: [
        sum(math.prod((x[o + t], w[t])) for t in range(3)) for o in range(2)
    ],
    "np.dot": lambda x, w: np.array([np.dot(x[o : o + 3], w) for o in range(2)]),
    "@": lambda x, w: sliding_window_view(x, 3) @ w,
    "np.einsum": lambda x, w: np.einsum("ot,t->o", sliding_window_view(x, 3), w),
    "np.tensordot": lambda x, w: np.tensordot(sliding_window_view(x, 3), w, 1),
    "np.convolve": lambda x, w: np.convolve(x, w[::-1], "valid"),
    "np.correlate": lambda x, w: np.correlate(x, w, mode="valid"),
    "scipy.signal.correlate": lambda x, w: scipy.signal.correlate(x, w, "valid", method="direct"),
    "scipy.linalg.toeplitz": lambda x, w: scipy.linalg.toeplitz([w[0], 0], [*w, 0]) @ x,
    "np.roll": lambda x, w: sum(w[t] * np.roll(x, -t) for t in range(3))[:2],
    "np.stack": lambda x, w: np.stack([x[t : t + 2] for t in range(3)], axis=1) @ w,
    "np.concatenate": lambda x, w: np.concatenate([[x[:3] @ w], [x[1:] @ w]]),
    "np.kron": lambda x, w: (
        np.kron(np.eye(1), w.reshape(1, 3)).reshape(3) @ np.stack([x[t : t + 2] for t in range(3)])
    ),
    "np.cumsum": lambda x, w: [np.cumsum(x[o : o + 3] * w)[-1] for o in range(2)],
    "np.outer": lambda x, w: [np.trace(np.outer(x, w)[o : o + 3]) for o in range(2)],
    "np.flip": lambda x, w: np.convolve(x, np.flip(w), mode="valid"),
    "np.apply_along_axis": lambda x, w: np.apply_along_axis(
        lambda row: np.sum(row * w), 1, sliding_window_view(x, 3)
    ),
    "np.multiply and np.add": lambda x, w: np.add.reduce(
        np.multiply(sliding_window_view(x, 3), w), axis=1
    ),
    "np.pad and slices": lambda x, w: sum(np.pad(x, 1)[t + 1 : t + 3] * w[t] for t in range(3)),
    "np.matmul": lambda x, w: np.matmul(sliding_window_view(x, 3), w[:, None])[:, 0],
    "np.inner": lambda x, w: [np.inner(x[o : o + 3], w) for o in range(2)],
    "a Toeplitz matrix in loops": lambda x, w: _toeplitz(w) @ x,
    "np.add.at": lambda x, w: _scattered(x, w),
    "enumerate and zip": lambda x, w: [
        sum(v * x[o + t] for t, v in enumerate(w)) for o, _ in zip(range(2), x, strict=False)
    ],
    "a nested function": lambda x, w: (lambda f: [f(0), f(1)])(lambda o: x[o : o + 3] @ w),
    "x.tolist()": lambda x, w: loops(x.tolist(), w.tolist()),
    "matrices": lambda x, w: (w.reshape(1, 3) @ np.array([x[:2], x[1:3], x[2:]])).ravel(),
}


def _toeplitz(w: Any) -> Any:
    matrix = np.zeros((2, 4))
    for o in range(2):
        matrix[o, o : o + 3] = w
    return matrix


def _scattered(x: Any, w: Any) -> Any:
    y = np.zeros(2)
    for t in range(3):
        np.add.at(y, [0, 1], x[t : t + 2] * w[t])
    return y


def loops_over_patches(x: Any, w: Any) -> Any:
    size = w.shape[0]
    y = np.zeros((x.shape[0] - size + 1, x.shape[1] - size + 1))
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            patch = x[i : i + size, j : j + size]
            y[i][j] = np.multiply(patch, w).sum()
    return y


def im2col_by_indices(x: Any, w: Any) -> Any:
    offsets_i, offsets_j = np.repeat(np.arange(2), 2), np.tile(np.arange(2), 2)
    rows = np.repeat(np.arange(3), 3).reshape(1, -1) + offsets_i.reshape(-1, 1)
    columns = np.tile(np.arange(3), 3).reshape(1, -1) + offsets_j.reshape(-1, 1)
    return (w.reshape(1, -1) @ x[rows, columns]).reshape(3, 3)


def backward_by_padding(x: Any, w: Any, g: Any) -> Any:
    dw = np.array([np.dot(x[k : k + len(g)], g) for k in range(len(w))])
    padded = np.pad(g, (len(w) - 1, len(w) - 1), "constant", constant_values=0)
    dx = np.array([np.dot(padded[i : i + len(w)], w[::-1]) for i in range(len(x))])
    return dx, dw, np.array([g.sum()])


CLAIMS: dict[str, Claim] = {
    **{name: ("implements", THREE, f) for name, f in FORWARD.items()},
    "im2col": ("implements", IMAGE, im2col),
    "as_strided in two dimensions": ("implements", IMAGE, strided_2d),
    "scipy.signal.correlate2d": (
        "implements",
        IMAGE,
        lambda x, w: scipy.signal.correlate(x, w, "valid", method="direct"),
    ),
    "channels in loops": ("implements", CHANNELS, conv2d),
    "channels by tensordot": ("implements", CHANNELS, tensordot_2d),
    "a stride": ("implements", STRIDED, lambda x, w: (sliding_window_view(x, 3) @ w)[::2]),
    "a mean": ("implements", AVERAGE, lambda x: x.reshape(2, 3).mean(axis=1)),
    "np.mean": ("implements", AVERAGE, lambda x: np.mean(x.reshape(2, 3), axis=1)),
    "means in loops": ("implements", AVERAGE, lambda x: [np.mean(x[:3]), np.mean(x[3:])]),
    "means into zeros_like": ("implements", AVERAGE, pool_like),
    "a division": ("implements", HALF, lambda x: x / 2),
    "in place": ("linear", 4, lambda x: in_place(x, np.array([2.0, 1, 1]))),
    "(dx, dw, db)": ("gradient", THREE, backward_triple),
    "[dx, dw, db]": ("gradient", THREE, backward_list),
    "a dictionary of gradients": ("gradient", THREE, backward_dictionary),
    "gradients of channels": ("gradient", CHANNELS, backward_channels),
    "the gradient of a pool": ("gradient", AVERAGE, backward_pool),
    "np.repeat": ("gradient", AVERAGE, lambda g: np.repeat(g, 3) / 3),
    "a difference": ("linear", 5, lambda x: x[1:] - x[:-1]),
    "np.diff": ("linear", 5, np.diff),
    "np.cumsum of all": ("linear", 5, np.cumsum),
    "np.gradient by hand": ("linear", 5, lambda x: (x[2:] - x[:-2]) / 2),
    "interpolation": (
        "linear",
        4,
        lambda x: np.repeat(x, 2)[1:-1] * 0.75 + 0.25 * np.roll(x, 1)[0],
    ),
    "matrix of constants": ("linear", 3, lambda x: np.linalg.inv(np.diag([1.0, 2, 4])) @ x),
    "a tuple of numbers": ("linear", 3, lambda x: (x[0], x[1] + x[2])),
    "a constant zero": ("linear", 3, lambda x: np.zeros(2)),
    "y[i][j]": ("implements", IMAGE, loops_over_patches),
    "im2col by indices": ("implements", IMAGE, im2col_by_indices),
    "flatten and dot": (
        "implements",
        IMAGE,
        lambda x, w: np.array(
            [
                [x[i : i + 2, j : j + 2].flatten().dot(w.flatten()) for j in range(3)]
                for i in range(3)
            ]
        ),
    ),
    "hstack and vstack": (
        "implements",
        THREE,
        lambda x, w: np.hstack([np.vstack([x[:3], x[1:]]) @ w]),
    ),
    "gradients by padding": ("gradient", THREE, backward_by_padding),
    "np.split": ("linear", 6, lambda x: np.concatenate(np.split(x, 3)[::-1])),
    "np.tril": ("linear", 4, lambda x: np.tril(np.ones((4, 4))) @ x),
    "np.linspace": ("linear", 3, lambda x: np.outer(np.linspace(0, 1, 3), x).sum(0)),
    "np.insert": ("linear", 4, lambda x: np.delete(np.insert(x, 1, 0), [2])),
    "np.take": ("linear", 4, lambda x: np.take(x, [3, 2, 1, 0])),
    "np.gradient": ("linear", 4, lambda x: np.gradient(x)),
}
