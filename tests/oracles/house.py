"""The modules of the package as syntax trees, their floors, and the messages that they raise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import convalg as ca

ROOT = Path(__file__).parents[2]


PACKAGE = ROOT / "convalg"


SOURCES = sorted(PACKAGE.rglob("*.py"))


PYTHON = [*SOURCES, *sorted((ROOT / "tests").rglob("*.py"))]


# The rooms from the ground up. Imports go to a lower floor, or stay in the room. What is attached
# to a class from above, or builds on the shop window of its room, has a floor of its own.
FLOORS = (
    {"escape", "version"},
    {"errors", "html"},
    {"arguments", "presburger"},
    {"limits", "parallel"},
    {"files"},
    {"axis"},
    {"size"},
    {"arrays", "geometry"},
    {"conventions", "images", "kernels", "pattern"},
    {"engine"},
    {"operators"},
    {"faces"},
    {"devices", "linalg", "maps"},
    {"check", "network", "operators.gradients", "recognise"},
    {"operators.methods", "network.network"},
    {"operators.__init__"},
    {"draw", "network.readers", "network.zoo", "prove"},
    {"sheet", "train"},
    {"sheet.sheet"},
    {"sheet.__init__"},
    {"cli"},
    {"__main__"},
)


FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


# Packages with a floor of their own, since their room is below what they import.
WINDOWS = {floor.removesuffix(".__init__") for floor in FLOOR if floor.endswith(".__init__")}


ERRORS = {name for name in ca.errors.__all__ if isinstance(getattr(ca.errors, name), type)}


PHRASE = 3


def room_of(name: str) -> str:
    """The room of a module: the longest entry of FLOORS that its name starts with."""
    if name in WINDOWS:
        return f"{name}.__init__"
    parts = name.split(".")
    starts = [".".join(parts[:k]) for k in range(len(parts), 0, -1)]
    return next((start for start in starts if start in FLOOR), parts[0])


class Module:
    """A module of the package, parsed."""

    def __init__(self, path: Path) -> None:
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        self.path = path
        self.name = ".".join(part for part in parts if part != "__init__")
        self.room = room_of(self.name)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @cached_property
    def imports(self) -> set[str]:
        """Modules of the package that this one imports, also in functions; not for types."""
        skipped = [node for node in ast.walk(self.tree) if _for_types(node)]
        ignored = {id(inner) for node in skipped for inner in ast.walk(node)}
        return {
            found
            for node in ast.walk(self.tree)
            if id(node) not in ignored
            for found in _imported(node)
        }


def _for_types(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


def _imported(node: ast.AST) -> Iterator[str]:
    """Modules of the package named by an import, relative to the package."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.name.split(".")[0] == "convalg":
                yield alias.name.removeprefix("convalg").lstrip(".")
    if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "convalg":
        assert node.module is not None
        base = node.module.removeprefix("convalg").lstrip(".")
        for alias in node.names:
            inner = f"{base}.{alias.name}".lstrip(".")
            yield inner if inner in MODULES else base


MODULES = {module.name: module for module in map(Module, SOURCES)}


ROOMS = [module for module in MODULES.values() if module.name]


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def raised(module: Module) -> Iterator[ast.Call]:
    """Every construction of an error of the package."""
    for node in ast.walk(module.tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ERRORS
        ):
            yield node


def message(call: ast.Call, module: Module) -> list[ast.JoinedStr]:
    """The messages of an error: its argument, or what a function of its module returns."""
    if len(call.args) != 1 or call.keywords:
        return []
    (argument,) = call.args
    if isinstance(argument, ast.JoinedStr):
        return [argument]
    if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
        return [ast.JoinedStr([argument])]
    if isinstance(argument, ast.Call) and isinstance(argument.func, ast.Name):
        makers = [f for f in functions(module.tree) if f.name == argument.func.id]
        returns = [n.value for f in makers for n in ast.walk(f) if isinstance(n, ast.Return)]
        return [value for value in returns if isinstance(value, ast.JoinedStr)]
    return []


def words(text: str) -> str:
    """The words of a text or pattern without its punctuation, a space around each."""
    return f" {' '.join(re.findall(r'[A-Za-z0-9_]+', text))} "


def phrases(text: ast.JoinedStr) -> set[str]:
    """Runs of words between two values of a message that tell it from the other messages."""
    pieces = [words(p.value).split() for p in text.values if isinstance(p, ast.Constant)]
    length = min(PHRASE, max(map(len, pieces), default=0))
    return {
        f" {' '.join(piece[k : k + length])} "
        for piece in pieces
        for k in range(len(piece) - length + 1)
        if length
    }
