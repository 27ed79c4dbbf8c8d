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
            r"^expected a vector \(D,\) with D >= 1 for scores, got 1x2$",
        ),
        ([], r"^expected a vector \(D,\) with D >= 1 for scores, got 0"),
        (1.0, r"^expected a vector \(D,\) with D >= 1 for scores, got a single number"),
        ([1.0, np.nan, 2.0], r"^expected finite numbers for scores, got NaN or infinity"),
        ([1.0, np.inf, 2.0], r"^expected finite numbers for scores"),
        (["a", "b", "c"], r"^expected real numbers for scores, got <U1$"),
        (np.array([1j, 0, 0]), r"^expected real numbers for scores, got complex128"),
        (
            [[1.0], [1.0, 2.0]],
            r"^expected an array for scores, got rows of different lengths$",
        ),
    ],
)
def test_malformed_scores(scores, message):
    with pytest.raises(InputError, match=message):
        alignment_score(scores, SEGMENTS, MASK)


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        (SEGMENTS[0], r"^expected an array \(H, W\) for segments, got 3$"),
        (np.zeros((0, 3), int), r"^expected an array \(H, W\) for segments, got 0x3"),
        (SEGMENTS.astype(float), r"^expected integers for segments, got float64: convert them with"),
        (SEGMENTS > 0, r"^expected integers for segments, got bool"),
        (
            SEGMENTS + 1,
            r"^expected all ids from 0 to 2, one for each score, in segments, got 3 ids from 1 to 3: renum",
        ),
        (SEGMENTS - 1, r"^expected all ids from 0 to 2, .* got 3 ids from -1 to 1"),
        (np.where(SEGMENTS == 1, 0, SEGMENTS), r"^expected all ids .* got 2 ids from 0 to 2"),
        (np.minimum(SEGMENTS, 1), r"^expected all ids .* got 2 ids from 0 to 1"),
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
            r"^expected a mask of the segments' shape 2x3, got 3: resize and crop it",
        ),
        (MASK[None], r"^expected a mask of the segments' shape 2x3, got 1x2x3"),
        (MASK.T, r"^expected a mask of the segments' shape 2x3, got 3x2"),
        (
            np.array([[0, 255, 7], [0, 0, 0]], np.uint8),
            r"^expected numbers from 0 to 1 in mask, got values from 0 to 255: divide",
        ),
        (MASK - 1, r"^expected numbers from 0 to 1 in mask, got values from -1 to 0"),
        (MASK * np.nan, r"^expected numbers from 0 to 1 in mask, got values from nan to nan"),
        (MASK.astype(str), r"^expected numbers from 0 to 1 in mask, got <U32"),
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
            r"^expected class indices \(N,\) with N >= 1 for predictions, got 2x3: pass logits",
        ),
        ([], r"^expected class indices \(N,\) with N >= 1 for predictions, got 0"),
        (
            [0.5],
            r"^expected integer class indices for predictions, got float64: pass logits",
        ),
        ([True], r"^expected integer class indices for predictions, got bool"),
        ([3, -2], r"^expected class indices of at least 0 for predictions, got -2$"),
    ],
)
def test_malformed_classes(classes, message):
    with pytest.raises(InputError, match=message):
        class_entropy(classes)


def test_class_beyond_the_last():
    with pytest.raises(
        InputError, match=r"^expected class indices from 0 to 9 for targets, got 10$"
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
