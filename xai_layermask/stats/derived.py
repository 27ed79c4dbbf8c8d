"""Statistics that are made of other statistics of the same pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError, choose
from .statistic import Counts, Flags, Floats, Statistic, ratio

__all__ = ["Area", "Average", "Difference", "Exponent"]


class Area:
    """The mean height of a curve: the area under it, divided by its width.

    From 0 to 1 this is the area under the curve, as in [`auc`][xai_layermask.metrics.auc].

    Args:
        curve: The statistic whose numbers are the curve's points.
        x: Their abscissae, `(P,)`, P >= 2, increasing.
        rule: "trapezoid" or "mean", the plain mean of the points, as for [`auc`][xai_layermask.metrics.auc].

    Raises:
        InputError: If there are fewer than two points, or x does not increase.

    Example:
        >>> from .statistic import Mean
        >>> Area(Mean([[1.0, 0.5, 0.5]]), [0.0, 0.5, 1.0])(np.ones((1, 1)))
        array([[0.625]])
    """

    def __init__(self, curve: Statistic, x: Sequence[float], rule: str = "trapezoid") -> None:
        choose(rule, ("trapezoid", "mean"), "rule")
        widths = np.diff(np.asarray(x, dtype=np.float64))
        if widths.size < 1 or (widths <= 0).any():
            raise InputError.expected("at least two increasing numbers for x", str(list(x)))
        ends = np.append(0.0, widths), np.append(widths, 0.0)
        even = np.full(widths.size + 1, 1 / (widths.size + 1))
        self._weights = even if rule == "mean" else (ends[0] + ends[1]) / (2 * widths.sum())
        self._curve = curve
        # A picture may lack a point of the curve.
        self.counts: Counts = curve.counts.min(keepdims=True)
        self.defined: Flags = curve.defined
        self.limits: tuple[float, float] | None = curve.limits
        self.least: int = curve.least

    def __call__(self, weights: Floats) -> Floats:
        found: Floats = self._curve(weights) @ self._weights[:, None]
        return found


class Average:
    """The mean of several statistics of the same pictures, such as areas under different curves.

    Args:
        parts: At least one statistic, all of the same pictures in the same order.

    Example:
        >>> from .statistic import Mean
        >>> Average([Mean([0.0, 1.0]), Mean([1.0, 1.0])])(np.ones((1, 2)))
        array([[0.75]])
    """

    def __init__(self, parts: Sequence[Statistic]) -> None:
        self._parts = tuple(parts)
        self.counts: Counts = np.min([one.counts for one in parts], axis=0)
        self.defined: Flags = np.all([one.defined for one in parts], axis=0)
        self.limits: tuple[float, float] | None = parts[0].limits
        self.least: int = max(one.least for one in parts)

    def __call__(self, weights: Floats) -> Floats:
        found: Floats = np.mean([one(weights) for one in self._parts], axis=0)
        return found


class Exponent:
    """The power of x that a curve follows: the least-squares slope of its logarithm over that of x.

    Args:
        curve: The statistic whose numbers are the curve's points; those that are not above 0 are left out.
        x: Their abscissae, `(P,)`, above 0.

    Example:
        >>> from .statistic import Mean
        >>> Exponent(Mean([[1.0, 4.0, 16.0]]), [1, 2, 4])(np.ones((1, 1)))
        array([[2.]])
    """

    limits: tuple[float, float] | None = None

    def __init__(self, curve: Statistic, x: Sequence[float]) -> None:
        self._curve, self._x = curve, np.log(np.asarray(x, dtype=np.float64))
        self.counts: Counts = curve.counts.min(keepdims=True)
        self.defined: Flags = curve.defined
        self.least: int = curve.least

    def __call__(self, weights: Floats) -> Floats:
        height = self._curve(weights)
        known = height > 0
        y = np.log(height, out=np.zeros_like(height), where=known)
        count = known.sum(axis=1, keepdims=True)
        x = np.where(known, self._x - ratio((known * self._x).sum(axis=1, keepdims=True), count), 0.0)
        return ratio((x * y).sum(axis=1, keepdims=True), (x * x).sum(axis=1, keepdims=True))


class Difference:
    """The difference of two statistics of the same pictures, in the same order.

    Args:
        first: The minuend.
        second: The subtrahend.

    Raises:
        InputError: If they have different numbers of pictures.

    Example:
        >>> from .statistic import Mean
        >>> Difference(Mean([1.0, 1.0]), Mean([1.0, 0.0]))(np.ones((1, 2)))
        array([[0.5]])
    """

    def __init__(self, first: Statistic, second: Statistic) -> None:
        if len(first.defined) != len(second.defined):
            raise InputError.expected(
                "first and second of the same pictures", f"{len(first.defined)} and {len(second.defined)}"
            )
        self._first, self._second = first, second
        self.counts: Counts = np.minimum(first.counts, second.counts)
        self.defined: Flags = first.defined & second.defined
        self.least: int = max(first.least, second.least)
        self.limits: tuple[float, float] | None = None
        if first.limits or second.limits:
            (low, high), (least, most) = (one.limits or (-np.inf, np.inf) for one in (first, second))
            self.limits = low - most, high - least

    def __call__(self, weights: Floats) -> Floats:
        return self._first(weights) - self._second(weights)
