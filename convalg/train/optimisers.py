"""Optimisers that update the parameters in place, by the same rules as PyTorch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np

from convalg.arguments import checked_number, settle
from convalg.errors import ArgumentError, KindError, ShapeError
from convalg.train.schedules import Schedule, check_schedule

Array = np.ndarray
Arrays = dict[str, Array]

# Added to the norm in the denominator of gradient clipping, as in torch.nn.utils.clip_grad_norm_.
_CLIP_MARGIN = 1e-6


class _Step(NamedTuple):
    """A step of one parameter: rate, number (from 1), and two buffers of the parameter's shape."""

    rate: float
    number: int
    first: Array
    second: Array


@dataclass(frozen=True)
class Optimiser(ABC):
    """The base class of the optimisers, which update parameters from their gradients.

    An optimiser is immutable: the caller keeps the state, which `start` creates and `update`
    changes in place.

    Args:
        learning_rate: Learning rate, which is multiplied by the factor of `schedule`.
        weight_decay: Factor of the penalty on the weights.
        schedule: Function from the progress of the run to a factor, or None for the factor 1.
        clip: Largest norm of all gradients together, to which larger gradients are scaled down;
            None for no limit.

    Raises:
        ArgumentError: for a number out of range.
        KindError: for a value that is not a number, or a schedule that is not a function.

    Source:
        The classes of the same names in torch.optim, which compute the same numbers.
    """

    learning_rate: float
    _: KW_ONLY
    weight_decay: float = 0.0
    schedule: Schedule | None = None
    clip: float | None = None

    def __post_init__(self) -> None:
        settle(self, "learning_rate", least=0)
        settle(self, "weight_decay", least=0)
        check_schedule(self.schedule, "schedule")
        if self.clip is not None:
            settle(self, "clip", above=0)

    @property
    @abstractmethod
    def moments(self) -> tuple[str, ...]:
        """The names of the state arrays that are kept for each parameter."""

    def start(self, parameters: Mapping[str, Array]) -> Arrays:
        """Return the state before the first step: arrays of zeros named "<parameter>/<moment>".

        Args:
            parameters: Arrays of floats by name.

        Raises:
            KindError: unless every parameter is a writable array of floats.

        >>> import convalg as ca
        >>> import numpy as np
        >>> sorted(ca.train.Adam().start({"bias": np.zeros(2)}))
        ['bias/mean', 'bias/square']
        """
        for name, parameter in parameters.items():
            _check_parameter(name, parameter)
        return {
            f"{name}/{moment}": np.zeros_like(parameter)
            for name, parameter in parameters.items()
            for moment in self.moments
        }

    def rate(self, step: int, *, steps_per_epoch: int = 1) -> float:
        """Return the learning rate of a step, including the factor of the schedule.

        Args:
            step: Index of the step, counted from 0.
            steps_per_epoch: Number of steps per unit of the schedule: the progress is
                step / steps_per_epoch.

        Raises:
            ArgumentError: when the factor of the schedule is negative or not finite.

        >>> import convalg as ca
        >>> optimiser = ca.train.SGD(0.5, schedule=lambda progress: 1 / (1 + progress))
        >>> optimiser.rate(3, steps_per_epoch=3)
        0.25
        """
        if self.schedule is None:
            return self.learning_rate
        factor = float(self.schedule(step / steps_per_epoch))
        if not 0 <= factor < math.inf:
            raise ArgumentError(
                f"the schedule must return a finite factor of at least 0, but returned {factor} "
                f"at step {step}: correct the schedule"
            )
        return self.learning_rate * factor

    def update(
        self,
        parameters: Mapping[str, Array],
        gradients: Mapping[str, Array],
        state: Mapping[str, Array],
        step: int,
        *,
        steps_per_epoch: int = 1,
    ) -> None:
        """Update the parameters and the state in place by one step.

        The gradients are unchanged. A parameter without a gradient is unchanged, and so is its
        state.

        Args:
            parameters: Arrays of floats by name.
            gradients: Arrays by the name of their parameter, each in the shape of the parameter.
            state: Arrays that `start` returned for these parameters.
            step: Index of the step, counted from 0.
            steps_per_epoch: Number of steps per unit of the schedule: the progress is
                step / steps_per_epoch.

        Raises:
            ShapeError: when a gradient does not have the shape of its parameter.
            ArgumentError: for a gradient without a parameter, a missing state array, or an invalid
                factor of the schedule.

        >>> import convalg as ca
        >>> import numpy as np
        >>> parameters = {"kernel": np.array([1.0, 2.0])}
        >>> ca.train.SGD(0.5).update(parameters, {"kernel": np.array([1.0, -1.0])}, {}, 0)
        >>> parameters["kernel"].tolist()
        [0.5, 2.5]
        """
        _check_gradients(parameters, gradients)
        rate = self.rate(step, steps_per_epoch=steps_per_epoch)
        shrink = 1.0 if self.clip is None else clip_factor(gradients, self.clip)
        scratch = _Scratch(parameters[name] for name in gradients)
        for name, gradient in gradients.items():
            parameter = parameters[name]
            now = _Step(rate, step + 1, *scratch.pair(parameter))
            if shrink != 1.0:
                gradient = np.multiply(gradient, shrink, out=now.first)
            self._move(parameter, gradient, self._moments(name, state), now)

    def _moments(self, name: str, state: Mapping[str, Array]) -> list[Array]:
        arrays = [state.get(f"{name}/{moment}") for moment in self.moments]
        if any(array is None for array in arrays):
            raise ArgumentError(
                f"the state lacks {', '.join(self.moments)} of the parameter {name!r}: create the "
                f"state with start(parameters) of the same optimiser"
            )
        return [array for array in arrays if array is not None]

    @abstractmethod
    def _move(self, parameter: Array, gradient: Array, moments: list[Array], step: _Step) -> None:
        """Update one parameter; `gradient` may share the buffer `step.first`, but not `second`."""


