"""Statistics over pictures, with bootstrap intervals."""

from __future__ import annotations

from .intervals import LEVEL, NOTHING, Estimate, Interval, Paired, estimate, joined, paired
from .statistic import Area, ClassMean, Difference, Entropy, Floats, Mean, Pairs, Statistic

__all__ = [
    "LEVEL",
    "NOTHING",
    "Area",
    "ClassMean",
    "Difference",
    "Entropy",
    "Estimate",
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
