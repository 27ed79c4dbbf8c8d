"""An explanation as a page: one HTML text that holds its pictures and needs nothing else."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from ..plots import figure_bytes, overview
from .serialization import png_url

if TYPE_CHECKING:
    from .explanation import Explanation

__all__ = ["fragment", "page"]

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
img { max-width: 100%; height: auto; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .75rem; text-align: left; border-bottom: 1px solid #ddd; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
"""
_HEADS = ("class", "name", "probability", "intercept", "surrogate R²")


def fragment(explained: Explanation) -> str:
    """Show an explanation as a part of a page, as notebooks do.

    Args:
        explained: The explanation.

    Returns:
        HTML: the figure, and a table of the targets.
    """
    png = figure_bytes(overview(explained), ".png")
    names = ", ".join(explained.labels)
    return (
        f'<div><img src="{png_url(png)}" alt="What speaks for and against: {escape(names)}" '
        f'style="max-width:100%">{_targets(explained)}</div>'
    )


def page(explained: Explanation) -> str:
    """Show an explanation as a page of its own, with the settings that made it.

    Args:
        explained: The explanation.

    Returns:
        A whole HTML document.
    """
    title = f"What the network saw as {explained.labels[0]}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n"
        "<p>Green segments speak for the prediction, red ones against it.</p>\n"
        f"{fragment(explained)}\n<h2>Settings</h2>\n{_settings(explained)}</body></html>\n"
    )


def _targets(explained: Explanation) -> str:
    rows = []
    for row, (target, label) in enumerate(zip(explained.targets, explained.labels, strict=True)):
        numbers = (explained.probabilities[row], explained.intercept[row], explained.r2[row])
        cells = "".join(f'<td class="number">{number:.4f}</td>' for number in numbers)
        rows.append(f'<tr><td class="number">{target}</td><td>{escape(label)}</td>{cells}</tr>')
    heads = "".join(f"<th>{head}</th>" for head in _HEADS)
    return f"<table><tr>{heads}</tr>{''.join(rows)}</table>"


def _settings(explained: Explanation) -> str:
    rows = [
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in explained.settings.record().items()
    ]
    return f"<table>{''.join(rows)}</table>"
