"""Names of files in the tables of a dataset, which may come from anyone."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError

__all__ = ["inside", "is_text"]


def inside(root: Path, name: object) -> Path:
    """The path of a file that a table names.

    Links inside the folder are followed: a folder of pictures may be elsewhere.

    Args:
        root: The folder of the dataset.
        name: What the table says, relative to the folder.

    Raises:
        InputError: If it is not the name of a file inside the folder.

    Example:
        >>> inside(Path("photos"), "cats/a.jpg").as_posix()
        'photos/cats/a.jpg'
        >>> inside(Path("photos"), "../a.jpg")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected the name of a file inside the dataset's folder, got '../a.jpg': move \
or link the file into the folder
    """
    if isinstance(name, str) and is_text(name):
        path = Path(name)
        if path.parts and not path.is_absolute() and not path.drive and ".." not in path.parts:
            return root / path
    raise InputError.expected(
        "the name of a file inside the dataset's folder", repr(name), "move or link the file into the folder"
    )


def is_text(name: str) -> bool:
    r"""Whether a name is without control characters, and can be stored in UTF-8.

    Example:
        >>> is_text("caf\u00e9.jpg"), is_text("a\0.jpg"), is_text("\ud800.jpg")
        (True, False, False)
    """
    try:
        return not any(byte < 32 for byte in name.encode())  # ASCII only; other bytes are 128 and above
    except UnicodeEncodeError:  # a lone surrogate: a name that is no UTF-8
        return False
