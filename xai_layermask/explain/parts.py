"""The parts of an explanation, checked: they may come from a file, or from anyone's code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, refuse_masked

__all__ = ["check_shapes", "check_values", "exact", "printable_labels"]

Floats = npt.NDArray[np.float64]

_BY_TARGET = ("reliability", "predictions", "probabilities", "intercept", "r2")
_NO_CLASS = -1  # the target is a function of the outputs
_SLACK = 1e-6  # by which rounded probabilities may exceed 0 and 1


def exact(value: Any, dtype: npt.DTypeLike, what: str) -> npt.NDArray[Any]:
    """Convert to a type that can hold every value; returns a copy.

    Args:
        value: An array, or nested sequences of numbers.
        dtype: The type.
        what: The argument's name.

    Raises:
        InputError: If the values are not real numbers, or the type cannot hold one of them.

    Example:
        >>> exact([0.0, 255.0], np.uint8, "picture")
        array([  0, 255], dtype=uint8)
        >>> exact([0, 256], np.uint8, "picture")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected uint8 for picture, got values from 0 to 256
    """
    refuse_masked(value, what)
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, OverflowError) as error:  # ragged, or a class that cannot be converted
        raise InputError.expected(f"an array of numbers for {what}", type(value).__name__) from error
    if array.dtype.kind not in "biuf":
        raise InputError.expected(f"real numbers for {what}", str(array.dtype))
    if array.dtype.kind == "f" and np.isinf(array).any():
        raise InputError.expected(f"finite numbers for {what}", "infinity")
    with np.errstate(invalid="ignore", over="ignore"):  # in casts whose result is compared below
        found = array.astype(dtype)
        back = found.astype(array.dtype)
    same = np.array_equal(back, array, equal_nan=True) and np.array_equal(found < 0, array < 0)
    if not same:
        raise InputError.expected(f"{np.dtype(dtype)} for {what}", f"values from {array.min()} to {array.max()}")
    return found


def printable_labels(labels: object) -> tuple[str, ...]:
    r"""Labels as text that every file and terminal takes: a lone surrogate becomes its number.

    Raises:
        InputError: If they are not in a list or tuple.

    Example:
        >>> printable_labels(["cat", "\ud800"])
        ('cat', '\\ud800')
    """
    if not isinstance(labels, (list, tuple)):
        raise InputError.expected("a list or tuple of labels", type(labels).__name__)
    return tuple(str(label).encode("utf-8", "backslashreplace").decode() for label in labels)


def check_shapes(arrays: Mapping[str, npt.NDArray[Any]], targets: int, labels: int) -> None:
    """Check that arrays fit each other, and as many targets and labels.

    Raises:
        InputError: If they do not.
    """
    picture, segments, scores = arrays["picture"], arrays["segments"], arrays["scores"]
    fit = (
        segments.ndim == scores.ndim == 2
        and picture.shape == (*segments.shape, 3)
        and 0 < len(scores) == targets == labels
        and arrays["standard_errors"].shape == scores.shape
        and arrays["played"].shape == scores.shape[1:]
        and arrays["prior"].shape == (targets, 3)
        and all(arrays[name].shape == (targets,) for name in _BY_TARGET)
        and np.array_equal(np.unique(segments), np.arange(scores.shape[1]))
    )
    if not fit:
        raise InputError.expected(
            "picture (H, W, 3), segments (H, W) with ids 0..K-1, scores and standard errors (T, K), played (K,), "
            "prior (T, 3), and one label, prediction, probability, reliability, intercept and R2 per target for an "
            "explanation",
            f"picture {picture.shape}, segments {segments.shape}, scores {scores.shape} and {targets} targets",
        )


def check_values(
    targets: Sequence[int], numbers: Mapping[str, Floats], shares: Mapping[str, Floats], errors: Floats
) -> None:
    """Check the range of values.

    Args:
        targets: Class indices, each once; -1 for a target that is not a class.
        numbers: Arrays of finite numbers, by name.
        shares: Arrays of numbers from 0 to 1, or nan, by name.
        errors: Standard errors, at least 0, or nan.

    Raises:
        InputError: If one is out of range.
    """
    classes = [target for target in targets if target != _NO_CLASS]
    if min(classes, default=0) < 0 or len(set(classes)) < len(classes):
        raise InputError.expected("different classes of at least 0 for targets", str(tuple(targets)))
    for name, array in numbers.items():
        if not np.isfinite(array).all():
            raise InputError.expected(f"finite numbers for {name}", "NaN or infinity")
    for name, array in shares.items():
        known = array[~np.isnan(array)]
        if known.size and not (known.min() >= -_SLACK and known.max() <= 1 + _SLACK):
            got = f"values from {known.min():g} to {known.max():g}"
            raise InputError.expected(f"numbers from 0 to 1, or NaN, for {name}", got)
    if (errors < 0).any():
        raise InputError.expected("numbers of at least 0, or NaN, for standard_errors", f"{errors.min():g}")
