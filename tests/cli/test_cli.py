"""The command line, as a user calls it: what it prints, what it writes, how it ends."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import refused, run
from PIL import Image

import convalg as ca
from convalg import cli
from convalg.sheet import sheet as shop_window


def counted(line: str) -> tuple[int, int, str]:
    """Statements that hold, statements made, and the layer, as printed."""
    found = re.match(r"(\d+) of (\d+) statements hold for (.*)", line)
    assert found is not None
    return int(found[1]), int(found[2]), found[3]


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")


def test_with_no_option_it_explains_sobel_on_the_photograph(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("explain") == 0
    first, second = capsys.readouterr().out.splitlines()
    held, made, layer = counted(first)
    assert held == made >= 8
    assert layer == "correlation((6, 6), [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]])"
    place = Path(second)
    assert place == Path("convalg-sheet/sheet.html")
    page = place.read_text(encoding="utf-8")
    assert "Chelsea the cat" in page
    assert place.with_name("sheet.md").exists()


@pytest.mark.parametrize(
    ("options", "layer"),
    [
        ("--shape 12", "correlation(12, [w0, w1, w2])"),
        ("--shape 12 --kernel 4 --padding same", "correlation(12, [w0, w1, w2, w3], padding=(("),
        ("--shape 4x4x4 --kernel 2", "correlation((4, 4, 4), [[[w000, w001], [w010, "),
        ("--kernel 2x2x2", "correlation((4, 4, 4), [[[w000, "),
        ("--kernel 2x1", "correlation((6, 6), [[w00], [w10]])"),
        (
            "--shape 5x7 --kernel 2 --stride 2x1 --padding 1x0 --dilation 2",
            "correlation((5, 7), [[w00, w01], [w10, w11]], stride=(2, 1), padding=(1, 0), "
            "dilation=2)",
        ),
        ("--kernel 2 --padding full --boundary reflect", "padding='full', boundary='reflect')"),
        ("--kernel laplace", "correlation((6, 6), [[0, 1, 0], [1, -4, 1], [0, 1, 0]])"),
        ("--channels 3", "correlation((6, 6), <3x1x3x3 int64>, groups=3)"),
        ("--channels 2 --kernel 3", "correlation((6, 6), <1x2x3x3 symbolic>)"),
        ("--channels 2 --out-channels 4 --kernel 3 --shape 9", "correlation(9, <4x2x3 symbolic>)"),
        ("--groups 2 --channels 4 --kernel 3 --shape 9", "(9, <2x2x3 symbolic>, groups=2)"),
        (
            "--groups 2 --channels 2 --out-channels 4 --kernel 3 --shape 9 --flip",
            "convolution(9, <4x1x3 symbolic>, groups=2)",
        ),
        ("--groups 3 --channels 3 --kernel laplace", "<3x1x3x3 int64>, groups=3)"),
        ("--flip --boundary edge --padding 1", "convolution((6, 6), [[-1, 0, 1], [-2, 0, 2], ["),
        (
            "--transposed --kernel 2 --shape 4 --stride 2 --padding 1",
            "transposed_correlation(4, [w0, w1], stride=2, padding=1)",
        ),
        (
            "--transposed --channels 4 --out-channels 2 --groups 2 --kernel 3 --shape 4",
            "transposed_correlation(4, <4x1x3 symbolic>, groups=2)",
        ),
        (
            "--transposed --channels 2 --kernel channel_average",
            "transposed_correlation((6, 6), [[[[0.5]]], [[[0.5]]]])",
        ),
        ("--kernel channel_average", "correlation((6, 6), [[[[0.33"),
        ("--kernel channel_average --channels 4", "correlation((6, 6), [[[[0.25]], [[0.25]], "),
        ("--kernel gaussian --channels 1 --out-channels 1", "[[[[0.0625, 0.125, 0.0625], [0.12"),
    ],
)
def test_options_make_the_layer(
    options: str, layer: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not ("--transposed" in options or "--groups" in options):
        # What the sheet says of such layers is in the tests of the sheet.
        monkeypatch.setattr(shop_window, "_sections", lambda *_: ())
    assert run("explain", *options.split()) == 0
    out = capsys.readouterr().out
    held, made, told = counted(out)
    assert held == made
    assert layer in told


def test_an_image_in_colour_and_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(256, size=(9, 12, 3), dtype=np.uint8)).save("picture.jpg")
    assert run("explain", "--channels", "3", "--image", "picture.jpg", "--out", "to/here") == 0
    assert capsys.readouterr().out.splitlines()[1] == "to/here/sheet.html"
    assert "3 x 9 x 12 to 3 x 7 x 10" in Path("to/here/sheet.html").read_text(encoding="utf-8")


BAD = [
    ("--shape abc", "--shape must be integers such as 3 or 6x6, not 'abc'"),
    ("--shape 6x", "--shape must be integers such as 3 or 6x6, not '6x'"),
    ("--shape 0x6", "shape[0] must be at least 1, not 0"),
    ("--shape 2x2", "is larger than the padded input of 2 on axis 0"),
    ("--shape 1000000000000 --kernel 3", "counting this layer's pattern needs"),
    ("--kernel nonsense", "--kernel must be a size such as 3 or 3x3, or one of identity, sobel_x"),
    ("--kernel 3.5", "--kernel must be integers such as 3 or 6x6, not '3.5'"),
    ("--kernel 0", "kernel size[0] must be at least 1, not 0"),
    ("--kernel -3", "kernel size[0] must be at least 1, not -3"),
    ("--kernel 3x3x3 --shape 6x6", "kernel of shape (3, 3, 3) has 3 axes"),
    ("--kernel sobel_x --shape 12", "kernel of shape (3, 3) has 2 axes"),
    ("--kernel 1000x1000", "with these channels has 1,000,000 weights, but the limit is 100,000"),
    ("--kernel box --channels 99999", "with these channels has 899,991 weights"),
    ("--stride 0", "stride must be at least 1, not 0"),
    ("--stride 1x2x3", "stride must be one integer or 2 of them (one per axis), not (1, 2, 3)"),
    ("--stride one", "--stride must be integers such as 3 or 6x6, not 'one'"),
    ("--padding -1", "padding must be at least 0, not -1"),
    ("--padding some", "--padding must be integers such as 3 or 6x6, not 'some'"),
    ("--dilation 5", "is larger than the padded input of 6 on axis 0"),
    ("--boundary reflect --padding 6", "is too wide for boundary='reflect'"),
    ("--channels 0", "--channels must be at least 1, not 0"),
    ("--channels 3 --out-channels 0", "--out-channels must be at least 1, not 0"),
    (
        "--out-channels 2",
        "--out-channels 2 also needs the number of input channels: add --channels",
    ),
    (
        "--channels 3 --out-channels 2 --kernel laplace",
        "--out-channels 2 does not fit the filter laplace, which has 3 output channels for 3 input "
        "channels: omit --out-channels",
    ),
    ("--groups 2", "--groups 2 also needs the number of input channels: add --channels"),
    ("--groups 0 --channels 2", "--groups must be at least 1, not 0"),
    ("--groups 2 --channels 3 --kernel 3", "--groups 2 does not divide --channels 3"),
    (
        "--groups 2 --channels 4 --out-channels 3 --kernel 3",
        "--groups 2 does not divide --out-channels 3",
    ),
    ("--groups 2 --channels 4 --kernel box", "--groups 2 does not fit the filter box, which has 4"),
    ("--transposed --flip", "--flip cannot be combined with --transposed"),
    ("--transposed --boundary edge", "--boundary edge cannot be combined with --transposed"),
    ("--image nowhere.png", "cannot read 'nowhere.png' (No such file or directory)"),
    ("--image folder", "'folder' is a directory: give a PNG or JPEG image"),
    ("--image text.png", "'text.png' is not an image that can be read"),
    ("--image grey.png --channels 3", "the layer has 3 input channels but the image has 1"),
    ("--image grey.png --shape 9", "image= needs a layer over two axes"),
    ("--out text.png", "cannot write the sheet to 'text.png' (Not a directory)"),
]


@pytest.mark.parametrize(("options", "words"), BAD, ids=[options for options, _ in BAD])
def test_bad_input_is_one_line_and_status_2(
    options: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("folder").mkdir()
    Path("text.png").write_text("no image")
    Image.new("L", (5, 5)).save("grey.png")
    before = sorted(os.listdir())
    assert words in refused(capsys, "explain", *options.split())
    # Nothing is left behind.
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("explain", "--nonsense"),
        ("explain", "--boundary", "open"),
        ("train", "now"),
        ("explain", "3"),
    ],
)
def test_options_that_there_are_not_end_with_2(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_message_of_several_lines_or_with_markup_stays_one_plain_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("explain", "--kernel", "[red]a\nb[/red]") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert r"not '[red]a\nb[/red]'" in line


def test_a_failed_statement_ends_with_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from convalg.sheet import verify_layer

    # A wrong formula: the sheet says so, is written all the same, and the status tells.
    monkeypatch.setattr(verify_layer, "counting_formula", lambda geometry: ((), 1))
    assert run("explain", "--shape", "5", "--kernel", "2") == cli.REFUTED == 1
    out = capsys.readouterr().out
    held, made, _ = counted(out)
    assert held == made - 1
    assert "failed: By this formula, the layer needs 1 multiplication." in out
    assert "failed at this size, 5" in Path("convalg-sheet/sheet.html").read_text(encoding="utf-8")


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"convalg {ca.__version__}\n"
    assert run("--help") == 0
    assert "explain" in capsys.readouterr().out
    assert run("explain", "--help") == 0
    text = capsys.readouterr().out
    for option in (
        "shape",
        "channels",
        "kernel",
        "stride",
        "padding",
        "dilation",
        "boundary",
        "groups",
    ):
        assert f"--{option}" in text
    for option in ("flip", "transposed", "image"):
        assert f"--{option}" in text
    assert "--out" in text


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 2
    printed = capsys.readouterr()
    assert "Usage" in printed.out + printed.err


def command(*arguments: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "convalg", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_as_a_module() -> None:
    found = command("--version")
    assert (found.returncode, found.stdout) == (0, f"convalg {ca.__version__}\n")
    wrong = command("explain", "--stride", "0")
    assert wrong.returncode == 2
    assert wrong.stderr == "convalg: stride must be at least 1, not 0\n"


def test_help_loads_no_heavy_library() -> None:
    code = (
        "import sys\nfrom convalg.cli import main\n"
        "try:\n    main(['explain', '--help'])\nexcept SystemExit:\n    pass\n"
        "sys.exit(any(m in sys.modules for m in ('sympy', 'matplotlib', 'scipy', 'islpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_sheet_in_other_formats(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("explain", "--shape", "5", "--kernel", "2", "--out", str(tmp_path))
    assert run(*words, "--format", "latex", "--format", "notebook") == 0
    assert {path.suffix for path in tmp_path.rglob("*")} >= {".tex", ".ipynb"}
    assert run(*words, "--format", "docx") == 2
    assert "Traceback" not in capsys.readouterr().err
