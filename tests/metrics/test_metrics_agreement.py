"""Alignment and Jaccard equal their definitions, pixel by pixel, and behave at the edges as documented."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from xai_layermask.metrics import alignment_score, topk_jaccard


@st.composite
def pictures(draw, distinct=False):
    """Scores (K,), segments (H, W) with ids 0..K-1, and a soft mask (H, W)."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 6)))
    raw = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 5)))
    segments = np.unique(raw, return_inverse=True)[1].reshape(shape)
    number = st.integers(-40, 40).map(lambda n: n / 8)
    scores = draw(hnp.arrays(np.float64, int(segments.max()) + 1, elements=number, unique=distinct))
    mask = draw(hnp.arrays(np.float64, shape, elements=st.integers(0, 4).map(lambda n: n / 4)))
    return scores, segments, mask


def naive_alignment(scores, segments, mask):
    height, width = segments.shape
    mean = sum(mask[y, x] for y in range(height) for x in range(width)) / (height * width)
    gain = [0.0] * len(scores)
    for y in range(height):
        for x in range(width):
            gain[segments[y, x]] += mask[y, x] - mean
    dot = sum(score * g for score, g in zip(scores, gain, strict=True))
    return dot / math.sqrt(sum(score**2 for score in scores)) / math.sqrt(sum(g**2 for g in gain))


def naive_jaccard(scores, segments, mask, k, soft):
    top = sorted(range(len(scores)), key=lambda segment: (-scores[segment], segment))[:k]
    overlap = union = 0.0
    for y in range(segments.shape[0]):
        for x in range(segments.shape[1]):
            chosen = float(segments[y, x] in top)
            overlap += min(chosen, mask[y, x])
            union += max(chosen, mask[y, x]) if soft else float(chosen + mask[y, x] > 0)
    return overlap / union


@given(pictures())
def test_alignment_equals_its_definition(picture):
    value = alignment_score(*picture)
    assume(not math.isnan(value))
    assert value == pytest.approx(naive_alignment(*picture), abs=1e-9)
    assert -1 <= value <= 1


@given(pictures(), st.integers(1, 7), st.booleans())
def test_jaccard_equals_its_definition(picture, k, soft):
    value = topk_jaccard(*picture, k=k, union="max" if soft else "any")
    assume(not math.isnan(value))
    assert value == pytest.approx(naive_jaccard(*picture, k, soft), abs=1e-12)
    assert 0 <= value <= 1


@given(pictures(distinct=True), st.integers(1, 7), st.randoms(use_true_random=False))
def test_the_numbering_of_segments_does_not_matter(picture, k, random):
    scores, segments, mask = picture
    renumbered = list(range(len(scores)))
    random.shuffle(renumbered)
    moved = np.empty_like(scores)
    moved[renumbered] = scores
    again = moved, np.array(renumbered)[segments], mask
    assert alignment_score(*again) == pytest.approx(alignment_score(*picture), abs=1e-9, nan_ok=True)
    assert topk_jaccard(*again, k=k) == pytest.approx(topk_jaccard(*picture, k=k), nan_ok=True)


@given(pictures(), st.sampled_from([0.125, 3.0, 1e-200, 1e200]))
def test_alignment_is_free_of_scale_and_turns_with_the_sign(picture, scale):
    scores, segments, mask = picture
    value = alignment_score(*picture)
    assert alignment_score(scores * scale, segments, mask) == pytest.approx(value, abs=1e-9, nan_ok=True)
    assert alignment_score(-scores, segments, mask) == pytest.approx(-value, abs=1e-9, nan_ok=True)
    assert alignment_score(scores, segments, 1 - mask) == pytest.approx(-value, abs=1e-9, nan_ok=True)
    assert alignment_score(scores, segments, mask / 3 + 0.1) == pytest.approx(value, abs=1e-9, nan_ok=True)


@given(pictures(), st.sampled_from([-2.0, 0.5, 10.0]))
def test_a_shift_of_the_scores_changes_alignment_by_their_norm_alone(picture, shift):
    scores, segments, mask = picture
    before, after = alignment_score(*picture), alignment_score(scores + shift, segments, mask)
    expected = before * np.linalg.norm(scores) / np.linalg.norm(scores + shift)
    assert after == pytest.approx(expected, abs=1e-9, nan_ok=True)


@given(pictures(), st.integers(1, 7))
def test_jaccard_sees_the_order_of_scores_alone(picture, k):
    scores, segments, mask = picture
    again = topk_jaccard(np.exp(scores) * 7 - 3, segments, mask, k=k)
    assert again == pytest.approx(topk_jaccard(*picture, k=k), nan_ok=True)


QUARTERS = np.array([[0, 0, 1, 1], [2, 2, 3, 3]])
CORNER = np.array([[1.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])


def test_perfect_scores():
    assert alignment_score([0.75, -0.25, -0.25, -0.25], QUARTERS, CORNER) == pytest.approx(1)
    assert alignment_score([-3, 1, 1, 1], QUARTERS, CORNER) == pytest.approx(-1)
    assert topk_jaccard([0.75, -0.25, -0.25, -0.25], QUARTERS, CORNER, k=1) == 1


@pytest.mark.parametrize(
    ("scores", "mask"),
    [
        ([1, 0, 0, 0], np.zeros((2, 4))),
        ([1, 0, 0, 0], np.ones((2, 4))),
        ([1, 0, 0, 0], np.full((2, 4), 0.3)),
        (
            [1, 0, 0, 0],
            np.array([[0.1, 0.2, 0.2, 0.1], [0.3, 0.0, 0.0, 0.3]]),
        ),  # evenly divided by the segments
        ([0, 0, 0, 0], CORNER),
        ([0.1, 0.1, 0.1, 0.1], CORNER),
    ],
    ids=["empty", "full", "constant mask", "even", "zero scores", "constant scores"],
)
def test_alignment_without_a_direction_is_nan_and_silent(scores, mask):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(alignment_score(scores, QUARTERS, mask))


def test_a_faint_mask_still_has_a_direction():
    assert alignment_score([3, -1, -1, -1], QUARTERS, CORNER * 1e-30) == pytest.approx(1)


def test_jaccard_at_the_edges():
    scores = [4.0, 3.0, 2.0, 1.0]
    assert topk_jaccard(scores, QUARTERS, np.zeros((2, 4)), k=2) == 0
    assert topk_jaccard(scores, QUARTERS, np.ones((2, 4)), k=2) == 0.5
    assert topk_jaccard(scores, QUARTERS, CORNER, k=4) == topk_jaccard(scores, QUARTERS, CORNER, k=99) == 0.25
    assert topk_jaccard(scores, QUARTERS, CORNER) == 0.25  # the paper's 20 are more than there are
    assert topk_jaccard(scores, QUARTERS, CORNER / 2, k=1) == 0.5


def test_ties_go_to_the_lower_id():
    assert topk_jaccard([1, 1, 1, 0], QUARTERS, CORNER, k=1) == 1
    assert topk_jaccard([0, 1, 1, 1], QUARTERS, CORNER, k=1) == 0


def test_constant_scores_have_no_top_unless_everything_is_taken():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert math.isnan(topk_jaccard([2, 2, 2, 2], QUARTERS, CORNER, k=3))
    assert topk_jaccard([2, 2, 2, 2], QUARTERS, CORNER, k=4) == 0.25


def test_one_segment():
    assert math.isnan(alignment_score([1.0], np.zeros((2, 4), int), CORNER))
    assert topk_jaccard([1.0], np.zeros((2, 4), int), CORNER, k=1) == 0.25
