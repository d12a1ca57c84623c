"""The derivation sheet of a layer, and how it becomes a page, Markdown, LaTeX, a notebook."""

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
    """A derivation sheet: sections whose statements carry how they were verified.

    `setup` is the Python that makes the layer `A`, with which a notebook starts.

    >>> import convalg as ca
    >>> sheet = ca.explain(ca.correlation((6, 6), ca.kernel(3, 3)))
    >>> sheet.failed
    ()
    """

    def html(self) -> str:
        """The sheet as one HTML page that needs nothing else: figures and formulas inside."""
        return pages.page(self)

    def markdown(self) -> str:
        """The sheet as Markdown, figures inside as data URIs, formulas between dollar signs."""
        return marks.markdown(self, lambda picture: pages.data_uri(picture.svg))

    def latex(self) -> str:
        """The sheet as a LaTeX document; `write` puts its figures beside it.

        It is set by a plain LaTeX without them too, with their captions in their places.

        >>> import convalg as ca
        >>> ca.explain(ca.correlation(5, ca.kernel(2))).latex().splitlines()[0]
        '\\\\documentclass[11pt,a4paper]{article}'
        """
        return tex.document(self)

    def notebook(self) -> str:
        """The sheet as a Jupyter notebook (nbformat 4.5), as JSON text: the same bytes each time.

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
        """The path of the first file: `sheet.html`, `.md`, `.tex` or `.ipynb`, in a folder.

        `formats`: some of "html", "markdown", "latex" and "notebook". Markdown and LaTeX come
        with `figures/*.svg` and `figures/*.pdf`. Each file is written beside its place and
        renamed, so that none is ever half there.

        Raises: ArgumentError for another format or none, FileError when the folder cannot be
        made or written.
        """
        unknown = [name for name in formats if name not in FORMATS]
        if unknown or not formats or isinstance(formats, str):
            raise ArgumentError(
                f"formats must be some of {', '.join(FORMATS)}, as a tuple or list, not {formats!r}"
            )
        place = Path(folder)
        data = self._files(tuple(formats))
        try:
            place.mkdir(parents=True, exist_ok=True)
            if any(name.startswith("figures/") for name in data):
                (place / "figures").mkdir(exist_ok=True)
            for name, content in data.items():
                replace_file(place / name, content)
        except (OSError, ValueError) as error:
            # A file stands where the folder should.
            taken = isinstance(error, FileExistsError)
            reason = "Not a directory" if taken else getattr(error, "strerror", None) or error
            raise FileError(
                f"cannot write the sheet to {str(place)!r} ({reason}): give a folder that can be "
                f"made or written to"
            ) from None
        return place / NAMES[formats[0]]

    def _files(self, formats: tuple[str, ...]) -> dict[str, bytes]:
        """The content of each file, by its name in the folder; figures before what shows them."""
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
    """A derivation sheet of a layer, every statement verified while it is made.

    `image`: a PNG or JPEG file, or an array `(channels, height, width)` of bytes, for a
    layer over two axes; by default the embedded photograph. It goes through a layer of the same
    form at its own size. Letters for weights become ones there. What is written out in
    letters is shown for a small layer of the same form where the layer itself is large.

    Raises: KindError unless the operator is, or simplifies to, one correlation, convolution or
    adjoint of one; SymbolicError for a family; FileError for an image that cannot be read;
    ShapeError for one that does not fit the layer.

    >>> import convalg as ca
    >>> sheet = explain(ca.correlation(8, ca.kernel(3), stride=2, padding=1))
    >>> [section.heading for section in sheet.sections][:3]
    ['What is computed', 'The size of the output', 'The matrix']
    """
    if not isinstance(operator, Operator):
        raise KindError(
            f"explain takes an operator such as ca.correlation(...), not {type(operator).__name__}"
        )
    operator._need_numbers("explain")
    layer = _one_layer(operator)
    work = sum(int(axis.out_size) * int(axis.taps) for axis in layer_of(layer)[0].axes)
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
    """The operator as one layer. Raises: KindError when it is none."""
    try:
        layer_of(operator)
    except KindError:
        operator = operator.simplify()
        layer_of(operator)
    return operator


def _lead(layer: Operator, small: Operator) -> str:
    words = (
        f"A linear map from {by(layer.in_shape)} samples to {by(layer.out_shape)}, "
        f"written as a matrix of {layer.shape[0]:,} x {layer.shape[1]:,}."
    )
    changed = differences(layer, small)
    if changed:
        words += (
            f" This layer is too large to write out: what stands in letters below is for a small "
            f"layer of the same form ({', '.join(changed)})."
        )
    return words
