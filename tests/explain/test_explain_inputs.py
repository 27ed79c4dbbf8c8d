"""What goes into an explanation: channels, missing pixels, coordinates, further inputs; each against known values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from xai_layermask import Fill, LayerMask, LayerMaskExplainer, Preprocess
from xai_layermask.captum import LayerMaskKernelShap, LayerMaskLime
from xai_layermask.errors import InputError
from xai_layermask.explain import Explanation
from xai_layermask.images import Transform, sample_photograph
from xai_layermask.lime import LayerMaskImageExplainer
from xai_layermask.metrics import deletion_curve, per_segment

QUARTERS = np.arange(32)[:, None] // 16 * 2 + np.arange(32) // 16


class Weighted(nn.Module):
    """One value, linear in all channels: what each pixel brings is known."""

    def __init__(self, channels, side=32):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(1, channels, side, side, generator=generator) * 0.01)

    def forward(self, x, table=None):
        brought = (x * self.weight).sum((1, 2, 3))
        return (brought if table is None else brought * table[:, 0] + table[:, 1])[:, None]

    def shares(self, tensor, segments):
        pixels = (tensor * self.weight).sum(1)[0].detach().numpy()
        return np.bincount(segments.ravel(), weights=pixels.ravel())


def convolutional(channels, classes=4):
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, classes)
    ).eval()


def explain(model, img, preprocess, targets=0, method="shap", masking="black", segments=QUARTERS, **more):
    options = {"n_samples": 16, "progress": False, "precision": "float32", "output": more.pop("output", "value")}
    explainer = LayerMaskExplainer(
        model, method, masking, segments, preprocess=preprocess, **options, labels=more.pop("labels", None)
    )
    return explainer.explain(img, targets, **more)


def raster(channels, seed=0, side=32):
    return np.random.default_rng(seed).normal(size=(side, side, channels)) * 1000


# --- channels ---


@pytest.mark.parametrize("channels", [1, 2, 4, 13])
@pytest.mark.parametrize("layout", ["last", "first", "tensor", "npy"])
def test_a_raster_of_any_number_of_channels(tmp_path, channels, layout):
    model, bands = Weighted(channels), raster(channels)
    preprocess = Preprocess(None, None, mean=3.0, std=500.0, channels=channels)
    expected = torch.from_numpy((bands - 3) / 500).permute(2, 0, 1)[None].float()
    made = {"last": bands, "first": bands.transpose(2, 0, 1), "tensor": torch.from_numpy(bands).permute(2, 0, 1)}
    img = made.get(layout)
    if img is None:
        img = tmp_path / "bands.npy"
        np.save(img, bands)
    # Without a fill: absent pixels count for nothing in the sum.
    found = explain(model, img, preprocess, masking=lambda network: Nothing(network))
    np.testing.assert_allclose(found.scores[0], model.shares(expected, QUARTERS), rtol=1e-4)
    shown = "bands 0, 1, 2" if channels > 2 else "band 0"
    assert found.settings.note == (f"{shown} of {channels} shown, " if channels > 1 else "") + (
        "display stretched from percentile 2 to 98"
    )


class Nothing(Fill):
    """A fill of zeros in the model's own units."""

    def __init__(self, model):
        super().__init__(model, "mean")
        self.sees_absent = False

    def picture(self, image, presence):
        return image * presence


