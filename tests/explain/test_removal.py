"""Occlusion and ablation remove each window and each segment once; scores are what the prediction loses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import FeatureAblation, Occlusion
from torch import nn

from xai_layermask import LayerMaskExplainer, Preprocess
from xai_layermask.errors import InputError
from xai_layermask.explain.removal import ablation_samples, fit_removal, occlusion_samples
from xai_layermask.images import sample_photograph
from xai_layermask.maskings import Fill
from xai_layermask.models import Output

SIDE = 32
PLAIN = Preprocess(SIDE, SIDE, mean=(0, 0, 0), std=(1, 1, 1))


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.body = nn.Sequential(nn.Conv2d(3, 6, 3, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
                                      nn.Linear(96, 3))

    def forward(self, x):
        return self.body(x)


def explained(method, **options):
    model = Small().eval()
    explainer = LayerMaskExplainer(
        model, method, masking="black", preprocess=PLAIN, progress=False, output=Output("logit"), **options
    )
    return model, explainer.explain(sample_photograph()[:200, :200], targets=[0, 2])


def black(model, explanation):
    image = torch.from_numpy(np.array(explanation.picture)).permute(2, 0, 1)[None] / 255
    return Fill(model, "black", PLAIN).bind(image)


def test_ablation_is_feature_ablation():
    model, one = explained("ablation", segments="slic:9")
    bound = black(model, one)
    mask = torch.from_numpy(np.array(one.segments))[None, None]
    for row, target in enumerate(one.targets):
        found = FeatureAblation(bound).attribute(bound.presence, target=target, feature_mask=mask)[0, 0]
        np.testing.assert_allclose(one.heatmap(target), found.detach().numpy(), atol=1e-5)
        assert one.reliability[row] == 1
    assert not one.standard_errors.any()
    assert one.settings.n_samples == one.scores.shape[1] + 2
    assert one.settings.window is None
    assert one.advice == ""


def test_occlusion_is_a_sliding_window():
    model, one = explained("occlusion", segments="patches:4", window=8)
    bound = black(model, one)
    for target in one.targets:
        found = Occlusion(bound).attribute(bound.presence, (1, 8, 8), (1, 4, 4), target=target)[0, 0]
        np.testing.assert_allclose(one.heatmap(target), found.detach().numpy(), atol=1e-5)
    assert one.settings.n_samples == 7 * 7 + 2
    assert one.settings.window == 8


def test_the_empty_picture_gives_the_intercept():
    model, one = explained("ablation", segments="patches:16")
    with torch.no_grad():
        np.testing.assert_allclose(one.intercept, model(torch.zeros(1, 3, SIDE, SIDE))[0, [0, 2]], atol=1e-6)


@pytest.mark.parametrize(("size", "window"), [((7, 10), 4), ((3, 5), 9), ((8, 8), 2), ((1, 1), 2)])
def test_windows_cover_every_pixel_and_stay_inside(size, window):
    centres = np.stack(np.indices(size), axis=-1).reshape(-1, 2) + 0.0
    rows = ~occlusion_samples(centres, size, window).coalitions[2:]
    assert rows.any(axis=0).all()
    assert (rows.sum(axis=1) == min(window, size[0]) * min(window, size[1])).all()
    assert len(np.unique(rows, axis=0)) == len(rows)


def test_removal_scores_a_linear_function_by_its_slopes():
    slopes = np.array([0.5, -0.25, 0.0])
    samples = ablation_samples(3)
    found = fit_removal(samples, samples.coalitions @ slopes[:, None] + 0.1)
    np.testing.assert_allclose(found.scores, slopes[None])
    assert found.intercept[0] == pytest.approx(0.1)
    assert np.isnan(found.r2[0])
    assert fit_removal(samples, np.full((5, 1), 0.2)).reliability[0] == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"method": "ablation", "n_samples": 500},
         "^expected 'auto' for n_samples of method 'ablation', got 500: it removes each segment once$"),
        ({"method": "occlusion", "n_samples": 500}, "got 500: it visits each window once$"),
        ({"method": "rise", "n_samples": 3},
         "^expected an integer of at least 4 or 'auto' for n_samples of method 'rise', got 3$"),
        ({"method": "lime", "window": 8},
         "^expected 'auto' for window of method 'lime', got 8: only rise and occlusion remove windows$"),
        ({"method": "rise", "window": 1}, "^expected an integer of at least 2 or 'auto' for window, got 1$"),
        ({"method": "rise", "estimator": "spatial"}, "^expected one of auto, mean for estimator of method 'rise'"),
        ({"method": "ablation", "sampling": "paired"}, "^expected one of auto, all for sampling of method 'ablation'"),
        ({"method": "kernel_shap"}, "got 'kernel_shap': did you mean 'shap'"),
    ],
)
def test_options_that_do_not_fit_a_method_are_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        LayerMaskExplainer(Small(), **options)


@pytest.mark.parametrize(("method", "window"), [("occlusion", SIDE), ("occlusion", 1000), ("rise", 1_000_000)])
def test_a_window_that_removes_all_segments_at_once_is_refused(method, window):
    sentence = f"^expected a window smaller than the picture of {SIDE} x {SIDE} pixels, got {window}, which removes all"
    with pytest.raises(InputError, match=sentence):
        explained(method, segments="patches:4", window=window)


@pytest.mark.parametrize("method", ["rise", "occlusion", "ablation"])
def test_missing_pixels_do_not_play(method):
    valid = np.ones((64, 64), bool)
    valid[:, 48:] = False
    explainer = LayerMaskExplainer(
        Small(), method, segments="patches:8", preprocess=PLAIN, progress=False,
        **({"n_samples": 60} if method == "rise" else {}),
    )
    one = explainer.explain(sample_photograph()[:64, :64], valid=valid)
    assert one.played.tolist() == [True] * 12 + [False]
    assert (one.scores[:, -1] == 0).all()
