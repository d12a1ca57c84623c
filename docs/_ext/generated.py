"""Parts of the pages that are generated from the library while building.

A line `<!-- theorems -->` of a page is replaced by the catalogue of theorems, `<!-- zoo -->` by the
table of networks, `<!-- names: norm rank -->` by the reference of these public names, and
`<!-- room: draw -->` by that of a public module.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from operator import attrgetter

from sphinx.application import Sphinx

import convalg as ca
from convalg.prove.theorems.theorem import Theorem
from convalg.prove.verdict import Verdict


def theorems() -> str:
    """The chapters of the catalogue: a table of contents, then every theorem in words."""
    chapters = ca.theorems.chapters()
    lines = ["## Contents", ""]
    for number, (chapter, members) in enumerate(chapters.items(), 1):
        lines.append(f"{number}. [{chapter}](#{_anchor(chapter)}): {_links(members)}")
    for number, (chapter, members) in enumerate(chapters.items(), 1):
        # With "Chapter", the anchor differs from that of a theorem such as "composition".
        lines += ["", f"({_anchor(chapter)})=", "", f"## Chapter {number}: {chapter}", ""]
        lines += [line for theorem in members for line in _theorem(theorem)]
    return "\n".join(lines)


def _anchor(chapter: str) -> str:
    return f"chapter-{chapter.lower().replace(' ', '-')}"


def _links(members: Iterable[Theorem]) -> str:
    return ", ".join(f"[{theorem.name}](#{theorem.name})" for theorem in members)


def _theorem(theorem: Theorem) -> list[str]:
    lines = [f"({theorem.name})=", "", f"### {theorem.name}", "", _plain(theorem.sentence), ""]
    lines += ["$$", theorem.statement, "$$", ""]
    lines += [f"Domain\n: {_plain(theorem.domain)}", "", f"Idea\n: {_plain(theorem.idea)}", ""]
    lines += [f"Verdict\n: {_verdict(theorem.prove())}", ""]
    if len(theorem.parts) > 1:
        lines += ["Claims", *(f": {_plain(part.claim)}\n" for part in theorem.parts)]
    outside = theorem.outside()
    if outside is not None:
        lines += [f"Just outside\n: *{_plain(outside.claim)}*: {_verdict(outside)}", ""]
    if theorem.source:
        lines += [f"Source\n: {_plain(theorem.source)}", ""]
    return lines


def _verdict(verdict: Verdict) -> str:
    return f"{_plain(repr(verdict))}. Method: {_plain(verdict.method)}."


def _plain(text: str) -> str:
    """Plain text with the special characters of Markdown escaped."""
    return "".join(f"\\{mark}" if mark in r"\`*_{}[]<>#$|" else mark for mark in text)


def zoo() -> str:
    """The networks in the zoo: name, input, output, parameters and non-zeros."""
    rows = ["| `ca.zoo.` | input | output | parameters | non-zeros |"]
    rows += ["| --- | --- | --- | ---: | ---: |"]
    for name in ca.zoo.__all__:
        net = getattr(ca.zoo, name)()
        sizes = (" x ".join(map(str, shape)) for shape in (net.in_shape, net.out_shape))
        rows.append(
            f"| `{name}` | {' | '.join(sizes)} | {net.parameters:,} | {net.counts.nonzeros:,} |"
        )
    return "\n".join(rows)


def names(wanted: str, inside: str = "convalg") -> str:
    """The reference of functions and classes, by autodoc."""
    lines = ["```{eval-rst}"]
    for name in wanted.split():
        value = attrgetter(f"{inside}.{name}".partition(".")[2])(ca)
        if inspect.isclass(value):
            # The methods of layers are documented at their base class.
            plain = issubclass(value, ca.layers.Layer) and value is not ca.layers.Layer
            lines += [f".. autoclass:: {inside}.{name}", "" if plain else "   :members:", ""]
        else:
            lines += [f".. autofunction:: {inside}.{name}", ""]
    return "\n".join([*lines, "```"])


def room(name: str) -> str:
    """The reference of a public module, without names that are documented elsewhere."""
    module = getattr(ca, name)
    defined = [key for key, value in vars(module).items() if inspect.getmodule(value) is module]
    public = getattr(module, "__all__", [key for key in defined if key[0] != "_"])
    own = [key for key in public if getattr(module, key) is not getattr(ca, key, None)]
    return names(" ".join(own), f"convalg.{name}")


GENERATED: dict[str, Callable[..., str]] = {
    "theorems": theorems,
    "zoo": zoo,
    "names": names,
    "room": room,
}
MARK = re.compile(r"<!-- (\w+)(?:: ([\w\s]+?))? -->")


def fill(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the marks in the text of a page, in place: the hook for Sphinx."""

    def generated(mark: re.Match[str]) -> str:
        return GENERATED[mark[1]](*filter(None, [mark[2]]))

    # Remove the blank line that ends a doctest before the fence; it is not part of the page.
    text = MARK.sub(generated, source[0])
    source[0] = re.sub(r"\n\n( *)```\n", r"\n\1```\n", text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the hook to the reading of pages."""
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
