"""Derivation sheets: every statement is checked in earnest, and nothing from outside acts."""

from __future__ import annotations

import base64
import gc
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from sheets import FORM_SHEETS, LAYERS, SHEETS

import convalg as ca
from convalg.errors import (
    ArgumentError,
    ExactnessError,
    FileError,
    KindError,
    ShapeError,
    SymbolicError,
    TooLargeError,
)
from convalg.images import photograph
from convalg.sheet import Sheet, verify_layer
from convalg.sheet.blocks import (
    COUNTEREXAMPLE,
    EXACTLY,
    PROVED,
    TRIED,
    Claim,
    Code,
    Formula,
    Picture,
    Section,
    Table,
    Text,
)

VOID = {"meta", "img"}


HEADINGS = [
    "Definition",
    "The output size",
    "The matrix",
    "Linearity",
    "Full, same and valid",
    "Padding and stride as operators",
    "Weight sharing",
    "The forward pass with numbers",
    "The gradient of the input",
    "The gradient of the kernel",
    "The gradient of the bias, and an update",
    "Pooling",
    "Receptive field",
    "Translation equivariance",
    "Cost",
]


@pytest.fixture(scope="module", params=LAYERS)
def name(request: pytest.FixtureRequest) -> str:
    """A parameter that puts the tests of one layer after one another, on one worker."""
    return str(request.param)


def test_every_statement_holds(name: str) -> None:
    sheet = SHEETS[name]
    assert sheet.failed == ()
    assert "shift" not in adjoint_line(sheet)
    headings = [section.heading for section in sheet.sections]
    assert [h for h in headings if h != "On a real image"] == HEADINGS
    # Each section has a picture and a statement, and says how that was established.
    for section in sheet.sections:
        pictures = [block for block in section.blocks if isinstance(block, Picture)]
        assert any(picture.exists for picture in pictures), section.heading
        made = [block for block in section.blocks if isinstance(block, Claim)]
        assert made, section.heading
        assert all(claim.check.how for claim in made)
    assert {claim.check.verdict for claim in sheet.claims} <= {
        EXACTLY,
        PROVED,
        TRIED,
        COUNTEREXAMPLE,
    }
    tried = [claim for claim in sheet.claims if claim.check.verdict == TRIED]
    assert len(tried) == ("On a real image" in headings)


def test_a_label_says_what_it_rests_on(name: str) -> None:
    for claim in SHEETS[name].claims:
        scope = claim.check.scope
        match claim.check.verdict:
            case "proved":
                assert scope.startswith(("for all ", "at this size", "for kernels of ")), claim
            case "tried":
                assert re.match(r"on (the centre of )?1 image", scope)
            case "verified exactly":
                assert scope.startswith(("at this size", "for these numbers"))
            case _:
                assert scope.startswith("at ")


def test_pages_are_well_formed_and_whole(name: str) -> None:
    page = SHEETS[name].html()
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert parser.links == []
    assert parser.images == len(SHEETS[name].pictures)
    for formula in re.findall(r"<math.*?</math>", page):
        ElementTree.fromstring(formula)
    for source in re.findall(r'src="data:image/svg\+xml;base64,(.*?)"', page):
        assert ElementTree.fromstring(base64.b64decode(source)).tag.endswith("}svg")


