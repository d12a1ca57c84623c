"""The sheet as a LaTeX document for pdflatex; it compiles with or without its figure files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convalg.escape import latex
from convalg.sheet.blocks import Claim, Code, Formula, Picture, Steps, Table, Text
from convalg.sheet.explorer import Explorer
from convalg.sheet.formats.markdown import Plain

if TYPE_CHECKING:
    from convalg.sheet.document import Document

HEAD = r"""\documentclass[11pt,a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage[margin=25mm]{geometry}
\usepackage{amsmath,amssymb}
\usepackage{graphicx}
\usepackage{xcolor}
% Two commands of MathJax that LaTeX does not define.
\providecommand{\lt}{<}
\providecommand{\gt}{>}
\allowdisplaybreaks
\sloppy
\definecolor{held}{RGB}{26,107,60}
\definecolor{failed}{RGB}{164,22,26}
% A figure with its caption; the caption alone if the figure file is missing.
\newcommand{\sheetfigure}[2]{\begin{center}%
  \IfFileExists{figures/#1.pdf}{\includegraphics[width=\linewidth,height=0.8\textheight,%
    keepaspectratio]{figures/#1.pdf}\par\medskip}{}%
  {\small #2}\end{center}}
% A formula, scaled down to the width of the page if it is wider.
\newsavebox{\sheetbox}
\newcommand{\sheetformula}[1]{\sbox{\sheetbox}{$\displaystyle #1$}%
  \[\ifdim\wd\sheetbox>\linewidth\resizebox{\linewidth}{!}{\usebox{\sheetbox}}%
  \else\usebox{\sheetbox}\fi\]}
\newcommand{\sheetclaim}[4]{\par\smallskip\noindent\textcolor{#1}{\textbf{#2}} #3
  {\footnotesize (#4)}\par\smallskip}
"""

MARKS = {
    # By character code: these characters are special or form ligatures in LaTeX.
    **{mark: rf"{{\char{ord(mark)}}}" for mark in '~^"`'},
    "-": "{-}",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{HORIZONTAL ELLIPSIS}": r"\dots{}",
}


def document(sheet: Document) -> str:
    """Return the document. It includes `figures/NAME.pdf`, which `Sheet.write` creates."""
    parts = [
        HEAD,
        rf"\title{{{escaped(sheet.title)}}}",
        r"\author{}\date{}",
        r"\begin{document}",
        r"\maketitle",
        escaped(sheet.lead),
    ]
    for section in sheet.sections:
        parts.append(rf"\section{{{escaped(section.heading)}}}")
        parts += [
            block_latex(block)
            for block in section.blocks
            if not (
                isinstance(block, Explorer) or (isinstance(block, Picture) and not block.exists)
            )
        ]
    return "\n\n".join([*parts, r"\end{document}"]) + "\n"


def block_latex(block: Plain) -> str:
    """Return one block as LaTeX."""
    match block:
        case Text(text=text):
            return escaped(text)
        case Code(line=line):
            return _code(line)
        case Formula(latex=latex):
            return rf"\sheetformula{{{mathematics(latex)}}}"
        case Picture(name=name, caption=caption):
            return rf"\sheetfigure{{{name}}}{{{escaped(caption)}}}"
        case Table(header=header, rows=rows, caption=caption):
            return _table(header, rows, caption)
        case Steps(lines=lines):
            items = "\n".join(
                rf"\item {escaped(line.statement)} {{\footnotesize ({escaped(line.verdict)})}}"
                rf"{_shown(line)}"
                for line in lines
            )
            return f"\\begin{{enumerate}}\n{items}\n\\end{{enumerate}}"
        case Claim(statement=statement, check=check):
            colour = "held" if check.passed else "failed"
            inner = "}{".join(map(escaped, (block.verdict, statement, check.how)))
            return rf"\sheetclaim{{{colour}}}{{{inner}}}{_shown(block)}"


def _shown(claim: Claim) -> str:
    return "".join(
        _code(part.line)
        if isinstance(part, Code)
        else rf"\sheetformula{{{mathematics(part.latex)}}}"
        for part in claim.shown
    )


def _code(text: str) -> str:
    lines = [escaped(line).replace(" ", r"\ ") for line in text.split("\n")]
    body = "\\\\\n".join(line or r"\mbox{}" for line in lines)
    return f"\\begin{{flushleft}}\\ttfamily\\small\n{body}\n\\end{{flushleft}}"


def _table(header: tuple[str, ...], rows: tuple[tuple[str, ...], ...], caption: str) -> str:
    # The label column wraps its text; the columns of numbers are as wide as their content.
    columns = "p{0.3\\linewidth}" + "r" * (len(header) - 1)
    lines = [" & ".join(map(escaped, row)) + r" \\" for row in rows]
    top = " & ".join(rf"\textbf{{{escaped(cell)}}}" if cell else "" for cell in header) + r" \\"
    body = "\n".join([r"\hline", top, r"\hline", *lines, r"\hline"])
    return (
        f"\\begin{{center}}\n\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}"
        f"{{!}}{{\\begin{{tabular}}{{{columns}}}\n{body}\n\\end{{tabular}}}}"
        f"\\par\\medskip{{\\small {escaped(caption)}}}\n\\end{{center}}"
    )


def mathematics(latex: str) -> str:
    """Return a formula in ASCII: any other character is replaced by its code point.

    >>> print(mathematics("\\N{GREEK SMALL LETTER ALPHA} + 1"))
    \\text{U+03B1} + 1
    """
    return "".join(mark if mark.isascii() else _point(mark) for mark in latex)


def escaped(text: str) -> str:
    """Escape text for LaTeX; a character that is not ASCII is replaced by its code point.

    >>> print(escaped("50% of $x_1"))
    50\\% of \\$x\\_1
    """
    return latex(text if text.isprintable() else " ".join(text.split()), MARKS)


def _point(mark: str) -> str:
    # LaTeX stops with an error at a Unicode character that it has no definition for.
    return rf"\text{{U+{ord(mark):04X}}}"
