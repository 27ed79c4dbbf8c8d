"""The interactive viewer: explanations as one self-contained HTML page, an index of pages, and a frame for notebooks.

Pages work offline and need no other file. A content security policy forbids every request, and only the package's own
script runs.
"""

from __future__ import annotations

from .embed import embed
from .encoding import png_bytes, png_url, still
from .gallery import Entry, index
from .page import page
from .protocol import Viewable
from .templates import render

__all__ = ["Entry", "Viewable", "embed", "index", "page", "png_bytes", "png_url", "render", "still"]
