"""Certificates of verdicts about functions: confirmed, and every forgery of a polynomial fails."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import forged
import numpy as np
import pytest
import sympy

import convalg as ca
from convalg.errors import ArgumentError, ConvalgError, UndecidableError
from convalg.prove.decisions import identities
from convalg.prove.functions import traced
from convalg.prove.functions.traced import TRUSTED, read

LAYER = ca.correlation(4, ca.kernel(2))
NUMBERS = ca.correlation(3, [3, 4])
IMAGE = ca.correlation((2, 3), [[1, 2], [3, 4]])


def conv(x: Any, w: Any) -> Any:
    return [sum(x[o + t] * w[t] for t in range(2)) for o in range(3)]


def flipped(x: Any, w: Any) -> Any:
    return conv(x, w[::-1])


def backward(x: Any, w: Any, g: Any) -> Any:
    dx = [w[0] * g[0], w[1] * g[0] + w[0] * g[1], w[1] * g[1] + w[0] * g[2], w[1] * g[2]]
    dw = [sum(x[o + t] * g[o] for o in range(3)) for t in range(2)]
    return dx, dw, sum(g)


def image(x: Any) -> Any:
    return [[x[0, o] + 2 * x[0, o + 1] + 3 * x[1, o] + 4 * x[1, o + 1] for o in range(2)]]


VERDICTS: dict[str, Callable[[], ca.prove.Verdict]] = {
    "layer": lambda: ca.prove.implements(conv, LAYER),
    "flipped": lambda: ca.prove.implements(flipped, LAYER),
    "shape": lambda: ca.prove.implements(lambda x, w: conv(x, w)[:2], LAYER),
    "image": lambda: ca.prove.implements(image, IMAGE),
    "gradients": lambda: ca.prove.gradient(backward, LAYER),
    "wrong dw": lambda: ca.prove.gradient(
        lambda x, w, g: (backward(x, w, g)[0], backward(x, w, g)[1][::-1]), LAYER
    ),
    "dx alone": lambda: ca.prove.gradient(lambda g: NUMBERS.T(g), NUMBERS),
    "wrong shape of dw": lambda: ca.prove.gradient(
        lambda x, w, g: (backward(x, w, g)[0], backward(x, w, g)[1][:1]), LAYER
    ),
    "linear": lambda: ca.prove.linear(lambda x: x[1:] - x[:-1] / 3, 4),
    "scalar": lambda: ca.prove.linear(lambda x: x.sum(), (2, 2)),
    "offset": lambda: ca.prove.linear(lambda x: 2 * x + 1, 2),
    "square": lambda: ca.prove.linear(lambda x: x * x[0], 2),
    "factor": lambda: ca.prove.linear(lambda x: sympy.Symbol("a") * x, 2),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_what_is_decided_on_symbols_is_confirmed(name: str, tmp_path: Path) -> None:
    verdict = VERDICTS[name]()
    assert verdict.status in ("proved", "refuted")
    folder = verdict.certificate(tmp_path / "certificate")
    found = ca.prove.verify(folder)
    assert found.status == verdict.status, found.explain()
    assert TRUSTED in found.claim
    (claim,) = json.loads((folder / "manifest.json").read_text())["claims"]
    assert claim["trusted"] == TRUSTED
    if verdict:
        assert len(found.checks) == len(claim["outputs"])
        assert all(set(check.answers.values()) == {"unsat"} for check in found.checks)


def test_the_manifest_holds_the_polynomials(tmp_path: Path) -> None:
    folder = ca.prove.implements(conv, LAYER).certificate(tmp_path / "layer")
    (claim,) = json.loads((folder / "manifest.json").read_text())["claims"]
    assert claim["inputs"] == {"x": [4], "w": [2]}
    assert claim["outputs"]["y"]["shape"] == [3]
    first = {tuple(sorted(names)): c for c, names in claim["outputs"]["y"]["entries"][0]}
    assert first == {("w.0", "x.0"): "1", ("w.1", "x.1"): "1"}


# -- what has none --------------------------------------------------------------------------


def test_a_comparison_on_numbers_has_none(tmp_path: Path) -> None:
    def hidden(x: Any) -> Any:
        return np.array([float(value) ** 2 for value in x])

    verdict = ca.prove.linear(hidden, 2)
    assert verdict.status == "refuted"
    assert "numbers" in verdict.method
    with pytest.raises(ArgumentError, match="or about the trace of a function on symbols, has a"):
        verdict.certificate(tmp_path / "none")


def test_roots_and_ambiguous_symbols_have_none(tmp_path: Path) -> None:
    for factor in (sympy.sqrt(2), sympy.Symbol("a", positive=True), sympy.Symbol("a b")):
        verdict = ca.prove.linear(lambda x, factor=factor: factor * x, 2)
        with pytest.raises(UndecidableError, match="which is not a plain symbol of one meaning"):
            verdict.certificate(tmp_path / "none")


def test_outputs_without_their_inputs_have_none(tmp_path: Path) -> None:
    verdict = ca.prove.gradient(lambda g: (NUMBERS.T(g), g), NUMBERS)
    assert verdict.status == "refuted"
    with pytest.raises(ArgumentError, match="the outputs dx, dw cannot be compared with functions"):
        verdict.certificate(tmp_path / "none")


def test_long_polynomials_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identities, "MOST_TERMS", 3)
    with pytest.raises(UndecidableError, match="the polynomials have 12 terms, more than 3"):
        ca.prove.implements(conv, LAYER).certificate(tmp_path / "none")


# -- forgeries ------------------------------------------------------------------------------


def outputs(name: str = "y", **values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda held: held["claims"][0]["outputs"][name].update(values)


def test_polynomials_of_another_function_fail(tmp_path: Path) -> None:
    """Everything is made for the other polynomials, but they are not the operator's."""
    folder = ca.prove.implements(conv, LAYER).certificate(tmp_path / "layer")
    claim = ca.prove.implements(flipped, LAYER).evidence[0]
    forged.write(folder, [claim])
    problems = ca.prove.verify(folder).problems
    assert any("z3 answers 'sat' instead of 'unsat'" in problem for problem in problems)


