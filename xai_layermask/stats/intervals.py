"""Bootstrap intervals over pictures, and the pictures that two series have in common."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from .statistic import Floats, Statistic

__all__ = ["LEVEL", "NOTHING", "Estimate", "Interval", "Paired", "estimate", "joined", "paired"]

LEVEL = 0.95

# Large sets of pictures vary less, and need fewer resamples.
_DRAWS, _LEAST, _MOST = 20_000_000, 400, 2000

_Key = TypeVar("_Key", bound=Hashable)
_NUMBERS = 1 << 22  # weights held as floats at a time


@dataclass(frozen=True)
class Interval:
    """A number with its bootstrap interval.

    Attributes:
        value: The number; nan if undefined.
        low: Lower end of the interval, of 95 % by default; nan for fewer than two pictures.
        high: Upper end.
        n: Number of pictures.
    """

    value: float
    low: float
    high: float
    n: int


#: The interval of no pictures.
NOTHING = Interval(float("nan"), float("nan"), float("nan"), 0)


@dataclass(frozen=True, eq=False)
class Estimate:
    """Several numbers of the same pictures with their intervals, such as the points of a curve.

    Attributes:
        value: The numbers, `(P,)`.
        low: Lower ends, `(P,)`.
        high: Upper ends, `(P,)`.
        n: Number of pictures of each, `(P,)`.
    """

    value: Floats
    low: Floats
    high: Floats
    n: npt.NDArray[np.int64]

    def __getitem__(self, place: int) -> Interval:
        """One of the numbers."""
        return Interval(
            float(self.value[place]), float(self.low[place]), float(self.high[place]), int(self.n[place])
        )


def estimate(
    statistic: Statistic, resamples: int | None = None, seed: int = 0, level: float = LEVEL
) -> Estimate:
    """A statistic with percentile bootstrap intervals: pictures are resampled with replacement.

    Args:
        statistic: The statistic.
        resamples: Number of resamples; by default 2000, and fewer above 10,000 pictures, down to 400.
        seed: Seed of the resamples.
        level: Coverage of an interval, a fraction.

    Returns:
        The numbers. The ends of an interval are nan for fewer than two pictures, or three for a mean over pairs, since
        two pictures have only one pair. Resamples in which a number is undefined are left out. If resampling itself
        shifts a number, as it lowers an entropy, the resamples are shifted back to the value.

    Example:
        >>> from .statistic import Mean
        >>> found = estimate(Mean([0.0, 1.0] * 50))[0]
        >>> found.value, round(found.low, 1), round(found.high, 1), found.n
        (0.5, 0.4, 0.6, 100)
    """
    pictures = len(statistic.defined)
    value = statistic(np.ones((1, pictures)))[0]
    low, high = np.full_like(value, np.nan), np.full_like(value, np.nan)
    enough = (statistic.counts >= statistic.least) & np.isfinite(value)
    if enough.any():
        resamples = max(_LEAST, min(_MOST, _DRAWS // pictures)) if resamples is None else resamples
        drawn = _weights(pictures, resamples, seed)
        step = max(1, _NUMBERS // pictures)
        parts = [statistic(drawn[at : at + step].astype(np.float64)) for at in range(0, resamples, step)]
        numbers = np.concatenate(parts)[:, enough]
        if statistic.limits:
            # The interval shows the spread between sets of pictures, without the bias of resampling.
            numbers = np.clip(numbers - np.nanmean(numbers, axis=0) + value[enough], *statistic.limits)
        tail = (1 - level) / 2
        low[enough], high[enough] = np.nanquantile(numbers, [tail, 1 - tail], axis=0)
    return Estimate(value, low, high, np.asarray(statistic.counts, dtype=np.int64))


def joined(intervals: Sequence[Interval | None]) -> Estimate:
    """An estimate of P numbers, whose pictures may differ, from single intervals; None stands for a missing one.

    Example:
        >>> joined([Interval(0.5, 0.4, 0.6, 9), None]).value.tolist()
        [0.5, nan]
    """
    found = [one or NOTHING for one in intervals]
    value, low, high = np.array([(one.value, one.low, one.high) for one in found]).reshape(-1, 3).T
    return Estimate(value, low, high, np.array([one.n for one in found], dtype=np.int64))


@dataclass(frozen=True)
class Paired:
    """The pictures that two series have in common.

    Attributes:
        first: Their indices in the first series.
        second: Their indices in the second series.
        only_first: Number of pictures only in the first series.
        only_second: Number of pictures only in the second series.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]
    only_first: int
    only_second: int


def paired(first: Sequence[_Key], second: Sequence[_Key]) -> Paired:
    """The pictures that both series have, in the order of the first; no series may have a picture twice.

    Example:
        >>> paired(["cat", "dog", "fox"], ["fox", "cat"])
        Paired(first=(0, 2), second=(1, 0), only_first=1, only_second=0)
    """
    places = {picture: place for place, picture in enumerate(second)}
    both = [place for place, picture in enumerate(first) if picture in places]
    return Paired(
        first=tuple(both),
        second=tuple(places[first[place]] for place in both),
        only_first=len(first) - len(both),
        only_second=len(second) - len(both),
    )


@lru_cache(maxsize=16)
def _weights(pictures: int, resamples: int, seed: int) -> npt.NDArray[np.uint16]:
    """The number of times each picture is drawn in each resample, `(resamples, pictures)`."""
    generator = np.random.default_rng(seed)
    drawn = np.empty((resamples, pictures), dtype=np.uint16)
    step = max(1, _NUMBERS // pictures)
    for at in range(0, resamples, step):
        part = drawn[at : at + step]
        places = generator.integers(pictures, size=part.shape) + pictures * np.arange(len(part))[:, None]
        part[:] = np.bincount(places.ravel(), minlength=part.size).reshape(part.shape)
    drawn.setflags(write=False)
    return drawn
