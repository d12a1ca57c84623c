"""The rules of the house: which room imports which, sizes, examples, and tested error messages."""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import networkx as nx
import pytest
from house import (
    FLOOR,
    MODULES,
    PYTHON,
    ROOMS,
    ROOT,
    SOURCES,
    WINDOWS,
    Module,
    functions,
    message,
    phrases,
    raised,
    room_of,
    words,
)

import convalg as ca

SPEAKING_ROOMS = {"cli", "__main__"}
# These call functions that are not ours, which may raise anything.
STRANGERS = {"check.candidate", "check.worker", "prove.functions.instructions"}

LONGEST_FILE, LONGEST_FUNCTION = 600, 60


def mirrored(path: Path) -> Path:
    """Where the test of a module belongs."""
    inner = path.relative_to(ROOT / "convalg")
    return ROOT / "tests" / inner.parent / f"test_{inner.name}"


@pytest.mark.parametrize("module", ROOMS, ids=lambda module: module.name)
def test_imports_go_down(module: Module) -> None:
    assert module.room in FLOOR, f"{module.room} has no floor yet: give it one in FLOORS"
    rooms = {room_of(found) for found in module.imports} - {module.room}
    upwards = [room for room in rooms if FLOOR[room] >= FLOOR[module.room]]
    assert upwards == []


@pytest.mark.parametrize("name", sorted(WINDOWS))
def test_a_window_holds_nothing_but_names(name: str) -> None:
    allowed = (ast.Expr, ast.ImportFrom, ast.Assign, ast.If)
    body = MODULES[name].tree.body
    assert all(isinstance(node, allowed) for node in body)


def test_the_top_imports_nothing_but_the_version() -> None:
    assert MODULES[""].imports == {"version"}


@pytest.mark.parametrize("room", sorted({module.room for module in ROOMS}))
def test_a_room_has_no_import_loop(room: str) -> None:
    # Between rooms there is none by the floors.
    modules = [module for module in ROOMS if module.room == room]
    graph = nx.DiGraph((m.name, found) for m in modules for found in m.imports)
    assert [loop for loop in nx.strongly_connected_components(graph) if len(loop) > 1] == []


