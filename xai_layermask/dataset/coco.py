"""COCO: pictures with many objects, of which the largest category is used."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import InputError, reason
from .classes import class_table
from .item import Item
from .outlines import Outlines, check_shape
from .paths import inside

__all__ = ["coco"]

#: By category: the area and the segmentation of each object in a picture.
Objects = Mapping[str, list[tuple[float, Any]]]


def coco(root: Path) -> Iterator[Item | InputError]:
    """`ROOT/annotations/instances_SPLIT.json` with `ROOT/SPLIT/*.jpg`, as torchvision's `CocoDetection` reads them.

    The mask of a picture is the union of all objects of one category, the one with the largest total area. With
    `ROOT/classes.csv` only the categories listed there are used; without it, every label is None. Pictures without
    objects are left out.

    Yields:
        Items named "SPLIT/NAME.jpg", and an error for each invalid file of annotations or object.
    """
    table = root / "classes.csv"
    known = class_table(table) if table.is_file() else None
    for path in sorted((root / "annotations").glob("instances_*.json")):
        split = path.stem.removeprefix("instances_")
        try:
            found = _objects(json.loads(path.read_text(encoding="utf-8")), known)
        except Exception as error:  # unexpected content may raise anything, RecursionError included
            yield InputError.expected(
                f"COCO's categories, images and annotations in {path.name!r}",
                f"other content ({type(error).__name__}: {reason(error)})",
                "download it again",
            )
            continue
        for file, objects in found:
            try:
                yield _item(root / split, split, file, objects, known)
            except InputError as error:
                yield error


def _objects(data: Any, known: Mapping[str, int] | None) -> list[tuple[str, Objects]]:
    """The file name of each picture with objects, and its objects."""
    names = {one["id"]: str(one["name"]) for one in data["categories"]}
    pictures = {one["id"]: str(one["file_name"]) for one in data["images"]}
    objects: dict[Any, dict[str, list[tuple[float, Any]]]] = defaultdict(lambda: defaultdict(list))
    for one in data["annotations"]:
        name = names[one["category_id"]]
        # An annotation without an outline, such as a box alone, says nothing about the mask.
        if one["segmentation"] != [] and (known is None or name in known):
            objects[one["image_id"]][name].append((float(one["area"]), one["segmentation"]))
    return sorted(((file, objects[number]) for number, file in pictures.items() if objects[number]), key=_file)


def _file(picture: tuple[str, Objects]) -> str:
    return picture[0]


def _item(folder: Path, split: str, file: str, objects: Objects, known: Mapping[str, int] | None) -> Item:
    path, name = inside(folder, file), f"{split}/{file}"
    areas = {category: sum(area for area, _ in several) for category, several in objects.items()}
    if not all(math.isfinite(area) for area in areas.values()):
        raise InputError.expected(f"finite areas of the objects of {name!r}", "NaN or infinity")
    # The first by name of equally large categories.
    largest = max(sorted(areas), key=areas.__getitem__)
    shapes = [shape for _, shape in objects[largest]]
    for shape in shapes:
        try:
            check_shape(shape)
        except InputError as error:
            raise InputError(f"{error}, in the objects of {name!r}") from error
    return Item(name, path, None if known is None else known[largest], Outlines(json.dumps(shapes)))