class Balanced(HTMLParser):
    """Which tags are open, and what a page would load from elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.scripts = 0
        self.images = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.scripts += tag == "script"
        if tag not in VOID:
            self.open.append(tag)
        self.images += tag == "img"
        self.links += [
            f"{name}={value}"
            for name, value in attrs
            if name in {"href", "src", "srcset", "action"}
            and not (value or "").startswith(("data:", "#"))
        ]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()


def blocks(sheet: Sheet, kind: type) -> list[Any]:
    return [b for section in sheet.sections for b in section.blocks if isinstance(b, kind)]


# A claim that is wrong is marked as failed. That each kind of claim can fail: test_sheet_mutations.


# What a sheet shows.


def test_the_numbers_of_the_sheet() -> None:
    shared, _, _, cost = blocks(SHEETS["sobel"], Table)
    assert dict(row[:2] for row in shared.rows) == {
        "entries of the matrix": "576",
        "non-zeros": "144",
        "trainable weights": "9",
        "each weight is used": "16 times",
        "fraction of zeros": "75.0%",
    }
    assert dict(row[:2] for row in cost.rows) == {
        "multiplications, forward": "144",
        "multiplications, input gradient": "144",
        "multiplications, kernel gradient": "144",
        "stored numbers, weights only": "9",
        # 144 values, 144 columns, and where 16 rows start and the last one ends.
        "stored numbers, sparse matrix": "305",
    }
    assert adjoint_line(SHEETS["sobel"]) == (
        "A.T\n== correlation((4, 4), flip(kernel(3, 3), dims=2), padding='full')"
    )


def adjoint_line(sheet: Sheet) -> str:
    words = "The transposed matrix is the matrix of this expression."
    (claim,) = (claim for claim in sheet.claims if claim.statement == words)
    line = claim.shown[-1]
    assert isinstance(line, Code)
    return line.line


def test_adjoints_are_named() -> None:
    named = {
        name: adjoint_line(SHEETS[name]).removeprefix("A.T\n== ")
        for name in ("reflect", "circular", "adjoint", "edge")
    }
    assert named["reflect"].startswith("pad((6, 6), ((1, 0), (1, 0)), boundary='reflect').T")
    assert named["reflect"].endswith("@ upsample((3, 3), 2)")
    assert named["circular"].endswith("padding=1, boundary='circular')")
    assert named["adjoint"] == "convolution((5, 5), kernel(3, 3), padding=1)"
    assert named["edge"] == (
        "pad(6, 2, boundary='edge').T @ correlation(8, flip(kernel(3), dims=1), padding='full')"
    )


def test_the_photograph_goes_through_at_its_own_size() -> None:
    (picture,) = (b for b in blocks(SHEETS["sobel"], Picture) if b.name == "image")
    assert "Chelsea the cat, by Stefan van der Walt (CC0)" in picture.caption
    assert "128 x 128 to 126 x 126" in picture.caption
    (claim,) = (c for c in SHEETS["sobel"].claims if "image" in c.statement)
    assert claim.verdict == "tried on 1 image of 128 x 128"
    assert "all 15,876 integers equal" in claim.check.how


def test_symbols_become_small_numbers_for_an_image() -> None:
    words = [block.text for block in blocks(SHEETS["reflect"], Text)]
    assert any("symbols of the kernel are replaced by small integers" in line for line in words)
    assert not any("replaced by small integers" in b.text for b in blocks(SHEETS["sobel"], Text))
    captions = {p.caption for s in ("reflect", "circular") for p in SHEETS[s].pictures}
    (one, other) = (c for c in captions if "filtered by" in c)
    assert "[[-1, 1, -2], [0, 2, -1], [1, -2, 0]]" in one
    assert one != other


def test_a_sheet_says_that_a_large_layer_is_shown_by_a_small_one() -> None:
    assert "This layer is too large to write out" in SHEETS["large"].lead
    assert "input 2 x 5 x 5 instead of 3 x 224 x 224" in SHEETS["large"].lead
    assert "kernel 2 x 2 x 3 x 3 instead of 64 x 3 x 11 x 11" in SHEETS["large"].lead
    assert "too large" not in SHEETS["sobel"].lead
    table = blocks(SHEETS["large"], Table)[0]
    assert table.rows[1][1] == f"{LAYERS['large'].counts.nonzeros:,}"


# Images.


def test_an_image_of_the_user_in_colour(tmp_path: Path) -> None:
    from PIL import Image

    name = "<img src=x onerror=alert(1)>.png"
    Image.fromarray(np.moveaxis(photograph()[:, :20, :30], 0, -1)).save(tmp_path / name)
    kernel = np.broadcast_to(ca.kernels.sobel_y, (3, 1, 3, 3))
    sheet = ca.explain(ca.correlation((6, 6), kernel, groups=3), image=tmp_path / name)
    (picture,) = (b for b in blocks(sheet, Picture) if b.name == "image")
    assert f"The file {name}." in picture.caption
    assert "3 x 20 x 30 to 3 x 18 x 28" in picture.caption
    assert sheet.failed == ()
    parser = Balanced()
    parser.feed(sheet.html())
    assert parser.images == len(sheet.pictures)


def test_an_array_is_an_image_too() -> None:
    sheet = ca.explain(LAYERS["sobel"], image=np.full((9, 8), 7, dtype=np.uint8))
    (picture,) = (b for b in blocks(sheet, Picture) if b.name == "image")
    assert "9 x 8 to 7 x 6" in picture.caption


def test_a_large_image_is_verified_on_its_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_layer, "MOST_BYTES", 100_000)
    sheet = ca.explain(LAYERS["sobel"], image=np.tile(photograph(), (1, 3, 1)))
    (claim,) = (c for c in sheet.claims if "image" in c.statement)
    assert claim.verdict == "tried on the centre of 1 image, 256 x 128"
    assert claim.check.passed


def test_a_layer_that_the_photograph_does_not_fit_has_no_picture() -> None:
    wide = ca.explain(ca.correlation((200, 200), np.ones((150, 150), dtype=int)))
    huge = ca.explain(ca.correlation((6, 6), [[2**62, 1]]))
    for sheet in (wide, huge, SHEETS["3-D"], SHEETS["atrous"]):
        headings = [section.heading for section in sheet.sections]
        assert "On a real image" not in headings


BYTES = np.zeros((4, 4), dtype=np.uint8)

BAD = {
    "no operator": (
        lambda: ca.explain(np.ones((3, 3))),  # type: ignore[arg-type]
        KindError,
        "explain takes an operator such as ca.correlation(...), not ndarray",
    ),
    "no layer": (
        lambda: ca.explain(ca.identity(4)),
        KindError,
        "a defining sum exists only for a single correlation, convolution or transposed corr",
    ),
    "a family": (
        lambda: ca.explain(ca.correlation(ca.sizes("n")[0], ca.kernel(3))),
        SymbolicError,
        "explain needs numbers for sizes",
    ),
    "more samples than memory": (
        lambda: ca.explain(ca.correlation(10**12, [1, 2])),
        TooLargeError,
        "use a smaller shape",
    ),
    "an image for one axis": (
        lambda: ca.explain(LAYERS["1-D"], image=BYTES),
        ShapeError,
        "image= needs a layer over two axes with 1 or 3 input channels",
    ),
    "an image for other channels": (
        lambda: ca.explain(LAYERS["atrous"], image=BYTES),
        ShapeError,
        "image= needs a layer over two axes with 1 or 3 input channels, not one with inputs of "
        "shape (4, 64, 64)",
    ),
    "a grey image for a layer of colours": (
        lambda: ca.explain(LAYERS["depthwise"], image=BYTES),
        ShapeError,
        "the layer has 3 input channels but the image has 1",
    ),
    "an image of floats": (
        lambda: ca.explain(LAYERS["sobel"], image=np.zeros((4, 4))),
        KindError,
        "an image array must be uint8, not float64",
    ),
    "an image of two channels": (
        lambda: ca.explain(LAYERS["sobel"], image=np.zeros((2, 4, 4), dtype=np.uint8)),
        ShapeError,
        "an image array must have shape (height, width) or (1 or 3, height, width), not (2, 4, 4)",
    ),
    "an image smaller than the kernel": (
        lambda: ca.explain(LAYERS["sobel"], image=BYTES[:2]),
        ShapeError,
        "this layer has no output for 2 samples on axis 0 of an image of 2 x 4 pixels",
    ),
    "an image smaller than its reflection": (
        lambda: ca.explain(
            ca.correlation((6, 6), np.ones((3, 3)), padding=4, boundary="reflect"), image=BYTES
        ),
        ArgumentError,
        "is too wide for boundary='reflect': an input of 4 can be reflected by at most 3",
    ),
    "an image and weights beyond 64 bits": (
        lambda: ca.explain(ca.correlation((6, 6), [[2**62, 1]]), image=BYTES + 200),
        ExactnessError,
        "which does not fit in a signed 64-bit integer",
    ),
    "an image that is not there": (
        lambda: ca.explain(LAYERS["sobel"], image="nowhere.png"),
        FileError,
        "cannot read 'nowhere.png' (No such file",
    ),
}


@pytest.mark.parametrize(("call", "error", "words"), BAD.values(), ids=BAD)
def test_what_cannot_be_explained(call: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    assert words in str(caught.value)


# Hostile names, Markdown, files.


def test_names_from_outside_are_text() -> None:
    page = FORM_SHEETS["hostile"].html()
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    # The sheet's own script alone, which the content policy names by its hash.
    assert parser.scripts == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    for source in re.findall(r"base64,(.*?)\"", page):
        tree = ElementTree.fromstring(base64.b64decode(source))
        assert not [element for element in tree.iter() if element.tag.endswith("script")]


def test_formulas_are_escaped() -> None:
    formula = Formula(r"\text{<b onclick=alert(1)>&amp;} \lt 1")
    page = Sheet("t", "l", (Section("h", (formula,)),)).html()
    assert "<b" not in page.partition("</head>")[2].replace("<body", "")
    (math,) = re.findall(r"<math.*?</math>", page)
    shown = "".join(ElementTree.fromstring(math).itertext())
    assert shown.startswith("<b\N{NO-BREAK SPACE}onclick=alert(1)>&")


def test_a_sheet_is_written_with_its_figures(tmp_path: Path) -> None:
    sheet = ca.explain(LAYERS["sobel"])
    place = sheet.write(tmp_path / "deep" / "folder")
    assert place == tmp_path / "deep" / "folder" / "sheet.html"
    assert place.read_text(encoding="utf-8") == sheet.html()
    text = place.with_name("sheet.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\((figures/[\w-]+\.svg)\)", text)
    assert links == [f"figures/{picture.name}.svg" for picture in sheet.pictures]
    assert len(set(links)) == len(links)
    for link in links:
        ElementTree.parse(place.parent / link)
    names = {p.relative_to(place.parent).as_posix() for p in place.parent.rglob("*") if p.is_file()}
    assert names == {"sheet.html", "sheet.md", *links}
    # Again over the same folder: the same bytes.
    before = place.read_bytes()
    assert ca.explain(LAYERS["sobel"]).write(place.parent) == place
    assert place.read_bytes() == before


def test_nothing_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = ca.explain(LAYERS["edge"]).write(tmp_path)
    before = place.read_bytes()

    class Full(io.BytesIO):
        """A file on a full disk: it takes ten bytes."""

        def __init__(self, file: Any) -> None:
            super().__init__()
            self.file = file

        def write(self, data: Any) -> int:
            with self.file:
                self.file.write(data[:10])
            raise OSError(28, "No space left on device")

    opened = Path.open

    def full(self: Path, mode: str = "r", **options: Any) -> Any:
        file = opened(self, mode, **options)
        return Full(file) if "html" in self.name and mode == "xb" else file

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(FileError, match=r"(?s)cannot write the sheet to .*No space left on device"):
        ca.explain(LAYERS["1-D"]).write(tmp_path)
    assert place.read_bytes() == before
    assert not list(tmp_path.rglob(".*"))


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    sheet = Sheet("t", "l", ())
    with pytest.raises(FileError, match=r"cannot write the sheet to '.*taken' \(Not a directory\)"):
        sheet.write(tmp_path / "taken")
    with pytest.raises(FileError, match="give a folder that can be created or written to"):
        sheet.write(tmp_path / "taken" / "below")
    with pytest.raises(FileError, match="cannot write the sheet to"):
        sheet.write("a\0b")


def test_sheets_are_values() -> None:
    sheet = ca.explain(LAYERS["edge"])
    assert replace(sheet, title="other").sections == sheet.sections


def test_the_garbage_collector_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gc, "disable", lambda: pytest.fail("switched off"))
    gc.collect()
    # Other tests may hold figures of their own, as long as they are.
    before = {id(drawing) for drawing in _drawings()}
    sheet = ca.explain(LAYERS["edge"])
    assert gc.isenabled()
    sheet.html()
    gc.collect()
    # No figure outlives its text.
    assert {id(drawing) for drawing in _drawings()} <= before


def _drawings() -> list[object]:
    return [x for x in gc.get_objects() if type(x).__name__ == "Drawing"]