@pytest.mark.parametrize("channels", [1, 4, 13])
@pytest.mark.parametrize("masking", ["layer", "black", "mean", "blur", "neighbor"])
def test_every_masking_takes_any_number_of_channels(channels, masking):
    model, bands = convolutional(channels), raster(channels)
    preprocess = Preprocess(None, None, mean=0, std=1000, channels=channels)
    found = explain(model, bands, preprocess, 2, masking=masking)
    image = preprocess.prepare(bands).tensor
    everything, none = torch.ones(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    made = LayerMask(model) if masking == "layer" else Fill(model, masking, preprocess)
    with torch.no_grad():
        gain = (made(image, everything) - made(image, none))[0, 2].item()
    assert found.scores.sum() == pytest.approx(gain, abs=1e-4)
    assert found.predictions[0] == pytest.approx(model(image)[0, 2].item(), abs=1e-5)


def test_a_raster_has_no_grey():
    message = r"expected black for the colour of a raster of 5 channels, got .*: its other values have no colour: use"
    with pytest.raises(InputError, match=message):
        explain(convolutional(5), raster(5), Preprocess(None, None, mean=0, std=1, channels=5), masking="grey")


def test_the_bands_that_are_displayed():
    bands = np.zeros((32, 32, 13))
    bands[..., 7] = np.arange(32)  # a ramp
    preprocess = Preprocess(None, None, mean=0, std=1, channels=13, bands=(7, 0, 0))
    found = explain(convolutional(13), bands, preprocess)
    assert found.settings.note.startswith("bands 7, 0, 0 of 13 shown, display stretched")
    assert (found.picture[..., 1:] == 0).all()
    low, high = np.percentile(bands[..., 7], (2, 98))
    expected = np.rint(np.clip((np.arange(32) - low) / (high - low), 0, 1) * 255)
    assert (np.diff(found.picture[0, :, 0].astype(int)) > 0).sum() > 28
    assert np.abs(found.picture[0, :, 0] - expected).max() <= 1


def test_a_window_of_an_array_as_scanners_make_it():
    slice_ = np.full((32, 32), -1000, np.int16)
    slice_[:16], slice_[16:, 16:] = 40, 3000
    preprocess = Preprocess(None, None, (0, 0, 0), (1, 1, 1), window=(40, 400))
    model = Weighted(3)
    found = explain(model, slice_, preprocess)
    values = np.where(slice_ == 40, 0.5, np.where(slice_ == 3000, 1.0, 0.0))
    expected = torch.from_numpy(values).float().expand(1, 3, 32, 32)
    np.testing.assert_allclose(found.scores[0], model.shares(expected, QUARTERS), atol=1e-5)
    assert sorted(np.unique(found.picture)) == [0, 128, 255]
    assert found.settings.note.startswith("window of -160 to 240")
    grey = explain(Weighted(1), slice_, Preprocess(None, None, 0, 1, "L", window=(40, 400)))
    np.testing.assert_allclose(grey.scores[0], Weighted(1).shares(expected[:, :1], QUARTERS), atol=1e-5)


def test_grey_networks_take_colours():
    picture = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    model = Weighted(1)
    found = explain(model, picture, Preprocess(None, None, 0.5, 0.25, "L"), masking=lambda network: Nothing(network))
    grey = torch.from_numpy(picture / 255 @ (0.299, 0.587, 0.114)).float()[None, None]
    np.testing.assert_allclose(found.scores[0], model.shares((grey - 0.5) / 0.25, QUARTERS), atol=1e-4)
    assert (found.picture == picture).all()


def test_a_grey_network_on_a_colour_picture_says_the_way_out():
    picture = np.zeros((32, 32, 3), np.uint8)
    message = r"expected an image of 1 channel, which the model takes, got 3: use Preprocess\(channels='L', mean=...,"
    model, plain = convolutional(1), Preprocess(None, None)
    with pytest.raises(InputError, match=message):
        explain(model, picture, plain)
    with pytest.raises(InputError, match=message):
        LayerMask(model).predict_proba(picture[None], np.eye(32), plain)
    message = r"expected an image of 5 channels, .* got 3: pass a raster of 5 bands, with Preprocess\(channels=5,"
    with pytest.raises(InputError, match=message):
        explain(convolutional(5), picture, plain)
    message = r"of 1 channel for image, got \(32, 32, 3\): use Preprocess\(channels='L', ...\), which converts"
    with pytest.raises(InputError, match=message):
        explain(model, np.arange(32 * 32 * 3).reshape(32, 32, 3), Preprocess(None, None, 0, 1, 1))


def test_a_mean_for_each_channel():
    with pytest.raises(InputError, match=r"expected 4 numbers for mean, got \(0.485"):
        Preprocess(channels=4)
    with pytest.raises(InputError, match="expected one number for std, got"):
        Preprocess(mean=0.5, channels="L")


# --- missing pixels ---


def missing(kind, bands):
    """The same missing pixels in every form: the right half of the lower left quarter, and the upper right quarter."""
    absent = np.zeros((32, 32), bool)
    absent[16:, 8:16] = absent[:16, 16:] = True
    if kind == "valid":
        return bands, ~absent, absent
    if kind == "nan":
        return np.where(absent[..., None], np.nan, bands), None, absent
    return np.ma.masked_array(bands, np.repeat(absent[..., None], bands.shape[2], axis=2)), None, absent


@pytest.mark.parametrize("kind", ["valid", "nan", "masked"])
def test_missing_pixels_are_absent_from_the_start(kind):
    model, bands = convolutional(13), raster(13)
    img, valid, absent = missing(kind, bands)
    preprocess = Preprocess(None, None, mean=0, std=1000, channels=13)
    found = explain(model, img, preprocess, 1, masking="layer", valid=valid)
    image = torch.from_numpy(bands / 1000).permute(2, 0, 1)[None].float()
    masked, here = LayerMask(model), torch.from_numpy(~absent)[None, None]
    with torch.no_grad():
        whole, none = masked(image, here)[0, 1].item(), masked(image, here & False)[0, 1].item()
    assert found.predictions[0] == pytest.approx(whole, abs=1e-5)
    assert found.scores.sum() == pytest.approx(whole - none, abs=1e-4)
    # Three segments are left, and the missing pixels are the last one.
    assert found.scores.shape == (1, 4)
    assert found.scores[0, 3] == 0
    assert np.array_equal(found.segments == 3, absent)
    assert found.heatmap()[absent].tolist() == [0.0] * int(absent.sum())
    assert (found.picture[absent] == 255).all()


def test_what_stands_at_missing_pixels_changes_nothing():
    preprocess = Preprocess(None, None, mean=0, std=1000, channels=4)
    bands, valid, absent = missing("valid", raster(4))
    for masking in ("layer", "mean", "black"):
        first = explain(convolutional(4), bands, preprocess, masking=masking, valid=valid)
        other = np.where(absent[..., None], 1e4, bands)
        again = explain(convolutional(4), other, preprocess, masking=masking, valid=valid)
        np.testing.assert_array_equal(first.scores, again.scores)


def test_missing_pixels_do_not_bleed_when_resized():
    colours = np.full((64, 64, 3), 200, np.uint8)
    colours[:, :31] = 0
    valid = np.zeros((64, 64), bool)
    valid[:, 31:] = True
    shown = Preprocess(16, 16, (0, 0, 0), (1, 1, 1)).prepare(colours, valid)
    assert shown.present.tolist() == [[False] * 8 + [True] * 8] * 16
    torch.testing.assert_close(shown.tensor, torch.full((1, 3, 16, 16), 200 / 255))


def test_a_colour_picture_with_missing_pixels():
    floats = np.random.default_rng(0).random((32, 32, 3))
    floats[:16, 16:] = np.nan
    found = explain(convolutional(3), floats, Preprocess(None, None), masking="layer", method="lime")
    assert found.scores.shape == (1, 4)
    with pytest.raises(InputError, match=r"a picture without missing pixels in image, got NaN .*: use prepare\(img\)"):
        Preprocess(None, None)(floats)


@pytest.mark.parametrize(
    ("valid", "message"),
    [
        (np.ones((3, 3)), r"expected bool or 0/1 of the photograph's size \(32, 32\) for valid, got \(3, 3\)"),
        (np.full((32, 32), 2), r"for valid, got other numbers"),
        (np.zeros((32, 32)), "expected at least one valid pixel in image, got none"),
    ],
)
def test_a_bad_valid_mask(valid, message):
    with pytest.raises(InputError, match=message):
        explain(convolutional(3), np.zeros((32, 32, 3), np.uint8), Preprocess(None, None), valid=valid)


# --- bits ---


def test_twelve_bits_in_sixteen(tmp_path):
    grey = np.random.default_rng(0).integers(0, 4096, (32, 32)).astype(np.uint16)
    grey[0, 0] = 4095
    Image.fromarray(grey).save(tmp_path / "scan.png")
    for img in (grey, tmp_path / "scan.png"):
        found = explain(convolutional(3), img, Preprocess(None, None))
        assert np.array_equal(found.picture[..., 0], np.rint(grey / 4095 * 255))
        assert found.settings.note == "12 of 16 bits used: 4095 is white"
        dark = explain(convolutional(3), img, Preprocess(None, None, bits=16))
        assert dark.picture.max() == 16
        assert dark.settings.note == ""
    with pytest.raises(InputError, match=r"expected values below 1024 in image for bits=10, got 4095"):
        explain(convolutional(3), grey, Preprocess(None, None, bits=10))
    shown = Preprocess(None, None, 0, 1, channels=1, bits=12).prepare(grey)
    torch.testing.assert_close(shown.tensor[0, 0], torch.from_numpy(grey / 4095).float())


def test_a_tiff_of_many_bands(tmp_path):
    tifffile = pytest.importorskip("tifffile")
    bands = (raster(13) * 10).astype(np.int16)
    tifffile.imwrite(tmp_path / "bands.tif", bands.transpose(2, 0, 1))
    preprocess = Preprocess(None, None, mean=0, std=1, channels=13)
    expected = torch.from_numpy(bands).permute(2, 0, 1)[None].float()
    assert torch.equal(preprocess.prepare(tmp_path / "bands.tif").tensor, expected)


# --- any preprocessing ---


def test_a_compose_of_torchvision_as_preprocess():
    transforms = pytest.importorskip("torchvision.transforms")
    compose = transforms.Compose([transforms.Resize(48), transforms.CenterCrop(32), transforms.ToTensor()])
    model = Weighted(3)
    found = explain(model, sample_photograph(), compose)
    tensor = compose(Image.fromarray(sample_photograph()))[None]
    np.testing.assert_allclose(found.scores[0], model.shares(tensor, QUARTERS), atol=1e-4)
    assert found.settings.preprocess.startswith("Transform(Compose(")
    assert found.heatmap(size="original").shape == (400, 600)
    with pytest.raises(InputError, match="expected a Preprocess or a callable for preprocess, got int"):
        explain(model, sample_photograph(), 3)


def test_a_preprocess_whose_crop_is_given_has_no_original():
    transforms = pytest.importorskip("torchvision.transforms")
    turned = transforms.Compose([transforms.CenterCrop(32), transforms.RandomVerticalFlip(1.0)])
    whole = Transform(transforms.Compose([turned, transforms.ToTensor()]), shown=turned)
    found = explain(Weighted(3), sample_photograph(), whole)
    with pytest.raises(InputError, match="expected a preprocessing whose crop is known, for size='original'"):
        found.heatmap(size="original")


# --- coordinates of the photograph ---


def test_segments_and_heatmap_in_coordinates_of_the_photograph(tmp_path):
    # 64 x 96 is resized to 32 x 48 and cropped to the 32 columns in the middle: 16 to 80 of the photograph.
    photograph = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    whole = np.arange(64)[:, None] // 32 * 3 + np.arange(96) // 32
    preprocess = Preprocess(32, 32, (0, 0, 0), (1, 1, 1))
    found = explain(Weighted(3), photograph, preprocess, segments=whole)
    columns = np.repeat([0, 1, 2], [8, 16, 8])
    assert np.array_equal(found.segments, np.repeat([[0], [3]], 16, axis=0) + columns)
    heatmap = found.heatmap(size="original")
    assert np.isnan(heatmap[:, :16]).all() and np.isnan(heatmap[:, 80:]).all()
    assert np.array_equal(heatmap[:, 16:80], found.scores[0][whole[:, 16:80]])
    again = Explanation.load(found.save(tmp_path / "x.json"))
    np.testing.assert_array_equal(again.heatmap(size="original"), heatmap)
    assert again.settings == found.settings
    mask = whole == 4
    assert found.alignment(mask) == pytest.approx(found.alignment(found.segments == 4))
    assert found.jaccard(mask * np.uint8(255), k=1) == found.jaccard(found.segments == 4, k=1)


def test_a_region_of_interest_as_segments():
    region = np.zeros((32, 32), bool)
    region[4:20, 4:20] = True
    model, picture = Weighted(3), np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    found = explain(model, picture, Preprocess(None, None, (0, 0, 0), (1, 1, 1)), segments=region)
    tensor = torch.from_numpy(picture / 255).permute(2, 0, 1)[None].float()
    np.testing.assert_allclose(found.scores[0], model.shares(tensor, region.astype(int)), atol=1e-4)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int16, np.uint32, np.int64, torch.bool, torch.uint8, torch.int64])
