"""Explanations as HTML: the values that the templates in `data/templates` show."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from ..plots import figure_bytes, overview
from .serialization import png_url

if TYPE_CHECKING:
    from jinja2 import Environment

    from .explanation import Explanation

__all__ = ["fragment", "page", "render"]


def render(template: str, **values: Any) -> str:
    """Fill a template of `data/templates`; values are escaped.

    Example:
        >>> render("page.html", title="a < b").splitlines()[1][:80]
        '<html lang="en"><head><meta charset="utf-8"><title>a &lt; b</title>'
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("xai_layermask", "data/templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def fragment(explanation: Explanation) -> str:
    """An explanation as part of a page, as notebooks show it: the figure, and a table of the targets."""
    return render("explanation.html", **_values(explanation))


def page(explanation: Explanation) -> str:
    """An explanation as a whole HTML document, with the settings that made it."""
    return render("explanation_page.html", **_values(explanation), settings=explanation.settings.record())


def _values(explanation: Explanation) -> dict[str, Any]:
    columns = (
        explanation.targets, explanation.labels, explanation.probabilities, explanation.intercept, explanation.r2
    )
    return {
        "figure": png_url(figure_bytes(overview(explanation), ".png")),
        "labels": explanation.labels,
        "rows": list(zip(*columns, strict=True)),
    }
