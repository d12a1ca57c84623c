"""Which engine applies a layer: the one with the least estimated time, or the one asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import Any, Literal, NamedTuple

import numpy as np

from convalg.arguments import one_of
from convalg.engine import bands, fourier, im2col, stored, taps, tiles
from convalg.engine.arithmetic import CHUNK, Array
from convalg.engine.cost import Work
from convalg.engine.layer import EngineLayer, layer_of_geometry
from convalg.errors import ArgumentError
from convalg.geometry import Geometry
from convalg.limits import MEMORY_LIMIT
from convalg.size import size_product

Job = Literal["forward", "adjoint", "gradient"]
ENGINES = ("gather", "csr", "im2col", "tiles", "bands", "taps", "fft")
"""The engines by name; "auto" chooses among them."""

MOST_PHASES = 4096
"""Correlations that the adjoint of a layer with strides may be parted into."""

LARGE = 49
"""Taps of a kernel from which on "auto" may take the Fourier transform."""

_CHOSEN: ContextVar[str] = ContextVar("engine", default="auto")


@contextmanager
def using(name: str) -> Iterator[None]:
    """Layers applied inside run on the named engine.

    Raises: ArgumentError for a name that there is not.
    """
    token = _CHOSEN.set(one_of(name, ("auto", *ENGINES), "engine"))
    try:
        yield
    finally:
        _CHOSEN.reset(token)


def chosen() -> str:
    """The engine asked for: a name, or "auto"."""
    return _CHOSEN.get()


class EnginePlan(NamedTuple):
    """One way to do a job, and what it does.

    With `zeros` it multiplies numbers that the layer does not, by zero: NaN and infinities spread.
    """

    engine: str
    work: Work
    run: Callable[..., Array] | None
    zeros: bool = False
    adjoint: bool = False

    @property
    def seconds(self) -> float:
        """The time that the model gives it."""
        return self.work.seconds()


@lru_cache(maxsize=1024)
def plan(geometry: Geometry, job: Job, batch: int, last: bool, kind: str, name: str) -> EnginePlan:
    """The plan for a job; `last`: the batch is innermost in memory, `kind`: NumPy's, of numbers.

    Raises: ArgumentError when the engine asked for cannot do it.
    """
    found = _plans(geometry, job, batch, last)
    found = [each for each in found if kind in _KINDS.get(each.engine, "ifc")]
    layer = layer_of_geometry(geometry).layer
    if 16 * layer.groups * layer.inputs * math.prod(layer.lengths) > MEMORY_LIMIT:
        # Long steps over little: the others lay out all that is stepped over.
        found = [each for each in found if each.engine in ("gather", "csr")]
    if name == "auto":
        # The transform rounds relative to the largest numbers: only large kernels save enough.
        if size_product(geometry.taps) < LARGE:
            found = [each for each in found if each.engine != "fft"]
    else:
        found = [each for each in found if each.engine == name]
        if not found:
            wants = _WANTS.get(name, "all that the kernel steps over would be laid out")
            raise ArgumentError(
                f"engine={name!r} cannot do the {job} of this layer{' exactly' * (kind == 'i')}: "
                f"{wants}; choose another, or 'auto'"
            )
    return min(found, key=lambda each: each.seconds)


_KINDS = {"fft": "f"}
"""The kinds of numbers of an engine that does not take integers and complex numbers too."""

_WANTS = {
    "csr": "it has no rule for the gradient of the kernel",
    "bands": "it takes one input channel to a group",
    "taps": "it takes one input channel to a group",
    "fft": "it rounds, and takes real numbers",
}


def estimates(geometry: Geometry, job: Job = "forward", batch: int = 1) -> dict[str, float]:
    """The model's seconds for each engine that can do a job, the fastest first.

    >>> from convalg.conventions import correlation_geometry
    >>> "im2col" in estimates(correlation_geometry((8, 8), (3, 3)))
    True
    """
    found: dict[str, float] = {}
    for each in _plans(geometry, job, batch, False):
        found[each.engine] = min(each.seconds, found.get(each.engine, math.inf))
    return dict(sorted(found.items(), key=lambda pair: pair[1]))


def _plans(geometry: Geometry, job: Job, batch: int, last: bool) -> list[EnginePlan]:
    layer = layer_of_geometry(geometry).layer
    found = [EnginePlan("gather", _gathering(layer, batch, job), None)]
    if job == "gradient":
        return found + _ways(layer, batch, last, slope=True)
    adjoint = job == "adjoint"
    apply = partial(stored.apply, geometry, adjoint=adjoint)
    found.append(EnginePlan("csr", stored.work(geometry, batch, last=last), apply))
    return found + (_adjoints if adjoint else _ways)(layer, batch, last)


def _ways(layer: EngineLayer, batch: int, last: bool, *, slope: bool = False) -> list[EnginePlan]:
    """The ways to apply a layer, `run(kernel, x)`; with `slope`, its gradient, `run(x, g)`."""

    def one(name: str, engine: Any, work: Work, *arguments: Any, zeros: bool = False) -> EnginePlan:
        run = engine.gradient if slope else engine.forward
        return EnginePlan(name, work, partial(run, *arguments), zeros)

    found = [one("im2col", im2col, im2col.work(layer, batch, slope, last), layer)]
    shape = layer.taps if slope else layer.out
    for tiling in tiles.tilings(layer, batch):
        work = tiles.work(tiling, batch, slope, last)
        stuffed = slope or math.prod(tiling.tile) > 1
        found.append(one("tiles", tiles, work, shape, tiling, zeros=stuffed))
    if layer.inputs == 1:
        band = bands.bands(layer)
        found.append(one("bands", bands, bands.work(band, batch, slope, last), band, zeros=True))
        found.append(one("taps", taps, taps.work(layer, batch), layer))
    found.append(one("fft", fourier, fourier.work(layer, batch, slope), layer, zeros=True))

    return found


def _adjoints(layer: EngineLayer, batch: int, last: bool) -> list[EnginePlan]:
    """The adjoint by one engine for all its phases: `run(kernel, g)`.

    A layer with stride s has s phases on an axis, correlations of stride one.
    """
    if math.prod(map(min, layer.strides, layer.lengths)) > MOST_PHASES:
        return []
    phases = [_ways(phase, batch, last) for phase, _, _ in layer.phases()]
    found = []
    for name in ENGINES:
        each = [[plan for plan in plans if plan.engine == name] for plans in phases]
        if not all(each):
            continue
        best = [min(plans, key=lambda plan: plan.seconds) for plans in each]
        work = sum((plan.work for plan in best), Work(calls=4 * len(phases)))
        # The kernel with its channels swapped, and the phases put side by side.
        work.copy(layer.groups * layer.outputs * layer.weights, run=1)
        if len(phases) > 1:
            size, step = batch * layer.groups * layer.inputs, layer.strides[-1]
            work.copy(size * math.prod(layer.sizes), run=layer.sizes[-1] / step, step=step)
        run = partial(_by_phases, layer, best)
        found.append(EnginePlan(name, work, run, any(plan.zeros for plan in best), adjoint=True))
    return found


def _by_phases(layer: EngineLayer, plans: list[EnginePlan], kernel: Array, g: Array) -> Array:
    """x (batch, groups, inputs, *in) = A^T g: each phase is a correlation of g."""
    extended = any(layer.boundaries)
    sizes = tuple(
        n if layer.boundaries and layer.boundaries[k] is not None else size
        for k, (n, size) in enumerate(zip(layer.lengths, layer.sizes, strict=True))
    )
    whole: Array | None = None
    kernel = kernel.swapaxes(1, 2)
    for each, (_, places, picks) in zip(plans, layer.phases(), strict=True):
        if each.run is None:
            raise AssertionError(each)
        taken: Any = (..., *picks)
        part = each.run(np.ascontiguousarray(kernel[taken]), g)
        if part.shape[3:] == sizes:
            whole = part
            break
        if whole is None:
            # What no tap reads stays zero.
            whole = np.zeros((*part.shape[:3], *sizes), dtype=part.dtype)
        where: Any = (..., *places)
        whole[where] = part
    if whole is None:
        whole = np.zeros((len(g), layer.groups, layer.inputs, *sizes), dtype=g.dtype)
    return layer.fold_back(whole, 3) if extended else whole


def _gathering(layer: EngineLayer, batch: int, job: Job) -> Work:
    """What `gather` does; see `cost.Work`."""
    entries = batch * layer.groups * layer.weights * layer.positions
    found = Work(calls=12)
    found.keep(min(entries, CHUNK) * -(-entries // CHUNK))
    if job == "adjoint":
        found.scattered += entries
    else:
        found.gathered += entries
    sides = (layer.outputs, layer.weights, layer.positions)
    found.products(batch * layer.groups, *sides, long=job == "gradient")
    return found
