"""Derivation sheets: every statement is checked in earnest, and nothing from outside acts."""

from __future__ import annotations

import base64
import gc
import io
import re
from dataclasses import replace
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import naive
import numpy as np
import pytest
import sympy
from sheets import Sheets

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
from convalg.operators.leaves import Convolution
from convalg.operators.tree import Operator
from convalg.sheet import Sheet, verify_layer
from convalg.sheet.blocks import (
    COUNTEREXAMPLE,
    EXACTLY,
    FAILED,
    PROVED,
    TRIED,
    Check,
    Claim,
    Code,
    Formula,
    Picture,
    Section,
    Steps,
    Table,
    Text,
)
from convalg.sheet.miniature import differences, resized, small_form
from convalg.sheet.numeric_example import number_kernel
from convalg.sheet.sections.image import image_sections

VOID = {"meta", "img"}

LAYERS: dict[str, Operator] = {
    "sobel": ca.correlation((6, 6), ca.kernels.sobel_x),
    "1-D": ca.correlation(12, ca.kernel(4), stride=2, padding="same", dilation=2),
    "3-D": ca.correlation((4, 4, 4), ca.kernel(2, 2, 2)),
    "4-D": ca.correlation((3, 3, 3, 3), ca.kernel(2, 2, 2, 2)),
    "convolution": ca.convolution((6, 5), ca.kernel(3, 2), padding="full"),
    "reflect": ca.correlation((6, 6), ca.kernel(3, 3), stride=2, padding=1, boundary="reflect"),
    "circular": ca.convolution((5, 5), ca.kernel(3, 3), padding=1, boundary="circular"),
    "edge": ca.correlation(6, [1, 2, 3], padding=2, boundary="edge"),
    "symmetric": ca.correlation(6, [1, 2, 3], padding=2, boundary="symmetric"),
    "floats": ca.correlation((6, 6), np.full((3, 3), 1 / 9)),
    "single floats": ca.correlation((6, 6), np.full((3, 3), 1 / 9, dtype=np.float32)),
    "fractions": ca.correlation((6, 6), [[Fraction(1, 3), Fraction(2, 3)]]),
    "depthwise": ca.correlation((6, 6), ca.kernel(3, 1, 3, 3), groups=3, padding=1),
    "groups": ca.correlation((4, 4), ca.kernel(4, 3, 2, 2), groups=2),
    "large": ca.correlation((224, 224), np.ones((64, 3, 11, 11)), stride=4, padding=2),
    "patches": ca.correlation((224, 224), np.ones((8, 3, 16, 16), dtype=int), stride=16),
    "atrous": ca.correlation((64, 64), ca.kernel(4, 4, 3, 3), dilation=12, padding=12),
    "transposed": ca.transposed_correlation(
        (3, 3), ca.kernel(1, 2, 3, 3), stride=2, padding=1, output_padding=1
    ),
    "adjoint": ca.convolution((5, 5), ca.kernel(3, 3), padding=1).T,
    "adjoint of reflect": ca.correlation(6, ca.kernel(3), padding=2, boundary="reflect").T,
    "expression": ca.correlation(8, ca.kernel(3)) @ ca.pad(6, 1),
    "one tap": ca.correlation((5, 5), [[2]], stride=2),
}


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


@pytest.fixture(scope="module")
def sheets() -> Sheets:
    return Sheets(LAYERS)


@pytest.fixture(scope="module", params=LAYERS)
def name(request: pytest.FixtureRequest) -> str:
    """A parameter that puts the tests of one layer after one another, on one worker."""
    return str(request.param)


def test_every_statement_holds(sheets: Sheets, name: str) -> None:
    sheet = sheets[name]
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


def test_a_label_says_what_it_rests_on(sheets: Sheets, name: str) -> None:
    for claim in sheets[name].claims:
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


def test_pages_are_well_formed_and_whole(sheets: Sheets, name: str) -> None:
    page = sheets[name].html()
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert parser.links == []
    assert parser.images == len(sheets[name].pictures)
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

SMALL = ca.correlation((5, 5), ca.kernel(3, 3), stride=2, padding=1)


