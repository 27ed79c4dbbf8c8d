"""`MaskedClassifier`: a classifier that is shown parts of pictures, under maskings by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...dataset import Item, OpenItem
from ...engine.batching import auto_batch_size, batched_predict
from ...engine.failures import worded_failures
from ...engine.runtime import convert, first_parameter, forward_mode
from ...engine.twin import evaluating
from ...errors import InputError
from ...images import Preprocess
from ...maskings.base import Masking
from ...maskings.registry import make
from ...models import Classifier, Ending, Output, Scale, check_finite
from ...segments import presence_of, segment
from .features import feature_extractor, flatten_features

__all__ = ["MaskedClassifier", "View"]

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Coalitions = npt.NDArray[np.bool_]

_OUTPUT = Output("probability")


class View(NamedTuple):
    """The part of a picture that the model sees.

    Attributes:
        picture: uint8 `(h, w, 3)`, resized and cropped.
        image: `(1, 3, h, w)`, normalised, on the model's device.
        whole: float64 `(classes,)`: probabilities of the model for the whole picture.
    """

    picture: npt.NDArray[np.uint8]
    image: Tensor
    whole: Floats


class MaskedClassifier:
    """A classifier with what protocols measure: predictions and features for coalitions of segments.

    A coalition is a row of flags, one for each segment: whether it is present. Maskings are made once. Everything about
    the last picture (view, segments, mask) is kept, so measure all of one picture before the next.

    Args:
        classifier: The model, which stays on its device.
        precision: "auto", "float32", "float64", "bfloat16" or "float16".
        batch_size: Coalitions in a forward pass; None for a default that suits the picture's size.

    Raises:
        InputError: If the model does not run in this precision.

    Example:
        >>> from xai_layermask import Preprocess
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> MaskedClassifier(Classifier(model, Preprocess(8, 8), (), "tiny")).precision
        'float32'
    """

    def __init__(self, classifier: Classifier, precision: str = "auto", batch_size: int | None = None) -> None:
        preprocess = classifier.preprocess
        if not isinstance(preprocess, Preprocess) or preprocess.is_raster or preprocess.bits is not None:
            raise InputError.expected(
                "a Preprocess of 8-bit colours for the experiments",
                f"{preprocess!r}"[:60],
                "convert the pictures to 8-bit PNG, or measure them with LayerMaskExplainer",
            )
        self.preprocess = preprocess
        self.labels = classifier.labels
        self._arithmetic = convert(classifier.model, precision)
        self._network = evaluating(self._arithmetic.model)
        self._device = first_parameter(classifier.model).device
        self._batch_size = batch_size
        self._maskings: dict[tuple[str, int], Masking] = {}
        self._extractors: dict[tuple[int, int], nn.Module] = {}
        self._open: OpenItem | None = None
        self._view: View | None = None
        self._scale: Scale | None = None
        self._mask: Floats | None = None
        self._segments: dict[str, Ids] = {}

    @property
    def precision(self) -> str:
        """Precision of forward passes, such as "float32"."""
        return self._arithmetic.precision

    @property
    def input_size(self) -> tuple[int, int]:
        """Height and width of the model's input; 224 x 224 if pictures keep their sizes."""
        size = self.preprocess.crop or self.preprocess.resize or 224
        return size if isinstance(size, tuple) else (size, size)

    def batch_size(self, image: Tensor) -> int:
        """Coalitions in a forward pass."""
        return self._batch_size or auto_batch_size(image.shape[2], image.shape[3], self._device)

    def open(self, item: Item) -> OpenItem:
        """Read a picture again; everything until the next one is measured on the bytes that are read now."""
        self._open, self._view, self._mask, self._segments = item.open(), None, None, {}
        return self._open

    def view(self, item: Item) -> View:
        """What the model sees of a picture.

        Raises:
            InputError: If it cannot be read.
        """
        opened = self._opened(item)
        if self._view is None:
            prepared = self.preprocess(opened.picture)
            image = prepared.tensor.to(self._device, self._arithmetic.dtype)
            running = worded_failures(self._network, image.shape)
            with forward_mode(self._device, self._arithmetic.autocast), running, Ending() as ending:
                answer = self._network(image)
            self._scale = self._scale or class_scale(answer, ending)
            self._view = View(prepared.picture, image, class_probabilities(self._scale, answer, 1)[0])
        return self._view

    def label(self, item: Item) -> int | None:
        """The label of a picture, if it has one.

        Raises:
            InputError: If the model has no such class.
        """
        classes = len(self.view(item).whole)
        if item.label is not None and not 0 <= item.label < classes:
            raise InputError.expected(f"a label from 0 to {classes - 1} for {item.name!r}", item.label)
        return item.label

    def mask(self, item: Item) -> Floats:
        """The object mask of what the model sees: float64 `(h, w)`, from 0 to 1.

        Raises:
            InputError: If there is none, or it cannot be read.
        """
        opened = self._opened(item)
        if self._mask is None:
            if opened.mask is None:
                raise InputError.expected(
                    f"an object mask of {item.name!r}", "none", "give one, or leave the picture out"
                )
            self._mask = self.preprocess.mask(opened.mask)
        return self._mask

    def segments(self, item: Item, segmentation: str) -> Ids:
        """The segments of what the model sees: int64 `(h, w)`, ids 0..K-1.

        Raises:
            InputError: If the segmentation is unknown, or the picture cannot be read.
        """
        view = self.view(item)
        if segmentation not in self._segments:
            self._segments[segmentation] = segment(view.picture, segmentation)
        return self._segments[segmentation]

    def masking(self, name: str, model: nn.Module | None = None) -> Masking:
        """The masking with this name, as [`make`][xai_layermask.maskings.make] makes it.

        Args:
            name: Name of the masking.
            model: Another network with the same preprocessing, which lives as long as this object.

        Raises:
            InputError: If the name is unknown.
        """
        network = self._arithmetic.model if model is None else model
        key = name, id(network)
        if key not in self._maskings:
            self._maskings[key] = make(name, network, self.preprocess)
        return self._maskings[key]

    def predictions(self, item: Item, masking: str, segments: Ids, coalitions: Coalitions) -> Floats:
        """Probabilities of a picture when only some segments are present.

        Args:
            item: The picture.
            masking: Name of the masking.
            segments: int64 `(h, w)`, ids 0..K-1.
            coalitions: Bool `(M, K)`: which segments are present.

        Returns:
            float64 `(M, classes)`.

        Raises:
            InputError: If the masking is unknown, or the picture cannot be read.
        """
        return self.predict(self.view(item).image, masking, segments, coalitions)

    def predict(self, image: Tensor, masking: str, segments: Ids, coalitions: Coalitions) -> Floats:
        """Probabilities of an input `(1, 3, h, w)`; see [`predictions`][]."""
        if self._scale is None:
            with forward_mode(self._device, self._arithmetic.autocast), Ending() as ending:
                self._scale = class_scale(self._network(image), ending)
        check = partial(class_probabilities, self._scale)
        return self._batched(self.masking(masking), check, image, segments, coalitions)

    def features(self, image: Tensor, masking: str, segments: Ids, coalitions: Coalitions | None) -> Floats:
        """Features before the model's last layer when only some segments are present.

        Args:
            image: `(1, 3, h, w)`, normalised, on the model's device.
            masking: Name of the masking.
            segments: int64 `(h, w)`, ids 0..K-1.
            coalitions: Bool `(M, K)`: which segments are present; None for the whole image.

        Returns:
            float64 `(M, D)`; M is 1 for the whole image.

        Raises:
            InputError: If the model's last layer is not found.
        """
        height, width = image.shape[2:]
        if (height, width) not in self._extractors:
            self._extractors[height, width] = feature_extractor(self._arithmetic.model, height, width)
        masked = self.masking(masking, self._extractors[height, width])
        if coalitions is not None:
            return self._batched(masked, flatten_features, image, segments, coalitions)
        with forward_mode(self._device, self._arithmetic.autocast):
            return flatten_features(masked(image), 1)

    def to_image(self, picture: npt.NDArray[np.uint8]) -> Tensor:
        """The input `(1, 3, h, w)` of a picture of the model's size, uint8 `(h, w, 3)`."""
        return self.preprocess.normalize(picture).to(self._device, self._arithmetic.dtype)

    def _batched(
        self,
        masking: Masking,
        check: Callable[[Any, int], Floats],
        image: Tensor,
        segments: Ids,
        coalitions: Coalitions,
    ) -> Floats:
        bound = masking.bind(image)

        def predict(rows: Coalitions) -> Floats:
            return check(bound(presence_of(segments, torch.from_numpy(rows).to(self._device))), len(rows))

        with forward_mode(self._device, self._arithmetic.autocast):
            return batched_predict(predict, coalitions, self.batch_size(image))[0]

    def _opened(self, item: Item) -> OpenItem:
        return self._open if self._open is not None and self._open.item == item else self.open(item)


