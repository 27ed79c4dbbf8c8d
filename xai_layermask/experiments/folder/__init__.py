"""A folder of pictures, explained one by one by several workers into another folder, which a later run continues."""

from __future__ import annotations

from .pictures import list_pictures
from .recipe import Recipe
from .run import Summary, explain_folder

__all__ = ["Recipe", "Summary", "explain_folder", "list_pictures"]
