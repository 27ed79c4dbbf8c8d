"""`LayerMaskKernelShap`: Captum's `KernelShap` on images, with layer masking instead of a baseline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from captum.attr import KernelShap
from torch import Tensor

from ..catalog import check_sampling
from ..explain import fit
from ..models import Output, as_output
from .attribution import Game, ImageAttribution, masked_function

__all__ = ["LayerMaskKernelShap"]


class LayerMaskKernelShap(ImageAttribution, KernelShap):  # type: ignore[misc]
    """Captum's `KernelShap` on images, with layer masking instead of `baselines`.

    Samples are evaluated in batches. The scores sum to the difference between the whole and the empty image, and are
    the exact Shapley values if `n_samples` is at least `2^K`.

    Args:
        forward_func: As in [`LayerMaskLime`][].
        seed: As in [`LayerMaskLime`][].
        sampling: A scheme of [`shap_samples`][], or "auto", which converges fastest.
        output: As in [`LayerMaskLime`][].

    Raises:
        InputError: If `forward_func` cannot be called, or the scheme is unknown.

    Example:
        >>> from torch import nn
        >>> from xai_layermask import LayerMask
        >>> model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> image, halves = torch.rand(1, 3, 8, 8), torch.arange(8).expand(8, 8) // 4
        >>> shap = LayerMaskKernelShap(model)
        >>> scores = shap.attribute(image, target=3, feature_mask=halves, return_input_shape=False)
        >>> empty = LayerMask(model)(image, torch.zeros(1, 1, 8, 8))
        >>> torch.allclose(scores.sum(), (model(image) - empty)[0, 3], atol=1e-5)
        True
    """

    method = "shap"

    def __init__(
        self,
        forward_func: Callable[..., Any],
        seed: int = 0,
        sampling: str = "auto",
        output: str | Output = "value",
    ) -> None:
        KernelShap.__init__(self, masked_function(forward_func))
        self.output = as_output(output)
        self.seed = seed
        self.sampling = check_sampling(sampling, self.method, f"sampling of {type(self).__name__}")

    def _scores(self, game: Game, n_samples: int) -> Tensor:
        samples = self._samples(game.players, n_samples)
        values = game.values(samples.coalitions).cpu().double().numpy()
        return torch.from_numpy(fit(self.method, samples, values[:, None]).scores[0])
