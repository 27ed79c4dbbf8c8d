"""A part of the report: tables, figures, and what is missing; and the tables that every part has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from ...stats.intervals import NOTHING, Interval, estimate, paired
from ...stats.statistic import Difference, Statistic
from .series import Places, Series, Setup
from .tables import Entry, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DIFFERENCES", "Drawing", "Measure", "Section", "best", "comparisons", "missing", "pictures", "summary"]

DIFFERENCES = (
    "The same for every two maskings: the first minus the second, on the n pictures that both have. Bold: the interval "
    "does not hold 0."
)


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure with a caption.

    Attributes:
        name: What its files are called.
        caption: What it shows, in sentences, with the number of pictures.
        figure: The figure.
    """

    name: str
    caption: str
    figure: Figure


@dataclass(frozen=True, eq=False)
class Section:
    """What the report says of one protocol.

    Attributes:
        title: Its heading.
        text: What was measured, in sentences.
        tables: Its tables.
        drawings: Its figures.
        missing: What the store lacks, in sentences.
    """

    title: str
    text: str
    tables: tuple[Table, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Measure:
    """One number of a series.

    Attributes:
        title: What it is called in a table.
        of: The statistic of some pictures of a series, with one number.
        better: Which is better, "higher" or "lower"; "" where neither is.
    """

    title: str
    of: Callable[[Series, Places], Statistic]
    better: str = ""

    @property
    def head(self) -> str:
        """The title, with an arrow in the better direction."""
        return self.title + {"higher": " ↑", "lower": " ↓", "": ""}[self.better]


def summary(
    name: str, caption: str, setups: Sequence[Setup], measures: Mapping[str, Sequence[Measure]], block: str = ""
) -> Table:
    """Every measure of every series, with its interval.

    Args:
        name: What the table's files are called.
        caption: What it shows.
        setups: The setups.
        measures: The columns, for each block of rows the same number under the same titles.
        block: What the blocks are called; "" where there is only one, and no column for it.

    Returns:
        The table. Rows without any number are left out.
    """
    titles = [measure.head for measure in next(iter(measures.values()))]
    cut = _cut(setups)
    rows: list[tuple[Entry, ...]] = []
    for setup in setups:
        for segments in setup.segments:
            for label, columns in measures.items():
                for series in setup.of(segments):
                    numbers = [estimate(measure.of(series, None))[0] for measure in columns]
                    if any(number.n for number in numbers):
                        place = _place(setup.name, segments, label, cut, block)
                        rows.append((*place, series.masking, max(number.n for number in numbers), *numbers))
    return Table(name, caption, (*_place("model", "segments", block, cut, block), "masking", "n", *titles), tuple(rows))


def comparisons(
    name: str, caption: str, setups: Sequence[Setup], measures: Mapping[str, Sequence[Measure]], block: str = ""
) -> Table:
    """The difference of every two maskings on the pictures that both have, with its interval.

    Args:
        name: What the table's files are called.
        caption: What it shows.
        setups: The setups; maskings are compared within each.
        measures: The columns, for each block of rows the same number under the same titles.
        block: What the blocks are called; "" where there is only one, and no column for it.

    Returns:
        The table. It says how many pictures only one of the two has, which are left out, and its rows without any
        number are left out, too.
    """
    titles = [measure.head for measure in next(iter(measures.values()))]
    cut = _cut(setups)
    rows: list[tuple[Entry, ...]] = []
    for setup in setups:
        for segments in setup.segments:
            for label, columns in measures.items():
                for second, first in combinations(setup.of(segments), 2):
                    both = paired(first.pictures, second.pictures)
                    if not both.first:
                        continue
                    numbers = [_difference(measure, first, second, both.first, both.second) for measure in columns]
                    if any(number.n for number in numbers):
                        rows.append((
                            *_place(setup.name, segments, label, cut, block),
                            first.masking, second.masking, max(number.n for number in numbers),
                            both.only_first, both.only_second, *numbers,
                        ))
    header = (
        *_place("model", "segments", block, cut, block),
        "masking", "minus", "n", "only first", "only second", *titles,
    )
    return Table(name, caption, header, tuple(rows), bold_from=len(header) - len(titles))


def missing(setups: Sequence[Setup]) -> tuple[str, ...]:
    """What some series have and others lack.

    Args:
        setups: The setups.

    Returns:
        Sentences.
    """
    return tuple(sentence for setup in setups for sentence in setup.missing())


def best(setups: Sequence[Setup]) -> str:
    """What the best segments are called, by how many they were.

    Args:
        setups: At least one, of a protocol with the setting k.

    Returns:
        Such as "top-20", or "top-k" where the setups differ.
    """
    counts = {setup.identity.setting("k") for setup in setups}
    return f"top-{counts.pop()}" if len(counts) == 1 else "top-k"


def pictures(counts: Iterable[int]) -> str:
    """How many pictures several numbers are of, in words.

    Args:
        counts: At least one; 0 does not count.

    Returns:
        Such as "n = 40", or "n = 38 to 40" where they differ.

    Example:
        >>> pictures([40, 38, 0]), pictures([0])
        ('n = 38 to 40', 'n = 0')
    """
    found = sorted({int(count) for count in counts} - {0}) or [0]
    return f"n = {found[0]}" if len(found) == 1 else f"n = {found[0]} to {found[-1]}"


def _difference(
    measure: Measure, first: Series, second: Series, mine: Sequence[int], theirs: Sequence[int]
) -> Interval:
    """The difference on the pictures in which both have a number, which may be fewer than both have."""
    known = measure.of(first, mine).defined & measure.of(second, theirs).defined
    if not known.any():
        return NOTHING
    left, right = (
        measure.of(one, [place for place, keep in zip(places, known, strict=True) if keep])
        for one, places in ((first, mine), (second, theirs))
    )
    return estimate(Difference(left, right))[0]


def _cut(setups: Sequence[Setup]) -> bool:
    """Whether segments play a part, and need a column."""
    return any(segments for setup in setups for segments in setup.segments)


def _place(model: str, segments: str, label: str, cut: bool, block: str) -> tuple[str, ...]:
    return (model, *((segments,) if cut else ()), *((label,) if block else ()))
