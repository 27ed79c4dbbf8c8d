"""`read_dataset`: read a folder of pictures in one of several layouts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..catalog import MASKS
from ..errors import InputError, choose
from ..images import open_picture
from .coco import coco
from .folders import image_folder, labels_csv, pixel_imagenet
from .item import Dataset, Item
from .masks import Painted, Squares
from .paths import is_text
from .pets import pets
from .salient import salient_imagenet

__all__ = ["LAYOUTS", "read_dataset"]

#: Layouts by name: whether a folder has the layout, and the reader of its items.
LAYOUTS: dict[str, tuple[Callable[[Path], bool], Callable[[Path], Iterable[Item | InputError]]]] = {
    "labels.csv": (lambda root: (root / "labels.csv").is_file(), labels_csv),
    "salient-imagenet": (lambda root: (root / "salient_imagenet_dataset").is_dir(), salient_imagenet),
    "pixel-imagenet": (lambda root: (root / "pixel-imagenet-v2").is_dir(), pixel_imagenet),
    "oxford-iiit-pet": (lambda root: (root / "oxford-iiit-pet").is_dir(), pets),
    "coco": (lambda root: any((root / "annotations").glob("instances_*.json")), coco),
    "imagefolder": (lambda root: (root / "images").is_dir(), image_folder),
}


def read_dataset(
    root: str | os.PathLike[str], layout: str = "auto", strict: bool = False, masks: str = "binary"
) -> Dataset:
    r"""Find the pictures of a folder, with their labels and object masks.

    Layouts:

    - "labels.csv": `ROOT/labels.csv` with the columns image and class_index (which may be empty; other columns are
      ignored), pictures beside it, and optional masks, white on black: `NAME_mask.png` for `NAME.jpg`. Pictures outside
      the folder are left out.
    - "imagefolder": `ROOT/images/CLASS/NAME.*`, and optional masks `ROOT/masks/CLASS/NAME.png`. CLASS is a WordNet id,
      an index, or a class's name.
    - "pixel-imagenet": `ROOT/train/WNID/NAME.JPEG`, ImageNet's own folder or a link to it, and
      `ROOT/pixel-imagenet-v2/WNID/NAME.png`. Pictures without a mask are left out.
    - "salient-imagenet": the same `ROOT/train`, and `ROOT/salient_imagenet_dataset` as distributed by its authors. The
      mask is the union of a class's core features.
    - "oxford-iiit-pet": the files of torchvision's `OxfordIIITPet(ROOT)`.
    - "coco": `ROOT/annotations/instances_SPLIT.json` and `ROOT/SPLIT/*.jpg`.

    The last two look for `ROOT/classes.csv` with the columns category and class_index, the ImageNet class of each
    category. Details are in [`image_folder`][], [`pixel_imagenet`][], [`salient_imagenet`][], [`pets`][] and
    [`coco`][].

    Args:
        root: The folder.
        layout: One of these, or "auto", the first that fits.
        strict: Whether an invalid item is an error, rather than listed in `skipped`.
        masks: The meaning of painted masks in the layouts labels.csv and imagefolder: "binary", of 0 and 255 or of 0
            and 1, or "soft", where greys are shares of the object.

    Returns:
        The pictures, sorted by name.

    Raises:
        InputError: If the folder or layout does not exist, no picture is left, or, if `strict`, an item is invalid.

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
        raise InputError.expected("an existing folder for data", repr(str(folder)))
    choose(layout, ("auto", *LAYOUTS), "layout")
    choose(masks, MASKS, "masks")
    if layout == "auto":
        layout = next((name for name, (fits, _) in LAYOUTS.items() if fits(folder)), "")
    if not layout:
        raise InputError.expected(
            f"a folder in one of the layouts {', '.join(LAYOUTS)} for data",
            repr(str(folder)),
            "the simplest is a labels.csv with the columns image and class_index",
        )
    items: dict[str, Item] = {}
    skipped: list[str] = []
    for found in LAYOUTS[layout][1](folder):
        error = found if isinstance(found, InputError) else _problem(found, items)
        if error and strict:
            raise error
        if error:
            skipped.append(str(error))
        elif isinstance(found, Item):
            if isinstance(found.source, Painted) and found.source.kind in MASKS:
                found = replace(found, source=replace(found.source, kind=masks))
            items[found.name] = found
    if not items:
        invalid = f"and {len(skipped)} invalid ones, the first: {skipped[0]}" if skipped else ""
        raise InputError.expected(f"pictures in the layout {layout!r} in {str(folder)!r}", f"none {invalid}".rstrip())
    return Dataset(folder.resolve().name, tuple(items[name] for name in sorted(items)), tuple(skipped))


def _problem(item: Item, items: Mapping[str, Item]) -> InputError | None:
    """The error of an item whose name is already taken, or whose files are not pictures according to their headers."""
    if not is_text(item.name):
        return InputError.expected("names in UTF-8 without control characters", repr(item.name), "rename the file")
    if item.name in items:
        return InputError.expected("each picture once", f"{item.name!r} again")
    for path in (item.path, *_mask_files(item)):
        problem = _file_problem(path)
        if problem:
            return InputError.expected(f"readable files for {item.name!r}", problem)
    return None


def _mask_files(item: Item) -> Iterator[Path]:
    if isinstance(item.source, Squares):
        yield from item.source.paths
    elif isinstance(item.source, Painted):
        yield item.source.path


def _file_problem(path: Path) -> str:
    if not os.path.isfile(path):  # also where the name is too long for the file system
        return f"no file {path.name!r}"
    try:
        with open_picture(path, path.name) as image:
            return "" if all(image.size) else f"{path.name!r} without pixels"
    except InputError:
        return f"{path.name!r}, which is not a picture"
