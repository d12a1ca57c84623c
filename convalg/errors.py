"""The exceptions of convalg.

Every message states what was expected, what was given, and what to do. Each class derives from
`ConvalgError` and from the matching built-in exception.
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
        # Messages quote names and text of unknown origin, and are printed on terminals.
        return terminal(super().__str__(), lines=True)


class ArgumentError(ConvalgError, ValueError):
    """An argument has the right type but a value that is not allowed."""


class ShapeError(ArgumentError):
    """A shape or a number of axes does not fit."""


class KindError(ConvalgError, TypeError):
    """An argument is of the wrong type."""


class NotLinearError(KindError, AttributeError):
    """An attribute that only linear operators have was accessed on another map.

    It is an AttributeError too, so `hasattr` returns False.
    """


class SymbolicError(KindError):
    """Symbols or exact objects were given where machine numbers are needed."""


class UndecidableError(ArgumentError):
    """A question about symbolic sizes that no available decision procedure can answer."""


class FileError(ArgumentError):
    """A file is missing, unreadable or not what it claims to be."""


class MissingLibraryError(ConvalgError, ImportError):
    """An optional library that a function needs is not installed."""


class ExactnessError(ConvalgError, OverflowError):
    """An integer result could exceed 64 bits, so it would not be exact."""


class TooLargeError(ConvalgError, MemoryError):
    """A result would need more memory than its limit allows."""


class DivergenceError(ConvalgError, ArithmeticError):
    """Training produced numbers that are not finite."""
