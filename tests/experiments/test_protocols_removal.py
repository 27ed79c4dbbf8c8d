"""Segments removed step by step, derived anew picture by picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import classifier, item

from xai_layermask.errors import InputError
from xai_layermask.experiments.protocols import Asker, Colours, Robustness
from xai_layermask.experiments.protocols.protocol import generator
from xai_layermask.experiments.protocols.removal import removal_order, removal_summary
from xai_layermask.metrics import auc
from xai_layermask.segments import patches

QUARTERS = (0.0, 0.25, 0.5, 1.0)


@pytest.mark.parametrize("order", ["random", "salient", "least"])
def test_rows_are_what_the_model_says_of_pictures_painted_by_hand(order, tmp_path):
    made, one = classifier(), item(tmp_path)
    rows = [
        row for row in Robustness(fractions=QUARTERS).rows(Asker(made), one, "grey", "patches:8", 5)
        if row["order"] == order
    ]  # fmt: skip
    tensor, picture = made.preprocess(one.path)
    ids, mask = patches(picture, 8), made.preprocess.mask(one.mask())
    gone = removal_order(order, ids, mask, generator(5, one.name, "patches:8"))
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
    with pytest.raises(InputError, match="order 'least' needs an object mask"):
        removal_order("least", ids, None, np.random.default_rng(1))


def test_the_order_is_the_same_for_all_maskings_and_models_but_not_pictures(tmp_path):
    found = {}
    for name, model in (("a", 0), ("b", 1)):
        asker = Asker(classifier(model))
        for file in ("x.png", "y.png"):
            one, asked = item(tmp_path, file, seed=3), []
            for masking in ("grey", "layer"):
                method = asker.masking(masking)
                method.register_forward_pre_hook(lambda module, args, asked=asked: asked.append(args[1:]))
                list(Robustness(orders=("random",), fractions=(0.5,)).rows(asker, one, masking, "patches:8", 0))
            shown = [args[0] for args in asked if args]
            assert len(shown) == 2 and torch.equal(*shown)
            found[name, file] = shown[0]
    assert torch.equal(found["a", "x.png"], found["b", "x.png"])
    assert not torch.equal(found["a", "x.png"], found["a", "y.png"])


def test_a_picture_without_mask_has_the_random_order_alone(tmp_path):
    one = item(tmp_path, masked=False, label=None)
    rows = list(Robustness().rows(Asker(classifier()), one, "grey", "patches:8", 0))
    assert {row["order"] for row in rows} == {"random"} and {row["label"] for row in rows} == {None}
    summary = Robustness.summarise(rows)
    assert {row["accuracy"] for row in summary} == {None} and summary[0]["unchanged"] == 1


def test_layer_masking_of_nothing_is_the_model_itself(tmp_path):
    rows = Robustness(fractions=(0.0, 0.9)).rows(Asker(classifier()), item(tmp_path), "layer", "patches:8", 0)
    for row in rows:
        assert row["fraction"] or row["prediction"] == row["whole"]


def test_summaries_by_hand():
    def row(fraction, prediction, label, whole=1, order="random"):
        return {"order": order, "fraction": fraction, "prediction": prediction, "label": label, "whole": whole,
                "probability": 0.25 * prediction}  # fmt: skip

    rows = [row(1.0, 2, 1), row(0.0, 1, 1), row(1.0, 3, 3), row(0.0, 3, 3, 3), row(0.5, 1, 1), row(0.5, 2, None)]
    found = removal_summary([*rows, row(0.0, 1, 1, order="least")])
    curve = {one["fraction"]: one for one in found if one["order"] == "random"}
    assert list(curve) == [0.0, 0.5, 1.0, None]
    assert [curve[x]["accuracy"] for x in (0.0, 0.5, 1.0)] == [1, 1, 0.5]
    assert [curve[x]["unchanged"] for x in (0.0, 0.5, 1.0)] == [1, 0.5, 0]
    assert [curve[x]["n"] for x in (0.0, 0.5, 1.0, None)] == [2, 2, 2, 2]
    assert curve[1.0]["entropy"] == pytest.approx(np.log(2)) and curve[1.0]["probability"] == 0.625
    assert curve[1.0]["wordnet"] < curve[0.0]["wordnet"]
    assert curve[None]["accuracy"] == auc([0, 0.5, 1], [1, 1, 0.5])
    alone = [one for one in found if one["order"] == "least"]
    assert alone[-1]["fraction"] is None and alone[-1]["accuracy"] is None  # one point has no area
    assert removal_summary([row(0.0, 1000, 1), row(1.0, 1, 1)])[0]["wordnet"] is None  # no ImageNet class


def test_colours_are_random_removal_of_patches(tmp_path):
    asker, one = Asker(classifier()), item(tmp_path)
    rows = list(Colours(patch=8, fractions=QUARTERS).rows(asker, one, "red", "", 2))
    same = Robustness(orders=("random",), fractions=QUARTERS).rows(asker, one, "red", "patches:8", 2)
    assert rows == [{"colour": "red", **row} for row in same]
    assert Colours.summarise(rows) == removal_summary(rows)
