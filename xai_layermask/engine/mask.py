"""The presence mask of an activation, with a cache of what is derived from it.

A network has few different presence masks: a ResNet has one per stage. Masks and fill geometries derived from a
[`PresenceMask`][] are cached on it, so layers with the same presence share the same object and identity tests equality.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from .dense import DenseRings, Distances
from .padding import Pair, Rings, ring_geometry, window_sum
from .waiting import may_wait

__all__ = ["PresenceMask", "intersection", "joined", "same_cells", "union"]

T = TypeVar("T")


class PresenceMask:
    """Which cells of an activation are present.

    Args:
        mask: Bool, of the activation's rank; size 1 along dimensions in which presence does not vary, such as channels.
        inner: A presence that is known to be contained in this one.
        share: The share of the image under each cell that was present, float of the mask's shape; the mask if None.
        origin: Numbers of the mask's shape, equal where presence is known to be equal; None if nothing is known.
    """

    __slots__ = ("_memory", "inner", "mask", "origin", "share")

    def __init__(
        self,
        mask: Tensor,
        inner: PresenceMask | None = None,
        share: Tensor | None = None,
        origin: Tensor | None = None,
    ) -> None:
        self.mask = mask
        self.inner = inner
        self.share = share
        self.origin = origin
        self._memory: dict[Hashable, object] = {}

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """The cached result for `key`, computed on the first call."""
        if key not in self._memory:
            self._memory[key] = make()
        return self._memory[key]  # type: ignore[return-value]

    def contains(self, other: PresenceMask) -> bool:
        """Whether `other` is known to be a subset (False means unknown)."""
        here: PresenceMask | None = self
        while here is not None and here is not other:
            here = here.inner
        return here is not None

    def varies(self, dim: int) -> bool:
        """Whether presence may differ along a dimension of the activation."""
        return self.mask.shape[dim] > 1

    def with_origin(self, origin: Tensor | None) -> PresenceMask:
        """The same cells with another origin, which must not depend on whether two masks happen to be equal."""
        if self.origin is origin:
            return self
        key = ("origin", None if origin is None else id(origin))
        return self.cached(key, lambda: PresenceMask(self.mask, self, self.share, origin))

    def moved(self, move: Callable[[Tensor], Tensor]) -> PresenceMask:
        """The presence after a function that moves or repeats cells of a float map; shares move with them."""
        share = None if self.share is None else move(self.share)
        return PresenceMask(move(self.mask.float()) > 0.5, share=share)

    def weights(self) -> Tensor:
        """The share of each present cell; 0 for absent cells."""
        return self.mask.float() if self.share is None else self.share * self.mask

    def is_whole(self) -> bool:
        """Whether every cell is present."""
        return self.cached(("whole",), lambda: bool(self.mask.all()))

    def is_rectangle(self) -> bool:
        """Whether the present cells form the same rectangle in every image; for masks on the CPU."""

        def make() -> bool:
            places = self.mask.nonzero()[:, -2:]
            if not len(places):
                return True
            height, width = (places.amax(0) - places.amin(0) + 1).tolist()
            return bool(len(places) == height * width * self.mask[..., 0, 0].numel())

        return self.cached(("rectangle",), make)

    def on(self, device: torch.device) -> Tensor:
        """The mask on a device, copied once."""
        if self.mask.device == device:
            return self.mask

        def make() -> Tensor:
            with torch.inference_mode(False):
                return self.mask.to(device)

        return self.cached(("on", device), make)

    def one_channel(self, inside: PresenceMask) -> PresenceMask:
        """Presence of positions: absent if absent in any channel, or a border in all; `inside` is for a whole image."""
        if not self.varies(1):
            return self

        def make() -> tuple[PresenceMask, PresenceMask]:
            border = ~inside.on(self.mask.device)
            known = (self.mask | border).all(1, keepdim=True)
            share = None
            if self.share is not None:
                share = torch.where(border, 1.0, self.weights()).amin(1, keepdim=True)
            return PresenceMask(known & ~border.all(1, keepdim=True), share=share), inside

        return self.cached(("one channel", id(inside)), make)[0]

    def expanded(self, shape: Sequence[int]) -> PresenceMask:
        """The same presence expanded to the size of maps `(..., C, H, W)`, except for channels."""
        now = self.mask.shape
        if now[-1] == shape[-1] and now[-2] == shape[-2] and now[:-3] == tuple(shape[:-3]):
            return self
        sizes = (*shape[:-3], now[-3], *shape[-2:])
        share = None if self.share is None else self.share.expand(sizes)
        return self.cached(("expanded", sizes), lambda: PresenceMask(self.mask.expand(sizes), share=share))

    def with_borders(self, inside: object) -> PresenceMask:
        """Present cells and borders; a border is absent even in `inside`, the presence of a whole image."""
        if not isinstance(inside, PresenceMask) or inside.is_whole():
            return self

        def make() -> tuple[PresenceMask, PresenceMask]:
            border = ~inside.on(self.mask.device)
            share = None if self.share is None else torch.where(border, 1.0, self.share)
            return PresenceMask(self.mask | border, share=share), inside

        return self.cached(("known", id(inside)), make)[0]

    def window(
        self,
        kernel: Pair,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        size: Pair,
        threshold: float = 0.0,
        inside: Tensor | None = None,
        soft: bool = False,
    ) -> PresenceMask:
        """The presence after a window operator, `(N, 1, h, w)`: windows with enough present cells.

        Args:
            kernel: Window height and width, in cells.
            stride: Step between windows, in cells.
            padding: How far the first window extends beyond the image, in cells.
            dilation: Distance between the cells of a window.
            size: Output height and width.
            threshold: The fraction of a window's cells inside the image that must be present; 0 for at least one cell.
            inside: For each window, its number of cells inside the image; required with a threshold or `soft`.
            soft: Whether the result keeps the mean share of each window.
        """
        if kernel == (1, 1) and stride == (1, 1) and padding == (0, 0):
            return self
        geometry = (kernel, stride, padding, dilation, size)
        centred = all(k % 2 and 2 * p == d * (k - 1) for k, p, d in zip(kernel, padding, dilation, strict=True))
        point = kernel == (1, 1)

        def make() -> PresenceMask:
            # Centres that are found by another window would lose their shares.
            kept = centred and not point and (stride == (1, 1) or not soft)
            centres = self.centres(stride, size) if kept else None
            if inside is None:
                return PresenceMask(window_sum(self.mask, *geometry), centres)
            cells = inside.clamp(min=1)
            weights = window_sum(self.weights(), *geometry) / cells if soft else None
            if not threshold:
                return PresenceMask(window_sum(self.mask, *geometry), centres, weights)
            share = window_sum(self.mask.float(), *geometry) / cells
            # The quotient is inexact: 3 of 10 cells must reach a threshold of 0.3.
            return PresenceMask((share >= threshold - 1e-6) & (share > 0), share=weights)

        return self.cached(("window", *geometry, threshold, soft), make)

    def centres(self, stride: Pair, size: Pair) -> PresenceMask:
        """The presence of the centres of windows that are padded by half their size."""
        return self.window((1, 1), stride, (0, 0), (1, 1), size)

    def rings(
        self, wanted: PresenceMask | int, shape: Sequence[int], inside: PresenceMask | None = None
    ) -> Rings | DenseRings:
        """The geometry that fills absent cells of a map, within `inside`.

        Args:
            wanted: The cells to fill, `(N, 1, H, W)`; or how many rings, so that no mask need be read.
            shape: Shape of the map.
            inside: The cells of the image without borders.
        """
        image = None if inside is None or inside.is_whole() else inside.expanded(shape)

        def make() -> tuple[Rings, object, object]:
            # Keep the objects alive whose ids are in the key.
            cells = wanted.mask if isinstance(wanted, PresenceMask) else None
            within = None if image is None else image.on(self.mask.device)
            return ring_geometry(self.expanded(shape).mask, cells, inside=within), wanted, inside

        if isinstance(wanted, PresenceMask):
            return self.cached(("ring_geometry", id(wanted), id(inside)), make)[0]
        if image is None or image.is_rectangle():
            return self._distances(shape, image).rings(wanted)
        return self.cached(("ring_geometry", *shape[-2:], id(inside)), make)[0]

    def _distances(self, shape: Sequence[int], image: PresenceMask | None) -> Distances:
        def make() -> tuple[Distances, PresenceMask | None]:
            within = None if image is None else image.on(self.mask.device)
            return Distances(self.expanded(shape).mask, within), image

        return self.cached(("distances", *shape[-2:], id(image)), make)[0]


def same_cells(a: Tensor, b: Tensor) -> bool:
    """Whether two masks are equal, if that can be known without waiting for a device; otherwise False."""
    return a.shape == b.shape and may_wait(a.device) and torch.equal(a, b)


def intersection(a: PresenceMask, b: PresenceMask) -> PresenceMask:
    """Intersection, with the smaller share of each cell; returns an operand unchanged if it is the subset."""
    soft = a is not b and (a.share is not None or b.share is not None)
    if not soft and a.contains(b):
        return b
    if not soft and b.contains(a):
        return a

    def make() -> tuple[PresenceMask, PresenceMask]:
        mask = a.mask & b.mask
        if soft:  # equal cells may have unequal shares
            return PresenceMask(mask, share=torch.minimum(a.weights(), b.weights())), b
        for one in (a, b):
            if same_cells(mask, one.mask):
                return one, b
        return PresenceMask(mask), b

    return a.cached(("intersection", id(b)), make)[0]


def union(a: PresenceMask, b: PresenceMask) -> PresenceMask:
    """Union; returns an operand unchanged if it is the superset."""
    if a.contains(b):
        return a
    if b.contains(a):
        return b
    return a.cached(("union", id(b)), lambda: (PresenceMask(a.mask | b.mask), b))[0]


def joined(operands: Sequence[tuple[PresenceMask, PresenceMask]]) -> PresenceMask:
    """Presence of an elementwise combination of activations: present where every operand is present.

    Borders are neutral: where one operand has a border, the other operands decide. The result has a border only where
    every operand has one.

    Args:
        operands: For each activation, its presence in this batch and in a whole image.

    Example:
        >>> padded = PresenceMask(torch.tensor([[[[False, True, False]]]]))  # a border on the left, absent on the right
        >>> image = PresenceMask(torch.tensor([[[[True, True, False]]]]))
        >>> inside = PresenceMask(torch.tensor([[[[False, True, True]]]]))
        >>> whole = PresenceMask(torch.ones(1, 1, 1, 3, dtype=torch.bool))
        >>> joined([(padded, inside), (image, whole)]).mask.tolist()
        [[[[True, True, False]]]]
    """
    (first, inside), *others = operands
    if all(one is inside or (one.is_whole() and inside.is_whole()) for _, one in others):
        for cells, _ in others:
            first = intersection(first, cells)
        same = all(cells.origin is operands[0][0].origin for cells, _ in others)
        return first.with_origin(operands[0][0].origin if same else None)
    known = first.with_borders(inside)
    for cells, one in others:
        known, inside = intersection(known, cells.with_borders(one)), union(inside, one)
    if inside.is_whole():
        return known
    mask = inside.on(known.mask.device)
    return known.cached(("inside", id(inside)), lambda: (PresenceMask(known.mask & mask, share=known.share), inside))[0]
