"""Programs for the checks, written to a folder."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

from convalg import check


def program(folder: Path, text: str) -> list[str]:
    path = folder / "program.py"
    path.write_text(dedent(text), encoding="utf-8")
    return [sys.executable, "-S", str(path)] if "numpy" not in text else [sys.executable, str(path)]


def command(
    folder: Path, text: str, rest: Sequence[str] = ("{x}", "{w}", "{y}"), **options: Any
) -> Any:
    return check.from_command([*program(folder, text), *rest], **options)
