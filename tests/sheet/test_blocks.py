"""The figures of a sheet: the first that a layer allows, or none."""

from __future__ import annotations

from typing import Any

import convalg as ca
from convalg.errors import KindError
from convalg.sheet.pictures import pictured

LAYER = ca.correlation((4, 5), ca.kernel(2, 3), stride=2, padding=1)


def test_a_figure_is_the_first_that_a_layer_allows() -> None:
    def refuses() -> Any:
        raise KindError(f"no figure of {LAYER!r}")

    chosen = pictured("name", ("first", refuses), ("second", lambda: ca.draw.matrix(LAYER)))
    assert [picture.caption for picture in chosen] == ["second"]
    assert chosen[0].pdf.startswith(b"%PDF")
    (none,) = pictured("name", ("first", refuses))
    assert not none.exists
    assert (none.caption, none.svg, none.pdf) == ("", "", b"")
