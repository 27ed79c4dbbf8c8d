"""Every metric turns malformed input down in one sentence, and takes numpy and torch alike."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xai_layermask.errors import InputError
from xai_layermask.metrics import alignment_score, class_entropy, linearity, topk_jaccard
from xai_layermask.metrics.inputs import as_classes, as_mask, as_vector, ranking, scored_segments

SEGMENTS = np.array([[0, 0, 1], [2, 2, 1]])
MASK = np.array([[1.0, 0.5, 0.0], [0.0, 0.0, 0.25]])
SCORES = [0.5, -0.25, 2.0]


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        (
            [[1.0, 2.0]],
            r"^scores must be a vector \(D,\) with D >= 1, but 1x2 came: give one row of numbers\.$",
        ),
        ([], r"^scores must be a vector \(D,\) with D >= 1, but 0 came"),
        (1.0, r"^scores must be a vector \(D,\) with D >= 1, but a single number came"),
        ([1.0, np.nan, 2.0], r"^scores must be finite, but NaN or infinity came: look for its origin"),
        ([1.0, np.inf, 2.0], r"^scores must be finite"),
        (["a", "b", "c"], r"^scores must be real numbers, but <U1 came: convert them to float\.$"),
        (np.array([1j, 0, 0]), r"^scores must be real numbers, but complex128 came"),
        (
            [[1.0], [1.0, 2.0]],
            r"^scores must be an array, but a ragged sequence came: give rows of equal length\.$",
        ),
    ],
)
def test_malformed_scores(scores, message):
    with pytest.raises(InputError, match=message):
        alignment_score(scores, SEGMENTS, MASK)


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (SEGMENTS[0], r"^segments must be an array \(H, W\), but 3 came: give one segment id per pixel\.$"),
        (np.zeros((0, 3), int), r"^segments must be an array \(H, W\), but 0x3 came"),
        (SEGMENTS.astype(float), r"^segments must be integers, but float64 came: convert them with"),
        (SEGMENTS > 0, r"^segments must be integers, but bool came"),
        (
            SEGMENTS + 1,
            r"^segments must use every id from 0 to 2, one for each score, but 3 ids from 1 to 3 came: renum",
        ),
        (SEGMENTS - 1, r"^segments must use every id from 0 to 2, .* but 3 ids from -1 to 1 came"),
        (np.where(SEGMENTS == 1, 0, SEGMENTS), r"^segments must use every id .* but 2 ids from 0 to 2 came"),
        (np.minimum(SEGMENTS, 1), r"^segments must use every id .* but 2 ids from 0 to 1 came"),
    ],
)
def test_malformed_segments(segments, message):
    with pytest.raises(InputError, match=message):
        topk_jaccard(SCORES, segments, MASK)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (
            MASK[0],
            r"^mask must have the shape of the segments, 2x3, but 3 came: resize and crop it",
        ),
        (MASK[None], r"^mask must have the shape of the segments, 2x3, but 1x2x3 came"),
        (MASK.T, r"^mask must have the shape of the segments, 2x3, but 3x2 came"),
        (
            (MASK * 255).astype(np.uint8),
            r"^mask must hold numbers from 0 to 1, but values from 0 to 255 came: divide",
        ),
        (MASK - 1, r"^mask must hold numbers from 0 to 1, but values from -1 to 0 came"),
        (MASK * np.nan, r"^mask must hold numbers from 0 to 1, but values from nan to nan came"),
        (MASK.astype(str), r"^mask must hold numbers from 0 to 1, but <U32 came"),
    ],
)
def test_malformed_mask(mask, message):
    with pytest.raises(InputError, match=message):
        alignment_score(SCORES, SEGMENTS, mask)


@pytest.mark.parametrize("k", [0, -1, 2.5, "3", True, None])
def test_malformed_k(k):
    with pytest.raises(InputError, match=rf"^expected an integer of at least 1 for k, got {k!r}$"):
        topk_jaccard(SCORES, SEGMENTS, MASK, k=k)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (
            np.zeros((2, 3), int),
            r"^predictions must be class indices \(N,\) with N >= 1, but 2x3 came: take logits",
        ),
        ([], r"^predictions must be class indices \(N,\) with N >= 1, but 0 came"),
        (
            [0.5],
            r"^predictions must be integer class indices, but float64 came: take logits",
        ),
        ([True], r"^predictions must be integer class indices, but bool came"),
        ([3, -2], r"^predictions must be 0 or more, but -2 came: use the model's class indices\.$"),
    ],
)
def test_malformed_classes(classes, message):
    with pytest.raises(InputError, match=message):
        class_entropy(classes)


def test_class_beyond_the_last():
    with pytest.raises(
        InputError, match=r"^targets must be from 0 to 9, but 10 came: use the model's class indices\.$"
    ):
        as_classes([0, 10], "targets", classes=10)
    assert as_classes([0, 9], "targets", classes=10).tolist() == [0, 9]


@pytest.mark.parametrize(
    "convert",
    [
        list,
        np.asarray,
        torch.as_tensor,
        lambda scores: torch.tensor(scores, dtype=torch.bfloat16),
        lambda scores: torch.tensor(scores, dtype=torch.float64, requires_grad=True),
    ],
    ids=["list", "numpy", "torch", "bfloat16", "grad"],
)
def test_numpy_and_torch_agree(convert):
    expected = (
        alignment_score(np.array(SCORES), SEGMENTS, MASK),
        topk_jaccard(np.array(SCORES), SEGMENTS, MASK, k=1),
    )
    scores, segments, mask = (
        convert(SCORES),
        torch.as_tensor(SEGMENTS, dtype=torch.int32),
        torch.as_tensor(MASK),
    )
    assert (alignment_score(scores, segments, mask), topk_jaccard(scores, segments, mask, k=1)) == expected
    assert all(type(value) is float for value in expected)


def test_inputs_are_left_alone():
    scores, segments, mask = np.array(SCORES), SEGMENTS.copy(), MASK.copy()
    alignment_score(scores, segments, mask)
    topk_jaccard(scores, segments, mask)
    linearity(scores, scores[None])
    assert (scores == SCORES).all() and (segments == SEGMENTS).all() and (mask == MASK).all()


def test_types_after_the_checks():
    values, ids = scored_segments(torch.tensor([1, 2, 3]), SEGMENTS.astype(np.uint8))
    assert values.dtype == np.float64 and ids.dtype == np.int64
    assert as_mask(MASK > 0, (2, 3)).dtype == np.float64
    assert as_vector([True, False], "scores").tolist() == [1.0, 0.0]


def test_ranking_takes_the_lower_id_first():
    assert ranking(np.array([1.0, 3.0, 1.0, 3.0, -0.0, 0.0])).tolist() == [1, 3, 0, 2, 4, 5]
