"""`Asker`: a classifier with everything that protocols ask of it."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ...dataset import Item
from ...engine.runtime import auto_batch_size, batched_predict, forward_mode
from ...errors import InputError
from ...explain.explainer import LayerMaskExplainer
from ...explain.explanation import Explanation
from ...explain.predictor import Predictor, load_model
from ...maskings import Masking, make
from ...models import Classifier
from ...segments import presence_of, segment
from .heads import flat, headless

__all__ = ["Asker", "View"]

Floats = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]
Keep = npt.NDArray[np.bool_]


class View(NamedTuple):
    """What the model sees of a picture.

    Attributes:
        picture: uint8 `(h, w, 3)`, resized and cropped.
        image: `(1, 3, h, w)`, normalised, where the model is.
        whole: float64 `(classes,)`: what the plain model says of it.
    """

    picture: npt.NDArray[np.uint8]
    image: Tensor
    whole: Floats


class Asker:
    """A classifier that can be asked about parts of pictures, by the names of maskings and segmentations.

    Maskings are made once. What belongs to a picture (its view, segments and mask) is remembered until another
    picture comes: ask everything about one picture before the next.

    Args:
        classifier: The model; it stays where it is.
        precision: "auto", "float32", "float64" or "bfloat16".
        batch_size: How many presences go through the model at once; what suits the picture's size if None.

    Raises:
        InputError: If there is no such precision, or the model cannot be had in it.

    Example:
        >>> from xai_layermask import Preprocess
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> Asker(Classifier(model, Preprocess(8, 8), (), "tiny")).precision
        'float32'
    """

    def __init__(self, classifier: Classifier, precision: str = "auto", batch_size: int | None = None) -> None:
        self.classifier = classifier
        self.preprocess = classifier.preprocess
        self._loaded = load_model(classifier, None, precision, "auto")
        self._batch = batch_size
        self._maskings: dict[tuple[str, int], Masking] = {}
        self._headless: dict[tuple[int, int], nn.Module] = {}
        self._item: Item | None = None
        self._view: View | None = None
        self._mask: Floats | None = None
        self._segments: dict[str, Ids] = {}

    @property
    def precision(self) -> str:
        """The arithmetic of forward passes, such as "float32"."""
        return self._loaded.arithmetic.precision

    def view(self, item: Item) -> View:
        """What the model sees of a picture.

        Raises:
            InputError: If it cannot be read.
        """
        self._turn_to(item)
        if self._view is None:
            prepared = self.preprocess(item.path)
            image = self._loaded.input(prepared.tensor)
            nothing = np.zeros(prepared.picture.shape[:2], np.int64)
            whole = Predictor(self.masking("black"), image, nothing, self._loaded.arithmetic.autocast).predict_whole()
            self._view = View(prepared.picture, image, whole)
        return self._view

    def label(self, item: Item) -> int | None:
        """The picture's label.

        Raises:
            InputError: If the model has no such class.
        """
        classes = len(self.view(item).whole)
        if item.label is not None and not 0 <= item.label < classes:
            raise InputError(
                f"the label of {item.name!r} must be one of the model's {classes} classes, but {item.label} came: "
                "mend the label, or choose another model."
            )
        return item.label

    def mask(self, item: Item) -> Floats:
        """The object mask of what the model sees: float64 `(h, w)`, from 0 to 1.

        Raises:
            InputError: If there is none, or it cannot be read.
        """
        self._turn_to(item)
        if self._mask is None:
            found = item.mask()
            if found is None:
                raise InputError(
                    f"{item.name!r} must have an object mask for this protocol, but it has none: give one, or leave "
                    "the picture out."
                )
            self._mask = self.preprocess.mask(found)
        return self._mask

    def segments(self, item: Item, how: str) -> Ids:
        """The segments of what the model sees: int64 `(h, w)`, ids 0..K-1.

        Args:
            item: The picture.
            how: A name that [`segment`][] knows.

        Raises:
            InputError: If the name is unknown, or the picture cannot be read.
        """
        self._turn_to(item)
        if how not in self._segments:
            self._segments[how] = segment(self.view(item).picture, how)
        return self._segments[how]

    def masking(self, name: str, model: nn.Module | None = None) -> Masking:
        """A masking of the model by its name, as [`make`][] makes it.

        Args:
            name: The name.
            model: Another network with the same preprocessing, one that lives as long as this object.

        Raises:
            InputError: If the name is unknown.
        """
        network = self._loaded.network if model is None else model
        key = name, id(network)
        if key not in self._maskings:
            self._maskings[key] = make(name, network, self.preprocess)
        return self._maskings[key]

    def answers(self, item: Item, masking: str, segments: Ids, keep: Keep) -> Floats:
        """What the model says when only these segments are present.

        Args:
            item: The picture.
            masking: The name of the masking.
            segments: int64 `(h, w)`, ids 0..K-1.
            keep: Bool `(M, K)`: which segments are present, for each of M questions.

        Returns:
            Probabilities, float64 `(M, classes)`.

        Raises:
            InputError: If the picture cannot be read, or there is no such masking.
        """
        view = self.view(item)
        predictor = Predictor(self.masking(masking), view.image, segments, self._loaded.arithmetic.autocast)
        classes = range(len(view.whole))
        return predictor.predict(keep, classes, self._size(view.image)).probabilities

    def features(self, image: Tensor, masking: str, segments: Ids, keep: Keep | None) -> Floats:
        """The features before the model's last layer when only these segments are present.

        Args:
            image: `(1, 3, h, w)`, normalised, where the model is.
            masking: The name of the masking.
            segments: int64 `(h, w)`, ids 0..K-1.
            keep: Bool `(M, K)`: which segments are present; None asks the plain model for the whole image.

        Returns:
            float64 `(M, D)`, M is 1 for the whole image.

        Raises:
            InputError: If the model's last layer cannot be found.
        """
        height, width = image.shape[2:]
        if (height, width) not in self._headless:
            self._headless[height, width] = headless(self._loaded.network, height, width)
        method = self.masking(masking, self._headless[height, width])

        def ask(rows: Keep) -> Floats:
            shown = presence_of(segments, torch.from_numpy(rows).to(self._loaded.device))
            return np.asarray(flat(method(image, shown), len(rows)).numpy())

        with forward_mode(self._loaded.device, self._loaded.arithmetic.autocast):
            if keep is None:
                return np.asarray(flat(method(image), 1).numpy())
            return batched_predict(ask, keep, self._size(image))[0]

    def explain(
        self, item: Item, masking: str, segments: Ids, target: int, samples: int, sampling: str, seed: int
    ) -> Explanation:
        """Explain a class of a picture by LIME.

        Args:
            item: The picture.
            masking: The name of the masking.
            segments: int64 `(h, w)`, ids 0..K-1.
            target: The class.
            samples: How many choices of segments the model answers.
            sampling: How they depend on each other; see [`lime_samples`][].
            seed: What they are drawn from.

        Returns:
            The explanation.
        """
        loaded = self._loaded
        # The picture is read and cropped once, for all maskings.
        cropped = replace(self.preprocess, resize=None, crop=None)
        explainer = LayerMaskExplainer(
            replace(loaded.classifier, model=loaded.network, preprocess=cropped),
            masking=self.masking(masking),
            segments=segments,
            n_samples=samples,
            sampling=sampling,
            batch_size=self._batch or "auto",
            precision=loaded.arithmetic.precision,
            seed=seed,
            progress=False,
        )
        return explainer.explain(self.view(item).picture, targets=[target])

    def to_image(self, picture: npt.NDArray[np.uint8]) -> Tensor:
        """Turn a picture of the model's size, uint8 `(h, w, 3)`, into its input `(1, 3, h, w)`, where the model is."""
        return self._loaded.input(self.preprocess.normalize(picture))

    def _size(self, image: Tensor) -> int:
        return self._batch or auto_batch_size(image.shape[2], image.shape[3], self._loaded.device)

    def _turn_to(self, item: Item) -> None:
        if item != self._item:
            self._item, self._view, self._mask, self._segments = item, None, None, {}
