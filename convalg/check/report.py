"""The report of a check: the failures, the smallest of them, and the diagnosed mistake."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, SupportsFloat

import numpy as np

from convalg import html
from convalg.arrays import Array
from convalg.axis import span
from convalg.check.problem import Kind, Problem
from convalg.check.sweep import Config, option_value

SHOWN = 60
"""Most entries of an array that is printed; of a larger one, only the shape is printed."""


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """A diagnosed mistake.

    Attributes:
        code: the name of the mistake, such as "stride-ignored"; "unknown" if no known mistake fits.
        message: a description of the mistake in one sentence.
        confidence: the share of the failures that the mistake explains, from 0 to 1.

    >>> import convalg as ca
    >>> print(ca.check.Diagnosis("stride-ignored", "the stride is ignored", 1.0))
    stride-ignored (100%): the stride is ignored
    """

    code: str
    message: str
    confidence: float

    def __str__(self) -> str:
        share = f" ({self.confidence:.0%})" if self.confidence else ""
        return f"{self.code}{share}: {self.message}"


@dataclass(frozen=True, eq=False)
class Failure:
    """A failing configuration: the arguments, and the expected and the actual result.

    Attributes:
        config: the sizes and options of the call.
        problem: the arrays and options of the call.
        code: the kind of failure, such as "wrong-values", "wrong-shape" or "raises".
        words: a description of the failure in one sentence.
        part: the part of the result that is wrong ("y", "dx" or "dw"); empty if there is no result.
        expected: the correct array for this part, or None.
        got: the array that the function returned for this part, or None.
        index: the index of the first entry that differs; None if the shapes differ.

    >>> import convalg as ca
    >>> report = ca.check.average_pool(lambda x, size: x, cases=10)
    >>> smallest = report.smallest
    >>> smallest.code, smallest.part, smallest.index
    ('wrong-shape', 'y', None)
    """

    config: Config
    problem: Problem
    code: str
    words: str
    part: str = ""
    expected: Array | None = None
    got: Array | None = None
    index: tuple[int, ...] | None = None

    def call(self, kind: Kind, options: tuple[str, ...]) -> str:
        """Return the arguments of the call that failed as text, such as "x (1, 1, 3, 3), stride=2".

        Args:
            kind: the kind of function that was called.
            options: the names of the options that were passed.
        """
        return call_text(kind, options, self.config, self.problem)

    def inputs(self, kind: Kind) -> dict[str, Array]:
        """Return the arrays that were passed, as a dictionary from "x", "w" or "g".

        Args:
            kind: the kind of function that was called.
        """
        return {name: getattr(self.problem, name) for name in kind.arrays}


def call_text(kind: Kind, options: tuple[str, ...], config: Config, p: Problem) -> str:
    """Return the arguments of a call as text, with the shapes of the arrays."""
    arrays = [f"{name} {getattr(p, name).shape}" for name in kind.arrays]
    return ", ".join([*arrays, *(f"{k}={v}" for k, v in config.options(options).items())])


@dataclass(frozen=True, eq=False)
class Report:
    """The result of a check; true if every configuration passed.

    Attributes:
        kind: the kind of function that was checked.
        name: the name of the function.
        options: the names of the options that were passed to the function.
        cases: the number of configurations that were run.
        failures: the failing configurations, the smallest first.
        smallest: the smallest failure that could be found, or None.
        diagnosis: the diagnosed mistakes, the most likely first.
        notes: further remarks, such as the options that are not parameters of the function.

    >>> import convalg as ca
    >>> report = ca.check.average_pool(lambda x, size: x, cases=10)
    >>> report.passed, report.cases, len(report.failures)
    (False, 10, 8)
    """

    kind: Kind
    name: str
    options: tuple[str, ...]
    cases: int
    failures: tuple[Failure, ...]
    smallest: Failure | None
    diagnosis: tuple[Diagnosis, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def passed(self) -> bool:
        """Whether no configuration failed."""
        return not self.failures

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        if self.passed:
            return f"<{self.name}: all {self.cases} configurations pass>"
        code = self.diagnosis[0].code if self.diagnosis else "unknown"
        return f"<{self.name}: {len(self.failures)} of {self.cases} configurations fail: {code}>"

    def _repr_html_(self) -> str:
        return html.answer(self.passed, repr(self)) + html.text(self.explain())

    def explain(self) -> str:
        """Return the report as plain text: the diagnoses, the smallest failure and the notes.

        >>> import convalg as ca
        >>> def mine(x, w, stride, padding, dilation, groups):
        ...     options = {"stride": stride, "padding": padding, "dilation": dilation}
        ...     return ca.correlation(x.shape[2:], w, groups=groups, **options)(x)
        >>> print(ca.check.forward(mine, cases=20).explain())
        mine, checked as a correlation layer
        All 20 configurations pass.
        """
        lines = [f"{self.name}, checked as {self.kind.description}"]
        if self.passed:
            lines.append(f"All {self.cases} configurations pass.")
        else:
            lines.append(f"{len(self.failures)} of {self.cases} configurations fail.")
            for number, one in enumerate(self.diagnosis):
                lines.append(f"{'Most likely' if not number else 'Or'}: {one}")
        if self.smallest is not None:
            lines.extend(_failure_lines(self, self.smallest))
        lines.extend(f"Note: {note}" for note in self.notes)
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as a dictionary of strings, numbers and lists, for JSON."""
        smallest = self.smallest
        return {
            "name": self.name,
            "kind": self.kind.name,
            "passed": self.passed,
            "cases": self.cases,
            "failures": len(self.failures),
            "diagnosis": [
                {"code": d.code, "message": d.message, "confidence": round(d.confidence, 4)}
                for d in self.diagnosis
            ],
            "smallest": None if smallest is None else _failure_dict(self, smallest),
            "notes": list(self.notes),
        }


