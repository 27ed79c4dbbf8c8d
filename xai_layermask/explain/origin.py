"""Whether this program wrote a file, and may replace it."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

from ..catalog import PROGRAM

__all__ = ["is_replaceable"]

_READ = 1 << 16  # bytes at both ends of a file, where its origin is recorded
_NAME = rf"{PROGRAM}(?: [0-9][0-9a-z.+]*)?"  # the version follows
_MARKS = {
    ".png": rf"^\x89PNG.*tEXtSoftware\x00{PROGRAM}",
    ".svg": rf"^<\?xml.*<dc:title>{_NAME}<",
    ".pdf": rf"^%PDF.*/Creator \({_NAME}\)",
    ".html": rf'^<!DOCTYPE html>.*<meta name="generator" content="{_NAME}">',
    ".json": rf'^\s*{{\s*"format": "{PROGRAM} ',
}


def is_replaceable(path: str | os.PathLike[str]) -> bool:
    """Whether a path may be overwritten: there is no file, it is empty, or this program wrote it.

    Args:
        path: Path of a figure, a page, an explanation or the results of the benchmark, by its suffix.

    Example:
        >>> is_replaceable("no such file.png")
        True
    """
    name = Path(path)
    if not os.path.exists(name):
        return True
    if not os.path.isfile(name):
        return False  # reading from a pipe or a device could wait for ever
    try:
        with name.open("rb") as file:
            start = file.read(_READ)
            file.seek(max(len(start), os.path.getsize(name) - _READ))
            end = file.read(_READ)
    except OSError:
        return False
    if not start:
        return True
    if name.suffix.lower() == ".npz":
        return _holds_explanation(name)
    mark = _MARKS.get(name.suffix.lower())
    return mark is not None and re.search(mark.encode("latin-1"), start + end, re.DOTALL) is not None


def _holds_explanation(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive, archive.open("words.npy") as words:
            return f"{PROGRAM} ".encode("utf-32-le") in words.read(_READ)
    except Exception:  # zipfile and its decompressors may raise anything
        return False
