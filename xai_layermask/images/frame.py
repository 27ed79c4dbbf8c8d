"""`Frame`: the part of a photograph that a model sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from .resize import Size, placed, resized

__all__ = ["Frame"]

_LARGEST = 1 << 17  # pixels along a side

@dataclass(frozen=True)
class Frame:
    """The part of a photograph that a model sees, in pixels of the photograph.

    Attributes:
        size: `(height, width)` of the photograph, upright.
        box: `(top, left, bottom, right)` of the part.

    Example:
        >>> frame = Frame.of(300, 400, resize=150, crop=100)
        >>> frame
        Frame(size=(300, 400), box=(50.0, 100.0, 250.0, 300.0))
        >>> frame.cropped(np.arange(300 * 400).reshape(300, 400), 2, 2) // 400
        array([[100, 100],
               [200, 200]])
    """

    size: tuple[int, int]
    box: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", tuple(self.size))  # lists in JSON
        object.__setattr__(self, "box", tuple(self.box))
        sides = len(self.size) == 2 and all(isinstance(side, int) and 0 < side <= _LARGEST for side in self.size)
        ends = len(self.box) == 4 and all(isinstance(end, int | float) for end in self.box)
        if not (sides and ends and self._inside()):
            raise InputError.expected("a box inside a photograph for frame", f"{self.box} in {self.size}")

    def _inside(self) -> bool:
        top, left, bottom, right = self.box
        return 0 <= top < bottom <= self.size[0] + 0.01 and 0 <= left < right <= self.size[1] + 0.01

    @classmethod
    def of(cls, height: int, width: int, resize: Size | None, crop: Size | None) -> Frame:
        """The frame of a photograph that is resized, and cropped at the centre."""
        tall, wide = resized(height, width, resize, crop)
        top, left, bottom, right = placed(tall, wide, crop)
        down, along = height / tall, width / wide
        return cls((height, width), (top * down, left * along, bottom * down, right * along))

    def cropped(self, values: npt.ArrayLike, height: int, width: int) -> npt.NDArray[Any]:
        """Cut a map over the photograph to the part that the model sees, by nearest neighbours.

        Args:
            values: `(H, W)` over the photograph.
            height: Height of the result.
            width: Width of the result.

        Raises:
            InputError: If the map has another size than the photograph.
        """
        array = np.asarray(values)
        if array.shape != self.size:
            raise InputError.expected(f"a map of the photograph's size {self.size}", array.shape)
        top, left, bottom, right = self.box
        rows = _centres(top, bottom, height, self.size[0])
        columns = _centres(left, right, width, self.size[1])
        return array[rows[:, None], columns]

    def spread(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Place a map over the part that the model sees into the photograph.

        Args:
            values: `(h, w)`.

        Returns:
            `(H, W)` over the photograph, by nearest neighbours; nan outside of the part.
        """
        top, left, bottom, right = self.box
        spread = np.full(self.size, np.nan)
        rows, inside_rows = _places(top, bottom, values.shape[0], self.size[0])
        columns, inside_columns = _places(left, right, values.shape[1], self.size[1])
        spread[np.ix_(inside_rows, inside_columns)] = values[rows[:, None], columns]
        return spread


def _centres(start: float, end: float, count: int, size: int) -> npt.NDArray[np.int64]:
    """The pixel of the photograph under the centre of each of `count` pixels between start and end."""
    places = start + (np.arange(count) + 0.5) * (end - start) / count
    return np.clip(np.floor(places).astype(np.int64), 0, size - 1)


def _places(start: float, end: float, count: int, size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """The pixel of the part under the centre of each pixel of the photograph, and which of these lie in the part."""
    places = (np.arange(size) + 0.5 - start) * count / (end - start)
    inside = (places >= 0) & (places < count)
    return np.floor(places[inside]).astype(np.int64), inside
