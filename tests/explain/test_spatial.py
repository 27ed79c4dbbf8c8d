"""The spatial prior helps where neighbours score alike, gives way where they do not, and knows its own errors."""

from __future__ import annotations

import numpy as np
import pytest

from xai_layermask.explain.regression import lime_regression, shap_regression
from xai_layermask.explain.sampling import lime_samples, shap_samples
from xai_layermask.explain.spatial import MAX_SEGMENTS, kernels, spatial
from xai_layermask.explain.surrogate import METHODS, fit

SIDE = 10
SEGMENTS = np.kron(np.arange(SIDE * SIDE).reshape(SIDE, SIDE), np.ones((4, 4), np.int64))
KERNELS = kernels(SEGMENTS)
ROWS, COLUMNS = np.divmod(np.arange(SIDE * SIDE), SIDE)
TRUTHS = {
    "noise": np.zeros(SIDE * SIDE),
    "one segment": (np.arange(SIDE * SIDE) == 45).astype(float),
    "checkerboard": (ROWS + COLUMNS) % 2 - 0.5,
    "object": np.exp(-((ROWS - 4) ** 2 + (COLUMNS - 5) ** 2) / 6),
    "half": (COLUMNS > 4).astype(float),
}


def explained(name, count, seed, noise=1.0):
    """Fits of a linear model with as much noise as signal: with the spatial prior, and published."""
    truth = TRUTHS[name]
    samples = lime_samples(len(truth), count, np.random.default_rng(seed))
    spread = max(np.sqrt((truth**2).sum() / 4), 0.5)
    answers = samples.coalitions @ truth + noise * spread * np.random.default_rng(1000 + seed).normal(size=count)
    return fit("lime", samples, answers[:, None], KERNELS), fit("lime", samples, answers[:, None])


def test_noise_is_scored_flat():
    for seed in range(5):
        found, published = explained("noise", 150, seed)
        assert np.abs(found.scores).max() < 0.2 * np.abs(published.scores).max()
        assert (np.abs(found.scores) < 1.96 * found.standard_errors).all()
        assert found.reliability[0] < 0.5
        assert found.r2[0] < 0.1
        assert found.prior[0].signal < 0.15


def test_one_decisive_segment_is_not_smeared():
    for seed in range(3):
        scores = explained("one segment", 300, seed, noise=0.5)[0].scores[0]
        assert scores.argmax() == 45 and scores[45] > 0.8
        assert np.abs(np.delete(scores, 45)).max() < 0.2


@pytest.mark.parametrize(
    ("name", "gain"), [("object", 0.5), ("half", 0.6), ("checkerboard", 1.05), ("one segment", 1.05)]
)
def test_errors_are_smaller_where_neighbours_agree_and_no_larger_elsewhere(name, gain):
    errors = []
    for seed in range(6):
        runs = explained(name, 200, seed)
        errors.append([((one.scores[0] - TRUTHS[name]) ** 2).mean() for one in runs])
    spatial_error, published_error = np.sqrt(np.mean(errors, axis=0))
    assert spatial_error < gain * published_error


@pytest.mark.parametrize("name", ["object", "half", "checkerboard", "one segment"])
@pytest.mark.parametrize("count", [150, 400])
def test_it_knows_its_own_errors(name, count):
    missed, expected, inside, reliable = [], [], [], []
    for seed in range(6):
        found = explained(name, count, seed)[0]
        error = found.scores[0] - TRUTHS[name]
        missed.append((error**2).mean())
        expected.append((found.standard_errors**2).mean())
        inside.append(np.abs(error) < 1.96 * found.standard_errors[0])
        reliable.append((found.reliability[0], np.corrcoef(found.scores[0], TRUTHS[name])[0, 1]))
    assert 0.75 < np.sqrt(np.mean(expected) / np.mean(missed)) < 1.5
    assert np.mean(inside) > 0.88
    predicted, true = np.mean(reliable, axis=0)
    assert predicted == pytest.approx(true, abs=0.12)


def interacting(network, samples):
    """Predictions with as much interaction as signal, which differ between networks."""
    count = samples.coalitions.shape[1]
    draw = np.random.default_rng(network)
    (linear, triple), pairs = draw.normal(size=(2, count)), draw.normal(size=(count, count)) / np.sqrt(count)
    signs = 2.0 * samples.coalitions - 1
    threes = signs * np.roll(signs, 1, 1) * np.roll(signs, 2, 1)
    return (samples.coalitions @ linear + 0.6 * ((signs @ pairs) * signs).sum(1) + 0.7 * threes @ triple)[:, None]


