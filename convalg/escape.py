"""Text of unknown origin made safe to show: on a terminal, in LaTeX, Markdown, HTML and XML.

Names, file names, exception messages and reports come from files and programs of others. Escape
sequences, control characters, marks that reorder a line, and lone surrogates (which no encoder
takes) are replaced by visible escapes such as `\\x1b`.
"""

from __future__ import annotations

import html as _html
import re
from collections.abc import Mapping

_LATEX = {
    # In mathematics, where every font has them; between dollars no browser takes < for a tag.
    "\\": r"$\backslash$",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "^": r"$\hat{}$",
    "~": r"$\sim$",
    **{mark: "\\" + mark for mark in "{}$&#%_"},
}


def terminal(text: object, *, lines: bool = False) -> str:
    """Return text with every character that is not printable as a visible escape.

    Args:
        text: Anything; what is no text is shown by its `str`.
        lines: Keep line breaks and tabs, for text that may have several lines.

    >>> terminal("a\\x1b[31mb\\nc\\u202e\\ud800"), terminal("a\\nb", lines=True)
    ('a\\\\x1b[31mb\\\\nc\\\\u202e\\\\ud800', 'a\\nb')
    """
    words = text if isinstance(text, str) else str(text)
    # Not what a subclass of str makes of its characters.
    words = str.__str__(words)
    if words.isprintable():
        return words
    return "".join(
        mark if mark.isprintable() or (lines and mark in "\n\t") else _visible(mark)
        for mark in words
    )


def latex(text: object, marks: Mapping[str, str] | None = None) -> str:
    """Return text that plain LaTeX sets as it is, in a paragraph or in `\\text{}`.

    Letters beyond ASCII, for which a font may have no sign, are shown by their numbers.

    Args:
        text: Anything; what is no text is shown by its `str`.
        marks: LaTeX for some characters, in place of the usual one.

    >>> print(latex("50% of $x_1"), latex("\\N{GREEK SMALL LETTER ALPHA}"))
    50\\% of \\$x\\_1 U+03B1
    """
    table = {**_LATEX, **(marks or {})}
    return "".join(
        table.get(mark, mark if mark.isascii() else f"U+{ord(mark):04X}") for mark in terminal(text)
    )


def markdown(text: object) -> str:
    """Return text in one line in which Markdown and HTML find nothing to act on.

    >>> print(markdown("w_0 * <b>\x1b"))
    w\\_0 \\* \\<b\\>\\\\x1b
    """
    line = terminal(" ".join(str(text).split()))
    return re.sub(r"([\\`*_{}\[\]<>#|$&~!])", r"\\\1", line)


def markup(text: object) -> str:
    """Return text for HTML, SVG and XML: as on a terminal, with markup escaped.

    >>> markup('<b> & "\\x00"')
    '&lt;b&gt; &amp; &quot;\\\\x00&quot;'
    """
    return _html.escape(terminal(text, lines=True))


def _visible(mark: str) -> str:
    return mark.encode("unicode_escape", "surrogatepass").decode("ascii")
