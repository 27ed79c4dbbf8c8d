"""A flat layout of maps in which the neighbours of a cell are at fixed offsets.

Each row is followed by one padding cell, and each image by one padding row, so neighbours outside the image fall on
padding. Maps can then be combined by shifting them as a whole. A set of cells takes one byte per cell.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

__all__ = ["Grid", "grid_of"]

#: Row and column offsets of the 3 x 3 neighbourhood.
_NINE = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
#: Positions of the eight neighbours among the nine.
_EIGHT = tuple(place for place in range(9) if place != 4)


class Grid:
    """The flat layout of maps of one size.

    Args:
        batch: N, how many maps.
        height: H, in cells.
        width: W, in cells.
        device: Where the maps are.
    """

    def __init__(self, batch: int, height: int, width: int, device: torch.device) -> None:
        self._shape = (batch, height, width)
        self._row = width + 1
        self._length = batch * (height + 1) * self._row
        # The offset of the farthest neighbour.
        self._margin = self._row + 1
        count = batch * height * width
        kind = torch.int32 if count < 2**31 else torch.int64
        numbers = torch.zeros(self._length, dtype=kind, device=device)
        numbers.view(batch, height + 1, self._row)[:, :height, :width] = torch.arange(
            count, dtype=kind, device=device
        ).view(batch, height, width)
        self._numbers = numbers
        self._steps = torch.tensor([_NINE[i][0] * width + _NINE[i][1] for i in _EIGHT], dtype=kind, device=device)
        # For each of the 512 patterns of nine bits: eight bytes, one per neighbour, packed into one integer.
        bits = (torch.arange(512)[:, None] >> torch.tensor(_EIGHT)) & 1
        self._members = bits.to(torch.uint8).view(torch.int64).flatten().to(device)
        self._counts = bits.sum(1).to(kind).to(device)
        self.everywhere = self.lay(torch.ones(batch, 1, height, width, dtype=torch.bool, device=device))

    def lay(self, cells: Tensor) -> Tensor:
        """Bring a set of cells, bool `(N, 1, H, W)`, to the flat layout: uint8 `(length,)`."""
        batch, height, width = self._shape
        flat = torch.zeros(self._length, dtype=torch.uint8, device=cells.device)
        flat.view(batch, height + 1, self._row)[:, :height, :width] = cells[:, 0]
        return flat

    def grown(self, flat: Tensor) -> Tensor:
        """The cells of a set and all their neighbours, including padding."""
        rows = self._wide(flat)
        rows = rows[1:-1] | rows[:-2] | rows[2:]
        near = rows[: self._length] | rows[self._row : self._row + self._length]
        return near.bitwise_or_(rows[2 * self._row :])

    def numbered(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """The cells of a set: positions in the layout, and indices `(n * H + h) * W + w`."""
        if flat.device.type == "cpu":
            # NumPy is several times faster than torch here.
            places = torch.from_numpy(np.flatnonzero(flat.numpy().view(np.bool_)))
        else:
            places = flat.nonzero().squeeze(1)
        return places, self._numbers.index_select(0, places)

    def neighbors(self, flat: Tensor, places: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find which neighbours of some cells are in a set.

        Args:
            flat: The set.
            places: `(M,)`, positions of the cells, none of which is in the set.
            numbers: `(M,)`, their indices.

        Returns:
            Indices of the neighbours, cell after cell, `(E,)`; the offset of each cell's first neighbour, `(M,)`; and
            the number of neighbours of each cell, `(M, 1)`.
        """
        wide = self._wide(flat)
        # Three bits per row; three rows make nine bits.
        triples = wide[:-2] | wide[1:-1] << 1 | wide[2:] << 2
        found = triples.index_select(0, places).int()
        for row in (1, 2):
            found |= triples[row * self._row :].index_select(0, places).int() << 3 * row
        counts = self._counts.index_select(0, found)
        held = self._members.index_select(0, found).view(torch.bool).view(-1, 8)
        around = numbers[:, None] + self._steps
        if flat.device.type == "cpu":
            near = torch.from_numpy(np.compress(held.numpy().ravel(), around.numpy().ravel()))
        else:
            near = around.masked_select(held)
        return near, counts.cumsum(0, dtype=counts.dtype) - counts, counts[:, None]

    def _wide(self, flat: Tensor) -> Tensor:
        wide = flat.new_zeros(self._length + 2 * self._margin)
        wide[self._margin : -self._margin] = flat
        return wide


@lru_cache(maxsize=32)
def grid_of(batch: int, height: int, width: int, device: torch.device) -> Grid:
    """The layout for maps of one size, cached."""
    with torch.inference_mode(False):
        return Grid(batch, height, width, device)
