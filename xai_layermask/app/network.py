"""A classifier under several maskings, as the playground uses it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..catalog import title
from ..engine.runtime import forward_mode
from ..errors import CaptureError, InputError, UnsupportedOperator
from ..explain import Explanation, LayerMaskExplainer, Predictor, load_model
from ..images import Picture
from ..maskings import Fill, Masking, make
from ..models import Classifier, as_output, check_finite
from ..segments import Segments, segment
from .jobs import Progress

__all__ = ["COMPARED", "Network", "View"]

#: The maskings whose predictions the page shows side by side.
COMPARED = ("black", "grey", "neighbor", "layer")
_SHOWN = 3  # predictions of each


@dataclass
class View:
    """A picture as one network sees it.

    Attributes:
        network: The network.
        photograph: uint8 `(H, W, 3)`, RGB: the part that the network sees.
        tensor: `(1, 3, H, W)`, normalised, on the device of the network.
    """

    network: Network
    photograph: Picture
    tensor: Tensor

    @cached_property
    def predictor(self) -> Predictor:
        """The network's output for the whole picture, and what its numbers are."""
        nothing = np.zeros(self.photograph.shape[:2], np.int64)
        return Predictor(self.network.masking("grey"), self.tensor, nothing, output=self.network.output)

    @cached_property
    def probabilities(self) -> Tensor:
        """The probabilities of the whole picture's classes, `(K,)`.

        Raises:
            InputError: If the network is not a classifier.
        """
        found = self.predictor.whole.probabilities
        if found is None or found.dim() != 2 or found.shape[1] < 2:
            raise InputError.expected(
                "a classifier with a probability for each of two or more classes for --model",
                f"{self.network.name}, whose output is {self.predictor.whole.output}",
            )
        return found[0]

    @property
    def target(self) -> int:
        """The class of the whole picture."""
        return int(self.probabilities.argmax())

    def whole(self) -> dict[str, Any]:
        """The top predictions for the whole picture, for the page."""
        return self.network.top(self.probabilities, self.target)

    def segments(self, how: str) -> Segments:
        """The segments of the picture, int64 `(H, W)`."""
        return segment(self.photograph, how)

    def answers(self, presence: npt.NDArray[np.bool_]) -> list[dict[str, Any]]:
        """The top predictions of each masking, for the page; a sentence where a masking does not support the network.

        Args:
            presence: Bool `(H, W)`.
        """
        return [self._answer(name, torch.from_numpy(presence)[None, None]) for name in COMPARED]

    def _answer(self, name: str, presence: Tensor) -> dict[str, Any]:
        network = self.network
        heading = {"masking": name, "title": title(name)}
        try:
            with forward_mode(network.device):
                found = network.masking(name)(self.tensor, presence.to(network.device))
        except (UnsupportedOperator, CaptureError) as error:
            return heading | {"error": str(error)}
        whole = self.predictor.whole
        probabilities = whole.scale.probabilities(network.output.tensor(found, 1))
        if probabilities is None:  # impossible, since `probabilities` refuses such a network
            raise InputError.expected("probabilities from the model", "values")
        return heading | network.top(check_finite(probabilities)[0], self.target)

    def filled(self, presence: npt.NDArray[np.bool_]) -> Picture:
        """The picture with its absent pixels filled by neighbour padding, as the network gets it: uint8 `(H, W, 3)`."""
        pixels = torch.from_numpy(self.photograph.astype(np.float32)).movedim(2, 0)[None]
        fill = self.network.masking("neighbor")
        if not isinstance(fill, Fill) or not presence.any():
            return np.full_like(self.photograph, 128)
        found = fill.picture(pixels * torch.from_numpy(presence), torch.from_numpy(presence)[None, None])
        return found[0].movedim(0, 2).round().clamp(0, 255).byte().numpy()


class Network:
    """A classifier with its maskings, which are made once: the first use of each captures the network.

    Args:
        classifier: The model, with its preprocessing and labels.
        options: Arguments of `LayerMaskExplainer` that are the same for all explanations, such as `method` and `seed`.

    Raises:
        InputError: If the preprocessing is that of a raster, or the precision is unknown.
    """

    def __init__(self, classifier: Classifier, **options: Any) -> None:
        if classifier.preprocess.is_raster:
            raise InputError.expected("a model of photographs for --model", f"{classifier.name}, a model of rasters")
        loaded = load_model(classifier, None, options.get("precision", "auto"), "auto")
        self.classifier = replace(classifier, model=loaded.network)
        self.name = classifier.name
        self.device = loaded.device
        self.output = as_output(options.get("output", "auto")).for_model(loaded.network)
        self._loaded = loaded
        self._options = options
        self._maskings: dict[str, Masking] = {}
        self._lock = threading.Lock()

    def view(self, photograph: Picture) -> View:
        """Preprocess a photograph."""
        shown = self.classifier.preprocess.prepare(photograph)
        return View(self, shown.picture, self._loaded.input(shown.tensor))

    def masking(self, name: str) -> Masking:
        """A masking by its name.

        Raises:
            InputError: If there is none.
        """
        with self._lock:
            if name not in self._maskings:
                self._maskings[name] = make(name, self.classifier.model, self.classifier.preprocess)
            return self._maskings[name]

    def top(self, probabilities: Tensor, target: int) -> dict[str, Any]:
        """The most probable classes of `(K,)`, and the probability of the class `target`."""
        values, classes = probabilities.topk(min(_SHOWN, len(probabilities)))
        ranked = zip(values.tolist(), classes.tolist(), strict=True)
        return {
            "top": [{"class": index, "label": self.label(index), "probability": value} for value, index in ranked],
            "target": {"class": target, "label": self.label(target), "probability": float(probabilities[target])},
        }

    def label(self, index: int) -> str:
        """The name of a class, or its number."""
        labels = self.classifier.labels
        return labels[index] if index < len(labels) else f"class {index}"

    def explain(
        self, photograph: Picture, masking: str, segments: str, n_samples: int | str, top: int, progress: Progress
    ) -> Explanation:
        """Explain the top predictions for a photograph.

        Args:
            photograph: uint8 `(H, W, 3)`, before the preprocessing.
            masking: The name of a masking.
            segments: The name of a segmentation.
            n_samples: Number of samples, or "auto".
            top: Number of classes, at most those of the network.
            progress: Called with the number of samples done, and their total; an exception ends the explanation.

        Raises:
            InputError: If a name is unknown, or the masking does not fit the model.
        """
        explainer = LayerMaskExplainer(
            self.classifier, masking=self.masking(masking), segments=segments, n_samples=n_samples, progress=progress,
            **self._options,
        )  # fmt: skip
        classes = len(self.classifier.labels) or len(self.view(photograph).probabilities)
        return explainer.explain(photograph, top=min(top, classes))
