"""The version of convalg."""

__version__ = "0.1.0"
