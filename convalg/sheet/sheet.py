"""The derivation sheet of a layer, as HTML, Markdown, LaTeX or a notebook."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from convalg.errors import ArgumentError, FileError, KindError
from convalg.faces.latex import layer_of
from convalg.faces.text import one_line
from convalg.files import replace_file
from convalg.limits import check_memory
from convalg.operators.tree import Operator
from convalg.sheet.blocks import Section
from convalg.sheet.claims import by
from convalg.sheet.document import Document
from convalg.sheet.formats import html as pages
from convalg.sheet.formats import latex as tex
from convalg.sheet.formats import markdown as marks
from convalg.sheet.formats import notebook as notebooks
from convalg.sheet.miniature import differences, small_form
from convalg.sheet.numeric_example import worked
from convalg.sheet.pictures import source
from convalg.sheet.sections import backward, forward, reach
from convalg.sheet.sections.definition import definition_section, matrix_section, sizes_section
from convalg.sheet.sections.image import Image, image_sections
from convalg.sheet.sections.pooling import pooling_section

FORMATS = ("html", "markdown", "latex", "notebook")
NAMES = {
    "html": "sheet.html",
    "markdown": "sheet.md",
    "latex": "sheet.tex",
    "notebook": "sheet.ipynb",
}


@dataclass(frozen=True)
class Sheet(Document):
    """A derivation sheet: sections whose statements are labelled with how they were verified.

    Attributes:
        title: the call that creates the layer, shortened to one line.
        lead: a paragraph with the shapes of the layer.
        sections: the content; each section has a heading and blocks.
        setup: the Python code that defines the layer `A` in the notebook.
        claims: all labelled statements.
        failed: the statements whose check failed.
        pictures: the figures.

    >>> import convalg as ca
    >>> sheet = ca.explain(ca.correlation((6, 6), ca.kernel(3, 3)))
    >>> sheet.failed
    ()
    """

    def html(self) -> str:
        """Return the sheet as one self-contained HTML page, which includes figures and formulas.

        >>> import convalg as ca
        >>> ca.explain(ca.correlation(5, ca.kernel(2))).html().splitlines()[0]
        '<!DOCTYPE html>'
        """
        return pages.page(self)

    def markdown(self) -> str:
        """Return the sheet as Markdown, with figures as data URIs and formulas between `$$`.

        >>> import convalg as ca
        >>> ca.explain(ca.correlation(5, ca.kernel(2))).markdown().splitlines()[0]
        '# correlation(5, \\\\[w0, w1\\\\])'
        """
        return marks.markdown(self, lambda picture: pages.data_uri(picture.svg))

    def latex(self) -> str:
        """Return the sheet as a LaTeX document; `write` also writes the figure files it includes.

        It compiles without the figure files too, and then shows their captions only.

        >>> import convalg as ca
        >>> ca.explain(ca.correlation(5, ca.kernel(2))).latex().splitlines()[0]
        '\\\\documentclass[11pt,a4paper]{article}'
        """
        return tex.document(self)

    def notebook(self) -> str:
        """Return the sheet as a Jupyter notebook (nbformat 4.5): reproducible JSON text.

        >>> import convalg as ca, json
        >>> json.loads(ca.explain(ca.correlation(5, ca.kernel(2))).notebook())["nbformat"]
        4
        """
        return notebooks.notebook(self)

    def write(
        self,
        folder: str | os.PathLike[str],
        *,
        formats: tuple[str, ...] | list[str] = ("html", "markdown"),
    ) -> Path:
        """Write the sheet into a folder in one or several formats; return the path of the first.

        The files are `sheet.html`, `sheet.md`, `sheet.tex` and `sheet.ipynb`. Markdown and LaTeX
        come with `figures/*.svg` and `figures/*.pdf`. Each file is written under a temporary name
        and then renamed, so that no file is ever incomplete.

        Args:
            folder: the folder, created if it does not exist.
            formats: a tuple or list of one or more of "html", "markdown", "latex" and "notebook".

        Raises:
            ArgumentError: when `formats` is empty or contains another format.
            FileError: when the folder cannot be created or written to.

        >>> import convalg as ca
        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> ca.explain(ca.correlation(5, ca.kernel(2))).write(folder, formats=["markdown"]).name
        'sheet.md'
        """
        unknown = [name for name in formats if name not in FORMATS]
        if unknown or not formats or isinstance(formats, str):
            raise ArgumentError(
                f"formats must be some of {', '.join(FORMATS)}, as a tuple or list, not {formats!r}"
            )
        target = Path(folder)
        data = self._files(tuple(formats))
        try:
            target.mkdir(parents=True, exist_ok=True)
            if any(name.startswith("figures/") for name in data):
                (target / "figures").mkdir(exist_ok=True)
            for name, content in data.items():
                replace_file(target / name, content)
        except (OSError, ValueError) as error:
            # mkdir reports "File exists" where a file has the folder's name.
            taken = isinstance(error, FileExistsError)
            reason = "Not a directory" if taken else getattr(error, "strerror", None) or error
            raise FileError(
                f"cannot write the sheet to {str(target)!r} ({reason}): give a folder that can be "
                f"created or written to"
            ) from None
        return target / NAMES[formats[0]]

    def _files(self, formats: tuple[str, ...]) -> dict[str, bytes]:
        """The content of each file by its name, figures before the documents that include them."""
        data: dict[str, bytes] = {}
        if "markdown" in formats:
            data |= {f"figures/{p.name}.svg": p.svg.encode() for p in self.pictures}
        if "latex" in formats:
            data |= {f"figures/{p.name}.pdf": p.pdf for p in self.pictures}
        for name in formats:
            data[NAMES[name]] = self._text(name).encode()
        return data

    def _text(self, name: str) -> str:
        match name:
            case "html":
                return self.html()
            case "latex":
                return self.latex()
            case "notebook":
                return self.notebook()
        return marks.markdown(self, lambda picture: f"figures/{picture.name}.svg")


def explain(operator: Operator, *, image: Image | None = None) -> Sheet:
    """Return the derivation sheet of a layer; every statement is verified while it is built.

    A layer that is too large to write out is shown through a small layer of the same form.

    Args:
        operator: a correlation, a convolution, the adjoint of one, or an expression that
            simplifies to one of these, with numbers for sizes.
        image: a PNG or JPEG file, or a uint8 array `(height, width)` or
            `(channels, height, width)`, for a layer over two axes with 1 or 3 input channels; by
            default the embedded photograph. It is filtered by the same layer at the image's size;
            symbolic weights are replaced by small integers for it.

    Raises:
        KindError: when the operator is not, and does not simplify to, one layer, or an image array
            is not uint8.
        SymbolicError: when sizes are symbols.
        FileError: when the image file cannot be read.
        ShapeError, ArgumentError: when the image does not fit the layer.
        ExactnessError: when the filtered image could exceed 64-bit integers.
        TooLargeError: when the sheet or its image would need more memory than the limit.

    >>> import convalg as ca
    >>> sheet = ca.explain(ca.correlation(8, ca.kernel(3), stride=2, padding=1))
    >>> [section.heading for section in sheet.sections][:3]
    ['Definition', 'The output size', 'The matrix']
    """
    if not isinstance(operator, Operator):
        raise KindError(
            f"explain takes an operator such as ca.correlation(...), not {type(operator).__name__}"
        )
    operator._need_numbers("explain")
    layer = _one_layer(operator)
    work = sum(axis.numbers.out_size * axis.numbers.taps for axis in layer_of(layer)[0].axes)
    check_memory(
        32 * work, None, what="counting this layer's pattern", instead="use a smaller shape"
    )
    small = small_form(layer)
    sections = _sections(layer, small, image)
    return Sheet(one_line(layer), _lead(layer, small), sections, source(small))


def _sections(layer: Operator, small: Operator, image: Image | None) -> tuple[Section, ...]:
    case = worked(layer, small)
    return (
        definition_section(layer, small),
        *image_sections(layer, image),
        sizes_section(layer, small),
        matrix_section(small),
        forward.linearity_section(small),
        forward.modes_section(small),
        forward.operators_section(small),
        forward.sharing_section(layer, small),
        backward.forward_section(case),
        backward.input_section(small, case),
        backward.kernel_section(small, case),
        backward.update_section(case),
        pooling_section(layer),
        reach.field_section(small),
        reach.shift_section(small),
        reach.cost_section(layer, small),
    )


def _one_layer(operator: Operator) -> Operator:
    """Return the operator as one layer, simplified if necessary; raise KindError if it is none."""
    try:
        layer_of(operator)
    except KindError:
        operator = operator.simplify()
        layer_of(operator)
    return operator


def _lead(layer: Operator, small: Operator) -> str:
    text = (
        f"This layer is a linear map from {by(layer.in_shape)} samples to {by(layer.out_shape)} "
        f"samples. Its matrix is {layer.shape[0]:,} x {layer.shape[1]:,}."
    )
    changed = differences(layer, small)
    if changed:
        text += (
            f" This layer is too large to write out, so the symbols below are for a small layer "
            f"of the same form ({', '.join(changed)})."
        )
    return text