def test_a_wrong_claim_fails_and_the_sheet_shows_it() -> None:
    found = Check(FAILED, "at this size, 5 x 5", "row 3: 1 is claimed, 2 is found")
    claim = Claim("It is so.", found, (Code("A == B"), Formula("A = B")))
    for sheet in (
        Sheet("title", "lead", (Section("heading", (claim,)),)),
        Sheet("title", "lead", (Section("heading", (Steps((claim,)),)),)),
    ):
        assert sheet.failed == sheet.claims == (claim,)
        page = sheet.html()
        assert "1 statement: 1 failed." in page
        assert "failed at this size, 5 x 5" in page
        assert "<code>A == B</code>" in page
        assert page.count("<math") == 1
        assert "failed at this size, 5 x 5" in sheet.markdown()
        assert "$$\nA = B\n$$" in sheet.markdown()
        assert "failed at this size, 5 x 5" in sheet.latex()
        assert r"\sheetformula{A = B}" in sheet.latex()
    page = Sheet("title", "lead", (Section("heading", (claim,)),)).html()
    assert '<div class="claim failed">' in page
    assert '<span class="badge">failed at this size, 5 x 5</span> It is so.' in page


@pytest.mark.parametrize("boundary", ["zeros", "circular", "reflect", "symmetric", "edge"])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("padding", [0, 2, 4])
def test_the_counting_formula_counts(boundary: Any, stride: int, padding: int) -> None:
    layer = ca.correlation(
        (6, 7), np.ones((4, 1, 2, 3)), groups=2, stride=stride, padding=padding, boundary=boundary
    )
    # Brute force: with an input of ones and no bias every product adds a one to some output.
    ones = np.ones((2, 6, 7), dtype=int)
    products = int(layer.refill(np.ones((4, 1, 2, 3), dtype=int))(ones).sum())
    assert verify_layer.counting_formula(layer.geometry)[1] == products


def test_letters_of_samples_never_meet_letters_of_weights() -> None:
    layer = ca.correlation(3, ca.kernel(2, name="x"))
    assert not set(verify_layer.new_symbols((3,))) & set(layer.kernel)
    assert ca.explain(layer).failed == ()


# What a sheet shows.


def test_the_numbers_of_the_sheet(sheets: Sheets) -> None:
    shared, _, _, cost = blocks(sheets["sobel"], Table)
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
    assert adjoint_line(sheets["sobel"]) == (
        "A.T\n== correlation((4, 4), flip(kernel(3, 3), dims=2), padding='full')"
    )


def adjoint_line(sheet: Sheet) -> str:
    words = "The transposed matrix is the matrix of this expression."
    (claim,) = (claim for claim in sheet.claims if claim.statement == words)
    line = claim.shown[-1]
    assert isinstance(line, Code)
    return line.line


def test_adjoints_are_named(sheets: Sheets) -> None:
    named = {
        name: adjoint_line(sheets[name]).removeprefix("A.T\n== ")
        for name in ("reflect", "circular", "adjoint", "edge")
    }
    assert named["reflect"].startswith("pad((6, 6), ((1, 0), (1, 0)), boundary='reflect').T")
    assert named["reflect"].endswith("@ upsample((3, 3), 2)")
    assert named["circular"].endswith("padding=1, boundary='circular')")
    assert named["adjoint"] == "convolution((5, 5), kernel(3, 3), padding=1)"
    assert named["edge"] == (
        "pad(6, 2, boundary='edge').T @ correlation(8, flip(kernel(3), dims=1), padding='full')"
    )


def test_the_photograph_goes_through_at_its_own_size(sheets: Sheets) -> None:
    (picture,) = (b for b in blocks(sheets["sobel"], Picture) if b.name == "image")
    assert "Chelsea the cat, by Stefan van der Walt (CC0)" in picture.caption
    assert "128 x 128 to 126 x 126" in picture.caption
    (claim,) = (c for c in sheets["sobel"].claims if "image" in c.statement)
    assert claim.verdict == "tried on 1 image of 128 x 128"
    assert "all 15,876 integers equal" in claim.check.how


def test_symbols_become_small_numbers_for_an_image(sheets: Sheets) -> None:
    words = [block.text for block in blocks(sheets["reflect"], Text)]
    assert any("symbols of the kernel are replaced by small integers" in line for line in words)
    assert not any("replaced by small integers" in b.text for b in blocks(sheets["sobel"], Text))
    captions = {p.caption for s in ("reflect", "circular") for p in sheets[s].pictures}
    (one, other) = (c for c in captions if "filtered by" in c)
    assert "[[-1, 1, -2], [0, 2, -1], [1, -2, 0]]" in one
    assert one != other


def test_kernels_of_symbols_give_different_images() -> None:
    layers = [ca.correlation((6, 6), ca.kernel(*shape)) for shape in ((3, 3), (3, 1, 3, 3))]
    plain, several = (image_sections(layer, photograph()[:1]) for layer in layers)
    texts = []
    for (section,) in (plain, several):
        (picture,) = (block for block in section.blocks if isinstance(block, Picture))
        texts.append(picture.svg)
    assert texts[0] != texts[1]
    channels = number_kernel((3, 1, 3, 3)).reshape(3, -1).tolist()
    assert len({tuple(values) for values in channels}) == 3


