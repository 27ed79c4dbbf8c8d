"""Sampling stops when the scores of every target are reliable or known."""

from __future__ import annotations

import numpy as np

from xai_layermask.explain.convergence import MAX_SAMPLES, RELIABLE, ROUNDS, has_converged
from xai_layermask.explain.sampling import lime_samples
from xai_layermask.explain.surrogate import fit


def noisy(noise, count=200, segments=10):
    """A fit of two targets: a linear one, and one with noise."""
    samples = lime_samples(segments, count, np.random.default_rng(0))
    linear = samples.coalitions @ np.arange(segments)
    other = linear + noise * np.random.default_rng(1).normal(size=count)
    return fit("lime", samples, np.stack([linear, other], axis=1))


def test_every_target_must_be_reliable():
    assert has_converged(noisy(0.1))
    assert noisy(100.0).reliability[0] > RELIABLE > noisy(100.0).reliability[1]
    assert not has_converged(noisy(100.0))


def test_equal_scores_have_converged_where_they_are_known():
    samples = lime_samples(4, 50, np.random.default_rng(0))
    assert has_converged(fit("lime", samples, np.full((50, 1), 0.3)))


def test_rounds_grow_and_end_at_the_cap():
    steps = np.diff(ROUNDS)
    assert ROUNDS[-1] == MAX_SAMPLES
    assert (steps >= np.array(ROUNDS[:-1]) // 4).all()
