"""Datasets: pictures with labels and object masks, in common folder layouts."""

from __future__ import annotations

from .item import Dataset, Item, Mask, OpenItem
from .reader import LAYOUTS, read_dataset

__all__ = ["LAYOUTS", "Dataset", "Item", "Mask", "OpenItem", "read_dataset"]
