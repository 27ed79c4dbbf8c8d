"""`Section`: the tables and figures of a protocol, and the tables that every section has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from ...stats import NOTHING, Difference, Interval, Statistic, estimate, paired
from .series import Indices, Key, Measured, Series, Setup
from .tables import Entry, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "DIFFERENCES",
    "Column",
    "Measure",
    "ReportFigure",
    "Section",
    "best_segments",
    "comparisons",
    "count_text",
    "missing",
    "summary",
]

DIFFERENCES = (
    "The same for every two maskings: the first minus the second, on the n pictures that both have. Bold: the interval "
    "does not contain 0. Fewer than 10 pictures are too few for an interval."
)


@dataclass(frozen=True, eq=False)
class ReportFigure:
    """A figure with its file name and its caption, which gives the number of pictures."""

    name: str
    caption: str
    figure: Figure


@dataclass(frozen=True, eq=False)
class Section:
    """The report of one protocol.

    Attributes:
        title: Its heading.
        text: What was measured.
        tables: Its tables.
        figures: Its figures.
        missing: Sentences about what the store lacks.
    """

    title: str
    text: str
    tables: tuple[Table, ...] = ()
    figures: tuple[ReportFigure, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Measure:
    """A statistic with a title.

    Attributes:
        title: Its title in tables and figures.
        of: Computes the statistic for some pictures of a series, with one number for each key.
        better: Which values are better: "higher", "lower" or "" for neither.
    """

    title: str
    of: Measured
    better: str = ""

    @property
    def head(self) -> str:
        """The title, with an arrow in the better direction."""
        return self.title + {"higher": " ↑", "lower": " ↓", "": ""}[self.better]


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a table: a measure at one key.

    Attributes:
        measure: The measure.
        key: The key.
        keys: All keys of a setup that are estimated together, as for a curve; by default `key` alone.
    """

    measure: Measure
    key: Key = ()
    keys: Callable[[Setup], Sequence[Key]] | None = None

    def interval(self, setup: Setup, series: Series) -> Interval:
        """The value for all pictures."""
        keys = [self.key] if self.keys is None else self.keys(setup)
        return series.estimate(self.measure.of, keys)[list(keys).index(self.key)] if self.key in keys else NOTHING

    def statistic(self, series: Series, indices: Indices) -> Statistic:
        """The statistic of some pictures."""
        return self.measure.of(series, [self.key], indices)


#: The columns of a table for each of its blocks of rows. All blocks have the same titles.
Blocks = Mapping[str, Sequence[Column]]


def summary(name: str, caption: str, setups: Sequence[Setup], blocks: Blocks, block_title: str = "") -> Table:
    """Tabulate every measure of every series.

    Args:
        name: File name of the table.
        caption: Its caption.
        setups: The setups.
        blocks: The columns.
        block_title: Title of the column with the names of the blocks; "" leaves it out.

    Returns:
        The table, without rows that have no number.
    """
    place = _Place(setups, block_title)
    rows: list[tuple[Entry, ...]] = []
    for setup, segments, block, columns in _all_blocks(setups, blocks):
        for series in setup.of(segments):
            numbers = [column.interval(setup, series) for column in columns]
            n = max(number.n for number in numbers)
            if n:
                rows.append((*place(setup.name, segments, block), series.masking, n, *numbers))
    return Table(name, caption, (*place.header, "masking", "n", *_titles(blocks)), tuple(rows))


def comparisons(name: str, setups: Sequence[Setup], blocks: Blocks, block_title: str = "") -> Table:
    """Tabulate the differences of every two maskings of a setup, on the pictures that both have.

    Args:
        name: File name of the table.
        setups: The setups.
        blocks: The columns.
        block_title: Title of the column with the names of the blocks; "" leaves it out.

    Returns:
        The table, with the number of pictures that only one of the two has, and without rows that have no number.
    """
    place = _Place(setups, block_title)
    rows: list[tuple[Entry, ...]] = []
    for setup, segments, block, columns in _all_blocks(setups, blocks):
        for second, first in combinations(setup.of(segments), 2):
            both = paired(first.pictures, second.pictures)
            if not both.first:
                continue
            numbers = [_difference(column, first, second, both.first, both.second) for column in columns]
            n = max(number.n for number in numbers)
            if n:
                pair = (first.masking, second.masking, n, both.only_first, both.only_second)
                rows.append((*place(setup.name, segments, block), *pair, *numbers))
    header = (*place.header, "masking", "minus", "n", "only first", "only second")
    titles = _titles(blocks)
    return Table(name, DIFFERENCES, (*header, *titles), tuple(rows), bold_from=len(header))


def missing(setups: Sequence[Setup]) -> tuple[str, ...]:
    """Sentences about what some series of the setups have and others lack."""
    return tuple(sentence for setup in setups for sentence in setup.missing())


def best_segments(setups: Sequence[Setup]) -> str:
    """Name of the k best segments, such as "top-20"; "top-k" if the setups differ in k."""
    counts = {setup.identity.setting("k") for setup in setups}
    return f"top-{counts.pop()}" if len(counts) == 1 else "top-k"


def count_text(counts: Iterable[int]) -> str:
    """The number of pictures behind several values, zeros left out.

    Example:
        >>> count_text([40, 38, 0]), count_text([0])
        ('n = 38 to 40', 'n = 0')
    """
    found = sorted({int(count) for count in counts} - {0}) or [0]
    return f"n = {found[0]}" if len(found) == 1 else f"n = {found[0]} to {found[-1]}"


def _all_blocks(setups: Sequence[Setup], blocks: Blocks) -> Iterable[tuple[Setup, str, str, Sequence[Column]]]:
    return (
        (setup, segments, block, columns)
        for setup in setups
        for segments in setup.segments
        for block, columns in blocks.items()
    )


def _titles(blocks: Blocks) -> list[str]:
    return [column.measure.head for column in next(iter(blocks.values()))]


def _difference(
    column: Column, first: Series, second: Series, in_first: Sequence[int], in_second: Sequence[int]
) -> Interval:
    """The difference on the pictures for which both are defined."""
    known = column.statistic(first, in_first).defined & column.statistic(second, in_second).defined
    if not known.any():
        return NOTHING
    one, other = (
        column.statistic(series, [index for index, keep in zip(indices, known, strict=True) if keep])
        for series, indices in ((first, in_first), (second, in_second))
    )
    return estimate(Difference(one, other))[0]


class _Place:
    """The first columns of a table: model, and segments and block where they vary."""

    def __init__(self, setups: Sequence[Setup], block_title: str) -> None:
        self._with_segments = any(segments for setup in setups for segments in setup.segments)
        self._with_block = bool(block_title)
        self.header = self("model", "segments", block_title)

    def __call__(self, model: str, segments: str, block: str) -> tuple[str, ...]:
        return (model, *((segments,) if self._with_segments else ()), *((block,) if self._with_block else ()))