def test_a_sheet_says_that_a_large_layer_is_shown_by_a_small_one(sheets: Sheets) -> None:
    assert "This layer is too large to write out" in sheets["large"].lead
    assert "input 2 x 5 x 5 instead of 3 x 224 x 224" in sheets["large"].lead
    assert "kernel 2 x 2 x 3 x 3 instead of 64 x 3 x 11 x 11" in sheets["large"].lead
    assert "too large" not in sheets["sobel"].lead
    table = blocks(sheets["large"], Table)[0]
    assert table.rows[1][1] == f"{LAYERS['large'].counts.nonzeros:,}"


@pytest.mark.parametrize("name", LAYERS)
def test_a_small_form_is_small_and_of_the_same_form(name: str) -> None:
    layer = LAYERS[name].simplify() if name == "expression" else LAYERS[name]
    small = small_form(layer)
    assert max(small.shape) <= 100
    assert min(small.shape) >= 1
    if differences(layer, small):
        both = [(a.T if not isinstance(a, Convolution) else a) for a in (layer, small)]
        large, little = (each.geometry for each in both if isinstance(each, Convolution))
        assert little.has_channels == large.has_channels
        assert (little.groups > 1) == (large.groups > 1)
        for before, after in zip(large.axes, little.axes, strict=True):
            assert after.boundary == before.boundary
            assert after.is_backwards == before.is_backwards
            assert (after.stride > 1) == (before.stride > 1)
            assert (abs(after.dilation) > 1) == (abs(before.dilation) > 1)
            assert (after.before > 0) == (before.before > 0)
    else:
        assert (small.in_shape, small.out_shape) == (layer.in_shape, layer.out_shape)


def test_letters_of_the_user_are_kept() -> None:
    a, b = sympy.symbols("a b")
    small = small_form(ca.correlation(5, [a, b, a]))
    assert small.to_sympy() == ca.correlation(5, [a, b, a]).to_sympy()


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


