"""The folder of a report: new, or that of an earlier report. Files of other programs are never overwritten."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ...errors import InputError
from ...explain import is_replaceable

__all__ = ["check_folder"]

_PAGES = ("index.html", "index.md")


def check_folder(out: str | os.PathLike[str], overwrite: bool = False, files: Iterable[Path] = ()) -> Path:
    """Check before a long computation that a report can be written.

    Args:
        out: The folder.
        overwrite: Whether files of others may be overwritten.
        files: Further files to write; without them, only the pages are checked.

    Returns:
        The folder.

    Raises:
        InputError: If the name is empty, the folder cannot be written, or a file of another program would be
            overwritten.

    Example:
        >>> check_folder("")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected the name of a folder for out, got '': use '.' for the current folder
    """
    if not os.fspath(out) or "\0" in str(out):
        raise InputError.expected("the name of a folder for out", repr(str(out)), "use '.' for the current folder")
    folder = Path(out)
    existing = Path(os.path.realpath(folder))
    while not os.path.exists(existing):
        existing = existing.parent
    if not os.path.isdir(existing) or not os.access(existing, os.W_OK):
        raise InputError.expected(
            "a folder that can be written for out", repr(str(folder)), f"check {str(existing)!r}"
        )
    wanted = [folder / name for name in _PAGES] + list(files)
    found = next((path for path in wanted if os.path.lexists(path)), None)
    # Tables carry no mark of their own: the page of a report stands for all of its files.
    ours = os.path.isfile(folder / _PAGES[0]) and is_replaceable(folder / _PAGES[0])
    if found is not None and not ours and not overwrite:
        raise InputError.expected(
            "a new folder or that of an earlier report for out",
            f"{str(folder)!r}, whose {found.relative_to(folder).as_posix()!r} another program wrote",
            "choose another folder, or overwrite it with --overwrite",
        )  # fmt: skip
    return folder
