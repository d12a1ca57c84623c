"""The head of Fast R-CNN: its outputs and its gradients."""

from __future__ import annotations

from published_networks import check_slope

import convalg as ca

zoo = ca.zoo


def test_its_jacobian_is_its_slope() -> None:
    check_slope(
        zoo.rcnn(
            zoo.vgg16((3, 32, 48), None, width=2), [(0, 0, 31, 31)], 3, at="relu5_3", hidden=4
        ),
        3,
    )
