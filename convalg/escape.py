"""Text of unknown origin made safe to show: on a terminal, in LaTeX, Markdown, HTML and XML.

Names, file names, exception messages and reports come from other people's files and programs.
Escape sequences, control characters, characters that reorder a line, and lone surrogates (which no
encoder accepts) are replaced by visible escapes such as `\\x1b`.
"""

from __future__ import annotations

import html as _html
import re
from collections.abc import Mapping

_LATEX = {
    # In math mode, where every font has them; between dollars no browser reads < as a tag.
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
        text: Any object; anything but a string is converted by `str`.
        lines: Keep line breaks and tabs, for text that may have several lines.

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
    """Return text escaped for LaTeX, for a paragraph or for `\\text{}`.

    Characters beyond ASCII, for which a font may have no glyph, are shown by their code points.

    Args:
        text: Any object; anything but a string is converted by `str`.
        marks: LaTeX for some characters, instead of the default.

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
    """Return text for HTML, SVG and XML: as `terminal`, with markup escaped too.

    >>> markup('<b> & "\\x00"')
    '&lt;b&gt; &amp; &quot;\\\\x00&quot;'
    """
    return _html.escape(terminal(text, lines=True))


def _visible(mark: str) -> str:
    return mark.encode("unicode_escape", "surrogatepass").decode("ascii")
