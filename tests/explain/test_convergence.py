"""Standard errors say how far scores are from those of other draws; rounds end where they are small."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from xai_layermask import catalog
from xai_layermask.explain.convergence import MAX_SAMPLES, ROUNDS, has_converged, standard_errors
from xai_layermask.explain.sampling import Samples, lime_samples, shap_samples
from xai_layermask.explain.surrogate import METHODS, Regression


def game(keep, seed=0):
    """Bends with what is kept, with interactions of two and three segments."""
    generator = np.random.default_rng(seed)
    count = keep.shape[1]
    one, two, three = generator.integers(0, count, (3, 2 * count))
    raw = keep @ generator.normal(size=count) + (keep[:, one] & keep[:, two]) @ generator.normal(size=2 * count)
    raw = raw + (keep[:, one] & keep[:, two] & keep[:, three]) @ generator.normal(size=2 * count)
    return np.tanh(raw / np.sqrt(count))[:, None]


def naive_errors(samples, answers, alpha):
    """LIME's: the whole regression written out, residuals of each pair divided by the root of what they keep."""
    keep, root = samples.coalitions.astype(float), np.sqrt(samples.weights)
    design = root[:, None] * np.column_stack([np.ones(len(keep)), keep])
    penalty = np.diag([0.0] + [alpha] * keep.shape[1])
    inverse = np.linalg.inv(design.T @ design + penalty)
    missed = root * answers[:, 0] - design @ inverse @ design.T @ (root * answers[:, 0])
    hat = design @ inverse @ design.T
    groups, left = [], list(range(len(keep)))
    while left:
        first = left.pop(0)
        partners = [row for row in left if (samples.coalitions[row] == ~samples.coalitions[first]).all()]
        left = [row for row in left if row not in partners[:1]]
        groups.append([first, *partners[:1]])
    total = np.zeros(keep.shape[1] + 1)
    for group in groups:
        values, vectors = np.linalg.eigh(np.eye(len(group)) - hat[np.ix_(group, group)])
        adjusted = vectors @ np.diag(values**-0.5) @ vectors.T @ missed[group]
        total += (inverse @ design[group].T @ adjusted) ** 2
    return np.sqrt(total[1:])


@pytest.mark.parametrize("sampling", catalog.METHODS["lime"].samplings)
@pytest.mark.parametrize("segments", [3, 9])
def test_they_are_the_sandwich_with_pairs_as_clusters(sampling, segments):
    samples = lime_samples(segments, 60, np.random.default_rng(1), sampling)
    answers = game(samples.coalitions)
    problem = METHODS["lime"].regression(samples, answers)
    # Which of several equal complements is the partner changes nothing: their answers are equal too.
    errors = standard_errors(problem, samples.coalitions)
    np.testing.assert_allclose(errors[0], naive_errors(samples, answers, 1.0), rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "sampling"), [(name, one) for name, entry in catalog.METHODS.items() for one in entry.samplings]
)
def test_they_say_how_much_other_draws_differ(method, sampling):
    chosen = METHODS[method]
    scores, predicted = [], []
    for seed in range(60):
        samples = chosen.draw(16, 120, np.random.default_rng(seed), sampling)
        answers = game(samples.coalitions)
        scores.append(chosen.fit(samples, answers).scores[0])
        predicted.append(standard_errors(chosen.regression(samples, answers), samples.coalitions)[0] ** 2)
    found = np.sqrt(np.mean(predicted) / np.var(scores, axis=0, ddof=1).mean())
    assert 0.85 < found < 1.35


def test_each_target_has_its_own():
    samples = shap_samples(8, 100, np.random.default_rng(0), "stratified")
    answers = np.concatenate([game(samples.coalitions, seed) for seed in (1, 2)], axis=1)
    regression = METHODS["shap"].regression
    together = standard_errors(regression(samples, answers), samples.coalitions)
    for target in (0, 1):
        alone = standard_errors(regression(samples, answers[:, [target]]), samples.coalitions)
        np.testing.assert_allclose(together[target], alone[0])


@pytest.mark.parametrize(("method", "sampling"), [("lime", "plain"), ("lime", "paired"), ("shap", "stratified")])
def test_they_are_infinite_where_samples_do_not_tell_segments_apart(method, sampling):
    samples = METHODS[method].draw(40, 40, np.random.default_rng(0), sampling)
    errors = standard_errors(METHODS[method].regression(samples, game(samples.coalitions)), samples.coalitions)
    assert np.isinf(errors).all()
    assert not has_converged(np.ones((1, 40)), errors)


def test_what_the_surrogate_explains_entirely_has_none():
    samples = shap_samples(8, 100, np.random.default_rng(0), "plain")
    answers = samples.coalitions @ np.arange(8.0)[:, None]
    problem = METHODS["shap"].regression(samples, answers)
    np.testing.assert_allclose(standard_errors(problem, samples.coalitions), 0, atol=1e-9)


def test_repeated_rows_are_as_good_as_others():
    keep = np.array(list(product([False, True], repeat=2)) * 8)
    samples = Samples(keep, np.ones(len(keep)))
    answers = np.random.default_rng(0).normal(size=(len(keep), 1))
    errors = standard_errors(METHODS["lime"].regression(samples, answers), keep)
    assert np.isfinite(errors).all() and (errors > 0).all()


def test_scores_are_settled_where_every_target_is():
    scores = np.array([[0.0, 1.0, 2.0], [0.0, 0.1, 0.2]])
    assert has_converged(scores, np.full((2, 3), 0.01))
    assert not has_converged(scores, np.full((2, 3), 0.1))
    assert has_converged(scores[:1], np.full((1, 3), 0.1))


def test_equal_scores_are_settled_where_they_are_known():
    assert has_converged(np.zeros((1, 4)), np.zeros((1, 4)))
    assert not has_converged(np.zeros((1, 4)), np.full((1, 4), 0.1))


def test_rounds_grow_by_at_least_a_quarter_and_end_at_the_cap():
    steps = np.diff(ROUNDS)
    assert ROUNDS[-1] == MAX_SAMPLES
    assert (steps[:-1] >= np.array(ROUNDS[:-2]) // 4).all()


def test_a_regression_is_what_its_parts_say():
    problem = Regression(np.eye(3), np.ones((3, 1)), np.zeros((3, 0)), 0.0)
    assert np.isinf(standard_errors(problem, np.eye(3, dtype=bool))).all()