@pytest.mark.parametrize("sampling", ["plain", "paired"])
@pytest.mark.parametrize("side", [2, 3, 4])
def test_errors_with_few_segments_are_those_of_other_draws(side, sampling):
    """With few segments, interactions and LIME's weights vary most between draws."""
    segments = np.arange(side * side).reshape(side, side)
    missed, expected = [], []
    for network in range(12):
        draws = [lime_samples(side * side, 150, np.random.default_rng(seed), sampling) for seed in range(12)]
        draws.append(lime_samples(side * side, 20000, np.random.default_rng(99), sampling))
        fits = [fit("lime", one, interacting(network, one), kernels(segments)) for one in draws]
        missed.append(np.mean([(one.scores - fits[-1].scores) ** 2 for one in fits[:-1]]))
        expected.append(np.mean([one.standard_errors**2 for one in fits[:-1]]))
    assert 0.8 < np.sqrt(np.mean(expected) / np.mean(missed)) < 1.2


def test_rows_of_unequal_weight_count_less():
    samples = lime_samples(4, 60, np.random.default_rng(0))
    problem = lime_regression(samples, np.zeros((60, 1)))
    assert problem.efficiency == pytest.approx(np.sum(samples.weights) ** 2 / (60 * np.sum(samples.weights**2)))
    assert problem.efficiency < 0.8
    assert lime_regression(samples._replace(weights=np.full(60, 3.0)), np.zeros((60, 1))).efficiency == 1


def test_the_strength_says_how_far_the_prior_went():
    smooth, rough = (explained(name, 300, 0)[0].prior[0] for name in ("object", "checkerboard"))
    assert smooth.length > 0.08 and smooth.share > 0.7
    assert rough.share < 0.2
    assert smooth.signal == pytest.approx(0.5, abs=0.2)


def naive(problem, kernel, ratio):
    """Posterior mean and covariance of the coefficients, and the marginal likelihood, by the textbook."""
    features, values = problem.features, problem.values[:, 0]
    count, columns = features.shape
    covariance = np.eye(columns) if kernel.covariance is None else kernel.covariance
    prior = ratio * covariance / (np.trace(features @ covariance @ features.T) / count)
    if problem.centred:
        centre = np.eye(columns) - 1 / columns
        prior = centre @ prior @ centre
    gain = prior @ features.T @ np.linalg.inv(np.eye(count) + features @ prior @ features.T)
    # The nuisance terms are projected out: their directions carry no evidence.
    sign, logarithm = np.linalg.slogdet(np.eye(count) + features @ prior @ features.T)
    freedom = problem.efficiency * count - problem.nuisance.shape[1]
    noise = values @ np.linalg.solve(np.eye(count) + features @ prior @ features.T, values) / freedom
    evidence = -0.5 * freedom * np.log(noise) - 0.5 * sign * logarithm
    return gain @ values, noise * (prior - gain @ features @ prior), evidence


@pytest.mark.parametrize("count", [20, 60])
@pytest.mark.parametrize("regression", [lime_regression, shap_regression])
def test_it_is_the_average_of_textbook_posteriors(regression, count, monkeypatch):
    monkeypatch.setattr("xai_layermask.explain.spatial._SIGNALS", np.array([0.1, 1.0, 10.0]))
    monkeypatch.setattr("xai_layermask.explain.spatial._NEGLIGIBLE", 0.0)
    segments = np.arange(30).reshape(5, 6)
    draw = lime_samples if regression is lime_regression else shap_samples
    samples = draw(30, count, np.random.default_rng(0), "paired")
    answers = np.random.default_rng(1).normal(size=(count, 1)) + samples.coalitions[:, :8].sum(axis=1, keepdims=True)
    problem = regression(samples, answers)
    # Rows of weight 0 are none; the textbook does not know that.
    used = np.abs(problem.nuisance).max(axis=1) > 1e-9
    problem = problem._replace(
        features=problem.features[used], values=problem.values[used], nuisance=problem.nuisance[used]
    )
    chosen = kernels(segments)[::3]
    runs = [naive(problem, kernel, ratio) for kernel in chosen for ratio in (0.1, 1.0, 10.0)]
    chances = np.exp([evidence - max(run[2] for run in runs) for _, _, evidence in runs])
    chances /= chances.sum()
    mean = sum(chance * run[0] for chance, run in zip(chances, runs, strict=True))
    second = sum(chance * (np.diag(run[1]) + run[0] ** 2) for chance, run in zip(chances, runs, strict=True))
    found, _ = spatial(problem, chosen)
    np.testing.assert_allclose(found.coefficients[0], mean, atol=1e-6)
    np.testing.assert_allclose(found.standard_errors[0], np.sqrt(second - mean**2), rtol=1e-4)


