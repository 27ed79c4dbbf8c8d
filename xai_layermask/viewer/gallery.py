"""An index of pages: thumbnails that link to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .encoding import still, thumbnail
from .protocol import Viewable
from .templates import render

__all__ = ["Entry", "index"]


@dataclass(frozen=True)
class Entry:
    """One thumbnail of an index.

    Attributes:
        link: Where it leads, relative to the index; empty for none. Percent-encode special characters of a file name.
        name: Name of the picture.
        thumbnail: A data URL; empty for none.
        label: The first target.
        shown: Its prediction as text.
        note: A remark, such as why there is no explanation.
    """

    link: str
    name: str
    thumbnail: str = ""
    label: str = ""
    shown: str = ""
    note: str = ""

    @classmethod
    def of(cls, explanation: Viewable, link: str, name: str, note: str = "") -> Entry:
        """The entry of an explanation: the picture with the scores of its first target."""
        return cls(
            link, name, thumbnail(still(explanation)), explanation.labels[0], explanation.shown(0),
            note or explanation.advice,
        )  # fmt: skip


def index(entries: Sequence[Entry], *, title: str) -> str:
    """A page of thumbnails that link to their pages, with a field that filters them.

    Args:
        entries: The thumbnails, in their order.
        title: Heading of the page.

    Example:
        >>> index([Entry("a%20b.html", "a b.png", label="cat")], title="Cats").count('href="a%20b.html"')
        1
    """
    return render("viewer_index.html", entries=entries, title=title)
