"""Presence: what is taken, what is refused, and the carrier."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from xai_layermask.errors import InputError
from xai_layermask.maskings import as_image, as_presence, split_presence, with_presence

IMAGE = torch.zeros(2, 3, 4, 5)


@pytest.mark.parametrize(
    "shape", [(), (5,), (4, 1), (4, 5), (1, 4, 5), (2, 4, 5), (1, 1, 4, 5), (2, 1, 4, 5), (2, 1, 1, 1)]
)
@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float32, torch.bfloat16])
def test_whatever_broadcasts_is_presence(shape, dtype):
    mask = as_presence(torch.ones(shape, dtype=dtype), IMAGE)
    assert mask.shape == (2, 1, 4, 5)
    assert mask.dtype == torch.bool
    assert mask.all()


def test_values_keep_their_places():
    given = torch.rand(2, 4, 5) > 0.5
    assert torch.equal(as_presence(given, IMAGE), given[:, None])
    assert torch.equal(as_presence(given[0].double(), IMAGE), given[:1, None].expand(2, 1, 4, 5))


def test_one_image_takes_any_number_of_presences():
    assert as_presence(torch.ones(7, 1, 4, 5), IMAGE[:1]).shape == (7, 1, 4, 5)
    assert as_presence(torch.ones(3, 4, 5), IMAGE[:1]).shape == (3, 1, 4, 5)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (3, 4, 5), (2, 3, 4, 5), (2, 2, 4, 5), (1, 1, 1, 4, 5), (0, 1, 4, 5)])
def test_presence_of_the_wrong_shape(shape):
    message = f"expected a tensor broadcastable to (2, 1, 4, 5) for presence, got {shape}: give one value per pixel"
    with pytest.raises(InputError, match=re.escape(message)):
        as_presence(torch.ones(shape), IMAGE)


def test_an_empty_batch_of_presences():
    with pytest.raises(InputError, match=r"expected a tensor broadcastable .* for presence, got \(0, 1, 4, 5\)"):
        as_presence(torch.ones(0, 1, 4, 5), IMAGE[:1])


@pytest.mark.parametrize("value", [0.5, 2.0, -1.0, float("nan"), float("inf")])
def test_presence_that_is_not_binary(value):
    mask = torch.ones(4, 5)
    mask[2, 3] = value
    with pytest.raises(InputError, match=f"expected only 0 and 1 in presence, got {value}: threshold it"):
        as_presence(mask, IMAGE)


@pytest.mark.parametrize("value", [np.ones((4, 5)), [[1]], None, 1])
def test_presence_that_is_no_tensor(value):
    name = type(value).__name__
    with pytest.raises(InputError, match=f"expected a tensor .* for presence, got {name}: convert it with torch"):
        as_presence(value, IMAGE)


def test_image_without_a_batch():
    message = "expected a tensor (N, C, H, W) for image, got (3, 4, 5): add a batch dimension with image[None]"
    with pytest.raises(InputError, match=re.escape(message)):
        as_image(torch.zeros(3, 4, 5))


@pytest.mark.parametrize("shape", [(4, 5), (0, 3, 4, 5), (1, 3, 0, 5), (1, 1, 3, 4, 5)])
def test_image_of_the_wrong_shape(shape):
    with pytest.raises(InputError, match=re.escape(f"expected a tensor (N, C, H, W) for image, got {shape}")):
        as_image(torch.zeros(shape))


def test_a_scalar_image():
    with pytest.raises(InputError, match=r"for image, got \(\)$"):
        as_image(torch.tensor(1.0))


def test_image_that_is_no_tensor():
    with pytest.raises(InputError, match=r"expected a tensor \(N, C, H, W\) for image, got ndarray: convert a picture"):
        as_image(np.zeros((1, 3, 4, 5)))


def test_image_of_whole_numbers():
    with pytest.raises(InputError, match=r"a floating-point image, got torch.uint8: normalise it with Preprocess"):
        as_image(torch.zeros(1, 3, 4, 5, dtype=torch.uint8))


def test_image_with_the_wrong_number_of_channels():
    with pytest.raises(InputError, match=re.escape("expected a tensor (N, 4, H, W) for image, got (1, 3, 4, 5)")):
        as_image(torch.zeros(1, 3, 4, 5), channels=4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_carrier_carries(dtype):
    image, presence = torch.randn(2, 3, 4, 5, dtype=dtype), torch.rand(2, 1, 4, 5) > 0.5
    carrier = with_presence(image, presence)
    assert carrier.shape == (2, 4, 4, 5)
    assert carrier.dtype == dtype
    found, mask = split_presence(carrier)
    assert torch.equal(found, image)
    assert torch.equal(mask, presence)


def test_the_carrier_repeats_one_image():
    assert with_presence(IMAGE[:1], torch.ones(3, 1, 4, 5)).shape == (3, 4, 4, 5)
    assert with_presence(IMAGE)[:, 3].eq(1).all()


def test_a_carrier_without_presence():
    with pytest.raises(InputError, match=re.escape("expected a tensor (N, 4, H, W) for image, got (2, 3, 4, 5)")):
        split_presence(IMAGE)
    with pytest.raises(InputError, match=r"expected only 0 and 1 in presence, the last of 4 channels, got 0.25"):
        split_presence(torch.full((1, 4, 2, 2), 0.25))
