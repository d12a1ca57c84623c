"""The pages build without a warning, their links lead somewhere, and the wheel stands alone."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
import venv
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

import convalg as ca

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
NEEDED = ("sphinx", "myst_parser", "furo", "sphinx_copybutton")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

# What the reader of a page has in the folder where a command runs.
HOMEWORK = """
import convalg as ca

def conv_backward(x, w, g, stride, padding):
    layer = ca.correlation(x.shape[2:], w, stride=stride, padding=padding)
    return layer.T(g), layer.kernel_gradient(x, g)
"""


class Page(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.images_without_words: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.anchors |= {found[name] for name in ("id", "name") if name in found}
        self.links += [found[name] for name in ("href", "src") if name in found]
        if tag == "img" and not found.get("alt"):
            self.images_without_words.append(found.get("src", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built pages."""
    if MISSING:
        pytest.skip(f"the pages are built with pip install 'convalg[docs]'; no {MISSING[0]}")
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    command += ["-d", str(place / "trees"), str(DOCS), str(place / "html")]
    built = subprocess.run(command, capture_output=True, text=True, check=False, cwd=place)
    assert (built.returncode, built.stderr) == (0, "")
    return place / "html"


def test_the_pages_build_without_a_warning(site: Path) -> None:
    made = {path.relative_to(site).with_suffix("") for path in site.rglob("*.html")}
    assert {page.relative_to(DOCS).with_suffix("") for page in PAGES} <= made


