"""`Masking`, a model that can be shown part of an image."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..engine.additional import NONE, Additional
from ..engine.exclusion import EXCLUSION
from ..engine.failures import worded_failures
from ..engine.graph import modules, same, tensors
from ..engine.series import holds_in_series
from ..engine.twin import evaluating
from ..errors import InputError
from ..images import Preprocess, Transform, as_preprocess
from ..models import Ending, Output, Scale, as_output
from .bound import Bound, as_extras
from .callers import warn_of_filling
from .predict import predict_proba
from .presence import as_image, as_presence, check_untransformed, present_part, split_presence

__all__ = ["Masking"]


class Masking(nn.Module):
    """A model that can be shown part of an image.

    Subclasses implement `_masked`. A masking predicts as the model does in evaluation mode, whatever its mode, and
    never changes the model.

    Args:
        model: The network: images `(N, C, H, W)` to logits `(N, K)`.
        name: The masking's name in tables and results.

    Raises:
        InputError: If `model` is not a network.
    """

    #: Whether the class takes a `preprocess`, because its fill is a colour.
    takes_preprocess: ClassVar[bool] = False
    #: Whether the fill is computed from absent pixels too, as a blur is; otherwise they are zeroed first.
    sees_absent = False
    #: The memory layout that the masking wants its images in.
    layout: ClassVar[torch.memory_format] = torch.preserve_format
    #: How pictures become inputs of the model, where the masking knows.
    preprocess: Preprocess | Transform | None = None

    def __init__(self, model: nn.Module, name: str) -> None:
        super().__init__()
        if isinstance(model, Masking):
            raise InputError.expected("the network itself for model", f"a {type(model).__name__}", "pass its .model")
        if not isinstance(model, nn.Module):
            raise InputError.expected(
                "a torch.nn.Module for model", type(model).__name__, "load one by name with xai_layermask.models.load"
            )
        self.model = model
        self.name = name
        self.training = False
        self._twin: tuple[list[object], nn.Module] | None = None
        self._endings: dict[Output, bool] = {}
        self._scales: dict[Output, Scale] = {}

    def train(self, mode: bool = True) -> Masking:
        """Do nothing: a masking has no training mode, and must not switch the model's."""
        return self

    def forward(self, image: Tensor, presence: Tensor | None = None, *additional: Any) -> Any:
        """Predict from the present pixels.

        Args:
            image: `(N, C, H, W)`, normalised as the model wants it; or, without `presence`, the `(N, 4, H, W)` that
                `with_presence` makes.
            presence: Bool or 0/1, broadcastable to `(N, 1, H, W)`; all present if None. A single image is repeated
                for every presence. With `(N, C, H, W)`, each channel has its own: where only some channels are
                absent, the masking fills them in the image.
            additional: Further inputs of the model, which have no presence: tensors, numbers and strings, also in
                lists and dicts. A tensor whose first dimension is N has a row for each image; that of a single image
                is repeated with it. Any other tensor is the same for all images.

        Returns:
            The model's own logits, `(N, K)`.

        Raises:
            InputError: If image, presence or further inputs do not fit, or a present pixel is not finite.
        """
        shown, cells = self.checked(image, presence)
        if not additional:
            return self._masked(shown, cells)
        rows = len(shown) if cells is None else len(cells)
        return self._masked(shown, cells, Additional.of(additional, len(image), rows))

    def checked(self, image: Tensor, presence: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Check the arguments of `forward`, and convert them for `_masked`.

        Returns:
            The image, zeroed where absent unless the masking sees absent pixels; and its presence, bool
            `(N, 1, H, W)`, or None if all is present.

        Raises:
            InputError: As `forward` does.
        """
        image = as_image(image)
        check_untransformed("image and presence", image, presence if isinstance(presence, Tensor) else None)
        if image.device.type == "meta":
            raise InputError.expected(
                "an image with values", "one on the meta device", "load the model's weights onto another device"
            )
        if presence is None and image.shape[1] == 4:
            image, presence = split_presence(image)
        if presence is None:
            _check_finite(image)
            warn_of_filling()
            return image, None
        presence = as_presence(presence, image, by_channel=True)
        whole = image
        image = image.to(memory_format=self.layout)
        if not self.sees_absent:
            image = present_part(image, presence)
        # Checking one whole image is cheaper than checking its present part for every presence.
        if not holds_in_series(whole, lambda: bool(torch.isfinite(whole.detach().sum()))):
            _check_finite(image, self.sees_absent)
        if presence.shape[1] > 1:
            pixels = presence.any(dim=1, keepdim=True)
            if not torch.equal(pixels.expand_as(presence), presence):
                return self._without_channels(image, presence)
            presence = pixels
        return image, presence

    def bind(self, image: Tensor, additional_forward_args: Any = None) -> Bound:
        """Fix the image, which leaves presence as the only input.

        Args:
            image: `(B, C, H, W)`; usually one image.
            additional_forward_args: Further inputs of the model, a tuple or a single one, as `forward` takes them.

        Returns:
            A callable from presence `(M, 1, H, W)` to logits `(M, K)`.

        Raises:
            InputError: If `image` is not a batch of images.
        """
        return Bound(self, image, additional_forward_args)

    def predict_proba(
        self,
        images: npt.ArrayLike | Tensor,
        presence: npt.ArrayLike | Tensor | None = None,
        preprocess: Preprocess | Transform | None = None,
        additional_forward_args: Any = None,
        output: str | Output = "auto",
    ) -> npt.NDArray[np.floating[Any]]:
        """Classify pictures as scikit-learn's classifiers do: the `classifier_fn` of lime and shap.

        Args:
            images: Pictures as [`as_pictures`][] takes them, of the size that the model wants. Transparent pixels
                (alpha 0) are absent. A single picture is repeated for every presence.
            presence: Bool or 0/1, broadcastable to `(N, 1, H, W)`: pixels that are 0 are absent as well.
            preprocess: How pictures become inputs of the model, of which only the normalisation is used. If None, the
                masking's own, or ImageNet's.
            additional_forward_args: Further inputs of the model, a tuple or a single one, as `forward` takes them.
            output: What to return, as [`Output`][] takes it; "value" for a regression.

        Returns:
            Probabilities `(N, K)`: the softmax of the logits, or what `output` says. A model with a single logit has
            two columns: 1 - p and p, its sigmoid.

        Raises:
            InputError: If pictures or presence do not fit, or the model does not return such an output `(N, K)`.

        Example:
            >>> from xai_layermask import LayerMask
            >>> masked = LayerMask(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
            >>> masked.predict_proba(np.zeros((2, 8, 8, 4), np.uint8)).sum(axis=1).round(4)
            array([1., 1.], dtype=float32)
        """
        chosen = as_preprocess(preprocess or self.preprocess or Preprocess())
        extras = as_extras(additional_forward_args)
        return predict_proba(self, images, presence, chosen, extras, as_output(output).for_model(self.model))

    def ends_in_probabilities(self, image: Tensor, output: Output, additional: tuple[Any, ...] = ()) -> bool:
        """Whether the model's output comes from a softmax or sigmoid; found in a run of the model, once per output.

        Args:
            image: `(1, C, H, W)`.
            output: Which tensor of the model's output is meant.
            additional: Further inputs of the model.
        """
        if output not in self._endings:
            with torch.no_grad(), Ending() as ending:
                tensor = output.tensor(self.answer(image, Additional.of(additional, 1, 1)), 1)
            self._endings[output] = ending.made(tensor)
        return self._endings[output]

    def scale_of(self, whole: Tensor, image: Tensor, output: Output, additional: tuple[Any, ...] = ()) -> Scale:
        """The scale of `predict_proba`, decided by its first call: later batches must not change what is returned.

        Args:
            whole: The model's numbers `(N, ...)` in the first call.
            image: `(1, C, H, W)`.
            output: Which tensor of the model's output is meant.
            additional: Further inputs of the model.
        """
        if output not in self._scales:
            ends = self.ends_in_probabilities(image, output, additional)
            self._scales[output] = output.decide(whole, ends, auto="probability")
        return self._scales[output]

    def answer(self, image: Tensor, additional: Additional = NONE) -> Any:
        """The model's own output in evaluation mode for images `(N, C, H, W)`; its mode is not switched.

        Args:
            image: The images.
            additional: Further inputs of the model.

        Raises:
            InputError: If a further input is missing, or there are too many.
            CaptureError: If the model raises an exception; the message names its line.
        """
        with EXCLUSION.running(), worded_failures(self.model, image.shape, len(additional.inputs)):
            return self._evaluating()(image, *additional.inputs)

    def _evaluating(self) -> nn.Module:
        """The model in evaluation mode: itself, or a copy that shares its tensors."""
        if not any(module.training for module in self.model.modules()):
            return self.model
        # Tensors too: moving a model replaces its buffers.
        found = modules(self.model)
        parts = [*found, *tensors(found)]
        if self._twin is None or not same(parts, self._twin[0]):
            self._twin = parts, evaluating(self.model)
        return self._twin[1]

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what can be recomputed when the masking is copied or pickled."""
        return {**self.__dict__, "_twin": None, "_endings": {}, "_scales": {}}

    def _without_channels(self, image: Tensor, presence: Tensor) -> tuple[Tensor, Tensor]:
        """Fill the channels that are absent at present pixels.

        Args:
            image: `(M, C, H, W)`, or one for all; as `_masked` takes it.
            presence: Bool `(M, C, H, W)`.

        Returns:
            The image `(M, C, H, W)`, and the presence `(M, 1, H, W)` of what is still to be masked.

        Raises:
            InputError: If the masking cannot remove single channels.
        """
        raise InputError.expected(
            f"the same presence for all channels in masking {self.name!r}", "one of each channel",
            "use layer masking or a fill",
        )  # fmt: skip

    def _masked(self, image: Tensor, presence: Tensor | None, additional: Additional = NONE) -> Any:
        """Predict from checked arguments.

        Args:
            image: `(N, C, H, W)`, or `(1, C, H, W)` for all presences. Unless the masking sees absent pixels, zeroed
                where absent; a fresh tensor, safe to modify.
            presence: Bool `(N, 1, H, W)`; None if all is present.
            additional: Further inputs of the model, with a row for each of the N images.
        """
        raise NotImplementedError(f"{type(self).__name__} must define _masked(image, presence)")


def _check_finite(image: Tensor, everywhere: bool = False) -> None:
    # The sum passes nearly every finite batch; if it overflows, the second check decides.
    image = image.detach()
    if torch.isfinite(image.sum()) or torch.isfinite(image).all():
        return
    if everywhere:
        raise InputError.expected(
            "a finite image, since this fill is computed from absent pixels too", "NaN or infinity", "use another fill"
        )
    raise InputError.expected("finite present pixels in image", "NaN or infinity", "mark these pixels absent")