def test_object_masks_of_any_integer_type(kind):
    found = explain(Weighted(3), np.zeros((32, 32, 3), np.uint8) + 7, Preprocess(None, None))
    mask = QUARTERS == 2
    typed = torch.from_numpy(mask).to(kind) if isinstance(kind, torch.dtype) else mask.astype(kind)
    assert found.alignment(typed) == found.alignment(mask.astype(float))


# --- further inputs of the model ---


@pytest.mark.parametrize("batch_size", [1, 5])
def test_a_table_beside_the_picture(batch_size):
    model, picture = Weighted(3), np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    preprocess = Preprocess(None, None, (0, 0, 0), (1, 1, 1))
    tensor, table = preprocess(picture).tensor, torch.tensor([[2.5, 7.0]])
    options = {"n_samples": 16, "progress": False, "precision": "float32", "output": "value", "batch_size": batch_size}
    explainer = LayerMaskExplainer(model, "shap", "black", QUARTERS, preprocess=preprocess, **options)
    for given in (table, (table,), table.double(), table.numpy()):
        found = explainer.explain(picture, 0, additional_forward_args=given)
        np.testing.assert_allclose(found.scores[0], 2.5 * model.shares(tensor, QUARTERS), atol=1e-4)
        assert found.intercept[0] == pytest.approx(7, abs=1e-4)


