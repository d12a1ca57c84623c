"""The notebook of a sheet is valid, and its code runs."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from sheets import FORM_SHEETS, FORMS

import convalg as ca


@pytest.mark.parametrize("name", FORMS)
def test_a_notebook_is_sound_and_its_code_runs(name: str) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    text = FORM_SHEETS[name].notebook()
    assert text == FORM_SHEETS[name].notebook()
    nbformat.validate(nbformat.reads(text, as_version=4))
    book = json.loads(text)
    ids = [cell["id"] for cell in book["cells"]]
    assert len(set(ids)) == len(ids)
    known: dict[str, Any] = {}
    ran = 0
    for cell in book["cells"]:
        if cell["cell_type"] == "code":
            exec("".join(cell["source"]), known)
            ran += 1
        for file, data in cell.get("attachments", {}).items():
            assert f"(attachment:{file})" in "".join(cell["source"])
            assert base64.b64decode(data["image/svg+xml"]).startswith(b"<?xml")
    assert ran > 5
    assert isinstance(known["A"], ca.Operator)
