"""Pictures and masks are cut at the same place."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from xai_layermask.errors import InputError
from xai_layermask.images import Preprocess, framed, resized


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(40, 60), (75, 50), (20, 20)])
@pytest.mark.parametrize("resize", [32, (36, 30), None])
def test_a_mask_is_cut_as_its_picture_is(size, resize, interpolation):
    mask = np.zeros(size)
    mask[size[0] // 3 :, : size[1] // 2] = 1
    picture = np.repeat((mask * 255).astype(np.uint8)[..., None], 3, axis=2)
    preprocess = Preprocess(resize, 24, interpolation=interpolation)
    seen = preprocess(picture).picture[..., 0] / 255
    found = preprocess.mask(mask)
    assert found.dtype == np.float64 and found.shape == (24, 24)
    assert found.min() >= 0 and found.max() <= 1
    np.testing.assert_allclose(found, seen, atol=0.1)  # the picture is rounded to 8 bits, and clipped half-way
    assert 0 < found.mean() < 1


def test_a_mask_may_be_bool():
    mask = np.eye(8, dtype=bool)
    assert np.array_equal(Preprocess(None, None).mask(mask), mask.astype(float))


@pytest.mark.parametrize(
    ("mask", "got"), [(np.zeros((2, 2, 3)), r"shape \(2, 2, 3\)"), (np.full((2, 2), 254), "other numbers"),
                       (np.full((2, 2), np.nan), "other numbers"), (np.zeros((0, 2)), r"shape \(0, 2\)")]
)  # fmt: skip
def test_what_is_no_mask_is_refused(mask, got):
    with pytest.raises(InputError, match=rf"expected numbers from 0 to 1 of shape \(H, W\) for mask, got {got}"):
        Preprocess().mask(mask)


def test_sizes_by_hand():
    assert resized(300, 400, 256, 224) == (256, 341)
    assert resized(400, 300, 256, 224) == (341, 256)
    assert resized(10, 40, None, 20) == (20, 80)
    assert resized(10, 40, (7, 9), None) == (7, 9)


def test_the_centre_stays():
    image = Image.fromarray(np.arange(36, dtype=np.uint8).reshape(6, 6))
    assert np.array_equal(np.array(framed(image, None, (2, 4), "nearest")), [[13, 14, 15, 16], [19, 20, 21, 22]])


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("size", [(3000, 2), (2, 3000), (60, 900)])
def test_the_box_of_the_crop_is_resized_as_the_whole_would_be(monkeypatch, size, interpolation):
    values = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    whole = np.array(framed(Image.fromarray(values), 40, 32, interpolation)).astype(int)
    monkeypatch.setattr("xai_layermask.images.resize._MUCH", 0)
    box = np.array(framed(Image.fromarray(values), 40, 32, interpolation)).astype(int)
    assert box.shape == whole.shape == (32, 32, 3)
    different = np.abs(box - whole) > 8  # levels; Pillow keeps boxes in single precision
    assert different.mean() <= (0.05 if interpolation == "nearest" else 0)


def test_of_a_long_thin_picture_only_the_crop_is_resized(monkeypatch):
    picture = Image.new("RGB", (20000, 1), "red")
    made = []
    resize = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda *args: made.append(resize(*args)) or made[-1])
    assert framed(picture, 256, 224, "bilinear").getpixel((0, 0)) == (255, 0, 0)
    assert [one.size for one in made] == [(224, 224)]
    with pytest.raises(InputError, match=r"at most 67108864 pixels after resizing, got 5120000 x 256: crop the pict"):
        framed(picture, 256, None, "bilinear")