def test_internal_links_lead_somewhere(site: Path) -> None:
    pages = {path: Page(path) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            anchors = pages[target].anchors if target in pages else None
            if not target.exists() or (
                parts.fragment and anchors is not None and unquote(parts.fragment) not in anchors
            ):
                broken.append((path.name, link))
    assert broken == []
    assert len(pages) > 20


def test_the_pages_show_figures_formulas_and_verdicts(site: Path) -> None:
    gallery = (site / "gallery.html").read_text(encoding="utf-8")
    drawn = re.findall(r'<img src="(_images/drawn-\w+\.svg)" alt="([^"]{20,})"', gallery)
    assert len(drawn) == (DOCS / "gallery.md").read_text(encoding="utf-8").count("```{drawn}")
    assert all(
        (site / source).read_text(encoding="utf-8").startswith("<?xml") for source, _ in drawn
    )
    theorems = (site / "theorems.html").read_text(encoding="utf-8")
    assert all(f'id="{theorem.name}"' in theorems for theorem in ca.theorems)
    assert theorems.count("Proved for") >= len(ca.theorems)
    assert theorems.count("<math") >= len(ca.theorems)
    assert all(f'href="#{theorem.name}"' in theorems for theorem in ca.theorems)
    headings = re.findall(r"<h2>Chapter \d+: ([^<]+)<", theorems)
    assert headings == list(ca.theorems.chapters())
    assert not any(Page(page).images_without_words for page in site.glob("*.html"))


def test_the_pages_need_no_network(site: Path) -> None:
    loaded = re.compile(r'<(?:script|img|link)[^>]+(?:src|href)="(https?:[^"]+)"')
    found = {page.name: loaded.findall(page.read_text("utf-8")) for page in site.rglob("*.html")}
    assert {name: links for name, links in found.items() if links} == {}


def test_the_gallery_shows_every_figure() -> None:
    shown = (DOCS / "gallery.md").read_text(encoding="utf-8")
    shown += (DOCS / "figures.md").read_text(encoding="utf-8")
    assert [name for name in ca.draw.__all__ if f"ca.draw.{name}(" not in shown] == []


def test_every_public_name_is_in_the_reference() -> None:
    pages = [path.read_text(encoding="utf-8") for path in (DOCS / "reference").glob("*.md")]
    marks = re.findall(r"<!-- (?:names|room): ([^>]+?) -->", "".join(pages))
    named = {name for mark in marks for name in mark.split()}
    headed = set(re.findall(r"^## `ca\.(\w+)`", "".join(pages), re.MULTILINE))
    errors = {"errors"} if "automodule:: convalg.errors" in "".join(pages) else set()
    assert set(ca.__all__) - named - headed - errors == set()


@pytest.mark.parametrize("path", [*PAGES, *TEXTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_the_sources_lead_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    inside = [link.partition("#")[0] for link in links if not urlsplit(link).scheme]
    assert [link for link in inside if link and not (path.parent / link).exists()] == []


def test_the_url_that_reports_point_to_is_kept() -> None:
    assert (DOCS / "is-my-convolution-right.md").exists()


def _commands() -> list[str]:
    blocks = [re.findall(r"```console\n(.*?)```", p.read_text("utf-8"), re.DOTALL) for p in PAGES]
    lines = "".join(block for found in blocks for block in found).splitlines()
    return sorted({line.removeprefix("$ ") for line in lines if "convalg " in line})


@pytest.mark.parametrize("command", _commands())
def test_commands_of_the_pages_run(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from convalg.cli import main

    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (24, 18), (200, 120, 40)).save(tmp_path / "photo.png")
    (tmp_path / "homework.py").write_text(HOMEWORK, encoding="utf-8")
    if command.startswith("convalg verify "):
        ca.theorems["stride"].prove().certificate(command.split()[-1])
    if "model.onnx" in command:
        _write_model(tmp_path / "model.onnx")
    with pytest.raises(SystemExit) as done:
        main(shlex.split(command)[1:])
    assert not done.value.code


def _write_model(path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="reading ONNX needs pip install 'convalg[onnx]'")
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Relu", ["x"], ["y"], name="relu")],
        "model",
        [tensor("x", onnx.TensorProto.FLOAT, [1, 1, 4, 4])],
        [tensor("y", onnx.TensorProto.FLOAT, [1, 1, 4, 4])],
    )
    onnx.save(onnx.helper.make_model(graph, ir_version=8), path)


def test_the_files_that_others_read_name_the_version() -> None:
    version = ca.__version__
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    fields = dict(re.findall(r"^([\w-]+): ?(.*)$", citation, re.MULTILINE))
    assert {"message", "title", "authors"} <= set(fields)
    assert (fields["cff-version"], fields["version"]) == ("1.2.0", version)
    assert re.findall(r"^  - name: (.+)$", citation, re.MULTILINE) == ["The convalg developers"]


# The wheel.

OUTSIDE = """
import convalg
from pathlib import Path
images, labels = convalg.data.digits()
from convalg.images import photograph
print(images.shape, labels.shape, photograph().shape)
print(Path(convalg.__file__).parent)
"""


@pytest.mark.thorough
def test_the_wheel_runs_without_the_source_tree(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    build = [sys.executable, "-m", "pip", "wheel", str(ROOT), "--no-deps", "-q", "-w", str(wheels)]
    if importlib.util.find_spec("hatchling") is not None:
        build.append("--no-build-isolation")
    run(build, tmp_path)
    (wheel,) = wheels.glob("convalg-*.whl")
    venv.create(tmp_path / "env", with_pip=False)
    python = next((tmp_path / "env").glob("[bS]*/python*"))
    site = next((tmp_path / "env").rglob("site-packages"))
    # What convalg needs comes from here; convalg itself from the wheel alone.
    install = [sys.executable, "-m", "pip", "install", "--no-deps", "-q", "--target", str(site)]
    run([*install, str(wheel)], tmp_path)
    others = {str(Path(found).resolve()) for found in sys.path if found.endswith("-packages")}
    (site / "zz-others.pth").write_text("\n".join(sorted(others)), encoding="utf-8")
    said = run([str(python), "-P", "-c", OUTSIDE], tmp_path)
    assert said.splitlines() == [
        "(1797, 1, 8, 8) (1797,) (3, 128, 128)",
        str(site.resolve() / "convalg"),
    ]
    run([str(python), "-P", "-m", "convalg", "explain", "--out", str(tmp_path / "sheet")], tmp_path)
    (page,) = (tmp_path / "sheet").rglob("*.html")
    assert "<math" in page.read_text(encoding="utf-8")


def run(command: list[str], folder: Path) -> str:
    """What a command prints; it must end well."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
