"""`Item` and `Dataset`: pictures with their labels and object masks."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import InputError, reason
from ..images import decode_image, read_file
from .masks import ReadFile

__all__ = ["Dataset", "Item", "Mask", "OpenItem"]

_DIGITS = 16


class Mask(Protocol):
    """The object mask of a picture, however it is stored."""

    def read(self, height: int, width: int, read_file: ReadFile = read_file) -> npt.NDArray[np.float64]:
        """Read the mask of a picture of `height` x `width` pixels: float64 `(height, width)`, 1 is the object."""
        ...

    def fingerprint(self, read_file: ReadFile = read_file) -> bytes:
        """Everything that determines the mask."""
        ...


@dataclass(frozen=True)
class Item:
    """A picture of a dataset.

    Attributes:
        name: Unique name in the dataset: its path inside it, with "/".
        path: The file.
        label: Its class, an index into ImageNet's 1000 (or the classes of the model); None if unknown.
        source: Its object mask; None if it has none.
    """

    name: str
    path: Path
    label: int | None = None
    source: Mask | None = None

    def open(self) -> OpenItem:
        """Open the item, to read its files once for all that is asked of it."""
        return OpenItem(self)

    def picture(self) -> npt.NDArray[np.uint8]:
        """Read the picture: uint8 `(H, W, 3)`.

        Raises:
            InputError: If it cannot be read.
        """
        return self.open().picture

    def mask(self) -> npt.NDArray[np.float64] | None:
        """Read the object mask: float64 `(H, W)` over the whole picture, from 0 to 1, 1 is the object; None if none.

        Raises:
            InputError: If the mask or the picture cannot be read, or their sizes differ.
        """
        return self.open().mask

    def digest(self) -> str:
        """Digest picture, mask and label: 16 hexadecimal digits.

        Raises:
            InputError: If a file cannot be read.
        """
        return self.open().digest


class OpenItem:
    """An item whose files are each read once, so that picture, mask and digest are of the same bytes."""

    def __init__(self, item: Item) -> None:
        self.item = item
        self._files: dict[Path, bytes] = {}

    @cached_property
    def picture(self) -> npt.NDArray[np.uint8]:
        """See [`Item.picture`][]."""
        return decode_image(self._file(self.item.path), str(self.item.path))

    @cached_property
    def mask(self) -> npt.NDArray[np.float64] | None:
        """See [`Item.mask`][]."""
        if self.item.source is None:
            return None
        height, width = self.picture.shape[:2]
        found = self.item.source.read(height, width, self._file)
        if found.shape != (height, width):
            raise InputError.expected(
                f"a mask of the picture's size, {height} x {width}, for {self.item.name!r}",
                " x ".join(map(str, found.shape)),
            )
        return found

    @cached_property
    def digest(self) -> str:
        """See [`Item.digest`][]."""
        item, digest = self.item, hashlib.sha256()
        mask = b"" if item.source is None else item.source.fingerprint(self._file)
        for part in (self._file(item.path), mask, str(item.label).encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()[:_DIGITS]

    def _file(self, path: Path) -> bytes:
        if path not in self._files:
            try:
                self._files[path] = path.read_bytes()
            except OSError as error:
                raise InputError.expected(f"readable files for {self.item.name!r}", reason(error)) from error
        return self._files[path]


@dataclass(frozen=True)
class Dataset:
    """Pictures in a fixed order.

    Attributes:
        name: The folder's name.
        items: The pictures.
        skipped: The error message of each invalid item.
    """

    name: str
    items: tuple[Item, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)
