"""Checks of what derivations print."""

from __future__ import annotations

import re

from convalg.prove.derivations.derivation import WIDEST, Derivation, width


def check_latex(found: Derivation) -> None:
    """Balanced, reasons escaped, no line wider than a page."""
    latex = found.latex()
    body = latex.split("\n", 1)[1]
    assert body.startswith("{\\allowdisplaybreaks\n\\begin{align*}\n")
    assert body.endswith("\n\\end{align*}}")
    assert balanced(body)
    assert balanced(found._repr_latex_())
    lines = [line.removesuffix(" \\\\") for line in body.splitlines()[2:-1]]
    assert sum(line.startswith("& \\text{") for line in lines) >= len(found.steps)
    for line in lines:
        assert balanced(line)
        assert len(re.findall(r"(?<!\\)&", line)) == 1
        assert line.count("\\left") == line.count("\\right")
        assert "None" not in line
        assert "**" not in line
        if line.startswith("& \\text{"):
            words = line.removeprefix("& \\text{").removesuffix("}")
            assert not re.search(r"(?<!\\)[_$#%^~]", words)
            assert len(words) <= 90
        else:
            assert "$" not in line
            assert width(line) <= WIDEST + 10, (width(line), line)
    for step in found.steps:
        assert step.formula == ",\\quad ".join(step.pieces)
    # Lines are broken, and nothing is left out.
    shown = "".join(line for line in lines if not line.startswith("& \\text{"))
    assert bare(shown) == bare("".join(step.formula for step in found.steps))


def bare(formula: str) -> str:
    """A formula without spaces, braces and line breaks."""
    return re.sub(r"\\substack|\\q?quad|\\,|\\\\|[\s&{},]", "", formula)


def balanced(words: str) -> bool:
    depth = 0
    for mark in re.findall(r"(?<!\\)[{}]", words):
        depth += 1 if mark == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def check_text(found: Derivation) -> None:
    lines = found.text().splitlines()
    assert lines[0] == found.title
    assert sum("[proved: " in line for line in lines) == len(found.steps)
    for line in lines[1:]:
        assert "\\" not in line, line
        assert "{" not in line.replace(" = { ", "").replace(" in { ", ""), line
    assert repr(found) == f"<derivation: {found.title}, {len(found.steps)} steps>"


def formulas(found: Derivation) -> list[str]:
    return [step.formula for step in found.steps]
