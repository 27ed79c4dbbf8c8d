"""Folder layouts: a list of labels, a folder for each class, Pixel ImageNet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError
from .classes import as_index, find_class, wnids
from .item import Item
from .masks import Painted
from .paths import inside
from .table import table

__all__ = ["image_folder", "labels_csv", "pixel_imagenet"]

_ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def labels_csv(root: Path) -> Iterator[Item | InputError]:
    """A folder with `labels.csv`.

    Yields:
        Items, and an error for each invalid line.

    Raises:
        InputError: If the table cannot be read, or lacks the column image or class_index.
    """
    for line, row in table(root / "labels.csv", ("image", "class_index")):
        name, word = row["image"], row["class_index"]
        if not name:
            yield InputError.expected(f"an image in line {line} of 'labels.csv'", "none")
            continue
        index = as_index(word)
        if word and index is None:
            yield InputError.expected(f"an integer or nothing for the class_index of {name!r}", repr(word))
            continue
        try:
            picture = inside(root, name)
        except InputError as error:
            yield error
            continue
        mask = picture.with_name(f"{picture.stem}_mask.png")
        source = Painted(mask) if os.path.isfile(mask) else None
        yield Item(Path(name).as_posix(), picture, index, source)


def image_folder(root: Path) -> Iterator[Item | InputError]:
    """`ROOT/images/CLASS/...`, and masks in the parallel folder `ROOT/masks/CLASS/NAME.png`, white on black.

    CLASS is anything that [`find_class`][] knows; pictures may be in subfolders.

    Yields:
        Items named "CLASS/NAME.jpg", and an error for each folder whose name is not a class.
    """
    for folder in _folders(root / "images"):
        label = find_class(folder.name)
        if label is None:
            yield InputError.expected(
                "folders named by the WordNet id, index or name of an ImageNet class", repr(folder.name), "rename it"
            )
            continue
        for picture in _pictures(folder):
            place = picture.relative_to(root / "images")
            mask = (root / "masks" / place).with_suffix(".png")
            yield Item(place.as_posix(), picture, label, Painted(mask) if os.path.isfile(mask) else None)


def pixel_imagenet(root: Path) -> Iterator[Item | InputError]:
    """Pixel ImageNet: `ROOT/train/WNID/NAME.JPEG` with `ROOT/pixel-imagenet-v2/WNID/NAME.png`.

    The authors (Zhang et al., "Interactive Object Segmentation with Inside-Outside Guidance", CVPR 2020) do not
    describe its layout. This is how the layer masking paper's code reads it: all pixels that are not black are the
    object. ImageNet is not part of it: link its `train` folder.

    Yields:
        Items for the pictures that have a mask, and an error for each folder whose name is not a class.
    """
    masks = root / "pixel-imagenet-v2"
    for folder in _folders(masks):
        label = wnids().get(folder.name)
        if label is None:
            yield InputError.expected("folders named by a WordNet id of ImageNet", repr(folder.name), "remove it")
            continue
        for mask in _pictures(folder):
            place = mask.relative_to(masks).with_suffix(".JPEG")
            yield Item(place.as_posix(), root / "train" / place, label, Painted(mask, "any"))


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
