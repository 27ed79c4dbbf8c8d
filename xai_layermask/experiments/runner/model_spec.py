"""`ModelSpec`: a model that every worker can load, and the digest that identifies it."""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace

from ...errors import InputError
from ...images import change_preprocess
from ...models import Classifier, load
from ...models.digest import digest_model

__all__ = ["ModelSpec", "forget_models", "load_model", "model_digest", "take_model", "take_same_model"]

_MOST_KEPT = 4


@dataclass(frozen=True)
class ModelSpec:
    """How to load a model.

    Attributes:
        name: Name of the model, as [`load`][xai_layermask.models.load] takes it.
        weights: File with a state dict; None for the model's own weights.
        preprocess: Changes to its preprocessing, such as "caffe,crop=227"; see [`change_preprocess`][].
    """

    name: str
    weights: str | None = None
    preprocess: str = ""

    def load(self, device: str = "cpu") -> Classifier:
        """Load the classifier onto a device.

        Raises:
            InputError: If the model, the file, the device or the preprocessing does not exist.
        """
        classifier = load(self.name, self.weights, device)
        return replace(classifier, preprocess=change_preprocess(self.preprocess, classifier.preprocess))


def model_digest(classifier: Classifier) -> str:
    """Digest the names, shapes, types and bytes of the weights, the structure and the preprocessing of a model.

    The structure is its `repr`, which does not show a change in the code of a `forward`.

    Returns:
        16 hexadecimal digits, the same on any device and in any process.

    Example:
        >>> import torch
        >>> from xai_layermask import Preprocess
        >>> model = torch.nn.Linear(2, 2)
        >>> before = model_digest(Classifier(model, Preprocess(), (), "tiny"))
        >>> _ = model.bias.data.add_(1)
        >>> before == model_digest(Classifier(model, Preprocess(), (), "tiny"))
        False
    """
    return digest_model(classifier.model, repr(classifier.preprocess))


# Models that a plan has loaded, until a worker in this process takes them.
_kept: dict[ModelSpec, tuple[Classifier, str]] = {}


def load_model(spec: ModelSpec) -> tuple[Classifier, str]:
    """Load and digest a model, and keep it for the next [`take_model`][] of this process."""
    _kept.pop(spec, None)
    classifier = spec.load()
    found = classifier, model_digest(classifier)
    if len(_kept) < _MOST_KEPT:
        _kept[spec] = found
    return found


def take_model(spec: ModelSpec, device: str) -> tuple[Classifier, str]:
    """Return a model and its digest: the kept one, which is then no longer kept, or one that is loaded now."""
    if spec not in _kept:
        classifier = spec.load(device)
        return classifier, model_digest(classifier)
    classifier, digest = _kept.pop(spec)
    return replace(classifier, model=classifier.model.to(device)), digest


def take_same_model(spec: ModelSpec, device: str, digest: str) -> Classifier:
    """Return a model as [`take_model`][] does.

    Raises:
        InputError: If it does not have this digest.
    """
    classifier, found = take_model(spec, device)
    if found != digest:
        raise InputError.expected(
            f"the same model {spec.name!r} on every worker during the whole run",
            f"other weights or another structure on {platform.node()}",
            "use the same files everywhere, and start again",
        )  # fmt: skip
    return classifier


def forget_models() -> None:
    """Free the models that are kept."""
    _kept.clear()
