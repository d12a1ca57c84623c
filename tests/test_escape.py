"""Text of others, wherever it is shown: nothing that a terminal, LaTeX or a browser acts on."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.errors import ArgumentError, ConvalgError
from convalg.escape import latex, markup, terminal

HOSTILE = "x\x1b[31m\r\x9b2J_%$&#{}^~<b>\u202e\u2066\ud800\N{LATIN SMALL LETTER U WITH DIAERESIS}"


def acting(text: str, allowed: str = "\n\t") -> set[str]:
    """Characters that a terminal acts on, or that no encoding takes."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in allowed}


@given(st.text(st.characters()))
def test_any_text_is_shown_and_not_acted_on(text: str) -> None:
    assert terminal(text).isprintable()
    assert not acting(terminal(text, lines=True))
    assert terminal(terminal(text)) == terminal(text)
    assert terminal(text) == text or not text.isprintable()
    terminal(text).encode("utf-8")


@given(st.text(st.characters()))
def test_any_text_is_latex(text: str) -> None:
    found = latex(text)
    assert found.isascii()
    assert found.isprintable()
    # What is left once the escapes are taken away has no mark of its own.
    rest = re.sub(r"\$\\backslash\$|\$\\hat\{\}\$|\$\\sim\$|\$[<>|]\$|\\[{}$&#%_]", "", found)
    assert not set(rest) & set("\\{}$&#%_^~<>|")


@given(st.text(st.characters()))
def test_any_text_is_markup(text: str) -> None:
    assert not set(markup(text)) & set("<>\"'")
    assert not acting(markup(text))


def test_what_is_no_text_is_shown_by_its_own() -> None:
    class Sly(str):
        def isprintable(self) -> bool:
            return True

        def __str__(self) -> str:
            return "\x1b"

    assert terminal(ValueError("\x1b")) == "\\x1b"
    assert not acting(terminal(Sly("\x07")))
    assert terminal(None) == "None"


@pytest.mark.parametrize("error", [ArgumentError, *ConvalgError.__subclasses__()])
def test_messages_of_errors_are_shown(error: type[ConvalgError]) -> None:
    assert str(error(f"a {HOSTILE}\nb")) == terminal(f"a {HOSTILE}\nb", lines=True)


SYMBOL = sympy.Symbol(HOSTILE)


def _layer() -> Any:
    return ca.correlation(4, [SYMBOL, 1])


def _verdict() -> Any:
    return ca.prove.equal(_layer(), ca.correlation(4, [1, SYMBOL]))


def _network() -> Any:
    net = ca.Network((1, 4, 4))
    net.add(ca.layers.Conv(1, 2), name=HOSTILE)
    return net


def _raising(x: Any, w: Any) -> Any:
    raise ValueError(HOSTILE)


SHOWN: dict[str, Callable[[], str]] = {
    "an operator": lambda: repr(_layer()),
    "an adjoint": lambda: repr(_layer().T),
    "a verdict": lambda: repr(_verdict()),
    "a verdict explained": lambda: _verdict().explain(),
    "a verdict in a notebook": lambda: _verdict()._repr_html_(),
    "a derivation": lambda: repr(ca.derive.linearity(_layer())),
    "a derivation as LaTeX": lambda: ca.derive.adjoint(_layer()).latex(),
    "a matrix as LaTeX": lambda: _layer()._repr_latex_(),
    "a matrix as TikZ": lambda: ca.tikz.matrix(_layer()),
    "a classification": lambda: ca.classify(_layer()).explain(),
    "a network": lambda: repr(_network()),
    "its summary": lambda: str(_network().summary()),
    "its summary in a notebook": lambda: _network().summary()._repr_html_(),
    "a check": lambda: ca.check.forward(_raising, cases=2).explain(),
    "a check in a notebook": lambda: ca.check.forward(_raising, cases=2)._repr_html_(),
    "a check as data": lambda: str(ca.check.forward(_raising, cases=2).to_dict()),
}


@pytest.mark.parametrize("name", SHOWN)
def test_symbols_names_and_messages_are_shown(name: str) -> None:
    text = SHOWN[name]()
    assert text
    assert not acting(text)
    text.encode("utf-8")


def test_names_of_weights_are_words() -> None:
    for name in ("x_%$", "", "a b", HOSTILE, "1w"):
        with pytest.raises(ca.errors.KindError, match="name must be a word"):
            ca.kernel(3, name=name)


def test_greek_letters_are_set_by_their_names() -> None:
    alpha, other = "\N{GREEK SMALL LETTER ALPHA}", "\N{CYRILLIC SMALL LETTER DE}"
    assert r"\alpha_{0}" in ca.correlation(3, ca.kernel(2, name=alpha))._repr_latex_()
    assert r"\text{U+04340}" in ca.correlation(3, ca.kernel(2, name=other))._repr_latex_()
    assert ca.correlation(3, ca.kernel(2, name=other))._repr_latex_().isascii()
