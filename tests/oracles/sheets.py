"""The sheets of some layers, for tests that look at them."""

from __future__ import annotations

import convalg as ca
from convalg.sheet import Sheet


class Sheets(dict[str, Sheet]):
    """The sheet of each layer, made where a test asks for it: one worker runs a part of them."""

    def __init__(self, layers: dict[str, ca.Operator]) -> None:
        super().__init__()
        self.layers = layers

    def __missing__(self, name: str) -> Sheet:
        self[name] = ca.explain(self.layers[name])
        return self[name]
