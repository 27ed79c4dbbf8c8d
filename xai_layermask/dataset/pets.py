"""The Oxford-IIIT pets in torchvision's layout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .classes import class_table, find_class
from .item import Item
from .masks import Painted

__all__ = ["pets"]


def pets(root: Path) -> Iterator[Item]:
    """The files of torchvision's `OxfordIIITPet(ROOT)`: `oxford-iiit-pet/images` and `annotations/trimaps`.

    All pictures with a trimap are used, of both splits. The breed is the name up to the last "_". Its class is that of
    `ROOT/classes.csv`, or else the ImageNet class of the same name, such as "beagle"; the label is None if there is
    none, as for "Egyptian_Mau".

    Yields:
        Items named "NAME.jpg".
    """
    folder, table = root / "oxford-iiit-pet", root / "classes.csv"
    known = class_table(table) if table.is_file() else None
    # The archive contains files of macOS that begin with "._".
    for trimap in sorted((folder / "annotations" / "trimaps").glob("[!.]*.png")):
        breed = trimap.stem.rpartition("_")[0]
        label = known.get(breed) if known is not None else find_class(breed)
        picture = folder / "images" / f"{trimap.stem}.jpg"
        yield Item(picture.name, picture, label, Painted(trimap, "trimap"))
