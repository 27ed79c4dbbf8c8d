"""Which channels count: whole channels by Shapley values, and segments that are removed in some channels only."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from xai_layermask import LayerMask, LayerMaskExplainer, Preprocess
from xai_layermask.captum import LayerMaskKernelShap, LayerMaskLime
from xai_layermask.errors import InputError

BANDS, SIDE = 4, 16
PREPROCESS = Preprocess(None, None, mean=(0.2, 0.4, 0.6, 0.8), std=0.5, channels=BANDS)


def raster(seed=0):
    return np.random.default_rng(seed).random((SIDE, SIDE, BANDS)).astype(np.float32) + 1


def linear():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(BANDS, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def explainer(model, **options):
    settings = {"preprocess": PREPROCESS, "output": "value", "progress": False, "segments": "patches:8", **options}
    return LayerMaskExplainer(model, **settings)


def test_channels_get_their_exact_shapley_values():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(BANDS, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    found = explainer(model).explain_channels(raster(), targets=[2, 0])
    assert found.names == ("0", "1", "2", "3")
    assert found.targets == (2, 0)
    image, masked = PREPROCESS(raster()).tensor, LayerMask(model)
    values = {}
    for kept in itertools.product((False, True), repeat=BANDS):
        presence = torch.tensor(kept)[None, :, None, None].expand(1, -1, SIDE, SIDE)
        with torch.no_grad():
            values[kept] = masked(image, presence)[0, [2, 0]].numpy()
    for band in range(BANDS):
        shapley = 0.0
        for kept, value in values.items():
            if not kept[band]:
                size = sum(kept)
                weight = math.factorial(size) * math.factorial(BANDS - size - 1) / math.factorial(BANDS)
                more = tuple(one or other == band for other, one in enumerate(kept))
                shapley = shapley + weight * (values[more] - value)
        np.testing.assert_allclose(found.scores[:, band], shapley, atol=1e-6)
    assert (found.standard_errors == 0).all()
    np.testing.assert_allclose(found.scores.sum(axis=1), values[(True,) * 4] - values[(False,) * 4], atol=1e-6)
    np.testing.assert_allclose(found.predictions, values[(True,) * 4], atol=1e-6)


def test_groups_and_many_channels():
    image, model = PREPROCESS(raster()).tensor, linear()
    parts = (model[0].weight[1, :, 0, 0] * image.mean((0, 2, 3))).detach().numpy()
    found = explainer(model).explain_channels(raster(), {"a": [3, 0], "b": [1], "c": [2]}, 1)
    np.testing.assert_allclose(found.scores[0], [parts[3] + parts[0], parts[1], parts[2]], atol=1e-6)
    assert str(found).splitlines()[0] == "| channels | 1 |"
    assert len(str(found).splitlines()) == 5
    sampled = explainer(model, n_samples=10).explain_channels(raster(), targets=1)  # of 16 coalitions
    np.testing.assert_allclose(sampled.scores[0], parts, atol=1e-6)  # linear: any samples tell
    with pytest.raises(InputError, match=r"^expected at least two groups with each of the channels 0 to 3 in one of"):
        explainer(model).explain_channels(raster(), {"a": [0, 1], "b": [1, 2]})
    picture = np.full((SIDE, SIDE, 3), 200, np.uint8)
    colours = LayerMaskExplainer(nn.Sequential(nn.Conv2d(3, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
                                 preprocess=Preprocess(16, 16), progress=False)  # fmt: skip
    assert colours.explain_channels(picture).names == ("R", "G", "B")


def test_segments_are_removed_in_the_channels_that_were_named():
    model, image = linear(), PREPROCESS(raster()).tensor[0]
    options = {"masking": lambda one: LayerMask(one, padding="zero"), "method": "shap", "n_samples": 16}
    found = explainer(model, **options).explain(raster(), 0, channels=[2, 1])
    assert found.settings.note.endswith("segments removed in channels 2, 1")
    # Pixels stay present as long as a channel is, so that the network is linear in what is removed.
    for segment in range(4):
        part = torch.from_numpy(found.segments == segment)
        contribution = (model[0].weight[0, [1, 2], 0, 0, None] * image[[1, 2]][:, part]).sum() / SIDE**2
        assert abs(found.scores[0, segment] - float(contribution.detach())) < 1e-6
    with pytest.raises(InputError, match=r"^expected different integers from 0 to 3 for channels, got \[4\]$"):
        explainer(model).explain(raster(), 0, channels=[4])
    with pytest.raises(InputError, match=r"^expected the same presence for all channels in masking 'partial'"):
        explainer(model, masking="partial").explain(raster(), 0, channels=[1])


def test_pixels_without_data_stay_absent_in_all_channels():
    model, holed = linear(), raster()
    holed[:4] = np.nan
    options = {"method": "shap", "n_samples": 16}
    found = explainer(model, **options).explain(holed, 0, channels=[0])
    again = explainer(model, **options).explain(np.where(np.isnan(holed), np.nan, holed), 0, channels=[0])
    assert np.array_equal(found.scores, again.scores)
    assert not found.played[-1]
    assert found.scores[0, -1] == 0


@pytest.mark.parametrize("kind", [LayerMaskLime, LayerMaskKernelShap])
def test_captum_adapters_take_a_feature_mask_by_channel(kind):
    model, image = linear(), PREPROCESS(raster()).tensor
    whole = torch.ones(1, 1, SIDE, SIDE)  # without it, the last of four channels would be the presence
    bands = torch.arange(BANDS).view(1, BANDS, 1, 1).expand(1, BANDS, SIDE, SIDE)
    scores = kind(model).attribute(image, target=1, feature_mask=bands, n_samples=64, presence=whole)
    assert scores.shape == image.shape
    parts = (model[0].weight[1, :, 0, 0] * image.mean((0, 2, 3))).detach()
    found = scores[0, :, 0, 0]
    if kind is LayerMaskKernelShap:
        torch.testing.assert_close(found, parts, atol=1e-5, rtol=1e-4)
    else:
        assert torch.corrcoef(torch.stack([found, parts]))[0, 1] > 0.99
    options = {"n_samples": 64, "return_input_shape": False, "presence": whole}
    flat = kind(model).attribute(image, target=1, feature_mask=bands, **options)
    assert torch.equal(flat[0], found)
    function = lambda carrier: carrier.mean((2, 3))  # noqa: E731
    with pytest.raises(InputError, match=r"^expected a network or a masking for a feature_mask by channel, got a func"):
        kind(function).attribute(image, target=1, feature_mask=bands, presence=whole)