def _failure_lines(report: Report, failure: Failure) -> list[str]:
    lines = [
        "",
        f"The smallest failure: {report.name}({failure.call(report.kind, report.options)})",
        f"  {failure.words}",
    ]
    for name, array in failure.inputs(report.kind).items():
        lines.append(f"  {name} = {array_text(array)}")
    if failure.expected is not None:
        lines.append(f"  expected {failure.part} = {array_text(failure.expected)}")
    if failure.got is not None:
        lines.append(f"  got      {failure.part} = {array_text(failure.got)}")
    if failure.index is not None and failure.expected is not None and failure.got is not None:
        index = ", ".join(map(str, failure.index))
        lines.append(
            f"  they first differ at {failure.part}[{index}]: expected "
            f"{number_text(failure.expected[failure.index])}, got "
            f"{number_text(failure.got[failure.index])}"
        )
    return lines


def _failure_dict(report: Report, failure: Failure) -> dict[str, Any]:
    def listed(array: Array | None) -> Any:
        return None if array is None else np.where(np.isfinite(array), array, 0.0).tolist()

    return {
        "options": {
            name: value if not isinstance(value, tuple) else list(value)
            for name, value in failure.config.options(report.options).items()
        },
        "shapes": {k: list(v.shape) for k, v in failure.inputs(report.kind).items()},
        "inputs": {k: v.tolist() for k, v in failure.inputs(report.kind).items()},
        "finding": failure.code,
        "words": failure.words,
        "part": failure.part,
        "expected": listed(failure.expected),
        "got": listed(failure.got),
        "index": None if failure.index is None else list(failure.index),
    }


def array_text(values: Array) -> str:
    """Return an array as text: nested lists (of integers if possible), or the shape if it is large.

    Shape: any.
    """
    if values.size > SHOWN:
        return f"<array of shape {values.shape}>"
    if np.isfinite(values).all() and (values == np.round(values)).all():
        return str(values.astype(int).tolist())
    return str(np.round(values, 4).tolist())


def number_text(value: SupportsFloat) -> str:
    """Return a number as text, without a fraction if it is an integer."""
    number = float(value)
    return str(int(number)) if number.is_integer() else f"{number:.6g}"


def features(kind: Kind, config: Config) -> set[str]:
    """Return the special features of a configuration, as ends of "it fails exactly when ..."."""
    strides, taps = config.stride, config.size
    spans = [span(k, d) for k, d in zip(taps, config.dilation, strict=True)]
    left = [
        (n + 2 * p - reach) % s
        for n, p, reach, s in zip(config.shape, config.padding, spans, strides, strict=True)
    ]
    each = (config.in_channels // config.groups, config.out_channels // config.groups)
    conditions = {
        "sizes or options differ between axes": any(
            len(set(values)) > 1
            for values in (
                config.shape,
                taps,
                strides,
                config.padding,
                config.dilation,
                config.output_padding,
            )
        ),
        "the input is not square": len(set(config.shape)) > 1,
        "the kernel is not square": len(set(taps)) > 1,
        "there are several input channels": config.in_channels > 1,
        "there are several output channels": config.out_channels > 1,
        "a group has several input channels": each[0] > 1,
        "input and output channels differ": config.in_channels != config.out_channels,
        "the batch has several samples": config.batch > 1,
        "there are groups": config.groups > 1,
        "the stride is not 1": any(s > 1 for s in strides),
        "the stride is larger than the kernel": any(
            s > k for s, k in zip(strides, taps, strict=True)
        ),
        "the stride differs from the kernel size": strides != taps,
        "the stride does not divide evenly": any(left),
        "the dilation is not 1": any(d > 1 for d in config.dilation),
        "there is padding": any(config.padding),
        "the padding is as large as the kernel": any(
            p >= k for p, k in zip(config.padding, taps, strict=True)
        ),
        "the kernel has a single tap along some axis": any(k == 1 for k in taps),
        "there is output_padding": any(config.output_padding),
        "ceil_mode is on": config.ceil_mode,
        "count_include_pad is off": not config.count_include_pad,
        "an option differs between axes": any(
            isinstance(option_value(getattr(config, name)), tuple) for name in kind.options
        ),
    }
    return {feature for feature, holds in conditions.items() if holds}
