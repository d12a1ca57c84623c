"""Exercises: the same for the same seed, right by the definition, and sound in each format."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.errors import ConvalgError
from convalg.sheet.exercise import FORMATS, LEVELS, Exercise, exercise

SEEDS = st.integers(0, 10**6)
levels = st.sampled_from(LEVELS)


def definition(made: Exercise) -> naive.Layer:
    """The layer as loops, from the call that the exercise shows."""
    (call,) = (ast.parse(repr(made.layer), mode="eval").body,)
    assert isinstance(call, ast.Call)
    assert isinstance(call.func, ast.Name)
    shape, kernel = (ast.literal_eval(argument) for argument in call.args)
    options = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    return getattr(naive, call.func.id)(shape, np.shape(kernel), **options)


@given(seed=SEEDS, level=levels)
def test_the_solution_is_right_by_the_definition(seed: int, level: int) -> None:
    made = exercise(seed, level=level)
    layer, found = definition(made), made.solution
    assert sorted(found) == ["dw", "dx", "matrix", "y"]
    kernel = made.layer.kernel
    assert np.array_equal(found["y"], layer.apply(kernel, made.x))
    assert np.array_equal(found["dx"], layer.back(kernel, made.g))
    assert np.array_equal(found["dw"], layer.kernel_back(made.x, made.g))
    assert np.array_equal(found["matrix"], layer.matrix(kernel))
    # Whole numbers, to be done by hand.
    for array in (made.x, made.g, kernel, *found.values()):
        assert array.dtype.kind == "i"
        assert np.abs(array).max() < 200
    assert np.all(kernel != 0)
    assert made.x.any()
    assert made.g.any()
    assert found["matrix"].size <= 400


@given(seed=SEEDS, level=levels)
def test_the_same_seed_gives_the_same_text(seed: int, level: int) -> None:
    made, again = exercise(seed, level=level), exercise(seed, level=level)
    for form in FORMATS:
        for solution in (True, False):
            text = made.text(form, solution=solution)
            assert text == again.text(form, solution=solution)
            assert text.endswith("\n")
            assert not text.endswith("\n\n")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("level", LEVELS)
def test_other_seeds_and_levels_give_other_exercises(form: Any, level: int) -> None:
    texts = {exercise(seed, level=level).text(form) for seed in range(30)}
    assert len(texts) == 30
    assert exercise(1, level=level).text(form) not in {
        exercise(1, level=other).text(form) for other in LEVELS if other != level
    }


def kinds(level: int) -> set[tuple[str, int, frozenset[str]]]:
    """Calls, axes and options of the exercises of a level."""
    found = set()
    for seed in range(80):
        layer = exercise(seed, level=level).layer
        call, _, rest = repr(layer).partition("(")
        found.add((call, len(layer.in_shape), frozenset(re.findall(r"(\w+)=", rest))))
    return found


def test_levels_hold_what_they_say() -> None:
    assert kinds(1) == {("correlation", 1, frozenset())}
    second, third = kinds(2), kinds(3)
    assert ("correlation", 2, frozenset()) in second
    options = [rest for call, axes, rest in second if axes == 1]
    assert frozenset({"stride", "padding"}) in options
    assert frozenset({"dilation"}) in options
    assert frozenset({"padding"}) in options
    assert frozenset({"stride"}) in options
    assert frozenset() not in options
    assert {call for call, _, _ in second} == {"correlation"}
    assert ("transposed_correlation", 1, frozenset({"stride", "padding"})) in third
    assert {axes for call, axes, _ in third if call == "correlation"} == {2}
    assert all(rest for _, _, rest in third)


# Formats.


@pytest.mark.parametrize("form", FORMATS)
@given(seed=SEEDS, level=levels)
def test_without_the_solution_the_answers_are_not_told(form: Any, seed: int, level: int) -> None:
    made = exercise(seed, level=level)
    text, full = made.text(form, solution=False), made.text(form)
    assert "Solution" not in text
    assert "Solution" in full
    assert len(text) < len(full)
    for told in ("A^{\\\\mathsf T} g =", "B(x)^{\\\\mathsf T} g =", "y = A x =", "kernel_gradient"):
        assert told not in text


@given(seed=SEEDS, level=levels)
def test_markdown_and_latex_show_the_numbers(seed: int, level: int) -> None:
    made = exercise(seed, level=level)
    for text in (made.markdown(), made.latex()):
        for array in (made.x, made.g, *made.solution.values()):
            assert rows(array) in text, array
        assert str(made.layer.in_shape) in text
        assert str(made.layer.out_shape) in text
    assert f"`{made.layer!r}`" in made.markdown()
    assert made.markdown().startswith(f"# Exercise {seed}\n")


def rows(array: np.ndarray) -> str:
    return r" \\ ".join(" & ".join(str(int(v)) for v in row) for row in np.atleast_2d(array))


@given(seed=SEEDS, level=levels, solution=st.booleans())
def test_latex_is_balanced(seed: int, level: int, solution: bool) -> None:
    text = exercise(seed, level=level).latex(solution=solution)
    depth = 0
    for sign in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if sign == "{" else -1
        assert depth >= 0
    assert depth == 0
    stack: list[str] = []
    for word, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if word == "begin":
            stack.append(name)
        else:
            assert stack.pop() == name
    assert stack == []
    assert text.count(r"\[") == text.count(r"\]")
    # Control sequences of browsers, and matrices wider than amsmath takes, would be errors.
    assert not re.search(r"\\[lg]t\b", text)
    most = re.search(r"\\setcounter\{MaxMatrixCols\}\{(\d+)\}", text)
    widest = max(row.count("&") + 1 for row in re.split(r"\\\\|\\begin|\\end", text))
    assert widest <= (int(most[1]) if most else 10)
    # Underscores outside of formulas would be an error.
    words = re.sub(r"\\\[.*?\\\]", "", text, flags=re.DOTALL)
    words = re.sub(r"\$.*?\$", "", words)
    assert "_" not in words.replace(r"\_", "")
    assert "$" not in words


@given(seed=SEEDS, level=levels, solution=st.booleans())
def test_markdown_formulas_are_closed(seed: int, level: int, solution: bool) -> None:
    text = exercise(seed, level=level).markdown(solution=solution)
    assert text.count("$$") % 2 == 0
    assert text.replace("$$", "").count("$") % 2 == 0
    assert text.count("{") == text.count("}")
    assert text.count("`") == 2


@given(seed=SEEDS, level=levels)
def test_the_notebook_is_one_and_computes_the_solution(seed: int, level: int) -> None:
    made = exercise(seed, level=level)
    book = json.loads(made.notebook())
    # As nbformat 4.4 has it: ids of cells came with 4.5.
    assert set(book) == {"cells", "metadata", "nbformat", "nbformat_minor"}
    assert (book["nbformat"], book["nbformat_minor"]) == (4, 4)
    values: list[Any] = []
    scope: dict[str, Any] = {}
    for cell in book["cells"]:
        assert_cell(cell)
        if cell["cell_type"] == "code":
            values.append(run_cell("".join(cell["source"]), scope))
    _, matrix, y, dx, dw = values
    found = made.solution
    assert np.array_equal(np.array(matrix, dtype=int), found["matrix"])
    assert np.array_equal(y, found["y"])
    assert np.array_equal(dx, found["dx"])
    assert np.array_equal(dw, found["dw"])
    bare = json.loads(made.notebook(solution=False))["cells"]
    assert bare == book["cells"][:2]


def assert_cell(cell: dict[str, Any]) -> None:
    keys = {"cell_type", "metadata", "source"}
    if cell["cell_type"] == "code":
        keys |= {"execution_count", "outputs"}
        assert cell["execution_count"] is None
        assert cell["outputs"] == []
    else:
        assert cell["cell_type"] == "markdown"
    assert set(cell) == keys
    lines = cell["source"]
    assert lines
    assert all(line.endswith("\n") for line in lines[:-1])
    assert not lines[-1].endswith("\n")


def run_cell(code: str, scope: dict[str, Any]) -> Any:
    """The value of the last line of a cell, as Jupyter shows it."""
    tree = ast.parse(code)
    last = tree.body[-1]
    if not isinstance(last, ast.Expr):
        exec(code, scope)
        return None
    tree.body.pop()
    exec(compile(tree, "cell", "exec"), scope)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), scope)


# Bad input.


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: exercise(-1), "seed must be at least 0, not -1"),
        (lambda: exercise(1.5), "seed must be an integer, not 1.5 (float)"),
        (lambda: exercise(None), "seed must be an integer, not None"),
        (lambda: exercise(True), "seed must be an integer, not True"),
        (lambda: exercise(ca.sizes("n")[0]), "seed must be a number, not n"),
        (lambda: exercise(0, level=0), "level must be at least 1, not 0"),
        (lambda: exercise(0, level=4), "level must be 1, 2 or 3, not 4"),
        (lambda: exercise(0, level="1"), "level must be an integer, not '1' (str)"),
        (lambda: exercise(0, level=ca.sizes("n")[0]), "level must be 1, 2 or 3, not n"),
        (
            lambda: exercise(0).text("html"),
            "format must be one of markdown, latex, notebook, not 'html'",
        ),
    ],
)
def test_bad_input_is_refused_in_words(call: Any, words: str) -> None:
    with pytest.raises(ConvalgError) as caught:
        call()
    assert words in str(caught.value)


def test_a_large_seed_is_one() -> None:
    assert exercise(2**62).text("markdown") != exercise(2**62 + 1).text("markdown")
    assert exercise(np.int64(3)).text("notebook") == exercise(3).text("notebook")
