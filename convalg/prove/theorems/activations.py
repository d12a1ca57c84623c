"""Theorems about ReLU and max pooling, which are not linear."""

from __future__ import annotations

from functools import partial

from convalg.axis import Size
from convalg.operators.padding import crop
from convalg.operators.sampling import downsample
from convalg.operators.shifts import shift
from convalg.operators.tree import Operator
from convalg.prove.theorems.chapters import EQUIVARIANCE, LAYERS, POOLING
from convalg.prove.theorems.reals import (
    AnyPooling,
    MonotoneMaximum,
    RealEquation,
    SameWindows,
    real,
    relu,
)
from convalg.prove.theorems.theorem import Theorem
from convalg.size import sizes

n, K, s, k = sizes("n K s k")
x, y, alpha, b = (real(name) for name in ("x", "y", "alpha", "b"))


def _absolute() -> tuple[object, object]:
    import sympy

    return relu(x) + relu(-x), sympy.Abs(x)


def _larger() -> tuple[object, object]:
    import sympy

    return sympy.Max(x, y), y + relu(x - y)


def _delayed(pool: AnyPooling, *, step: Size = s) -> tuple[Operator, Operator]:
    """A shift by k strides before the pooling, or by k outputs after it."""
    pooled = pool(n, stride=s)
    (outputs,) = pooled.out_shape
    rest = crop(outputs, ((k, 0),))
    return rest @ pooled @ shift(n, k * step), rest @ shift(outputs, k) @ pooled


def _delayed_by_one(pool: AnyPooling) -> tuple[Operator, Operator]:
    """A shift by less than the stride."""
    pooled = pool(n, stride=2)
    (outputs,) = pooled.out_shape
    rest = crop(outputs, ((1, 0),))
    return rest @ pooled @ shift(n, 1), rest @ shift(outputs, 1) @ pooled


def _kept(pool: AnyPooling, *, is_shifted: bool = False) -> tuple[Operator, Operator]:
    """Every s-th output of the pooling of stride 1, from output 0 or s - 1 on."""
    if is_shifted:
        return pool(n + 1, stride=2), downsample(n - K + 2, 2, offset=1) @ pool(n + 1, stride=1)
    return pool(n, stride=s), downsample(n - K + 1, s) @ pool(n, stride=1)


GLOROT = "Glorot, Bordes & Bengio, Deep Sparse Rectifier Neural Networks, 2011"
CRELU = (
    "Shang et al., Understanding and Improving Convolutional Neural Networks via Concatenated "
    "Rectified Linear Units, 2016"
)

THEOREMS = (
    Theorem(
        "relu-homogeneity",
        (
            RealEquation(
                "a factor that is not negative can be moved out of ReLU",
                lambda: (relu(alpha * x), alpha * relu(x)),
                given=lambda: (alpha,),
            ),
        ),
        source=GLOROT,
        counter=RealEquation(
            "every factor can be moved out of ReLU", lambda: (relu(alpha * x), alpha * relu(x))
        ),
        chapter=LAYERS,
        sentence=(
            "ReLU is positively homogeneous: a factor that is not negative can be moved from its "
            "input to its output."
        ),
        idea="A factor that is not negative does not change which of 0 and x is larger.",
    ),
    Theorem(
        "relu-parts",
        (
            RealEquation("x is ReLU(x) minus ReLU(-x)", lambda: (relu(x) - relu(-x), x)),
            RealEquation("|x| is ReLU(x) plus ReLU(-x)", _absolute),
        ),
        source=CRELU,
        counter=RealEquation("x is ReLU(x) plus ReLU(-x)", lambda: (relu(x) + relu(-x), x)),
        chapter=LAYERS,
        sentence=(
            "A signal is the difference of ReLU of it and of its negative, and its absolute value "
            "is their sum."
        ),
        idea="One of the two is zero, and the other is x or -x.",
    ),
    Theorem(
        "relu-maximum",
        (RealEquation("the maximum of x and y is y plus ReLU(x - y)", _larger, arrays="x y"),),
        source="Arora et al., Understanding Deep Neural Networks with Rectified Linear Units, 2018",
        counter=RealEquation(
            "the maximum of x and y is ReLU(x - y)",
            lambda: (_larger()[0], relu(x - y)),
            arrays="x y",
        ),
        chapter=LAYERS,
        sentence=(
            "The maximum of two signals is the second one plus ReLU of the first one minus the "
            "second."
        ),
        idea="If x is at most y, ReLU adds zero, otherwise it adds what is missing to x.",
    ),
    Theorem(
        "max-pooling-monotone",
        (
            MonotoneMaximum("ReLU before or after max pooling", relu),
            MonotoneMaximum("a bias before or after max pooling", lambda v: v + b),
            MonotoneMaximum(
                "a factor that is not negative before or after max pooling",
                lambda v: alpha * v,
                given=lambda: (alpha,),
            ),
        ),
        counter=MonotoneMaximum("a factor of -1 before or after max pooling", lambda v: -v),
        chapter=POOLING,
        sentence=(
            "Max pooling over any windows commutes with ReLU, with a bias and with a factor that "
            "is not negative, so that it is positively homogeneous."
        ),
        idea="A monotone function maps the maximum of a window to the maximum of the values.",
    ),
    Theorem(
        "max-pooling-stride",
        (SameWindows("window o of stride s is window s o of stride 1", _kept),),
        counter=SameWindows(
            "the windows of stride 2 are every second window of stride 1, from window 1 on",
            partial(_kept, is_shifted=True),
        ),
        chapter=POOLING,
        sentence=(
            "Max pooling over any window with stride s is the max pooling of stride 1, of which "
            "every s-th output is kept."
        ),
        idea="Both take the maximum of the samples s o to s o + K - 1.",
    ),
    Theorem(
        "max-pooling-shift",
        (SameWindows("a shift by k strides is a shift by k outputs", _delayed),),
        counter=SameWindows("a shift by one sample is a shift by one output", _delayed_by_one),
        chapter=EQUIVARIANCE,
        sentence=(
            "A shift of the input of a max pooling by k times its stride shifts its output by k, "
            "apart from the first k outputs."
        ),
        idea="Window o of the shifted signal contains the samples of window o - k.",
    ),
)
