"""Bootstrap intervals over pictures, and which pictures two series have in common."""

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

# Sets of many pictures are alike, and need fewer resamples than sets of few.
_DRAWS, _LEAST, _MOST = 20_000_000, 400, 2000

_Key = TypeVar("_Key", bound=Hashable)
_NUMBERS = 1 << 22  # how many weights are held as floats at a time


@dataclass(frozen=True)
class Interval:
    """A number with its bootstrap interval.

    Attributes:
        value: What the pictures give; nan where it is not defined.
        low: The lower end of the interval, of 95 % unless another level was asked for; nan for fewer than two pictures.
        high: Its upper end.
        n: How many pictures the value is of.
    """

    value: float
    low: float
    high: float
    n: int


#: What no picture has a say in.
NOTHING = Interval(float("nan"), float("nan"), float("nan"), 0)


@dataclass(frozen=True, eq=False)
class Estimate:
    """Several numbers of the same pictures, such as the points of a curve, each with its interval.

    Attributes:
        value: What the pictures give, `(P,)`.
        low: The lower ends, `(P,)`.
        high: The upper ends, `(P,)`.
        n: How many pictures each value is of, `(P,)`.
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
    """Compute a statistic and its percentile bootstrap intervals, resampling pictures with replacement.

    Args:
        statistic: What to compute.
        resamples: How often to draw as many pictures as there are; by default 2000 times, and less often above 10,000
            pictures, down to 400 times.
        seed: Makes two calls the same.
        level: How much of the resamples lies inside an interval, as a fraction.

    Returns:
        The numbers. The ends of an interval are nan where fewer than two pictures have a say, as there is nothing to
        resample. Resamples in which a number is not defined are left out. Where resampling itself shifts a number,
        as it lowers an entropy, the resamples are shifted back to the value.

    Example:
        >>> from .statistic import Mean
        >>> found = estimate(Mean([0.0, 1.0] * 50))[0]
        >>> found.value, round(found.low, 1), round(found.high, 1), found.n
        (0.5, 0.4, 0.6, 100)
    """
    pictures = len(statistic.defined)
    value = statistic(np.ones((1, pictures)))[0]
    low, high = np.full_like(value, np.nan), np.full_like(value, np.nan)
    enough = (statistic.counts >= 2) & np.isfinite(value)
    if enough.any():
        resamples = max(_LEAST, min(_MOST, _DRAWS // pictures)) if resamples is None else resamples
        drawn = _weights(pictures, resamples, seed)
        step = max(1, _NUMBERS // pictures)
        parts = [statistic(drawn[at : at + step].astype(np.float64)) for at in range(0, resamples, step)]
        numbers = np.concatenate(parts)[:, enough]
        if statistic.limits:
            # What is asked is how much other sets of pictures spread, so a shift is no part of the answer.
            numbers = np.clip(numbers - np.nanmean(numbers, axis=0) + value[enough], *statistic.limits)
        tail = (1 - level) / 2
        low[enough], high[enough] = np.nanquantile(numbers, [tail, 1 - tail], axis=0)
    return Estimate(value, low, high, np.asarray(statistic.counts, dtype=np.int64))


def joined(intervals: Sequence[Interval | None]) -> Estimate:
    """Put single numbers, of pictures that may differ, side by side.

    Args:
        intervals: P of them; None where there is no number.

    Returns:
        An estimate of P numbers.

    Example:
        >>> joined([Interval(0.5, 0.4, 0.6, 9), None]).value.tolist()
        [0.5, nan]
    """
    found = [one or NOTHING for one in intervals]
    value, low, high = np.array([(one.value, one.low, one.high) for one in found]).reshape(-1, 3).T
    return Estimate(value, low, high, np.array([one.n for one in found], dtype=np.int64))


@dataclass(frozen=True)
class Paired:
    """Which pictures two series have in common.

    Attributes:
        first: Their places in the first series.
        second: Their places in the second one.
        only_first: How many pictures only the first series has.
        only_second: How many only the second one has.
    """

    first: tuple[int, ...]
    second: tuple[int, ...]
    only_first: int
    only_second: int


def paired(first: Sequence[_Key], second: Sequence[_Key]) -> Paired:
    """Find the pictures that both series have.

    Args:
        first: The pictures of the first series, each once.
        second: Those of the second one.

    Returns:
        Their places in both, in the order of the first.

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
    """How often each picture is drawn in each resample, `(resamples, pictures)`."""
    generator = np.random.default_rng(seed)
    drawn = np.empty((resamples, pictures), dtype=np.uint16)
    step = max(1, _NUMBERS // pictures)
    for at in range(0, resamples, step):
        part = drawn[at : at + step]
        places = generator.integers(pictures, size=part.shape) + pictures * np.arange(len(part))[:, None]
        part[:] = np.bincount(places.ravel(), minlength=part.size).reshape(part.shape)
    drawn.setflags(write=False)
    return drawn
