"""Explanations as files and pages."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from ..errors import InputError
from ..viewer import embed, page, png_bytes, png_url, render, still
from .serialization import FORMATS

if TYPE_CHECKING:
    from ..plots import LookOptions
    from .explanation import Explanation

__all__ = ["FIGURES", "encode", "notebook_html"]

#: Suffixes of figures.
FIGURES = (".png", ".svg", ".pdf")


def encode(explanation: Explanation, suffix: str, look: LookOptions) -> bytes:
    """The content of a file with a suffix.

    Raises:
        InputError: If options of figures are given for a file of data, or are out of range.
    """
    if suffix in FORMATS:
        if look:
            raise InputError.expected("no options of figures for a file of data", ", ".join(look))
        content = {field.name: getattr(explanation, field.name) for field in fields(explanation)}
        return FORMATS[suffix][0](content | {"settings": explanation.settings.record()})
    if suffix == ".html":
        return page(explanation, look=look).encode()
    from ..plots import figure_bytes, overview

    return figure_bytes(overview(explanation, **look), suffix)


def notebook_html(explanation: Explanation) -> str:
    """The viewer in a frame, and below it the picture with its colours for hosts that show no frames."""
    rows = [
        (label, explanation.shown(row), explanation.reliability[row]) for row, label in enumerate(explanation.labels)
    ]
    fallback = render(
        "viewer_fallback.html",
        figure=png_url(png_bytes(still(explanation))),
        labels=explanation.labels,
        output=explanation.output,
        advice=explanation.advice,
        rows=rows,
    )
    return embed(page(explanation), fallback=fallback)
