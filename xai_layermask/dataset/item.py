"""`Item` and `Dataset`: pictures with what is known about them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..errors import InputError, reason
from ..images.read import read_image

__all__ = ["Dataset", "Item", "Mask"]

_DIGITS = 16


class Mask(Protocol):
    """Where the object of a picture is, wherever that is written down."""

    def read(self, height: int, width: int) -> npt.NDArray[np.float64]:
        """Give the mask of a picture of `height` x `width` pixels: float64 `(height, width)`, 1 is the object."""
        ...

    def fingerprint(self) -> bytes:
        """Everything that determines it."""
        ...


@dataclass(frozen=True)
class Item:
    """A picture of a dataset.

    Attributes:
        name: Different for each item of the dataset: its path inside it, with "/".
        path: The file.
        label: Its class, an index into ImageNet's 1000 (or whatever classes the model has); None if unknown.
        source: Where its object mask comes from; None if it has none.
    """

    name: str
    path: Path
    label: int | None = None
    source: Mask | None = None

    def picture(self) -> npt.NDArray[np.uint8]:
        """Read the picture: uint8 `(H, W, 3)`.

        Raises:
            InputError: If it cannot be read.
        """
        return read_image(self.path)

    def mask(self) -> npt.NDArray[np.float64] | None:
        """Read the object mask.

        Returns:
            float64 `(H, W)` over the whole picture, from 0 to 1, 1 is the object; None if there is none.

        Raises:
            InputError: If the mask or the picture cannot be read, or their sizes differ.
        """
        if self.source is None:
            return None
        height, width = self.picture().shape[:2]
        found = self.source.read(height, width)
        if found.shape != (height, width):
            raise InputError(
                f"the mask of {self.name!r} must have the picture's size, {height} x {width}, but "
                f"{' x '.join(map(str, found.shape))} came: make it anew for this picture."
            )
        return found

    def digest(self) -> str:
        """A fingerprint of picture, mask and label: 16 hexadecimal digits.

        Raises:
            InputError: If a file cannot be read.
        """
        found = hashlib.sha256()
        try:
            parts = (self.path.read_bytes(), b"" if self.source is None else self.source.fingerprint())
        except OSError as error:
            raise InputError(
                f"the files of {self.name!r} must be readable, but they are not ({reason(error)}): check them."
            ) from error
        for part in (*parts, str(self.label).encode()):
            found.update(len(part).to_bytes(8, "big") + part)
        return found.hexdigest()[:_DIGITS]


@dataclass(frozen=True)
class Dataset:
    """Pictures, in a fixed order.

    Attributes:
        name: The folder's name.
        items: The pictures.
        skipped: A sentence for each item that is wrong: which, and what is wrong with it.
    """

    name: str
    items: tuple[Item, ...]
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.items)
