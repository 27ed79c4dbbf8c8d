"""pytorch-grad-cam with layer masking as the perturbation.

Requires `pip install xai-layermask[gradcam]`. Class activation maps that remove image regions are in
[`LayerMaskScoreCAM`][] and [`LayerMaskAblationCAM`][]. Metrics perturb images with [`append_presence`][] and
[`KeepRelevant`][], and call `LayerMask(model)` instead of the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.metrics.cam_mult_image import CamMultImageConfidenceChange
from pytorch_grad_cam.metrics.perturbation_confidence import (
    AveragerAcrossThresholds,
    PerturbationConfidenceMetric,
    RemoveLeastRelevantFirst,
    RemoveMostRelevantFirst,
)
from pytorch_grad_cam.metrics.road import ROADCombined
from torch import Tensor, nn

from .errors import InputError, check_integer, check_number
from .maskings import LayerMask, Masking, with_presence

__all__ = [
    "KeepRelevant",
    "LayerMaskAblationCAM",
    "LayerMaskConfidenceChange",
    "LayerMaskROADCombined",
    "LayerMaskScoreCAM",
    "append_presence",
    "as_cam",
]

Floats = npt.NDArray[np.float32]
Target = Callable[[Tensor], Tensor]
_PERCENTILES = (10, 20, 30, 40, 50, 60, 70, 80, 90)


class _RegionCAM(BaseCAM):  # type: ignore[misc]
    """A class activation map whose weights are predictions for the regions where each channel is active."""

    def __init__(
        self,
        model: nn.Module,
        target_layers: Sequence[nn.Module],
        reshape_transform: Callable[[Tensor], Tensor] | None = None,
        masking: Masking | None = None,
        threshold: float = 0.5,
        batch_size: int = 16,
    ) -> None:
        super().__init__(model, list(target_layers), reshape_transform, uses_gradients=False)
        self.masking = LayerMask(model) if masking is None else masking
        if not isinstance(self.masking, Masking) or self.masking.model is not model:
            raise InputError.expected("a masking of the same model for masking", type(masking).__name__)
        self.threshold = check_number(threshold, "threshold", least=0, most=1)
        self.batch_size = check_integer(batch_size, "batch_size", 1)

    def get_cam_weights(
        self,
        input_tensor: Tensor,
        _layers: object,
        targets: Sequence[Target],
        activations: Floats,
        _gradients: object,
    ) -> Floats:
        """The weights of the channels, `(N, C)`; called by pytorch-grad-cam."""
        weights: Floats = self._weights(
            input_tensor, targets, self._regions(activations, input_tensor.shape[2:])
        ).numpy()
        return weights

    def _weights(self, images: Tensor, targets: Sequence[Target], regions: Tensor) -> Tensor:
        """The weights of the channels `(N, C)`, from where each is active `(N, C, H, W)`."""
        raise NotImplementedError(f"{type(self).__name__} must define _weights(images, targets, regions)")

    def _regions(self, activations: Floats, size: Sequence[int]) -> Tensor:
        """Where each channel exceeds the threshold, between its smallest and largest value: `(N, C, H, W)`."""
        channels = torch.from_numpy(activations)
        maps = nn.functional.interpolate(channels, tuple(size), mode="bilinear", align_corners=True)
        low, high = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
        return maps - low > self.threshold * (high - low)

    def _scores(self, images: Tensor, targets: Sequence[Target], presence: Tensor) -> Tensor:
        """The target of each image for its presences `(N, M, H, W)`: `(N, M)`."""
        found = []
        with torch.no_grad():
            for image, target, masks in zip(images, targets, presence, strict=True):
                for part in masks[:, None].split(self.batch_size):
                    outputs = self.masking(image[None], part.to(image.device))
                    found += [float(target(output)) for output in outputs]
        return torch.tensor(found).reshape(presence.shape[:2])


class LayerMaskScoreCAM(_RegionCAM):
    """Score-CAM (Wang et al. 2020): a channel weighs as much as the network predicts from its region alone.

    pytorch-grad-cam's `ScoreCAM` multiplies the image by the channel, which fades the rest to the mean colour. Here
    the rest is absent, and a region is present or not.

    Args:
        model: The network. As in pytorch-grad-cam, it is put in evaluation mode.
        target_layers: The modules whose channels are weighted.
        reshape_transform: From the layer's output to `(N, C, h, w)`, for transformers.
        masking: A masking of the same model; `LayerMask(model)` if None.
        threshold: The region of a channel is where it exceeds this fraction of its range, 0 to 1.
        batch_size: Regions per forward pass.

    Raises:
        InputError: If an argument is invalid.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> with LayerMaskScoreCAM(model, [model[1]]) as cam:
        ...     cam(torch.rand(2, 3, 8, 8), targets=None).shape
        (2, 8, 8)
    """

    def _weights(self, images: Tensor, targets: Sequence[Target], regions: Tensor) -> Tensor:
        return self._scores(images, targets, regions).softmax(1)


class LayerMaskAblationCAM(_RegionCAM):
    """Ablation-CAM (Desai & Ramaswamy 2020) by regions: a channel weighs as much as the absence of its region costs.

    pytorch-grad-cam's `AblationCAM` removes the channel within the network. Here the image region where the channel is
    active is absent from the start. The weight is `(y - y_k) / y`, as there.

    Args:
        model: The network. As in pytorch-grad-cam, it is put in evaluation mode.
        target_layers: The modules whose channels are weighted.
        reshape_transform: From the layer's output to `(N, C, h, w)`, for transformers.
        masking: A masking of the same model; `LayerMask(model)` if None.
        threshold: The region of a channel is where it exceeds this fraction of its range, 0 to 1.
        batch_size: Regions per forward pass.

    Raises:
        InputError: If an argument is invalid.
    """

    def _weights(self, images: Tensor, targets: Sequence[Target], regions: Tensor) -> Tensor:
        whole = self._scores(images, targets, torch.ones_like(regions[:, :1]))
        return (whole - self._scores(images, targets, ~regions)) / whole


def append_presence(image: Tensor, mask: Tensor) -> Tensor:
    """Append presence to an image: an imputer for pytorch-grad-cam's `RemoveMostRelevantFirst` and similar metrics.

    Args:
        image: `(3, H, W)`.
        mask: `(H, W)`, 0 where a pixel is removed.

    Returns:
        `(4, H, W)`, which a masking takes.

    Example:
        >>> append_presence(torch.zeros(3, 1, 2), torch.tensor([[1.0, 0.0]]))[3]
        tensor([[1., 0.]])
    """
    return with_presence(image[None], mask != 0)[0]


class KeepRelevant:
    """The `perturbation` of confidence metrics: pixels are present where the map exceeds a threshold.

    Args:
        threshold: From 0 to 1, the range of the map.

    Raises:
        InputError: If it is something else.
    """

    def __init__(self, threshold: float = 0.5) -> None:
        self.threshold = check_number(threshold, "threshold", least=0, most=1)

    def __call__(self, image: Tensor, cam: Tensor) -> Tensor:
        """Append presence to an image.

        Args:
            image: `(3, H, W)`.
            cam: `(H, W)`, from 0 to 1.
        """
        return append_presence(image, cam > self.threshold)


class LayerMaskConfidenceChange(CamMultImageConfidenceChange):  # type: ignore[misc]
    """pytorch-grad-cam's `CamMultImageConfidenceChange` on what a map keeps, instead of the image times the map.

    Call it as there, with `LayerMask(model)` as the model.

    Args:
        threshold: Pixels are present where the map exceeds it, 0 to 1.

    Raises:
        InputError: If the threshold is something else, or, in a call, the model is not a masking.

    Example:
        >>> from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget
        >>> model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        >>> images, cams = torch.rand(2, 3, 8, 8), np.random.default_rng(0).random((2, 8, 8), np.float32)
        >>> targets = [ClassifierOutputSoftmaxTarget(0)] * 2
        >>> LayerMaskConfidenceChange()(images, cams, targets, LayerMask(model)).shape
        (2,)
    """

    def __init__(self, threshold: float = 0.5) -> None:
        PerturbationConfidenceMetric.__init__(self, KeepRelevant(threshold))

    def __call__(self, input_tensor: Tensor, cams: Floats, targets: Any, model: Masking, *options: Any) -> Any:
        """As pytorch-grad-cam's metric."""
        return super().__call__(input_tensor, cams, targets, _masking(model), *options)


