"""The sheet as one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
import html
from importlib.resources import files
from typing import TYPE_CHECKING

from convalg.escape import terminal

if TYPE_CHECKING:
    from markupsafe import Markup

    from convalg.sheet.document import Document


def page(sheet: Document) -> str:
    """Return the page, with figures, formulas, style and script embedded.

    User-supplied names are escaped. As a second line of defence the content security policy
    allows only this one script, by its hash, and nothing from other sources.
    """
    import jinja2
    from markupsafe import Markup

    from convalg.version import __version__

    pages = jinja2.Environment(
        loader=jinja2.PackageLoader("convalg.sheet.formats", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        # Markup is generated in this module; any other value may contain user-supplied names.
        finalize=lambda value: value if hasattr(value, "__html__") else terminal(value, lines=True),
    )
    pages.filters.update(mathml=_mathml, data_uri=data_uri)
    pages.tests["kind"] = lambda block, name: type(block).__name__ == name
    folder = files("convalg.sheet.formats")
    script, style = (
        (folder / name).read_text(encoding="utf-8") for name in ("sheet.js", "sheet.css")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return pages.get_template("sheet.html.jinja").render(
        sheet=sheet,
        version=__version__,
        style=Markup(style),
        script=Markup(script),
        digest=digest,
    )


def data_uri(svg: str) -> str:
    """Return an SVG as a data URI."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def _mathml(latex: str) -> Markup:
    """Convert a formula to MathML.

    The string output of latex2mathml undoes the escaping of its input, so its element tree is
    serialised here instead.
    """
    from xml.etree import ElementTree

    from latex2mathml.converter import convert_to_element
    from markupsafe import Markup

    tree = convert_to_element(latex, display="block")
    for element in tree.iter():
        element.text = html.unescape(element.text) if element.text else element.text
    return Markup(ElementTree.tostring(tree, encoding="unicode"))
