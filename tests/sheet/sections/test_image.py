"""The section on an image: what is shown is the sum, within the memory limit."""

from __future__ import annotations

from typing import Any

import naive
import numpy as np
import pytest
from sheets import LAYERS

import convalg as ca
from convalg.errors import (
    TooLargeError,
)
from convalg.images import photograph
from convalg.sheet.blocks import (
    Claim,
    Picture,
)
from convalg.sheet.numeric_example import number_kernel
from convalg.sheet.sections.image import image_sections


def test_kernels_of_symbols_give_different_images() -> None:
    layers = [ca.correlation((6, 6), ca.kernel(*shape)) for shape in ((3, 3), (3, 1, 3, 3))]
    plain, several = (image_sections(layer, photograph()[:1]) for layer in layers)
    texts = []
    for (section,) in (plain, several):
        (picture,) = (block for block in section.blocks if isinstance(block, Picture))
        texts.append(picture.svg)
    assert texts[0] != texts[1]
    channels = number_kernel((3, 1, 3, 3)).reshape(3, -1).tolist()
    assert len({tuple(values) for values in channels}) == 3


@pytest.mark.parametrize("flipped", [False, True])
def test_the_image_that_is_shown_is_the_sum(flipped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(ca.draw, "image_pair", lambda *pair: shown.append(pair))
    make = ca.convolution if flipped else ca.correlation
    layer = make((6, 6), ca.kernel(2, 1, 2, 3), stride=2, padding=1, boundary="circular")
    image = np.arange(35, dtype=np.uint8).reshape(1, 5, 7) * 7
    (section,) = image_sections(layer, image)
    (picture,) = (block for block in section.blocks if isinstance(block, Picture))
    (claim,) = (block for block in section.blocks if isinstance(block, Claim))
    assert claim.verdict == "tried on 1 image of 1 x 5 x 7"
    with pytest.raises(AttributeError):
        assert picture.exists
    ((before, after),) = shown
    assert before.tolist() == image.tolist()
    again = naive.correlation(
        (5, 7), (2, 1, 2, 3), stride=2, padding=1, boundary="circular", flipped=flipped
    )
    weights = np.array([(2 * k + 1) % 5 - 2 for k in range(12)], dtype=object)
    expected = again.apply(weights.reshape(2, 1, 2, 3), image.astype(object))
    assert after.tolist() == expected.tolist()


def test_an_image_that_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from convalg import limits

    layer, image = LAYERS["sobel"], np.zeros((300, 300), dtype=np.uint8)
    monkeypatch.setattr(limits, "MEMORY_LIMIT", 1_000_000)
    with pytest.raises(
        TooLargeError, match="filtering an image of 300 x 300 with this layer needs"
    ):
        ca.explain(layer, image=image)
