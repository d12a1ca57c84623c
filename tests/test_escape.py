"""Text of others, wherever it is shown: nothing that a terminal, LaTeX or a browser acts on."""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import command_line
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import convalg as ca
from convalg.escape import latex, markdown, markup, terminal

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


@given(st.text(st.characters()))
def test_any_text_is_markdown(text: str) -> None:
    found = markdown(text)
    assert found.isprintable()
    assert not set(re.sub(r"\\.", "", found)) & set("\\`*_{}[]<>#|$&~!")


@given(st.text(st.characters()), st.sampled_from(["sheet", "picture", "proof"]))
def test_every_kind_of_latex_escapes(text: str, where: str) -> None:
    from convalg.draw import tikz
    from convalg.prove import verdict
    from convalg.sheet.formats import latex as sheet

    escape = {"sheet": sheet.escaped, "picture": tikz.escaped, "proof": verdict.escaped}[where]
    found = escape(text)
    assert found.isascii()
    assert found.isprintable()
    commands = r"\\(backslash|hat|sim|times|cdot|char\d+|dots|l?dots|ge|le)(\{\})?|\\[{}$&#%_]"
    assert not set(re.sub(commands, "", found)) & set("\\&#%_^~")


def test_what_is_no_text_is_shown_by_its_own() -> None:
    class Sly(str):
        def isprintable(self) -> bool:
            return True

        def __str__(self) -> str:
            return "\x1b"

    assert terminal(ValueError("\x1b")) == "\\x1b"
    assert not acting(terminal(Sly("\x07")))
    assert terminal(None) == "None"


SYMBOL = sympy.Symbol(HOSTILE)


def _layer() -> Any:
    return ca.correlation(4, [SYMBOL, 1])


def _verdict() -> Any:
    return ca.prove.equal(_layer(), ca.correlation(4, [1, SYMBOL]))


def _network() -> Any:
    net = ca.Network((1, 4, 4))
    net.add(ca.layers.Conv(1, 2), name=HOSTILE)
    return net


SHEETS = ("html", "markdown", "latex", "notebook")


@functools.cache
def _sheet() -> Any:
    return ca.explain(_layer())


@functools.cache
def _model(folder: Path) -> Path:
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    # No name of a file in this format holds a surrogate.
    name = HOSTILE.replace("\ud800", "")
    weight = helper.make_tensor("w" + name, kinds.FLOAT, [2, 1, 1, 1], [1.0, 2.0])
    nodes = [
        helper.make_node("Conv", ["x" + name, "w" + name], ["z" + name], name="c" + name),
        helper.make_node("Odd" + name, ["z" + name], ["u" + name], name="o" + name),
        helper.make_node("Relu", ["z" + name], ["y" + name], name="r" + name),
    ]
    graph = helper.make_graph(
        nodes,
        "g" + name,
        [helper.make_tensor_value_info("x" + name, kinds.FLOAT, [1, 1, 8, 8])],
        [helper.make_tensor_value_info("y" + name, kinds.FLOAT, [1, 2, 8, 8])],
        [weight],
    )
    path = folder / "hostile.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


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


@pytest.mark.parametrize("name", SHEETS)
def test_names_in_sheets_are_shown(name: str) -> None:
    text = getattr(_sheet(), name)()
    assert text
    assert not acting(text)
    text.encode("utf-8")
    assert name != "html" or "<b>" not in text


@pytest.mark.parametrize("option", [None, "--json", "--markdown"])
def test_names_in_a_model_are_shown(
    option: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command_line.run("analyse", str(_model(tmp_path)), *[option] * bool(option))
    text = capsys.readouterr().out
    assert "x1b" in text
    assert not acting(text)
    if option == "--json":
        found = json.loads(text)
        assert not acting(json.dumps(found, ensure_ascii=False))


def test_names_in_a_model_are_shown_in_a_notebook(tmp_path: Path) -> None:
    net = ca.read_onnx(_model(tmp_path))
    for text in (net.summary()._repr_html_(), str(net.summary()), repr(net), ca.tikz.network(net)):
        assert not acting(text)
        assert "<b>" not in net.summary()._repr_html_()


def test_names_of_weights_are_words() -> None:
    for name in ("x_%$", "", "a b", HOSTILE, "1w"):
        with pytest.raises(ca.errors.KindError, match="name must be an identifier"):
            ca.kernel(3, name=name)


def test_greek_letters_are_set_by_their_names() -> None:
    alpha, other = "\N{GREEK SMALL LETTER ALPHA}", "\N{CYRILLIC SMALL LETTER DE}"
    assert r"\alpha_{0}" in ca.correlation(3, ca.kernel(2, name=alpha))._repr_latex_()
    assert r"\text{U+04340}" in ca.correlation(3, ca.kernel(2, name=other))._repr_latex_()
    assert ca.correlation(3, ca.kernel(2, name=other))._repr_latex_().isascii()
