"""Whether an explanation runs in 16 bits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xai_layermask import LayerMask, LayerMaskExplainer, Preprocess
from xai_layermask.engine import runtime
from xai_layermask.explain.predictor import Predictor
from xai_layermask.segments import patches


def network(scale):
    """A network whose logits are large numbers with small differences where scale is large."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(8, 3),
    )  # fmt: skip
    torch.nn.init.constant_(model[-1].bias, scale)
    return model.eval()


@pytest.mark.parametrize(
    ("scale", "fast", "expected"),
    [
        (0.0, "bfloat16", "bfloat16"), (1000.0, "bfloat16", "float32"),
        (0.0, "float16", "float16"), (3e4, "float16", "float32"), (1e5, "float16", "float32"),  # the last is infinite
    ],
)  # fmt: skip
def test_auto_takes_16_bits_only_where_the_answers_survive_it(scale, fast, expected, monkeypatch):
    monkeypatch.setattr(runtime, "autocast_dtype", lambda device: getattr(torch, fast))
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    options = {"segments": "patches:4", "n_samples": 300, "preprocess": Preprocess(32, 32), "progress": False}
    chosen = LayerMaskExplainer(network(scale), **options).explain(picture)
    exact = LayerMaskExplainer(network(scale), precision="float32", **options).explain(picture)
    assert chosen.settings.precision == expected
    assert np.corrcoef(chosen.scores[0], exact.scores[0])[0, 1] > 0.98


def test_auto_keeps_float32_where_bfloat16_is_not_fast(monkeypatch):
    monkeypatch.setattr(runtime, "autocast_dtype", lambda device: None)
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
        return predictor.predict(keep, predictor.targets(0), 4).values

    done = []
    predictor = Predictor(LayerMask(network(0.0)), image, segments)
    first = predictor.choose_precision(torch.bfloat16, keep, predictor.targets(0), 4, done.append)
    assert np.array_equal(first.values, answers(None))
    assert done == [4, 4]
    assert predictor.autocast == torch.bfloat16
    assert np.array_equal(predictor.predict(keep, predictor.targets(0), 4).values, answers(torch.bfloat16))
    assert not np.array_equal(answers(torch.bfloat16), answers(None))
