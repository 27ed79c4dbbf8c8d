"""HTML from the templates in `data/templates`."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["render"]


def render(template: str, **values: Any) -> str:
    """Fill a template; values are escaped.

    Example:
        >>> render("page.html", title="a < b").splitlines()[1]
        '<html lang="en"><head><meta charset="utf-8"><title>a &lt; b</title>'
    """
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("xai_layermask", "data/templates")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
