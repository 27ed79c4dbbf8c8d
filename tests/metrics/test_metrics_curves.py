"""Curves follow the probability that they claim to follow; their areas are areas."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_layermask import Fill
from xai_layermask.errors import InputError
from xai_layermask.metrics import auc, deletion_curve, insertion_curve, symmetric_relevance_gain

SEGMENTS = np.array([[0, 0, 1, 2, 4], [0, 0, 1, 3, 4], [0, 0, 2, 3, 4]])  # of 6, 2, 2, 2 and 3 pixels


class Toy:
    """A nonlinear model of three classes; remembers the size of its batches."""

    name = "toy"

    def __init__(self):
        self.batches = []

    def __call__(self, image, presence):
        self.batches.append(len(presence))
        shown = image * presence
        return torch.stack(
            [shown[:, 0].sum((1, 2)) / 4, shown[:, 1].amax((1, 2)), shown[:, 2].mean((1, 2))], dim=1
        )


def picture(seed=0):
    return torch.rand(1, 3, 3, 5, generator=torch.Generator().manual_seed(seed))


def naive_chance(image, present, target):
    shown = [
        [[image[0, c, y, x].item() * (SEGMENTS[y, x] in present) for x in range(5)] for y in range(3)]
        for c in range(3)
    ]
    logits = [
        sum(map(sum, shown[0])) / 4,
        max(map(max, shown[1])),
        sum(map(sum, shown[2])) / 15,
    ]
    return math.exp(logits[target]) / sum(map(math.exp, logits))


def naive_curve(image, order, target, removed):
    fractions, values = [], []
    for count in range(len(order) + 1):
        touched = order[:count]
        present = [segment for segment in order if (segment in touched) != removed]
        fractions.append(sum(SEGMENTS[y, x] in touched for y in range(3) for x in range(5)) / 15)
        values.append(naive_chance(image, present, target))
    return fractions, values


def naive_area(x, y):
    return sum((x[i + 1] - x[i]) * (y[i] + y[i + 1]) / 2 for i in range(len(x) - 1))


scores = st.lists(st.integers(-4, 4).map(float), min_size=5, max_size=5)


@settings(max_examples=25, deadline=None)
@given(scores, st.integers(0, 2), st.integers(0, 5))
def test_curves_equal_their_definition(values, target, seed):
    image = picture(seed)
    order = sorted(range(5), key=lambda segment: (-values[segment], segment))
    most = naive_curve(image, order, target, removed=True)
    least = naive_curve(image, order[::-1], target, removed=True)
    insertion = naive_curve(image, order, target, removed=False)
    found = [
        deletion_curve(Toy(), image, values, SEGMENTS, target),
        deletion_curve(Toy(), image, values, SEGMENTS, target, first="least"),
        insertion_curve(Toy(), image, values, SEGMENTS, target),
    ]
    for curve, (fractions, chances) in zip(found, (most, least, insertion), strict=True):
        assert (curve.masking, curve.target) == ("toy", target)
        assert curve.fractions == pytest.approx(fractions)
        assert curve.values == pytest.approx(chances, abs=1e-6)
        assert curve.auc == pytest.approx(naive_area(fractions, chances), abs=1e-6)
        assert 0 <= curve.auc <= 1
    gain = symmetric_relevance_gain(Toy(), image, values, SEGMENTS, target)
    assert math.isnan(gain) == (len(set(values)) == 1)
    assert gain == pytest.approx(naive_area(*least) - naive_area(*most), abs=1e-6, nan_ok=True) or math.isnan(
        gain
    )


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 5))
def test_gain_is_insertion_minus_deletion_and_turns_with_the_order(values, seed):
    image, values = picture(seed), np.array(values, dtype=float)
    gain = symmetric_relevance_gain(Toy(), image, values, SEGMENTS)
    difference = (
        insertion_curve(Toy(), image, values, SEGMENTS).auc
        - deletion_curve(Toy(), image, values, SEGMENTS).auc
    )
    assert gain == pytest.approx(difference, abs=1e-6)
    assert symmetric_relevance_gain(Toy(), image, -values, SEGMENTS) == pytest.approx(-gain, abs=1e-6)
    assert symmetric_relevance_gain(Toy(), image, values * 9 + 2, SEGMENTS) == pytest.approx(gain, abs=1e-6)
    assert -1 <= gain <= 1


def test_default_target_is_the_prediction_for_the_whole():
    image = picture()
    image[:, 1] += 5
    for curve in (
        deletion_curve(Toy(), image, range(5), SEGMENTS),
        insertion_curve(Toy(), image, range(5), SEGMENTS),
    ):
        assert curve.target == 1


@pytest.mark.parametrize("size", [1, 2, 4, 32])
def test_batch_size_changes_nothing_but_the_batches(size):
    masking = Toy()
    curve = deletion_curve(masking, picture(), [3, 1, 4, 1, 5], SEGMENTS, batch_size=size)
    whole = deletion_curve(Toy(), picture(), [3, 1, 4, 1, 5], SEGMENTS)
    assert (
        curve.values == pytest.approx(whole.values)
        and sum(masking.batches) == 6
        and max(masking.batches) <= size
    )


def test_steps_are_as_equal_as_can_be_and_include_both_ends():
    columns = np.arange(12).reshape(1, 12)
    image = torch.rand(1, 3, 1, 12)
    for steps, expected in ((1, [0, 12]), (3, [0, 4, 8, 12]), (5, [0, 2, 5, 7, 10, 12]), (99, range(13))):
        curve = deletion_curve(Toy(), image, range(12), columns, steps=steps)
        assert curve.fractions == pytest.approx([count / 12 for count in expected])


def test_one_segment():
    whole = np.zeros((3, 5), dtype=int)
    assert deletion_curve(Toy(), picture(), [0.3], whole).fractions.tolist() == [0, 1]
    assert math.isnan(symmetric_relevance_gain(Toy(), picture(), [0.3], whole))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(-5, 5)), min_size=2, max_size=9))
def test_area_equals_its_definition(points):
    x, y = zip(*sorted(points), strict=True)
    assert auc(x, y) == pytest.approx(naive_area(x, y))
    assert auc(torch.tensor(x), np.array(y) + 2) == pytest.approx(naive_area(x, y) + 2 * (x[-1] - x[0]))


def test_the_papers_rule_is_the_plain_mean_of_the_points():
    # Layer masking in the authors' published array of ResNet-50, class entropy at 0, 0.1 ... 1; table 4 has 5.651.
    published = [6.4767, 6.4791, 6.4805, 6.4720, 6.4472, 6.4180, 6.3639, 6.1621, 5.6962, 5.0644, 0.0]
    fractions = np.linspace(0, 1, 11)
    assert auc(fractions, published, rule="mean") == pytest.approx(5.642, abs=5e-4)
    assert auc(fractions, published) == pytest.approx(5.882, abs=5e-4)
    assert auc([2.0, 4.0], [1.0, 2.0], rule="mean") == 3.0
    with pytest.raises(InputError, match="expected one of trapezoid, mean for rule, got 'simpson'"):
        auc(fractions, published, rule="simpson")


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (
            [0.0],
            [1.0],
            r"^expected x and y of the same length, at least 2, got 1 and 1",
        ),
        ([0.0, 1.0], [1.0, 1.0, 1.0], r"^expected x and y of the same length, at least 2, got 2 and 3"),
        (
            [0.0, 1.0, 0.5],
            [1.0, 1.0, 1.0],
            r"^expected sorted numbers for x, got decreasing ones: sort the points by x first$",
        ),
        ([0.0, np.nan], [1.0, 1.0], r"^expected finite numbers for x"),
    ],
)
def test_malformed_points(x, y, message):
    with pytest.raises(InputError, match=message):
        auc(x, y)


@pytest.mark.parametrize("metric", [deletion_curve, insertion_curve, symmetric_relevance_gain])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"masking": 3}, r"^expected a callable of image and presence with a name for masking, got int"),
        (
            {"image": torch.rand(2, 3, 3, 5)},
            r"^expected one image \(1, 3, H, W\), got a batch of 2: call",
        ),
        ({"image": torch.rand(1, 3, 5, 3)}, r"^expected segments of the image's size 5x3, got 3x5"),
        ({"scores": [1, 2, 3]}, r"^expected all ids from 0 to 2"),
        ({"target": 3}, r"^expected class indices from 0 to 2 for target, got 3"),
        ({"target": [0, 1]}, r"^expected a single class for target, got 2: call once per class$"),
        ({"target": 0.5}, r"^expected integer class indices for target"),
        ({"steps": 0}, r"^expected an integer of at least 1 for steps, got 0"),
        ({"batch_size": -1}, r"^expected an integer of at least 1 for batch_size, got -1"),
    ],
)
def test_malformed_input(metric, changed, message):
    arguments = {"masking": Toy(), "image": picture(), "scores": range(5), "segments": SEGMENTS} | changed
    with pytest.raises(InputError, match=message):
        metric(**arguments)


def test_unknown_order():
    with pytest.raises(
        InputError, match=r"^expected one of most, least for first, got 'mosst': did you mean 'most'\?"
    ):
        deletion_curve(Toy(), picture(), range(5), SEGMENTS, first="mosst")


@pytest.mark.parametrize(("last", "independent"), [(torch.nn.Softmax(1), False), (torch.nn.Sigmoid(), True)])
def test_curves_follow_the_probabilities_that_a_network_returns(last, independent):
    torch.manual_seed(0)
    logits = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(3, 3))
    image, scores = picture(), [3.0, 1.0, 2.0, 0.0, -1.0]
    found = deletion_curve(Fill(torch.nn.Sequential(*logits, last), "black"), image, scores, SEGMENTS, 1).values
    expected = []
    for count in range(6):
        present = torch.from_numpy(~np.isin(SEGMENTS, [0, 2, 1, 3, 4][:count]))
        with torch.no_grad():
            x = Fill(logits, "black")(image, present[None, None])[0]
        expected.append(float(torch.sigmoid(x)[1] if independent else x.softmax(0)[1]))
    np.testing.assert_allclose(found, expected, atol=1e-6)
