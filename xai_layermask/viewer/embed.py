"""A page inside another one, such as a notebook."""

from __future__ import annotations

from ..errors import check_integer
from .templates import render

__all__ = ["embed"]


def embed(html: str, *, height: int = 720, fallback: str = "", name: str = "Explanation") -> str:
    """A frame that holds a whole page, for the output of a notebook.

    The frame has no access to what is around it. Where frames or scripts are removed, as on some hosts of notebooks,
    the fallback below the frame remains.

    Args:
        html: The page, from [`page`][].
        height: Height of the frame, in CSS pixels.
        fallback: HTML to show without the frame.
        name: What screen readers call the frame.

    Raises:
        InputError: If the height is not at least 100.

    Example:
        >>> embed("<p>Hello</p>", height=300).count("srcdoc=")
        1
    """
    from markupsafe import Markup

    height = check_integer(height, "height", 100)
    return render("viewer_embed.html", html=html, height=height, fallback=Markup(fallback), name=name)
