"""Image classifiers of Hugging Face's transformers, from a folder or the hub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from ..errors import InputError, reason
from ..images import Preprocess, sample_photograph
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
        model: The classifier, which returns an object with `logits`.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """From `(N, C, H, W)` to `(N, classes)`."""
        logits: Tensor = self.model(pixel_values=image).logits
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
    labels = tuple(str(config.id2label[index]) for index in range(len(config.id2label)))
    if all(re.fullmatch(r"LABEL_\d+", label) for label in labels):
        labels = ()
    return Logits(model), _preprocess(processor, name), labels


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
    wanted = processor(picture, return_tensors="pt")["pixel_values"]
    for preprocess in _candidates(processor.to_dict()):
        found = preprocess(picture).tensor
        if found.shape == wanted.shape and float((found - wanted).abs().mean()) < _TOLERANCE:
            return preprocess
    raise InputError.expected(
        f"an image processor that resizes, crops at the centre and normalises for model 'hf:{name}'",
        type(processor).__name__, "return a Classifier with a Preprocess of your own from package.module:factory",
    )  # fmt: skip


def _candidates(config: Mapping[str, Any]) -> Iterator[Preprocess]:
    """What the settings of an image processor may mean; which one it is depends on its class."""
    colours: dict[str, Any] = {
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "scale": 255 * config.get("rescale_factor", 1 / 255) if config.get("do_rescale") else 255.0,
        "channels": "BGR" if config.get("do_flip_channel_order") else "RGB",
        "interpolation": _INTERPOLATIONS[min(int(config.get("resample") or 0), 3)],
    }
    if config.get("do_normalize"):
        colours |= {"mean": config["image_mean"], "std": config["image_std"]}
    size, crop = _sides(config.get("size")), _sides(config.get("crop_size"))
    if not config.get("do_center_crop"):
        crop = None
    if not config.get("do_resize"):
        size = None
    yield Preprocess(size, crop, **colours)
    if isinstance(size, int):
        fraction = config.get("crop_pct") or 224 / 256
        yield Preprocess(int(size / fraction), crop or size, **colours)  # ConvNeXt, PoolFormer; LeViT
        yield Preprocess((size, size), (size, size), **colours)  # large ConvNeXt


def _sides(size: Mapping[str, int] | None) -> int | tuple[int, int] | None:
    if not size or not {"shortest_edge", "height"} & set(size):
        return None
    return size["shortest_edge"] if "shortest_edge" in size else (size["height"], size["width"])
