"""Output files: checked before anything is computed. Files that other programs wrote are replaced only on request."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..errors import InputError, choose, reason

__all__ = ["check_outputs", "writing"]

_ROOM = 1 << 20  # bytes that must be free before a computation starts
_NEAR = 0.6  # similarity of suffixes: .gif is not a mistyped .svg


def check_outputs(paths: Sequence[str], suffixes: Sequence[str], overwrite: bool, option: str = "--out") -> None:
    """Check before a long computation that its results can be written.

    Args:
        paths: Files to write.
        suffixes: Supported suffixes, such as ".png".
        overwrite: Whether files that another program wrote may be replaced.
        option: The option that names the files.

    Raises:
        InputError: If a suffix is not supported, a file cannot be written there, or one of another program would be
            overwritten.
    """
    for path in paths:
        choose(os.path.splitext(path)[1].lower(), suffixes, f"the suffix of {path!r}", None, _NEAR)
        if "\0" in path:
            raise InputError.expected(f"the name of a file for {option}", repr(path))
        place = os.path.realpath(path)  # of a link, its target
        folder = os.path.dirname(place)
        if not os.path.isdir(folder):
            raise InputError.expected(f"a path in an existing folder for {option}", repr(path), f"create {folder!r}")
        if os.path.isdir(place):
            raise InputError.expected(f"a file for {option}", f"the folder {path!r}", "add a file name")
        if not os.access(place if os.path.exists(place) else folder, os.W_OK):
            raise InputError.expected(f"a file that can be written for {option}", repr(path), "check its permissions")
        if shutil.disk_usage(folder).free < _ROOM:
            raise InputError.expected(f"free space for {option}", f"a full disk at {path!r}", "make room")
        if os.path.exists(place) and not overwrite:
            _check_origin(path, option)


def _check_origin(path: str, option: str) -> None:
    from ..explain import is_replaceable

    if not is_replaceable(path):
        # `explain --out a.npz photo.png` would overwrite the picture that it was meant to explain.
        raise InputError.expected(
            f"a new file or an earlier result for {option}", f"{path!r}, which another program wrote",
            "put IMAGE before --out, choose another name, or replace it with --overwrite",
        )  # fmt: skip


@contextmanager
def writing(path: str, option: str = "--out") -> Iterator[None]:
    """Name the file in errors of writing it, such as a full disk."""
    try:
        yield
    except OSError as error:
        got = f"{path!r} ({error.strerror or reason(error)})"
        raise InputError.expected(f"a file that can be written for {option}", got) from error
