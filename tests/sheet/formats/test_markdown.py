"""The Markdown of a sheet is text, with its figures, and fences that hold."""

from __future__ import annotations

import re

from sheets import FORM_SHEETS

from convalg.sheet import Sheet
from convalg.sheet.blocks import (
    Code,
    Section,
)


def test_markdown_is_text_and_holds_its_figures() -> None:
    text = FORM_SHEETS["hostile"].markdown()
    assert text.startswith("# correlation(4, ")
    outside = re.sub(r"^(`{3,})python\n.*?\n\1$", "", text, flags=re.M | re.S)
    assert len(outside) < len(text)
    assert re.search(r"(?<!\\)[<`]", outside) is None
    assert text.count("](data:image/svg+xml;base64,") == len(FORM_SHEETS["hostile"].pictures)
    assert "| entries of the matrix | 20 | 20 |" in text
    assert "$$\ny_{i} = " in text


def test_a_fence_is_longer_than_what_it_holds() -> None:
    sheet = Sheet("t", "l", (Section("h", (Code("a ``` b"),)),))
    assert "````python\na ``` b\n````" in sheet.markdown()
