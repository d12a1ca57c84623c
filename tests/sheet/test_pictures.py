"""The Python code of a sheet creates the layer that the sheet is about."""

from __future__ import annotations

from typing import Any

import pytest
import sympy
from sheets import FORMS

import convalg as ca
from convalg.sheet.pictures import source


@pytest.mark.parametrize("name", [name for name in FORMS if name != "large"])
def test_the_python_of_a_layer_makes_that_layer(name: str) -> None:
    layer = FORMS[name]
    known: dict[str, Any] = {}
    exec(source(layer), known)
    assert known["A"].to_sympy() == layer.to_sympy()


def test_expressions_are_made_again_too() -> None:
    a, b = sympy.symbols("a b")
    layer = ca.correlation(4, [a + 2 * b, sympy.Rational(1, 2)])
    known: dict[str, Any] = {}
    exec(source(layer), known)
    assert known["A"].to_sympy() == layer.to_sympy()
