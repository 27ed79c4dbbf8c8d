"""Progress bars: widgets in notebooks where `ipywidgets` is installed, text on stderr elsewhere."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["progress_bar"]


def progress_bar(
    total: int | None, description: str, shown: bool = True, unit: str = "sample", leave: bool = False
) -> Any:
    """A bar of tqdm, for `with`.

    Args:
        total: Number of steps; None if unknown.
        description: What they are.
        shown: Whether to show it.
        unit: What a step is.
        leave: Whether the bar stays when it is full.

    Example:
        >>> with progress_bar(2, "explaining", shown=False) as bar:
        ...     _ = bar.update(1)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tqdm warns in notebooks without ipywidgets, where it falls back to text
        from tqdm.auto import tqdm

    return tqdm(total=total, desc=description, disable=not shown, unit=unit, leave=leave)
