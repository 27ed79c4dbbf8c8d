"""Captum's `Lime` and `KernelShap` on images, with layer masking in the place of a baseline."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import isgeneratorfunction
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from captum._utils.models.linear_model import SkLearnRidge
from captum._utils.models.model import Model
from captum.attr import KernelShap, Lime
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from ..catalog import check_sampling
from ..engine.runtime import batched_predict
from ..errors import InputError, check_integer
from ..explain.sampling import Samples, cosine_kernel
from ..explain.surrogate import METHODS
from ..maskings import LayerMask, Masking, as_image, split_presence, with_presence
from ..segments import Segments, presence_of
from .inputs import One, Target, as_extras, as_segments, as_targets, picked

__all__ = ["LayerMaskKernelShap", "LayerMaskLime"]

Keep = npt.NDArray[np.bool_]


class _OnImages:
    """What Lime and KernelShap share here: images in, one surrogate each, attributions by pixel out."""

    forward_func: Callable[..., Any]
    get_name: Callable[[], str]
    seed: int
    sampling: str
    #: Which of our methods draws the samples.
    method: str

    def _samples(self, segments: Segments, count: int) -> Samples:
        draw = METHODS[self.method].draw
        return draw(int(segments.max()) + 1, count, np.random.default_rng(self.seed), self.sampling)

    def attribute(
        self,
        inputs: Tensor,
        target: Target = None,
        additional_forward_args: Any = None,
        feature_mask: Tensor | npt.NDArray[np.integer[Any]] | None = None,
        n_samples: int = 500,
        perturbations_per_eval: int = 32,
        return_input_shape: bool = True,
        show_progress: bool = False,
    ) -> Tensor:
        """Explain images by which of their segments are present.

        Args:
            inputs: Images `(N, C, H, W)`, normalised as the model wants them, or `(N, 4, H, W)` with the
                presence that `with_presence` appends. Each gets a surrogate of its own.
            target: The output to explain: an index, a tuple of indices where outputs have more dimensions, or
                one of these for each image; None where the model gives one number for each image.
            additional_forward_args: What a function that was given as the model takes besides images. A
                tensor must have one row for each image.
            feature_mask: The segments, integers `(H, W)`, `(1, 1, H, W)`, or `(N, 1, H, W)` for segments of
                each image's own. If None, square patches, 14 along the longer side.
            n_samples: How often the model is asked about each image.
            perturbations_per_eval: How many samples go through the model at once. It changes no result.
            return_input_shape: Whether to give every pixel the attribution of its segment.
            show_progress: Whether to show a progress bar.

        Returns:
            `(N, 1, H, W)`; or `(N, K)` if not `return_input_shape`, the segments in the order of their ids.

        Raises:
            InputError: If an argument does not fit.
        """
        image = as_image(inputs)
        present = None
        if image.shape[1] == 4:
            image, present = split_presence(image)
        maps = as_segments(feature_mask, image)
        targets = as_targets(target, len(image))
        extras = as_extras(additional_forward_args, len(image))
        if extras[0] and isinstance(self.forward_func, Masking):
            raise InputError(
                "additional_forward_args must be left out where a network is given, but some came: "
                "give a function of with_presence images and of them in its place."
            )
        count = check_integer(n_samples, "n_samples", least=2)
        step = check_integer(perturbations_per_eval, "perturbations_per_eval", least=1)
        found = []
        with torch.no_grad(), _progress(self.get_name(), len(image) * count, show_progress) as bar:
            for i, segments in enumerate(maps):
                one = image[i : i + 1], None if present is None else present[i : i + 1]
                ask = partial(self._asked, *one, segments, targets[i], extras[i], step, bar)
                scores = self._scores(ask, one[0], segments, count)
                found.append(scores.float().reshape(1, -1).to(image.device))
        if not return_input_shape:
            sizes = {scores.shape[1] for scores in found}
            if len(sizes) > 1:
                raise InputError(
                    f"feature_mask must have as many segments in every image for return_input_shape=False, "
                    f"but {sorted(sizes)} came: explain one image at a time."
                )
            return torch.cat(found)
        pairs = zip(found, maps, strict=True)
        return torch.stack([scores[:, torch.from_numpy(ids).to(scores.device)] for scores, ids in pairs])

    def _asked(
        self, image: Tensor, present: Tensor | None, segments: Segments, target: One, extras: tuple[Any, ...],
        step: int, bar: Any, keep: Keep,
    ) -> Tensor:
        """What the model says of each choice of segments `(M, K)`: `(M,)`."""

        def predict(rows: Keep) -> Tensor:
            shown = presence_of(segments, rows).to(image.device)
            if present is not None:
                shown = shown & present
            return picked(self._answers(image, shown, extras), target, len(shown))

        return batched_predict(predict, keep, step, bar.update)[0]

    def _answers(self, image: Tensor, shown: Tensor, extras: tuple[Any, ...]) -> Any:
        if isinstance(self.forward_func, Masking):
            return self.forward_func(image, shown)
        rows = len(shown)
        repeated = (
            value.expand(rows, *value.shape[1:]) if isinstance(value, Tensor) and value.dim() else value
            for value in extras
        )
        return self.forward_func(with_presence(image, shown), *repeated)

    def _scores(
        self, ask: Callable[[Keep], Tensor], image: Tensor, segments: Segments, count: int
    ) -> Tensor:
        """The surrogate's coefficients `(K,)`; `ask` answers choices of segments `(M, K)` with `(M,)`."""
        raise TypeError(f"{type(self).__name__} must define _scores to fit a surrogate.")


