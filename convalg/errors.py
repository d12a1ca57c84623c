"""The exceptions of convalg, and the checks that come before memory or exactness is lost.

Every error says what was wanted, what came, and what to do. Each class sits under
`ConvalgError` and under the built-in exception that it is a kind of.
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
    """The root of all errors that convalg raises on purpose."""

    def __str__(self) -> str:
        # Messages quote names and texts of others, and are printed on terminals.
        return terminal(super().__str__(), lines=True)


class ArgumentError(ConvalgError, ValueError):
    """An argument has the right type and a value that is not allowed."""


class ShapeError(ArgumentError):
    """A shape or a number of axes does not fit."""


class KindError(ConvalgError, TypeError):
    """An argument is of the wrong type."""


class NotLinearError(KindError, AttributeError):
    """What only linear operators have, asked of another map; `hasattr` answers with False."""


class SymbolicError(KindError):
    """Symbols or exact objects came where a face needs machine numbers."""


class UndecidableError(ArgumentError):
    """A question about letters that no decision procedure here can answer."""


class FileError(ArgumentError):
    """A file is missing, unreadable or not what it claims to be."""


class MissingLibraryError(ConvalgError, ImportError):
    """An optional library that a function needs is not installed."""


class ExactnessError(ConvalgError, OverflowError):
    """An integer result could leave 64 bits, so it would not be exact."""


class TooLargeError(ConvalgError, MemoryError):
    """A face would need more memory than its limit allows."""


class DivergenceError(ConvalgError, ArithmeticError):
    """Training led to numbers that are not finite."""
