"""Segments removed step by step, derived anew picture by picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import classifier, item

from xai_layermask.errors import InputError
from xai_layermask.experiments.protocols import Colours, MaskedClassifier, Robustness, removal_order
from xai_layermask.experiments.protocols.protocol import random_generator
from xai_layermask.segments import patches

QUARTERS = (0.0, 0.25, 0.5, 1.0)


@pytest.mark.parametrize("order", ["random", "salient", "least"])
def test_rows_are_what_the_model_says_of_pictures_painted_by_hand(order, tmp_path):
    made, one = classifier(), item(tmp_path)
    rows = [
        row for row in Robustness(fractions=QUARTERS).rows(MaskedClassifier(made), one, "grey", "patches:8", 5)
        if row["order"] == order
    ]  # fmt: skip
    tensor, picture = made.preprocess(one.path)
    ids, mask = patches(picture, 8), made.preprocess.mask(one.mask())
    gone = removal_order(order, ids, mask, random_generator(5, one.name, "patches:8"))
    grey = made.preprocess.color((123.675, 116.28, 103.53))
    whole = made.model(tensor).argmax().item()
    assert [row["fraction"] for row in rows] == list(QUARTERS)
    for row in rows:
        painted = tensor.clone()
        for number in gone[: round(row["fraction"] * 16)]:
            painted[0, :, torch.from_numpy(ids == number)] = grey[0, :, :, 0]
        expected = made.model(painted).softmax(1)[0]
        assert row["prediction"] == expected.argmax().item() and row["whole"] == whole
        assert row["probability"] == pytest.approx(expected[one.label].item(), abs=1e-6)
        assert row["label"] == one.label and row["segments_count"] == 16


def test_salience_decides_and_chance_breaks_ties():
    ids = patches(np.zeros((8, 8, 3), np.uint8), 2)
    mask = np.zeros((8, 8))
    mask[0:2, 0:2], mask[4, 4], mask[7, 6:8] = 1, 1, 0.75  # 4 in segment 0, 1 in 10, 1.5 in 15
    salient = removal_order("salient", ids, mask, np.random.default_rng(1))
    least = removal_order("least", ids, mask, np.random.default_rng(1))
    assert salient[:3].tolist() == [0, 15, 10] and least[-3:].tolist() == [10, 15, 0]
    assert sorted(salient) == sorted(least) == list(range(16))
    rest = salient[3:].tolist()
    assert rest == least[:-3].tolist() and rest != sorted(rest)
    with pytest.raises(InputError, match="expected an object mask for order 'least', got none"):
        removal_order("least", ids, None, np.random.default_rng(1))


def test_the_order_is_the_same_for_all_maskings_and_models_but_not_pictures(tmp_path):
    found = {}
    for name, model in (("a", 0), ("b", 1)):
        masked = MaskedClassifier(classifier(model))
        for file in ("x.png", "y.png"):
            one, asked = item(tmp_path, file, seed=3), []
            for masking in ("grey", "layer"):
                method = masked.masking(masking)
                method.register_forward_pre_hook(lambda module, args, asked=asked: asked.append(args[1:]))
                list(Robustness(orders=("random",), fractions=(0.5,)).rows(masked, one, masking, "patches:8", 0))
            shown = [args[0] for args in asked if args]
            assert len(shown) == 2 and torch.equal(*shown)
            found[name, file] = shown[0]
    assert torch.equal(found["a", "x.png"], found["b", "x.png"])
    assert not torch.equal(found["a", "x.png"], found["a", "y.png"])


def test_a_picture_without_mask_has_the_random_order_alone(tmp_path):
    one = item(tmp_path, masked=False, label=None)
    rows = list(Robustness().rows(MaskedClassifier(classifier()), one, "grey", "patches:8", 0))
    assert {row["order"] for row in rows} == {"random"} and {row["label"] for row in rows} == {None}
    assert rows[0]["prediction"] == rows[0]["whole"]


def test_layer_masking_of_nothing_is_the_model_itself(tmp_path):
    masked = MaskedClassifier(classifier())
    rows = Robustness(fractions=(0.0, 0.9)).rows(masked, item(tmp_path), "layer", "patches:8", 0)
    for row in rows:
        assert row["fraction"] or row["prediction"] == row["whole"]


def test_colours_are_random_removal_of_patches(tmp_path):
    masked, one = MaskedClassifier(classifier()), item(tmp_path)
    rows = list(Colours(patch=8, fractions=QUARTERS).rows(masked, one, "red", "", 2))
    same = Robustness(orders=("random",), fractions=QUARTERS).rows(masked, one, "red", "patches:8", 2)
    assert rows == [{"colour": "red", **row} for row in same]
