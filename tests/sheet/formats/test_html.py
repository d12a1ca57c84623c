"""The page in a real Chromium: what lights up, by pointer and by keyboard, in light and dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convalg as ca

playwright = pytest.importorskip(
    "playwright.sync_api", reason="playwright is not installed: pip install convalg[browser]"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")

LAYER = ca.correlation((5, 6), ca.kernel(3, 2), stride=2, padding=1)
CELL = 'svg[data-board="{}"] .cell'


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    return ca.explain(LAYER).write(tmp_path_factory.mktemp("sheet"), formats=("html",)).as_uri()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        # In a container Chromium has no sandbox of its own.
        found = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    found = browser.new_page(viewport={"width": 1000, "height": 900})
    said: list[str] = []
    asked: list[str] = []
    found.on("console", lambda message: said.append(message.text))
    found.on("pageerror", lambda error: said.append(str(error)))
    found.on("request", lambda request: asked.append(request.url))
    found.goto(address)
    yield found
    assert said == []
    # Nothing is fetched from anywhere.
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    found.close()


def lit(page: Any) -> dict[str, list[tuple[str, ...]]]:
    """What is lit: outputs and inputs by number, weights, entries by row and column."""
    script = """() => [...document.querySelectorAll('.cell.lit')].map(c => [
        c.closest('svg').dataset.board, c.dataset.row || '', c.dataset.column || '',
        c.dataset.weights || ''])"""
    found: dict[str, list[tuple[str, ...]]] = {}
    for board, row, column, weights in page.evaluate(script):
        parts = {"output": (row,), "input": (column,), "kernel": (weights,)}
        found.setdefault(board, []).append(parts.get(board, (row, column)))
    return {board: sorted(cells) for board, cells in found.items()}


def expected_for_output(number: int) -> dict[str, list[tuple[str, ...]]]:
    """From the pattern: the row, its columns, and the weights that stand in it."""
    triples = LAYER.pattern.triples()
    row = triples[triples[:, 0] == number].tolist()
    return {
        "output": [(str(number),)],
        "input": sorted((str(column),) for _, column, _ in row),
        "kernel": sorted((str(weight),) for _, _, weight in row),
        "matrix": sorted((str(number), str(column)) for _, column, _ in row),
    }


def test_pointing_at_an_output_lights_its_patch_row_and_weights(page: Any) -> None:
    for number in range(LAYER.shape[0]):
        page.locator(CELL.format("output")).nth(number).hover()
        assert lit(page) == expected_for_output(number)
    page.mouse.move(2, 2)
    assert lit(page) == {}


def test_pointing_at_an_entry_lights_every_entry_with_its_weight(page: Any) -> None:
    triples = LAYER.pattern.triples()
    for place in (0, len(triples) // 2, len(triples) - 1):
        entry = page.locator(CELL.format("matrix")).nth(place)
        entry.scroll_into_view_if_needed()
        entry.hover()
        row, column, weight = (
            entry.get_attribute(f"data-{name}") for name in ("row", "column", "weights")
        )
        same = triples[triples[:, 2] == int(weight)]
        found = lit(page)
        assert found["matrix"] == sorted((str(r), str(c)) for r, c, _ in same.tolist())
        assert found["kernel"] == [(weight,)]
        assert (found["output"], found["input"]) == ([(row,)], [(column,)])
        assert [row, column] in [[str(r), str(c)] for r, c, _ in same.tolist()]


def test_the_keyboard_does_what_the_pointer_does(page: Any) -> None:
    across = LAYER.out_shape[1]
    cells = page.locator(CELL.format("output"))
    # One stop for each board: from the kernel, the next is the output.
    page.locator(CELL.format("kernel")).first.focus()
    page.keyboard.press("Tab")
    assert lit(page) == expected_for_output(0)
    page.keyboard.press("ArrowRight")
    assert lit(page) == expected_for_output(1)
    page.keyboard.press("ArrowDown")
    assert lit(page) == expected_for_output(1 + across)
    words = page.locator(".status").inner_text()
    assert f"row {1 + across} of the matrix" in words
    assert f"{len(expected_for_output(1 + across)['input'])} inputs" in words
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert lit(page) == expected_for_output(across)
    page.keyboard.press("End")
    assert lit(page) == expected_for_output(LAYER.shape[0] - 1)
    assert cells.nth(LAYER.shape[0] - 1).get_attribute("tabindex") == "0"
    assert cells.first.get_attribute("tabindex") == "-1"
    page.keyboard.press("Tab")
    # The first entry of the matrix, and by an arrow the next one in its row.
    first = page.evaluate("document.activeElement.dataset.column")
    page.keyboard.press("ArrowRight")
    assert int(page.evaluate("document.activeElement.dataset.column")) > int(first)
    assert page.evaluate("document.activeElement.dataset.row") == "0"
    page.keyboard.press("Escape")
    assert lit(page) == {}


def test_an_input_lights_its_column(page: Any) -> None:
    triples = LAYER.pattern.triples()
    page.locator(CELL.format("input")).nth(7).hover()
    column = triples[triples[:, 1] == 7]
    assert len(column)
    assert lit(page)["output"] == sorted((str(r),) for r in np.unique(column[:, 0]))


def test_without_script_the_page_is_whole(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator(CELL.format("output")).count() == LAYER.shape[0]
    # Nothing is promised that does not work.
    assert not page.locator(".hint").is_visible()
    assert page.locator("h2").count() == len(ca.explain(LAYER).sections)
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1000])
def test_text_stands_out_and_nothing_overflows(
    browser: Any, address: str, scheme: str, width: int
) -> None:
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for selector in ("p", "h1", ".lead", ".how", ".badge", "figcaption", "a", "code", "footer"):
        assert page.locator(selector).first.evaluate(CONTRAST) >= 4.5, selector
    page.close()


def test_the_page_has_landmarks_names_and_words_for_pictures(page: Any) -> None:
    assert [page.locator(tag).count() for tag in ("main", "header", "nav", "footer", "h1")] == [
        1
    ] * 5
    bare = "[...document.querySelectorAll('img')].filter(i => !i.alt.trim()).length"
    assert page.evaluate(bare) == 0
    assert page.evaluate("[...document.querySelectorAll('img')].every(i => i.naturalWidth > 0)")
    names = "[...document.querySelectorAll('.cell')].every(c => c.querySelector('title'))"
    assert page.evaluate(names)
    assert page.locator("html").get_attribute("lang") == "en"
    labels = page.locator("svg[role=grid]").evaluate_all("g => g.map(s => s.ariaLabel)")
    assert len(set(labels)) == len(labels) == 4


def test_it_prints_in_ink_on_paper(browser: Any, address: str) -> None:
    page = browser.new_page(color_scheme="dark")
    page.goto(address)
    page.emulate_media(media="print", color_scheme="dark")
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert (ink, paper) == ("rgb(0, 0, 0)", "rgb(255, 255, 255)")
    assert page.pdf()[:4] == b"%PDF"
    page.close()


def test_hostile_names_run_nothing(browser: Any, tmp_path: Path) -> None:
    import sympy

    name = "</title><script>document.body.id = 'struck'</script><img src=x onerror=alert(1)>"
    layer = ca.correlation(4, [sympy.Symbol(name), sympy.Symbol("b")])
    place = ca.explain(layer).write(tmp_path, formats=("html",))
    page = browser.new_page()
    page.on("dialog", lambda dialog: pytest.fail(dialog.message))
    page.goto(place.as_uri())
    assert page.evaluate("document.body.id") == ""
    assert page.locator("script").count() == 1
    assert page.locator("img[src=x]").count() == 0
    page.locator(CELL.format("output")).first.hover()
    assert page.locator(".cell.lit").count() > 0
    page.close()


CONTRAST = """element => {
  const parse = c => c.match(/[\\d.]+/g).map(Number);
  const shine = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  let ground = element;
  while (parse(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
  const [a, b] = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor]
    .map(c => shine(parse(c))).sort((x, y) => y - x);
  return (a + 0.05) / (b + 0.05);
}"""
