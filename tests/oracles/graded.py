"""Files to grade: a right one, a flipped one, and what their grades say."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent
from typing import Any
from xml.etree import ElementTree

import pytest

from convalg.check.grade import Grade, grade

CASES = 4


RIGHT = """
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

def conv(x, w):
    return np.einsum("nchwab,ocab->nohw", sliding_window_view(x, w.shape[2:], axis=(2, 3)), w)
"""


FLIPPED = RIGHT.replace("axis=(2, 3)), w)", "axis=(2, 3)), w[:, :, ::-1, ::-1])")


def graded(folder: Path, text: str, name: str = "homework.py", **options: Any) -> Grade:
    path = folder / name
    path.write_text(dedent(text), encoding="utf-8")
    function = options.pop("function", "conv")
    return grade(f"{path}:{function}", **{"cases": CASES, "timeout": 40, **options})


def first(found: Grade) -> tuple[str, str]:
    diagnosis = found.result["diagnosis"][0]
    return diagnosis["code"], diagnosis["message"]


def body(*lines: str) -> str:
    """A right layer whose function begins with other lines."""
    inside = "".join(f"    {line}\n" for line in lines)
    return RIGHT.replace("def conv(x, w):\n", f"def conv(x, w):\n{inside}")


def cases(table: dict[str, Any], *usual: str) -> list[Any]:
    """The cases of a table; each starts a process, so all but the `usual` ones are thorough."""
    assert set(usual) <= set(table)
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            id=name,
            marks=[] if name in usual else [pytest.mark.thorough],
        )
        for name, case in table.items()
    ]


def assert_written(found: Grade) -> None:
    """The report as JSON and as JUnit XML holds what was found, whatever its characters."""
    again = json.loads(found.to_json())
    assert again == {"target": found.target, **found.result}
    suite = ElementTree.fromstring(found.to_junit())
    assert (suite.get("tests"), suite.get("failures")) == ("1", "0" if found else "1")
    (case,) = suite
    assert case.get("classname") == found.result["kind"]
    assert (case.get("name") or "").endswith(":conv")
    assert len(case) == (0 if found else 1)
