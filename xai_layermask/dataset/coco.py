"""COCO: many objects in a picture, of which the largest category counts."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import reason
from .classes import class_table
from .item import Item
from .masks import Outlines

__all__ = ["coco"]


def coco(root: Path) -> Iterator[Item | str]:
    """`ROOT/annotations/instances_SPLIT.json` with `ROOT/SPLIT/*.jpg`, as torchvision's `CocoDetection` reads them.

    A picture's mask is all objects of one category together: the one that covers most, by the sum of its areas. With
    `ROOT/classes.csv` only the categories that it lists count, and pictures without them are left out; without it,
    every label is None. Pictures without objects are left out.

    Args:
        root: The folder.

    Yields:
        Items, named "SPLIT/NAME.jpg", and a sentence for each file of annotations, or object, that is wrong.
    """
    table = root / "classes.csv"
    known = class_table(table) if table.is_file() else None
    for path in sorted((root / "annotations").glob("instances_*.json")):
        split = path.stem.removeprefix("instances_")
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            names = {one["id"]: one["name"] for one in data["categories"]}
            pictures = {one["id"]: one["file_name"] for one in data["images"]}
            objects: dict[Any, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
            for one in data["annotations"]:
                name = names[one["category_id"]]
                if known is None or name in known:
                    objects[one["image_id"]][name].append((float(one["area"]), one["segmentation"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            yield (
                f"{path.name!r} must hold COCO's categories, images and annotations, but it cannot be read so "
                f"({reason(error)}): download it again."
            )
            continue
        for number, file in sorted(pictures.items(), key=lambda pair: pair[1]):
            if objects[number]:
                yield _item(root / split / file, f"{split}/{file}", objects[number], known)


def _item(path: Path, name: str, objects: dict[str, list[Any]], known: dict[str, int] | None) -> Item | str:
    # Of equally large categories the first by name.
    largest = max(sorted(objects), key=lambda category: sum(area for area, _ in objects[category]))
    shapes = [shape for _, shape in objects[largest]]
    if any(isinstance(shape, dict) and not isinstance(shape.get("counts"), list) for shape in shapes):
        return f"the objects of {name!r} must be polygons or plain run lengths, but compressed ones came: convert them."
    return Item(name, path, None if known is None else known[largest], Outlines(json.dumps(shapes)))
