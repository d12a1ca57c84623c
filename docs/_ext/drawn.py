"""The directive `drawn`: a code block beside the figure that it makes, run while building.

    ```{drawn} What the figure shows
    >>> figure = ca.draw.modes(6, 3)

    ```

Its examples are the ones that the tests run, with `ca` and `np` at hand. The argument says what is
seen, for those who cannot see it.
"""

from __future__ import annotations

import doctest
import hashlib
import html
from pathlib import Path
from typing import Any

import numpy as np
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import convalg as ca
from convalg.draw.figure import rendered

WIDE = 1.5
"""A figure that is wider than this many heights stands under its code."""


class drawn(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes so
    """A code block and the picture of what it makes."""


class Drawn(SphinxDirective):
    """Runs its examples; answers the code and the figure."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        """The node of both. Raises: an error of Sphinx where there is no figure."""
        text = "\n".join(self.content).rstrip()
        try:
            figure = figure_of(text)
            picture = rendered(figure, "svg")
        except (ca.errors.ConvalgError, AttributeError, KeyError, SyntaxError) as error:
            raise self.error(f"no figure came of {text!r}: {error}") from error
        name = f"drawn-{hashlib.sha256(picture).hexdigest()[:16]}.svg"
        width, height = figure.get_size_inches()
        node = drawn(name=name, picture=picture, words=self.arguments[0])
        node["wide"] = width > WIDE * height
        code = nodes.literal_block(text, text, language="pycon")
        node += code
        return [node]


def figure_of(text: str) -> Any:
    """The `figure` that the examples of a text leave behind."""
    space: dict[str, Any] = {"ca": ca, "np": np}
    for example in doctest.DocTestParser().get_examples(text + "\n"):
        exec(compile(example.source, "<drawn>", "exec"), space)
    return space["figure"]


def visit(self: Any, node: drawn) -> None:
    """The opening of the pair, and the picture written beside the pages."""
    folder = Path(self.builder.outdir, self.builder.imagedir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / node["name"]).write_bytes(node["picture"])
    self.body.append(f'<div class="drawn{" wide" if node["wide"] else ""}">')


def depart(self: Any, node: drawn) -> None:
    """The picture behind the code."""
    source = f"{self.builder.imgpath}/{node['name']}"
    words = html.escape(node["words"], quote=True)
    self.body.append(f'<figure><img src="{source}" alt="{words}"></figure></div>')


def setup(app: Sphinx) -> dict[str, bool]:
    """Registers the directive and its node."""
    app.add_node(drawn, html=(visit, depart))
    app.add_directive("drawn", Drawn)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
