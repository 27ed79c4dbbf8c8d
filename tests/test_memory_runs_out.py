"""When memory runs out, every loop over batches goes on with smaller ones, and the result is the same."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
import torch
from tiny import SIDE, classifier
from torch import nn

from xai_layermask import Fill, LayerMask
from xai_layermask.engine import executor
from xai_layermask.experiments.protocols import MaskedClassifier
from xai_layermask.explain.predictor import Predictor
from xai_layermask.images import Preprocess
from xai_layermask.metrics.ablator import probabilities
from xai_layermask.models import Classifier
from xai_layermask.segments import presence_of

SEGMENTS = np.arange(16).reshape(4, 4).repeat(8, 0).repeat(8, 1)
COALITIONS = np.random.default_rng(0).random((11, 16)) < 0.5
PICTURE = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
PREPROCESS = Preprocess(SIDE, SIDE)
BATCHES = defaultdict(list)  # by memory; copies of a network share it


class Small(nn.Module):
    """A network on a device with memory for a few images."""

    def __init__(self, most):
        super().__init__()
        self.network, self.most = classifier().model, most

    def forward(self, x):
        BATCHES[self.most].append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return self.network(x)


def experiments(model):
    made = MaskedClassifier(Classifier(model, PREPROCESS, (), "small"), "float32", batch_size=8)
    return made.predict(made.to_image(PICTURE), "black", SEGMENTS, COALITIONS)


def metrics(model):
    image = PREPROCESS(PICTURE).tensor
    masking = Fill(model, "black", PREPROCESS)
    return probabilities(masking, image, lambda rows: presence_of(SEGMENTS, COALITIONS[rows]), len(COALITIONS), 8)


def arrays(model):
    masking = Fill(model, "black", PREPROCESS)
    return masking.predict_proba(PICTURE[None], presence_of(SEGMENTS, COALITIONS), PREPROCESS)


@pytest.mark.parametrize("loop", [experiments, metrics, arrays])
def test_the_loop_halves_its_batches(loop):
    BATCHES.clear()
    expected = loop(Small(1000))
    assert max(BATCHES[1000]) > 4
    np.testing.assert_allclose(loop(Small(2)), expected, atol=1e-6)
    assert max(BATCHES[2]) > 4  # tried, and given up
    assert 2 in BATCHES[2]


def test_an_explanation_goes_on_after_the_allocator_failed_in_the_engine(monkeypatch):
    model, fill, failed = classifier().model, executor.fill, []

    def limited(x, *rest):
        if len(x) > 3:
            failed.append(len(x))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return fill(x, *rest)

    predictor = Predictor(LayerMask(model), PREPROCESS(PICTURE).tensor, SEGMENTS)
    targets = predictor.targets(0)
    expected = predictor.predict(COALITIONS, targets, 8).values
    monkeypatch.setattr(executor, "fill", limited)
    found = predictor.predict(COALITIONS, targets, 8)
    assert (failed, found.batch_size) == ([8, 4], 2)
    np.testing.assert_allclose(found.values, expected, atol=1e-5)


@pytest.mark.parametrize("loop", [experiments, metrics, arrays])
def test_a_single_image_that_does_not_fit_is_an_error(loop):
    with pytest.raises(torch.OutOfMemoryError):
        loop(Small(0))
