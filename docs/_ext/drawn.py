"""The directive `drawn`: a code block next to the figure that it draws, run while building.

    ```{drawn} What the figure shows
    >>> figure = ca.draw.modes(6, 3)

    ```

Its examples are also run by the tests, with `ca` and `np` imported. The argument is the alternative
text of the figure.
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
"""A figure with a larger ratio of width to height is placed below its code."""


class drawn(nodes.General, nodes.Element):  # noqa: N801 - docutils names nodes so
    """A code block and the figure that it draws."""


class Drawn(SphinxDirective):
    """Run the examples; return the code and the figure."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the node of both; raise an error of Sphinx if there is no figure."""
        text = "\n".join(self.content).rstrip()
        try:
            figure = figure_of(text)
            picture = rendered(figure, "svg")
        except (ca.errors.ConvalgError, AttributeError, KeyError, SyntaxError) as error:
            raise self.error(f"{text!r} does not draw a figure: {error}") from error
        name = f"drawn-{hashlib.sha256(picture).hexdigest()[:16]}.svg"
        width, height = figure.get_size_inches()
        node = drawn(name=name, picture=picture, alt=self.arguments[0])
        node["wide"] = width > WIDE * height
        code = nodes.literal_block(text, text, language="pycon")
        node += code
        return [node]


def figure_of(text: str) -> Any:
    """Return the variable `figure` after running the examples of a text."""
    space: dict[str, Any] = {"ca": ca, "np": np}
    for example in doctest.DocTestParser().get_examples(text + "\n"):
        exec(compile(example.source, "<drawn>", "exec"), space)
    return space["figure"]


def visit(self: Any, node: drawn) -> None:
    """Open the element, and write the picture to the images folder."""
    folder = Path(self.builder.outdir, self.builder.imagedir)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / node["name"]).write_bytes(node["picture"])
    self.body.append(f'<div class="drawn{" wide" if node["wide"] else ""}">')


def depart(self: Any, node: drawn) -> None:
    """Add the picture after the code, and close the element."""
    source = f"{self.builder.imgpath}/{node['name']}"
    alt = html.escape(node["alt"], quote=True)
    self.body.append(f'<figure><img src="{source}" alt="{alt}"></figure></div>')


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and its node."""
    app.add_node(drawn, html=(visit, depart))
    app.add_directive("drawn", Drawn)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
