"""HTML of answers, text and tables in notebooks, with all text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convalg.escape import markup

# A sign next to each colour is for readers who cannot distinguish colours. The colours are legible
# on light and dark themes.
MARKS = {True: ("\u2713", "#2e8b57"), False: ("\u2717", "#c0392b"), None: ("?", "#b8860b")}


def answer(holds: bool | None, text: str) -> str:
    """Return a text with a mark that shows whether it holds, does not hold, or is undecided (None).

    >>> answer(True, "n < 3")
    '<div><span style="color:#2e8b57;font-weight:bold">\u2713</span> <code>n &lt; 3</code></div>'
    """
    mark, colour = MARKS[holds]
    return (
        f'<div><span style="color:{colour};font-weight:bold">{mark}</span> '
        f"<code>{markup(text)}</code></div>"
    )


def text(lines: str) -> str:
    """Return lines of text as a preformatted block.

    >>> text("a < b")
    '<pre>a &lt; b</pre>'
    """
    return f"<pre>{markup(lines)}</pre>"


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table with a caption, whose first column contains the row headers.

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
