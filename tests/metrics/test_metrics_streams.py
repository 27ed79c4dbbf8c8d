"""The streams give what their pure functions give, picture after picture."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest
import torch

from xai_layermask import metrics
from xai_layermask.errors import InputError

SEGMENTS = np.array([[0, 1, 2], [0, 3, 3]])
RANDOM = np.random.default_rng(5)
SCORES = RANDOM.normal(size=(6, 4))
MASKS = RANDOM.random((6, 2, 3))
IMAGES = torch.as_tensor(RANDOM.random((6, 3, 2, 3)), dtype=torch.float32)


class Columns:
    name = "columns"

    def __call__(self, image, presence):
        return (image * presence).sum((1, 2)) * 3


@pytest.mark.parametrize(
    ("stream", "arguments", "single"),
    [
        (metrics.AlignmentScore(), lambda n: (SCORES[n], SEGMENTS, MASKS[n]), metrics.alignment_score),
        (
            metrics.TopKJaccard(k=2),
            lambda n: (SCORES[n], SEGMENTS, MASKS[n]),
            lambda *inputs: metrics.topk_jaccard(*inputs, k=2),
        ),
        (metrics.Linearity(), lambda n: (SCORES[n], SCORES[:n] + 1), metrics.linearity),
        (
            metrics.SymmetricRelevanceGain(Columns(), steps=2),
            lambda n: (IMAGES[n : n + 1], SCORES[n], SEGMENTS, n % 3),
            lambda *inputs: metrics.symmetric_relevance_gain(Columns(), *inputs, steps=2),
        ),
    ],
    ids=["alignment", "jaccard", "linearity", "gain"],
)
def test_a_stream_is_the_mean_of_its_function(stream, arguments, single):
    assert math.isnan(stream.compute())
    expected = [single(*arguments(n)) for n in range(1, 6)]
    assert [stream.update(*arguments(n)) for n in range(1, 6)] == expected == stream.values
    assert stream.compute() == pytest.approx(statistics.fmean(expected)) and stream.undefined == 0
    stream.reset()
    assert stream.values == [] and math.isnan(stream.compute())
    assert stream.update(*arguments(1)) == expected[0]
    assert stream.compute() == expected[0]


def test_undefined_pictures_are_counted_and_left_out():
    stream = metrics.AlignmentScore()
    stream.update(SCORES[0], SEGMENTS, np.zeros((2, 3)))
    assert math.isnan(stream.compute()) and stream.undefined == 1
    value = stream.update(SCORES[0], SEGMENTS, MASKS[0])
    assert stream.compute() == value and stream.undefined == 1 and len(stream.values) == 2


def test_ablation_in_pieces_is_ablation_of_the_set():
    stream = metrics.TopKAblation(Columns(), k=2)
    whole = metrics.topk_ablation(Columns(), IMAGES, SCORES, SEGMENTS, k=2)
    assert stream.update(IMAGES[:1], SCORES[0], SEGMENTS).unchanged == whole.unchanged[:1]
    stream.update(IMAGES[1:], SCORES[1:], SEGMENTS)
    assert stream.values == list(map(float, whole.unchanged))
    assert stream.compute() == pytest.approx(whole.accuracy)
    assert (stream.masking.name, stream.k) == (whole.masking, whole.k)


def test_ablation_takes_targets():
    stream = metrics.TopKAblation(Columns(), k=1)
    assert stream.update(IMAGES[:2], SCORES[:2], SEGMENTS, targets=[2, 1]).targets == (2, 1)


@pytest.mark.parametrize(
    ("stream", "single"),
    [
        (metrics.UnchangedPredictions(), metrics.unchanged_predictions),
        (metrics.WordNetSimilarity(), metrics.wordnet_similarity),
    ],
    ids=["unchanged", "wordnet"],
)
def test_batches_of_predictions_of_any_size(stream, single):
    one, other = RANDOM.integers(0, 4, 9), RANDOM.integers(0, 4, 9)
    stream.update(one[0], other[0])
    stream.update(torch.tensor(one[1:4]), torch.tensor(other[1:4]))
    stream.update(one[4:], other[4:])
    assert stream.compute() == pytest.approx(single(one, other)) and len(stream.values) == 9
    with pytest.raises(InputError, match="of the same pictures, got 2 and 1 classes"):
        stream.update([1, 2], [1])
    assert len(stream.values) == 9
    stream.reset()
    assert math.isnan(stream.compute())


def test_entropy_of_all_predictions_not_the_mean_of_entropies():
    stream = metrics.ClassEntropy()
    assert math.isnan(stream.compute())
    for predictions in ([1, 1], 2, torch.tensor([2, 3])):
        stream.update(predictions)
    assert stream.compute() == pytest.approx(metrics.class_entropy([1, 1, 2, 2, 3]))
    stream.reset()
    assert stream.predictions == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.TopKJaccard(k=0), r"^expected an integer of at least 1 for k"),
        (lambda: metrics.TopKAblation(Columns(), k=0.5), r"^expected an integer of at least 1 for k"),
        (lambda: metrics.TopKAblation("grey"), r"^expected a callable .* for masking"),
        (lambda: metrics.SymmetricRelevanceGain("grey"), r"^expected a callable .* for masking"),
        (lambda: metrics.SymmetricRelevanceGain(Columns(), steps=0), r"^expected an integer of at least 1 for steps"),
    ],
)
def test_settings_are_checked_at_once(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_everything_public_is_there():
    assert sorted(metrics.__all__) == metrics.__all__
    assert all(hasattr(metrics, name) for name in metrics.__all__)
