"""Explanations as files and pages."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from ..errors import InputError
from .html import render
from .serialization import FORMATS, png_url

if TYPE_CHECKING:
    from ..plots import LookOptions
    from .explanation import Explanation

__all__ = ["FIGURES", "encode", "html"]

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
        return html(explanation, "explanation_page.html", look).encode()
    from ..plots import figure_bytes, overview

    return figure_bytes(overview(explanation, **look), suffix)


def html(explanation: Explanation, template: str, look: LookOptions) -> str:
    """An explanation in a template."""
    predictions = [explanation.shown(row) for row in range(len(explanation.targets))]
    columns = (
        explanation.targets, explanation.labels, predictions, explanation.intercept, explanation.reliability,
        explanation.r2,
    )  # fmt: skip
    return render(
        template,
        figure=png_url(encode(explanation, ".png", look)),
        labels=explanation.labels,
        output=explanation.output,
        advice=explanation.advice,
        rows=list(zip(*columns, strict=True)),
        settings=explanation.settings.record(),
    )
