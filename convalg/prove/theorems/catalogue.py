"""The catalogue of theorems: statements from lectures that are proved for all sizes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache

from convalg.errors import ArgumentError
from convalg.parallel import each
from convalg.prove.theorems import (
    activations,
    adjoint_layers,
    arithmetic,
    channels,
    compositions,
    counting,
    equivariance,
    fast,
    fields,
    fourier,
    gradients,
    layers,
    matrices,
    networks,
    operators,
    pooling,
    sizes,
    strides,
    transforms,
)
from convalg.prove.theorems.chapters import CHAPTERS
from convalg.prove.theorems.theorem import Theorem
from convalg.prove.verdict import Verdict

ROOMS = (
    operators,
    arithmetic,
    sizes,
    adjoint_layers,
    gradients,
    compositions,
    strides,
    channels,
    fourier,
    transforms,
    counting,
    matrices,
    pooling,
    equivariance,
    fast,
    fields,
    layers,
    networks,
    activations,
)


class Catalogue:
    """The catalogue of theorems; `ca.theorems[name]` is one of them.

    A catalogue has a length and is iterated over in order. An unknown name raises ArgumentError.

    >>> import convalg as ca
    >>> len(ca.theorems) >= 30, ca.theorems["stride"].domain
    (True, 'all n >= 1, s >= 1, n + 2p >= K >= 1, p >= 0')
    """

    def __iter__(self) -> Iterator[Theorem]:
        return iter(_all().values())

    def __len__(self) -> int:
        return len(_all())

    def __getitem__(self, name: str) -> Theorem:
        if name not in _all():
            near = get_close_matches(str(name), _all(), n=3, cutoff=0.5) or list(_all())
            raise ArgumentError(
                f"there is no theorem named {name!r}; choose from {', '.join(near)}"
            )
        return _all()[name]

    def __repr__(self) -> str:
        return f"<{len(self)} theorems: {', '.join(_all())}>"

    def chapters(self) -> dict[str, list[Theorem]]:
        """Return the theorems of each chapter, in order.

        >>> import convalg as ca
        >>> chapters = ca.theorems.chapters()
        >>> list(chapters)[:3], chapters["Foundations"][1].name
        (['Foundations', 'Sizes', 'Adjoints'], 'flip')
        """
        grouped: dict[str, list[Theorem]] = {chapter: [] for chapter in CHAPTERS}
        for theorem in self:
            grouped[theorem.chapter].append(theorem)
        return {chapter: theorems for chapter, theorems in grouped.items() if theorems}

    def prove(self, *, jobs: int | None = None) -> list[tuple[Theorem, Verdict, float]]:
        """Prove every theorem.

        Args:
            jobs: the number of joblib workers that share the theorems, as in `ca.check.forward`.

        Returns:
            A list of tuples (theorem, verdict, time of the proof in seconds), in order.
        """
        return list(self.proofs(jobs=jobs))

    def proofs(self, *, jobs: int | None = None) -> Iterator[tuple[Theorem, Verdict, float]]:
        """Yield what `prove` returns, each theorem as soon as it and those before it are proved.

        >>> import convalg as ca
        >>> theorem, verdict, seconds = next(ca.theorems.proofs())
        >>> theorem.name, bool(verdict), seconds > 0
        ('linearity', True, True)
        """
        results = each(_timed, list(_all()), jobs)
        for theorem, proved in zip(self, results, strict=True):
            yield (theorem, *proved)


def _timed(name: str) -> tuple[Verdict, float]:
    start = time.perf_counter()
    verdict = _all()[name].prove()
    return verdict, time.perf_counter() - start


@cache
def _all() -> dict[str, Theorem]:
    catalogue: dict[str, Theorem] = {}
    for room in ROOMS:
        for theorem in room.THEOREMS:
            assert theorem.name not in catalogue, theorem.name
            catalogue[theorem.name] = theorem
    return catalogue


theorems = Catalogue()
