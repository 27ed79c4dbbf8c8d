"""The subject of an explanation: a network, where it runs, in which arithmetic, and its classes' names."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn

from ..catalog import PRECISIONS
from ..engine.network import sample
from ..engine.precision import runs_bfloat16
from ..errors import InputError, choose
from ..images.preprocess import Preprocess
from ..maskings.base import Masking
from ..models import Classifier, load

__all__ = ["Subject", "find_subject"]

@dataclass(frozen=True)
class Subject:
    """A network, ready to be asked.

    Attributes:
        model: The network; the user's own wherever no other precision is asked for.
        preprocess: How pictures become its inputs.
        labels: Names of its classes; empty where nobody knows them.
        name: What it is called in records.
        device: Where it is.
        dtype: What its inputs are.
        autocast: Whether to run it in bfloat16 wherever torch finds that safe.
        chooses: Whether that is to be decided from its answers.
    """

    model: nn.Module
    preprocess: Preprocess
    labels: tuple[str, ...]
    name: str
    device: torch.device
    dtype: torch.dtype
    autocast: bool
    chooses: bool = False

    @property
    def precision(self) -> str:
        """The arithmetic of its forward passes, such as "float32"."""
        return "bfloat16" if self.autocast else str(self.dtype).removeprefix("torch.")


def find_subject(
    model: str | nn.Module | Classifier, masking: Masking | None, precision: str, device: str | torch.device
) -> Subject:
    """Make a network ready to be asked, without moving, switching or changing one that the caller holds.

    Args:
        model: A name, a classifier, or the network itself.
        masking: A masking that the caller made of it; None if it is still to be made.
        precision: "auto", "float32", "bfloat16" or "float64".
        device: "auto" or a device.

    Returns:
        The subject.

    Raises:
        InputError: If there is no such model, precision or device, or they do not fit each other.

    Example:
        >>> find_subject(nn.Conv2d(3, 8, 3), None, "auto", "auto").precision
        'float32'
    """
    choose(precision, PRECISIONS, "precision")
    wanted = _device(device)
    if isinstance(model, str) and masking is None:
        classifier = load(model, device=wanted or _best_device())
    elif isinstance(model, nn.Module):
        kind = type(model)
        classifier = Classifier(model, Preprocess(), (), f"{kind.__module__}.{kind.__qualname__}")
    elif isinstance(model, Classifier):
        classifier = model
    elif isinstance(model, str):
        raise InputError(
            f"model must be the network of the masking where a masking is passed, but {model!r} came: "
            "pass model=masking.model, or the masking by name."
        )
    else:
        raise InputError(
            f"model must be a name, a Classifier or a torch.nn.Module, but {type(model).__name__} came: "
            "give for example 'lite0'."
        )
    network = classifier.model
    if masking is not None and masking.model is not network:
        raise InputError("model must be the network of the masking, but another one came: pass model=masking.model.")
    like = sample(network)
    if wanted is not None and not _same(wanted, like.device):
        raise InputError(
            f"device must be where the model is, {str(like.device)!r}, but {str(wanted)!r} came: "
            "move the model with model.to(device), or leave device='auto'."
        )
    if precision == "float64" and like.device.type == "mps":
        raise InputError("precision 'float64' does not exist on 'mps', but it was asked for: use device='cpu'.")
    chooses = precision == "auto" and like.dtype == torch.float32 and runs_bfloat16(like.device)
    network, dtype, autocast = _in_precision(network, like.dtype, precision, masking)
    return Subject(
        network, classifier.preprocess, classifier.labels, classifier.name, like.device, dtype, autocast, chooses
    )


def _device(device: str | torch.device) -> torch.device | None:
    if device == "auto":
        return None
    try:
        return torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise InputError(
            f"device must be 'auto' or one that torch knows, but {device!r} came: use for example 'cpu' or 'cuda:0'."
        ) from error


def _best_device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _same(wanted: torch.device, found: torch.device) -> bool:
    return wanted.type == found.type and wanted.index in (None, found.index)


def _in_precision(
    network: nn.Module, own: torch.dtype, precision: str, masking: Masking | None
) -> tuple[nn.Module, torch.dtype, bool]:
    """The network, the type of its inputs, and whether autocast does the rest."""
    if precision == "auto" or own == getattr(torch, precision):
        return network, own, False
    if precision == "bfloat16":
        if own == torch.float32:
            return network, own, True
        raise InputError(
            f"precision 'bfloat16' needs a model in float32, but {own} came: convert it, or use precision='auto'."
        )
    if masking is not None:
        raise InputError(
            f"precision must be that of the masking's model, {own}, but {precision!r} came: "
            "make the masking of a converted model, or pass its name."
        )
    try:
        return copy.deepcopy(network).to(getattr(torch, precision)), getattr(torch, precision), False
    except Exception as error:
        # Whatever a module of the caller trips over when it is copied; the original error stays attached.
        raise InputError(
            f"precision {precision!r} needs a copy of the model, but it cannot be copied "
            f"({type(error).__name__}): convert it before, or use precision='auto'."
        ) from error
