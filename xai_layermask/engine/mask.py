"""The presence mask of an activation, with a cache of what is derived from it.

A network has few different presence masks: a ResNet has one per stage. Masks and fill geometries derived from a
[`PresenceMask`][] are cached on it, so layers with the same presence share the same object and identity tests equality.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from .padding import Pair, Rings, ring_geometry, window_sum

__all__ = ["PresenceMask", "intersection", "joined", "union"]

T = TypeVar("T")


class PresenceMask:
    """Which cells of an activation are present.

    Args:
        mask: Bool, of the activation's rank; size 1 along dimensions in which presence does not vary, such as channels.
        inner: A presence that is known to be contained in this one.
        share: The share of the image under each cell that was present, float of the mask's shape; the mask if None.
    """

    __slots__ = ("_memory", "inner", "mask", "share")

    def __init__(self, mask: Tensor, inner: PresenceMask | None = None, share: Tensor | None = None) -> None:
        self.mask = mask
        self.inner = inner
        self.share = share
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

    def weights(self) -> Tensor:
        """The share of each present cell; 0 for absent cells."""
        return self.mask.float() if self.share is None else self.share * self.mask

    def is_whole(self) -> bool:
        """Whether every cell is present."""
        return self.cached(("whole",), lambda: bool(self.mask.all()))

    def one_channel(self, inside: PresenceMask) -> PresenceMask:
        """Presence of positions: absent if absent in any channel, or a border in all; `inside` is of a whole image."""
        if not self.varies(1):
            return self

        def make() -> tuple[PresenceMask, PresenceMask]:
            border = ~inside.mask.to(self.mask.device)
            known = (self.mask | border).all(1, keepdim=True)
            return PresenceMask(known & ~border.all(1, keepdim=True)), inside

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
            border = ~inside.mask.to(self.mask.device)
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
        centred = all(
            s == 1 and 2 * p == d * (k - 1) and k % 2
            for k, s, p, d in zip(kernel, stride, padding, dilation, strict=True)
        )

        def make() -> PresenceMask:
            if inside is None:
                return PresenceMask(window_sum(self.mask, *geometry), self if centred else None)
            cells = inside.clamp(min=1)
            weights = window_sum(self.weights(), *geometry) / cells if soft else None
            if not threshold:
                return PresenceMask(window_sum(self.mask, *geometry), self if centred else None, weights)
            share = window_sum(self.mask.float(), *geometry) / cells
            # The quotient is inexact: 3 of 10 cells must reach a threshold of 0.3.
            return PresenceMask((share >= threshold - 1e-6) & (share > 0), share=weights)

        return self.cached(("window", *geometry, threshold, soft), make)

    def rings(self, wanted: PresenceMask, inside: PresenceMask | None = None) -> Rings:
        """The geometry that fills the absent cells of `wanted`, `(N, 1, H, W)`, within `inside`."""

        def make() -> tuple[Rings, PresenceMask, PresenceMask | None]:
            # Keep the objects alive whose ids are in the key.
            shape = wanted.mask.shape
            image = None if inside is None or inside.is_whole() else inside.expanded(shape).mask.to(self.mask.device)
            return ring_geometry(self.expanded(shape).mask, wanted.mask, inside=image), wanted, inside

        return self.cached(("ring_geometry", id(wanted), id(inside)), make)[0]


def intersection(a: PresenceMask, b: PresenceMask) -> PresenceMask:
    """Intersection; returns an operand unchanged if it is the subset."""
    if a.contains(b):
        return b
    if b.contains(a):
        return a

    def make() -> tuple[PresenceMask, PresenceMask]:
        mask = a.mask & b.mask
        for one in (a, b) if b.share is None else (b, a):
            if mask.shape == one.mask.shape and torch.equal(mask, one.mask):
                return one, b
        soft = a.share is not None or b.share is not None
        return PresenceMask(mask, share=torch.minimum(a.weights(), b.weights()) if soft else None), b

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
        return first
    known = first.with_borders(inside)
    for cells, one in others:
        known, inside = intersection(known, cells.with_borders(one)), union(inside, one)
    if inside.is_whole():
        return known
    mask = inside.mask.to(known.mask.device)
    return known.cached(("inside", id(inside)), lambda: (PresenceMask(known.mask & mask, share=known.share), inside))[0]
