"""Arrays from `.npz` files, which may be hostile: limits are checked before anything is allocated."""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["read_arrays"]

_LARGEST = 1 << 30  # bytes of all arrays in a file
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_arrays(data: bytes, names: Iterable[str], optional: Collection[str] = ()) -> dict[str, npt.NDArray[Any]]:
    """Read arrays from the content of an `.npz` file. Sizes are checked before anything is allocated.

    Args:
        data: The file.
        names: Which arrays.
        optional: Those of them that may be missing.

    Raises:
        Exception: Anything, if the file is damaged or something else.
    """
    found: dict[str, npt.NDArray[Any]] = {}
    left = _LARGEST
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = set(archive.namelist())
        for name in names:
            if name in optional and f"{name}.npy" not in members:
                continue
            with archive.open(f"{name}.npy") as member:
                content = member.read(left + 1)  # no more, whatever the directory of the archive claims
            left -= len(content)
            if left < 0:
                raise ValueError(f"more than {_LARGEST} bytes")
            found[name] = _array(content)
    return found


def _array(content: bytes) -> npt.NDArray[Any]:
    file = io.BytesIO(content)
    shape, by_columns, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
    start = file.tell()
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(content) - start:
        raise ValueError("an array of another size than its header says")
    return np.frombuffer(content, dtype, offset=start).reshape(shape, order="F" if by_columns else "C")
