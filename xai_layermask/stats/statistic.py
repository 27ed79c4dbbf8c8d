"""Statistics of a set of pictures as functions of the weight of each picture.

With weights of one a statistic has its value; with the counts of a resample (pictures drawn with replacement) it has a
value that another set might have had. A mean, an entropy, an area under a curve and the difference of two of them on
the same pictures are all bootstrapped in this way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ..errors import refuse_masked

__all__ = ["ClassMean", "Counts", "Entropy", "Flags", "Floats", "Mean", "Pairs", "Statistic", "ratio"]

Floats: TypeAlias = npt.NDArray[np.float64]
Counts: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]


class Statistic(Protocol):
    """A statistic that can be bootstrapped: from B weightings of n pictures `(B, n)` to P numbers each `(B, P)`."""

    @property
    def counts(self) -> Counts:
        """The number of pictures behind each number, `(P,)`."""
        ...

    @property
    def defined(self) -> Flags:
        """Which pictures have all numbers defined, `(n,)`."""
        ...

    @property
    def limits(self) -> tuple[float, float] | None:
        """The range of the statistic, if resampling is biased; None if it is not."""
        ...

    @property
    def least(self) -> int:
        """The fewest pictures whose resamples vary, so that a number has an interval."""
        ...

    def __call__(self, weights: Floats) -> Floats:
        """The numbers under these weights."""
        ...


class Mean:
    """The mean over pictures, column by column; nan leaves a picture out.

    Args:
        values: One row for each picture, `(n, P)`, or one number, `(n,)`.

    Example:
        >>> Mean([0.0, 1.0, float("nan")])(np.ones((1, 3)))
        array([[0.5]])
    """

    limits: tuple[float, float] | None = None
    least = 2

    def __init__(self, values: npt.ArrayLike) -> None:
        table = _columns(values)
        self._defined = np.isfinite(table)
        self._known = np.where(self._defined, table, 0.0)
        self.counts: Counts = self._defined.sum(axis=0)
        self.defined = _every(self._defined)

    def __call__(self, weights: Floats) -> Floats:
        return ratio(weights @ self._known, weights @ self._defined.astype(np.float64))


class ClassMean:
    """The mean over classes of the mean over the pictures of a class: all classes have the same weight.

    Args:
        values: One row for each picture, `(n, P)`, or one number, `(n,)`; nan leaves a picture out.
        classes: The class of each picture, `(n,)`.

    Example:
        >>> ClassMean([1.0, 1.0, 1.0, 0.0], [7, 7, 7, 9])(np.ones((1, 4)))
        array([[0.5]])
    """

    limits: tuple[float, float] | None = None
    least = 2

    def __init__(self, values: npt.ArrayLike, classes: npt.ArrayLike) -> None:
        table, kinds = _columns(values), np.asarray(classes)
        self._members = [np.flatnonzero(kinds == kind) for kind in np.unique(kinds)]
        self._means = [Mean(table[rows]) for rows in self._members]
        self.counts: Counts = np.isfinite(table).sum(axis=0)
        self.defined = _every(np.isfinite(table))

    def __call__(self, weights: Floats) -> Floats:
        found = [mean(weights[:, rows]) for mean, rows in zip(self._means, self._members, strict=True)]
        means = np.reshape(found, (len(found), len(weights), self.counts.size))  # also without a picture
        defined = np.isfinite(means)
        return ratio(np.where(defined, means, 0.0).sum(axis=0), defined.sum(axis=0).astype(np.float64))


class Entropy:
    """The entropy of the predicted classes, in nats, column by column; nan leaves a picture out.

    A resample repeats pictures, so that it has fewer classes and a lower entropy: hence the limits.

    Args:
        predictions: Class indices, `(n, P)` or `(n,)`.

    Example:
        >>> Entropy([3, 5])(np.array([[1.0, 1.0], [2.0, 0.0]])).round(4).tolist()
        [[0.6931], [0.0]]
    """

    least = 2

    def __init__(self, predictions: npt.ArrayLike) -> None:
        table = _columns(predictions)
        self._columns = [_groups(column) for column in table.T]
        self.counts: Counts = np.isfinite(table).sum(axis=0)
        self.limits: tuple[float, float] | None = 0.0, float(np.log(max(1, *self.counts)))
        self.defined = _every(np.isfinite(table))

    def __call__(self, weights: Floats) -> Floats:
        return np.stack([self._entropy(weights, *column) for column in self._columns], axis=1)

    @staticmethod
    def _entropy(weights: Floats, order: npt.NDArray[np.intp], starts: npt.NDArray[np.intp]) -> Floats:
        if order.size == 0:
            return np.full(len(weights), np.nan)
        counts = np.add.reduceat(weights[:, order], starts, axis=1)
        share = ratio(counts, counts.sum(axis=1, keepdims=True))
        found: Floats = -(share * np.log(np.where(share > 0, share, 1.0))).sum(axis=1) + 0.0
        return found


class Pairs:
    """The mean over pairs of different pictures, table by table; nan leaves a pair out.

    A picture that is drawn twice makes no pair with itself.

    Args:
        tables: P numbers for each pair of pictures, each `(n, n)` and symmetric.

    Example:
        >>> Pairs([[[1.0, 0.5], [0.5, 1.0]]])(np.array([[1.0, 1.0], [2.0, 0.0]])).tolist()
        [[0.5], [nan]]
    """

    limits: tuple[float, float] | None = None
    least = 3  # two pictures have one pair, in every resample

    def __init__(self, tables: Sequence[npt.ArrayLike]) -> None:
        self._tables = [np.array(table, dtype=np.float64) for table in tables]
        for table in self._tables:
            np.fill_diagonal(table, np.nan)
        known = np.array([np.isfinite(table).any(axis=1) for table in self._tables])
        self.counts: Counts = known.sum(axis=1)
        self.defined = _every(known.T)

    def __call__(self, weights: Floats) -> Floats:
        return np.stack([self._mean(weights, table) for table in self._tables], axis=1)

    @staticmethod
    def _mean(weights: Floats, table: Floats) -> Floats:
        known = np.isfinite(table)
        above = ((weights @ np.where(known, table, 0.0)) * weights).sum(axis=1)
        return ratio(above, ((weights @ known.astype(np.float64)) * weights).sum(axis=1))


def _groups(column: Floats) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The pictures with a class, sorted by class, and the start of each class."""
    known = np.flatnonzero(np.isfinite(column))
    order = known[np.argsort(column[known], kind="stable")]
    return order, np.unique(column[order], return_index=True)[1]


def _every(known: Flags) -> Flags:
    """Which pictures are defined in every column."""
    found: Flags = np.asarray(known.all(axis=1))
    return found


def _columns(values: npt.ArrayLike) -> Floats:
    refuse_masked(values, "values")
    table = np.asarray(values, dtype=np.float64)
    return table[:, None] if table.ndim == 1 else table


def ratio(above: Floats, below: Floats) -> Floats:
    """The quotient; nan where the denominator is 0."""
    nothing = np.full(np.broadcast_shapes(above.shape, below.shape), np.nan)
    found: Floats = np.divide(above, below, out=nothing, where=below > 0)
    return found
