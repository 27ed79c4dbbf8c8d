"""RISE draws the masks of the paper, estimates the difference that each pixel makes, and states how far to trust it."""

from __future__ import annotations

import numpy as np
import pytest

from xai_layermask import catalog
from xai_layermask.explain.rise import fit_rise, rise_samples

SIZE = (12, 16)
CENTRES = np.stack(np.indices(SIZE), axis=-1).reshape(-1, 2) + 0.0


def masks(count, seed=0, sampling="paired", window=4):
    return rise_samples(CENTRES, SIZE, window, count, np.random.default_rng(seed), sampling)


def naive_mask(uniform, window):
    """One mask by the definition: a random grid, shifted, interpolated at each pixel, present from 0.5 on."""
    rows, columns = (-(-length // window) + 2 for length in SIZE)
    grid = (uniform[2:] < 0.5).reshape(rows, columns)
    found = np.zeros(SIZE, bool)
    for y in range(SIZE[0]):
        for x in range(SIZE[1]):
            v, u = y / window + uniform[0], x / window + uniform[1]
            i, j = int(v), int(u)
            value = 0.0
            for di in (0, 1):
                for dj in (0, 1):
                    value += grid[i + di, j + dj] * (1 - abs(v - i - di)) * (1 - abs(u - j - dj))
            found[y, x] = value >= 0.5
    return found


def test_masks_are_shifted_grids_interpolated_and_thresholded():
    found = masks(7, seed=3, sampling="plain").coalitions
    uniform = np.random.default_rng(3).random((5, 5 * 6 + 2))
    assert found[0].all()
    assert not found[1].any()
    for row, numbers in zip(found[2:], uniform, strict=True):
        np.testing.assert_array_equal(row.reshape(SIZE), naive_mask(numbers, 4))


@pytest.mark.parametrize("sampling", ["plain", "paired"])
def test_half_of_the_masks_show_each_pixel_and_a_smaller_draw_is_a_prefix(sampling):
    found = masks(4002, sampling=sampling).coalitions
    share = found[2:].mean(axis=0)
    assert np.abs(share - 0.5).max() < (0.04 if sampling == "plain" else 1e-12)
    np.testing.assert_array_equal(masks(601, sampling=sampling).coalitions, found[:601])
    # Masks are smooth: neighbours mostly go together, distant pixels do not.
    grid = found[2:].reshape(-1, *SIZE)
    assert (grid[:, :, 1:] == grid[:, :, :-1]).mean() > 0.85
    assert abs((grid[:, :, 9:] == grid[:, :, :-9]).mean() - 0.5) < 0.03


def test_pairs_are_complements():
    rows = masks(101).coalitions[2:]
    np.testing.assert_array_equal(rows[1::2], ~rows[0:98:2])


def test_the_score_is_twice_the_importance_of_the_paper_up_to_a_constant():
    samples = masks(20_002)
    answers = np.random.default_rng(1).normal(size=len(CENTRES)) @ samples.coalitions.T
    found = fit_rise(samples, answers[:, None]).scores[0]
    shown = samples.coalitions[2:].astype(float)
    paper = answers[2:] @ shown / (0.5 * len(shown))
    np.testing.assert_allclose(found - found.mean(), 2 * (paper - paper.mean()), atol=1e-9)


def test_the_score_is_the_difference_of_two_means():
    samples = masks(60, sampling="plain")
    answers = np.random.default_rng(0).normal(size=(60, 2))
    found = fit_rise(samples, answers)
    for target in range(2):
        for pixel in (0, 17, 100):
            there = samples.coalitions[2:, pixel]
            values = answers[2:, target]
            assert found.scores[target, pixel] == pytest.approx(values[there].mean() - values[~there].mean())
            # Welch's standard error, up to the correction for small samples.
            squared = sum(part.var() / len(part) for part in (values[there], values[~there]))
            assert found.standard_errors[target, pixel] == pytest.approx(np.sqrt(squared * 58 / 57))
    np.testing.assert_array_equal(found.intercept, answers[1])
    assert np.isnan(found.r2).all()


def truth(slopes):
    samples = masks(40_002, seed=99)
    return fit_rise(samples, samples.coalitions @ slopes[:, None]).scores[0]


@pytest.mark.parametrize("sampling", ["plain", "paired"])
def test_standard_errors_and_reliability_are_what_repetition_shows(sampling):
    generator = np.random.default_rng(0)
    slopes = np.zeros(SIZE)
    slopes[3:8, 4:10] = 0.1
    slopes, exact = slopes.ravel(), truth(slopes.ravel())
    found, correlation = [], []
    for seed in range(60):
        samples = masks(202, seed, sampling)
        answers = samples.coalitions @ slopes + generator.normal(0, 2.0, len(samples.coalitions))
        found.append(fit_rise(samples, answers[:, None]))
        correlation.append(np.corrcoef(found[-1].scores[0], exact)[0, 1])
    scores, errors = (np.array([getattr(one, name)[0] for one in found]) for name in ("scores", "standard_errors"))
    assert (errors.mean() / scores.std(axis=0).mean()) == pytest.approx(1, abs=0.07)
    assert np.abs((scores - exact) / errors).mean() == pytest.approx(np.sqrt(2 / np.pi), abs=0.1)
    reliability = np.array([one.reliability[0] for one in found])
    assert reliability.mean() == pytest.approx(np.mean(correlation), abs=0.06)
    assert 0.5 < reliability.mean() < 0.95


def test_noise_is_not_reliable_and_a_linear_answer_is():
    generator = np.random.default_rng(0)
    noise, linear = [], []
    for seed in range(40):
        samples = masks(202, seed)
        noise.append(fit_rise(samples, generator.normal(size=(202, 1))).reliability[0])
        many = masks(2002, seed)
        linear.append(fit_rise(many, many.coalitions[:, [40]] * 1.0).reliability[0])
    assert np.mean(noise) < 0.4
    assert max(noise) < 0.9
    assert min(linear) > 0.95


def test_constant_predictions_score_nothing_without_doubt():
    found = fit_rise(masks(50), np.full((50, 1), 0.3))
    assert not found.scores.any()
    assert not found.standard_errors.any()
    assert found.reliability[0] == 0


def test_two_masks_say_nothing():
    samples = masks(3, sampling="plain")
    found = fit_rise(samples, np.array([[1.0], [0.0], [0.5]]))
    assert np.isinf(found.standard_errors).all()
    assert found.reliability[0] == 0


@pytest.mark.parametrize("sampling", ["plain", "paired"])
@pytest.mark.parametrize("kind", ["linear", "even", "both"])
def test_standard_errors_are_the_spread_with_few_segments(sampling, kind):
    # With 4 segments, most of 200 independent masks have a complement by chance.
    centres = np.stack(np.indices((2, 2)), axis=-1).reshape(-1, 2) * 10 + 4.5
    scores, errors = [], []
    for seed in range(400):
        samples = rise_samples(centres, (20, 20), 10, 200, np.random.default_rng(seed), sampling)
        keep = samples.coalitions
        even = (keep[:, 0] == keep[:, 3]) & (keep[:, 1] == keep[:, 2])  # equal for a mask and its complement
        answers = (kind != "even") * (keep @ np.linspace(-1, 2, 4)) + (kind != "linear") * even
        found = fit_rise(samples, answers[:, None])
        scores.append(found.scores[0])
        errors.append(found.standard_errors[0])
    spread, stated = np.sqrt(np.var(scores, axis=0, ddof=1).mean()), np.sqrt(np.square(errors).mean())
    if (sampling, kind) == ("paired", "even"):
        assert max(spread, stated) < 1e-9  # cancels within each pair
    else:
        assert stated / spread == pytest.approx(1, abs=0.06)


def test_pairs_are_worth_half_of_their_masks_where_effects_add_up():
    slopes = np.random.default_rng(0).normal(size=(len(CENTRES), 1))
    errors = {}
    for sampling in ("plain", "paired"):
        samples = masks(1000, sampling=sampling)
        errors[sampling] = np.sqrt((fit_rise(samples, samples.coalitions @ slopes).standard_errors ** 2).mean())
    assert errors["paired"] / errors["plain"] == pytest.approx(np.sqrt(2), rel=0.1)
    assert catalog.METHODS["rise"].auto == "plain"


def test_the_mean_of_a_single_prediction_has_no_known_error():
    samples = masks(4, sampling="plain")
    found = fit_rise(samples, np.random.default_rng(0).normal(size=(4, 1)))
    assert np.isinf(found.standard_errors).all()
    assert found.reliability[0] == 0
    samples = masks(7, sampling="plain")
    once = np.minimum(samples.coalitions[2:].sum(axis=0), (~samples.coalitions[2:]).sum(axis=0)) < 2
    found = fit_rise(samples, np.random.default_rng(0).normal(size=(7, 1)))
    np.testing.assert_array_equal(np.isinf(found.standard_errors[0]), once)
    assert once.any() and not once.all()
