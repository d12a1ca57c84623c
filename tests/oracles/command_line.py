"""The command line as a caller meets it: exit status, and what is printed where."""

from __future__ import annotations

import pytest

from convalg.cli import main


def run(*arguments: str) -> int:
    """The exit status."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    code = ended.value.code
    assert isinstance(code, int), repr(code)
    return code


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line on standard error with which bad input ends, with status 2."""
    assert run(*arguments) == 2, arguments
    printed = capsys.readouterr()
    assert printed.out == "", printed.out
    (line,) = printed.err.splitlines()
    assert line.startswith("convalg: "), line
    return line
