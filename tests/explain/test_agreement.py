"""Agreement is compared with what noise allows; explanations with shared samples are refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from explained import SETTINGS, explanation

from xai_layermask.errors import InputError
from xai_layermask.explain import agreement, fit, kernels, lime_samples


def noisy(seed, truth, noise, segments):
    """An explanation of a linear model with noise, from samples of its own."""
    samples = lime_samples(len(truth), 200, np.random.default_rng(seed))
    answers = samples.coalitions @ truth + noise * np.random.default_rng(100 + seed).normal(size=200)
    found = fit("lime", samples, answers[:, None].repeat(2, axis=1), kernels(segments))
    return explanation(
        segments=segments, picture=np.zeros((*segments.shape, 3)), scores=found.scores,
        standard_errors=found.standard_errors, reliability=found.reliability, settings=replace(SETTINGS, seed=seed),
    )  # fmt: skip


@pytest.mark.parametrize("noise", [2.0, 6.0])
def test_the_same_truth_agrees_up_to_the_ceiling(noise):
    segments = np.arange(36).reshape(6, 6)
    found = []
    for seed in range(0, 24, 2):
        truth = np.random.default_rng(seed).normal(size=36)
        found.append(agreement(noisy(seed, truth, noise, segments), noisy(seed + 1, truth, noise, segments)))
    correlation, ceiling = np.mean(found, axis=0)
    assert 0.2 < ceiling < 0.95
    assert correlation == pytest.approx(ceiling, abs=0.12)


def test_unrelated_truths_do_not_agree():
    segments = np.arange(36).reshape(6, 6)
    truths = np.random.default_rng(0).normal(size=(12, 2, 36))
    found = [
        agreement(noisy(2 * i, one, 1.0, segments), noisy(2 * i + 1, other, 1.0, segments))
        for i, (one, other) in enumerate(truths)
    ]
    correlation, ceiling = np.mean(found, axis=0)
    assert abs(correlation) < 0.2 and ceiling > 0.9


def test_shared_samples_and_other_segments_are_refused():
    with pytest.raises(InputError, match="expected explanations with different seeds, got seed 3 twice"):
        agreement(explanation(), explanation(1))
    other = explanation(segments=np.arange(16)[None] // 4 + 0 * np.arange(16)[:, None])
    with pytest.raises(InputError, match="expected explanations of the same segments"):
        agreement(explanation(), other)


def test_equal_scores_correlate_with_nothing():
    one = explanation(scores=np.ones((2, 4)))
    assert np.isnan(agreement(one, explanation(settings=replace(SETTINGS, seed=4))).correlation)
