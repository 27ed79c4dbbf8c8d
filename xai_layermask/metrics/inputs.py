"""What the metrics take: checked here, once, and turned into numpy arrays of known type and shape."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from ..errors import InputError

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
    """Bring a tensor or anything array-like to numpy.

    Args:
        value: What the caller gave; a tensor may live on any device and carry gradients.
        what: The noun for the message.

    Returns:
        An array; it may share memory with `value`.

    Raises:
        InputError: If it is a ragged sequence.

    Example:
        >>> import torch
        >>> as_array(torch.tensor([1.0, 2.0], requires_grad=True), "scores").tolist()
        [1.0, 2.0]
    """
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        # numpy has no bfloat16.
        return (tensor.double() if tensor.is_floating_point() else tensor).numpy()
    try:
        return np.asarray(value)
    except ValueError:
        raise InputError(
            f"{what} must be an array, but a ragged sequence came: give rows of equal length."
        ) from None


def shape_of(array: npt.NDArray[Any]) -> str:
    """Write an array's shape for a message.

    Args:
        array: Any array.

    Returns:
        Such as "2x3".

    Example:
        >>> shape_of(np.zeros((2, 3))), shape_of(np.array(1.0))
        ('2x3', 'a single number')
    """
    return "x".join(map(str, array.shape)) or "a single number"


def as_vector(value: Array, what: str) -> Floats:
    """Check a vector of finite numbers.

    Args:
        value: What the caller gave; expected is `(D,)` with D >= 1.
        what: The noun for the message.

    Returns:
        float64 `(D,)`.

    Raises:
        InputError: If it is no vector of finite real numbers.

    Example:
        >>> import torch
        >>> as_vector(torch.tensor([1, 2]), "scores")
        array([1., 2.])
    """
    array = as_array(value, what)
    if array.ndim != 1 or array.size == 0:
        raise InputError(
            f"{what} must be a vector (D,) with D >= 1, but {shape_of(array)} came: give one row of numbers."
        )
    if array.dtype.kind not in "biuf":
        raise InputError(f"{what} must be real numbers, but {array.dtype} came: convert them to float.")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise InputError(
            f"{what} must be finite, but NaN or infinity came: look for its origin before you score it."
        )
    return array


def as_classes(value: Array, what: str, classes: int | None = None) -> Integers:
    """Check a list of class indices.

    Args:
        value: Integers `(N,)` with N >= 1, or a single one.
        what: The noun for the message.
        classes: How many classes there are; None if unknown.

    Returns:
        int64 `(N,)`.

    Raises:
        InputError: If they are not integers, not a vector, or no class indices.

    Example:
        >>> as_classes(7, "predictions")
        array([7])
    """
    array = np.atleast_1d(as_array(value, what))
    if array.ndim != 1 or array.size == 0:
        raise InputError(
            f"{what} must be class indices (N,) with N >= 1, but {shape_of(array)} came: "
            "take logits.argmax(-1) first."
        )
    if array.dtype.kind not in "iu":
        raise InputError(
            f"{what} must be integer class indices, but {array.dtype} came: take logits.argmax(-1) first."
        )
    low, high = int(array.min()), int(array.max())
    if low < 0 or (classes is not None and high >= classes):
        limit = "0 or more" if classes is None else f"from 0 to {classes - 1}"
        raise InputError(
            f"{what} must be {limit}, but {low if low < 0 else high} came: use the model's class indices."
        )
    return array.astype(np.int64)


def scored_segments(scores: Array, segments: Array) -> tuple[Floats, Integers]:
    """Check that scores and segments belong together.

    Args:
        scores: One finite number per segment, `(K,)`.
        segments: Integers `(H, W)`: the segment of every pixel; each of 0..K-1 occurs.

    Returns:
        float64 `(K,)` and int64 `(H, W)`.

    Raises:
        InputError: If one is malformed, or there is not one score for every segment.

    Example:
        >>> scored_segments([0.5, 1.0], [[0, 1], [1, 1]])[1].dtype
        dtype('int64')
    """
    values = as_vector(scores, "scores")
    ids = as_array(segments, "segments")
    if ids.ndim != 2 or ids.size == 0:
        raise InputError(
            f"segments must be an array (H, W), but {shape_of(ids)} came: give one segment id per pixel."
        )
    if ids.dtype.kind not in "iu":
        raise InputError(
            f"segments must be integers, but {ids.dtype} came: convert them with segments.astype(int)."
        )
    ids = ids.astype(np.int64)
    low, high = int(ids.min()), int(ids.max())
    if low < 0 or high >= values.size or not np.bincount(ids.ravel(), minlength=values.size).all():
        raise InputError(
            f"segments must use every id from 0 to {values.size - 1}, one for each score, but "
            f"{np.unique(ids).size} ids from {low} to {high} came: "
            "renumber them with np.unique(segments, return_inverse=True)."
        )
    return values, ids


def as_mask(mask: Array, shape: tuple[int, ...]) -> Floats:
    """Check a human mask: where the object is.

    Args:
        mask: `(H, W)`, bool or numbers in [0, 1].
        shape: The (H, W) of the segments.

    Returns:
        float64 `(H, W)`.

    Raises:
        InputError: If the shape is another, or a value is outside [0, 1].

    Example:
        >>> as_mask([[True, False]], (1, 2))
        array([[1., 0.]])
    """
    array = as_array(mask, "mask")
    if array.shape != tuple(shape):
        raise InputError(
            f"mask must have the shape of the segments, {'x'.join(map(str, shape))}, but {shape_of(array)} "
            "came: resize and crop it like the picture."
        )
    # The negated form catches NaN, too.
    if array.dtype.kind not in "biuf" or not ((array >= 0) & (array <= 1)).all():
        came = (
            f"values from {array.min():g} to {array.max():g}"
            if array.dtype.kind in "iuf"
            else str(array.dtype)
        )
        raise InputError(f"mask must hold numbers from 0 to 1, but {came} came: divide a 0..255 mask by 255.")
    return array.astype(np.float64)


def ranking(scores: Floats) -> Integers:
    """Order segments from the highest score to the lowest; of equal scores the lower id comes first.

    Args:
        scores: `(K,)`.

    Returns:
        Segment ids `(K,)`.

    Example:
        >>> ranking(np.array([0.1, 0.7, 0.1, 0.9]))
        array([3, 1, 0, 2])
    """
    return np.argsort(-scores, kind="stable").astype(np.int64)


def is_constant(scores: Floats) -> bool:
    """Say whether all scores are the same, so that they rank nothing.

    Args:
        scores: `(K,)`.

    Returns:
        True if no two scores differ.

    Example:
        >>> is_constant(np.array([2.0, 2.0]))
        True
    """
    return bool(scores.min() == scores.max())
