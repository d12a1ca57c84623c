"""What notebooks show: escaped, with a sign beside each colour."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import convalg as ca

L = ca.layers
VOID = {"br", "img"}


class Balanced(HTMLParser):
    """Every tag that opens is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def network(name: str = "conv") -> ca.Network:
    net = ca.Network((1, 4, 4), name="a <script> net")
    net.add(L.Conv(2, 3), name=name)
    net.add(L.Dense(2))
    return net.initialise(0)


def flipped(x: Any, w: Any) -> Any:
    return ca.correlation(x.shape[2:], w[..., ::-1, ::-1])(x)


SHOWN: list[tuple[Any, str]] = [
    (ca.prove.equal(ca.identity(3), ca.identity(3)), "\u2713"),
    (ca.prove.equal(ca.identity(3), ca.flip_axes(3)), "\u2717"),
    (network("<b>"), "&lt;b&gt;"),
    (network().summary(), "&lt;script&gt;"),
    (network().explain_step(np.zeros((1, 4, 4)), 0), "dL/dkernel"),
    (ca.sequential((1, *ca.sizes("n")), [L.Conv(1, 3)]), "n - 2"),
    (ca.check.forward(flipped), "\u2717"),
]


@pytest.mark.parametrize(("value", "words"), SHOWN, ids=[str(k) for k in range(len(SHOWN))])
def test_what_is_shown_is_html(value: Any, words: str) -> None:
    html = value._repr_html_()
    reader = Balanced()
    reader.feed(html)
    assert reader.open == []
    assert words in html
    assert not {"b", "script"} & set(reader.seen)
