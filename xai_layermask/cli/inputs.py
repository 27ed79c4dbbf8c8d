"""What the commands do with their words before they compute anything."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence

import torch
from torch import nn

from ..errors import InputError, choose, reason
from ..images.read import read_image, sample_photograph
from ..models import Classifier, load
from ..segments import Picture

__all__ = ["architecture", "best_device", "check_outputs", "find_modules_here", "load_model", "picture"]

_LIBRARIES = {"torchvision": "torchvision.models", "timm": "timm.models"}


def picture(path: str | None) -> Picture:
    """Read the user's picture, or scikit-image's photograph.

    Args:
        path: The picture file; None for the photograph.

    Returns:
        uint8 `(H, W, 3)`.

    Raises:
        InputError: If there is no picture in the file.
    """
    return sample_photograph() if path is None else read_image(path)


def best_device(name: str) -> str:
    """What "auto" stands for: the accelerator, if torch has one.

    Args:
        name: "auto", or a device.

    Returns:
        A device, as torch names it.

    Raises:
        InputError: If torch has no such device here.
    """
    if name != "auto":
        try:
            torch.empty(0, device=name)
        except (RuntimeError, AssertionError, NotImplementedError) as error:
            raise InputError(
                f"--device must be one that torch has here, but {name!r} came ({reason(error)}): use auto or cpu."
            ) from error
        return name
    return str(torch.accelerator.current_accelerator()) if torch.accelerator.is_available() else "cpu"


def find_modules_here() -> None:
    """Let modules of the current folder be imported, here and in the processes that are started from here.

    A console script has its own folder first on the path, not the one that it was called in.
    """
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def load_model(name: str, weights: str | None, device: str = "cpu") -> Classifier:
    """Load a model by name, also from a module in the current folder.

    Args:
        name: As `xai_layermask.models.loading` takes it.
        weights: A state dict file, or None.
        device: Where the model goes.

    Returns:
        The classifier.

    Raises:
        InputError: If there is no such model, or the weights do not fit it.
    """
    find_modules_here()
    return load(name, weights, device)


def architecture(name: str, weights: str | None) -> tuple[nn.Module, tuple[int, int]]:
    """Load a model whose answers do not matter: without downloading the weights of a library's model.

    Args:
        name: As `xai_layermask.models.loading` takes it.
        weights: A state dict file, or None.

    Returns:
        The model, and the height and width that it is made for.

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


def check_outputs(paths: Sequence[str], endings: Sequence[str], option: str = "--out") -> None:
    """Make sure before a long computation that its result can be written.

    Args:
        paths: Files to write.
        endings: Such as ".png"; what can be written.
        option: Where the files were named.

    Raises:
        InputError: If an ending is unknown, the folder does not exist, or a photograph would be overwritten.
    """
    for path in paths:
        ending = os.path.splitext(path)[1].lower()
        choose(ending, endings, f"the ending of {path!r}")
        folder = os.path.dirname(path) or "."
        if not os.path.isdir(folder):
            raise InputError(f"{option} must be in a folder that exists, but there is none at {folder!r}: make it.")
        if os.path.isdir(path):
            raise InputError(f"{option} must be a file, but {path!r} is a folder: add a file name.")
        if os.path.exists(path) and _is_photograph(path):
            # `explain --out a.npz photo.png` reads as if photo.png were to be explained, and would destroy it.
            raise InputError(
                f"{option} must be a new file or one made before, but {path!r} is another picture: "
                "put IMAGE before --out, or choose another name."
            )


def _is_photograph(path: str) -> bool:
    """Whether a PNG file was not drawn by matplotlib, which signs what it draws."""
    from PIL import Image

    if not path.lower().endswith(".png"):
        return False
    try:
        with Image.open(path) as image:
            return not str(image.info.get("Software", "")).startswith("Matplotlib")
    except OSError:
        return False
