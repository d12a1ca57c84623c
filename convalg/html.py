"""Escaped HTML for answers and tables in notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convalg.escape import markup

# A sign next to the colour, for readers who cannot tell colours apart; the colours work on light
# and dark themes.
MARKS = {True: ("\u2713", "#2e8b57"), False: ("\u2717", "#c0392b"), None: ("?", "#b8860b")}


def answer(holds: bool | None, text: str) -> str:
    """Return a mark and a text: whether something holds, does not hold, or is unknown.

    >>> answer(True, "n < 3")
    '<div><span style="color:#2e8b57;font-weight:bold">\u2713</span> <code>n &lt; 3</code></div>'
    """
    mark, colour = MARKS[holds]
    return (
        f'<div><span style="color:{colour};font-weight:bold">{mark}</span> '
        f"<code>{markup(text)}</code></div>"
    )


def text(lines: str) -> str:
    """Return preformatted lines of text.

    >>> text("a < b")
    '<pre>a &lt; b</pre>'
    """
    return f"<pre>{markup(lines)}</pre>"


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a caption; the first column holds the row headers.

    >>> table("t", ["a"], [["1"]]).count("<th ")
    2
    """
    head = "".join(f'<th scope="col">{markup(name)}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{markup(row[0])}</th>'
        + "".join(f"<td>{markup(cell)}</td>" for cell in row[1:])
        + "</tr>"
        for row in rows
    )
    return (
        f"<table><caption>{markup(title)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )
