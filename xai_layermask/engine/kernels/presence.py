"""Numbers in the place of absent cells."""

from __future__ import annotations

import math

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import MOST, NUMBERS, WIDEST, on, precision_of

__all__ = ["replace_absent"]


@triton.jit(do_not_specialize=["total", "second", "third", "groups"])  # type: ignore[untyped-decorator]
def _replace(  # type: ignore[no-untyped-def]
    source, mask, found, total, second, third, groups, s0, s1, s2, m0, m1, m2, f0, f1, f2,
    NUMBER: tl.constexpr, BLOCK: tl.constexpr, LANES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Rows have three indices, whose steps in memory are `s`, `m` and `f`, and consist of groups of `LANES` numbers."""
    items = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    exists = items < total
    row = items // groups
    lanes = (items % groups)[:, None] * LANES + tl.arange(0, LANES)[None, :]
    i, j, k = row // (second * third), row // third % second, row % third
    present = tl.load(mask + i * m0 + j * m1 + k * m2, mask=exists, other=0) != 0
    x = tl.load(source + (i * s0 + j * s1 + k * s2)[:, None] + lanes, mask=present[:, None], other=0.0)
    kept = tl.where(present[:, None], x.to(PRECISION), tl.full((BLOCK, LANES), NUMBER, PRECISION))
    places = (i * f0 + j * f1 + k * f2)[:, None] + lanes
    tl.store(found + places, kept.to(found.dtype.element_ty), mask=exists[:, None])


def replace_absent(x: Tensor, mask: Tensor, number: float) -> Tensor | None:
    """Replace every absent cell by a number, where neighbours in memory are present together.

    Args:
        x: Any tensor.
        mask: Bool, broadcast over `x`.
        number: The number.

    Returns:
        A new tensor, laid out as `x`; None if its rows are not what the kernel reads.
    """
    lane = _lane(x, mask)
    if lane is None:
        return None
    found = torch.empty_like(x)
    outer = sorted((dim for dim in range(x.dim()) if dim != lane), key=x.stride, reverse=True)
    width, sizes = x.shape[lane], [x.shape[dim] for dim in outer]
    steps = [
        [0] * (3 - len(outer)) + [0 if one.shape[dim] == 1 else one.stride(dim) for dim in outer]
        for one in (x, mask, found)
    ]
    lanes = math.gcd(width, WIDEST)
    total, block = x.numel() // lanes, NUMBERS // lanes
    second, third = [1, 1, *sizes][-2:]
    with on(x.device):
        _replace[(triton.cdiv(total, block),)](
            x, mask.view(torch.uint8), found, total, second, third, width // lanes, *steps[0], *steps[1], *steps[2],
            NUMBER=number, BLOCK=block, LANES=lanes, PRECISION=precision_of(x.dtype),
        )  # fmt: skip
    return found


def _lane(x: Tensor, mask: Tensor) -> int | None:
    """The dimension of the rows, along which presence does not vary; None without one."""
    if x.dim() != mask.dim() or not 2 <= x.dim() <= 4 or not x.is_floating_point() or not x.numel():
        return None
    alike = all(size in (1, other) for size, other in zip(mask.shape, x.shape, strict=True))
    extent = sum((size - 1) * step for size, step in zip(x.shape, x.stride(), strict=True))
    if not alike or max(extent + 1, x.numel()) + NUMBERS >= MOST:
        return None
    zipped = enumerate(zip(x.shape, x.stride(), mask.shape, strict=True))
    return next((dim for dim, (size, step, other) in zipped if step == 1 < size and other == 1), None)
