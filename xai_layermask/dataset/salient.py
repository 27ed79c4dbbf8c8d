"""Salient ImageNet (Singla & Feizi, ICLR 2022): soft masks of what a robust network looks at."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError, reason
from .classes import wnids
from .item import Item
from .masks import Squares

__all__ = ["salient_imagenet"]

_SPURIOUS = ("background", "separate_object")
_VOTES = 3  # of five workers


def salient_imagenet(root: Path) -> Iterator[Item | str]:
    """Salient ImageNet beside ImageNet's own pictures.

    Read as its authors' loader does (github.com/singlasahil14/salient_imagenet):

    - `ROOT/train/WNID/NAME.JPEG`: ImageNet's training pictures, or a link to them;
    - `ROOT/salient_imagenet_dataset/WNID/image_names_map.csv`: a column for each feature, with the names of pictures;
    - `ROOT/salient_imagenet_dataset/WNID/feature_FEATURE/NAME.JPEG`: the soft mask, 224 x 224, which the loader resizes
      and crops like the picture: so it is that of the square at the picture's centre;
    - `discover_spurious_features.csv`, in ROOT, in that folder, or in `ROOT/mturk_results`: what workers answered. A
      feature that three or more of them call background or a separate object is spurious, the others are core.

    A picture's mask is the highest of its core features, as in the layer masking paper; pictures without one are left
    out.

    Args:
        root: The folder.

    Yields:
        Items, and a sentence for each class folder that cannot be read.

    Raises:
        InputError: If the workers' answers are not there.
    """
    data = root / "salient_imagenet_dataset"
    core = _core_features(root, data)
    for folder in sorted(path for path in data.iterdir() if path.is_dir()):
        label = wnids().get(folder.name)
        if label is None:
            continue  # not a class: the authors keep tables beside them
        names: dict[str, list[Path]] = defaultdict(list)
        try:
            with (folder / "image_names_map.csv").open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    for feature in sorted(core[label] & set(row)):
                        if row[feature]:
                            names[row[feature]].append(folder / f"feature_{feature}" / f"{row[feature]}.JPEG")
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            yield (
                f"the class {folder.name!r} must have an image_names_map.csv, but it cannot be read ({reason(error)}): "
                "unpack it again."
            )
            continue
        for name, masks in sorted(names.items()):
            place = Path(folder.name) / f"{name}.JPEG"
            yield Item(place.as_posix(), root / "train" / place, label, Squares(tuple(masks)))


def _core_features(root: Path, data: Path) -> dict[int, set[str]]:
    name = "discover_spurious_features.csv"
    path = next((folder / name for folder in (root, data, root / "mturk_results") if (folder / name).is_file()), None)
    if path is None:
        raise InputError(
            f"Salient ImageNet needs {name}, which says which features are core, but {str(root)!r} has none: copy it "
            "from mturk_results/ of its repository."
        )
    votes: dict[tuple[int, str], int] = defaultdict(int)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                key = int(row["Input.class_index"]), row["Input.feature_index"]
                votes[key] += row["Answer.main"] in _SPURIOUS
    except (OSError, UnicodeDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{str(path)!r} must have the columns Input.class_index, Input.feature_index and Answer.main, but it "
            f"cannot be read so ({reason(error)}): take the one of Salient ImageNet's repository."
        ) from error
    core: dict[int, set[str]] = defaultdict(set)
    for (label, feature), count in votes.items():
        if count < _VOTES:
            core[label].add(feature)
    return core
