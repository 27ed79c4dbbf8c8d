"""What is drawn: its shape, its distribution, its weights, and that the generator alone decides."""

from __future__ import annotations

import tracemalloc
from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import pairwise_distances

from xai_layermask.errors import InputError
from xai_layermask.explain.sampling import (
    LIME_SCHEMES,
    SHAP_SCHEMES,
    cosine_kernel,
    lime_samples,
    shap_samples,
    shapley_kernel,
)

SCHEMES = [(lime_samples, one) for one in LIME_SCHEMES] + [(shap_samples, one) for one in SHAP_SCHEMES]


@given(st.integers(1, 12), st.integers(1, 20), st.integers(0, 99))
def test_the_cosine_kernel_is_that_of_lime(segments, rows, seed):
    keep = np.random.default_rng(seed).random((rows, segments)) < 0.5
    distances = pairwise_distances(keep.astype(float), np.ones((1, segments)), metric="cosine").ravel()
    np.testing.assert_allclose(cosine_kernel(keep), np.sqrt(np.exp(-(distances**2) / 0.25**2)), atol=1e-12)


@pytest.mark.parametrize(("draw", "sampling"), SCHEMES)
@given(segments=st.integers(7, 30), count=st.integers(2, 60), seed=st.integers(0, 99))
def test_everything_comes_first_and_fewer_samples_are_a_prefix(draw, sampling, segments, count, seed):
    samples = draw(segments, count, np.random.default_rng(seed), sampling)
    more = draw(segments, count + 17, np.random.default_rng(seed), sampling)
    assert samples.coalitions.shape == (count, segments)
    assert samples.coalitions[0].all()
    np.testing.assert_array_equal(samples.coalitions, more.coalitions[:count])
    np.testing.assert_array_equal(samples.weights, more.weights[:count])


def test_lime_keeps_every_segment_with_probability_one_half_and_independently():
    keep = lime_samples(20, 20_000, np.random.default_rng(1)).coalitions[1:].astype(float)
    np.testing.assert_allclose(keep.mean(axis=0), 0.5, atol=0.015)
    correlation = np.corrcoef(keep.T) - np.eye(20)
    assert np.abs(correlation).max() < 0.03


@pytest.mark.parametrize("count", [2, 3, 6])
def test_the_shapley_kernel_is_its_formula(count):
    keep = np.array(list(product([False, True], repeat=count)))
    for row, weight in zip(keep, shapley_kernel(keep), strict=True):
        size = int(row.sum())
        expected = 0 if size in (0, count) else (count - 1) / (comb(count, size) * size * (count - size))
        assert weight == pytest.approx(expected)


def test_the_shapley_kernel_of_thousands_of_segments_is_finite():
    keep = np.zeros((3, 3000), dtype=bool)
    keep[1, 0] = keep[2, :1500] = True
    weights = shapley_kernel(keep)
    assert weights[1] == pytest.approx(1 / 3000)
    assert weights[2] == 0  # below the smallest float


@given(st.integers(2, 6), st.integers(0, 40))
def test_shap_takes_every_choice_once_where_that_is_no_more_work(segments, spare):
    samples = shap_samples(segments, 2**segments + spare, np.random.default_rng(0))
    assert {tuple(row) for row in samples.coalitions} == set(product([False, True], repeat=segments))
    assert len(samples.coalitions) == 2**segments
    np.testing.assert_array_equal(samples.weights, shapley_kernel(samples.coalitions))


@given(st.integers(5, 80), st.integers(2, 31), st.integers(0, 99))
def test_shap_draws_complements_in_pairs_and_never_an_end(segments, count, seed):
    samples = shap_samples(segments, count, np.random.default_rng(seed))
    assert samples.coalitions.shape == (count, segments)
    assert samples.coalitions[0].all()
    assert not samples.coalitions[1].any()
    drawn = samples.coalitions[2:]
    sizes = drawn.sum(axis=1)
    assert np.all((sizes > 0) & (sizes < segments))
    paired = len(drawn) // 2 * 2
    np.testing.assert_array_equal(drawn[0:paired:2], ~drawn[1:paired:2])
    np.testing.assert_array_equal(samples.weights, [0, 0] + [1] * (count - 2))


def test_shap_draws_sizes_as_the_kernel_weighs_them():
    segments = 8
    sizes = shap_samples(segments, 255, np.random.default_rng(0)).coalitions[2:].sum(axis=1)
    for seed in range(1, 60):
        more = shap_samples(segments, 255, np.random.default_rng(seed)).coalitions[2:].sum(axis=1)
        sizes = np.concatenate([sizes, more])
    found = np.bincount(sizes, minlength=segments + 1)[1:-1] / len(sizes)
    expected = np.array([1 / (size * (segments - size)) for size in range(1, segments)])
    np.testing.assert_allclose(found, expected / expected.sum(), atol=0.015)


