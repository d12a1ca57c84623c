"""Tables of bad input: a call, and below it the error that it raises and what that says.

Three dots between the parts of a message stand for anything.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from convalg import errors
from convalg.errors import ConvalgError


def rows(table: Path) -> Iterator[Any]:
    """A parameter set (call, error, parts) for each row; a line that fits no row is an error."""
    filled = [line for line in table.read_text(encoding="utf-8").splitlines() if line.strip()]
    lines = iter(line for line in filled if not line.startswith("#"))
    for call in lines:
        answer = re.fullmatch(r"    (\w+): (.+)", next(lines, ""))
        if call.startswith(" ") or answer is None:
            raise SyntaxError(f"{table.name} has no row at {call!r}")
        yield pytest.param(call, answer[1], answer[2].split(" ... "), id=call)


def check_refused(call: str, error: str, parts: list[str], names: Mapping[str, Any]) -> None:
    """The call raises this class, with these words, and before the work, whatever the sizes."""
    start = time.perf_counter()
    with pytest.raises(ConvalgError) as caught:
        eval(call, dict(names))
    seconds = time.perf_counter() - start
    assert seconds < 5, f"refused after {seconds:.1f} s"
    assert type(caught.value) is getattr(errors, error), repr(caught.value)
    found = str(caught.value)
    assert re.search(".*".join(map(re.escape, parts)), found, re.DOTALL), found
    assert len(found) < 500, found