@dataclass(frozen=True)
class SGD(Optimiser):
    """Stochastic gradient descent, with Polyak's or Nesterov's momentum if `momentum` is not 0.

    Rule: v = momentum v + g; p -= rate v, and with Nesterov p -= rate (g + momentum v), where g is
    the gradient plus weight_decay p.

    Args:
        learning_rate: Learning rate, at least 0.
        momentum: Factor of the previous velocity v, from 0 to below 1.
        nesterov: Whether to use Nesterov's momentum, which needs a momentum above 0.
        weight_decay: Factor of the penalty on the weights.
        schedule: Function from the progress of the run to a factor of the learning rate.
        clip: Largest norm of all gradients together.

    Raises:
        ArgumentError: for a number out of range, or for `nesterov` without momentum.
        KindError: for a value of the wrong type.

    Source:
        torch.optim.SGD.

    >>> import convalg as ca
    >>> import numpy as np
    >>> parameters = {"w": np.array([4.0])}
    >>> optimiser = ca.train.SGD(0.25, 0.5)
    >>> state = optimiser.start(parameters)
    >>> for step in range(2):
    ...     optimiser.update(parameters, {"w": 2 * parameters["w"]}, state, step)
    >>> parameters["w"].tolist(), state["w/momentum"].tolist()
    ([0.0], [8.0])
    """

    learning_rate: float = 0.1
    momentum: float = 0.0
    nesterov: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        settle(self, "momentum", least=0, below=1)
        if not isinstance(self.nesterov, (bool, np.bool_)):
            raise KindError(f"nesterov must be True or False, not {self.nesterov!r}")
        if self.nesterov and not self.momentum:
            raise ArgumentError(
                f"nesterov=True needs a momentum above 0, not {self.momentum}: pass momentum=0.9"
            )

    @property
    def moments(self) -> tuple[str, ...]:
        """The names of the state arrays that are kept for each parameter."""
        return ("momentum",) if self.momentum else ()

    def _move(self, parameter: Array, gradient: Array, moments: list[Array], step: _Step) -> None:
        if self.weight_decay:
            np.multiply(parameter, self.weight_decay, out=step.second)
            gradient = np.add(gradient, step.second, out=step.first)
        if moments:
            (velocity,) = moments
            velocity *= self.momentum
            velocity += gradient
            if self.nesterov:
                np.multiply(velocity, self.momentum, out=step.second)
                gradient = np.add(gradient, step.second, out=step.first)
            else:
                gradient = velocity
        np.multiply(gradient, step.rate, out=step.second)
        parameter -= step.second


