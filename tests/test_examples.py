"""The examples of public docstrings run when they are pasted into an empty interpreter."""

from __future__ import annotations

import doctest
import inspect
import re
from collections.abc import Iterator
from types import FunctionType, ModuleType
from typing import Any

import pytest

import convalg as ca


def members(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield an object and, for a class or a module, what is public in it."""
    if isinstance(value, ModuleType):
        listed = getattr(value, "__all__", [n for n in vars(value) if not n.startswith("_")])
        for inner in listed:
            held = getattr(value, inner)
            own = getattr(held, "__module__", "").startswith("convalg")
            if isinstance(held, (FunctionType, type)) and own:
                yield from members(f"{name}.{inner}", held)
        return
    yield name, value
    if isinstance(value, type):
        for inner, held in vars(value).items():
            if inner.startswith("_"):
                continue
            function = held.fget if isinstance(held, property) else held
            function = getattr(function, "func", function)
            if isinstance(function, FunctionType):
                yield f"{name}.{inner}", function


PUBLIC = {
    name: value
    for top in sorted(ca.__all__)
    for name, value in members(top, getattr(ca, top))
    if isinstance(value, (FunctionType, type))
}
EXAMPLES = {
    name: test
    for name, value in PUBLIC.items()
    for test in doctest.DocTestFinder(recurse=False).find(value, name, module=False, globs={})
    if test.examples
}
OPTIONS = doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_runs_in_an_empty_interpreter(
    name: str, tmp_path: Any, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    printed: list[str] = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS, verbose=False)
    runner.run(EXAMPLES[name], out=printed.append)
    assert not runner.failures, "".join(printed)


def test_public_functions_have_examples() -> None:
    functions = [
        name for name, value in PUBLIC.items() if inspect.isfunction(value) and "." not in name
    ]
    assert [name for name in functions if name not in EXAMPLES] == []


def test_public_docstrings_name_each_argument() -> None:
    """Each argument of a public function of two or more is described, by its name."""
    missing = []
    for name, value in PUBLIC.items():
        if not isinstance(value, FunctionType):
            continue
        arguments = [one for one in inspect.signature(value).parameters if one != "self"]
        text = inspect.getdoc(value) or ""
        if len(arguments) > 1:
            missing += [f"{name}({one})" for one in arguments if not re.search(rf"\b{one}\b", text)]
    assert missing == []
