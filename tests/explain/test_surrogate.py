"""Surrogates recover what can be known in closed form, and do not care how segments are numbered."""

from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_layermask import catalog
from xai_layermask.explain.sampling import Samples, cosine_kernel, lime_samples, shap_samples
from xai_layermask.explain.surrogate import METHODS, fit


def ridge(samples, answers):
    return fit("lime", samples, answers)


def kernel_shap(samples, answers):
    return fit("shap", samples, answers)


def drawn(method, segments, count, seed=0):
    return METHODS[method].draw(segments, count, np.random.default_rng(seed))


def game(seed, segments, targets=1):
    """A function of which segments are kept, with interactions; its table gives every choice its answers."""
    table = np.random.default_rng(seed).normal(size=(2**segments, targets))
    return lambda keep: table[(keep * 2 ** np.arange(segments)).sum(axis=1)]


def naive_shapley(answer, segments):
    """The definition: the mean of what a segment adds over all orders."""
    scores = np.zeros(segments)
    for segment in range(segments):
        others = [one for one in range(segments) if one != segment]
        for size in range(segments):
            for chosen in combinations(others, size):
                without = np.zeros((1, segments), dtype=bool)
                without[0, list(chosen)] = True
                with_it = without.copy()
                with_it[0, segment] = True
                added = answer(with_it)[0, 0] - answer(without)[0, 0]
                scores[segment] += added / (segments * comb(segments - 1, size))
    return scores


@given(st.integers(2, 5), st.integers(0, 999))
def test_kernel_shap_over_all_choices_is_the_shapley_value(segments, seed):
    answer = game(seed, segments)
    samples = drawn("shap", segments, 2**segments)
    found = kernel_shap(samples, answer(samples.coalitions))
    np.testing.assert_allclose(found.scores[0], naive_shapley(answer, segments), atol=1e-9)


@given(st.integers(2, 12), st.integers(2, 60), st.integers(0, 99))
def test_kernel_shap_adds_up_whatever_the_samples(segments, count, seed):
    samples = drawn("shap", segments, count, seed)
    answers = game(seed, segments, targets=3)(samples.coalitions)
    found = kernel_shap(samples, answers)
    np.testing.assert_allclose(found.intercept, answers[1])
    np.testing.assert_allclose(found.scores.sum(axis=1) + found.intercept, answers[0], atol=1e-9)


def test_kernel_shap_finds_a_linear_answer_with_few_samples():
    slopes = np.linspace(-1, 1, 40)
    samples = drawn("shap", 40, 160)
    found = kernel_shap(samples, samples.coalitions @ slopes[:, None] + 0.3)
    np.testing.assert_allclose(found.scores[0], slopes, atol=1e-9)
    assert found.intercept[0] == pytest.approx(0.3)
    assert found.r2[0] == pytest.approx(1)


def test_kernel_shap_is_least_squares_with_curves_of_the_size_beside_the_segments():
    samples = METHODS["shap"].draw(7, 100, np.random.default_rng(2), "stratified")
    answers = game(4, 7, targets=2)(samples.coalitions)
    keep, root = samples.coalitions[2:].astype(float), np.sqrt(samples.weights[2:])[:, None]
    even = (answers[0] - answers[1]) / 7
    sizes = keep.sum(axis=1)
    # 98 samples pay for powers of the size up to 6. Six segments are free, the seventh makes up for them.
    design = np.column_stack([keep[:, :-1] - keep[:, -1:], *(sizes**power for power in range(7))])
    rest = answers[2:] - answers[1] - sizes[:, None] * even
    free = np.linalg.lstsq(root * design, root * rest, rcond=None)[0][:6]
    expected = np.concatenate([free, -free.sum(axis=0, keepdims=True)]) + even
    np.testing.assert_allclose(kernel_shap(samples, answers).scores, expected.T, atol=1e-7)


@pytest.mark.parametrize("sampling", catalog.METHODS["shap"].samplings)
def test_kernel_shap_does_not_care_how_answers_bend_with_the_size(sampling):
    samples = METHODS["shap"].draw(20, 200, np.random.default_rng(0), sampling)
    slopes = np.linspace(-1, 1, 20)[:, None]
    bent = (samples.coalitions.sum(axis=1, keepdims=True) / 20) ** 3
    found = kernel_shap(samples, samples.coalitions @ slopes + bent).scores[0]
    np.testing.assert_allclose(found, slopes[:, 0] + 1 / 20, atol=1e-9)


@pytest.mark.parametrize("sampling", catalog.METHODS["shap"].samplings)
def test_every_scheme_comes_to_the_shapley_value(sampling):
    answer = game(2, 7)
    exact = naive_shapley(answer, 7)
    found = []
    for seed in range(150):
        samples = METHODS["shap"].draw(7, 120, np.random.default_rng(seed), sampling)
        found.append(kernel_shap(samples, answer(samples.coalitions)).scores[0])
    doubt = np.std(found, axis=0) / np.sqrt(150)
    assert (np.abs(np.mean(found, axis=0) - exact) < 4 * doubt + 0.01 * exact.std()).all()


@pytest.mark.parametrize("sampling", catalog.METHODS["lime"].samplings)
def test_every_scheme_of_lime_comes_to_the_same_scores(sampling):
    from itertools import product

    answer = game(2, 6)
    keep = np.array(list(product([False, True], repeat=6)))
    weights = 1e9 * cosine_kernel(keep)  # against which the penalty is nothing
    exact = ridge(Samples(keep, weights), answer(keep)).scores[0]
    samples = METHODS["lime"].draw(6, 20_001, np.random.default_rng(0), sampling)
    np.testing.assert_allclose(ridge(samples, answer(samples.coalitions)).scores[0], exact, atol=0.08)


