"""Bars of the mask shape experiment: accuracies, their intervals, and the gap in words."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from xai_layermask.errors import InputError
from xai_layermask.plots import mask_shape_bars
from xai_layermask.plots.bars import MINUS

OUT, BROKEN = np.array([1, 0, 0, 0, 1]), np.array([1, 1, 1, 0, 1], dtype=bool)


def test_heights_are_accuracies_and_the_gap_stands_above():
    ax = mask_shape_bars({"layer": (OUT, BROKEN), "grey": (BROKEN, OUT), "mine": (OUT, OUT)})
    assert [bar.get_height() for bar in ax.patches] == pytest.approx([0.4, 0.8, 0.4, 0.8, 0.4, 0.4])
    assert [text.get_text() for text in ax.texts] == ["gap +0.40", f"gap {MINUS}0.40", "gap +0.00"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["layer\nmasking", "grey-out", "mine"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["object masked out", "broken mask"]


@pytest.mark.parametrize("panels", [1, 2])
def test_the_gap_is_above_both_intervals_and_nothing_is_cut_off(panels):
    figure = Figure(figsize=(4.2 if panels == 1 else 5.5, 3), layout="constrained")
    left = figure.subplots(1, panels, squeeze=False)[0, 0]
    ax = mask_shape_bars({"layer": (OUT, np.ones(5)), "grey": (OUT, BROKEN)}, left)
    ax.figure.draw_without_rendering()
    tops = [max(segment[:, 1]) for one in ax.collections for segment in one.get_segments()]
    assert len(tops) == 4
    for place, text in enumerate(ax.texts):
        lowest = ax.transData.inverted().transform(text.get_window_extent().get_points())[0, 1]
        assert lowest > max(tops[place::2])
    legend, frame = ax.get_legend().get_window_extent(), ax.get_window_extent()
    assert frame.x0 <= legend.x0 and legend.x1 <= frame.x1
    assert not any(text.get_window_extent().overlaps(legend) for text in ax.texts)


def test_draws_on_the_axes_that_it_is_given():
    left, right = Figure().subplots(1, 2)
    assert mask_shape_bars({"layer": (OUT, BROKEN)}, right) is right
    assert not left.has_data()


@pytest.mark.parametrize(
    ("accuracies", "message"),
    [
        ({}, "expected a mapping with at least one masking for accuracies, got an empty dict"),
        ([1], "expected a mapping with at least one masking for accuracies, got list"),
        ({"grey": (OUT, BROKEN[:3])}, r"of the same pictures for 'grey' in accuracies, got \(5,\) and \(3,\)"),
        ({"grey": (OUT / 2, BROKEN)}, "expected two arrays of 0 and 1"),
        ({"grey": ([], [])}, "expected two arrays of 0 and 1"),
        ({"grey": OUT}, "expected two arrays of 0 and 1 for 'grey' in accuracies, got ndarray"),
    ],
)
def test_mistakes(accuracies, message):
    with pytest.raises(InputError, match=message):
        mask_shape_bars(accuracies)
