"""`ImageAttribution`: what Captum's `Lime` and `KernelShap` have in common on images with layer masking."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..engine.batching import batched_predict
from ..errors import InputError, check_integer
from ..explain import METHODS, Coalitions, Samples
from ..maskings import LayerMask, Masking, as_image, with_presence
from ..models import Output, Scale, check_finite
from ..progress import progress_bar
from ..segments import Segments, presence_of
from .inputs import OneTarget, Target, as_extras, as_present, as_segments, as_targets, refuse_baselines, select_target

__all__ = ["Game", "ImageAttribution", "masked_function"]


@dataclass(frozen=True)
class Game:
    """The explained output of one image as a function of coalitions of its segments.

    Attributes:
        forward: A masking, or a function of images with presence `(M, C + 1, H, W)` and `extras`.
        image: `(1, C, H, W)`.
        present: Bool `(1, 1, H, W)`, the presence that the image comes with; None if all pixels are present.
        segments: int64 `(H, W)` or `(C, H, W)`, ids 0..K-1.
        target: The explained output.
        extras: Additional arguments of the masking or function.
        output: Which tensor of the model's output is explained, and on which scale.
        batch_size: Coalitions per forward pass.
        advance: Called after each batch with the number of coalitions in it.
    """

    forward: Callable[..., Any]
    image: Tensor
    present: Tensor | None
    segments: Segments
    target: OneTarget
    extras: tuple[Any, ...]
    output: Output
    batch_size: int
    advance: Callable[[int], object]

    @property
    def players(self) -> int:
        """K."""
        return int(self.segments.max()) + 1

    def values(self, coalitions: Coalitions) -> Tensor:
        """The explained output for coalitions `(M, K)`: `(M,)`."""
        found = check_finite(batched_predict(self._values, coalitions, self.batch_size, self.advance)[0])
        if not isinstance(self.forward, Masking) and len(found) > 1 and bool((found == found[0]).all()):
            warnings.warn(
                "the output is the same for every coalition of segments: use the presence, the last channel of its "
                "images, as LayerMask does",
                stacklevel=2,
            )
        return found

    @cached_property
    def scale(self) -> Scale:
        """The scale that is explained, decided by the output for the whole image."""
        if self.output.scale == "value":
            return Scale("value", "values")
        ends = isinstance(self.forward, Masking) and self.forward.ends_in_probabilities(
            self.image, self.output, self.extras
        )
        whole = self._tensor(np.ones((1, self.players), bool))
        return self.output.decide(whole, ends)

    def _values(self, coalitions: Coalitions) -> Tensor:
        return select_target(self.scale(self._tensor(coalitions)), self.target, len(coalitions))

    def _tensor(self, coalitions: Coalitions) -> Tensor:
        presence = presence_of(self.segments, coalitions).to(self.image.device)
        if self.present is not None:
            presence = presence & self.present
        rows = len(presence)
        if presence.shape[1] > 1 and not isinstance(self.forward, Masking):
            raise InputError.expected(
                "a network or a masking for a feature_mask by channel", "a function", "pass LayerMask(network)"
            )
        if isinstance(self.forward, Masking):
            return self.output.tensor(self.forward(self.image, presence, *self.extras), rows)
        extras = (
            value.expand(rows, *value.shape[1:]) if isinstance(value, Tensor) and value.dim() else value
            for value in self.extras
        )
        return self.output.tensor(self.forward(with_presence(self.image, presence), *extras), rows)


class ImageAttribution:
    """Attributions of images by segment, one surrogate for each image. Subclasses fit it in `_scores`."""

    forward_func: Callable[..., Any]
    get_name: Callable[[], str]
    seed: int
    sampling: str
    output: Output
    #: The method of `explain.surrogate` that draws the samples.
    method: str

    def attribute(
        self,
        inputs: Tensor | tuple[Tensor],
        baselines: object = None,
        target: Target = None,
        additional_forward_args: Any = None,
        feature_mask: Tensor | npt.NDArray[np.integer[Any]] | None = None,
        n_samples: int = 500,
        perturbations_per_eval: int = 32,
        return_input_shape: bool = True,
        show_progress: bool = False,
        presence: Tensor | None = None,
    ) -> Tensor | tuple[Tensor]:
        """Explain images by which of their segments are present.

        Args:
            inputs: Images `(N, C, H, W)`, normalised for the model, or `(N, 4, H, W)` with the presence that
                `with_presence` appends; also in a tuple of one, as Captum's metrics pass them. Each has its own
                surrogate.
            baselines: None or 0, since absent segments have no colour; part of Captum's signature.
            target: The output to explain: an index, a tuple of indices for outputs with more dimensions, or one of
                these for each image; None for a model with one number per image.
            additional_forward_args: Further inputs of the network, or arguments of a function given as the model. A
                tensor must have one row for each image.
            feature_mask: The segments, integers `(H, W)`, `(1, 1, H, W)`, or `(N, 1, H, W)` with one map per image;
                `(N, C, H, W)` for attributions by channel; square patches, 14 along the longer side, if None.
            n_samples: Number of coalitions for each image.
            perturbations_per_eval: Coalitions per forward pass; halved when memory runs out. It changes no result.
            return_input_shape: Whether to give each pixel the attribution of its segment.
            show_progress: Whether to show a progress bar.
            presence: Bool or 0/1, broadcastable to `(N, 1, H, W)`: pixels that are present from the start. Required
                for images of 4 channels, whose last one is taken as the presence otherwise.

        Returns:
            `(N, 1, H, W)`, or `(N, C, H, W)` by channel; or `(N, K)` if not `return_input_shape`, in the order of the
            segments' ids. In a tuple of one if `inputs` is one.

        Raises:
            InputError: If an argument is invalid.
        """
        refuse_baselines(baselines)
        if isinstance(inputs, tuple) and len(inputs) == 1:
            options = (target, additional_forward_args, feature_mask, n_samples, perturbations_per_eval)
            found = self.attribute(inputs[0], None, *options, return_input_shape, show_progress, presence)
            return (cast(Tensor, found),)
        image, present = as_present(as_image(inputs), presence)
        maps = as_segments(feature_mask, image, by_channel=True)
        targets = as_targets(target, len(image))
        extras = as_extras(additional_forward_args, len(image))
        count = check_integer(n_samples, "n_samples", 2)
        batch_size = check_integer(perturbations_per_eval, "perturbations_per_eval", 1)
        attributions = []
        with torch.no_grad(), progress_bar(len(image) * count, self.get_name(), show_progress, leave=True) as bar:
            for i, segments in enumerate(maps):
                here = None if present is None else present[i : i + 1]
                game = Game(
                    self.forward_func, image[i : i + 1], here, segments, targets[i], extras[i], self.output, batch_size,
                    bar.update,
                )
                attributions.append(self._scores(game, count).float().reshape(1, -1).to(image.device))
        if not return_input_shape:
            sizes = {scores.shape[1] for scores in attributions}
            if len(sizes) > 1:
                raise InputError.expected(
                    "the same number of segments in each image for return_input_shape=False",
                    str(sorted(sizes)),
                    "explain one image at a time",
                )
            return torch.cat(attributions)
        pairs = zip(attributions, maps, strict=True)
        spread = [scores[0, torch.from_numpy(ids).to(scores.device)] for scores, ids in pairs]
        return torch.stack([one if one.dim() == 3 else one[None] for one in spread])

    def _scores(self, game: Game, n_samples: int) -> Tensor:
        """The scores of the segments `(K,)`."""
        raise TypeError(f"{type(self).__name__} must define _scores to fit a surrogate.")

    def _samples(self, players: int, n_samples: int) -> Samples:
        return METHODS[self.method].draw(players, n_samples, np.random.default_rng(self.seed), self.sampling)


def masked_function(forward_func: object) -> Callable[..., Any]:
    """A network in layer masking; a masking or a function as it is.

    Raises:
        InputError: If it cannot be called.
    """
    if isinstance(forward_func, nn.Module):
        return forward_func if isinstance(forward_func, Masking) else LayerMask(forward_func)
    if not callable(forward_func):
        raise InputError.expected("a network, a masking or a function for forward_func", type(forward_func).__name__)
    return forward_func

