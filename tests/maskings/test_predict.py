"""Probabilities of pictures."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from little_net import net
from torch import nn

from xai_layermask import Fill, LayerMask, Preprocess
from xai_layermask.errors import InputError
from xai_layermask.maskings import Masking, as_pictures


def test_probabilities_of_pictures():
    masked = LayerMask(net())
    pictures = np.random.default_rng(0).integers(0, 256, (2, 12, 17, 4), dtype=np.uint8)
    alpha = pictures[..., 3] = (pictures[..., 3] > 100) * 255
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    image = torch.from_numpy(((pictures[..., :3] / 255 - mean) / std).transpose(0, 3, 1, 2)).float()
    expected = masked(image, torch.from_numpy(alpha > 0)).softmax(1).detach().numpy()
    np.testing.assert_allclose(masked.predict_proba(pictures), expected, atol=1e-5)
    np.testing.assert_allclose(masked.predict_proba(torch.from_numpy(pictures)), expected, atol=1e-5)
    rounded = torch.from_numpy(pictures / 255).bfloat16()
    np.testing.assert_array_equal(masked.predict_proba(rounded), masked.predict_proba(rounded.float()))
    np.testing.assert_allclose(masked.predict_proba(pictures[..., :3], presence=alpha > 0), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((8, 8, 3), np.uint8), "expected pictures (N, H, W, 3) or (N, H, W, 4) for images, got uint8"),
        (np.full((1, 8, 8, 3), 2.0), "expected uint8 or floats from 0 to 1 for images, got values from 2 to 2"),
        (np.zeros((1, 8, 8, 3), np.int64), "expected uint8 or floats from 0 to 1 for images, got int64"),
    ],
)
def test_pictures_that_are_none(images, message):
    with pytest.raises(InputError, match=re.escape(message)):
        as_pictures(images)


def test_a_model_that_gives_no_logits():
    pictures = np.zeros((1, 8, 8, 3), np.uint8)
    message = "expected logits (N, K) with K >= 2 from the model, got {}"
    with pytest.raises(InputError, match=re.escape(message.format("(1, 4, 6, 6)"))):
        LayerMask(nn.Conv2d(3, 4, 3)).predict_proba(pictures)
    one = nn.Sequential(nn.Conv2d(3, 1, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(InputError, match=re.escape(message.format("(1, 1)"))):
        LayerMask(one).predict_proba(pictures)


class Counted(Masking):
    """Answers with the mean colour, and runs out of memory for more than some images."""

    def __init__(self, most):
        super().__init__(nn.Identity(), "counted")
        self.most, self.batches = most, []

    def _masked(self, image, presence):
        count = max(len(image), 0 if presence is None else len(presence))
        if count > self.most:
            raise MemoryError
        self.batches.append(count)
        shown = image if presence is None else torch.where(presence, image, 0.0)
        return shown.mean((2, 3))


def test_pictures_that_do_not_fit_into_memory_come_in_smaller_batches():
    pictures = np.random.default_rng(0).integers(0, 256, (7, 4, 4, 4), dtype=np.uint8)
    expected = Counted(7).predict_proba(pictures)
    limited = Counted(3)
    np.testing.assert_array_equal(limited.predict_proba(pictures), expected)
    assert limited.batches == [3, 3, 1]
    shown = np.random.default_rng(1).random((7, 1, 4, 4)) < 0.5
    limited = Counted(2)
    one = pictures[:1, ..., :3]
    np.testing.assert_array_equal(limited.predict_proba(one, shown), Counted(7).predict_proba(one, shown))
    assert limited.batches == [1] * 7


def test_a_picture_that_is_all_present_is_predicted_once():
    counted = Counted(9)
    found = counted.predict_proba(np.full((1, 4, 4, 3), 0.2), np.ones((5, 1, 4, 4)))
    assert counted.batches == [1]
    assert found.shape == (5, 3)


def test_the_preprocessing_is_the_maskings_own():
    pictures = np.random.default_rng(0).integers(0, 256, (2, 12, 17, 3), dtype=np.uint8)
    half = Preprocess(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    model = net()
    own = Fill(model, "grey", half).predict_proba(pictures)
    np.testing.assert_array_equal(own, LayerMask(model).predict_proba(pictures, preprocess=half))
    assert not np.array_equal(own, LayerMask(model).predict_proba(pictures))
