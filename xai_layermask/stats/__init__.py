"""Statistics over pictures, with bootstrap intervals."""

from __future__ import annotations

from .derived import Area, Average, Difference, Exponent
from .intervals import LEVEL, NOTHING, Estimate, Interval, Paired, estimate, joined, paired
from .statistic import ClassMean, Entropy, Floats, Mean, Pairs, Statistic

__all__ = [
    "LEVEL",
    "NOTHING",
    "Area",
    "Average",
    "ClassMean",
    "Difference",
    "Entropy",
    "Estimate",
    "Exponent",
    "Floats",
    "Interval",
    "Mean",
    "Paired",
    "Pairs",
    "Statistic",
    "estimate",
    "joined",
    "paired",
]
