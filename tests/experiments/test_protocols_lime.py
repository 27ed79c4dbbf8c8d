"""LIME under maskings, and the ablation of layer masking."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import classifier, item

from xai_layermask import LayerMaskExplainer
from xai_layermask.experiments.protocols import Ablation, Lime, MaskedClassifier, removal_rows
from xai_layermask.experiments.protocols.protocol import random_generator
from xai_layermask.explain.sampling import cosine_kernel
from xai_layermask.metrics import alignment_score, topk_jaccard
from xai_layermask.segments import patches, presence_of


def likeliest(tmp_path, place=0, masked=True):
    """A picture whose label is the model's n-th likeliest class."""
    whole = MaskedClassifier(classifier()).view(item(tmp_path)).whole
    return item(tmp_path, label=int(np.argsort(-whole)[place]), masked=masked)


@pytest.mark.parametrize(("masking", "sampling"), [("grey", "plain"), ("layer", "plain"), ("layer", "orthogonal")])
def test_the_row_is_what_the_explainer_says(masking, sampling, tmp_path):
    made, one = classifier(), likeliest(tmp_path, 1)
    protocol = Lime(samples=40, k=4) if sampling == "plain" else Lime(samples=40, k=4, sampling=sampling)
    (row,) = protocol.rows(MaskedClassifier(made), one, masking, "patches:8", 7)
    explanation = LayerMaskExplainer(
        made, masking=masking, segments="patches:8", n_samples=40, sampling=sampling,
            estimator="ridge", output="probability",
        progress=False, seed=int(random_generator(7, one.name, "lime").integers(2**31)),
    ).explain(one.path, targets=[one.label])  # fmt: skip
    mask = made.preprocess.mask(one.mask())
    assert row["alignment"] == pytest.approx(explanation.alignment(mask))
    assert row["jaccard"] == pytest.approx(explanation.jaccard(mask, 4))
    assert row["r2"] == pytest.approx(explanation.r2[0])
    tensor, picture = made.preprocess(one.path)
    painted, grey = tensor.clone(), made.preprocess.color((123.675, 116.28, 103.53))
    for number in np.argsort(-explanation.scores[0], kind="stable")[:4]:
        painted[0, :, torch.from_numpy(patches(picture, 8) == number)] = grey[0, :, :, 0]
    assert row["ablated"] == made.model(painted).argmax().item()
    assert row["kept"] is True and row["label"] == one.label != row["whole"] and row["segments_count"] == 16


def test_a_picture_whose_label_is_unlikely_is_left_out(tmp_path):
    masked = MaskedClassifier(classifier())
    (row,) = Lime().rows(masked, likeliest(tmp_path, 3), "layer", "patches:8", 0)
    assert set(row) == {"kept", "label", "whole", "probability"} and row["kept"] is False
    assert next(Lime(samples=9, among=4).rows(masked, likeliest(tmp_path, 3), "layer", "patches:8", 0))["kept"]


def test_ablation_has_robustness_and_lime_at_several_shares(tmp_path):
    made, one = classifier(), likeliest(tmp_path)
    protocol = Ablation(fractions=(0.0, 0.5), removals=(0.3, 0.7), samples=30, k=4)
    masked = MaskedClassifier(made)
    rows = list(protocol.rows(masked, one, "layer-threshold:0.2", "patches:8", 7))
    assert {row["variant"] for row in rows} == {"layer-threshold:0.2"}
    robust = [row for row in rows if row["part"] == "robustness"]
    same = removal_rows(masked, one, "layer-threshold:0.2", "patches:8", ("random",), (0.0, 0.5), 7)
    assert robust == [{"part": "robustness", "variant": "layer-threshold:0.2", **row} for row in same]

    tensor, picture = made.preprocess(one.path)
    ids, mask = patches(picture, 8), made.preprocess.mask(one.mask())
    chances = random_generator(7, one.name, "lime").random((30, 16))
    layer = masked.masking("layer-threshold:0.2")
    for row, removed in zip(rows[len(robust) :], (0.3, 0.7), strict=True):
        keep = np.concatenate([np.ones((1, 16), bool), chances[1:] >= removed])
        with torch.inference_mode():
            answers = layer(tensor, presence_of(ids, keep)).double().softmax(1)[:, one.label].numpy()
        weights = cosine_kernel(keep)
        design = np.concatenate([keep, np.ones((30, 1))], axis=1)
        penalty = np.diag([1.0] * 16 + [0.0])  # the intercept is free
        scores = np.linalg.solve((design.T * weights) @ design + penalty, design.T @ (weights * answers))[:16]
        assert row["removed_at"] == removed and row["kept"] is True
        assert row["alignment"] == pytest.approx(alignment_score(scores, ids, mask), abs=1e-4)
        assert row["jaccard"] == pytest.approx(topk_jaccard(scores, ids, mask, 4))


def test_ablation_removes_in_the_orders_that_are_asked_for(tmp_path):
    masked, one = MaskedClassifier(classifier()), item(tmp_path)
    asked = Ablation(orders=("random", "least"), fractions=(0.0, 0.5, 1.0), removals=())
    rows = list(asked.rows(masked, one, "layer", "patches:8", 7))
    same = removal_rows(masked, one, "layer", "patches:8", ("random", "least"), (0.0, 0.5, 1.0), 7)
    assert rows == [{"part": "robustness", "variant": "layer", **row} for row in same]
    assert asked.passes(32, 32, "patches:8") == 1 + 2 + 2


@pytest.mark.parametrize("case", ["unlikely", "no mask", "no label"])
def test_ablation_without_lime_says_so_in_a_row(case, tmp_path):
    one = {
        "unlikely": lambda: likeliest(tmp_path, 3),
        "no mask": lambda: likeliest(tmp_path, masked=False),
        "no label": lambda: item(tmp_path, label=None),
    }[case]()
    masked = MaskedClassifier(classifier())
    rows = list(Ablation(fractions=(0.0,)).rows(masked, one, "layer", "patches:8", 0))
    assert [row["part"] for row in rows] == ["robustness", "lime"] and rows[1]["kept"] is False
    (alone,) = Ablation(fractions=(0.0,), removals=()).rows(masked, one, "layer", "patches:8", 0)
    assert alone == rows[0]
