"""The derivation sheet of a layer: `explain` builds it, `Sheet` is the result."""

from convalg.sheet.sheet import Sheet, explain

__all__ = ["Sheet", "explain"]
