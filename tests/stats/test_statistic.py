"""Statistics of weighted pictures, against the same statistics of pictures that are written out."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pytest

from xai_layermask.errors import InputError
from xai_layermask.metrics import auc, class_entropy
from xai_layermask.stats.derived import Area, Average, Difference, Exponent
from xai_layermask.stats.statistic import ClassMean, Entropy, Mean, Pairs

RNG = np.random.default_rng(3)
WEIGHTS = np.array([RNG.multinomial(7, np.full(7, 1 / 7)) for _ in range(20)], dtype=float)
NAN = float("nan")


def written_out(weights):
    """The places of the pictures, each as often as it counts."""
    return np.repeat(np.arange(len(weights)), weights.astype(int))


def test_mean_leaves_out_what_is_not_defined():
    values = RNG.normal(size=(7, 3))
    values[2, 0] = values[5, 1] = NAN
    found = Mean(values)
    np.testing.assert_array_equal(found.counts, [6, 6, 7])
    np.testing.assert_array_equal(found.defined, [True, True, False, True, True, False, True])
    for row, weights in zip(found(WEIGHTS), WEIGHTS, strict=True):
        for place in range(3):
            column = [value for value in values[written_out(weights), place] if not math.isnan(value)]
            assert row[place] == pytest.approx(sum(column) / len(column))


def test_mean_of_nothing_is_not_defined():
    found = Mean([NAN, NAN])
    assert found.counts == [0]
    assert np.isnan(found(np.ones((1, 2)))).all()


def test_every_class_counts_the_same():
    values, classes = RNG.random(7), np.array([4, 4, 4, 9, 9, 2, 2])
    values[3] = NAN
    found = ClassMean(values, classes)
    for row, weights in zip(found(WEIGHTS), WEIGHTS, strict=True):
        drawn = written_out(weights)
        means = []
        for kind in (2, 4, 9):
            members = [values[place] for place in drawn if classes[place] == kind and not math.isnan(values[place])]
            if members:
                means.append(sum(members) / len(members))
        assert row[0] == pytest.approx(sum(means) / len(means))


def test_entropy_is_that_of_the_metrics():
    predictions = RNG.integers(0, 4, (7, 2))
    for row, weights in zip(Entropy(predictions)(WEIGHTS), WEIGHTS, strict=True):
        for place in range(2):
            assert row[place] == pytest.approx(class_entropy(predictions[written_out(weights), place]))


def test_entropy_leaves_out_what_is_not_defined():
    found = Entropy([[1.0, NAN], [NAN, NAN], [2.0, NAN]])
    value = found(np.ones((1, 3)))[0]
    assert value[0] == pytest.approx(math.log(2))
    assert math.isnan(value[1])
    np.testing.assert_array_equal(found.counts, [2, 0])


def test_pairs_are_of_different_pictures():
    table = RNG.random((7, 7))
    table += table.T
    table[1, 4] = table[4, 1] = NAN
    for row, weights in zip(Pairs([table])(WEIGHTS), WEIGHTS, strict=True):
        drawn = written_out(weights)
        values = [table[i, j] for i, j in permutations(drawn, 2) if i != j and not math.isnan(table[i, j])]
        assert row[0] == pytest.approx(sum(values) / len(values))


def test_pairs_leave_the_table_as_it_is():
    table = np.ones((2, 2))
    Pairs([table])
    np.testing.assert_array_equal(table, np.ones((2, 2)))


def test_area_is_the_metrics_area_from_0_to_1_and_a_mean_height_elsewhere():
    heights = RNG.random((7, 4))
    x = [0.0, 0.2, 0.7, 1.0]
    found = Area(Mean(heights), x)(WEIGHTS)
    halved = Area(Mean(heights), [one / 2 for one in x])(WEIGHTS)
    for row, half, weights in zip(found, halved, WEIGHTS, strict=True):
        assert row[0] == pytest.approx(auc(x, heights[written_out(weights)].mean(axis=0)))
        assert half[0] == pytest.approx(row[0])


def test_the_mean_rule_of_an_area_ignores_distances():
    heights = RNG.random((7, 3))
    for row, weights in zip(Area(Mean(heights), [0.0, 0.1, 1.0], rule="mean")(WEIGHTS), WEIGHTS, strict=True):
        assert row[0] == pytest.approx(heights[written_out(weights)].mean())


def test_an_average_is_the_mean_of_its_parts_on_the_same_pictures():
    first, second = RNG.random((7, 2)), RNG.random((7, 2))
    second[3] = np.nan
    found = Average([Mean(first), Mean(second)])
    np.testing.assert_allclose(found(WEIGHTS), (Mean(first)(WEIGHTS) + Mean(second)(WEIGHTS)) / 2)
    assert found.counts.tolist() == [6, 6] and found.defined.sum() == 6


def test_the_exponent_of_a_power_is_that_power_and_points_at_zero_are_left_out():
    x = [16.0, 32.0, 112.0]
    for power in (0.0, 1.3, 2.0):
        curve = np.array([[3 * one**power for one in x]] * 7)
        assert Exponent(Mean(curve), x)(WEIGHTS) == pytest.approx(power)
        curve[:, 1] = 0
        assert Exponent(Mean(curve), x)(WEIGHTS) == pytest.approx(power)


def test_area_of_an_entropy_is_recomputed_and_no_mean_of_areas():
    predictions = RNG.integers(0, 3, (7, 2))
    for row, weights in zip(Area(Entropy(predictions), [0.0, 1.0])(WEIGHTS), WEIGHTS, strict=True):
        drawn = written_out(weights)
        ends = [class_entropy(predictions[drawn, place]) for place in range(2)]
        assert row[0] == pytest.approx(sum(ends) / 2)


@pytest.mark.parametrize("x", [[0.5], [0.0, 0.0], [1.0, 0.5]])
def test_an_area_needs_increasing_points(x):
    with pytest.raises(InputError, match="expected at least two increasing numbers for x, got"):
        Area(Mean(np.zeros((2, len(x)))), x)


def test_a_difference_weighs_both_sides_alike():
    first, second = RNG.random(7), RNG.random(7)
    found = Difference(Mean(first), Mean(second))(WEIGHTS)
    for row, weights in zip(found, WEIGHTS, strict=True):
        drawn = written_out(weights)
        assert row[0] == pytest.approx((first[drawn] - second[drawn]).mean())


def test_a_difference_is_of_the_same_pictures():
    with pytest.raises(InputError, match="expected first and second of the same pictures, got 2 and 3"):
        Difference(Mean([0.0, 1.0]), Mean([0.0, 1.0, 1.0]))


def test_only_what_resampling_shifts_has_limits():
    assert Mean([0.0]).limits is None
    assert Difference(Mean([0.0]), Mean([0.0])).limits is None
    many, few = Entropy(range(4)), Entropy([1.0, NAN, NAN, 1.0])
    assert many.limits == (0.0, math.log(4))
    assert Area(Entropy([[1, 2], [3, 4]]), [0, 1]).limits == (0.0, math.log(2))
    assert Difference(many, few).limits == (-math.log(2), math.log(4))


def test_classes_without_a_picture():
    assert math.isnan(ClassMean([], [])(np.ones((1, 0)))[0, 0])
    assert np.isnan(ClassMean(np.empty((0, 2)), [])(np.ones((3, 0)))).tolist() == [[True, True]] * 3