def class_scale(answer: Any, ending: Ending) -> Scale:
    """How a model's output for one image becomes class probabilities.

    Args:
        answer: What the model returned.
        ending: The object that watched the model run.

    Raises:
        InputError: If its outputs are not classes that exclude each other.

    Example:
        >>> class_scale(torch.tensor([[0.9, 0.1]]), Ending()).sentence
        'probability, as the model returns it'
    """
    tensor = _OUTPUT.tensor(answer, 1)
    ends = ending.made(tensor)
    if tensor.dim() == 2 and tensor.shape[1] > 1:
        scale = _OUTPUT.decide(tensor, ends)
        if not scale.independent:
            return scale
    raise InputError.expected(
        "logits or probabilities (N, classes) of at least 2 classes that exclude each other from the model",
        f"{'independent probabilities' if ends else 'an output'} {tuple(tensor.shape)}",
        "experiments count correct predictions, so explain this model with LayerMaskExplainer",
    )


def class_probabilities(scale: Scale, answer: Any, count: int) -> Floats:
    """Class probabilities from a model's output for `count` images, float64 `(count, classes)`.

    Raises:
        InputError: If the output is of another kind, or not finite.
    """
    values: Floats = check_finite(scale(_OUTPUT.tensor(answer, count))).numpy()
    return values
