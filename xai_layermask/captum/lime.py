"""`LayerMaskLime`: Captum's `Lime` on images, with layer masking instead of a baseline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum._utils.models.model import Model
from captum.attr import Lime
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from ..catalog import check_sampling
from ..errors import InputError
from ..explain import Samples, cosine_kernel
from ..models import Output, as_output
from .attribution import Game, ImageAttribution, masked_function
from .callbacks import draw_coalitions, weigh_coalitions

__all__ = ["LayerMaskLime"]


class LayerMaskLime(ImageAttribution, Lime):  # type: ignore[misc]
    """Captum's `Lime` on images, with layer masking instead of `baselines`.

    Its defaults suit images: ridge regression instead of Lasso(0.01), whose coefficients for probabilities are all
    zero; weights in mask space; patches if there is no feature mask; samples drawn and evaluated in batches; and a
    seed of its own, so that calls are reproducible.

    Args:
        forward_func: The network, which is layer masked; or any masking, such as `Fill(model, "grey")`; or a function
            of images with presence `(N, C + 1, H, W)` and `additional_forward_args`.
        interpretable_model: One of Captum's linear models; `SkLearnRidge(alpha=1)` if None.
        similarity_func: Weighs one sample at a time, as in Captum, called with the presence of the whole image and of
            the sample, both `(1, 1, H, W)`, and the sample `(1, K)`; LIME's kernel in mask space if None.
        perturb_func: Draws, or yields, one sample `(1, K)` at a time, as in Captum; if None, samples are drawn as
            `sampling` says.
        seed: Seed of the samples of each call. The global random state is neither read nor changed.
        sampling: A scheme of [`lime_samples`][], or "auto", which converges fastest.
        output: What is explained, as [`Output`][] takes it: by default the model's output as it is, as in Captum.

    Raises:
        InputError: If `forward_func` cannot be called, or the scheme is unknown or given together with a
            `perturb_func`.

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> LayerMaskLime(model).attribute(torch.rand(1, 3, 28, 28), target=3, n_samples=50).shape
        torch.Size([1, 1, 28, 28])
    """

    method = "lime"

    def __init__(
        self,
        forward_func: Callable[..., Any],
        interpretable_model: Model | None = None,
        similarity_func: Callable[..., Any] | None = None,
        perturb_func: Callable[..., Any] | None = None,
        seed: int = 0,
        sampling: str = "auto",
        output: str | Output = "value",
    ) -> None:
        if perturb_func is not None and sampling != "auto":
            raise InputError.expected("'auto' for sampling, since perturb_func draws the samples", repr(sampling))
        surrogate = SkLearnRidge(alpha=1.0) if interpretable_model is None else interpretable_model
        Lime.__init__(self, masked_function(forward_func), surrogate, similarity_func, perturb_func)
        self.output = as_output(output)
        self._similarity, self._perturb, self.seed = similarity_func, perturb_func, seed
        self.sampling = check_sampling(sampling, self.method, f"sampling of {type(self).__name__}")

    def _scores(self, game: Game, n_samples: int) -> Tensor:
        if self._perturb is None:
            samples = self._samples(game.players, n_samples)
        else:
            coalitions = draw_coalitions(self._perturb, game.image, game.segments, n_samples)
            samples = Samples(coalitions, cosine_kernel(coalitions))
        if self._similarity is not None:
            weights = weigh_coalitions(self._similarity, game.image, game.segments, samples.coalitions)
            samples = samples._replace(weights=weights)
        dataset = TensorDataset(
            torch.from_numpy(samples.coalitions).float(),
            game.values(samples.coalitions).float().cpu(),
            torch.from_numpy(samples.weights).float(),
        )
        with torch.random.fork_rng(devices=[]):  # the loader and Captum's models draw random numbers
            self.interpretable_model.fit(DataLoader(dataset, batch_size=len(dataset)))
        scores: Tensor = self.interpretable_model.representation()
        return scores
