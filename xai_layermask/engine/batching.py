"""Batches: their size, and what happens when memory runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .recording import forget_recordings
from .runtime import find_device

__all__ = ["auto_batch_size", "batched_predict", "is_out_of_memory"]

Rows = TypeVar("Rows", npt.NDArray[Any], Tensor)
Answer = TypeVar("Answer", npt.NDArray[Any], Tensor)

# Pixels per batch. On a CPU, 8 pictures of 224 x 224 are fastest: the allocator does not reuse the memory of larger
# activations.
_PIXELS_ON_CPU, _PIXELS_ON_ACCELERATOR = 8 * 224 * 224, 64 * 224 * 224
_LARGEST_BATCH = 256


def auto_batch_size(height: int, width: int, device: torch.device) -> int:
    """The batch size of `batch_size="auto"`.

    Args:
        height: Height of the pictures in pixels.
        width: Width of the pictures in pixels.
        device: The model's device.

    Example:
        >>> auto_batch_size(224, 224, torch.device("cpu"))
        8
    """
    pixels = _PIXELS_ON_CPU if device.type == "cpu" else _PIXELS_ON_ACCELERATOR
    return max(1, min(_LARGEST_BATCH, pixels // (height * width)))


def batched_predict(
    predict: Callable[[Rows], Answer],
    rows: Rows,
    batch_size: int,
    advance: Callable[[int], object] | None = None,
) -> tuple[Answer, int]:
    """Predict in batches, which are halved whenever memory runs out.

    Args:
        predict: Maps rows `(m, ...)` to predictions `(m, ...)`, an array or a tensor.
        rows: `(M, ...)` with M >= 1, an array or a tensor.
        batch_size: The initial number of rows per batch.
        advance: Called after each batch with its number of rows.

    Returns:
        Predictions `(M, ...)`, and the last batch size.

    Raises:
        RuntimeError: From `predict`, if a single row does not fit into memory, or for any other reason.

    Example:
        >>> def predict(rows):
        ...     if len(rows) > 2:
        ...         raise MemoryError
        ...     return 10 * rows
        >>> batched_predict(predict, np.arange(5), batch_size=4)
        (array([ 0, 10, 20, 30, 40]), 2)
    """
    found: list[Answer] = []
    start = 0
    while start < len(rows):
        batch = rows[start : start + batch_size]
        fits, released = True, False
        try:
            found.append(predict(batch))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            released = forget_recordings()
            if len(batch) == 1 and not released:
                raise
            fits = False  # retry outside the handler: the traceback keeps the failed batch in memory
        if fits:
            start += len(batch)
            if advance is not None:
                advance(len(batch))
            continue
        _empty_cache()
        if not released:
            batch_size = len(batch) // 2
    if isinstance(found[0], Tensor):
        return torch.cat(found), batch_size
    return np.concatenate(found), batch_size


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of the processor or of an accelerator.

    Example:
        >>> is_out_of_memory(RuntimeError("CUDA out of memory"))
        True
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    try:
        words = str(error)
    except Exception:  # an exception of the caller's whose `__str__` fails
        return False
    return "out of memory" in words.lower() or "DefaultCPUAllocator" in words


def _empty_cache() -> None:
    """Free the accelerator memory that torch caches."""
    device = find_device()
    if device.type != "cpu":
        getattr(torch, device.type).empty_cache()
