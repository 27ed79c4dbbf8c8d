"""Curves of an explanation are those of the prediction that it explains."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from xai_layermask import LayerMaskExplainer, Output, Preprocess
from xai_layermask.errors import InputError
from xai_layermask.explain import can_remove, removals


class Scaled(nn.Module):
    """A classifier whose logits a further input scales."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, x, scale=1.0):
        return self.inner(x) * scale


PICTURE = np.random.default_rng(0).random((16, 16, 3))


def explainer(output="probability"):
    return LayerMaskExplainer(
        Scaled(), masking="grey", segments="patches:8", n_samples=16, preprocess=Preprocess(16, 16), output=output,
        progress=False,
    )  # fmt: skip


def test_curves_begin_at_the_prediction():
    own = explainer()
    explanation = own.explain(PICTURE, top=2)
    for found, probability in zip(removals(own, explanation, PICTURE, k=1), explanation.probabilities, strict=True):
        assert found.deletion.values[0] == pytest.approx(probability, abs=1e-6)
        assert found.insertion.values[-1] == pytest.approx(probability, abs=1e-6)


@pytest.mark.parametrize(
    ("output", "options"),
    [
        ("probability", {"additional_forward_args": torch.tensor(5.0)}),
        ("probability", {"channels": [0]}),
        (Output("probability", given="logits"), {}),
        (Output("value"), {"targets": 0}),
    ],
)
def test_what_curves_would_not_show_is_refused(output, options):
    own = explainer(output)
    explanation = own.explain(PICTURE, **options)
    assert not can_remove([explanation])
    with pytest.raises(InputError, match="expected an explanation of classes of a softmax, without missing pixels"):
        removals(own, explanation, PICTURE)


def test_another_picture_is_refused():
    own = explainer()
    with pytest.raises(InputError, match="expected the picture of the explanation for img, got another picture"):
        removals(own, own.explain(PICTURE), 1 - PICTURE)


def test_a_class_in_a_map_has_no_curves():
    segmenter = nn.Conv2d(3, 2, 3, padding=1)
    own = LayerMaskExplainer(
        segmenter, masking="grey", segments="patches:8", n_samples=16, preprocess=Preprocess(16, 16), progress=False
    )
    explanation = own.explain(PICTURE)
    assert explanation.targets[0] >= 0
    assert not can_remove([explanation])
    with pytest.raises(InputError, match="expected an explanation of classes of a softmax"):
        removals(own, explanation, PICTURE)
