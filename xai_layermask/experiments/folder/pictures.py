"""The pictures in a folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ...errors import InputError
from ...images import read_file

__all__ = ["STORE", "digest_file", "list_pictures"]

#: The file that marks a folder of results.
STORE = "explanations.db"

_ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".npy", ".png", ".ppm", ".tif", ".tiff", ".webp"}
_MASK = "_mask"


def list_pictures(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> dict[str, Path]:
    """Find the pictures in a folder and its subfolders, by their suffixes.

    Hidden files, object masks (NAME_mask.png beside NAME.jpg), and folders of results, of any run, are left out.

    Args:
        folder: The folder.
        out: The folder of the results.

    Returns:
        Paths by name, which is relative to the folder, in alphabetical order.

    Raises:
        InputError: If there is no such folder, or no picture in it.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("b.png", "a.jpg", "a_mask.png", "notes.txt"):
        ...         _ = Path(folder, name).write_bytes(b"")
        ...     list(list_pictures(folder, f"{folder}/out"))
        ['a.jpg', 'b.png']
    """
    root, results = Path(folder), os.path.realpath(out)
    if not os.path.isdir(root):
        raise InputError.expected("an existing folder of pictures", repr(str(folder)))
    found: dict[str, Path] = {}
    for place, folders, files in os.walk(root):
        folders[:] = sorted(
            name for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) != results
        )
        if STORE in files:
            folders.clear()
            continue
        if os.path.realpath(place) == results:
            continue  # the pictures lie beside their results
        stems = {os.path.splitext(name)[0] for name in files}
        for name in files:
            stem, suffix = os.path.splitext(name)
            is_mask = stem.endswith(_MASK) and stem.removesuffix(_MASK) in stems
            if suffix.lower() in _ENDINGS and not name.startswith(".") and not is_mask:
                path = Path(place, name)
                found[path.relative_to(root).as_posix()] = path
    if not found:
        raise InputError.expected(f"pictures in the folder ({', '.join(sorted(_ENDINGS))})", f"none in {str(folder)!r}")
    return dict(sorted(found.items()))


def digest_file(path: Path) -> str:
    """16 hexadecimal digits of a file's content.

    Raises:
        InputError: If it cannot be read.
    """
    return hashlib.sha256(read_file(path)).hexdigest()[:16]
