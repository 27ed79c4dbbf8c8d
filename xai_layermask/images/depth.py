"""Integers and windows of values as brightness from 0 to 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, check_integer

__all__ = ["Depth", "windowed"]

_DEPTHS = (8, 10, 12, 14, 16)


class Depth:
    """How many bits of 16-bit integers are used: cameras and scanners store 10, 12 or 14 bits in 16.

    Args:
        bits: The number of bits of white; if None, the smallest of 8, 10, 12, 14 and 16 that holds all values.

    Attributes:
        note: A remark about the data, such as how many bits are used; may be empty.

    Raises:
        InputError: If `bits` is not an integer from 1 to 16.

    Example:
        >>> depth = Depth()
        >>> depth.fractions(np.array([0, 4095], np.uint16)).tolist(), depth.note
        ([0.0, 1.0], '12 of 16 bits used: 4095 is white')
    """

    def __init__(self, bits: int | None = None) -> None:
        self.bits = None if bits is None else check_integer(bits, "bits", 1, 16)
        self.note = ""

    def fractions(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Values from 0 to 1, with 1 for white.

        Args:
            values: Unsigned integers of 16 bits, with at least one element.

        Raises:
            InputError: If a value needs more bits.
        """
        highest = int(values.max())
        bits = self.bits or next(one for one in _DEPTHS if highest < 2**one)
        if highest >= 2**bits:
            raise InputError.expected(f"values below {2**bits} in image for bits={bits}", highest)
        if bits < 16 and highest:
            self.note = f"{bits} of 16 bits used: {2**bits - 1} is white"
        fractions: npt.NDArray[np.float64] = values / float(2**bits - 1)
        return fractions


def windowed(values: npt.NDArray[Any], window: tuple[float, float]) -> npt.NDArray[np.float64]:
    """Scale a window of values to 0..1, as radiologists do; what lies outside becomes black or white.

    This is the function LINEAR_EXACT of DICOM (PS3.3, C.11.2.1.3.2).

    Args:
        values: Numbers of any type and shape.
        window: Centre and width, in units of the values.

    Example:
        >>> windowed(np.array([-1000.0, -60.0, 40.0, 240.0]), (40, 400)).tolist()
        [0.0, 0.25, 0.5, 1.0]
    """
    centre, width = window
    return np.clip((values.astype(np.float64) - centre) / width + 0.5, 0.0, 1.0)
