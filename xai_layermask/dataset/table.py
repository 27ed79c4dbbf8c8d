"""CSV files as people and spreadsheets write them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError, reason

__all__ = ["table"]


def table(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    r"""Read some columns of a CSV file.

    A byte order mark at its start, as spreadsheets write it, and blanks around names and values count for nothing.

    Args:
        path: The file, in UTF-8, with the names of its columns in the first line.
        columns: Those that it must have; others are left alone.

    Returns:
        For every row the line that it ends on, counted from 1, and its values in these columns, "" where it has none.

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
        raise InputError(
            f"{str(path)!r} must be a CSV file with the columns {wanted}, but it cannot be read so ({reason(error)}): "
            "save it again as CSV in UTF-8."
        ) from error
    if not set(columns) <= set(heads):
        raise InputError(
            f"{str(path)!r} must have the columns {wanted}, but {', '.join(heads) or 'nothing'} came: name them in its "
            "first line, with commas in between."
        )
    places = {name: heads.index(name) for name in columns}
    return [
        (line, {name: row[place] if place < len(row) else "" for name, place in places.items()}) for line, row in rows
    ]
