"""Arguments of the metrics, checked once and converted to numpy arrays of known type and shape."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..errors import InputError, refuse_masked

__all__ = [
    "Array",
    "Floats",
    "Integers",
    "as_array",
    "as_classes",
    "as_mask",
    "as_vector",
    "is_constant",
    "ranking",
    "scored_segments",
    "shape_of",
]

Array: TypeAlias = npt.ArrayLike | Tensor
Floats: TypeAlias = npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int64]


def as_array(value: Array, what: str) -> npt.NDArray[Any]:
    """Convert a tensor, on any device and with or without gradients, or anything array-like to numpy.

    Raises:
        InputError: If `value`, named `what` in the message, is a ragged sequence.

    Example:
        >>> import torch
        >>> as_array(torch.tensor([1.0, 2.0], requires_grad=True), "scores").tolist()
        [1.0, 2.0]
    """
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        return (tensor.double() if tensor.is_floating_point() else tensor).numpy()  # numpy has no bfloat16
    refuse_masked(value, what)
    try:
        return np.asarray(value)
    except ValueError:
        raise InputError.expected(f"an array for {what}", "rows of different lengths") from None


def shape_of(array: npt.NDArray[Any]) -> str:
    """An array's shape in messages.

    Example:
        >>> shape_of(np.zeros((2, 3))), shape_of(np.array(1.0))
        ('2x3', 'a single number')
    """
    return "x".join(map(str, array.shape)) or "a single number"


def as_vector(value: Array, what: str) -> Floats:
    """Check a vector of finite numbers `(D,)` with D >= 1, and make it float64.

    Raises:
        InputError: If it is anything else.

    Example:
        >>> as_vector([1, 2], "scores")
        array([1., 2.])
    """
    array = as_array(value, what)
    if array.ndim != 1 or array.size == 0:
        raise InputError.expected(f"a vector (D,) with D >= 1 for {what}", shape_of(array))
    if array.dtype.kind not in "biuf":
        raise InputError.expected(f"real numbers for {what}", str(array.dtype))
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise InputError.expected(f"finite numbers for {what}", "NaN or infinity")
    return array


def as_classes(value: Array, what: str, classes: int | None = None) -> Integers:
    """Check class indices `(N,)` with N >= 1, or a single one, and make them int64 `(N,)`.

    Args:
        value: The argument.
        what: Its name.
        classes: Number of classes; None if unknown.

    Raises:
        InputError: If they are not integers, not a vector, or out of range.

    Example:
        >>> as_classes(7, "predictions")
        array([7])
    """
    array = np.atleast_1d(as_array(value, what))
    if array.ndim != 1 or array.size == 0:
        raise InputError.expected(
            f"class indices (N,) with N >= 1 for {what}", shape_of(array), "pass logits.argmax(-1)"
        )
    if array.dtype.kind not in "iu":
        raise InputError.expected(f"integer class indices for {what}", str(array.dtype), "pass logits.argmax(-1)")
    low, high = int(array.min()), int(array.max())
    if low < 0 or (classes is not None and high >= classes):
        limit = "of at least 0" if classes is None else f"from 0 to {classes - 1}"
        raise InputError.expected(f"class indices {limit} for {what}", str(low if low < 0 else high))
    return array.astype(np.int64)


def scored_segments(scores: Array, segments: Array) -> tuple[Floats, Integers]:
    """Check that scores and segments fit each other.

    Args:
        scores: One finite number for each segment, `(K,)`.
        segments: Integers `(H, W)` with ids 0..K-1, each of which occurs.

    Returns:
        float64 `(K,)` and int64 `(H, W)`.

    Raises:
        InputError: If one is invalid, or there is not one score for each segment.

    Example:
        >>> scored_segments([0.5, 1.0], [[0, 1], [1, 1]])[1].dtype
        dtype('int64')
    """
    values = as_vector(scores, "scores")
    ids = as_array(segments, "segments")
    if ids.ndim != 2 or ids.size == 0:
        raise InputError.expected("an array (H, W) for segments", shape_of(ids))
    if ids.dtype.kind not in "iu":
        raise InputError.expected("integers for segments", str(ids.dtype), "convert them with segments.astype(int)")
    ids = ids.astype(np.int64)
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= values.size or not np.bincount(ids.ravel(), minlength=values.size).all():
        raise InputError.expected(
            f"all ids from 0 to {values.size - 1}, one for each score, in segments",
            f"{np.unique(ids).size} ids from {low} to {high}",
            "renumber them with np.unique(segments, return_inverse=True)",
        )
    return values, ids


def as_mask(mask: Array, shape: tuple[int, ...]) -> Floats:
    """Check an object mask of bool, of integers 0 and 1 or 0 and 255, or of numbers in [0, 1], and make it float64.

    Args:
        mask: `(H, W)`.
        shape: The (H, W) of the segments.

    Raises:
        InputError: If the shape is another, or a value is outside [0, 1].

    Example:
        >>> as_mask([[True, False]], (1, 2))
        array([[1., 0.]])
    """
    array = as_array(mask, "mask")
    if array.shape != tuple(shape):
        raise InputError.expected(
            f"a mask of the segments' shape {'x'.join(map(str, shape))}",
            shape_of(array),
            "resize and crop it like the picture",
        )
    if array.dtype.kind in "iu" and ((array == 0) | (array == 255)).all():
        array = array != 0
    # The negated form also catches NaN.
    if array.dtype.kind not in "biuf" or not ((array >= 0) & (array <= 1)).all():
        numeric = array.dtype.kind in "iuf"
        got = f"values from {array.min():g} to {array.max():g}" if numeric else str(array.dtype)
        raise InputError.expected("numbers from 0 to 1 in mask", got, "divide a 0..255 mask by 255")
    return array.astype(np.float64)


def ranking(scores: Floats) -> Integers:
    """Segment ids from the highest score to the lowest; of equal scores the lower id comes first.

    Example:
        >>> ranking(np.array([0.1, 0.7, 0.1, 0.9]))
        array([3, 1, 0, 2])
    """
    return np.argsort(-scores, kind="stable").astype(np.int64)


def is_constant(scores: Floats) -> bool:
    """Whether all scores are equal, and rank nothing.

    Example:
        >>> is_constant(np.array([2.0, 2.0]))
        True
    """
    return bool(scores.min() == scores.max())
