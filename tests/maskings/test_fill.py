"""Fills: what stands at absent pixels before the ordinary network runs."""

from __future__ import annotations

import re

import naive
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from xai_layermask.errors import InputError
from xai_layermask.images import Preprocess
from xai_layermask.maskings import COLOURS, Fill

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
NAMES = [*COLOURS, "mean", "blur", "neighbor", "road", "inpaint", (12.0, 200, 0.5)]


class Shows(nn.Module):
    """A network that answers with its image, and has a parameter so that it has a place and a type."""

    def __init__(self):
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, x):
        return x * self.one


def draw(seed=0, n=2, size=(9, 11), fraction=0.5):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, *size, generator=generator), torch.rand(n, 1, *size, generator=generator) < fraction


@pytest.mark.parametrize("colour", NAMES)
def test_present_pixels_stay_and_absent_ones_are_filled(colour):
    x, presence = draw()
    fill = Fill(Shows(), colour)
    seen = fill(x, presence)
    assert torch.equal(seen[presence.expand_as(x)], x[presence.expand_as(x)])
    assert torch.equal(fill(x), x)
    assert torch.equal(fill(x, torch.ones(1, 1, 1, 1)), x)
    assert torch.isfinite(fill(x, torch.zeros(1, 1, 1, 1))).all()
    assert not torch.equal(seen, x)
    torch.testing.assert_close(fill(x[:1], presence)[1:], fill(x[:1], presence[1:]))


@pytest.mark.parametrize("colour", [*COLOURS, (12.0, 200, 0.5)])
def test_colours_are_the_models_own(colour):
    x, presence = draw()
    rgb = torch.tensor(COLOURS[colour] if isinstance(colour, str) else colour)
    expected = torch.where(presence, x, ((rgb / 255 - MEAN) / STD).view(3, 1, 1))
    torch.testing.assert_close(Fill(Shows(), colour)(x, presence), expected)


def test_grey_is_the_mean_colour_of_imagenet():
    x, presence = draw()
    torch.testing.assert_close(Fill(Shows(), "grey")(x, presence), x * presence, atol=1e-6, rtol=0)


def test_colours_follow_the_preprocessing():
    x, presence = draw()
    caffe = Preprocess(mean=(104.0, 117.0, 123.0), std=(1.0, 1.0, 1.0), channels="BGR", scale=255.0)
    seen = Fill(Shows(), "red", caffe)(x, presence)
    expected = torch.tensor([-104.0, -117.0, 132.0]).view(3, 1, 1)
    torch.testing.assert_close(seen, torch.where(presence, x, expected))


def test_mean_colour_of_the_image():
    x, presence = draw()
    torch.testing.assert_close(
        Fill(Shows(), "mean")(x, presence), torch.where(presence, x, x.mean((2, 3), keepdim=True))
    )


def test_blur_is_a_gaussian_whose_weights_add_up_inside_the_image():
    x, presence = draw(size=(40, 50))
    seen = Fill(Shows(), "blur")(x, presence)
    for b, c in np.ndindex(2, 3):
        weights = gaussian_filter(np.ones((40, 50)), 10, mode="constant", truncate=3.0)
        expected = gaussian_filter(x[b, c].double().numpy(), 10, mode="constant", truncate=3.0) / weights
        absent = ~presence[b, 0].numpy()
        np.testing.assert_allclose(seen[b, c].detach().numpy()[absent], expected[absent], atol=1e-5)


def test_neighbor_fills_to_the_last_pixel():
    x, presence = draw(fraction=0.1)
    expected, _ = naive.neighbor_padding(x.double().numpy(), presence.numpy())
    np.testing.assert_allclose(Fill(Shows(), "neighbor")(x, presence).detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("colour", [*COLOURS, "neighbor", "road", "inpaint"])
@pytest.mark.parametrize("garbage", [1e30, float("nan"), float("inf")])
def test_absent_pixels_change_no_bit(colour, garbage):
    x, presence = draw()
    fill = Fill(Shows(), colour)
    assert torch.equal(fill(torch.where(presence, x, garbage), presence), fill(x, presence))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("colour", NAMES)
def test_types(dtype, colour):
    x, presence = draw()
    seen = Fill(Shows().to(dtype), colour)(x.to(dtype), presence)
    assert seen.dtype == dtype
    torch.testing.assert_close(seen.float(), Fill(Shows(), colour)(x, presence), atol=0.1, rtol=0.05)


def test_names():
    assert Fill(Shows(), "grey").name == "grey"
    assert Fill(Shows(), (255, 0, 12.5)).name == "(255,0,12.5)"


def test_gradients_reach_present_pixels():
    x, presence = draw()
    x.requires_grad_()
    Fill(Shows(), "neighbor")(x, presence).sum().backward()
    assert x.grad[~presence.expand_as(x)].eq(0).all()
    assert x.grad[presence.expand_as(x)].ge(1).all()


def test_a_model_in_training_is_asked_in_evaluation_mode():
    model = nn.Sequential(Shows(), nn.Dropout(0.9)).train()
    x, presence = draw()
    torch.testing.assert_close(Fill(model, "black")(x, presence), Fill(Shows(), "black")(x, presence))
    assert model[1].training


def test_an_unknown_colour():
    message = "expected one of black, grey, .* for colour, got 'gray': did you mean 'grey'"
    with pytest.raises(InputError, match=message):
        Fill(Shows(), "gray")


@pytest.mark.parametrize(
    "colour", [(1, 2), (1, 2, 3, 4), (0, 0, 256), (-1, 0, 0), (0, 0, float("nan")), 7, None, ("a", 0, 0)]
)
def test_colours_that_are_none(colour):
    message = f"expected a name or (r, g, b) from 0 to 255 for colour, got {colour!r}"
    with pytest.raises(InputError, match=re.escape(message)):
        Fill(Shows(), colour)


def test_a_colour_has_three_channels():
    x, presence = torch.rand(2, 1, 4, 4), torch.eye(4)
    with pytest.raises(InputError, match=re.escape("expected a tensor (N, 3, H, W) for image, got")):
        Fill(Shows(), "grey")(x, presence)
    assert Fill(Shows(), "mean")(x, presence).shape[1] == 1


@pytest.mark.parametrize("colour", ["mean", "blur"])
def test_a_fill_made_of_absent_pixels_needs_them(colour):
    x, presence = draw()
    x = torch.where(presence, x, float("nan"))
    with pytest.raises(InputError, match="expected a finite image, since this fill is computed from absent pixels too"):
        Fill(Shows(), colour)(x, presence)


def test_a_blur_of_large_numbers_fits_into_half_precision():
    image = (torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255).half()
    presence = torch.zeros(1, 1, 64, 64, dtype=torch.bool)
    presence[..., :32] = True
    fill = Fill(nn.Identity(), "blur")
    exact = fill.picture(image.float(), presence)
    torch.testing.assert_close(fill.picture(image, presence).float(), exact, atol=1, rtol=0)


def test_any_callable_is_a_preprocessing():
    def halves(picture):
        return torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1) / 127.5 - 1

    image, presence = torch.rand(1, 3, 8, 8), torch.zeros(1, 1, 8, 8)
    expected = Fill(nn.Identity(), "red", Preprocess(mean=0.5 * np.ones(3), std=0.5 * np.ones(3)))(image, presence)
    torch.testing.assert_close(Fill(nn.Identity(), "red", halves)(image, presence), expected, atol=1e-5, rtol=0)
