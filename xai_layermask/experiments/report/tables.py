"""`Table`: numbers with their intervals, as Markdown and CSV."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from ...stats import Interval

__all__ = ["FEW", "Cell", "Entry", "Table"]

#: An entry of a table. An interval is one column in Markdown and HTML, and four in CSV.
Entry: TypeAlias = str | int | float | Interval

_NOTHING = "-"
_DIGITS = 3
#: With fewer pictures an interval is too narrow to be shown.
FEW = 10


class Cell(NamedTuple):
    """An entry as text."""

    text: str
    bold: bool = False
    numeric: bool = False


@dataclass(frozen=True)
class Table:
    """A table with a caption.

    Attributes:
        name: File name, without a suffix.
        caption: What it shows.
        header: Titles of the columns. The column "n" is the number of pictures of a row; intervals over fewer show it.
        rows: Entries, as many in each row as in the header.
        bold_from: From this column on, intervals that do not contain 0 are bold; None for never. Values of fewer than
            ten pictures have no interval, but in CSV.
        shown: Whether the page shows the table, or only links to it.
    """

    name: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    bold_from: int | None = None
    shown: bool = True

    def cells(self) -> list[list[Cell]]:
        """The rows as text."""
        numeric = [self._numeric(place) for place in range(len(self.header))]
        return [
            [
                Cell(text, bold, number)
                for (text, bold), number in zip(self._texts(row), numeric, strict=True)
            ]
            for row in self.rows
        ]

    def markdown(self) -> str:
        """The table as Markdown, without its caption.

        Example:
            >>> table = Table("t", "", ("masking", "n", "accuracy"), (("grey", 40, Interval(0.5, 0.35, 0.65, 38)),))
            >>> print(table.markdown())
            | masking | n | accuracy |
            | --- | ---: | ---: |
            | grey | 40 | 0.500 [0.350, 0.650] (n = 38) |
        """
        titles = [_escape(title) for title in self.header]
        rules = ["---:" if self._numeric(place) else "---" for place in range(len(self.header))]
        body = [[f"**{_escape(cell.text)}**" if cell.bold else _escape(cell.text) for cell in row]
                for row in self.cells()]
        return "\n".join(f"| {' | '.join(line)} |" for line in [titles, rules, *body])

    def csv(self) -> str:
        """The table as CSV with all digits; an interval is a value, its two ends and its number of pictures.

        Example:
            >>> table = Table("t", "", ("masking", "accuracy"), (("grey", Interval(0.5, 0.35, 0.65, 40)),))
            >>> print(table.csv().strip())
            masking,accuracy,accuracy low,accuracy high,accuracy n
            grey,0.5,0.35,0.65,40
        """
        wide = [any(isinstance(row[place], Interval) for row in self.rows) for place in range(len(self.header))]
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        ends = ("", " low", " high", " n")
        writer.writerow(
            [title + end for title, four in zip(self.header, wide, strict=True) for end in (ends if four else ("",))]
        )
        for row in self.rows:
            cells: list[object] = []
            for entry, four in zip(row, wide, strict=True):
                if isinstance(entry, Interval):
                    cells += [_exact(entry.value), _exact(entry.low), _exact(entry.high), entry.n]
                else:
                    cells += [_exact(entry) if isinstance(entry, float) else entry] + [""] * (3 if four else 0)
            writer.writerow(cells)
        return buffer.getvalue()

    def _texts(self, row: Sequence[Entry]) -> list[tuple[str, bool]]:
        n = row[self.header.index("n")] if "n" in self.header else None
        first = len(row) if self.bold_from is None else self.bold_from
        return [
            (_text(entry, n), place >= first and isinstance(entry, Interval) and _excludes_0(entry))
            for place, entry in enumerate(row)
        ]

    def _numeric(self, place: int) -> bool:
        return bool(self.rows) and not any(isinstance(row[place], str) for row in self.rows)


def _text(entry: Entry, n: Entry | None) -> str:
    if isinstance(entry, Interval):
        if math.isnan(entry.value):
            return _NOTHING
        ends = "" if math.isnan(entry.low) or entry.n < FEW else f" [{_number(entry.low)}, {_number(entry.high)}]"
        few = "" if n is None or entry.n == n else f" (n = {entry.n})"
        return f"{_number(entry.value)}{ends}{few}"
    if isinstance(entry, float):
        return _NOTHING if math.isnan(entry) else _number(entry)
    return str(entry)


def _escape(text: str) -> str:
    return text.replace("|", "\\|")


def _excludes_0(entry: Interval) -> bool:
    """Whether the interval does not contain 0, to the digits that are shown."""
    return entry.n >= FEW and (round(entry.low, _DIGITS) > 0 or round(entry.high, _DIGITS) < 0)


def _number(value: float) -> str:
    """Rounded, without a minus sign before 0."""
    return f"{round(value, _DIGITS) or 0.0:.{_DIGITS}f}"


def _exact(value: float) -> float | str:
    return "" if math.isnan(value) else value
