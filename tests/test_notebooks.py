"""The notebooks run from top to bottom and are stored without outputs.

`python tests/test_notebooks.py` stores them so again after they were edited in Jupyter.
"""

from __future__ import annotations

import json
import warnings
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

# What the text of some outputs must hold, by the number of the notebook.
SAID = {
    "1": (
        "[ 0,  0, w0, w1, w2]]",
        "doubly block Toeplitz",
        "nonzeros=14400, parameters=25",
        "non-zero: 3.2% of the entries",
    ),
    "2": (
        "Proved for all n >= K >= 1.",
        "Smallest counterexample: n = 2, K = 2; row 0; column 0; claimed w1, actual w0.",
        "Hint: flip the kernel.",
        "claimed v0*w1, actual v0*w1 + v1*w0",
    ),
    "3": (
        "(array([0, 3, 4]), array([0, 3, 4]))",
        "correlation(3, [w2, w1, w0], padding='full')",
        "new  ['17/10', '-1/2', '3/10']\nloss 233/100",
        "backward [1 2 1 0 1 2]",
    ),
    "4": (
        "size (20, 20) stride (4, 4) padding (8, 8)",
        "212 x 212, u reads [-90 + 32u, 121 + 32u]",
        "dilations [2, 2, 2]: spans 13, reads 7",
        "array([[1, 3, 6, 7, 6, 3, 1]])",
        "wide: 21  strong: 13",
    ),
    "5": (
        " 7    1/6  ######",
        "-4  11/126",
        "True\nTrue",
        "all n >= 1, K >= 1",
    ),
    "6": ("((1438, 1, 8, 8), (359, 1, 8, 8))", "True"),
    "7": (
        "<conv_backward: 58 of 98 configurations fail: stride-ignored>",
        "All 57 configurations pass.",
        "<correlation on the inputs tried: correlation(9, [3, 2, 1], stride=2, padding='full')>",
        "same_lower [ 0 15  5 -9  7  6  7]\nsame       [15  5 -9  7  6  7 -1]",
    ),
    "8": (
        "60000 1516",
        "138,357,544 parameters",
        "ResNet-50    25,557,032 parameters, field (483, 483)",
        "even: outputs written 1 time;",
        "73728 8768",
    ),
}


def stored(path: Path) -> str:
    """The text of a notebook without what a run leaves behind, its cells numbered."""
    cells: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    kept = []
    for number, cell in enumerate(cells, start=1):
        left = {"cell_type": cell["cell_type"], "id": f"cell-{number:02}", "metadata": {}}
        if cell["cell_type"] == "code":
            left |= {"execution_count": None, "outputs": []}
        source = cell["source"]
        text = source if isinstance(source, str) else "".join(source)
        kept.append(dict(sorted({**left, "source": text.splitlines(keepends=True)}.items())))
    notebook = {"cells": kept, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def texts(notebook: Any) -> list[str]:
    """The answers of an executed notebook and, cell by cell, all that was printed, as plain text.

    A kernel sends what one cell prints in as many pieces as its timer makes, so they are joined.
    """
    found = []
    for cell in notebook.cells:
        printed = ""
        for output in cell.get("outputs", ()):
            if output["output_type"] == "stream":
                printed += output["text"]
            elif output["output_type"] != "error":
                found.append(output["data"].get("text/plain", ""))
        found.append(printed)
    return found


def test_there_are_eight_notebooks_each_with_outputs_to_look_for() -> None:
    assert [path.name[0] for path in NOTEBOOKS] == sorted(SAID)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_without_outputs(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == stored(path), "run python tests/test_notebooks.py"


def test_storing_takes_outputs_counts_and_ids_away(tmp_path: Path) -> None:
    ran = json.loads(NOTEBOOKS[0].read_text(encoding="utf-8"))
    for cell in ran["cells"]:
        cell |= {"id": "9f3c", "metadata": {"collapsed": True}, "source": "".join(cell["source"])}
        if cell["cell_type"] == "code":
            cell |= {"execution_count": 7, "outputs": [{"output_type": "stream", "text": "3"}]}
    dirty = tmp_path / "dirty.ipynb"
    dirty.write_text(json.dumps({**ran, "metadata": {"kernelspec": {"name": "mine"}}}))
    assert stored(dirty) == NOTEBOOKS[0].read_text(encoding="utf-8")


def test_printed_text_that_came_in_pieces_is_read_as_one() -> None:
    pieces = [{"output_type": "stream", "name": "stdout", "text": text} for text in ("1\n", "2\n")]
    answer = {"output_type": "execute_result", "data": {"text/plain": "3"}}
    cell = SimpleNamespace(get=lambda name, default: [pieces[0], answer, pieces[1]])
    assert texts(SimpleNamespace(cells=[cell])) == ["3", "1\n2\n"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path) -> None:
    reason = "the notebooks run with pip install 'convalg[notebook]'"
    nbclient = pytest.importorskip("nbclient", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)
    nbformat = pytest.importorskip("nbformat", reason=reason)
    notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
    # A cell that fails raises CellExecutionError with its traceback. What Jupyter's own packages
    # warn of while they start and stop a kernel is not ours.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        client = nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3")
        client.execute(cwd=str(tmp_path))
    said = texts(notebook)
    assert [words for words in SAID[path.name[0]] if not any(words in text for text in said)] == []
    counts = Counter(cell.cell_type for cell in notebook.cells)
    assert counts["markdown"] > counts["code"] / 3, "say in words what the cells are for"


if __name__ == "__main__":
    for found in NOTEBOOKS:
        found.write_text(stored(found), encoding="utf-8")
