"""What launches of all kernels have in common."""

from __future__ import annotations

import contextlib
from typing import Any

import torch
import triton.language as tl

__all__ = ["MOST", "NUMBERS", "WIDEST", "on", "precision_of"]

#: The largest number of neighbouring channels that one thread reads at once, and numbers in a block.
WIDEST, NUMBERS = 8, 2048
#: Numbers that 32 bits can count.
MOST = 2**31


def on(device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Triton launches on the current device."""
    return contextlib.nullcontext() if device.type == "cpu" else getattr(torch, device.type).device(device)


def precision_of(dtype: torch.dtype) -> Any:
    """The precision in which numbers of a dtype are summed."""
    return tl.float64 if dtype == torch.float64 else tl.float32