ONE = [["1", ["x.0", "w.0"]]]
FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "another coefficient": (
        lambda held: held["claims"][0]["outputs"]["y"]["entries"][0][0].__setitem__(0, "2"),
        "the manifest does not state the obligation",
    ),
    "a term that is not canonical": (
        lambda held: held["claims"][0]["outputs"]["y"]["entries"][0][0].__setitem__(0, "2/2"),
        "outputs of claim 0 is",
    ),
    "a coefficient that is not a number": (
        lambda held: held["claims"][0]["outputs"]["y"]["entries"][0][0].__setitem__(0, "one"),
        "a coefficient must be a fraction such as -1/2, not 'one'",
    ),
    "a division by zero": (
        lambda held: held["claims"][0]["outputs"]["y"]["entries"][0][0].__setitem__(0, "1/0"),
        "a coefficient must be a fraction such as -1/2, not '1/0'",
    ),
    "a power that fills the memory": (
        lambda held: held["claims"][0]["outputs"]["y"]["entries"][0][0].__setitem__(0, "1e999999"),
        "a coefficient must be a fraction such as -1/2, not '1e999999'",
    ),
    "no trust": (
        lambda held: held["claims"][0].update(trusted="nothing"),
        "trusted of claim 0 is 'nothing', not",
    ),
    "another kind": (
        lambda held: held["claims"][0].update(function="equals"),
        "function must be one of implements, gradient, linear, not 'equals'",
    ),
    "a family": (
        lambda held: held["claims"][0].update(operator="correlation(n, kernel(K))"),
        "the operator of a function must have numbers as sizes",
    ),
    "no operator": (
        lambda held: held["claims"][0].update(operator=None),
        "an operator must be written as text, not None",
    ),
    "other arguments": (
        lambda held: held["claims"][0].update(inputs={"w": [2]}),
        "inputs must be the shapes of",
    ),
    "other shapes": (
        lambda held: held["claims"][0]["inputs"].update(x=[5]),
        "the shapes of the inputs must be those of the operator",
    ),
    "a huge shape": (
        lambda held: held["claims"][0]["inputs"].update(x=[10**6]),
        "a shape must be a list of sizes with a product of at most",
    ),
    "no outputs": (
        lambda held: held["claims"][0].update(outputs={}),
        "outputs must be some of ['y']",
    ),
    "an output of another name": (
        lambda held: held["claims"][0].update(outputs={"dx": {}}),
        "outputs must be some of ['y']",
    ),
    "entries without a shape": (
        lambda held: held["claims"][0]["outputs"].update(y=[ONE]),
        "an output must have a shape and entries",
    ),
    "fewer entries": (outputs(entries=[ONE]), "an output of shape (3,) must have as many entries"),
    "a term of another form": (
        outputs(entries=[["1"], ONE, ONE]),
        "a term must have a coefficient and variables, not '1'",
    ),
    "a variable of another kind": (
        outputs(entries=[[["1", [3]]], ONE, ONE]),
        "an operator must be written as text, not 3",
    ),
    "a variable that does not exist": (
        outputs(entries=[[["1", ["x.9"]]], ONE, ONE]),
        "claim 0 cannot be read",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_fails(tmp_path: Path, name: str) -> None:
    change, words = FORGERIES[name]
    folder = ca.prove.implements(conv, LAYER).certificate(tmp_path / "layer")
    forged.edit(folder, change)
    found = ca.prove.verify(folder)
    assert found.status == "failed"
    assert any(words in problem for problem in found.problems), found.problems


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"output": "dx"}, "must have an output and the index of an entry"),
        ({"more": 1}, "must have an output and the index of an entry"),
        ({"row": [3]}, "the row of the counterexample must be an index of y"),
        ({"row": [True]}, "the row of the counterexample must be an index of y"),
        ({"row": 0}, "the row of the counterexample must be an index of y"),
        ({"row": None}, "the shapes are equal"),
    ],
)
def test_forged_counterexamples_fail(tmp_path: Path, values: dict[str, Any], words: str) -> None:
    folder = VERDICTS["flipped"]().certificate(tmp_path / "flipped")
    forged.edit(folder, lambda held: held["counterexample"].update(values))
    found = ca.prove.verify(folder)
    assert found.status == "failed"
    assert any(words in problem for problem in found.problems), found.problems


def test_an_entry_that_is_right_is_no_counterexample(tmp_path: Path) -> None:
    def wrong_at_the_end(x: Any, w: Any) -> Any:
        return [*conv(x, w)[:2], x[0]]

    folder = ca.prove.implements(wrong_at_the_end, LAYER).certificate(tmp_path / "wrong")
    assert ca.prove.verify(folder).status == "refuted"
    forged.edit(folder, lambda held: held["counterexample"].update(row=[0]))
    assert ca.prove.verify(folder).problems == ["counterexample: both sides are equal there"]


def test_what_is_read_is_what_was_written() -> None:
    for make in VERDICTS.values():
        (claim,) = make().evidence
        assert read(claim.manifest()).manifest() == claim.manifest()


def test_the_limit_of_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = VERDICTS["layer"]().evidence[0].manifest()
    monkeypatch.setattr(traced, "MOST_ENTRIES", 3)
    with pytest.raises(ConvalgError, match="with a product of at most 3"):
        read(manifest)
