"""`Predictor`: probabilities of a masked model for coalitions of segments, and the model in the precision asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..engine.runtime import (
    NOISE_LIMIT,
    Arithmetic,
    batched_predict,
    convert,
    find_device,
    first_parameter,
    forward_mode,
    noise,
)
from ..errors import InputError
from ..images import Preprocess
from ..maskings import Masking
from ..models import Classifier, load
from ..segments import presence_of

__all__ = ["LoadedModel", "Predictions", "Predictor", "as_probabilities", "load_model"]

Coalitions = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


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
        precision: "auto", "float32", "bfloat16" or "float64".
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


class Predictions(NamedTuple):
    """Probabilities of coalitions.

    Attributes:
        probabilities: float64 `(M, T)`.
        batch_size: The batch size that fitted into memory.
    """

    probabilities: Floats
    batch_size: int


class Predictor:
    """From coalitions of the segments of one picture to probabilities.

    Presence masks are made batch by batch, so that memory does not grow with the number of coalitions.

    Args:
        masking: The masked model.
        image: `(1, 3, H, W)`, normalised, on the model's device.
        segments: int64 `(H, W)`, ids 0..K-1.
        autocast: Whether forward passes run under bfloat16 autocast; as an attribute also the decision of
            [`choose_precision`][].

    Example:
        >>> from xai_layermask import LayerMask
        >>> model = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        >>> predictor = Predictor(LayerMask(model), torch.ones(1, 3, 4, 4), np.array([[0, 0, 1, 1]] * 4))
        >>> predictor.predict(np.array([[True, False], [False, True]]), [0], batch_size=16).probabilities.round(3)
        array([[0.333],
               [0.333]])
    """

    def __init__(
        self, masking: Masking, image: Tensor, segments: npt.NDArray[np.int64], autocast: bool = False
    ) -> None:
        self._bound = masking.bind(image)
        self._segments = segments
        self._device = image.device
        self.autocast = autocast

    def predict_whole(self) -> Floats:
        """The model's probabilities for the whole picture, float64 `(classes,)`.

        Raises:
            InputError: If the model does not return finite logits `(1, classes)`.
        """
        with forward_mode(self._device, self.autocast):
            probabilities: Floats = as_probabilities(self._bound.masking(self._bound.image), 1)[0]
            return probabilities

    def predict(
        self,
        coalitions: Coalitions,
        targets: Sequence[int],
        batch_size: int,
        advance: Callable[[int], object] | None = None,
    ) -> Predictions:
        """Probabilities of the targets for each coalition.

        Args:
            coalitions: Bool `(M, K)`: which segments are present.
            targets: T class indices.
            batch_size: Coalitions per forward pass; halved while they do not fit into memory.
            advance: Called after each batch with the number of coalitions in it.

        Raises:
            InputError: If the model does not return finite logits `(N, classes)`.
        """
        columns = list(targets)
        with forward_mode(self._device, self.autocast):
            found = batched_predict(lambda rows: self._predict(rows)[:, columns], coalitions, batch_size, advance)
        return Predictions(*found)

    def choose_precision(
        self, coalitions: Coalitions, targets: Sequence[int], batch_size: int, advance: Callable[[int], object]
    ) -> Predictions:
        """Predict in float32 and in bfloat16, and set `autocast` if the difference is small.

        It is if the error is at most [`NOISE_LIMIT`][xai_layermask.engine.runtime] of the spread of the predictions.

        Args:
            coalitions: As in [`predict`][].
            targets: As in [`predict`][].
            batch_size: As in [`predict`][].
            advance: As in [`predict`][].

        Returns:
            The predictions in float32.
        """
        self.autocast = True
        rough = self.predict(coalitions, targets, batch_size)
        self.autocast = False
        exact = self.predict(coalitions, targets, rough.batch_size, advance)
        self.autocast = noise(exact.probabilities, rough.probabilities) <= NOISE_LIMIT
        return exact

    def _predict(self, coalitions: Coalitions) -> Floats:
        presence = presence_of(self._segments, torch.from_numpy(coalitions).to(self._device))
        return as_probabilities(self._bound(presence), len(coalitions))


def as_probabilities(logits: Any, count: int) -> Floats:
    """Softmax of a model's output for `count` images, float64 `(count, classes)`.

    Raises:
        InputError: If the output is not finite logits `(count, classes)`.
    """
    if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[0] != count or logits.shape[1] < 2:
        got = f"shape {tuple(logits.shape)}" if isinstance(logits, Tensor) else type(logits).__name__
        raise InputError.expected(
            f"logits ({count}, classes) of at least 2 classes from the model for {count} images",
            got,
            "wrap it in a module that returns them",
        )
    # On the CPU, since not every accelerator has float64.
    values: Floats = logits.cpu().double().softmax(1).numpy()
    if not np.isfinite(values).all():
        raise InputError.expected(
            "finite logits from the model",
            "NaN or infinity",
            "check its weights, and that the preprocessing is the model's own",
        )
    return values
