"""What every masking has in common: how it is called, and how it is bound to one image.

A masking answers with a model's logits for an image of which only a part is present. [`LayerMask`][] and [`Fill`][]
differ in what they do with the absent part, and in nothing else.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..engine.capture import evaluating
from ..engine.graph import same, tensors
from ..engine.network import sample
from ..errors import InputError
from .bound import Bound
from .presence import as_image, as_presence, present_part, split_presence

__all__ = ["Masking", "Normalizer", "as_pictures"]

Picture = npt.NDArray[np.uint8]


class Normalizer(Protocol):
    """What turns a picture into a model's input; a `Preprocess` does."""

    def normalize(self, picture: Picture) -> Tensor:
        """Turn uint8 `(H, W, 3)` into float `(1, 3, H, W)`."""


class Masking(nn.Module):
    """A model that can be shown a part of an image.

    Subclasses implement `_masked`, which gets a checked image and a checked presence. A masking always answers as the
    model does in evaluation mode, whatever mode the model is in, and never changes the model.

    Args:
        model: The user's network: images `(N, C, H, W)` to logits `(N, K)`.
        name: The masking's name in tables and results.
    """

    #: The fill is made from absent pixels as well, as a blur is; otherwise they are gone before anything runs.
    sees_absent = False
    #: The class takes a `preprocess`, since its fill is a colour.
    takes_preprocess = False
    #: The memory layout in which the masking wants its images.
    layout = torch.preserve_format

    def __init__(self, model: nn.Module, name: str) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise InputError(
                f"model must be a torch.nn.Module, but {type(model).__name__} came: "
                "pass the network itself, or load one by name with xai_layermask.models.loading."
            )
        if isinstance(model, Masking):
            raise InputError(
                f"model must be the network itself, but the masking {type(model).__name__} came: pass its model."
            )
        self.model = model
        self.name = name
        self.training = False
        self._twin: tuple[list[object], nn.Module] | None = None

    def train(self, mode: bool = True) -> Masking:
        """Leave everything as it is: a masking has no training mode, and must not switch the model's."""
        return self

    def forward(self, image: Tensor, presence: Tensor | None = None) -> Any:
        """Answer as the model does when only the present pixels are there.

        Args:
            image: `(N, C, H, W)`, normalised as the model wants it; or, where `presence` is None, the carrier
                `(N, 4, H, W)` that `with_presence` makes.
            presence: Bool or 0/1, broadcastable to `(N, 1, H, W)`; everything present if None. An image batch of
                one is repeated for every presence.

        Returns:
            The model's own logits, `(N, K)`.

        Raises:
            InputError: If image or presence do not fit, or a present pixel is not finite.
        """
        return self._masked(*self.checked(image, presence))

    def checked(self, image: Tensor, presence: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Check what a masking is called with, and bring it into the form in which it runs.

        Args:
            image: As the masking itself takes it.
            presence: Likewise.

        Returns:
            The image, 0 wherever it is absent unless the masking sees absent pixels; and its presence, bool
            `(N, 1, H, W)`, or None where everything is present.

        Raises:
            InputError: If image or presence do not fit, or a present pixel is not finite.
        """
        image = as_image(image)
        if presence is None and image.shape[1] == 4:
            image, presence = split_presence(image)
        if presence is None:
            _check_finite(image)
            return image, None
        presence = as_presence(presence, image)
        image = image.to(memory_format=self.layout)
        whole = image
        if not self.sees_absent:
            image = present_part(image, presence)
        # One image for many presences is small: where it is finite altogether, so is each present part.
        if not torch.isfinite(whole.detach().sum()):
            _check_finite(image, self.sees_absent)
        return image, presence

    def bind(self, image: Tensor) -> Bound:
        """Fix the image, and leave presence as the only input.

        Args:
            image: `(B, C, H, W)`; usually one image.

        Returns:
            A callable from presence `(M, 1, H, W)` to logits `(M, K)`.

        Raises:
            InputError: If the image does not fit.
        """
        return Bound(self, image)

    def predict_proba(
        self,
        images: npt.ArrayLike | Tensor,
        presence: npt.ArrayLike | Tensor | None = None,
        preprocess: Normalizer | None = None,
    ) -> npt.NDArray[np.floating[Any]]:
        """Classify pictures as scikit-learn's classifiers do: the `classifier_fn` that lime and shap ask for.

        Args:
            images: Pictures as [`as_pictures`][] takes them, already of the size that the model wants.
                Transparent pixels (alpha 0) are absent. One picture is repeated for every presence.
            presence: Bool or 0/1, broadcastable to `(N, 1, H, W)`, for pixels that are absent besides.
            preprocess: How pictures become inputs of the model, of which only `normalize` is used. If None,
                the masking's own if it has one, as `Fill` does; otherwise the usual ImageNet normalisation.

        Returns:
            Probabilities `(N, K)`: the softmax of the model's logits.

        Raises:
            InputError: If pictures or presence do not fit, or the model does not answer with `(N, K)`.

        Example:
            >>> from xai_layermask import LayerMask
            >>> masked = LayerMask(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()))
            >>> masked.predict_proba(np.zeros((2, 8, 8, 4), np.uint8)).sum(axis=1).round(4)
            array([1., 1.], dtype=float32)
        """
        pictures, shown = as_pictures(images)
        own: Normalizer | None = getattr(self, "preprocess", None)
        chosen = preprocess or own or _ImageNet()
        image = torch.cat([chosen.normalize(picture) for picture in pictures])
        if presence is not None:
            extra = presence if isinstance(presence, Tensor) else torch.from_numpy(np.array(presence))
            shown = shown & as_presence(extra.to(shown.device), image)
        like = sample(self.model, image)
        with torch.no_grad():
            # Where nothing is absent the model itself answers, and one picture once for all presences.
            logits = self(image.to(like), None if shown.all() else shown.to(like.device))
        if not isinstance(logits, Tensor) or logits.dim() != 2 or logits.shape[1] < 2:
            came = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise InputError(
                f"model must answer with logits (N, K) of at least 2 classes, but {came} came: "
                "wrap it in a module that returns these."
            )
        if len(image) == 1:
            logits = logits.expand(len(shown), -1)
        probabilities: npt.NDArray[np.floating[Any]] = logits.float().softmax(1).cpu().numpy()
        return probabilities

    def answer(self, image: Tensor) -> Any:
        """The model's own answer in evaluation mode, for images `(N, C, H, W)`, without switching its mode."""
        if not any(module.training for module in self.model.modules()):
            return self.model(image)
        # Tensors as well: moving a model puts new buffers in the place of the old ones.
        parts = [*self.model.modules(), *tensors(self.model)]
        if self._twin is None or not same(parts, self._twin[0]):
            self._twin = parts, evaluating(self.model)
        return self._twin[1](image)

    def __getstate__(self) -> dict[str, Any]:
        """Leave what can be made anew behind when copied or sent to another process."""
        return {**self.__dict__, "_twin": None}

    def _masked(self, image: Tensor, presence: Tensor | None) -> Any:
        """Answer for a checked image `(N, C, H, W)`.

        Args:
            image: 0 wherever it is absent, and then nobody else's memory, unless the masking sees absent pixels.
                Its batch is one where only presence has more.
            presence: Bool `(N, 1, H, W)`; None where everything is present.
        """
        raise TypeError(f"{type(self).__name__} must define _masked(image, presence) to be a masking.")


