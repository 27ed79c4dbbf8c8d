"""Outside references, against dense linear systems and their own invariants."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from skimage.restoration import inpaint_biharmonic

from xai_layermask.errors import InputError
from xai_layermask.maskings import inpaint, road


def draw(seed=0, n=2, c=3, size=(6, 7), fraction=0.5):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, c, *size, generator=generator, dtype=torch.float64)
    return x, torch.rand(n, 1, *size, generator=generator) < fraction


def solved(picture, present):
    """Every absent pixel is the weighted mean of its eight neighbours: one dense system."""
    h, w = present.shape
    system, right = np.eye(h * w), picture.reshape(-1).copy()
    for i, j in itertools.product(range(h), range(w)):
        if present[i, j]:
            continue
        near = {
            (i + a) * w + j + b: 1 / 12 if a and b else 1 / 6
            for a, b in itertools.product((-1, 0, 1), repeat=2)
            if (a or b) and 0 <= i + a < h and 0 <= j + b < w
        }
        right[i * w + j] = 0
        for place, weight in near.items():
            system[i * w + j, place] -= weight / sum(near.values())
    return np.linalg.solve(system, right).reshape(h, w)


@pytest.mark.parametrize("fraction", [0.05, 0.5, 0.95])
def test_road_solves_the_linear_system(fraction):
    x, presence = draw(fraction=fraction)
    presence[:, :, 2, 3] = True
    found = road(x, presence, noise=0.0)
    for b, c in np.ndindex(2, 3):
        expected = solved(torch.where(presence, x, 0.0)[b, c].numpy(), presence[b, 0].numpy())
        np.testing.assert_allclose(found[b, c].numpy(), expected, atol=1e-9)


def test_road_noise_has_its_size_and_its_seed():
    x, presence = draw(size=(40, 40), fraction=0.3)
    still, noisy = road(x, presence, noise=0.0), road(x, presence, noise=0.5)
    change = (noisy - still)[~presence.expand_as(x)]
    assert abs(change.std().item() - 0.5) < 0.03
    assert torch.equal(noisy, road(x, presence, noise=0.5))
    assert not torch.equal(noisy, road(x, presence, noise=0.5, seed=1))
    assert torch.equal(noisy[presence.expand_as(x)], x[presence.expand_as(x)])


def test_road_leaves_the_global_random_state_alone():
    x, presence = draw()
    before = torch.get_rng_state()
    road(x, presence)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("impute", [road, inpaint])
def test_imputers_refuse_an_image_that_needs_a_gradient(impute):
    image, presence = torch.rand(1, 3, 6, 6, requires_grad=True), torch.rand(1, 1, 6, 6) > 0.5
    with pytest.raises(InputError, match="an image that needs no gradient, which this fill does not have"):
        impute(image, presence)
    with torch.no_grad():
        assert impute(image, presence).isfinite().all()


def test_inpainting_is_scikit_images():
    x, presence = draw(n=1, fraction=0.7)
    found = inpaint(x, presence)
    picture = torch.where(presence, x, 0.0)[0].numpy()
    expected = inpaint_biharmonic(picture, ~presence[0, 0].numpy(), split_into_regions=True, channel_axis=0)
    np.testing.assert_allclose(found[0].numpy(), np.where(presence[0], x[0], expected), atol=1e-9)


@pytest.mark.parametrize("impute", [road, inpaint])
@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
def test_absent_pixels_are_never_read(impute, garbage):
    x, presence = draw()
    presence[1] = False
    found, expected = (impute(torch.where(presence, x, number), presence) for number in (garbage, 0.0))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("impute", [lambda x, p: road(x, p, noise=0.0), inpaint])
def test_everything_and_nothing_present(impute):
    x, presence = draw()
    assert torch.equal(impute(x, torch.ones_like(presence)), x)
    assert impute(x, torch.zeros_like(presence)).eq(0).all()


@pytest.mark.parametrize("impute", [road, inpaint])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_types(impute, dtype):
    x, presence = draw()
    found = impute(x.to(dtype), presence)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), impute(x, presence), atol=0.05, rtol=0.05)