@pytest.mark.parametrize("method", METHODS)
def test_the_regression_is_what_the_fit_solves(method):
    samples = METHODS[method].draw(6, 50, np.random.default_rng(0), catalog.METHODS[method].auto)
    answers = game(3, 6, targets=2)(samples.coalitions)
    rows, values, rest, even, centred, *_ = METHODS[method].regression(samples, answers, False)
    penalty = METHODS[method].alpha
    np.testing.assert_allclose(rest.T @ rest, np.eye(rest.shape[1]), atol=1e-9)
    np.testing.assert_allclose(rest.T @ rows, 0, atol=1e-9)
    solved = np.linalg.pinv(rows.T @ rows + penalty * np.eye(6)) @ rows.T @ values
    np.testing.assert_allclose(even, 0.0 if method == "lime" else (answers[0] - answers[1]) / 6)
    assert centred == (method == "shap")
    np.testing.assert_allclose(fit(method, samples, answers).scores, solved.T + even[:, None], atol=1e-7)


def test_kernel_shap_shares_out_evenly_what_it_knows_nothing_about():
    ends = Samples(np.array([[True] * 4, [False] * 4]), np.zeros(2))
    found = kernel_shap(ends, np.array([[1.0], [0.2]]))
    np.testing.assert_allclose(found.scores, np.full((1, 4), 0.2))
    assert np.isnan(found.r2[0])
    # Samples that are all the same tell no segment from another either.
    same = Samples(np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0], [1, 0, 0]], bool), np.array([0.0, 0.0, 1.0, 1.0]))
    found = kernel_shap(same, np.array([[1.0], [0.1], [0.7], [0.7 + 1e-9]]))
    np.testing.assert_allclose(found.scores, np.full((1, 3), 0.3))


def test_ridge_is_the_weighted_normal_equation():
    samples = drawn("lime", 6, 50)
    answers = game(3, 6, targets=2)(samples.coalitions)
    found = ridge(samples, answers)
    keep, weights = samples.coalitions.astype(float), samples.weights
    centre, level = weights @ keep / weights.sum(), weights @ answers / weights.sum()
    left = (keep - centre).T @ (weights[:, None] * (keep - centre)) + np.eye(6)
    right = (keep - centre).T @ (weights[:, None] * (answers - level))
    expected = np.linalg.solve(left, right).T
    np.testing.assert_allclose(found.scores, expected, atol=1e-9)
    np.testing.assert_allclose(found.intercept, level - expected @ centre, atol=1e-9)


def test_ridge_is_what_lime_fits():
    from lime.lime_base import LimeBase

    samples = drawn("lime", 8, 60)
    answers = game(5, 8)(samples.coalitions)
    base = LimeBase(lambda distances: np.sqrt(np.exp(-(distances**2) / 0.25**2)))
    keep = samples.coalitions.astype(float)
    distances = 1 - keep.sum(axis=1) / np.sqrt(np.maximum(keep.sum(axis=1), 1e-30) * 8)
    intercept, pairs, _, _ = base.explain_instance_with_data(
        keep, answers, distances, 0, 8, feature_selection="none"
    )
    found = ridge(samples, answers)
    np.testing.assert_allclose(found.scores[0], [value for _, value in sorted(pairs)], atol=1e-9)
    assert found.intercept[0] == pytest.approx(intercept)


@pytest.mark.parametrize("method", METHODS)
@given(seed=st.integers(0, 999))
def test_renumbering_segments_renumbers_scores(method, seed):
    samples = drawn(method, 7, 40, seed)
    answers = game(seed, 7, targets=2)(samples.coalitions)
    order = np.random.default_rng(seed).permutation(7)
    found = fit(method, samples, answers)
    renumbered = fit(method, Samples(samples.coalitions[:, order], samples.weights), answers)
    np.testing.assert_allclose(renumbered.scores, found.scores[:, order], atol=1e-8)
    np.testing.assert_allclose(renumbered.r2, found.r2, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_each_target_is_fitted_by_itself(method):
    samples = drawn(method, 5, 24)
    answers = game(1, 5, targets=3)(samples.coalitions)
    together = fit(method, samples, answers)
    for target in range(3):
        alone = fit(method, samples, answers[:, [target]])
        np.testing.assert_allclose(together.scores[target], alone.scores[0], atol=1e-12)
        assert together.intercept[target] == pytest.approx(alone.intercept[0])
        assert together.r2[target] == pytest.approx(alone.r2[0])


@pytest.mark.parametrize("method", METHODS)
def test_equal_answers_speak_for_nothing(method):
    samples = drawn(method, 5, 24)
    found = fit(method, samples, np.full((len(samples.coalitions), 1), 0.7))
    np.testing.assert_allclose(found.scores, 0, atol=1e-12)
    assert found.intercept[0] == pytest.approx(0.7)
    assert np.isnan(found.r2[0])


def test_more_samples_come_nearer_to_the_shapley_value():
    answer = game(2, 9)
    exact = kernel_shap(drawn("shap", 9, 512), answer(drawn("shap", 9, 512).coalitions)).scores
    errors = []
    for count in (60, 500):
        runs = [drawn("shap", 9, count, seed) for seed in range(12)]
        errors.append(np.mean([(kernel_shap(run, answer(run.coalitions)).scores - exact) ** 2 for run in runs]))
    assert errors[1] < errors[0] / 4


def test_lime_draws_and_fits_under_its_name():
    assert METHODS["lime"].draw is lime_samples
    assert METHODS["shap"].draw is shap_samples
