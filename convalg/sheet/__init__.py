"""The derivation sheet of a layer: `explain` makes it, `Sheet` is what it makes."""

from convalg.sheet.document import Sheet
from convalg.sheet.sections import explain

__all__ = ["Sheet", "explain"]
