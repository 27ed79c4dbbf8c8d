"""Tables of numbers with their intervals, as Markdown, CSV and HTML."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

from ...stats.intervals import Interval

__all__ = ["Entry", "Table"]

#: What stands in a table. An interval becomes one column in Markdown, and four in CSV.
Entry: TypeAlias = str | int | float | Interval

_NOTHING = "-"
_DIGITS = 3


@dataclass(frozen=True)
class Table:
    """A table with a caption.

    Attributes:
        name: What its files are called.
        caption: What it shows, in sentences.
        header: The names of the columns. A column "n" says of how many pictures a row is; intervals of fewer say so.
        rows: Entries, as many in each row as in the header.
        bold_from: Differences are bold where their interval does not hold 0, from this column on; None for never.
        shown: Whether it stands on the page, or is long and only linked.
    """

    name: str
    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]
    bold_from: int | None = None
    shown: bool = True

    def markdown(self) -> str:
        """The table as Markdown, without its caption.

        Example:
            >>> table = Table("t", "", ("masking", "n", "accuracy"), (("grey", 40, Interval(0.5, 0.35, 0.65, 38)),))
            >>> print(table.markdown())
            | masking | n | accuracy |
            | --- | ---: | ---: |
            | grey | 40 | 0.500 [0.350, 0.650] (n = 38) |
        """
        heads = [name.replace("|", "\\|") for name in self.header]
        rules = ["---:" if self._numeric(place) else "---" for place in range(len(self.header))]
        body = [
            [text.replace("|", "\\|") if not bold else f"**{text}**" for text, bold in self._texts(row)]
            for row in self.rows
        ]
        return "\n".join(f"| {' | '.join(line)} |" for line in [heads, rules, *body])

    def html(self) -> str:
        """The table as HTML, without its caption.

        Example:
            >>> print(Table("t", "", ("a", "b"), (("x", 1),)).html())
            <table><tr><th>a</th><th>b</th></tr>
            <tr><td>x</td><td class="number">1</td></tr></table>
        """
        heads = "".join(f"<th>{escape(name)}</th>" for name in self.header)
        lines = [f"<tr>{heads}</tr>"]
        for row in self.rows:
            cells = []
            for place, (text, bold) in enumerate(self._texts(row)):
                shown = f"<b>{escape(text)}</b>" if bold else escape(text)
                cells.append(f'<td class="number">{shown}</td>' if self._numeric(place) else f"<td>{shown}</td>")
            lines.append(f"<tr>{''.join(cells)}</tr>")
        return "<table>" + "\n".join(lines) + "</table>"

    def csv(self) -> str:
        """The table as CSV, with every digit; an interval is a value, its two ends and its number of pictures.

        Example:
            >>> table = Table("t", "", ("masking", "accuracy"), (("grey", Interval(0.5, 0.35, 0.65, 40)),))
            >>> print(table.csv().strip())
            masking,accuracy,accuracy low,accuracy high,accuracy n
            grey,0.5,0.35,0.65,40
        """
        spread = [self._interval(place) for place in range(len(self.header))]
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(
            [name + end for name, wide in zip(self.header, spread, strict=True)
             for end in (("", " low", " high", " n") if wide else ("",))]
        )
        for row in self.rows:
            cells: list[object] = []
            for entry, wide in zip(row, spread, strict=True):
                if isinstance(entry, Interval):
                    cells += [_exact(entry.value), _exact(entry.low), _exact(entry.high), entry.n]
                else:
                    cells += [_exact(entry) if isinstance(entry, float) else entry] + [""] * (3 if wide else 0)
            writer.writerow(cells)
        return buffer.getvalue()

    def _texts(self, row: Sequence[Entry]) -> list[tuple[str, bool]]:
        n = row[self.header.index("n")] if "n" in self.header else None
        return [
            (_text(entry, n), self.bold_from is not None and place >= self.bold_from and isinstance(entry, Interval)
             and _away(entry))
            for place, entry in enumerate(row)
        ]

    def _interval(self, place: int) -> bool:
        return any(isinstance(row[place], Interval) for row in self.rows)

    def _numeric(self, place: int) -> bool:
        return bool(self.rows) and not any(isinstance(row[place], str) for row in self.rows)


def _text(entry: Entry, n: Entry | None) -> str:
    if isinstance(entry, Interval):
        if math.isnan(entry.value):
            return _NOTHING
        ends = "" if math.isnan(entry.low) else f" [{_number(entry.low)}, {_number(entry.high)}]"
        few = "" if n is None or entry.n == n else f" (n = {entry.n})"
        return f"{_number(entry.value)}{ends}{few}"
    if isinstance(entry, float):
        return _NOTHING if math.isnan(entry) else _number(entry)
    return str(entry)


def _away(entry: Interval) -> bool:
    """Whether the interval does not hold 0, as far as its digits are shown."""
    return round(entry.low, _DIGITS) > 0 or round(entry.high, _DIGITS) < 0


def _number(value: float) -> str:
    """Some decimals, and no minus before 0."""
    return f"{round(value, _DIGITS) or 0.0:.{_DIGITS}f}"


def _exact(value: float) -> float | str:
    return "" if math.isnan(value) else value
