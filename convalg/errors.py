"""The exceptions of convalg.

A message states what was expected, the value that was passed and, where one is known, a remedy.
Each class derives from `ConvalgError` and from the built-in exception for the same kind of error.
"""

from __future__ import annotations

from convalg.escape import terminal

__all__ = [
    "ArgumentError",
    "ConvalgError",
    "DivergenceError",
    "ExactnessError",
    "FileError",
    "KindError",
    "MissingLibraryError",
    "NotLinearError",
    "ShapeError",
    "SymbolicError",
    "TooLargeError",
    "UndecidableError",
]


class ConvalgError(Exception):
    """The base class of all errors that convalg raises deliberately."""

    def __str__(self) -> str:
        # Messages are printed on terminals, and may quote text of unknown origin.
        return terminal(super().__str__(), lines=True)


class ArgumentError(ConvalgError, ValueError):
    """An argument has the right type but a value that is not allowed."""


class ShapeError(ArgumentError):
    """A shape, or a number of axes, does not match the other arguments."""


class KindError(ConvalgError, TypeError):
    """An argument is of the wrong type."""


class NotLinearError(KindError, AttributeError):
    """An attribute that only linear operators have was accessed on another map.

    This exception is also an AttributeError, so that `hasattr` returns False.
    """


class SymbolicError(KindError):
    """An argument has symbols or exact objects where machine numbers are needed."""


class UndecidableError(ArgumentError):
    """A question about symbolic sizes that no available decision procedure can answer."""


class FileError(ArgumentError):
    """A file is missing, cannot be read or written, or has invalid contents."""


class MissingLibraryError(ConvalgError, ImportError):
    """An optional library that a function needs is not installed."""


class ExactnessError(ConvalgError, OverflowError):
    """An integer result could exceed 64 bits, and would then not be exact."""


class TooLargeError(ConvalgError, MemoryError):
    """A result would need more memory than the limit."""


class DivergenceError(ConvalgError, ArithmeticError):
    """The loss or the weights of a network became infinite or NaN during training."""
