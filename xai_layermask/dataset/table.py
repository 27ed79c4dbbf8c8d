"""CSV files written by hand or by spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError, reason

__all__ = ["table"]


def table(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    r"""Read some columns of a CSV file.

    A byte order mark, as spreadsheets write it, and blanks around names and values are ignored.

    Args:
        path: The file, in UTF-8, with the names of its columns in the first line.
        columns: Required columns; others are ignored.

    Returns:
        For each row the line on which it ends, counted from 1, and its values in these columns, "" if missing.

    Raises:
        InputError: If the file cannot be read, or lacks a column.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "labels.csv")
        ...     _ = file.write_text("\ufeffimage, class_index\ncat.jpg, 281\n\ndog.jpg\n", "utf-8")
        ...     table(file, ("image", "class_index"))
        [(2, {'image': 'cat.jpg', 'class_index': '281'}), (4, {'image': 'dog.jpg', 'class_index': ''})]
    """
    wanted = " and ".join(columns)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            heads = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, [value.strip() for value in row]) for row in reader if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError.expected(
            f"a CSV file in UTF-8 with the columns {wanted} at {str(path)!r}", f"an unreadable one ({reason(error)})"
        ) from error
    if not set(columns) <= set(heads):
        raise InputError.expected(
            f"the columns {wanted} in the first line of {str(path)!r}", ", ".join(heads) or "nothing"
        )
    places = {name: heads.index(name) for name in columns}
    return [
        (line, {name: row[place] if place < len(row) else "" for name, place in places.items()}) for line, row in rows
    ]
