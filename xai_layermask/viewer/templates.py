"""HTML from the templates in `data/templates`."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from ..catalog import SIGNATURE

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["content_hash", "json_block", "render"]

# Escapes for JSON inside <script>: nothing in it may end the element or a line of JavaScript.
_ESCAPES = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


def render(template: str, **values: Any) -> str:
    """Fill a template; values are escaped.

    The text can be stored in UTF-8: lone surrogates, as in names of files that are not UTF-8, become their numbers.

    Example:
        >>> render("page.html", title="a < b").splitlines()[1]
        '<html lang="en"><head><meta charset="utf-8"><title>a &lt; b</title>'
    """
    return _environment().get_template(template).render(values).encode("utf-8", "backslashreplace").decode()


def json_block(value: Any) -> Markup:
    r"""JSON that is safe inside `<script type="application/json">`.

    Example:
        >>> print(json_block({"name": "</script><b>"}))
        {"name":"\u003c/script\u003e\u003cb\u003e"}
    """
    from markupsafe import Markup

    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Markup(text.translate(_ESCAPES))


@cache
def content_hash(name: str) -> str:
    """The hash that allows a script or style sheet of `data/templates` in a content security policy."""
    return "sha256-" + base64.b64encode(hashlib.sha256(_source(name).encode()).digest()).decode()


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("xai_layermask", "data/templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {"source_of": _source, "content_hash": content_hash, "program": SIGNATURE}
    return environment


@cache
def _source(name: str) -> Markup:
    """The text of a script or style sheet, marked as safe: templates do not escape it."""
    from markupsafe import Markup

    return Markup(files("xai_layermask").joinpath("data", "templates", name).read_text("utf-8"))
