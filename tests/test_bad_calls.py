"""A wrong value in any argument of any public call: a result, or an error of convalg, in time.

The calls are those of valid_calls.txt, the values those of wrong_values.py. Here a slice of the
cases is tried, and with --thorough all of them.
"""

from __future__ import annotations

import inspect
import resource
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from wrong_values import VALUES, Case, fault, names, parsed, rows

import convalg as ca
from convalg.errors import ConvalgError

ROWS = rows()
REFUSED = ("read_onnx", "ca.from_torch", "read_idx", "read_images", "read_image", "check.layer")
"""Calls that need a file or a library: their own arguments are refused too."""
ROOMS = {"check", "data", "draw", "kernels", "layers", "tikz", "train", "zoo", "derive", "prove"}
ROOM = 6 * 2**30
"""Bytes of address space beyond those in use that a call may take."""
OWN_FUNCTION = {("convalg.images.apply(convalg.images.grey, [IMAGE])", "0", "int")}
"""Where the error is one of the function that the user gives."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Files go into a folder of their own, and memory has an end."""
    monkeypatch.chdir(tmp_path)
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@cache
def known() -> dict[str, Any]:
    """The names that calls may use, for those that change none of them."""
    return names()


def faults(row: str, chosen: list[tuple[str | int, str]] | None = None) -> list[str]:
    """What is wrong with the ends of the calls of a row, with all values or with some."""
    call, found = parsed(row, known()), []
    every = [(argument, value) for argument in call.arguments() for value in VALUES]
    for argument, value in every if chosen is None else chosen:
        if (row, str(argument), value) in OWN_FUNCTION:
            continue
        wrong = fault(call, argument, VALUES[value])
        if wrong is not None:
            found.append(f"{Case(row, str(argument), value)}: {wrong}")
    return found


@pytest.mark.parametrize("row", ROWS)
def test_the_calls_are_right(row: str) -> None:
    call = parsed(row, names() if row.startswith("NET.") else known())
    if any(name in row for name in REFUSED):
        with pytest.raises(ConvalgError):
            call.run()
    elif not row.startswith(("ca.zoo", "ca.theorems", "ca.explain", "ca.check", "ca.fit")):
        call.run()  # what takes long has tests of its own


BARE = (
    *("ca.sequential", "ca.Network", "NET.", "ca.layers", "ca.zoo", "ca.read_onnx"),
    *("ca.data", "ca.train", "ca.fit", "ca.check", "ca.identify", "ca.prove", "ca.theorems"),
)
"""Rooms whose calls are not tried here: some of them still end in bare errors."""
TRIED = [row for row in ROWS if not row.startswith(BARE)]


@pytest.mark.parametrize("row", TRIED)
def test_some_wrong_values(row: str) -> None:
    """One value in each argument, another for each row and argument."""
    if row.startswith("ca.explain"):
        pytest.skip("takes long: run with --thorough")
    kinds = list(VALUES)
    start = sum(map(ord, row))
    chosen = [
        (argument, kinds[(start + 7 * number) % len(kinds)])
        for number, argument in enumerate(parsed(row, known()).arguments())
    ]
    assert faults(row, chosen) == []


@pytest.mark.thorough
@pytest.mark.parametrize("row", TRIED)
def test_all_wrong_values(row: str) -> None:
    assert faults(row) == []


def public() -> Iterator[str]:
    """Every public function and class, as it is called."""
    for name in ca.__all__:
        value: Any = getattr(ca, name)
        if not isinstance(value, ModuleType):
            yield f"ca.{name}"
        elif name in ROOMS:
            for inner in value.__all__:
                if inspect.isfunction(getattr(value, inner)):
                    yield f"ca.{name}.{inner}"


ALIKE = {
    *("ca.Map", "ca.Operator", "ca.theorems", "ca.kernels.kernel", "ca.kernels.flip"),
    *(f"ca.zoo.resnet{depth}" for depth in (34, 50, 101, 152)),
    *(f"ca.zoo.vgg{depth}" for depth in (13, 16, 19)),
    *("ca.zoo.inception_v3", "ca.train.fit"),
}
"""Names that are not called, or that a row calls by another name."""


def test_every_public_function_has_a_row() -> None:
    called = {row.partition("(")[0] for row in ROWS}
    assert sorted(set(public()) - called - ALIKE) == []
