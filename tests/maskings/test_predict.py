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
from xai_layermask.models import Output


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


PICTURES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
HALF = np.arange(8)[:, None] < 4 + np.zeros(8)


def ending_in(*last, outputs=4):
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, outputs, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), *last).eval()


def logits(model, masked=True):
    """Of a model's first three layers."""
    image = torch.cat([Preprocess().normalize(picture) for picture in PICTURES])
    with torch.no_grad():
        return LayerMask(model[:3])(image, torch.from_numpy(HALF)[None, None] if masked else None)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ((), lambda x: x.softmax(1)),
        ((nn.Softmax(1),), lambda x: x.softmax(1)),
        ((nn.Sigmoid(),), torch.sigmoid),
        ((nn.LogSoftmax(1),), lambda x: x.softmax(1)),
    ],
)
def test_probabilities_are_taken_as_they_are(last, expected, masked):
    model = ending_in(*last)
    found = LayerMask(model).predict_proba(PICTURES, HALF if masked else None)
    np.testing.assert_allclose(found, expected(logits(model, masked)), atol=1e-6)


def test_one_logit_has_two_columns_and_a_value_has_one():
    model = ending_in(outputs=1)
    p = torch.sigmoid(logits(model))
    np.testing.assert_allclose(LayerMask(model).predict_proba(PICTURES, HALF), torch.cat([1 - p, p], 1), atol=1e-6)
    squeezed = ending_in(nn.Flatten(0), outputs=1)
    np.testing.assert_allclose(LayerMask(squeezed).predict_proba(PICTURES, HALF), torch.cat([1 - p, p], 1), atol=1e-6)
    values = LayerMask(model).predict_proba(PICTURES, HALF, output="value")
    np.testing.assert_allclose(values, logits(model), atol=1e-6)


class Two(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return {"a": -self.model(x), "b": self.model(x)}


def test_a_part_of_the_answer_is_selected():
    model = ending_in()
    output = Output("logit", select="b")
    found = LayerMask(Two(model)).predict_proba(PICTURES, HALF, output=output)
    np.testing.assert_allclose(found, logits(model), atol=1e-6)
    with pytest.raises(InputError, match="choose select of Output"):
        LayerMask(Two(model)).predict_proba(PICTURES)


def test_a_model_that_gives_no_row_of_numbers():
    message = "expected an output (N, K) of the model, got (3, 4, 6, 6): pass output=Output(select=...)"
    with pytest.raises(InputError, match=re.escape(message)):
        LayerMask(nn.Conv2d(3, 4, 3)).predict_proba(PICTURES)
    mean = Output("logit", select=lambda maps: maps.mean((2, 3)))
    assert LayerMask(nn.Conv2d(3, 4, 3)).predict_proba(PICTURES, output=mean).shape == (3, 4)


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


class Shifted(nn.Module):
    """One number, far from 0 for bright pictures."""

    def forward(self, image):
        return 30 * image.mean((1, 2, 3))[:, None]


def test_the_first_batch_decides_what_a_single_number_is():
    """A perturbation method asks batch by batch: a later one must neither be refused nor mean something else."""
    dark, bright = np.full((1, 8, 8, 3), 120, np.uint8), np.full((1, 8, 8, 3), 255, np.uint8)
    masked = LayerMask(Shifted())
    assert 0.01 < masked.predict_proba(dark)[0, 1] < 0.99
    assert masked.predict_proba(bright)[0, 1] > 0.999
    with pytest.raises(InputError, match=r"^expected output='value' or output='sigmoid' for a model with one output"):
        LayerMask(Shifted()).predict_proba(bright)
    assert LayerMask(Shifted()).predict_proba(bright, output="value")[0, 0] > 50


def test_a_callable_prepares_pictures():
    picture = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), np.uint8)
    plain, masked = Preprocess(16, 16, (0, 0, 0), (1, 1, 1)), LayerMask(net())
    found = masked.predict_proba(picture, preprocess=lambda image: plain(image).tensor[0])
    np.testing.assert_allclose(found, masked.predict_proba(picture, preprocess=plain), atol=1e-5)


@pytest.mark.parametrize("batch", [lambda one: one[None], lambda one: [one]])
def test_masked_elements_are_not_shown(batch):
    picture = np.ma.masked_greater(np.arange(192, dtype=np.uint8).reshape(8, 8, 3), 100)
    with pytest.raises(InputError, match="expected an array without masked elements for images, got 91 masked ones"):
        LayerMask(net()).predict_proba(batch(picture))
