"""Datasets: pictures with labels and object masks, in common folder layouts."""

from __future__ import annotations

from .item import Dataset, Item, Mask, OpenItem
from .masks import Painted
from .reader import LAYOUTS, read_dataset

__all__ = ["LAYOUTS", "Dataset", "Item", "Mask", "OpenItem", "Painted", "read_dataset"]
