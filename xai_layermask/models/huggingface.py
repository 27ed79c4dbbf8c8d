"""Image classifiers of Hugging Face's transformers, from a folder or the hub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError, reason
from ..images import Preprocess, Size, Transform, sample_photograph
from .packages import import_package

__all__ = ["Logits", "huggingface_classifier"]

# Preprocessing counts as the processor's own up to this mean difference. For transformers' classes it is 0.0001 with
# the right recipe, and 0.4 to 0.9 with another.
_TOLERANCE = 0.02
# The numbers that Pillow gives to its filters.
_INTERPOLATIONS = ("nearest", "lanczos", "bilinear", "bicubic")


class Logits(nn.Module):
    """A classifier of transformers as a function from images to logits.

    Args:
        model: The classifier, which returns an output of transformers.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """From `(N, C, H, W)` to `(N, classes)`."""
        output = self.model(pixel_values=image)
        # PP-LCNet's classifier returns its logits as the last hidden state.
        logits: Tensor = output.logits if "logits" in output else output.last_hidden_state
        return logits


def huggingface_classifier(name: str, pretrained: bool) -> tuple[nn.Module, Preprocess, tuple[str, ...]]:
    """Load a classifier with the preprocessing of its image processor and the labels of its configuration.

    Args:
        name: A folder by `save_pretrained`, or the name of a model on the hub. No code of the model's own is run.
        pretrained: Whether to load weights; otherwise they are random, and none are downloaded.

    Returns:
        The model, its preprocessing, and its labels; none if they are only numbered.

    Raises:
        InputError: If it cannot be loaded, has no weights for its classifier, or its processor does more than resize,
            crop at the centre and normalise.
    """
    transformers = import_package("transformers", "hf")
    factory = transformers.AutoModelForImageClassification
    try:
        with _quiet(transformers):
            config = transformers.AutoConfig.from_pretrained(name)
            processor = transformers.AutoImageProcessor.from_pretrained(name)
            if pretrained:
                model, info = factory.from_pretrained(name, output_loading_info=True)
            else:
                model, info = factory.from_config(config), {}
    except Exception as error:  # the hub and each model have errors of their own
        raise InputError.expected(
            f"an image classifier with its image processor, in a folder or on the hub, for model 'hf:{name}'",
            f"{type(error).__name__} ({reason(error)}), raised by transformers",
        ) from error
    if info.get("missing_keys"):
        missing = sorted(info["missing_keys"])
        raise InputError.expected(
            f"weights of an image classifier for model 'hf:{name}'", f"none for {missing[0]!r}",
            "choose a model that was trained to classify",
        )  # fmt: skip
    return Logits(model), _preprocess(processor, name), _labels(config.id2label or {})


def _labels(names: Mapping[int, str]) -> tuple[str, ...]:
    """The names of the classes in order, numbers where there is none; nothing if all are only numbered."""
    labels = tuple(str(names.get(index, index)) for index in range(max(names, default=-1) + 1))
    return () if all(re.fullmatch(r"(LABEL_)?\d+", label) for label in labels) else labels


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Without the library's progress bars and warnings: what matters is checked here."""
    logging = transformers.utils.logging
    level, shown = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


def _preprocess(processor: Any, name: str) -> Preprocess:
    """The `Preprocess` that does what an image processor does to a photograph."""
    picture = sample_photograph()
    wanted = processor(picture, return_tensors="pt").get("pixel_values", torch.empty(0))  # ImageGPT's has none
    settings = processor.to_dict()
    interpolation = _INTERPOLATIONS[min(int(settings.get("resample") or 0), 3)]
    for colours in _colours(processor, settings):
        for resize, crop in _sizes(settings):
            preprocess = Preprocess(resize, crop, interpolation=interpolation, **colours)
            found = preprocess(picture).tensor
            if found.shape == wanted.shape and float((found - wanted).abs().mean()) < _TOLERANCE:
                return preprocess
    raise InputError.expected(
        f"an image processor that resizes, crops at the centre and normalises for model 'hf:{name}'",
        type(processor).__name__, "return a Classifier with a Preprocess of your own from package.module:factory",
    )  # fmt: skip


def _colours(processor: Any, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Mean, deviation and order of channels as the settings have them, then as they are measured."""
    colours: dict[str, Any] = {
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "scale": 255 * settings.get("rescale_factor", 1 / 255) if settings.get("do_rescale") else 255.0,
        "channels": "BGR" if settings.get("do_flip_channel_order") else "RGB",
    }
    if settings.get("do_normalize"):
        colours |= {"mean": settings["image_mean"], "std": settings["image_std"]}
    yield colours
    with suppress(InputError):
        measured = _measured_colours(processor)
        if min(measured["std"]) > 0:
            yield measured


def _measured_colours(processor: Any) -> dict[str, Any]:
    """What a processor does to flat colours: EfficientNet's divides twice, and PP-LCNet's reverses the channels."""
    colour = Transform(lambda picture: processor(picture, return_tensors="pt")).color
    black = colour((0, 0, 0)).flatten()
    slopes = torch.stack([colour(tuple(255 * row)).flatten() - black for row in np.eye(3)], dim=1)
    channels = "RGB" if slopes.diagonal().abs().min() > slopes.flip(1).diagonal().abs().min() else "BGR"
    slope = slopes.sum(1)
    mean, std = ([round(number, 5) for number in numbers.tolist()] for numbers in (-black / slope, 1 / slope))
    return {"mean": mean, "std": std, "channels": channels}


def _sizes(settings: Mapping[str, Any]) -> Iterator[tuple[Size | None, Size | None]]:
    """What the settings of sizes may mean, as `resize` and `crop`; which one it is depends on the class."""
    size, crop = _sides(settings.get("size")), _sides(settings.get("crop_size"))
    if not settings.get("do_center_crop"):
        crop = None
    if not settings.get("do_resize"):
        size = None
    yield size, crop
    if isinstance(size, int):
        fraction = settings.get("crop_pct") or 224 / 256
        yield int(size / fraction), crop or size  # ConvNeXt, PoolFormer; LeViT
        yield (size, size), (size, size)  # large ConvNeXt
    elif "resize_short" in settings:
        yield settings["resize_short"], crop  # PP-LCNet


def _sides(size: Mapping[str, int] | None) -> Size | None:
    if not size or not {"shortest_edge", "height"} & set(size):
        return None
    return size["shortest_edge"] if "shortest_edge" in size else (size["height"], size["width"])
