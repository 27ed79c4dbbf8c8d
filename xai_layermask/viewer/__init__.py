"""The interactive viewer: explanations as one self-contained HTML page, an index of pages, and a frame for notebooks.

Pages need no network and no other file. A content security policy forbids every request, and the only script that runs
is the package's own.
"""

from __future__ import annotations

from .embed import embed
from .encoding import png_bytes, png_url, still
from .gallery import Entry, index
from .page import page
from .protocol import Viewable
from .templates import render

__all__ = ["Entry", "Viewable", "embed", "index", "page", "png_bytes", "png_url", "render", "still"]
