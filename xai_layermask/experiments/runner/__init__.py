"""Evaluations: a protocol over many pictures, models and maskings, by several workers, into a store."""

from __future__ import annotations

from .agenda import Agenda, Entry, agenda, chosen
from .crew import Crew
from .evaluation import Outline, Progress, evaluate
from .source import Source, digest
from .speed import estimate

__all__ = [
    "Agenda",
    "Crew",
    "Entry",
    "Outline",
    "Progress",
    "Source",
    "agenda",
    "chosen",
    "digest",
    "estimate",
    "evaluate",
]
