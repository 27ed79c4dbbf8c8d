from __future__ import annotations

import numpy as np
import pytest
import torch

from xai_layermask import LayerMask, LayerMaskExplainer, Preprocess
from xai_layermask.engine.precision import LIMIT, noise, runs_bfloat16
from xai_layermask.explain import predictor as predictors
from xai_layermask.explain.predictor import Predictor
from xai_layermask.segments import patches


def test_noise_is_the_error_in_parts_of_the_spread():
    exact = np.random.default_rng(0).normal(size=(40, 2))
    error = np.random.default_rng(1).normal(size=(40, 2)) * [0.01, 0.3]
    pairs = zip(exact.T, error.T, strict=True)
    shares = [np.sqrt(np.mean((e - e.mean()) ** 2) / np.mean((x - x.mean()) ** 2)) for x, e in pairs]
    assert noise(exact, exact + error) == pytest.approx(max(shares))
    assert shares[0] < LIMIT < shares[1]


def test_the_same_error_everywhere_is_no_noise():
    exact = np.array([[0.0], [1.0], [2.0]])
    assert noise(exact, exact + 0.5) == 0
    assert noise(exact * 0, exact * 0) == 0


def test_bfloat16_by_way_of_float32_is_not_taken_for_fast(monkeypatch):
    for name in [name for name in dir(torch.cpu) if name.startswith("_is_")]:
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert not runs_bfloat16(torch.device("cpu"))
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True, raising=False)
    assert runs_bfloat16(torch.device("cpu"))


def network(scale):
    """A network whose logits are large numbers with small differences where scale is large."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(8, 3),
    )  # fmt: skip
    torch.nn.init.constant_(model[-1].bias, scale)
    return model.eval()


@pytest.mark.parametrize(("scale", "expected"), [(0.0, "bfloat16"), (1000.0, "float32")])
def test_auto_takes_bfloat16_only_where_the_answers_survive_it(scale, expected, monkeypatch):
    monkeypatch.setattr(predictors, "runs_bfloat16", lambda device: True)
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    options = {"segments": "patches:4", "n_samples": 300, "preprocess": Preprocess(32, 32), "progress": False}
    chosen = LayerMaskExplainer(network(scale), **options).explain(picture)
    exact = LayerMaskExplainer(network(scale), precision="float32", **options).explain(picture)
    assert chosen.settings.precision == expected
    assert np.corrcoef(chosen.scores[0], exact.scores[0])[0, 1] > 0.98


def test_auto_keeps_float32_where_bfloat16_is_not_fast(monkeypatch):
    monkeypatch.setattr(predictors, "runs_bfloat16", lambda device: False)
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    explainer = LayerMaskExplainer(
        network(0.0), segments="patches:4", n_samples=300, preprocess=Preprocess(32, 32), progress=False
    )
    assert explainer.explain(picture).settings.precision == "float32"


def test_a_predictor_keeps_the_precision_that_it_chose():
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    segments = patches(np.zeros((32, 32, 3), np.uint8), 8)
    keep = np.random.default_rng(0).random((8, 16)) < 0.5

    def answers(autocast):
        predictor = Predictor(LayerMask(network(0.0)), image, segments, autocast)
        return predictor.predict(keep, [0], 4).probabilities

    done = []
    predictor = Predictor(LayerMask(network(0.0)), image, segments)
    assert np.array_equal(predictor.choose_precision(keep, [0], 4, done.append).probabilities, answers(False))
    assert done == [4, 4]
    assert predictor.autocast
    assert np.array_equal(predictor.predict(keep, [0], 4).probabilities, answers(True))
    assert not np.array_equal(answers(True), answers(False))
