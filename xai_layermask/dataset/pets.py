"""The Oxford-IIIT pets, as torchvision keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .classes import class_table, find_class
from .item import Item
from .masks import Painted

__all__ = ["pets"]


def pets(root: Path) -> Iterator[Item | str]:
    """What torchvision's `OxfordIIITPet(ROOT)` leaves: `oxford-iiit-pet/images` and `annotations/trimaps`.

    All pictures that have a trimap come, of both splits. Their breed is their name up to the last "_". Its class is
    what `ROOT/classes.csv` says, or else the ImageNet class of that name, such as "beagle"; where there is none, as for
    "Egyptian_Mau", the label is None.

    Args:
        root: The folder that holds `oxford-iiit-pet`.

    Yields:
        Items, named "NAME.jpg".
    """
    folder, table = root / "oxford-iiit-pet", root / "classes.csv"
    known = class_table(table) if table.is_file() else None
    # Mac OS has left files that begin with "._" in the archive.
    for trimap in sorted((folder / "annotations" / "trimaps").glob("[!.]*.png")):
        breed = trimap.stem.rpartition("_")[0]
        label = known.get(breed) if known is not None else find_class(breed)
        picture = folder / "images" / f"{trimap.stem}.jpg"
        yield Item(picture.name, picture, label, Painted(trimap, "trimap"))
