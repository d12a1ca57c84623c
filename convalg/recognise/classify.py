"""Classify a structured matrix by its entries alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from convalg.axis import Size
from convalg.escape import terminal
from convalg.operators.tree import Operator
from convalg.recognise.codes import EntryCodes, as_tolerance, entries_of
from convalg.recognise.kronecker import kronecker_factors
from convalg.recognise.levels import Chain, Level, block_sizes, broken, by_axes, structure_of
from convalg.size import size_text

if TYPE_CHECKING:
    from convalg.prove.verdict import Verdict

Reason = Callable[[tuple[int, int], tuple[int, int]], str] | None


@dataclass(frozen=True)
class Witness:
    """Entries that rule out a kind: two entries that differ, or one that the kind does not allow.

    Attributes:
        kind: the kind that is ruled out, such as "Toeplitz".
        at: the position (row, column) of an entry.
        value: the value of that entry.
        other: the position of a second entry, or None.
        other_value: the value of the second entry, or None.
        words: the reason as a phrase that starts with "not".
        sizes: for a family, the smallest sizes at which the kind fails, by the names of symbols.

    >>> import convalg as ca
    >>> ca.classify([[1, 2], [3, 4]]).witness[0].words
    'not Toeplitz: entry (0, 0) is 1 but (1, 1) is 4, though both lie on the same diagonal'
    """

    kind: str
    at: tuple[int, int]
    value: Any
    other: tuple[int, int] | None
    other_value: Any
    words: str
    sizes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Classification:
    """The result of `classify`.

    Attributes:
        kind: the strongest kind that holds, such as "doubly block Toeplitz"; "none" if none holds.
        depth: the number of levels with structure.
        blocks: the sizes (rows, columns) of all levels, outermost first.
        levels: the structure of each level, such as "Toeplitz" or "unstructured".
        strides: the stride of each level with structure.
        kinds: all kinds that hold, the strongest first.
        witness: entries that rule out other kinds.
        factors: the sizes of the two matrices of a Kronecker product; empty if it is none.
        verdicts: for a family, the verdict on each kind that was looked for: its claim is a formula
            such as "A[o + 1, i + 1] = A[o, i]", its scope the sizes.
        unknown: for a family, the kinds that were not decided.

    >>> import convalg as ca
    >>> ca.classify([[1, 2, 0], [0, 1, 2]])
    Classification('Toeplitz: 2 x 3')
    """

    kind: str
    depth: int
    blocks: tuple[tuple[int, int], ...]
    levels: tuple[str, ...]
    strides: tuple[int, ...]
    kinds: tuple[str, ...]
    witness: tuple[Witness, ...]
    factors: tuple[tuple[int, int], ...]
    verdicts: tuple[Verdict, ...] = ()
    unknown: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows, columns = (math.prod(sizes) for sizes in zip(*self.blocks, strict=True))
        sizes: tuple[tuple[int, int], ...] = ((rows, columns),)
        if self.kind == "Kronecker product":
            return f"{self.kind}: " + " and ".join(f"{m} x {n}" for m, n in self.factors)
        if "Toeplitz" in self.kind or "circulant" in self.kind:
            sizes = self.blocks
        strided = f", stride {' x '.join(map(str, self.strides))}" * ("strided" in self.kind)
        return f"{self.kind}: " + " blocks of ".join(map(_size, sizes)) + strided

    def __repr__(self) -> str:
        return f"Classification({str(self)!r})"

    def explain(self) -> str:
        """Return the kinds that hold, and the entries that rule out others, in sentences.

        >>> import convalg as ca
        >>> print(ca.classify([[1, 2], [2, 1], [1, 2]]).explain())
        The matrix is Toeplitz: 3 x 2.
        It is not a selection: entry (0, 1) is 2, neither 0 nor 1.
        It is not diagonal: entry (0, 1) is 2, off the diagonal.
        """
        lines = [f"The matrix is {'of none of the kinds' if self.kind == 'none' else self}."]
        if len(self.kinds) > 1:
            lines.append(f"It is also {', '.join(self.kinds[1:])}.")
        lines += [f"{v.claim}: proved for {v.scope}." for v in self.verdicts if v]
        lines += [f"It is {witness.words}." for witness in self.witness]
        lines += [f"It is not decided whether it is {kind}." for kind in self.unknown]
        return terminal("\n".join(lines), lines=True)


def _size(block: tuple[Size, Size]) -> str:
    """Return the size of a block as text, such as "(n - K + 1) x n"."""
    texts = map(size_text, block)
    return " x ".join(f"({text})" if " " in text else text for text in texts)


def classify(
    matrix: object, *, in_shape: object = None, out_shape: object = None, tolerance: float = 0
) -> Classification:
    """Classify a structured matrix by its entries alone, regardless of how it was constructed.

    The kinds and their order are those of `ca.classify`.

    The blocks are the axes of `out_shape` x `in_shape`. A single row or column, of entries or of
    blocks, is Toeplitz in a vacuous sense, and a single block is circulant. If every axis has
    structure in this sense or in the proper one, the kinds of all axes hold too ("doubly block
    Toeplitz" for an image of one row), and a kind of some axes is listed if it is not vacuous.

    Without shapes, blocks of up to three levels are searched for among the divisors of the sizes,
    and structure at some levels counts if it leaves at most half of the entries free. A stride
    above 1 counts if it maps a non-zero entry to another entry. Strides up to 64 are tried, and up
    to 8 in a search.

    Args:
        matrix: an operator, a SciPy sparse array, a NumPy array or nested lists of numbers or exact
            objects, or a SymPy matrix. Symbols are compared as expanded expressions, floats bit
            by bit.
        in_shape: the shape that the columns represent, by default the input shape of an operator.
        out_shape: the shape that the rows represent, by default the output shape of an operator.
        tolerance: the difference up to which numbers count as equal, relative to the largest
            absolute entry, from 0 to below 1.

    Raises:
        ShapeError: when the matrix does not have two axes or has no entries, or a shape does not
            match its size.
        ArgumentError: when the matrix has NaN or infinite entries, or `tolerance` is out of range.
        KindError: when `matrix` is not a matrix of real numbers or symbols, `tolerance` is not a
            number, or is above 0 for a matrix with symbols.
        SymbolicError: when an operator has symbolic sizes.

    >>> import convalg as ca
    >>> result = ca.classify(ca.correlation((4, 4), ca.kernel(3, 3)))
    >>> result
    Classification('doubly block Toeplitz: 2 x 4 blocks of 2 x 4')
    >>> result.witness[0].at, result.witness[0].other
    ((1, 1), (2, 2))
    """
    entries = entries_of(matrix, as_tolerance(tolerance))
    if isinstance(matrix, Operator):
        in_shape = matrix.in_shape if in_shape is None else in_shape
        out_shape = matrix.out_shape if out_shape is None else out_shape
    levels = block_sizes(entries.shape, in_shape, out_shape)
    chain, is_named = structure_of(entries, levels)
    return _verdict(entries, chain, is_named, by_axes(entries, levels))


def _verdict(entries: EntryCodes, chain: Chain, named: bool, axes: list[Chain]) -> Classification:
    """Return all kinds that hold, strongest first, with witnesses against the other kinds."""
    factors = kronecker_factors(entries)
    axis_names = [name for chain_of_axis in axes for name in names_of(chain_of_axis, True)]
    names = list(dict.fromkeys([*names_of(chain, named), *axis_names]))
    kinds = _zero_one_kinds(entries)
    if all(level.step for level in chain):
        kinds += names + ["Kronecker product"] * bool(factors)
    else:
        kinds += ["Kronecker product"] * bool(factors) + names
    kinds = kinds or ["none"]
    steps = [level.step for level in chain if level.step]
    return Classification(
        kind=kinds[0],
        depth=len(steps),
        blocks=tuple((level.m, level.n) for level in chain),
        levels=tuple(level.kind for level in chain),
        strides=tuple(max(step) for step in steps),
        kinds=tuple(kinds),
        witness=tuple(_witnesses(entries, chain, kinds)),
        factors=factors or (),
    )


# Names.


def _zero_one_kinds(entries: EntryCodes) -> list[str]:
    """Return the kinds that hold and that require ones and zeros at certain positions."""
    rows, columns = entries.shape
    is_square, is_one = rows == columns, bool(entries.ones.all())
    count = len(entries.codes)
    is_selection = is_one and len(np.unique(entries.rows)) == count
    is_diagonal = bool((entries.rows == entries.columns).all())
    holds = {
        "zero": count == 0,
        "identity": is_one and is_diagonal and is_square and count == rows,
        "permutation": is_selection
        and is_square
        and count == rows
        and len(np.unique(entries.columns)) == count,
        "selection": is_selection,
        "diagonal": is_diagonal,
    }
    return [kind for kind, held in holds.items() if held]


def _folded(depth: int) -> str:
    """Return the prefix for a structure that is repeated at each of `depth` levels."""
    return {1: "", 2: "doubly block ", 3: "triply block "}.get(depth, f"{depth}-fold block ")


def names_of(chain: Chain, named: bool) -> list[str]:
    """Return the names of a structure, strongest first (`named`: the shapes imply its levels)."""
    level_kinds = [level.kind for level in chain]
    free = "unstructured"
    if set(level_kinds) == {free}:
        return []
    lead = level_kinds[0] == free
    tail = level_kinds[-1] == free
    core = level_kinds[lead : len(level_kinds) - tail]
    names = []
    for kinds in dict.fromkeys(
        (tuple(core), tuple(kind.replace("circulant", "Toeplitz") for kind in core))
    ):
        names += _core_names(kinds, tail)
    if not lead:
        if len(core) > 1 and not tail:
            names += dict.fromkeys(
                f"block {kind}" for kind in (core[0], core[0].replace("circulant", "Toeplitz"))
            )
        return names
    prefix = "channel blocks, each " if named else "blocks, each "
    return [prefix + name for name in names]


def _core_names(kinds: tuple[str, ...], tail: bool) -> list[str]:
    """Return the names of the levels from the outermost to the innermost that has structure.

    `tail`: whether unstructured blocks are inside them.
    """
    if tail and len(kinds) == 1:
        return [f"block {kinds[0]}"]
    ending = " with unstructured blocks" if tail else ""
    if len(set(kinds)) > 1:
        if len(kinds) == 2 and not tail:
            return [f"block {kinds[0]} with {kinds[1]} blocks"]
        return [f"block structure by level: {', '.join(kinds)}{ending}"]
    names = [f"{_folded(len(kinds))}{kinds[0]}{ending}"]
    if len(kinds) == 2 and not tail:
        names.append(f"block {kinds[0]} with {kinds[0]} blocks")
    return names


# Witnesses.


def _witnesses(entries: EntryCodes, chain: Chain, kinds: list[str]) -> Iterator[Witness]:
    """Yield witnesses against kinds, the Toeplitz kinds first.

    A kind that a witness against a weaker kind rules out already has no witness of its own.
    """
    flat = Level(1, 1, *entries.shape)
    reason = _reason(chain)
    witness = _pair(entries, flat, "Toeplitz", "both lie on the same diagonal", reason)
    if witness:
        yield witness
    elif entries.shape[0] == entries.shape[1]:
        where = "the diagonals of a circulant wrap around"
        witness = _pair(entries, flat, "circulant", where, cyclic=True)
        if witness:
            yield witness
    if len(chain) > 1:
        yield from _level_witnesses(entries, chain)
    yield from _zero_one_witnesses(entries, kinds)


def _pair(
    entries: EntryCodes,
    level: Level,
    kind: str,
    where: str,
    reason: Reason = None,
    *,
    cyclic: bool = False,
) -> Witness | None:
    """Return the first two entries that a step of a level requires to be equal but that differ."""
    rows, columns, others, other_columns = broken(entries, level, (1, 1), cyclic=cyclic)
    if not len(rows):
        return None
    first = np.lexsort((columns, rows))[0]
    at = int(rows[first]), int(columns[first])
    other = int(others[first]), int(other_columns[first])
    value, other_value = entries.value(*at), entries.value(*other)
    why = reason(at, other) if reason else ""
    return Witness(
        kind,
        at,
        value,
        other,
        other_value,
        f"not {kind}: entry {at} is {value} but {other} is {other_value}, though {where}{why}",
    )


def _reason(chain: Chain) -> Reason:
    """Return the reason why two neighbours on a diagonal differ, from the structure that holds."""
    inner = chain[-1]
    if inner.step is None:
        return None
    height, width = inner.m, inner.n
    down, right = inner.step

    def reason(at: tuple[int, int], other: tuple[int, int]) -> str:
        if (at[0] // height, at[1] // width) != (other[0] // height, other[1] // width):
            return (
                f": the second is in the next block of {height} x {width}, which for a layer is "
                f"where the kernel row wraps at the edge of the image"
            )
        if down > 1:
            return f": each column of a block is the previous one moved by {down} rows, not by 1"
        return f": each row of a block is the one above moved by {right} columns, not by 1"

    return reason


def _level_witnesses(entries: EntryCodes, chain: Chain) -> Iterator[Witness]:
    """Yield a witness of the outermost level that is not Toeplitz, or else not circulant."""
    name = _folded(len(chain))
    for level in chain:
        where = (
            f"both have the same position in blocks on one diagonal of the {level.m} x {level.n} "
            f"blocks"
        )
        witness = _pair(entries, level, f"{name}Toeplitz", where)
        if witness:
            yield witness
            return
    for level in chain:
        if level.m == level.n:
            where = f"the {level.m} x {level.n} blocks of a circulant wrap around"
            witness = _pair(entries, level, f"{name}circulant", where, cyclic=True)
            if witness:
                yield witness
                return


def _zero_one_witnesses(entries: EntryCodes, kinds: list[str]) -> Iterator[Witness]:
    """Yield witnesses against selection, permutation, diagonal and identity.

    A kind that the shape of the matrix rules out has no witness.
    """
    if "selection" not in kinds:
        yield _no_selection(entries)
    elif "permutation" not in kinds and entries.shape[0] == entries.shape[1]:
        yield _no_permutation(entries)
    off = np.flatnonzero(entries.rows != entries.columns)
    if len(off):
        yield _single(entries, "diagonal", off[0], "off the diagonal")
    elif "identity" not in kinds and not entries.ones.all():
        yield _single(entries, "identity", np.flatnonzero(~entries.ones)[0], "not 1")


def _single(entries: EntryCodes, kind: str, which: int, fault: str) -> Witness:
    """Return a witness of one entry that a kind does not allow."""
    at = int(entries.rows[which]), int(entries.columns[which])
    value = entries.value(*at)
    return Witness(
        kind, at, value, None, None, f"not {_noun(kind)}: entry {at} is {value}, {fault}"
    )


def _noun(kind: str) -> str:
    """Return a kind as it follows "not", with an article if it is a noun."""
    return {"selection": "a selection", "identity": "the identity"}.get(kind, kind)


def _no_selection(entries: EntryCodes) -> Witness:
    """Return a witness against a selection."""
    wrong = np.flatnonzero(~entries.ones)
    if len(wrong):
        return _single(entries, "selection", wrong[0], "neither 0 nor 1")
    again = int(np.flatnonzero(np.diff(entries.rows) == 0)[0])
    return _two_ones(entries, "selection", again, again + 1, "row")


def _no_permutation(entries: EntryCodes) -> Witness:
    """Return a witness against a permutation, for a selection."""
    order = np.argsort(entries.columns, kind="stable")
    again = np.flatnonzero(np.diff(entries.columns[order]) == 0)
    if len(again):
        first, second = order[again[0]], order[again[0] + 1]
        return _two_ones(entries, "permutation", int(first), int(second), "column")
    row = int(np.setdiff1d(np.arange(entries.shape[0]), entries.rows)[0])
    text = f"not a permutation: entry {(row, 0)} is 0, and so is all of row {row}"
    return Witness("permutation", (row, 0), 0, None, None, text)


def _two_ones(entries: EntryCodes, kind: str, first: int, second: int, line: str) -> Witness:
    """Return a witness of two ones in a row or column that may have only one."""
    at, other = (
        (int(entries.rows[which]), int(entries.columns[which])) for which in (first, second)
    )
    value, other_value = entries.value(*at), entries.value(*other)
    text = f"not a {kind}: entries {at} and {other} are both {value}, in one {line}"
    return Witness(kind, at, value, other, other_value, text)
