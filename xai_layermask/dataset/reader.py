"""Read a folder of pictures in one of the layouts that people have."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from ..errors import InputError, choose
from .coco import coco
from .folders import image_folder, labels_csv, pixel_imagenet
from .item import Dataset, Item
from .masks import Painted, Squares
from .pets import pets
from .salient import salient_imagenet

__all__ = ["LAYOUTS", "read_dataset"]

#: Layouts by name, each with what tells it from the others: a function of the folder.
LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], Iterable[Item | str]]]] = {
    "labels.csv": (lambda root: (root / "labels.csv").is_file(), labels_csv),
    "salient-imagenet": (lambda root: (root / "salient_imagenet_dataset").is_dir(), salient_imagenet),
    "pixel-imagenet": (lambda root: (root / "pixel-imagenet-v2").is_dir(), pixel_imagenet),
    "oxford-iiit-pet": (lambda root: (root / "oxford-iiit-pet").is_dir(), pets),
    "coco": (lambda root: any((root / "annotations").glob("instances_*.json")), coco),
    "imagefolder": (lambda root: (root / "images").is_dir(), image_folder),
}


def read_dataset(root: str | os.PathLike[str], layout: str = "auto", strict: bool = False) -> Dataset:
    r"""Find the pictures of a folder, with their labels and object masks.

    Layouts:

    - "labels.csv": `ROOT/labels.csv` with the columns image and class_index (others are left alone; class_index may be
      empty), pictures beside it, and the mask of `NAME.jpg`, where there is one, as `NAME_mask.png`, white on black.
    - "imagefolder": `ROOT/images/CLASS/NAME.*`, and masks, where there are any, as `ROOT/masks/CLASS/NAME.png`. CLASS
      is a WordNet id, an index, or a class's name.
    - "pixel-imagenet": `ROOT/train/WNID/NAME.JPEG`, ImageNet's own folder or a link to it, and
      `ROOT/pixel-imagenet-v2/WNID/NAME.png`. Pictures without a mask are left out.
    - "salient-imagenet": `ROOT/train` likewise, and `ROOT/salient_imagenet_dataset` as its authors pack it. The union
      of a class's core features is the mask.
    - "oxford-iiit-pet": what torchvision's `OxfordIIITPet(ROOT)` leaves there.
    - "coco": `ROOT/annotations/instances_SPLIT.json` and `ROOT/SPLIT/*.jpg`.

    The last two look for `ROOT/classes.csv`, with the columns category and class_index: which ImageNet class a category
    is. [`image_folder`][], [`pixel_imagenet`][], [`salient_imagenet`][], [`pets`][] and [`coco`][] say more.

    Args:
        root: The folder.
        layout: One of these, or "auto", the first that fits.
        strict: Whether a wrong item is an error, instead of a sentence in `skipped`.

    Returns:
        The pictures, sorted by name.

    Raises:
        InputError: If there is no such folder or layout, no picture is left, or, where `strict`, an item is wrong.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (8, 8)).save(f"{folder}/fox.png")
        ...     _ = Path(f"{folder}/labels.csv").write_text("image,class_index\nfox.png,277\nlost.png,3\n")
        ...     dataset = read_dataset(folder)
        >>> [(item.name, item.label) for item in dataset.items], len(dataset.skipped)
        ([('fox.png', 277)], 1)
    """
    folder = Path(root)
    if not folder.is_dir():
        raise InputError(f"data must be a folder, but there is none at {str(folder)!r}: check the path.")
    choose(layout, ("auto", *LAYOUTS), "layout")
    if layout == "auto":
        layout = next((name for name, (fits, _) in LAYOUTS.items() if fits(folder)), "")
    if not layout:
        raise InputError(
            f"data must be a folder in one of the layouts {', '.join(map(repr, LAYOUTS))}, but {str(folder)!r} fits "
            "none: the simplest is a labels.csv with the columns image and class_index."
        )
    items, skipped = [], []
    seen: set[str] = set()
    for found in LAYOUTS[layout][1](folder):
        wrong = found if isinstance(found, str) else _wrong(found, seen)
        if wrong and strict:
            raise InputError(wrong)
        if wrong:
            skipped.append(wrong)
        elif isinstance(found, Item):
            seen.add(found.name)
            items.append(found)
    if not items:
        count = f" and {len(skipped)} wrong ones" if skipped else ""
        first = f" ({skipped[0]})" if skipped else ""
        raise InputError(
            f"data must hold pictures, but {str(folder)!r} holds none{count} in the layout {layout!r}{first}: check it."
        )
    return Dataset(folder.resolve().name, tuple(sorted(items, key=lambda item: item.name)), tuple(skipped))


def _wrong(item: Item, seen: set[str]) -> str:
    """What is wrong with an item, as far as a look at its files' beginnings tells; empty if nothing."""
    if item.name in seen:
        return f"{item.name!r} must come once, but it comes again: remove the second line."
    for path in (item.path, *_mask_files(item)):
        sentence = _unreadable(path)
        if sentence:
            return f"{item.name!r} must be readable, but {sentence}: mend or remove it."
    return ""


def _mask_files(item: Item) -> Iterator[Path]:
    if isinstance(item.source, Squares):
        yield from item.source.paths
    elif isinstance(item.source, Painted):
        yield item.source.path


def _unreadable(path: Path) -> str:
    from PIL import Image, UnidentifiedImageError

    if not path.is_file():
        return f"there is no file {path.name!r}"
    try:
        with Image.open(path) as image:
            return "" if all(image.size) else f"{path.name!r} has no pixels"
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError):
        return f"{path.name!r} is no picture"
