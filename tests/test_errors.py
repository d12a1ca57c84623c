"""The exceptions: what they derive from, and how their messages are shown."""

from __future__ import annotations

import pickle

import pytest

import convalg as ca
from convalg import errors
from convalg.errors import ArgumentError, ConvalgError, NotLinearError
from convalg.escape import terminal

HOSTILE = "x\x1b[31m\r\x9b2J\u202e\ud800"
BUILT_IN = {
    "ArgumentError": ValueError,
    "ConvalgError": Exception,
    "DivergenceError": ArithmeticError,
    "ExactnessError": OverflowError,
    "FileError": ValueError,
    "KindError": TypeError,
    "MissingLibraryError": ImportError,
    "NotLinearError": AttributeError,
    "ShapeError": ValueError,
    "SymbolicError": TypeError,
    "TooLargeError": MemoryError,
    "UndecidableError": ValueError,
}


@pytest.mark.parametrize("name", errors.__all__)
def test_each_error_is_also_one_of_python(name: str) -> None:
    error = getattr(errors, name)
    assert issubclass(error, ConvalgError)
    with pytest.raises(BUILT_IN[name], match="text"):
        raise error("text")


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_keeps_its_message_between_processes(name: str) -> None:
    error = getattr(errors, name)("some\ttext\n")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.args) == (type(error), str(error), error.args)


def test_an_attribute_of_linear_operators_is_absent_from_other_maps() -> None:
    assert not hasattr(ca.relu(3), "T")
    with pytest.raises(NotLinearError):
        ca.relu(3).T  # noqa: B018
    assert hasattr(ca.identity(3), "T")


@pytest.mark.parametrize("error", [ArgumentError, *ConvalgError.__subclasses__()])
def test_messages_of_errors_are_shown(error: type[ConvalgError]) -> None:
    assert str(error(f"a {HOSTILE}\nb")) == terminal(f"a {HOSTILE}\nb", lines=True)
