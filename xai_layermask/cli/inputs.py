"""Load what a command line names, and check output paths before anything is computed."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import InputError, choose

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ..images import Picture
    from ..models import Classifier

__all__ = ["add_working_directory", "architecture", "check_outputs", "load_model", "read_picture"]

_LIBRARIES = {"torchvision": "torchvision.models", "timm": "timm.models"}


def read_picture(path: str | None) -> Picture:
    """Read a picture file; None gives the sample photograph.

    Returns:
        uint8 `(H, W, 3)`.

    Raises:
        InputError: If the file holds no picture.
    """
    from ..images import read_image, sample_photograph

    return sample_photograph() if path is None else read_image(path)


def add_working_directory() -> None:
    """Make modules of the working directory importable, as `python -m` does, here and in child processes."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def load_model(name: str, weights: str | None, device: str | torch.device = "cpu") -> Classifier:
    """Load a model by name, also from a module in the working directory.

    Args:
        name: As [`load`][xai_layermask.models.load] takes it.
        weights: Path of a state dict; None for the model's own weights.
        device: Where to load the model.

    Raises:
        InputError: If there is no such model, or the weights do not fit it.
    """
    from ..models import load

    add_working_directory()
    return load(name, weights, device)


def architecture(name: str, weights: str | None) -> tuple[nn.Module, tuple[int, int]]:
    """Load a model whose predictions do not matter; downloads no pretrained weights.

    Args:
        name: As [`load`][xai_layermask.models.load] takes it.
        weights: Path of a state dict, or None.

    Returns:
        The model, and the height and width of its input.

    Raises:
        InputError: If there is no such model, or the weights do not fit it.
    """
    library, _, rest = name.partition(":")
    if weights is None and library in _LIBRARIES and importlib.util.find_spec(library):
        home = importlib.import_module(_LIBRARIES[library])
        if rest in (home.list_models(module=home) if library == "torchvision" else home.list_models()):
            model = load_model(f"{_LIBRARIES[library]}:{rest}", None).model
            if library == "timm":
                height, width = model.pretrained_cfg["input_size"][-2:]  # type: ignore[index]
                return model, (int(height), int(width))
            side = home.get_model_weights(rest).DEFAULT.transforms().crop_size[0]
            return model, (side, side)
    classifier = load_model(name, weights)
    size = classifier.preprocess.crop or classifier.preprocess.resize or 224
    return classifier.model, size if isinstance(size, tuple) else (size, size)


def check_outputs(paths: Sequence[str], suffixes: Sequence[str], option: str = "--out") -> None:
    """Check before a long computation that its results can be written.

    Args:
        paths: Files to write.
        suffixes: Supported suffixes, such as ".png".
        option: The option that names the files.

    Raises:
        InputError: If a suffix is not supported, the folder does not exist, or a photograph would be overwritten.
    """
    for path in paths:
        choose(os.path.splitext(path)[1].lower(), suffixes, f"the suffix of {path!r}")
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise InputError.expected(f"a path in an existing folder for {option}", repr(path), f"create {folder!r}")
        if os.path.isdir(path):
            raise InputError.expected(f"a file for {option}", f"the folder {path!r}", "add a file name")
        if os.path.exists(path) and _is_photograph(path):
            # `explain --out a.npz photo.png` would overwrite the picture that it was meant to explain.
            raise InputError.expected(
                f"a new file or an earlier figure for {option}", f"the picture {path!r}",
                "put IMAGE before --out, or choose another name",
            )


def _is_photograph(path: str) -> bool:
    """Whether a PNG file was not written by Matplotlib, which records itself in its files."""
    from PIL import Image

    if not path.lower().endswith(".png"):
        return False
    try:
        with Image.open(path) as image:
            return not str(image.info.get("Software", "")).startswith("Matplotlib")
    except OSError:
        return False
