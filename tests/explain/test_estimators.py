"""Estimators: standard errors say how far scores are from those of other draws, leave-one-out R2 what is predicted."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from xai_layermask import catalog
from xai_layermask.explain.estimators import cross_validated, least_squares
from xai_layermask.explain.regression import Regression, lime_regression
from xai_layermask.explain.sampling import Samples, lime_samples, shap_samples
from xai_layermask.explain.surrogate import METHODS, fit


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
        partners = partners if samples.paired else []
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
def test_they_are_the_sandwich_with_the_pairs_of_the_scheme_as_clusters(sampling, segments):
    samples = lime_samples(segments, 60, np.random.default_rng(1), sampling)
    answers = game(samples.coalitions)
    # Which of several equal complements is the partner changes nothing: their answers are equal too.
    errors = fit("lime", samples, answers).standard_errors
    np.testing.assert_allclose(errors[0], naive_errors(samples, answers, 1.0), rtol=1e-6)


@pytest.mark.parametrize(
    ("method", "sampling"), [(name, one) for name in METHODS for one in catalog.METHODS[name].samplings]
)
def test_they_say_how_much_other_draws_differ(method, sampling):
    chosen = METHODS[method]
    scores, predicted = [], []
    for seed in range(60):
        samples = chosen.draw(16, 120, np.random.default_rng(seed), sampling)
        answers = game(samples.coalitions)
        found = fit(method, samples, answers)
        scores.append(found.scores[0])
        predicted.append(found.standard_errors[0] ** 2)
    ratio = np.sqrt(np.mean(predicted) / np.var(scores, axis=0, ddof=1).mean())
    assert 0.85 < ratio < 1.35


def test_each_target_has_its_own():
    samples = shap_samples(8, 100, np.random.default_rng(0), "stratified")
    answers = np.concatenate([game(samples.coalitions, seed) for seed in (1, 2)], axis=1)
    together = fit("shap", samples, answers)
    for target in (0, 1):
        alone = fit("shap", samples, answers[:, [target]])
        np.testing.assert_allclose(together.standard_errors[target], alone.standard_errors[0])
        np.testing.assert_allclose(together.reliability[target], alone.reliability[0])
        np.testing.assert_allclose(together.r2[target], alone.r2[0])


@pytest.mark.parametrize(("method", "sampling"), [("lime", "plain"), ("lime", "paired"), ("shap", "stratified")])
def test_they_are_infinite_where_samples_do_not_tell_segments_apart(method, sampling):
    samples = METHODS[method].draw(40, 40, np.random.default_rng(0), sampling)
    found = fit(method, samples, game(samples.coalitions))
    assert np.isinf(found.standard_errors).all()
    assert found.reliability[0] == 0


def test_what_the_surrogate_explains_entirely_has_none():
    samples = shap_samples(8, 100, np.random.default_rng(0), "plain")
    answers = samples.coalitions @ np.arange(8.0)[:, None]
    found = fit("shap", samples, answers)
    np.testing.assert_allclose(found.standard_errors, 0, atol=1e-9)
    assert found.reliability[0] == pytest.approx(1)


def test_repeated_rows_are_as_good_as_others():
    keep = np.array(list(product([False, True], repeat=2)) * 8)
    samples = Samples(keep, np.ones(len(keep)))
    answers = np.random.default_rng(0).normal(size=(len(keep), 1))
    errors = fit("lime", samples, answers).standard_errors
    assert np.isfinite(errors).all() and (errors > 0).all()


def test_a_regression_is_what_its_parts_say():
    problem = Regression(np.eye(3), np.ones((3, 1)), np.zeros((3, 0)), np.zeros(1), False)
    assert np.isinf(least_squares(problem, Samples(np.eye(3, dtype=bool), np.ones(3))).standard_errors).all()


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_leave_one_out_r2_is_what_refits_say(alpha):
    samples = lime_samples(6, 30, np.random.default_rng(3))
    answers = np.concatenate([game(samples.coalitions, seed) for seed in (1, 2)], axis=1)
    problem = lime_regression(samples, answers)
    found = cross_validated(problem, least_squares(problem, samples, alpha))
    keep, weights = samples.coalitions.astype(float), samples.weights
    missed, without = np.zeros(2), np.zeros(2)
    for row in range(30):
        rest = np.arange(30) != row
        w = weights[rest, None]
        design = np.column_stack([np.ones(29), keep[rest]])
        penalty = alpha * np.diag([0.0] + [1.0] * 6)
        solved = np.linalg.solve(design.T @ (w * design) + penalty, design.T @ (w * answers[rest]))
        missed += weights[row] * (answers[row] - np.append(1.0, keep[row]) @ solved) ** 2
        without += weights[row] * (answers[row] - (w * answers[rest]).sum(axis=0) / w.sum()) ** 2
    np.testing.assert_allclose(found, 1 - missed / without, rtol=1e-9)


@pytest.mark.parametrize("count", [60, 100, 200])
def test_noise_has_no_leave_one_out_r2(count):
    found = []
    for seed in range(10):
        samples = lime_samples(50, count, np.random.default_rng(seed))
        noise = np.random.default_rng(1000 + seed).normal(size=(count, 1))
        found.append(fit("lime", samples, noise).r2[0])
    assert np.mean(found) < 0


def test_r2_is_unknown_where_a_sample_determines_its_own_prediction():
    samples = shap_samples(40, 20, np.random.default_rng(0), "plain")
    assert np.isnan(fit("shap", samples, game(samples.coalitions)).r2).all()


@pytest.mark.parametrize(("method", "sampling"), [("lime", "plain"), ("lime", "orthogonal"), ("shap", "stratified")])
def test_reliability_is_the_correlation_with_the_truth(method, sampling):
    generator, found = np.random.default_rng(5), []
    for seed in range(25):
        truth = generator.normal(size=30)
        samples = METHODS[method].draw(30, 130, np.random.default_rng(seed), sampling)
        answers = samples.coalitions @ truth + 5 * generator.normal(size=len(samples.coalitions))
        one = fit(method, samples, answers[:, None])
        found.append((one.reliability[0], np.corrcoef(one.scores[0], truth)[0, 1]))
    expected, true = np.mean(found, axis=0)
    assert 0.4 < true < 0.9  # neither noise nor certainty, so that the comparison says something
    assert expected == pytest.approx(true, abs=0.08)


def test_exact_shapley_values_are_reliable_and_have_no_error():
    samples = shap_samples(5, 32, np.random.default_rng(0))
    found = fit("shap", samples, game(samples.coalitions))
    assert found.reliability[0] == 1 and (found.standard_errors == 0).all()


@pytest.mark.parametrize(("sampling", "segments", "count"), [("plain", 10, 11), ("paired", 16, 36)])
def test_errors_are_infinite_where_the_rank_is_too_low(sampling, segments, count):
    samples = shap_samples(segments, count, np.random.default_rng(0), sampling)
    # Repeated rows lower the rank as much as the number of equations that count.
    coalitions = samples.coalitions.copy()
    coalitions[4:] = coalitions[2:4].repeat(len(coalitions), axis=0)[: len(coalitions) - 4]
    found = fit("shap", samples._replace(coalitions=coalitions), np.random.default_rng(1).normal(size=(count, 1)))
    assert np.isinf(found.standard_errors).all() and found.reliability[0] == 0


def linear(keep):
    return keep @ np.linspace(-1, 2, keep.shape[1])[:, None]


def even(keep):
    """Equal for a coalition and its complement."""
    return ((keep[:, 0] == keep[:, -1]) & (keep[:, 1] == keep[:, 2]))[:, None] * 1.0


@pytest.mark.parametrize(("method", "segments", "count"), [("lime", 4, 200), ("shap", 6, 60)])
def test_rows_that_are_complements_by_chance_are_independent(method, segments, count):
    scores, errors = [], []
    for seed in range(300):
        samples = METHODS[method].draw(segments, count, np.random.default_rng(seed), "plain")
        found = fit(method, samples, even(samples.coalitions) + 0.3 * linear(samples.coalitions))
        scores.append(found.scores[0])
        errors.append(found.standard_errors[0])
    ratio = np.sqrt(np.square(errors).mean() / np.var(scores, axis=0, ddof=1).mean())
    assert ratio == pytest.approx(1, abs=0.08)
