"""Load what a command line names."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalog import LITE
from ..errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch
    from torch import nn

    from ..models import Classifier

__all__ = ["add_working_directory", "architecture", "load_model", "read_mask", "read_picture", "read_valid"]

_LIBRARIES = ("torchvision", "timm", "hf")


def read_picture(path: str | None) -> Any:
    """Read a picture file or raster without changing its numbers; None gives the sample photograph.

    Returns:
        The numbers; for a .npy or .tif file its path, after a trial read: the preprocessing decides how to read it.

    Raises:
        InputError: If the file holds no picture.
    """
    from ..images import read_raw, sample_photograph

    if path is None:
        return sample_photograph()
    numbers = read_raw(path)
    return path if path.lower().endswith((".npy", ".tif", ".tiff")) else numbers


def read_valid(path: str | None) -> Any:
    """Read the mask of valid pixels, bool `(H, W)`; None if no file is given.

    Raises:
        InputError: If the file holds no mask of one channel.
    """
    from ..images import read_raw

    if path is None:
        return None
    values = read_raw(path)
    if values.ndim == 3 and values.shape[2] == 3 and (values == values[..., :1]).all():
        values = values[..., 0]
    if values.ndim != 2:
        raise InputError.expected("a mask of one channel for --valid", f"{path!r} of shape {values.shape}")
    return values != 0


def read_mask(path: str | None) -> npt.NDArray[np.float64] | None:
    """Read an object mask: float64 `(H, W)` from 0 to 1; None if no file is given.

    Raises:
        InputError: If the file holds no mask.
    """
    from ..dataset import Painted

    if path is None:
        return None
    if not os.path.isfile(path):
        raise InputError.expected("an existing file for --mask", repr(path))
    return Painted(Path(path)).read(0, 0)


def add_working_directory(models: Iterable[str]) -> None:
    """Make modules of the working directory importable if a model is one, here and in child processes.

    They are searched after the installed ones, so that a file cannot shadow an installed package.

    Args:
        models: Names of models.
    """
    factories = [name for name in models if name not in LITE and name.partition(":")[0] not in _LIBRARIES]
    if factories and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def load_model(args: argparse.Namespace, device: torch.device, targets: Sequence[str] = ()) -> Classifier:
    """Load the model of `explain` or `compare`, with its preprocessing and labels.

    Args:
        args: Parsed options: model, weights, preprocess, labels.
        device: Where to load the model.
        targets: Classes to explain, which are checked before the model is loaded if its labels are known.

    Raises:
        InputError: If there is no such model or target, or weights or labels do not fit.
    """
    from ..images import Preprocess, change_preprocess
    from ..models import class_index, known_labels, load, read_labels

    change_preprocess(args.preprocess, Preprocess())  # fail before loading anything
    if args.weights is not None and not os.path.isfile(args.weights):
        raise InputError.expected("an existing file for weights", repr(args.weights))
    if args.labels is not None:
        labels = read_labels(args.labels)
    else:
        labels = known_labels(args.model) if args.weights is None else ()
    for target in targets if labels else ():
        class_index(labels, target)
    add_working_directory([args.model])
    classifier = load(args.model, args.weights, device)
    preprocess = change_preprocess(args.preprocess, classifier.preprocess)
    return replace(classifier, preprocess=preprocess, labels=labels or classifier.labels)


def architecture(name: str, weights: str | None, preprocess: str = "") -> tuple[nn.Module, tuple[int, int]]:
    """Load a model whose predictions do not matter; downloads no pretrained weights.

    Args:
        name: As [`load`][xai_layermask.models.load] takes it.
        weights: Path of a state dict, or None.
        preprocess: Changes to its preprocessing.

    Returns:
        The model, and the height and width of its input.

    Raises:
        InputError: If there is no such model, or the weights do not fit it.
    """
    from ..images import Preprocess, change_preprocess
    from ..models import load

    change_preprocess(preprocess, Preprocess())
    add_working_directory([name])
    classifier = load(name, weights, pretrained=False)
    own = change_preprocess(preprocess, classifier.preprocess)
    size = own.crop or own.resize or 224
    return classifier.model, size if isinstance(size, tuple) else (size, size)
