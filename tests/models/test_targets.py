"""Targets: the one number per image that is explained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xai_layermask.errors import InputError
from xai_layermask.models import as_targets

OUT = torch.tensor([[1.0, 3.0, 0.0], [0.5, 0.2, 0.1]])
WHOLE = OUT[:1]
NAMES = ("cat", "dog", "cow")

MAP = torch.zeros(1, 2, 2, 3)
MAP[0, 1, 0] = torch.tensor([1.0, 2.0, 0.0])
MAP[0, 0, 1] = 4.0


def one(target, whole=WHOLE, labels=()):
    (found,) = as_targets(target, whole, labels)
    return found


def test_classes():
    assert one(1)(OUT).tolist() == pytest.approx([3.0, 0.2])
    assert (one("dog", labels=NAMES).index, one("dog", labels=NAMES).label) == (1, "dog")
    for several in ([2, "dog"], (2, 1), np.array([2, 1]), torch.tensor([2, 1])):
        found = as_targets(several, WHOLE, NAMES)
        assert [(target.index, target.label) for target in found] == [(2, "cow"), (1, "dog")]
    assert [target.index for target in as_targets(None, WHOLE, NAMES, top=2)] == [1, 0]


@pytest.mark.parametrize("whole", [torch.tensor([[0.3]]), torch.tensor([0.3])])
def test_one_output_is_its_own_target(whole):
    for target in (None, 0, "output"):
        found = one(target, whole)
        assert (found.index, found.label) == (0, "output")
        assert found(torch.full((2, *whole.shape[1:]), 0.5)).tolist() == [0.5, 0.5]
    assert one(None, whole, ["spam"]).label == "spam"


def test_positions_regions_and_predicted_regions():
    assert one((0, 1, 2), MAP)(MAP).tolist() == [4.0]
    assert one((0, 1, 2), MAP).label == "0 at (1, 2)"
    mask = np.array([[True, False, False], [True, False, False]])
    assert one((0, mask), MAP)(MAP).tolist() == [2.0]
    # Class 1 is predicted at the first two cells of the first row, class 0 at the other four.
    assert one(1, MAP)(MAP).tolist() == [1.5]
    assert one(0, MAP)(MAP).tolist() == [3.0]
    assert [target.index for target in as_targets(None, MAP, top=2)] == [0, 1]
    # The region is that of the whole picture, whatever is predicted later.
    assert one(1, MAP)(torch.arange(12.0).view(1, 2, 2, 3)).tolist() == [6.5]
    several = as_targets([("b", 0, 0), ("b", mask), ("b", ~mask), "b"], MAP, ("a", "b"))
    assert [target.label for target in several] == ["b at (0, 0)", "b in a region", "b in a region 2", "b"]
    assert [target(MAP).item() for target in several] == [1.0, 0.5, 0.5, 1.5]


def test_similarities():
    vector = torch.tensor([0.0, 1.0, 1.0])
    expected = torch.nn.functional.cosine_similarity(OUT, vector[None]).double()
    for target in (vector, vector.numpy(), [vector], vector[None]):
        found = one(target)
        torch.testing.assert_close(found(OUT), expected)
        assert (found.index, found.label, found.is_probability) == (-1, "similarity", False)
    assert [target.label for target in as_targets(torch.eye(3)[:2], WHOLE)] == ["similarity", "similarity 2"]


def margin(output):
    return output[:, 1] - output[:, 0]


def test_functions():
    found = one(margin)
    assert found(OUT).tolist() == pytest.approx([2.0, -0.3])
    assert (found.index, found.label) == (-1, "margin")
    with pytest.raises(
        InputError, match=r"a tensor \(2,\), one number per image, from the target 'sum', got shape \(\)"
    ):
        one(torch.sum)(OUT)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (3, "expected an integer from 0 to 2 .* for target, got 3"),
        ([1, 1], "expected different classes for targets"),
        ([], r"expected class indices or names for targets, got \[\]"),
        ([(0, 0, 0)], r"expected \(class, y, x\) or \(class, mask\) in a map .*, got 3 values and an output \(1, 3\)"),
        (np.ones(2), r"a vector for target that fits the model's output \(1, 3\), got 2 numbers"),
    ],
)
def test_targets_that_do_not_fit(target, message):
    with pytest.raises(InputError, match=message):
        as_targets(target, WHOLE)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (1, "a class that the model predicts somewhere for target 1, got none of its pixels: name a region"),
        ((0, np.ones((1, 1), bool)), r"a boolean mask \(2, 3\) with a True cell .*, got torch.bool \(1, 1\) with 1"),
        ((0, np.zeros((2, 3), bool)), r"got torch.bool \(2, 3\) with 0 cells"),
        ((0, np.ones((2, 3))), "got torch.float64"),
        ((0, 2, 0), "expected an integer from 0 to 1 for y of the target, got 2"),
        ((0, 0, -1), "expected an integer from 0 to 2 for x of the target, got -1"),
        (np.ones(2), r"fits the model's output \(1, 2, 2, 3\)"),
    ],
)
def test_targets_that_do_not_fit_a_map(target, message):
    with pytest.raises(InputError, match=message):
        as_targets(target, MAP + torch.tensor([9.0, 0.0]).view(1, 2, 1, 1))


def test_no_two_targets_have_one_label():
    whole = torch.tensor([[3.0, 2.0, 1.0, 0.0]])
    found = as_targets([0, 1, 2, 3], whole, ("crane", "crane", "crane 2", "crane"))
    assert [target.label for target in found] == ["crane", "crane 3", "crane 2", "crane 4"]
