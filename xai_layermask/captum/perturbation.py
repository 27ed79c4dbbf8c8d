"""`LayerMaskPerturbation`: coalitions of segments for Captum's own `LimeBase` and `Lime`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..errors import InputError, check_number
from ..explain import cosine_kernel, lime_samples
from ..maskings import as_image, split_presence, with_presence
from ..segments import Segments, presence_of
from .inputs import as_segments

__all__ = ["LayerMaskPerturbation"]


class LayerMaskPerturbation:
    """A `perturb_func` for Captum's `LimeBase` and `Lime`, with the functions that belong to it.

    A call draws which segments are present. In `LimeBase`, `to_input` is the `from_interp_rep_transform` that turns a
    draw into the model's input. The built-in transform of `Lime` is right for `LayerMask(model).bind(image)` explained
    at `bound.presence`, and for `LayerMask(model)` explained at `with_presence(image)`, both with the default baseline.

    Args:
        feature_mask: Integers `(H, W)` or `(1, 1, H, W)`, one id for each segment; if None, the one passed to Captum's
            `attribute(feature_mask=...)`.
        seed: Seed of the draws. Successive draws continue one stream; the global random state is left alone.
        kernel_width: Width of the kernel that weighs a draw by its distance from the whole image.

    Raises:
        InputError: If the segments do not fit the image.

    Example:
        >>> from captum._utils.models.linear_model import SkLearnRidge
        >>> from captum.attr import LimeBase
        >>> from torch import nn
        >>> from xai_layermask import LayerMask
        >>> model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> segments = torch.tensor([[0, 1], [2, 3]])
        >>> perturbation = LayerMaskPerturbation(segments)
        >>> lime = LimeBase(LayerMask(model), SkLearnRidge(alpha=1), perturbation.similarity, perturbation,
        ...                 True, perturbation.to_input, None)
        >>> lime.attribute(torch.rand(1, 3, 2, 2), target=1, n_samples=20, perturbations_per_eval=10).shape
        torch.Size([1, 4])
    """

    def __init__(
        self,
        feature_mask: Tensor | npt.NDArray[np.integer[Any]] | None = None,
        seed: int = 0,
        kernel_width: float = 0.25,
    ) -> None:
        self.feature_mask = feature_mask
        self.kernel_width = check_number(kernel_width, "kernel_width", above=0)
        self._generator = np.random.default_rng(seed)

    def __call__(
        self,
        original: Tensor,
        feature_mask: Tensor | None = None,
        num_interp_features: int | None = None,
        baselines: object = None,
    ) -> Tensor:
        """Draw which segments are present.

        Args:
            original: What Captum explains: presence `(1, 1, H, W)` of a bound image, an image `(1, 3, H, W)`, or an
                image with its presence `(1, 4, H, W)`.
            feature_mask: As Captum passes it on.
            num_interp_features: The number of segments according to Captum.
            baselines: What Captum's `Lime` writes into absent segments; it must be layer masking's 0.

        Returns:
            0/1 `(1, K)`.

        Raises:
            InputError: If `Lime` would paint the image instead of removing pixels.
        """
        original = _checked(original)
        if baselines is not None and original.shape[1] == 3:
            raise InputError.expected(
                "presence as the input of Captum's Lime",
                "an image (N, 3, H, W), which it would paint with its baseline",
                "explain bound.presence or with_presence(image), or use LayerMaskLime",
            )
        if num_interp_features is None:
            num_interp_features = int(self._segments(original, feature_mask).max()) + 1
        drawn = lime_samples(num_interp_features, 2, self._generator).coalitions[1:]
        return torch.from_numpy(drawn.astype(np.int64)).to(original.device)

    def to_input(
        self,
        sample: Tensor,
        original: Tensor,
        feature_mask: Tensor | None = None,
        num_interp_features: int | None = None,
    ) -> Tensor:
        """Turn a draw into an input of the masked model, the `from_interp_rep_transform` of `LimeBase`.

        Args:
            sample: 0/1 `(1, K)`.
            original: As in `__call__`. Pixels absent there stay absent.
            feature_mask: As Captum passes it on.
            num_interp_features: Checked against the sample.

        Returns:
            Presence `(1, 1, H, W)` for a bound image, otherwise the image with its presence `(1, 4, H, W)`.

        Raises:
            InputError: If the sample or the original is of another shape.
        """
        if num_interp_features not in (None, sample.shape[1]):
            raise InputError.expected(
                f"{num_interp_features} columns in sample",
                str(sample.shape[1]),
                "pass the same feature_mask to Captum and to LayerMaskPerturbation",
            )
        original = _checked(original)
        presence = presence_of(self._segments(original, feature_mask), sample.cpu()).to(original.device)
        if original.shape[1] == 1:
            return original * presence
        if original.shape[1] == 4:
            original, present = split_presence(original)
            presence = presence & present
        return with_presence(original, presence)

    def similarity(self, _original: object, _perturbed: object, sample: Tensor, **_settings: object) -> Tensor:
        """Weigh a draw by its distance from the whole image in mask space, as LIME does.

        Captum also passes both inputs and all its settings; they do not count.

        Args:
            sample: 0/1 `(1, K)`.

        Returns:
            `(1,)`, from 0 to 1.
        """
        return torch.from_numpy(cosine_kernel(sample.cpu().numpy() != 0, self.kernel_width)).float()

    def _segments(self, original: Tensor, feature_mask: Tensor | None) -> Segments:
        given = self.feature_mask if self.feature_mask is not None else feature_mask
        if given is None:
            raise InputError.expected("segments for feature_mask", "None", "pass one here or to attribute")
        return as_segments(given, original)[0]


def _checked(original: object) -> Tensor:
    """Refuse images of other numbers of channels, which cannot carry their presence."""
    image = as_image(original)
    if image.shape[1] in (3, 4) or (image.shape[1] == 1 and ((image == 0) | (image == 1)).all()):
        return image
    raise InputError.expected(
        "presence (1, 1, H, W) of 0 and 1, an image (1, 3, H, W) or with_presence(image) as Captum's inputs",
        f"an image {tuple(image.shape)}",
        "explain bound.presence of bound = LayerMask(model).bind(image)",
    )
