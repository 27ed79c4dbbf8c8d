"""Presence of single channels: each is filled from its own present pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation
from torch import nn

from xai_layermask import Fill, LayerMask, Preprocess
from xai_layermask.errors import InputError
from xai_layermask.maskings import make

BANDS, SIDE = 5, 12


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(BANDS, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 4, 3), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
    ).eval()  # fmt: skip


def draw(seed=0, count=3, share=0.6):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(1, BANDS, SIDE, SIDE, generator=generator)
    return image, torch.rand(count, BANDS, SIDE, SIDE, generator=generator) < share


def filled_by_loops(image, presence):
    """Neighbour padding of each channel by itself, ring by ring; 0 where a channel is absent everywhere."""
    values, known = np.where(presence, image, 0.0), presence.copy()
    while known.any() and not known.all():
        before, shown = values.copy(), known.copy()
        for y, x in np.argwhere(~shown):
            rows, columns = slice(max(y - 1, 0), y + 2), slice(max(x - 1, 0), x + 2)
            if shown[rows, columns].any():
                values[y, x] = before[rows, columns][shown[rows, columns]].mean()
                known[y, x] = True
    return values


def all_filled(image, presence):
    bands = image[0].numpy()
    rows = [[filled_by_loops(*pair) for pair in zip(bands, one, strict=True)] for one in presence.numpy()]
    return torch.from_numpy(np.array(rows)).float()


MASKINGS = ("layer", "layer-zero", "mean", "blur", "neighbor", "inpaint", "black", "layer-until:3")
GREY = Preprocess(None, None, mean=0.4, std=0.2, channels=BANDS, window=(0.5, 1.0))


@pytest.mark.parametrize("name", MASKINGS)
def test_the_same_presence_in_all_channels_is_one_presence(name):
    image, presence = draw()
    masking = make(name, network(), GREY)
    together = presence[:, :1]
    assert torch.equal(masking(image, together.expand_as(presence)), masking(image, together))
    whole = torch.ones_like(presence)
    torch.testing.assert_close(masking(image, whole), masking(image).expand(3, -1))


@pytest.mark.parametrize("name", ["layer", "layer-zero", "neighbor", "inpaint", "road", "black"])
def test_absent_channels_are_never_read(name):
    image, presence = draw()
    masking = make(name, network(), GREY)
    answer = masking(image, presence)
    for value in (1e6, float("nan"), float("inf")):
        assert torch.equal(masking(torch.where(presence, image, value), presence), answer)
    assert torch.isfinite(masking(image, torch.zeros_like(presence))).all()


def test_layer_masking_fills_channels_as_loops_do():
    image, presence = draw()
    presence[0, 1] = False  # absent everywhere: 0, the mean after normalisation
    presence[1, :, :4, :5] = False  # absent in all channels: masked as ever
    expected = all_filled(image, presence)
    masked = LayerMask(network())
    wanted = masked(expected, presence.any(dim=1, keepdim=True))
    torch.testing.assert_close(masked(image, presence), wanted)
    assert (masked(image, presence) - masked(image)).abs().max() > 1e-3
    zero = LayerMask(network(), padding="zero")
    wanted = zero(torch.where(presence, image, 0.0), presence.any(dim=1, keepdim=True))
    torch.testing.assert_close(zero(image, presence), wanted)


def test_a_fill_paints_each_channel():
    image, presence = draw()
    model = network()
    means = image.mean((2, 3), keepdim=True)
    torch.testing.assert_close(Fill(model, "mean", GREY)(image, presence), model(torch.where(presence, image, means)))
    black = torch.full_like(image, (0.0 - 0.4) / 0.2)
    torch.testing.assert_close(Fill(model, "black", GREY)(image, presence), model(torch.where(presence, image, black)))
    seen = Fill(model, "neighbor", GREY)(image, presence)
    wanted = all_filled(image, presence)
    torch.testing.assert_close(seen, model(wanted))


def test_what_cannot_remove_single_channels_says_so():
    image, presence = draw()
    message = "^expected the same presence for all channels in masking 'partial', got one of each channel: use layer"
    with pytest.raises(InputError, match=message):
        LayerMask(network(), padding="partial")(image, presence)
    with pytest.raises(InputError, match=r"one value per pixel, or one for each of the 5 channels$"):
        LayerMask(network())(image, presence[:, :2])


def test_captum_gives_attributions_by_channel():
    """Of a network that is linear in its bands, each band's attribution is its own part."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(BANDS, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    image = torch.randn(1, BANDS, SIDE, SIDE)
    bound = LayerMask(model).bind(image)
    bands = torch.arange(BANDS).view(1, BANDS, 1, 1).expand(1, BANDS, SIDE, SIDE)
    parts = (model[0].weight[1, :, 0, 0] * image.mean((0, 2, 3))).detach()
    parts = parts.view(1, BANDS, 1, 1).expand_as(image)
    ones = torch.ones(1, BANDS, SIDE, SIDE)
    with torch.no_grad():
        found = FeatureAblation(bound).attribute(ones, target=1, feature_mask=bands)
    torch.testing.assert_close(found, parts)