@pytest.mark.parametrize("flipped", [False, True])
def test_the_image_that_is_shown_is_the_sum(flipped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(ca.draw, "image_pair", lambda *pair: shown.append(pair))
    make = ca.convolution if flipped else ca.correlation
    layer = make((6, 6), ca.kernel(2, 1, 2, 3), stride=2, padding=1, boundary="circular")
    image = np.arange(35, dtype=np.uint8).reshape(1, 5, 7) * 7
    (section,) = image_sections(layer, image)
    (picture,) = (block for block in section.blocks if isinstance(block, Picture))
    (claim,) = (block for block in section.blocks if isinstance(block, Claim))
    assert claim.verdict == "tried on 1 image of 1 x 5 x 7"
    with pytest.raises(AttributeError):
        assert picture.exists
    ((before, after),) = shown
    assert before.tolist() == image.tolist()
    again = naive.correlation(
        (5, 7), (2, 1, 2, 3), stride=2, padding=1, boundary="circular", flipped=flipped
    )
    weights = np.array([(2 * k + 1) % 5 - 2 for k in range(12)], dtype=object)
    expected = again.apply(weights.reshape(2, 1, 2, 3), image.astype(object))
    assert after.tolist() == expected.tolist()


def test_a_large_image_is_verified_on_its_centre(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_layer, "MOST_BYTES", 100_000)
    sheet = ca.explain(LAYERS["sobel"], image=np.tile(photograph(), (1, 3, 1)))
    (claim,) = (c for c in sheet.claims if "image" in c.statement)
    assert claim.verdict == "tried on the centre of 1 image, 256 x 128"
    assert claim.check.passed


def test_a_layer_that_the_photograph_does_not_fit_has_no_picture(sheets: Sheets) -> None:
    wide = ca.explain(ca.correlation((200, 200), np.ones((150, 150), dtype=int)))
    huge = ca.explain(ca.correlation((6, 6), [[2**62, 1]]))
    for sheet in (wide, huge, sheets["3-D"], sheets["atrous"]):
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
        "only a single correlation, convolution or transposed correlation has a defining sum",
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
        "beyond 64 bits",
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


def test_an_image_that_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from convalg import limits

    layer, image = LAYERS["sobel"], np.zeros((300, 300), dtype=np.uint8)
    monkeypatch.setattr(limits, "MEMORY_LIMIT", 1_000_000)
    with pytest.raises(
        TooLargeError, match="filtering an image of 300 x 300 with this layer needs"
    ):
        ca.explain(layer, image=image)


def test_a_layer_at_the_size_of_an_image() -> None:
    found = resized(SMALL, (8, 9), np.ones((3, 3), dtype=int))
    right = ca.correlation((8, 9), np.ones((3, 3), dtype=int), stride=2, padding=1)
    assert found.to_numpy().tolist() == right.to_numpy().tolist()
    back = resized(SMALL.T, (8, 9), np.ones((3, 3), dtype=int))
    assert back.out_shape == (15, 17)


# Hostile names, Markdown, files.

HOSTILE = "<script>alert(1)</script>\"'`$\\evil{}|*_"


def hostile() -> Sheet:
    weights = [sympy.Symbol(f"{HOSTILE}{k}") for k in range(2)]
    return ca.explain(ca.correlation(4, weights, padding=1))


def test_names_from_outside_are_text() -> None:
    page = hostile().html()
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


def test_markdown_is_text_and_holds_its_figures() -> None:
    text = hostile().markdown()
    assert text.startswith("# correlation(4, ")
    outside = re.sub(r"^(`{3,})python\n.*?\n\1$", "", text, flags=re.M | re.S)
    assert len(outside) < len(text)
    assert re.search(r"(?<!\\)[<`]", outside) is None
    assert text.count("](data:image/svg+xml;base64,") == len(hostile().pictures)
    assert "| entries of the matrix | 20 | 20 |" in text
    assert "$$\ny_{i} = " in text


def test_a_fence_is_longer_than_what_it_holds() -> None:
    sheet = Sheet("t", "l", (Section("h", (Code("a ``` b"),)),))
    assert "````python\na ``` b\n````" in sheet.markdown()


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


def test_a_transposed_layer_is_not_told_as_the_correlation_behind_it() -> None:
    layer = ca.transposed_correlation((4, 4), ca.kernel(3, 3), stride=2, padding=1)
    sheet = ca.explain(layer)
    toeplitz = [c for c in sheet.claims if "is the same" in c.statement]
    assert all(c.statement.startswith("The column of the next input along axis") for c in toeplitz)
    (first, *_) = (f.latex for c in toeplitz for f in c.shown if isinstance(f, Formula))
    assert first.startswith(r"A_{(i_1+2,\,i_2),\,(o_1+1,\,o_2)} = A_{(i_1,\,i_2),\,(o_1,\,o_2)}")
    shift = next(c for c in sheet.claims if c.statement.startswith("Away from the border"))
    assert "shifting the input back by 1 shifts the output back by 2" in shift.statement


def test_a_convolution_has_the_same_kernel_in_its_adjoint() -> None:
    sheet = ca.explain(ca.convolution(8, ca.kernel(3), padding="full"))
    (claim,) = (c for c in sheet.claims if c.statement.startswith("The adjoint of"))
    assert claim.statement == (
        "The adjoint of the convolution is a correlation with the same kernel."
    )
    assert claim.shown[1] == Code("A.T\n== correlation(K + n - 1, kernel(K))")


def test_no_statement_for_all_sizes_is_about_two_windows() -> None:
    sheet = ca.explain(ca.correlation((6, 6), ca.kernel(3, 3)))
    pooling = next(s for s in sheet.sections if s.heading == "Pooling")
    labels = {c.verdict for c in pooling.blocks if isinstance(c, Claim)}
    assert labels == {
        "verified exactly for these numbers",
        "proved for all n >= 2, m >= 2",
        "proved for all n >= 1, m >= 1",
    }


def test_both_counts_leave_the_padding_out() -> None:
    sheet = ca.explain(ca.correlation((6, 6), ca.kernel(3, 3), padding=1))
    (claim,) = (c for c in sheet.claims if c.statement.startswith("The strided layer needs"))
    assert "needs 8 multiplications" in claim.statement
    assert claim.statement.endswith("needs 16.")


def test_a_round_border_has_no_rows_of_zeros() -> None:
    sheet = ca.explain(ca.correlation((5, 5), ca.kernel(3, 3), padding=1, boundary="circular"))
    (picture,) = (p for p in sheet.pictures if p.name == "pad")
    assert "zeros" not in picture.caption
    assert "empty rows" not in picture.caption
    parts = next(s for s in sheet.sections if s.heading == "Padding and stride as operators")
    calls = [x.line for c in parts.blocks if isinstance(c, Claim) for x in c.shown]
    assert all("boundary='circular'" in call for call in calls)


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
