"""Class entropy, unchanged predictions and linearity equal their definitions."""

from __future__ import annotations

import math
import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xai_layermask.errors import InputError
from xai_layermask.metrics import class_entropy, linearity, unchanged_predictions

classes = st.lists(st.integers(0, 9), min_size=1, max_size=30)


@given(classes)
def test_entropy_equals_its_definition(predictions):
    shares = [count / len(predictions) for count in Counter(predictions).values()]
    value = class_entropy(predictions)
    assert value == pytest.approx(-sum(share * math.log(share) for share in shares), abs=1e-12)
    assert 0 <= value <= math.log(len(predictions)) + 1e-12


@given(classes, st.randoms(use_true_random=False))
def test_entropy_sees_neither_order_nor_names(predictions, random):
    other = [1000 + 7 * predicted for predicted in predictions]
    random.shuffle(other)
    assert class_entropy(torch.tensor(other)) == pytest.approx(class_entropy(predictions))


def test_entropy_at_the_edges():
    assert class_entropy([5]) == class_entropy([5] * 8) == 0
    assert class_entropy(range(8)) == pytest.approx(math.log(8))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_unchanged_equals_its_definition(pairs):
    before, after = zip(*pairs, strict=True)
    expected = sum(one == other for one, other in pairs) / len(pairs)
    assert unchanged_predictions(before, after) == pytest.approx(expected)
    assert unchanged_predictions(torch.tensor(after), np.array(before)) == pytest.approx(expected)


def test_unchanged_needs_pairs():
    with pytest.raises(
        InputError, match=r"^expected before and after of the same pictures, got 2 and 3 classes"
    ):
        unchanged_predictions([1, 2], [1, 2, 3])


vectors = hnp.arrays(np.float64, 4, elements=st.integers(-9, 9).map(float))


@given(vectors, st.lists(vectors, min_size=1, max_size=5))
def test_linearity_equals_its_definition(whole, parts):
    total = [sum(part[d] for part in parts) for d in range(4)]
    norms = math.sqrt(sum(w * w for w in whole)) * math.sqrt(sum(t * t for t in total))
    value = linearity(whole, np.array(parts))
    if norms == 0:
        assert math.isnan(value)
    else:
        assert value == pytest.approx(
            sum(w * t for w, t in zip(whole, total, strict=True)) / norms, abs=1e-12
        )
        assert -1 <= value <= 1
        assert linearity(whole * 1e200, np.array(parts) * 1e-200) == pytest.approx(value, abs=1e-12)


def test_linearity_of_a_linear_model_is_one():
    generator = torch.Generator().manual_seed(0)
    weight, picture = torch.randn(5, 12, generator=generator), torch.randn(12, generator=generator)
    parts = torch.stack([weight @ (picture * (torch.arange(12) // 3 == part)) for part in range(4)])
    assert linearity(weight @ picture, parts) == pytest.approx(1)


def test_linearity_without_a_direction_is_nan_and_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(linearity([0.0, 0.0], [[1.0, 0.0]]))
        assert math.isnan(linearity([1.0, 0.0], [[1.0, 0.0], [-1.0, 0.0]]))


@pytest.mark.parametrize(
    ("whole", "parts", "message"),
    [
        ([[1.0]], [[1.0]], r"^expected a vector \(D,\) with D >= 1 for whole, got 1x1"),
        (
            [1.0, 2.0],
            [1.0, 2.0],
            r"^expected one row of features for each part, \(n, 2\), for parts, got 2$",
        ),
        ([1.0, 2.0], [[1.0]], r"^expected .* \(n, 2\), for parts, got 1x1"),
        ([1.0, 2.0], np.zeros((0, 2)), r"^expected .* \(n, 2\), for parts, got 0x2"),
        ([1.0, 2.0], [[1.0, np.inf]], r"^expected finite numbers for parts, got NaN or infinity"),
    ],
)
def test_malformed_features(whole, parts, message):
    with pytest.raises(InputError, match=message):
        linearity(whole, parts)