class Siamese(nn.Module):
    """How near the features of two images are."""

    def __init__(self):
        super().__init__()
        self.tower = convolutional(3)

    def forward(self, image, other):
        return -(self.tower(image) - self.tower(other)).pow(2).sum(1, keepdim=True)


def test_a_siamese_network():
    model = Siamese().eval()
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    preprocess = Preprocess(None, None)
    other = preprocess(pictures[1]).tensor
    found = explain(model, pictures[0], preprocess, masking="layer", additional_forward_args=other)
    image, masked = preprocess(pictures[0]).tensor, LayerMask(model.tower)
    with torch.no_grad():
        near = [-(masked(image, p) - model.tower(other)).pow(2).sum().item() for p in (None, torch.zeros(1, 1, 1, 1))]
    assert found.predictions[0] == pytest.approx(near[0], abs=1e-5)
    assert found.scores.sum() == pytest.approx(near[0] - near[1], abs=1e-4)
    with pytest.raises(InputError, match=r"expected the further input other of the model, got only an image"):
        explain(model, pictures[0], preprocess, masking="layer")


# --- adapters ---


@pytest.mark.parametrize("adapter", [LayerMaskKernelShap, LayerMaskLime])
@pytest.mark.parametrize("at_once", [1, 6])
def test_captum_passes_further_inputs(adapter, at_once):
    model, images, tables = Weighted(3), torch.rand(2, 3, 32, 32), torch.tensor([[2.0, 1.0], [-3.0, 5.0]])
    black = Fill(model, "black", Preprocess(mean=(0, 0, 0), std=(1, 1, 1)))
    options = {"n_samples": 16, "perturbations_per_eval": at_once, "return_input_shape": False}
    scores = adapter(black).attribute(images, None, 0, tables, QUARTERS, **options)
    parts = [(images[i : i + 1], None, 0, tables[i : i + 1], QUARTERS) for i in range(2)]
    alone = [adapter(black).attribute(*part, **options) for part in parts]
    torch.testing.assert_close(scores, torch.cat(alone), atol=1e-4, rtol=1e-4)
    if adapter is LayerMaskKernelShap:
        expected = [tables[i, 0] * model.shares(images[i : i + 1], QUARTERS) for i in range(2)]
        np.testing.assert_allclose(scores, np.stack(expected), atol=1e-3)


