"""What follows a convolution: its bias, the residual and the activation, in place."""

from __future__ import annotations

import math

import triton
import triton.language as tl
from torch import Tensor

from .launch import NUMBERS, WIDEST, on, precision_of

__all__ = ["finish"]


@triton.jit(do_not_specialize=["total", "width"])  # type: ignore[untyped-decorator]
def _finish(  # type: ignore[no-untyped-def]
    rows, bias, other, more, total, width,
    KIND: tl.constexpr, LOW: tl.constexpr, HIGH: tl.constexpr,
    BLOCK: tl.constexpr, LANES: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Rows consist of `width` groups of `LANES` channels, which are aligned, so that a thread reads them at once."""
    groups = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    lanes = tl.arange(0, LANES)[None, :]
    exists = (groups < total)[:, None]
    places = groups[:, None] * LANES + lanes
    channels = (groups % width)[:, None] * LANES + lanes
    x = tl.load(rows + places, mask=exists, other=0.0).to(PRECISION)
    x += tl.load(bias + channels, mask=exists, other=0.0).to(PRECISION)
    if other is not None:
        x += tl.load(other + places, mask=exists, other=0.0).to(PRECISION)
    if more is not None:
        x += tl.load(more + channels, mask=exists, other=0.0).to(PRECISION)
    # Comparisons keep NaN, as torch does.
    if KIND == "silu":
        x = x / (1.0 + tl.exp(-x))
    elif KIND == "hardswish":
        share = x + 3.0
        share = tl.where(share < 0.0, 0.0, tl.where(share > 6.0, 6.0, share))
        x = x * share / 6.0
    if LOW is not None:
        low = tl.full((BLOCK, LANES), LOW, PRECISION)
        x = tl.where(x < low, low, x)
    if HIGH is not None:
        high = tl.full((BLOCK, LANES), HIGH, PRECISION)
        x = tl.where(x > high, high, x)
    tl.store(rows + places, x.to(rows.dtype.element_ty), mask=exists)


def finish(
    x: Tensor,
    bias: Tensor,
    kind: str = "clamp",
    low: float | None = None,
    high: float | None = None,
    other: Tensor | None = None,
    more: Tensor | None = None,
) -> Tensor:
    """Add a convolution's bias and a residual, and apply an activation, in place.

    Args:
        x: `(N, C, H, W)`, floating point, contiguous in channels-last layout, with fewer than 2^31 numbers.
        bias: `(C,)`, contiguous.
        kind: "clamp", "silu" or "hardswish".
        low: The lower bound for "clamp"; None without.
        high: The upper bound.
        other: The residual, with the shape, dtype and layout of `x`.
        more: The bias of the residual, `(C,)`, contiguous.

    Returns:
        `x`, which holds `activation(x + bias + other + more)`.
    """
    channels = x.shape[1]
    lanes = math.gcd(channels, WIDEST)
    total, block = x.numel() // lanes, NUMBERS // lanes
    with on(x.device):
        _finish[(triton.cdiv(total, block),)](
            x, bias, other, more, total, channels // lanes, KIND=kind, LOW=low, HIGH=high, BLOCK=block, LANES=lanes,
            PRECISION=precision_of(x.dtype),
        )  # fmt: skip
    return x