def test_imports_are_absolute() -> None:
    relative = [
        module.name
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert relative == []


def test_no_private_name_leaves_its_module() -> None:
    private = [
        f"{module.name}: {alias.name}"
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("convalg")
        for alias in node.names
        if alias.name.startswith("_") and not alias.name.startswith("__")
    ]
    assert private == []


def test_a_class_name_has_one_meaning() -> None:
    names = Counter(
        node.name
        for module in MODULES.values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
    )
    assert {name: count for name, count in names.items() if count > 1} == {}


def test_the_two_lists_of_public_names_agree() -> None:
    """The table that loads names on first use, and the imports that type checkers read."""
    typed = {
        (alias.name, (node.module or "").removeprefix("convalg").lstrip("."))
        for block in MODULES[""].tree.body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("convalg")
        for alias in node.names
    }
    assert typed == set(ca._HOME.items())


# Tests.


def test_each_module_has_a_mirrored_test() -> None:
    missing = [
        module.name
        for module in ROOMS
        if module.path.stem not in ("__init__", "__main__", "version")
        and not mirrored(module.path).exists()
    ]
    assert missing == []


# Budgets: they only fall.

BUDGETS = {
    "parameters of type Any": 72,
    "type: ignore": 22,
    "dialect": 56,
    "found": 8,
    "known": 8,
    "place": 8,
    "places": 8,
    "turned": 8,
    "whole": 8,
    # Most are fields of public records, whose names stay.
    "words": 36,
}
DIALECT = re.compile(
    r"\b(letters?|whole numbers?|behind|beside|strangers?|nobody|somebody|everybody|stands?|stood|"
    r"lies|lay|lain|turned|stretched|has not|knows|hears|asks|says|walked|goes on|comes|so many|"
    r"is no|are no)\b",
    re.IGNORECASE,
)
"""Words that the glossary replaces; some have a proper use, so that a few are left."""


def parameters(tree: ast.AST) -> Iterator[ast.arg]:
    for function in functions(tree):
        arguments = function.args
        yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
        yield from (one for one in (arguments.vararg, arguments.kwarg) if one is not None)


def spent() -> dict[str, int]:
    """How much of each budget the package uses."""
    counts: Counter[str] = Counter()
    for module in MODULES.values():
        source = module.path.read_text(encoding="utf-8")
        for parameter in parameters(module.tree):
            annotation = parameter.annotation
            if annotation is not None and re.search(r"\bAny\b", ast.unparse(annotation)):
                counts["parameters of type Any"] += 1
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.NAME and token.string in BUDGETS:
                counts[token.string] += 1
            elif token.type in (tokenize.COMMENT, tokenize.STRING):
                counts["dialect"] += len(DIALECT.findall(token.string))
            if token.type == tokenize.COMMENT:
                counts["type: ignore"] += "type: ignore" in token.string
    return counts


def test_budgets_only_fall() -> None:
    counts = spent()
    assert {name: count for name, count in counts.items() if count > BUDGETS[name]} == {}


def test_each_type_ignore_has_a_reason() -> None:
    bare = [
        f"{module.name}: {line.strip()}"
        for module in MODULES.values()
        for line in module.path.read_text(encoding="utf-8").splitlines()
        if re.search(r"# type: ignore(\[[^]]*\])?\s*$", line)
    ]
    assert bare == []


# Sizes.


def code_lines(path: Path) -> set[int]:
    """The numbers of lines that hold code: not blank, not a comment, not a docstring."""
    text = path.read_text(encoding="utf-8")
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in quiet:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return lines


@pytest.mark.parametrize("path", PYTHON, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    # Tables of cases are longer than code, and a comment may give a reason for a long file.
    longest = LONGEST_FILE if path in SOURCES else LONGEST_FILE + 200
    assert len(text.splitlines()) < longest or "\n# Long because " in text
    code = code_lines(path)
    # The body counts: a command's signature is the list of its options.
    sizes = {
        function.name: len(code & set(range(function.body[0].lineno, function.end_lineno or 0)))
        for function in functions(ast.parse(text))
    }
    reasons = text.count("  # Long because ")
    assert sum(size >= LONGEST_FUNCTION for size in sizes.values()) <= reasons, sizes


# Examples.

# What the faces ask of a node, and attributes that the examples of the others print.
WITHOUT_EXAMPLE = {"children", "rebuild", "is_concrete"}
METHODS = [
    name
    for name, value in vars(ca.Operator).items()
    if not name.startswith("_")
    and (callable(value) or isinstance(value, property))
    and name not in WITHOUT_EXAMPLE
]


@pytest.mark.parametrize("name", ca.__all__)
def test_each_public_name_has_an_example(name: str) -> None:
    value = getattr(ca, name)
    text = inspect.getdoc(value) or ""
    assert text.partition("\n")[0].endswith((".", ":")), "the first line is one sentence"
    if not isinstance(value, ModuleType) and value not in (ca.Map, ca.Operator):
        assert ">>> " in text


@pytest.mark.parametrize("name", METHODS)
def test_each_method_of_an_operator_has_an_example(name: str) -> None:
    assert ">>> " in (inspect.getdoc(inspect.getattr_static(ca.Operator, name)) or "")


# Errors.


@cache
def quoted_in_tests() -> str:
    """The words of all texts in quotes in the tests, and of their tables."""
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.txt")]
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return words(" ".join(texts))


@pytest.mark.parametrize("module", MODULES.values(), ids=lambda module: module.name or "convalg")
def test_each_error_has_one_message_and_a_test_reads_it(module: Module) -> None:
    wordless, unread = [], []
    for call in raised(module):
        texts = message(call, module)
        if not texts:
            wordless.append(ast.unparse(call))
        for text in texts:
            if not any(phrase in quoted_in_tests() for phrase in phrases(text)):
                unread.append(ast.unparse(text))
    assert wordless == []
    assert unread == []


@pytest.mark.parametrize("module", MODULES.values(), ids=lambda module: module.name or "convalg")
def test_nothing_is_caught_that_was_not_expected(module: Module) -> None:
    broad = {"Exception", "BaseException"}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"bare except on line {node.lineno}"
            caught = {inner.id for inner in ast.walk(node.type) if isinstance(inner, ast.Name)}
            assert not caught & broad or module.name in STRANGERS, f"line {node.lineno}"


@pytest.mark.parametrize("module", ROOMS, ids=lambda module: module.name)
def test_the_library_is_silent(module: Module) -> None:
    spoken = [
        node.lineno
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert module.room in SPEAKING_ROOMS or spoken == []


def test_no_file_holds_a_path_of_one_machine() -> None:
    texts = [*PYTHON, *ROOT.glob("*.md"), *ROOT.glob("*.toml"), *(ROOT / "tests").rglob("*.txt")]
    machine = re.compile(r"(?<![\w.])/(?:home|root|tmp|work|Users|mnt)\b|[A-Z]:\\\w")
    found = {
        str(path.relative_to(ROOT)): machine.findall(path.read_text(encoding="utf-8"))
        for path in texts
    }
    assert {path: hits for path, hits in found.items() if hits} == {}