class _ImageNet:
    """The normalisation that `Preprocess` has by default, which is a layer above this one."""

    def normalize(self, picture: Picture) -> Tensor:
        colours = torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1)))[None].float() / 255
        mean, std = colours.new_tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]]).view(2, 1, 3, 1, 1)
        normalised: Tensor = (colours - mean) / std
        return normalised


def as_pictures(images: npt.ArrayLike | Tensor) -> tuple[Picture, Tensor]:
    """Take pictures and their transparency apart.

    Args:
        images: An array or tensor `(N, H, W, 3)` or `(N, H, W, 4)`, or with channels first (taken to be
            last where both would do); uint8, or floats from 0 to 1. The fourth channel is alpha: 0 is absent,
            anything else present.

    Returns:
        The pictures, uint8 `(N, H, W, 3)`, and their presence, bool `(N, 1, H, W)`.

    Raises:
        InputError: If they are no such pictures.

    Example:
        >>> pictures, presence = as_pictures(np.full((1, 2, 2, 4), 0.2))
        >>> pictures.shape, pictures.max().item(), presence.all().item()
        ((1, 2, 2, 3), 51, True)
    """
    if isinstance(images, Tensor):
        images = images.detach().cpu()
        images = images.float() if images.dtype == torch.bfloat16 else images  # unknown to numpy
    array = np.asarray(images)
    if array.ndim == 4 and array.shape[3] not in (3, 4) and array.shape[1] in (3, 4):
        array = array.transpose(0, 2, 3, 1)
    if array.ndim != 4 or array.shape[3] not in (3, 4) or 0 in array.shape:
        raise InputError(
            f"images must be pictures (N, H, W, 3) or (N, H, W, 4), but {array.dtype} {array.shape} came: "
            "give a batch, as in picture[None]."
        )
    if np.issubdtype(array.dtype, np.floating):
        if not (array.min() >= 0 and array.max() <= 1):  # not so either where there is a NaN
            raise InputError(
                f"images must be uint8 or floats from 0 to 1, but {array.min():g} to {array.max():g} came: "
                "give pictures before they are normalised."
            )
        shown = array[..., 3:] > 0
        array = np.rint(array * 255).astype(np.uint8)
    elif array.dtype == np.uint8:
        shown = array[..., 3:] > 0
    else:
        raise InputError(f"images must be uint8 or floats from 0 to 1, but {array.dtype} came: convert them.")
    alpha = shown if array.shape[3] == 4 else np.ones((*array.shape[:3], 1), bool)
    return array[..., :3], torch.from_numpy(np.ascontiguousarray(alpha.transpose(0, 3, 1, 2)))


def _check_finite(image: Tensor, everywhere: bool = False) -> None:
    # One sum finds nearly every clean batch; an overflow of the sum itself is told apart by the second look.
    image = image.detach()
    if not torch.isfinite(image.sum()) and not torch.isfinite(image).all():
        if everywhere:
            raise InputError(
                "image must be finite everywhere, since this fill is made of absent pixels as well, but NaN or "
                "infinity came: mend the image, or choose another fill."
            )
        raise InputError(
            "image must be finite wherever it is present, but NaN or infinity came in a present pixel: "
            "mark such pixels absent, or mend the image."
        )