def test_a_linear_model_is_found_exactly():
    truth = np.linspace(-1, 1, SIDE * SIDE)
    samples = lime_samples(SIDE * SIDE, 300, np.random.default_rng(0))
    found = fit("lime", samples, samples.coalitions @ truth[:, None], KERNELS)
    np.testing.assert_allclose(found.scores[0], truth, atol=2e-3)
    assert found.r2[0] > 0.999 and found.reliability[0] > 0.999


def test_kernel_shap_adds_up_and_is_exact_over_all_coalitions():
    segments = np.arange(6).reshape(2, 3)
    for count in (30, 64):
        samples = shap_samples(6, count, np.random.default_rng(0), "stratified")
        answers = np.random.default_rng(1).normal(size=(count, 2))
        found = fit("shap", samples, answers, kernels(segments))
        np.testing.assert_allclose(found.scores.sum(axis=1) + found.intercept, answers[0], atol=1e-9)
    np.testing.assert_allclose(found.scores, fit("shap", samples, answers).scores, atol=1e-12)
    assert found.prior is None


def test_equal_predictions_have_no_scores_and_no_errors():
    samples = lime_samples(SIDE * SIDE, 50, np.random.default_rng(0))
    found = fit("lime", samples, np.full((50, 1), 0.7), KERNELS)
    assert not found.scores.any() and not found.standard_errors.any()
    assert np.isnan(found.r2[0]) and found.prior[0].signal == 0


def test_too_many_segments_are_independent():
    assert [one.length for one in kernels(np.arange(MAX_SEGMENTS + 1)[None])] == [0.0]
    assert len(kernels(np.arange(64)[None])) > 1


@pytest.mark.parametrize(("method", "sampling"), [("lime", "paired"), ("lime", "orthogonal"), ("shap", "paired")])
def test_what_complements_share_is_no_noise(method, sampling):
    # Products of two signs are equal for a coalition and its complement.
    segments = np.arange(36).reshape(6, 6)
    samples = METHODS[method].draw(36, 258, np.random.default_rng(0), sampling)
    signs = 2.0 * samples.coalitions - 1
    truth = np.linspace(-1, 1, 36)
    answers = (samples.coalitions @ truth + 3 * (signs[:, :-1] * signs[:, 1:]) @ np.cos(np.arange(35)))[:, None]
    shared = fit(method, samples, answers, kernels(segments))
    expected = truth if method == "lime" else truth - truth.mean() + shared.scores[0].mean()
    # Only the grand coalition is without its complement in LIME's samples.
    assert np.corrcoef(shared.scores[0], expected)[0, 1] > 0.99
    assert np.sqrt(((shared.scores[0] - expected) ** 2).mean()) < 0.1 * truth.std()
    assert shared.reliability[0] > 0.97
    # The surrogate explains none of it, and says so.
    assert shared.r2[0] < 0.2


def test_differences_of_complements_are_what_the_rows_say():
    samples = lime_samples(9, 41, np.random.default_rng(0), "paired")
    answers = np.random.default_rng(1).normal(size=(41, 2))
    problem = lime_regression(samples, answers, paired=True)
    assert problem.features.shape == (21, 9)
    pairs = [(row, row + 1) for row in range(1, 41, 2)]
    weight = [np.sqrt((samples.weights[a] + samples.weights[b]) / 2) for a, b in pairs]
    expected = [w * (answers[a] - answers[b]) / np.sqrt(2) for w, (a, b) in zip(weight, pairs, strict=True)]
    # A pair's difference has two solutions by sign, with features of the same sign.
    found = sorted(np.abs(problem.values[:, 0]).tolist())
    np.testing.assert_allclose(found, sorted([0.0, *(abs(one[0]) for one in expected)]), atol=1e-12)
    sums = np.array([(answers[a] + answers[b]) / np.sqrt(2) for a, b in pairs])
    mean = (np.square(weight) @ sums) / np.square(weight).sum()
    np.testing.assert_allclose(problem.even, np.square(weight) @ (sums - mean) ** 2)


def test_samples_that_say_nothing_leave_all_doubt():
    samples = shap_samples(36, 2, np.random.default_rng(0), "stratified")
    found = fit("shap", samples, np.array([[0.9], [0.1]]), kernels(np.arange(36).reshape(6, 6)))
    assert np.isinf(found.standard_errors).all() and found.reliability[0] == 0
