"""`Source`: a model by name, as every worker can load it, and the fingerprint that tells one from another."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...errors import InputError, choose
from ...images import Preprocess
from ...models import Classifier, load

__all__ = ["Source", "digest", "preprocess_of"]

_DIGITS = 16
# The colours that families of models were trained with.
_COLOURS = {
    "imagenet": {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225), "channels": "RGB", "scale": 1.0},
    "half": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "channels": "RGB", "scale": 1.0},
    "caffe": {"mean": (104.0, 117.0, 123.0), "std": (1.0, 1.0, 1.0), "channels": "BGR", "scale": 255.0},
}
_SIZES = ("resize", "crop")


@dataclass(frozen=True)
class Source:
    """Where a model comes from.

    Attributes:
        name: As `xai_layermask.models.loading` takes it.
        weights: A file of weights in place of its own; None for its own.
        preprocess: What differs from its own preprocessing, such as "caffe,crop=227"; "" for its own.
    """

    name: str
    weights: str | None = None
    preprocess: str = ""

    def load(self, device: str = "cpu") -> Classifier:
        """Load the model.

        Args:
            device: Where it goes.

        Returns:
            The classifier, with the preprocessing that was asked for.

        Raises:
            InputError: If there is no such model, file, device or preprocessing.
        """
        classifier = load(self.name, self.weights, device)
        return replace(classifier, preprocess=preprocess_of(self.preprocess, classifier.preprocess))


def preprocess_of(words: str, own: Preprocess) -> Preprocess:
    """Change a model's preprocessing.

    Args:
        words: Separated by commas: "imagenet", "half" or "caffe" for the colours, "resize=SIDE", "crop=SIDE".
        own: The preprocessing to change.

    Returns:
        The preprocessing.

    Raises:
        InputError: If a word is not understood.

    Example:
        >>> changed = preprocess_of("caffe,crop=227", Preprocess())
        >>> changed.channels, changed.crop, changed.resize
        ('BGR', 227, 256)
    """
    for word in filter(None, (word.strip() for word in words.split(","))):
        name, equals, value = word.partition("=")
        if not equals:
            own = replace(own, **_COLOURS[choose(name, _COLOURS, "preprocess")])  # type: ignore[arg-type]
            continue
        size = choose(name, _SIZES, "preprocess")
        if not value.isdecimal():
            raise InputError(f"preprocess must have {size} in pixels, but {value!r} came: write for example crop=224.")
        own = replace(own, **{size: int(value)})  # type: ignore[arg-type]
    return own


def digest(classifier: Classifier) -> str:
    """The fingerprint of a model: of names, shapes, types and bytes of its weights, its structure and preprocessing.

    The structure is what `repr` shows: a change in the code of a `forward` alone does not show in it.

    Args:
        classifier: The model, on any device.

    Returns:
        16 hexadecimal digits.

    Example:
        >>> model = torch.nn.Linear(2, 2)
        >>> before = digest(Classifier(model, Preprocess(), (), "tiny"))
        >>> _ = model.bias.data.add_(1)
        >>> before == digest(Classifier(model, Preprocess(), (), "tiny"))
        False
    """
    model = classifier.model
    found = hashlib.sha256()
    # Buffers that are not saved count as well. What a module adds to its state besides tensors shows by its repr.
    values = {**dict(model.named_buffers()), **model.state_dict()}
    for name in sorted(values):
        value = values[name]
        if isinstance(value, Tensor):
            flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
            head, body = f"{name} {value.dtype} {tuple(value.shape)}", flat.numpy().tobytes()
        else:
            head, body = name, _steady(repr(value)).encode()
        _add(found, head.encode(), body)
    _add(found, _steady(repr(model)).encode(), repr(classifier.preprocess).encode())
    return found.hexdigest()[:_DIGITS]


def _add(found: hashlib._Hash, *parts: bytes) -> None:
    for part in parts:
        found.update(len(part).to_bytes(8, "big") + part)


def _steady(text: str) -> str:
    """Without the addresses in memory of functions and objects, which differ in every process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)
