"""COCO: pictures with many objects, of which the largest category is used."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InputError, reason
from .classes import class_table
from .item import Item
from .masks import Outlines

__all__ = ["coco"]


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
            data = json.loads(path.read_text(encoding="utf-8"))
            names = {one["id"]: one["name"] for one in data["categories"]}
            pictures = {one["id"]: one["file_name"] for one in data["images"]}
            objects: dict[Any, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
            for one in data["annotations"]:
                name = names[one["category_id"]]
                if known is None or name in known:
                    objects[one["image_id"]][name].append((float(one["area"]), one["segmentation"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            yield InputError.expected(
                f"COCO's categories, images and annotations in {path.name!r}",
                f"other content ({reason(error)})",
                "download it again",
            )
            continue
        for number, file in sorted(pictures.items(), key=lambda pair: pair[1]):
            if objects[number]:
                yield _item(root / split / file, f"{split}/{file}", objects[number], known)


def _item(path: Path, name: str, objects: dict[str, list[Any]], known: dict[str, int] | None) -> Item | InputError:
    # The first by name of equally large categories.
    largest = max(sorted(objects), key=lambda category: sum(area for area, _ in objects[category]))
    shapes = [shape for _, shape in objects[largest]]
    if any(isinstance(shape, dict) and not isinstance(shape.get("counts"), list) for shape in shapes):
        return InputError.expected(f"polygons or plain run lengths for the objects of {name!r}", "compressed ones")
    return Item(name, path, None if known is None else known[largest], Outlines(json.dumps(shapes)))
