"""Layouts that consist of folders: a list of labels, one folder for each class, Pixel ImageNet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .classes import find_class, wnids
from .item import Item
from .masks import Painted
from .table import table

__all__ = ["image_folder", "labels_csv", "pixel_imagenet"]

_ENDINGS = {".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"}


def labels_csv(root: Path) -> Iterator[Item | str]:
    """A folder with `labels.csv`.

    Args:
        root: The folder.

    Yields:
        Items, and a sentence for each line that is wrong.

    Raises:
        InputError: If the table cannot be read, or lacks the column image or class_index.
    """
    for line, row in table(root / "labels.csv", ("image", "class_index")):
        name, word = row["image"], row["class_index"]
        if not name:
            yield f"line {line} of 'labels.csv' must name an image, but it does not: complete or remove it."
            continue
        if word and not word.isdecimal():
            yield f"the class_index of {name!r} must be a whole number, but {word!r} came: mend or empty it."
            continue
        picture = root / name
        mask = picture.with_name(f"{picture.stem}_mask.png")
        source = Painted(mask) if mask.is_file() else None
        yield Item(Path(name).as_posix(), picture, int(word) if word else None, source)


def image_folder(root: Path) -> Iterator[Item | str]:
    """`ROOT/images/CLASS/...`, and masks in the parallel folder `ROOT/masks/CLASS/NAME.png`, white on black.

    Args:
        root: The folder. CLASS is what [`find_class`][] knows; pictures may lie deeper.

    Yields:
        Items, named "CLASS/NAME.jpg", and a sentence for each folder that names no class.
    """
    for folder in _folders(root / "images"):
        label = find_class(folder.name)
        if label is None:
            yield (
                f"the folder {folder.name!r} must be a WordNet id, an index or the name of an ImageNet class, but it "
                "is none: rename it."
            )
            continue
        for picture in _pictures(folder):
            place = picture.relative_to(root / "images")
            mask = (root / "masks" / place).with_suffix(".png")
            yield Item(place.as_posix(), picture, label, Painted(mask) if mask.is_file() else None)


def pixel_imagenet(root: Path) -> Iterator[Item | str]:
    """Pixel ImageNet: `ROOT/train/WNID/NAME.JPEG` with `ROOT/pixel-imagenet-v2/WNID/NAME.png`.

    Its authors (Zhang et al., "Interactive Object Segmentation with Inside-Outside Guidance", CVPR 2020) have announced
    it, and describe no layout where we could see it. This is how the layer masking paper's own code reads it: whatever
    is not black is the object. ImageNet itself is not part of it: link its `train` folder.

    Args:
        root: The folder.

    Yields:
        Items for the pictures that have a mask, and a sentence for each folder that is no class.
    """
    masks = root / "pixel-imagenet-v2"
    for folder in _folders(masks):
        label = wnids().get(folder.name)
        if label is None:
            yield f"the folder {folder.name!r} must be one of ImageNet's WordNet ids, but it is none: remove it."
            continue
        for mask in _pictures(folder):
            place = mask.relative_to(masks).with_suffix(".JPEG")
            yield Item(place.as_posix(), root / "train" / place, label, Painted(mask, "any"))


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS)