@dataclass(frozen=True)
class _Adaptive(Optimiser):
    """The base class of Adam and AdamW, with the means of the gradients and of their squares."""

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        settle(self, "epsilon", least=0)
        betas = self.betas
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise ArgumentError(f"betas must be two numbers, such as (0.9, 0.999), not {betas!r}")
        checked = tuple(
            checked_number(f"betas[{k}]", beta, least=0, below=1) for k, beta in enumerate(betas)
        )
        object.__setattr__(self, "betas", checked)

    @property
    def moments(self) -> tuple[str, ...]:
        """The names of the state arrays that are kept for each parameter."""
        return ("mean", "square")

    def _descend(
        self, parameter: Array, gradient: Array, moments: list[Array], step: _Step
    ) -> None:
        """Adam's step without weight decay."""
        mean, square = moments
        first, second = step.first, step.second
        slow, slower = self.betas
        mean *= slow
        mean += np.multiply(gradient, 1 - slow, out=second)
        square *= slower
        np.multiply(gradient, gradient, out=second)
        second *= 1 - slower
        square += second
        # Moving the bias correction of the root out of the quotient saves one pass over the array.
        root = math.sqrt(1 - slower**step.number)
        np.sqrt(square, out=second)
        second += self.epsilon * root
        np.divide(mean, second, out=first)
        first *= step.rate * root / (1 - slow**step.number)
        parameter -= first


@dataclass(frozen=True)
class Adam(_Adaptive):
    """Adam: steps along the mean gradient divided by the root of the mean squared gradient.

    Rule: m = b1 m + (1 - b1) g; s = b2 s + (1 - b2) g^2;
    p -= rate m / (1 - b1^t) / (sqrt(s / (1 - b2^t)) + epsilon) at the t-th step, where g is the
    gradient plus weight_decay p.

    Args:
        learning_rate: Learning rate, at least 0.
        betas: Factors b1 and b2 of the previous means, each from 0 to below 1.
        epsilon: Number added to the denominator, at least 0.
        weight_decay: Factor of the penalty on the weights.
        schedule: Function from the progress of the run to a factor of the learning rate.
        clip: Largest norm of all gradients together.

    Raises:
        ArgumentError: for a number out of range.
        KindError: for a value of the wrong type.

    Source:
        Kingma and Ba, 2015, algorithm 1; torch.optim.Adam.

    >>> import convalg as ca
    >>> import numpy as np
    >>> parameters = {"w": np.array([1.0, 1.0])}
    >>> optimiser = ca.train.Adam(0.1)
    >>> state = optimiser.start(parameters)
    >>> optimiser.update(parameters, {"w": np.array([5.0, -0.01])}, state, 0)
    >>> parameters["w"].round(6).tolist()
    [0.9, 1.1]
    """

    def _move(self, parameter: Array, gradient: Array, moments: list[Array], step: _Step) -> None:
        if self.weight_decay:
            np.multiply(parameter, self.weight_decay, out=step.second)
            gradient = np.add(gradient, step.second, out=step.first)
        self._descend(parameter, gradient, moments, step)


@dataclass(frozen=True)
class AdamW(_Adaptive):
    """Adam with decoupled weight decay, which shrinks the weights before each step.

    Rule: p *= 1 - rate weight_decay, then Adam's step with the unmodified gradient.

    Args:
        learning_rate: Learning rate, at least 0.
        betas: Factors b1 and b2 of the previous means, each from 0 to below 1.
        epsilon: Number added to the denominator, at least 0.
        weight_decay: Factor of the decay: each step multiplies the weights by
            1 - rate * weight_decay.
        schedule: Function from the progress of the run to a factor of the learning rate.
        clip: Largest norm of all gradients together.

    Raises:
        ArgumentError: for a number out of range.
        KindError: for a value of the wrong type.

    Source:
        Loshchilov and Hutter, Decoupled weight decay regularization, 2019; torch.optim.AdamW.

    >>> import convalg as ca
    >>> import numpy as np
    >>> parameters = {"w": np.array([1.0])}
    >>> optimiser = ca.train.AdamW(0.1, weight_decay=0.5)
    >>> optimiser.update(parameters, {"w": np.zeros(1)}, optimiser.start(parameters), 0)
    >>> parameters["w"].tolist()
    [0.95]
    """

    weight_decay: float = field(default=0.01, kw_only=True)

    def _move(self, parameter: Array, gradient: Array, moments: list[Array], step: _Step) -> None:
        parameter *= 1 - step.rate * self.weight_decay
        self._descend(parameter, gradient, moments, step)


