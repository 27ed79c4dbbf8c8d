"""Any callable as a preprocessing: what it shows is found out, or asked for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from xai_layermask.errors import InputError
from xai_layermask.images import Preprocess, Transform, as_preprocess, sample_photograph

transforms = pytest.importorskip("torchvision.transforms")

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
PHOTOGRAPH = sample_photograph()


def compose(*more, resize=(64,), crop=48):
    return transforms.Compose([
        transforms.Resize(*resize), transforms.CenterCrop(crop), transforms.ToTensor(), *more,
        transforms.Normalize(MEAN, STD),
    ])  # fmt: skip


def test_a_compose_of_torchvision_is_what_preprocess_is():
    own, found = Preprocess(64, 48).prepare(PHOTOGRAPH), Transform(compose()).prepare(PHOTOGRAPH)
    assert torch.equal(found.tensor, compose()(Image.fromarray(PHOTOGRAPH))[None])
    assert np.abs(found.picture.astype(int) - own.picture).max() <= 1
    np.testing.assert_allclose(found.frame.box, own.frame.box, atol=1)
    torch.testing.assert_close(found.tensor, own.tensor, atol=0.01, rtol=0)


def test_bgr_and_grey_and_a_tensor_of_another_size():
    flipped = Transform(compose(transforms.Lambda(lambda x: x.flip(0)))).prepare(PHOTOGRAPH)
    plain = Transform(compose()).prepare(PHOTOGRAPH)
    assert np.abs(flipped.picture.astype(int) - plain.picture).max() <= 1
    grey = transforms.Compose([transforms.Grayscale(), transforms.Resize((40, 60)), transforms.ToTensor()])
    shown = Transform(grey).prepare(PHOTOGRAPH)
    assert shown.tensor.shape == (1, 1, 40, 60)
    assert shown.frame.box == (0, 0, 400, 600)
    assert np.abs(shown.picture - shown.tensor[0, 0, ..., None].numpy() * 255).max() <= 0.51
    torch.testing.assert_close(Transform(grey).color((255, 0, 0)).flatten(), torch.tensor([0.299]), atol=2e-3, rtol=0)


def test_a_function_of_a_tensor():
    def half(image):
        return torch.nn.functional.avg_pool2d(image, 2)

    shown = Transform(half).prepare(PHOTOGRAPH)
    assert shown.tensor.shape == (1, 3, 200, 300)
    assert shown.frame.box == (0, 0, 400, 600)


def test_an_image_processor_of_transformers():
    transformers = pytest.importorskip("transformers")
    processor = transformers.ViTImageProcessor(size={"height": 32, "width": 32})
    shown = as_preprocess(processor).prepare(PHOTOGRAPH)
    expected = torch.as_tensor(np.asarray(processor(Image.fromarray(PHOTOGRAPH))["pixel_values"]))
    assert torch.equal(shown.tensor, expected.reshape(1, 3, 32, 32).float())
    assert shown.frame.box == (0, 0, 400, 600)
    assert np.abs(shown.picture - (shown.tensor[0].permute(1, 2, 0).numpy() + 1) / 2 * 255).max() <= 0.51


def test_a_transform_of_timm():
    timm = pytest.importorskip("timm.data")
    made = timm.create_transform(input_size=(3, 48, 48), crop_pct=0.75, interpolation="bicubic")
    own = Preprocess(64, 48, interpolation="bicubic").prepare(PHOTOGRAPH)
    shown = Transform(made).prepare(PHOTOGRAPH)
    np.testing.assert_allclose(shown.frame.box, own.frame.box, atol=1)
    assert np.abs(shown.picture.astype(int) - own.picture).mean() < 1


def test_colours_and_pictures_by_the_same_scale():
    made, own = Transform(compose()), Preprocess(64, 48)
    torch.testing.assert_close(made.color((123, 50, 200)), own.color((123, 50, 200)))
    cropped = own.prepare(PHOTOGRAPH).picture
    torch.testing.assert_close(made.normalize(cropped), own.normalize(cropped))


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (compose(transforms.RandomErasing(1.0)), "a deterministic preprocess, got one that differs from call to call"),
        (transforms.Compose([transforms.RandomHorizontalFlip(1.0), transforms.ToTensor()]), "got one that flips"),
        (transforms.Compose([transforms.Pad(20, fill=90), transforms.ToTensor()]), "got one that adds a border"),
        (transforms.Compose([transforms.ToTensor(), lambda x: x**2]), "got one that does not scale colours linearly"),
        (transforms.Compose([transforms.ToTensor(), lambda x: x.transpose(1, 2)]), "got one that turns or distorts"),
        (lambda x: "a picture", "expected a tensor from preprocess, got str"),
        (lambda x: torch.zeros(3), r"expected a float tensor \(C, h, w\) from preprocess, got torch.float32 \(3,\)"),
        (lambda x: 1 / 0, r"takes a PIL image or a tensor \(3, H, W\), got ZeroDivisionError \(division by zero\)"),
    ],
)
def test_what_cannot_be_told_is_asked_for(function, message):
    with pytest.raises(InputError, match=message):
        Transform(function).prepare(PHOTOGRAPH)


def test_the_picture_that_is_shown_may_be_given():
    pad = transforms.Compose([transforms.Pad(20, fill=90), transforms.ToTensor()])
    shown = Transform(pad, shown=transforms.Pad(20, fill=90)).prepare(PHOTOGRAPH)
    assert shown.picture.shape == (440, 640, 3)
    assert shown.frame is None
    with pytest.raises(InputError, match=r"expected a uint8 picture \(440, 640, 3\), .* from shown, got uint8 \(400"):
        Transform(pad, shown=lambda image: image).prepare(PHOTOGRAPH)


def test_missing_pixels():
    valid = np.ones((400, 600), bool)
    valid[:, :300] = False
    shown = Transform(compose()).prepare(PHOTOGRAPH, valid)
    assert not shown.present[:, :24].any()
    assert shown.present[:, 24:].all()
    assert (shown.picture[:, :24] == 255).all()


def test_what_is_no_callable():
    with pytest.raises(InputError, match="expected a Preprocess or a callable for preprocess, got int"):
        as_preprocess(3)


@pytest.mark.parametrize(
    ("height", "width", "resize", "crop"), [(32, 32, None, 30), (20, 28, 256, 224), (12, 16, 64, 56)]
)
def test_the_crop_of_a_small_picture_is_told(height, width, resize, crop):
    own = Preprocess(resize, crop)
    picture = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    found = Transform(lambda image: own(image).tensor[0]).prepare(picture)
    np.testing.assert_allclose(found.frame.box, own.prepare(picture).frame.box, atol=0.06)