class LayerMaskROADCombined(ROADCombined):  # type: ignore[misc]
    """pytorch-grad-cam's `ROADCombined`, where removed pixels are absent instead of imputed.

    Call it as there, with `LayerMask(model)` as the model. The score is half of the difference between removing the
    least and the most relevant pixels, averaged over percentiles.

    Args:
        percentiles: Percentiles of the map's values, from 0 to 100.

    Raises:
        InputError: In a call, if the model is not a masking.
    """

    def __init__(self, percentiles: Sequence[float] = _PERCENTILES) -> None:
        def averager(remove: Callable[..., Any]) -> Any:
            def metric(percentile: float) -> Any:
                return PerturbationConfidenceMetric(remove(percentile, append_presence))

            return AveragerAcrossThresholds(metric, percentiles)

        self.percentiles = percentiles
        self.morf_averager = averager(RemoveMostRelevantFirst)
        self.lerf_averager = averager(RemoveLeastRelevantFirst)

    def __call__(self, input_tensor: Tensor, cams: Floats, targets: Any, model: Masking) -> Any:
        """As pytorch-grad-cam's metric."""
        return super().__call__(input_tensor, cams, targets, _masking(model))


def _masking(model: object) -> Masking:
    if not isinstance(model, Masking):
        raise InputError.expected("a masking for model", type(model).__name__, "pass LayerMask(model)")
    return model


def as_cam(heatmap: npt.ArrayLike) -> Floats:
    """Convert a heat map to the form of pytorch-grad-cam's maps, for `show_cam_on_image` and the metrics.

    Args:
        heatmap: `(..., H, W)`, such as `Explanation.heatmap(target)`; negative scores become 0.

    Returns:
        float32 from 0 to 1; the largest score of each map is 1.

    Example:
        >>> as_cam([[-1.0, 0.5, 2.0]])
        array([[0.  , 0.25, 1.  ]], dtype=float32)
    """
    given = np.asarray(heatmap, np.float32)
    scores = np.where(given > 0, given, np.float32(0))  # NaN marks pixels of the photograph that the model does not see
    largest = scores.max((-2, -1), keepdims=True)
    cam: Floats = np.divide(scores, largest, out=np.zeros_like(scores), where=largest > 0)
    return cam
