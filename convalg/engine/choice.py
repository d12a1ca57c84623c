"""The choice of the engine of a layer: the requested one, or the fastest by estimated time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, partial
from operator import attrgetter
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np

from convalg.arguments import one_of
from convalg.engine import bands, fourier, im2col, stored, taps, tiles
from convalg.engine.arithmetic import CHUNK, Array
from convalg.engine.layer import EngineLayer, layer_of_geometry
from convalg.engine.time_model import Work
from convalg.errors import ArgumentError
from convalg.geometry import Geometry
from convalg.limits import MEMORY_LIMIT
from convalg.size import size_product

Job = Literal["forward", "adjoint", "gradient"]
ENGINES = ("gather", "csr", "im2col", "tiles", "bands", "taps", "fft")
"""The names of the engines; "auto" chooses among them."""

MOST_PHASES = 4096
"""The largest number of phases (correlations) into which the adjoint of a layer is split."""

FEW = {"forward": 2048, "adjoint": 512, "gradient": 2048}
"""Up to this number of entries read, `gather` is used without estimating the time of the other
engines: it makes few calls into NumPy, and the estimates take longer than one call of the layer."""

LARGE = 49
"""The smallest number of taps for which "auto" may choose the Fourier transform."""

_CHOSEN: ContextVar[str] = ContextVar("engine", default="auto")


@contextmanager
def using(name: str) -> Iterator[None]:
    """Apply all layers within this context with the named engine.

    Raises: ArgumentError when the name is neither "auto" nor one of `ENGINES`.
    """
    token = _CHOSEN.set(one_of(name, ("auto", *ENGINES), "engine"))
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def chosen() -> str:
    """Return the name of the requested engine, or "auto"."""
    return _CHOSEN.get()


class EnginePlan(NamedTuple):
    """One way to compute a layer, its adjoint or its gradient, with its estimated work.

    `run` is None for `gather`, which is called directly. `zeros`: samples are also multiplied by
    zeros that are not weights of the layer, so that NaN and infinities spread. `adjoint`: `run`
    returns x from g.
    """

    engine: str
    work: Work
    run: Callable[..., Array] | None
    zeros: bool = False
    adjoint: bool = False

    @property
    def seconds(self) -> float:
        """The time in seconds estimated by the cost model."""
        return self.work.seconds()


@lru_cache(maxsize=1024)
def plan(geometry: Geometry, job: Job, batch: int, last: bool, kind: str, name: str) -> EnginePlan:
    """Return the plan of the requested engine `name` for a job, or of the fastest for "auto".

    `last`: the batch is innermost in memory. `kind`: NumPy's `dtype.kind` of the numbers.
    Raises: ArgumentError when the requested engine cannot compute the job.
    """
    layer = layer_of_geometry(geometry).layer
    if name == "auto" and batch * layer.groups * layer.weights * layer.positions <= FEW[job]:
        return EnginePlan("gather", _gathering(layer, batch, job), None)
    plans = _plans(geometry, job, batch, last)
    plans = [each for each in plans if kind in _KINDS.get(each.engine, "ifc")]
    if 16 * layer.groups * layer.inputs * math.prod(layer.lengths) > MEMORY_LIMIT:
        # With large strides or dilations the other engines would store all skipped samples.
        plans = [each for each in plans if each.engine in ("gather", "csr")]
    if name == "auto":
        # The transform rounds relative to the largest numbers, so it must save much time.
        if size_product(geometry.taps) < LARGE:
            plans = [each for each in plans if each.engine != "fft"]
    else:
        plans = [each for each in plans if each.engine == name]
        if not plans:
            reason = _REASONS.get(name, "it would store all samples that the kernel skips")
            raise ArgumentError(
                f"engine={name!r} does not support the {job} pass of this layer"
                f"{' on integers' * (kind == 'i')}, since {reason}: choose 'auto' or another of "
                f"{', '.join(ENGINES)}"
            )
    return min(plans, key=attrgetter("seconds"))


_KINDS = {"fft": "f"}
"""The `dtype.kind` of the numbers that an engine supports, if not integers, floats and complex."""

_REASONS = {
    "csr": "it has no rule for the gradient of the kernel",
    "bands": "it supports only layers with one input channel per group",
    "taps": "it supports only layers with one input channel per group",
    "fft": "it rounds, and supports only real numbers",
}


def estimates(geometry: Geometry, job: Job = "forward", batch: int = 1) -> dict[str, float]:
    """Return the estimated seconds of each engine that supports a job, the fastest first.

    >>> from convalg.conventions import correlation_geometry
    >>> "im2col" in estimates(correlation_geometry((8, 8), (3, 3)))
    True
    """
    seconds: dict[str, float] = {}
    for each in _plans(geometry, job, batch, False):
        seconds[each.engine] = min(each.seconds, seconds.get(each.engine, math.inf))
    return dict(sorted(seconds.items(), key=lambda pair: pair[1]))


def _plans(geometry: Geometry, job: Job, batch: int, last: bool) -> list[EnginePlan]:
    layer = layer_of_geometry(geometry).layer
    plans = [EnginePlan("gather", _gathering(layer, batch, job), None)]
    if job == "gradient":
        return plans + _ways(layer, batch, last, slope=True)
    adjoint = job == "adjoint"
    apply = partial(stored.apply, geometry, adjoint=adjoint)
    plans.append(EnginePlan("csr", stored.work(geometry, batch, last=last), apply))
    return plans + (_adjoints if adjoint else _ways)(layer, batch, last)


def _ways(layer: EngineLayer, batch: int, last: bool, *, slope: bool = False) -> list[EnginePlan]:
    """Return the plans for a layer, run(kernel, x), or with `slope` for its gradient, run(x, g)."""

    def one(
        name: str, engine: ModuleType, work: Work, *arguments: object, zeros: bool = False
    ) -> EnginePlan:
        run = engine.gradient if slope else engine.forward
        return EnginePlan(name, work, partial(run, *arguments), zeros)

    ways = [one("im2col", im2col, im2col.work(layer, batch, slope, last), layer)]
    shape = layer.taps if slope else layer.out
    for tiling in tiles.tilings(layer, batch):
        work = tiles.work(tiling, batch, slope, last)
        stuffed = slope or math.prod(tiling.tile) > 1
        ways.append(one("tiles", tiles, work, shape, tiling, zeros=stuffed))
    if layer.inputs == 1:
        band = bands.bands(layer)
        ways.append(one("bands", bands, bands.work(band, batch, slope, last), band, zeros=True))
        ways.append(one("taps", taps, taps.work(layer, batch), layer))
    ways.append(one("fft", fourier, fourier.work(layer, batch, slope), layer, zeros=True))

    return ways


def _adjoints(layer: EngineLayer, batch: int, last: bool) -> list[EnginePlan]:
    """Return the plans for the adjoint, run(kernel, g), each with one engine for all phases.

    The adjoint of a layer with stride s has s phases on an axis: correlations of stride one.
    """
    if math.prod(map(min, layer.strides, layer.lengths)) > MOST_PHASES:
        return []
    phases = [_ways(phase, batch, last) for phase, _, _ in layer.phases()]
    adjoints = []
    for name in ENGINES:
        each = [[plan for plan in plans if plan.engine == name] for plans in phases]
        if not all(each):
            continue
        best = [min(plans, key=lambda plan: plan.seconds) for plans in each]
        work = sum((plan.work for plan in best), Work(calls=4 * len(phases)))
        # The kernel is copied with its channels swapped, and each phase into the result.
        work.copy(layer.groups * layer.outputs * layer.weights, run=1)
        if len(phases) > 1:
            size, step = batch * layer.groups * layer.inputs, layer.strides[-1]
            work.copy(size * math.prod(layer.sizes), run=layer.sizes[-1] / step, step=step)
        run = partial(_by_phases, layer, best)
        adjoints.append(EnginePlan(name, work, run, any(plan.zeros for plan in best), adjoint=True))
    return adjoints


def _by_phases(layer: EngineLayer, plans: list[EnginePlan], kernel: Array, g: Array) -> Array:
    """Return x (batch, groups, inputs, *in) = A^T g, where each phase is a correlation of g."""
    extended = any(layer.boundaries)
    sizes = tuple(
        n if layer.boundaries and layer.boundaries[k] is not None else size
        for k, (n, size) in enumerate(zip(layer.lengths, layer.sizes, strict=True))
    )
    x: Array | None = None
    kernel = kernel.swapaxes(1, 2)
    for each, (_, positions, picks) in zip(plans, layer.phases(), strict=True):
        if each.run is None:
            raise AssertionError(each)
        taken: Any = (..., *picks)
        part = each.run(np.ascontiguousarray(kernel[taken]), g)
        if part.shape[3:] == sizes:
            x = part
            break
        if x is None:
            # Samples that no tap reads stay zero.
            x = np.zeros((*part.shape[:3], *sizes), dtype=part.dtype)
        where: Any = (..., *positions)
        x[where] = part
    if x is None:
        x = np.zeros((len(g), layer.groups, layer.inputs, *sizes), dtype=g.dtype)
    return layer.fold_back(x, 3) if extended else x


def _gathering(layer: EngineLayer, batch: int, job: Job) -> Work:
    """Return the work of the engine "gather"."""
    entries = batch * layer.groups * layer.weights * layer.positions
    cost = Work(calls=12)
    cost.keep(min(entries, CHUNK) * -(-entries // CHUNK))
    if job == "adjoint":
        cost.scattered += entries
    else:
        cost.gathered += entries
    sides = (layer.outputs, layer.weights, layer.positions)
    cost.products(batch * layer.groups, *sides, long=job == "gradient")
    return cost
