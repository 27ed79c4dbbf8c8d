from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from xai_layermask.errors import InputError
from xai_layermask.images import Preprocess, sample_photograph

CAFFE = Preprocess(256, 227, (104, 117, 123), (1, 1, 1), channels="BGR", scale=255)


def noise(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def torchvision_classifiers():
    models = pytest.importorskip("torchvision.models")
    found = {}
    for name in models.list_models(module=models):
        for weights in models.get_model_weights(name):
            found.setdefault(repr(weights.transforms()), weights)
    return list(found.values())


def test_every_preprocessing_of_torchvision_is_equal_to_the_last_bit():
    photograph = sample_photograph()[::2, ::2].copy()
    chosen = [weights for weights in torchvision_classifiers() if weights.transforms().crop_size[0] < 400]
    assert len(chosen) > 15
    for weights in chosen:
        tensor, picture = Preprocess.from_torchvision(weights)(photograph)
        assert torch.equal(tensor[0], weights.transforms()(Image.fromarray(photograph))), weights
        assert picture.shape == (*tensor.shape[2:], 3)


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    crop=st.integers(1, 40),
    more=st.integers(0, 20),
    interpolation=st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]),
)
def test_sizes_of_all_kinds_equal_torchvision(height, width, crop, more, interpolation):
    transforms = pytest.importorskip("torchvision.transforms")
    if max(height, width) > 30 * min(height, width):
        return  # a strip of a thousand pixels
    picture = noise(height, width)
    reference = transforms.Compose([
        transforms.Resize(crop + more, transforms.InterpolationMode(interpolation)),
        transforms.CenterCrop(crop),
        transforms.ToTensor(),
        transforms.Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)),
    ])
    ours = Preprocess(crop + more, crop, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), interpolation=interpolation)
    assert torch.equal(ours(picture).tensor[0], reference(Image.fromarray(picture)))