def test_captum_on_a_network_of_four_channels():
    model, image = convolutional(4), torch.rand(1, 4, 32, 32)
    with pytest.raises(InputError, match="pass presence separately if the network itself takes 4 channels"):
        LayerMaskLime(model).attribute(image, target=0, feature_mask=QUARTERS)
    scores = LayerMaskKernelShap(model).attribute(
        image, target=0, feature_mask=QUARTERS, presence=torch.ones(1, 1, 32, 32), n_samples=16,
        return_input_shape=False,
    )
    masked = LayerMask(model)
    gain = masked(image, torch.ones(1, 1, 32, 32)) - masked(image, torch.zeros(1, 1, 32, 32))
    torch.testing.assert_close(scores.sum(), gain[0, 0].detach(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("channels", [1, 4, 13])
def test_lime_on_a_raster(channels):
    model, bands = convolutional(channels), raster(channels)
    model[-1].weight.data.mul_(50)
    bands[:16, 16:] = np.nan
    preprocess = Preprocess(None, None, mean=0, std=1000, channels=channels)
    found = LayerMaskImageExplainer(preprocess=preprocess).explain_instance(
        bands, LayerMask(model), segmentation_fn=QUARTERS, num_samples=32, top_labels=1, progress_bar=False
    )
    shown = preprocess.prepare(bands)
    with torch.no_grad():
        whole = LayerMask(model)(shown.tensor, torch.from_numpy(shown.present)).softmax(1)[0]
    assert found.top_labels == [int(whole.argmax())]
    assert np.array_equal(found.image, shown.picture)
    assert len(found.local_exp[found.top_labels[0]]) == 4
    left = np.stack([QUARTERS != 3, (QUARTERS != 3) & (QUARTERS != 1)])[:, None]
    with torch.no_grad():
        expected = LayerMask(model)(shown.tensor, torch.from_numpy(shown.present & left)).softmax(1)
    predicted = LayerMask(model).predict_proba([bands], left, preprocess)
    np.testing.assert_allclose(predicted, expected, atol=1e-6)
    np.testing.assert_allclose(predicted[0], predicted[1], atol=1e-6)


def test_lime_with_further_inputs():
    class Tabled(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = convolutional(3)

        def forward(self, image, table):
            return self.net(image) + table

    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    table = torch.tensor([[0.0, 0.0, 9.0, 0.0]])
    options = {"segmentation_fn": QUARTERS, "num_samples": 32, "progress_bar": False}
    masked = LayerMask(Tabled().eval())
    found = LayerMaskImageExplainer().explain_instance(picture, masked, additional_forward_args=table, **options)
    expected = masked.predict_proba(picture[None], additional_forward_args=table)[0]
    assert found.top_labels[0] == int(expected.argmax()) == 2
    with pytest.raises(InputError, match="expected no additional_forward_args for a function of pictures, got one"):
        LayerMaskImageExplainer().explain_instance(picture, lambda x: x, additional_forward_args=table, **options)


# --- scores of segments from attributions of pixels ---


def test_a_pixel_attribution_is_judged_by_the_same_curves():
    model, image = Weighted(3), torch.rand(1, 3, 32, 32).requires_grad_()
    model(image).sum().backward()
    pixels = image.grad * image.detach()
    scores = per_segment(pixels, QUARTERS)
    np.testing.assert_allclose(scores, model.shares(image.detach(), QUARTERS), atol=1e-4)
    areas = np.bincount(QUARTERS.ravel())
    np.testing.assert_allclose(per_segment(pixels[0], QUARTERS, "mean"), scores / areas)
    black = Fill(nn.Sequential(model, TwoClasses()), "black", Preprocess(mean=(0, 0, 0), std=(1, 1, 1)))
    curve = deletion_curve(black, image.detach(), scores, QUARTERS, target=1)
    order = np.argsort(-scores)
    left = scores.sum() - np.concatenate([[0], np.cumsum(scores[order])])
    np.testing.assert_allclose(curve.values, 1 / (1 + np.exp(-left)), atol=1e-4)


class TwoClasses(nn.Module):
    def forward(self, x):
        return torch.cat([torch.zeros_like(x), x], dim=1)


@pytest.mark.parametrize(
    ("attribution", "message"),
    [
        (np.zeros((2, 3, 32, 32)), r"expected numbers \(H, W\), .* for attribution, got float64 2x3x32x32"),
        (np.full((32, 32), np.nan), "expected finite numbers in attribution, got NaN or infinity"),
        (np.zeros((3, 3)), r"expected the shape of the cropped picture, \(3, 3\), for segments, got \(32, 32\)"),
    ],
)
def test_attributions_that_do_not_fit(attribution, message):
    with pytest.raises(InputError, match=message):
        per_segment(attribution, QUARTERS)
