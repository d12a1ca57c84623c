"""Functions that escape text of unknown origin for terminals, LaTeX, Markdown, HTML and XML.

Names, file names, exception messages and reports may come from files and programs of other people.
Escape sequences, control characters, characters that reorder a line, and lone surrogates (which no
encoder accepts) are replaced by visible escapes such as `\\x1b`.
"""

from __future__ import annotations

import html as _html
import re
from collections.abc import Mapping

_LATEX = {
    # These characters are set in math mode, as some text fonts lack them, and a browser does not
    # interpret < between dollars as a tag.
    "\\": r"$\backslash$",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "^": r"$\hat{}$",
    "~": r"$\sim$",
    **{mark: "\\" + mark for mark in "{}$&#%_"},
}


def terminal(text: object, *, lines: bool = False) -> str:
    """Return text with every character that is not printable replaced by a visible escape.

    Args:
        text: A string, or another object, which is converted by `str`.
        lines: Whether line breaks and tabs are kept, for text that may have several lines.

    >>> terminal("a\\x1b[31mb\\nc\\u202e\\ud800"), terminal("a\\nb", lines=True)
    ('a\\\\x1b[31mb\\\\nc\\\\u202e\\\\ud800', 'a\\nb')
    """
    characters = text if isinstance(text, str) else str(text)
    # A subclass of str may override __str__.
    characters = str.__str__(characters)
    if characters.isprintable():
        return characters
    return "".join(
        mark if mark.isprintable() or (lines and mark in "\n\t") else _visible(mark)
        for mark in characters
    )


def latex(text: object, marks: Mapping[str, str] | None = None) -> str:
    """Return text escaped for LaTeX, for use in a paragraph or in `\\text{}`.

    Characters beyond ASCII, for which a font may not have a glyph, are replaced by their code
    points.

    Args:
        text: A string, or another object, which is converted by `str`.
        marks: LaTeX code for some characters, which replaces the default.

    >>> print(latex("50% of $x_1"), latex("\\N{GREEK SMALL LETTER ALPHA}"))
    50\\% of \\$x\\_1 U+03B1
    """
    table = {**_LATEX, **(marks or {})}
    return "".join(
        table.get(mark, mark if mark.isascii() else f"U+{ord(mark):04X}") for mark in terminal(text)
    )


def markdown(text: object) -> str:
    """Return text on one line, with all markup of Markdown and HTML escaped.

    >>> print(markdown("w_0 * <b>\x1b"))
    w\\_0 \\* \\<b\\>\\\\x1b
    """
    line = terminal(" ".join(str(text).split()))
    return re.sub(r"([\\`*_{}\[\]<>#|$&~!])", r"\\\1", line)


def markup(text: object) -> str:
    """Return text escaped for HTML, SVG and XML, with unprintable characters as in `terminal`.

    >>> markup('<b> & "\\x00"')
    '&lt;b&gt; &amp; &quot;\\\\x00&quot;'
    """
    return _html.escape(terminal(text, lines=True))


def _visible(mark: str) -> str:
    return mark.encode("unicode_escape", "surrogatepass").decode("ascii")
