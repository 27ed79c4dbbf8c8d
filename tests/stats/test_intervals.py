"""Intervals, against loops that draw pictures one set after another."""

from __future__ import annotations

import math

import numpy as np
import pytest

from xai_layermask.metrics import auc, class_entropy
from xai_layermask.stats import intervals
from xai_layermask.stats.derived import Area, Average, Difference
from xai_layermask.stats.intervals import Interval, estimate, joined, paired
from xai_layermask.stats.statistic import Entropy, Mean, Pairs

RNG = np.random.default_rng(5)
NAN = float("nan")


def naive(count, number):
    """Draw sets of pictures and give the numbers of all of them."""
    generator = np.random.default_rng(0)
    return np.array([number(generator.integers(count, size=count)) for _ in range(2000)])


def ends(numbers):
    return [pytest.approx(float(one)) for one in np.quantile(numbers, [0.025, 0.975])]


def test_the_interval_of_a_mean():
    values = RNG.random(15)
    found = estimate(Mean(values))[0]
    assert found.value == pytest.approx(values.mean())
    assert [found.low, found.high] == ends(naive(15, lambda drawn: values[drawn].mean()))
    assert found.low < found.value < found.high
    assert found.n == 15


def test_the_interval_of_a_mean_of_some_pictures():
    values = np.array([1.0, NAN, 0.0, 1.0, NAN, 0.5])
    found = estimate(Mean(values))[0]
    assert (found.value, found.n) == (0.625, 4)
    numbers = naive(6, lambda drawn: np.nanmean(values[drawn]) if np.isfinite(values[drawn]).any() else NAN)
    assert [found.low, found.high] == ends(numbers[np.isfinite(numbers)])


def test_the_interval_of_an_area_under_a_curve():
    heights, x = RNG.random((12, 3)), [0.0, 0.3, 1.0]
    found = estimate(Area(Mean(heights), x))[0]
    assert [found.low, found.high] == ends(naive(12, lambda drawn: auc(x, heights[drawn].mean(axis=0))))


def test_the_interval_of_a_paired_difference_is_that_of_the_differences():
    first = RNG.random(12)
    second = first - 0.1 + RNG.normal(size=12) * 0.01
    found = estimate(Difference(Mean(first), Mean(second)))[0]
    assert [found.low, found.high] == ends(naive(12, lambda drawn: (first - second)[drawn].mean()))
    # What the pictures have in common is no part of it.
    alone = estimate(Mean(first))[0]
    assert found.high - found.low < (alone.high - alone.low) / 5


def test_the_interval_of_an_entropy_is_recomputed_and_stands_round_its_value():
    predictions = RNG.integers(0, 5, 20)
    found = estimate(Entropy(predictions))[0]
    numbers = naive(20, lambda drawn: class_entropy(predictions[drawn]))
    value = class_entropy(predictions)
    assert numbers.mean() < value  # a resample has fewer classes
    shifted = np.clip(numbers - numbers.mean() + value, 0, math.log(20))
    assert [found.low, found.high] == ends(shifted)


def test_an_entropy_never_exceeds_what_so_many_pictures_can_have():
    found = estimate(Entropy(range(30)))[0]
    assert found.value == pytest.approx(math.log(30))
    assert found.low < found.value
    assert found.high == pytest.approx(math.log(30))


def test_the_interval_of_a_mean_over_pairs():
    units = RNG.normal(size=(8, 3))
    table = units @ units.T

    def number(drawn):
        return np.mean([table[i, j] for i in drawn for j in drawn if i != j])

    found = estimate(Pairs([table]))[0]
    assert found.value == pytest.approx(number(np.arange(8)))
    assert [found.low, found.high] == ends(naive(8, number))


def test_many_pictures_are_drawn_and_weighed_in_parts(monkeypatch):
    values = RNG.random(20)
    whole = estimate(Mean(values))[0]
    intervals._weights.cache_clear()
    monkeypatch.setattr(intervals, "_NUMBERS", 70)
    found = estimate(Mean(values))[0]
    assert [found.low, found.high] == pytest.approx([whole.low, whole.high])


def test_many_pictures_are_drawn_less_often(monkeypatch):
    values = RNG.random(20)
    monkeypatch.setattr(intervals, "_DRAWS", 20 * 500)
    assert estimate(Mean(values))[0] == estimate(Mean(values), resamples=500)[0]
    monkeypatch.setattr(intervals, "_DRAWS", 1)
    assert estimate(Mean(values))[0] == estimate(Mean(values), resamples=400)[0]


def test_the_seed_makes_two_calls_the_same():
    values = RNG.random(15)
    assert estimate(Mean(values), seed=1)[0] == estimate(Mean(values), seed=1)[0]
    assert estimate(Mean(values), seed=1)[0] != estimate(Mean(values), seed=2)[0]


@pytest.mark.parametrize(("values", "value", "n"), [([0.5], 0.5, 1), ([NAN, 1.0], 1.0, 1), ([NAN], NAN, 0)])
def test_fewer_than_two_pictures_have_no_interval(values, value, n):
    found = estimate(Mean(values))[0]
    assert found.value == pytest.approx(value, nan_ok=True)
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert found.n == n


def test_some_columns_may_have_an_interval_and_others_none():
    found = estimate(Mean([[0.0, NAN], [1.0, 1.0]]))
    assert np.isfinite(found.low[0])
    assert np.isnan(found.low[1])
    np.testing.assert_array_equal(found.n, [2, 1])


def test_joined_numbers_stand_side_by_side():
    one = Interval(0.5, 0.4, 0.6, 9)
    found = joined([one, None])
    assert found[0] == one
    assert math.isnan(found[1].value)
    assert found[1].n == 0


def test_pairing_finds_what_both_have_and_says_what_only_one_has():
    found = paired(["d", "a", "c"], ["b", "c", "d", "e"])
    assert found.first == (0, 2)
    assert found.second == (2, 1)
    assert (found.only_first, found.only_second) == (1, 2)


def test_nothing_in_common():
    found = paired(["a"], ["b"])
    assert (found.first, found.second, found.only_first, found.only_second) == ((), (), 1, 1)


def test_two_pictures_have_one_pair_and_no_interval():
    table = np.array([[1.0, 0.5, NAN], [0.5, 1.0, NAN], [NAN, NAN, NAN]])
    two, three = Pairs([table]), Pairs([[[1, 0.1, 0.2], [0.1, 1, 0.4], [0.2, 0.4, 1]]])
    for statistic in (two, Difference(two, three), Area(Pairs([table, table]), [0, 1]), Average([three, two])):
        found = estimate(statistic)[0]
        assert math.isfinite(found.value) and found.n == 2
        assert math.isnan(found.low) and math.isnan(found.high)
    found = estimate(three)[0]
    assert found.low < found.value < found.high
