"""Maps laid out flat, so that the neighbours of a cell stand at fixed distances from it.

Each row is followed by one cell that is nowhere, and each image by one such row: what reaches over an edge of the image
arrives there, and whole maps are combined by shifting them. A set of cells is one byte a cell in this layout.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

__all__ = ["Grid", "grid_of"]

#: The rows above, of, and below a cell; and in each row the cells left of, at, and right of it.
_NINE = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
#: For each set of nine cells, as bits, which of them it holds: nine bytes, of which the eight without the centre follow
#: each other, so that they can be moved as one number.
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
        # As many cells before and behind as the farthest neighbour is away.
        self._margin = self._row + 1
        count = batch * height * width
        kind = torch.int32 if count < 2**31 else torch.int64
        numbers = torch.zeros(self._length, dtype=kind, device=device)
        numbers.view(batch, height + 1, self._row)[:, :height, :width] = torch.arange(
            count, dtype=kind, device=device
        ).view(batch, height, width)
        self._numbers = numbers
        self._steps = torch.tensor([_NINE[i][0] * width + _NINE[i][1] for i in _EIGHT], dtype=kind, device=device)
        bits = (torch.arange(512)[:, None] >> torch.tensor(_EIGHT)) & 1
        self._members = bits.to(torch.uint8).view(torch.int64).flatten().to(device)
        self._counts = bits.sum(1).to(kind).to(device)
        self.everywhere = self.lay(torch.ones(batch, 1, height, width, dtype=torch.bool, device=device))

    def lay(self, cells: Tensor) -> Tensor:
        """Lay a set of cells out.

        Args:
            cells: Bool `(N, 1, H, W)`.

        Returns:
            uint8 `(length,)`, 1 for each cell of the set.
        """
        batch, height, width = self._shape
        flat = torch.zeros(self._length, dtype=torch.uint8, device=cells.device)
        flat.view(batch, height + 1, self._row)[:, :height, :width] = cells[:, 0]
        return flat

    def grown(self, flat: Tensor) -> Tensor:
        """The cells of a set and all their neighbours, also those that are nowhere."""
        rows = self._wide(flat)
        rows = rows[1:-1] | rows[:-2] | rows[2:]
        near = rows[: self._length] | rows[self._row : self._row + self._length]
        return near.bitwise_or_(rows[2 * self._row :])

    def numbered(self, flat: Tensor) -> tuple[Tensor, Tensor]:
        """Where the cells of a set are: their places in the layout, and their numbers `(n * H + h) * W + w`."""
        if flat.device.type == "cpu":
            # NumPy finds what is set several times faster than torch does.
            places = torch.from_numpy(np.flatnonzero(flat.numpy().view(np.bool_)))
        else:
            places = flat.nonzero().squeeze(1)
        return places, self._numbers.index_select(0, places)

    def neighbors(self, flat: Tensor, places: Tensor, numbers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find the neighbours in a set of cells outside of it.

        Args:
            flat: The set.
            places: `(M,)`, places of the cells, none of which is in the set.
            numbers: `(M,)`, their numbers.

        Returns:
            The numbers of the neighbours, cell after cell, `(E,)`; where each cell's begin, `(M,)`; and how many they
            are, `(M, 1)`.
        """
        wide = self._wide(flat)
        # Three neighbours in a row are three bits, three rows of them nine.
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
    """The layout for maps of one size, made once."""
    with torch.inference_mode(False):
        return Grid(batch, height, width, device)