OPTIMISERS: dict[str, Callable[[], Optimiser]] = {
    "sgd": SGD,
    "momentum": partial(SGD, momentum=0.9),
    "nesterov": partial(SGD, momentum=0.9, nesterov=True),
    "adam": Adam,
    "adamw": AdamW,
}


def optimiser_named(value: object) -> Optimiser:
    """Return the optimiser of the given name; an `Optimiser` is returned unchanged.

    Raises:
        ArgumentError: when no optimiser has this name.
        KindError: when `value` is neither a string nor an `Optimiser`.

    >>> from convalg.train.optimisers import optimiser_named
    >>> optimiser_named("momentum").momentum
    0.9
    """
    if isinstance(value, Optimiser):
        return value
    if not isinstance(value, str):
        raise KindError(
            f"optimizer must be an Optimiser or one of {', '.join(OPTIMISERS)}, not {value!r}"
        )
    if value not in OPTIMISERS:
        raise ArgumentError(f"optimizer must be one of {', '.join(OPTIMISERS)}, not {value!r}")
    return OPTIMISERS[value]()


def clip_factor(gradients: Mapping[str, Array], largest: float) -> float:
    """Return the factor, at most 1, that scales the norm of all gradients down to `largest`.

    Rule: min(1, largest / (norm + 1e-6)).
    Source: torch.nn.utils.clip_grad_norm_.

    >>> import numpy as np
    >>> from convalg.train.optimisers import clip_factor
    >>> round(clip_factor({"a": np.array([3.0]), "b": np.array([4.0])}, 1.0), 6)
    0.2
    """
    total = math.fsum(_squared(gradient) for gradient in gradients.values())
    # The comparison is False for a NaN, so that a NaN is returned and not a factor of 1.
    factor = largest / (math.sqrt(total) + _CLIP_MARGIN)
    return 1.0 if factor >= 1.0 else factor


def _squared(gradient: Array) -> float:
    """Return the sum of squares, computed in float64 where float32 overflows."""
    total = float(np.vdot(gradient, gradient))
    if math.isinf(total) and gradient.dtype != np.float64:
        wide = gradient.astype(np.float64)
        total = float(np.vdot(wide, wide))
    return total


class _Scratch:
    """Two buffers per dtype, as long as the longest parameter, for one update.

    Each update allocates its own buffers, which takes about a microsecond, so that threads never
    share them.
    """

    def __init__(self, parameters: Iterable[Array]) -> None:
        longest: dict[np.dtype, int] = {}
        for parameter in parameters:
            longest[parameter.dtype] = max(longest.get(parameter.dtype, 0), parameter.size)
        self.buffers = {dtype: np.empty((2, size), dtype) for dtype, size in longest.items()}

    def pair(self, like: Array) -> tuple[Array, Array]:
        first, second = self.buffers[like.dtype][:, : like.size]
        return first.reshape(like.shape), second.reshape(like.shape)


# Checks.


def _check_parameter(name: str, parameter: object) -> None:
    if not isinstance(parameter, np.ndarray) or not np.issubdtype(parameter.dtype, np.floating):
        kind = parameter.dtype if isinstance(parameter, np.ndarray) else type(parameter).__name__
        raise KindError(
            f"the parameter {name!r} must be an array of floats to be trained, not {kind}: "
            f"convert it to floats"
        )
    if not parameter.flags.writeable:
        raise KindError(f"the parameter {name!r} is a read-only array: pass a writable copy")


def _check_gradients(parameters: Mapping[str, Array], gradients: Mapping[str, Array]) -> None:
    for name, gradient in gradients.items():
        parameter = parameters.get(name)
        if parameter is None:
            raise ArgumentError(
                f"gradients has the key {name!r}, which is not a parameter: use the names "
                f"{', '.join(parameters)}"
            )
        if gradient.shape != parameter.shape:
            raise ShapeError(
                f"the gradient of the parameter {name!r} must have its shape {parameter.shape}, "
                f"not {gradient.shape}"
            )