@pytest.mark.parametrize("sampling", ["paired", "stratified", "orthogonal"])
def test_every_scheme_of_lime_keeps_segments_with_probability_one_half(sampling):
    runs = [lime_samples(9, 33, np.random.default_rng(seed), sampling).coalitions[1:] for seed in range(400)]
    keep = np.stack(runs).astype(float)
    np.testing.assert_allclose(keep.mean(axis=(0, 1)), 0.5, atol=1e-9)  # within each run already
    np.testing.assert_allclose(keep.mean(axis=0), 0.5, atol=0.1)  # and each row by itself
    sizes = np.bincount(keep.sum(axis=2).astype(int).ravel(), minlength=10) / keep[..., 0].size
    np.testing.assert_allclose(sizes, [comb(9, size) / 2**9 for size in range(10)], atol=0.015)


def test_pairs_of_lime_are_complements():
    for sampling in ("paired", "stratified"):
        drawn = lime_samples(12, 41, np.random.default_rng(3), sampling).coalitions[1:]
        np.testing.assert_array_equal(drawn[::2], ~drawn[1::2])


@given(st.integers(2, 40), st.integers(0, 99))
def test_stratified_sizes_of_lime_follow_the_binomial_distribution(segments, seed):
    first = lime_samples(segments, 129, np.random.default_rng(seed), "stratified").coalitions[1::2]
    found = np.bincount(first.sum(axis=1), minlength=segments + 1)
    expected = [64 * comb(segments, size) / 2**segments for size in range(segments + 1)]
    assert np.abs(found.cumsum() - np.cumsum(expected)).max() <= 1 + 1e-9


@given(st.integers(1, 40), st.integers(0, 99))
def test_orthogonal_blocks_are_balanced_for_each_segment_and_every_two(segments, seed):
    order = next(2**power for power in range(1, 8) if 2**power > segments)
    keep = lime_samples(segments, 1 + 4 * order, np.random.default_rng(seed), "orthogonal").coalitions[1:]
    blocks = keep.reshape(4, order, segments)
    np.testing.assert_array_equal(blocks[1::2], ~blocks[::2])
    for block in blocks:
        for one in range(segments):
            assert block[:, one].sum() * 2 == order
            for other in range(one):
                assert (block[:, one] & block[:, other]).sum() * 4 == order


@given(st.integers(7, 40), st.integers(0, 99))
def test_stratified_sizes_of_shap_are_equally_frequent_and_weigh_what_the_kernel_says(segments, seed):
    samples = shap_samples(segments, 66, np.random.default_rng(seed), "stratified")
    sizes = samples.coalitions[2:].sum(axis=1)
    found = np.bincount(sizes, minlength=segments)[1:]
    assert found.max() - found.min() <= 2
    assert np.abs(found.cumsum() - 64 * np.arange(1, segments) / (segments - 1)).max() <= 1 + 1e-9
    chances = np.array([1 / (size * (segments - size)) for size in range(1, segments)])
    expected = (segments - 1) * chances / chances.sum()
    np.testing.assert_allclose(samples.weights, [0, 0, *expected[sizes - 1]])


@given(st.integers(8, 40), st.integers(0, 99))
def test_leverage_sampling_draws_all_sizes_equally_often_in_complementary_pairs(segments, seed):
    samples = shap_samples(segments, 2 + 128, np.random.default_rng(seed), "leverage")
    drawn = samples.coalitions[2:]
    np.testing.assert_array_equal(drawn[::2], ~drawn[1::2])
    sizes = drawn.sum(axis=1)
    found = np.bincount(sizes[::2], minlength=segments)[1:]
    assert found.max() - found.min() <= 2
    chances = np.array([1 / (size * (segments - size)) for size in range(1, segments)])
    np.testing.assert_allclose(samples.weights, [0, 0, *((segments - 1) * chances / chances.sum())[sizes - 1]])


def test_stratified_subsets_of_shap_are_random():
    runs = [shap_samples(7, 50, np.random.default_rng(seed), "stratified").coalitions[2:] for seed in range(300)]
    keep = np.concatenate(runs)
    for size in range(1, 7):
        rows = keep[keep.sum(axis=1) == size]
        np.testing.assert_allclose(rows.mean(axis=0), size / 7, atol=0.05)


@pytest.mark.parametrize("draw", [lime_samples, shap_samples])
def test_an_unknown_scheme_is_refused(draw):
    with pytest.raises(InputError, match=r"expected one of plain, .* for sampling, got 'pair'"):
        draw(5, 9, np.random.default_rng(0), "pair")


@pytest.mark.parametrize(("draw", "sampling"), SCHEMES)
def test_the_generator_alone_decides(draw, sampling):
    first = draw(30, 40, np.random.default_rng(7), sampling).coalitions
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    np.testing.assert_array_equal(draw(30, 40, np.random.default_rng(7), sampling).coalitions, first)
    assert not np.array_equal(draw(30, 40, np.random.default_rng(8), sampling).coalitions, first)
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002


def test_a_few_samples_of_thousands_of_segments_take_little_memory():
    tracemalloc.start()
    few = lime_samples(3000, 9, np.random.default_rng(0), "orthogonal").coalitions
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert few.shape == (9, 3000)
    assert most < 2e6
