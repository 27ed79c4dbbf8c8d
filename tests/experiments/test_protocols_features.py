"""Features before the last layer: linearity and collapse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import classifier, item
from torch import nn

from xai_layermask.errors import InputError
from xai_layermask.experiments.protocols import Collapse, Linearity, MaskedClassifier, direction
from xai_layermask.experiments.protocols.features import feature_extractor, flatten_features
from xai_layermask.experiments.protocols.linearity import tiles
from xai_layermask.metrics import linearity


def test_the_last_layer_is_found_and_the_model_left_alone():
    model = classifier().model.train()
    before = list(model.children())
    bare = feature_extractor(model, 32, 32)
    image = torch.rand(2, 3, 32, 32)
    assert torch.equal(bare(image), model.eval()[:-1](image))
    assert list(model.children()) == before and not any(one._forward_pre_hooks for one in model.modules())
    assert not any(one._forward_pre_hooks for one in bare.modules())
    assert bare[0].weight is model[0].weight


def test_a_convolution_may_be_the_last_layer():
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Conv2d(5, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    image = torch.rand(1, 3, 8, 8)
    assert torch.allclose(feature_extractor(model, 8, 8)(image), model[0](image).relu().mean((2, 3)))


def test_models_without_one_last_layer_are_refused():
    with pytest.raises(InputError, match="expected a model that ends in a linear layer or a 1 x 1 convolution"):
        feature_extractor(nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), 8, 8)
    same = nn.Linear(3, 3)
    with pytest.raises(InputError, match="expected a last linear layer that runs once, got one that runs 2 times"):
        feature_extractor(nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), same, same), 8, 8)
    with pytest.raises(InputError, match=r"expected features \(2, D\) before the last layer, got shape \(3, 1\)"):
        flatten_features(torch.ones(3, 1), 2)
    with pytest.raises(InputError, match="expected finite numbers from the model, got NaN or infinity"):
        flatten_features(torch.tensor([[1.0, float("inf")]]), 1)


def test_linearity_by_hand(tmp_path):
    made, one = classifier(), item(tmp_path)
    rows = list(Linearity(sizes=(112, 56)).rows(MaskedClassifier(made, batch_size=3), one, "grey", "", 0))
    tensor, _ = made.preprocess(one.path)
    grey, bare = made.preprocess.color((123.675, 116.28, 103.53)), made.model[:-1]
    whole = bare(tensor)[0].detach().numpy()
    assert [(row["size"], row["tiles"]) for row in rows] == [(112, 4), (56, 16)]
    for row in rows:
        side, parts = {112: 16, 56: 8}[row["size"]], []
        for top in range(0, 32, side):
            for left in range(0, 32, side):
                painted = grey.expand(1, 3, 32, 32).clone()
                painted[..., top : top + side, left : left + side] = tensor[..., top : top + side, left : left + side]
                parts.append(bare(painted)[0].detach().numpy())
        total = np.sum(parts, axis=0)
        assert row["cosine"] == pytest.approx(linearity(whole, parts), abs=1e-5)
        assert row["norm_whole"] == pytest.approx(np.linalg.norm(whole), rel=1e-4)
        assert row["norm_sum"] == pytest.approx(np.linalg.norm(total), rel=1e-4)
        assert row["norm_parts"] == pytest.approx(np.mean([np.linalg.norm(part) for part in parts]), rel=1e-4)
        assert row["distance"] == pytest.approx(np.linalg.norm(total - whole) / np.linalg.norm(whole), rel=1e-4)


def test_tiles_are_equal_as_nearly_as_can_be():
    for height, width, count in ((32, 32, 4), (227, 227, 14), (9, 7, 2)):
        ids = tiles(height, width, count)
        sizes = np.bincount(ids.ravel())
        assert ids.shape == (height, width) and len(sizes) == count**2
        assert sizes.max() <= -(-height // count) * -(-width // count)
        assert sizes.min() >= (height // count) * (width // count)
    with pytest.raises(InputError, match="expected tiles of at least one pixel, got 9 along 8 pixels"):
        tiles(8, 10, 9)


def collapsed(tmp_path, masking="grey", count=3):
    masked = MaskedClassifier(classifier())
    items = [item(tmp_path, f"{n}.png", seed=n) for n in range(count)]
    return items, [row for one in items for row in Collapse(sizes=(224, 112)).rows(masked, one, masking, "", 0)]


def test_collapse_by_hand(tmp_path):
    from PIL import Image

    made = classifier()
    items, rows = collapsed(tmp_path)
    grey, features = made.preprocess.color((123.675, 116.28, 103.53)), {}
    for one in items:
        tensor, picture = made.preprocess(one.path)
        painted = grey.expand(1, 3, 32, 32).clone()
        small = np.array(Image.fromarray(picture).resize((16, 16), Image.Resampling.BICUBIC))
        painted[..., :16, :16] = made.preprocess.normalize(small)
        features[one.name, 224], features[one.name, 112] = (
            made.model[:-1](x)[0].detach().double().numpy() for x in (tensor, painted)
        )
    unit = {key: value / np.linalg.norm(value) for key, value in features.items()}
    for row in rows:
        key = row["picture"], row["size"]
        assert row["fraction"] == {224: 0, 112: 0.75}[row["size"]]
        assert row["norm"] == pytest.approx(np.linalg.norm(features[key]), rel=1e-4)
        np.testing.assert_allclose(direction(row["features"]), unit[key], atol=2e-3)
        assert row["cosine_whole"] == pytest.approx(unit[key] @ unit[row["picture"], 224], abs=1e-5)


def test_features_of_zero_have_no_direction(tmp_path):
    made = classifier()
    made.model[3].bias.data.fill_(-1e6)
    for row in Collapse(sizes=(224,)).rows(MaskedClassifier(made), item(tmp_path), "grey", "", 0):
        assert (row["features"], row["norm"], row["cosine_whole"]) == (None, 0, None)
    for row in Linearity(sizes=(112,)).rows(MaskedClassifier(made), item(tmp_path), "grey", "", 0):
        assert row["cosine"] is None and row["distance"] is None
