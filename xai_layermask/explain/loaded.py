"""`LoadedModel`: a classifier on its device, in the precision asked for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..engine.runtime import Arithmetic, convert, find_device, first_parameter
from ..errors import InputError
from ..images import Preprocess
from ..maskings import Masking
from ..models import Classifier, load

__all__ = ["LoadedModel", "load_model"]


@dataclass(frozen=True)
class LoadedModel:
    """A classifier on its device, in its precision.

    Attributes:
        classifier: The model as it was loaded or passed, with its preprocessing, labels and name.
        arithmetic: The network to run, a copy of the classifier's only if another precision was asked for.
        device: Where it is.
    """

    classifier: Classifier
    arithmetic: Arithmetic
    device: torch.device

    @property
    def network(self) -> nn.Module:
        """The network to run."""
        return self.arithmetic.model

    def input(self, image: Tensor) -> Tensor:
        """A preprocessed image as the network takes it."""
        return image.to(self.device, self.arithmetic.dtype)


def load_model(
    model: str | nn.Module | Classifier, masking: Masking | None, precision: str, device: str | torch.device
) -> LoadedModel:
    """Load a model by name, or take the caller's, without moving or changing it.

    Args:
        model: A name, a classifier, or the network.
        masking: The caller's masking of the network; None if it is still to be made.
        precision: "auto", "float32", "float64", "bfloat16" or "float16".
        device: "auto" or a device.

    Raises:
        InputError: If the model, precision or device is unknown, or they do not fit each other.

    Example:
        >>> load_model(nn.Conv2d(3, 8, 3), None, "auto", "auto").arithmetic.precision
        'float32'
    """
    wanted = None if device == "auto" else find_device(device)
    if isinstance(model, str) and masking is None:
        classifier = load(model, device=wanted or find_device())
    elif isinstance(model, nn.Module):
        kind = type(model)
        classifier = Classifier(model, Preprocess(), (), f"{kind.__module__}.{kind.__qualname__}")
    elif isinstance(model, Classifier):
        classifier = model
    elif isinstance(model, str):
        raise InputError.expected(
            "the network of the masking for model", repr(model), "pass model=masking.model, or the masking by name"
        )
    else:
        raise InputError.expected("a name, a Classifier or a torch.nn.Module for model", type(model).__name__)
    network = classifier.model
    if masking is not None and masking.model is not network:
        raise InputError.expected("the network of the masking for model", "another one", "pass model=masking.model")
    like = first_parameter(network)
    if wanted is not None and not _same(torch.device(device), like.device):
        raise InputError.expected(
            f"the model's own device, {str(like.device)!r}, for device",
            repr(str(wanted)),
            "move the model with model.to(device), or leave device='auto'",
        )
    arithmetic = convert(network, precision)
    if masking is not None and arithmetic.model is not network:
        raise InputError.expected(
            f"the precision of the masking's model, {like.dtype}, for precision",
            repr(precision),
            "make the masking of a converted model, or pass its name",
        )
    return LoadedModel(classifier, arithmetic, like.device)


def _same(wanted: torch.device, found: torch.device) -> bool:
    return wanted.type == found.type and wanted.index in (None, found.index)