@pytest.mark.parametrize("crop_mode", ["center", "squash"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic", "nearest", "lanczos"])
@pytest.mark.parametrize(("side", "crop_pct"), [(224, 0.875), (96, 0.9), (240, 1.0)])
def test_timm_is_equal_to_the_last_bit(crop_mode, interpolation, side, crop_pct):
    data = pytest.importorskip("timm.data")
    config = {
        "input_size": (3, side, side), "crop_pct": crop_pct, "interpolation": interpolation,
        "mean": (0.5, 0.45, 0.4), "std": (0.2, 0.25, 0.3), "crop_mode": crop_mode,
    }
    photograph = sample_photograph()
    reference = data.create_transform(**config)(Image.fromarray(photograph))
    assert torch.equal(Preprocess.from_timm(config)(photograph).tensor[0], reference)


def test_caffe_by_hand():
    picture = noise(227, 227)
    tensor, kept = CAFFE(picture)
    expected = np.empty((3, 227, 227))
    for channel, (source, mean) in enumerate([(2, 104), (1, 117), (0, 123)]):
        expected[channel] = picture[:, :, source].astype(float) - mean
    assert kept.shape == (227, 227, 3)
    same = dataclasses.replace(CAFFE, resize=None)(picture).tensor[0]
    assert np.allclose(same, expected, atol=1e-4)
    assert torch.equal(CAFFE.normalize(kept), tensor)


def test_the_picture_that_is_kept_is_the_crop():
    picture = noise(10, 14)
    kept = Preprocess(None, (4, 6))(picture).picture
    assert np.array_equal(kept, picture[3:7, 4:10])
    assert np.array_equal(Preprocess(None, None)(picture).picture, picture)
    assert np.array_equal(Preprocess(5, None)(picture).picture.shape, (5, 7, 3))
    assert Preprocess((9, 11), None)(picture).picture.shape == (9, 11, 3)


@pytest.mark.parametrize(
    ("resize", "crop", "shape", "whole"),
    [
        (None, 20, (10, 14), (20, 28)),  # nothing asked, the crop does not fit
        (8, 20, (10, 14), (20, 28)),  # less asked than the crop
        (20, (20, 40), (10, 14), (29, 40)),  # the crop is wider than the picture
        ((20, 10), (20, 20), (10, 14), (40, 20)),
    ],
)
def test_a_picture_smaller_than_the_crop_is_enlarged_without_padding(resize, crop, shape, whole):
    white = np.full((*shape, 3), 255, np.uint8)
    preprocess = Preprocess(resize, crop)
    _, kept = preprocess(white)
    assert kept.shape == (*(crop if isinstance(crop, tuple) else (crop, crop)), 3)
    assert kept.min() == 255
    picture = noise(*shape)
    large = Image.fromarray(picture).resize(whole[::-1], Image.Resampling.BILINEAR)
    top, left = (whole[0] - kept.shape[0]) // 2, (whole[1] - kept.shape[1]) // 2
    assert np.array_equal(
        preprocess(picture).picture, np.array(large)[top : top + kept.shape[0], left : left + kept.shape[1]]
    )


@pytest.mark.parametrize("preprocess", [Preprocess(), CAFFE, Preprocess(mean=(0, 0, 0), std=(2, 3, 4))])
def test_denormalize_and_color_undo_and_agree_with_normalize(preprocess):
    picture = noise(5, 6)
    back = preprocess.denormalize(preprocess.normalize(picture))
    assert np.allclose(back[0].permute(1, 2, 0) * 255, picture, atol=1e-3)
    assert back.min() >= 0
    assert back.max() <= 1
    colour = preprocess.color((10, 20, 30))
    assert torch.equal(colour, preprocess.normalize(np.array([[[10, 20, 30]]], np.uint8)))
    double = preprocess.denormalize(preprocess.normalize(picture).double())
    assert double.dtype == torch.float64


def test_everything_that_read_image_takes(tmp_path):
    picture = noise(8, 8)
    Image.fromarray(picture).save(tmp_path / "x.png")
    preprocess = Preprocess(8, 8)
    expected = preprocess(picture).tensor
    for same in (tmp_path / "x.png", Image.fromarray(picture), torch.from_numpy(picture).permute(2, 0, 1)):
        assert torch.equal(preprocess(same).tensor, expected)


def test_it_is_frozen_and_lists_become_tuples():
    preprocess = Preprocess(mean=[0, 0, 0], std=[1, 1, 1], crop=[224, 200])
    assert preprocess == Preprocess(mean=(0, 0, 0), std=(1, 1, 1), crop=(224, 200))
    assert hash(preprocess) == hash(Preprocess(mean=(0, 0, 0), std=(1, 1, 1), crop=(224, 200)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        preprocess.crop = 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": 0}, r"expected 1 to 8192 pixels, \(height, width\) or None for resize, got 0"),
        ({"resize": 2.5}, r"expected 1 to 8192 pixels, \(height, width\) or None for resize, got 2.5"),
        ({"crop": 10**7}, "for crop, got 10000000"),
        ({"crop": True}, r"expected 1 to 8192 pixels, \(height, width\) or None for crop, got True"),
        ({"crop": (1, 2, 3)}, r"expected 1 to 8192 pixels, \(height, width\) or None for crop, got \(1, 2, 3\)"),
        ({"mean": 0.5}, "expected three numbers for mean, got 0.5"),
        ({"mean": (0, 0, float("nan"))}, "expected three numbers for mean, got"),
        ({"std": (1, 1)}, r"expected three numbers for std, got \(1, 1\)"),
        ({"std": (1, 0, 1)}, r"expected numbers above 0 for std, got \(1.0, 0.0, 1.0\)"),
        ({"scale": 0}, "expected a number above 0 for scale, got 0"),
        ({"scale": "255"}, "expected a number above 0 for scale, got '255'"),
        ({"channels": "rgb"}, "expected one of RGB, BGR, L for channels, got 'rgb'"),
        ({"interpolation": "cubic"}, "got 'cubic': did you mean 'bicubic'"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        Preprocess(**options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p: p("missing.png"), "expected an existing file for image, got 'missing.png'"),
        (lambda p: p.normalize(np.zeros((4, 4, 3))), r"uint8 array \(h, w, 3\) for picture, got float64 \(4, 4, 3\)"),
        (lambda p: p.normalize(np.zeros((4, 4), np.uint8)), r"got uint8 \(4, 4\)"),
        (lambda p: p.normalize([0]), "for picture, got list"),
        (lambda p: p.denormalize(torch.zeros(3, 4, 4)), r"expected a tensor \(N, 3, h, w\), got \(3, 4, 4\)"),
        (lambda p: p.color((1, 2)), r"expected three numbers for colour, got \(1, 2\)"),
        (lambda p: p.color((1, 2, 256)), r"from 0 to 255 for colour, got \(1, 2, 256\)"),
        (lambda p: p.color("red"), "expected three numbers for colour, got 'red'"),
        (lambda p: p.from_torchvision("IMAGENET1K_V1"), "weights of a torchvision classifier, got 'IMAGENET1K_V1'"),
        (
            lambda p: p.from_torchvision(SimpleNamespace(transforms=lambda: object())),
            "torchvision classifier, got namespace",
        ),
        (lambda p: p.from_timm({"mean": 0, "std": 1}), "got none of input_size, crop_pct, interpolation"),
    ],
)
def test_bad_calls_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call(Preprocess())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_size": (1, 28, 28)}, "3 input channels, got 1"),
        ({"crop_mode": "border"}, "expected one of center, squash for crop_mode, got 'border'"),
        ({"input_size": (3, 200, 100)}, "expected a square for crop_mode 'center', got 200 x 100"),
        ({"interpolation": "random"}, "expected one of .* for interpolation, got"),
    ],
)
def test_timm_configurations_that_cannot_be_followed_are_named(change, message):
    config = {
        "input_size": (3, 224, 224), "crop_pct": 0.9, "interpolation": "bicubic",
        "mean": (0, 0, 0), "std": (1, 1, 1),
    }
    assert Preprocess.from_timm(config).resize == 248
    with pytest.raises(InputError, match=message):
        Preprocess.from_timm(config | change)


def test_a_raster_whose_values_need_more_bits_is_refused():
    raster, values = Preprocess(None, None, mean=0, std=1, channels=3, bits=12), np.full((4, 4, 3), 4095, np.uint16)
    assert raster.prepare(values).tensor.max() == 1
    values[0] = 65535
    assert raster.prepare(values, np.arange(4)[:, None].repeat(4, 1) > 0).tensor.max() == 1
    with pytest.raises(InputError, match="expected values below 4096 in image for bits=12, got 65535"):
        raster.prepare(values)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_four_bands_of_8_bits_are_read(tmp_path, planar):
    bands = np.random.default_rng(0).integers(0, 256, (8, 8, 4), np.uint8)
    path, stored = tmp_path / "infrared.tif", bands if planar == "contig" else bands.transpose(2, 0, 1)
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, extrasamples=["unspecified"])
    found = Preprocess(None, None, mean=0, std=1, channels=4).prepare(path).tensor
    np.testing.assert_array_equal(found[0].numpy(), bands.transpose(2, 0, 1))
    np.testing.assert_array_equal(Preprocess(None, None).prepare(path).picture, bands[..., :3])