class LayerMaskLime(_OnImages, Lime):  # type: ignore[misc]
    """Captum's `Lime` on images, with layer masking in the place of `baselines`.

    Beside that, its defaults suit images: ridge regression in the place of Lasso(0.01), which answers all
    zeros on probabilities; samples weighed in mask space; patches where no feature mask is given; samples
    drawn and evaluated in batches; and a seed of its own, so that the same call has the same answer.

    Args:
        forward_func: The network, which is layer masked; or any masking, such as `Fill(model, "grey")`; or a
            function of images with presence `(N, 4, H, W)` and `additional_forward_args`.
        interpretable_model: One of Captum's linear models; `SkLearnRidge(alpha=1)` if None.
        similarity_func: Weighs one sample at a time, as in Captum, called with the presence of the whole
            image, the presence of the sample, both `(1, 1, H, W)`, and the sample `(1, K)`. LIME's kernel in
            mask space if None.
        perturb_func: Draws one sample `(1, K)` at a time, as in Captum, or yields them. If None, the whole
            image and then every segment with probability one half.
        seed: Makes the samples of every call; the global random state is left alone.
        sampling: How samples depend on each other where no `perturb_func` draws them: a scheme of
            [`lime_samples`][], or "auto", the one whose scores settle first.

    Raises:
        InputError: If `forward_func` cannot be called, or there is no such scheme, or a scheme comes together with a
            `perturb_func`.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> image = torch.rand(1, 3, 28, 28)
        >>> LayerMaskLime(model).attribute(image, target=3, n_samples=50).shape
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
    ) -> None:
        if perturb_func is not None and sampling != "auto":
            raise InputError(
                f"sampling must be 'auto' where perturb_func draws the samples, but {sampling!r} came: leave one out."
            )
        chosen = SkLearnRidge(alpha=1.0) if interpretable_model is None else interpretable_model
        Lime.__init__(self, _masked(forward_func), chosen, similarity_func, perturb_func)
        # Captum's defaults go one by one. Ours know all samples at once.
        self._weigh, self._draw, self.seed = similarity_func, perturb_func, seed
        self.sampling = check_sampling(sampling, self.method, f"sampling of {type(self).__name__}")

    def _scores(
        self, ask: Callable[[Keep], Tensor], image: Tensor, segments: Segments, count: int
    ) -> Tensor:
        if self._draw is None:
            samples = self._samples(segments, count)
        else:
            keep = _drawn(self._draw, image, segments, count)
            samples = Samples(keep, cosine_kernel(keep))
        if self._weigh is not None:
            samples = samples._replace(weights=_weighed(self._weigh, image, segments, samples.coalitions))
        rows, weights = torch.from_numpy(samples.coalitions).float(), torch.from_numpy(samples.weights).float()
        dataset = TensorDataset(rows, ask(samples.coalitions).float().cpu(), weights)
        with torch.random.fork_rng(devices=[]):  # a loader draws a seed, and Captum a first guess of the weights
            self.interpretable_model.fit(DataLoader(dataset, batch_size=len(dataset)))
        scores: Tensor = self.interpretable_model.representation()
        return scores


class LayerMaskKernelShap(_OnImages, KernelShap):  # type: ignore[misc]
    """Captum's `KernelShap` on images, with layer masking in the place of `baselines`.

    Samples are evaluated in batches. The fit obeys the answers to
    everything and to nothing exactly, and is the exact Shapley values where `n_samples` is at least `2^K`.

    Args:
        forward_func: As in [`LayerMaskLime`][].
        seed: Makes the samples of every call; the global random state is left alone.
        sampling: How samples depend on each other: a scheme of [`shap_samples`][], or "auto", the one whose scores
            settle first.

    Raises:
        InputError: If `forward_func` cannot be called, or there is no such scheme.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> image, halves = torch.rand(1, 3, 8, 8), torch.arange(8).expand(8, 8) // 4
        >>> shares = LayerMaskKernelShap(model).attribute(image, 3, None, halves, return_input_shape=False)
        >>> nothing = LayerMask(model)(image, torch.zeros(1, 1, 8, 8))
        >>> torch.allclose(shares.sum(), (model(image) - nothing)[0, 3], atol=1e-5)
        True
    """

    method = "shap"

    def __init__(self, forward_func: Callable[..., Any], seed: int = 0, sampling: str = "auto") -> None:
        KernelShap.__init__(self, _masked(forward_func))
        self.seed = seed
        self.sampling = check_sampling(sampling, self.method, f"sampling of {type(self).__name__}")

    def _scores(
        self, ask: Callable[[Keep], Tensor], image: Tensor, segments: Segments, count: int
    ) -> Tensor:
        del image
        samples = self._samples(segments, count)
        answers = ask(samples.coalitions).double().cpu().numpy()
        return torch.from_numpy(METHODS[self.method].fit(samples, answers[:, None]).scores[0])


def _masked(forward_func: object) -> Callable[..., Any]:
    if isinstance(forward_func, nn.Module):
        return forward_func if isinstance(forward_func, Masking) else LayerMask(forward_func)
    if not callable(forward_func):
        raise InputError(
            f"forward_func must be a network, a masking or a function, but {type(forward_func).__name__} "
            "came: pass the model itself."
        )
    return forward_func


def _drawn(draw: Callable[..., Any], image: Tensor, segments: Segments, count: int) -> Keep:
    """Ask a caller's own `perturb_func` for samples, one at a time, as Captum does."""
    size = int(segments.max()) + 1
    settings = {"feature_mask": torch.from_numpy(segments)[None, None], "num_interp_features": size}
    if isgeneratorfunction(draw):
        rows = list(islice(draw(image, **settings), count))
    else:
        rows = [draw(image, **settings) for _ in range(count)]
    for row in rows:
        if not isinstance(row, Tensor) or row.shape != (1, size) or not ((row == 0) | (row == 1)).all():
            raise InputError(
                f"perturb_func must return 0/1 of shape (1, {size}), but {row!r} came: "
                "draw one value for each segment."
            )
    if not rows:
        raise InputError("perturb_func must yield samples, but none came: let it yield at least n_samples.")
    keep: Keep = torch.cat(rows).cpu().numpy() != 0
    return keep


def _weighed(
    weigh: Callable[..., Any], image: Tensor, segments: Segments, keep: Keep
) -> npt.NDArray[np.float64]:
    """Ask a caller's own `similarity_func` for weights, one sample at a time, as Captum does."""
    whole = torch.ones(1, 1, *segments.shape, dtype=image.dtype, device=image.device)
    settings = {"feature_mask": torch.from_numpy(segments)[None, None], "num_interp_features": keep.shape[1]}
    return np.array([
        float(weigh(whole, presence_of(segments, row).to(whole), torch.from_numpy(row).long(), **settings))
        for row in keep[:, None]
    ])


def _progress(name: str, total: int, show: bool) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=total, desc=name, unit="sample", disable=not show)
