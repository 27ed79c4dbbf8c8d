"""pytorch-grad-cam's maps and metrics with layer masking: weights and scores are computed again by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_layermask import Fill, InputError, LayerMask

gradcam = pytest.importorskip("pytorch_grad_cam")

from pytorch_grad_cam.metrics.cam_mult_image import DropInConfidence  # noqa: E402
from pytorch_grad_cam.metrics.road import ROADCombined  # noqa: E402
from pytorch_grad_cam.utils.image import show_cam_on_image  # noqa: E402
from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget, ClassifierOutputTarget  # noqa: E402

from xai_layermask.gradcam import (  # noqa: E402, it cannot be imported without pytorch-grad-cam
    KeepRelevant,
    LayerMaskAblationCAM,
    LayerMaskConfidenceChange,
    LayerMaskROADCombined,
    LayerMaskScoreCAM,
    append_presence,
    as_cam,
)

SIDE = 12


@pytest.fixture
def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(6, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()


@pytest.fixture
def images() -> Tensor:
    return torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def regions(net: nn.Sequential, image: Tensor, threshold: float) -> Tensor:
    """Where each channel of the first layers is active, bool `(6, 1, H, W)`."""
    with torch.no_grad():
        maps = nn.UpsamplingBilinear2d(size=(SIDE, SIDE))(net[:2](image[None]))[0]
    found = []
    for channel in maps:
        span = channel.max() - channel.min()
        found.append((channel - channel.min() > threshold * span)[None])
    return torch.stack(found)


@pytest.mark.parametrize("kind", ["layer", "grey"])
@pytest.mark.parametrize("threshold", [0.2, 0.5])
def test_channels_are_weighted_by_their_regions(kind, threshold, net, images):
    masking = LayerMask(net) if kind == "layer" else Fill(net, "grey")
    targets = [ClassifierOutputTarget(1), ClassifierOutputTarget(2)]
    options: dict[str, Any] = {"masking": None if kind == "layer" else masking, "threshold": threshold, "batch_size": 4}
    maps = {}
    for kind_of_cam in (LayerMaskScoreCAM, LayerMaskAblationCAM):
        with kind_of_cam(net, [net[1]], **options) as cam:
            maps[kind_of_cam] = cam(images, targets)
    for i, target in enumerate((1, 2)):
        inside = regions(net, images[i], threshold)
        with torch.no_grad():
            alone = masking(images[i : i + 1], inside)[:, target]
            without = masking(images[i : i + 1], ~inside)[:, target]
            whole = net(images[i : i + 1])[0, target]
            activations = net[:2](images[i : i + 1])[0]
        for kind_of_cam, weights in (
            (LayerMaskScoreCAM, alone.softmax(0)), (LayerMaskAblationCAM, (whole - without) / whole)
        ):  # fmt: skip
            cam = (weights[:, None, None] * activations).sum(0).clamp(min=0)
            expected = gradcam.utils.image.scale_cam_image([cam.numpy()], (SIDE, SIDE))[0]
            expected = gradcam.utils.image.scale_cam_image([expected])[0]
            np.testing.assert_allclose(maps[kind_of_cam][i], expected, atol=1e-4)


def test_the_model_keeps_no_hooks(net, images):
    with LayerMaskScoreCAM(net, [net[1]]) as cam:
        cam(images, None)
    assert not net[1]._forward_hooks
    assert net(images).shape == (2, 3)


def cams() -> np.ndarray:
    return np.random.default_rng(0).random((2, SIDE, SIDE), np.float32)


def probabilities(masking: Any, images: Tensor, presence: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return masking(images, torch.from_numpy(presence)[:, None]).softmax(1)[[0, 1], [1, 2]].numpy()


TARGETS = [ClassifierOutputSoftmaxTarget(1), ClassifierOutputSoftmaxTarget(2)]


@pytest.mark.parametrize("kind", ["layer", "grey"])
def test_road_without_imputation(kind, net, images):
    masking = LayerMask(net) if kind == "layer" else Fill(net, "grey")
    maps = cams()
    found = LayerMaskROADCombined([25, 50])(images, maps, TARGETS, masking)
    expected = np.zeros(2)
    for percentile in (25, 50):
        best, worst = np.empty((2, *maps.shape), bool)
        for i, cam in enumerate(maps):
            best[i] = cam < np.percentile(cam, percentile)
            worst[i] = 1 - cam < np.percentile(1 - cam, percentile)
        expected += (probabilities(masking, images, worst) - probabilities(masking, images, best)) / 4
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_confidence_changes_by_what_is_kept(net, images):
    masked, maps = LayerMask(net), cams()
    expected = probabilities(masked, images, maps > 0.3) - net(images).softmax(1)[[0, 1], [1, 2]].detach().numpy()
    found = LayerMaskConfidenceChange(threshold=0.3)(images, maps, TARGETS, masked)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    drop = DropInConfidence()
    drop.perturbation = KeepRelevant(0.3)
    np.testing.assert_allclose(drop(images, maps, TARGETS, masked), np.maximum(-expected, 0), atol=1e-6)


def test_presence_is_appended(images):
    mask = torch.zeros(SIDE, SIDE)
    mask[0] = 255  # pytorch-grad-cam's "auto" percentile
    carried = append_presence(images[0], mask)
    assert torch.equal(carried[:3], images[0])
    assert torch.equal(carried[3], (mask > 0).float())


def test_heat_maps_are_shown_on_images():
    heatmap = np.linspace(-1, 3, SIDE * SIDE).reshape(SIDE, SIDE)
    cam = as_cam(heatmap)
    assert cam.dtype == np.float32
    assert (cam.min(), cam.max()) == (0, 1)
    np.testing.assert_allclose(cam, np.maximum(heatmap, 0) / 3, atol=1e-6)
    assert not as_cam(-np.ones((2, 3, 3))).any()
    shown = show_cam_on_image(np.full((SIDE, SIDE, 3), 0.5, np.float32), cam, use_rgb=True)
    assert shown[0, 0, 2] > shown[0, 0, 0]  # blue where nothing counts
    assert shown[-1, -1, 0] > shown[-1, -1, 2]


def test_bad_arguments_are_one_sentence(net, images):
    with pytest.raises(InputError, match=r"^expected a masking of the same model for masking, got LayerMask$"):
        LayerMaskScoreCAM(net, [net[1]], masking=LayerMask(nn.Sequential(net)))
    with pytest.raises(InputError, match=r"^expected a number from 0 to 1 for threshold, got 2$"):
        LayerMaskAblationCAM(net, [net[1]], threshold=2)
    for metric in (LayerMaskConfidenceChange(), LayerMaskROADCombined([50])):
        with pytest.raises(InputError, match=r"^expected a masking for model, got Sequential: pass LayerMask"):
            metric(images, cams(), TARGETS, net)
    assert ROADCombined().percentiles == list(LayerMaskROADCombined().percentiles)


def test_pixels_outside_the_crop_weigh_nothing():
    np.testing.assert_array_equal(as_cam([[np.nan, 1.0, -1.0], [np.nan, 2.0, 0.0]]), [[0, 0.5, 0], [0, 1, 0]])
