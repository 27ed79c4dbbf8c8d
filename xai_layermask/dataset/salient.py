"""Salient ImageNet (Singla & Feizi, ICLR 2022): soft masks of the features of a robust network."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError, reason
from .classes import wnids
from .item import Item
from .masks import Squares
from .paths import inside

__all__ = ["salient_imagenet"]

_SPURIOUS = ("background", "separate_object")
_VOTES = 3  # of five workers, which make a feature spurious


def salient_imagenet(root: Path) -> Iterator[Item | InputError]:
    """Salient ImageNet beside ImageNet's own pictures.

    The layout is that of the authors' loader (github.com/singlasahil14/salient_imagenet):

    - `ROOT/train/WNID/NAME.JPEG`: ImageNet's training pictures, or a link to them;
    - `ROOT/salient_imagenet_dataset/WNID/image_names_map.csv`: a column of picture names for each feature;
    - `ROOT/salient_imagenet_dataset/WNID/feature_FEATURE/NAME.JPEG`: the soft mask, 224 x 224, of the square at the
      picture's centre (the loader resizes and crops both in the same way);
    - `discover_spurious_features.csv` in ROOT, in that folder, or in `ROOT/mturk_results`: the workers' answers. A
      feature that at least three of them call background or a separate object is spurious, the others are core.

    The mask of a picture is the maximum over its core features, as in the layer masking paper; pictures without one are
    left out.

    Yields:
        Items, and an error for each class folder that cannot be read.

    Raises:
        InputError: If the workers' answers are missing.
    """
    data = root / "salient_imagenet_dataset"
    core = _core_features(root, data)
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        label = wnids().get(folder.name)
        if label is None:
            continue  # the authors also keep tables there
        names: dict[str, list[str]] = defaultdict(list)
        try:
            with (folder / "image_names_map.csv").open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    for feature in sorted(core[label] & set(row)):
                        if row[feature]:
                            names[row[feature]].append(f"feature_{feature}/{row[feature]}.JPEG")
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            yield InputError.expected(
                f"a readable image_names_map.csv of the class {folder.name!r}", reason(error), "unpack it again"
            )
            continue
        for name, masks in sorted(names.items()):
            place = Path(folder.name) / f"{name}.JPEG"
            try:
                picture = inside(root / "train", place.as_posix())
                places = tuple(inside(folder, mask) for mask in masks)
            except InputError as error:
                yield error
                continue
            yield Item(place.as_posix(), picture, label, Squares(places))


def _core_features(root: Path, data: Path) -> dict[int, set[str]]:
    name = "discover_spurious_features.csv"
    path = next((folder / name for folder in (root, data, root / "mturk_results") if (folder / name).is_file()), None)
    if path is None:
        raise InputError.expected(
            f"{name}, which tells core from spurious features, in {str(root)!r}",
            "none",
            "copy it from mturk_results/ of Salient ImageNet's repository",
        )
    votes: dict[tuple[int, str], int] = defaultdict(int)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = int(row["Input.class_index"]), row["Input.feature_index"]
                votes[key] += row["Answer.main"] in _SPURIOUS
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError.expected(
            f"the columns Input.class_index, Input.feature_index and Answer.main in {str(path)!r}",
            f"other content ({reason(error)})",
            "use the one of Salient ImageNet's repository",
        ) from error
    core: dict[int, set[str]] = defaultdict(set)
    for (label, feature), count in votes.items():
        if count < _VOTES:
            core[label].add(feature)
    return core
